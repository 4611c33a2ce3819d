"""An endpoint's exceptions from the owners of fields: which ones are possible, and their text form."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from .kinds import KINDS, Field
from .owners import IGNORED, Owner

__all__ = ('InvalidPolicyError', 'choices_for', 'clean_policy', 'configurable', 'format_policy', 'parse_policy')


class InvalidPolicyError(ValueError):
    """A policy names a field or an owner that does not exist. One argument per mistake, for the user."""


def configurable() -> dict[str, Field]:
    """The fields whose owner an endpoint may change: {'vm.name': ...}."""
    return {f'{kind.name}.{spec.name}': spec for kind in KINDS.values() for spec in kind.fields if not spec.fixed}


def choices_for(spec: Field) -> tuple[str, ...]:
    """The owners that an endpoint may choose for a field."""
    # Sets are always merged element by element; the only choice is whether to sync them.
    return (IGNORED,) if spec.owner is Owner.SET else (str(Owner.FACT), str(Owner.EDITORIAL), IGNORED)


def clean_policy(policy: Any) -> dict[str, str]:
    """
    The exceptions in the order of the fields, without those that equal the default.

    Raises:
        InvalidPolicyError: The policy is no mapping, or names a field or an owner that does not exist.
    """
    if not isinstance(policy, Mapping):
        raise InvalidPolicyError('Write {"kind.field": "fact", "editorial" or "ignored"}.')
    fields = configurable()
    if mistakes := [text for name, choice in policy.items() for text in mistakes_in(name, choice, fields)]:
        raise InvalidPolicyError(*mistakes)
    return {name: policy[name] for name in fields if name in policy and policy[name] != fields[name].owner}


def mistakes_in(name: str, choice: Any, fields: Mapping[str, Field]) -> Iterator[str]:
    """Why an entry of a policy is not valid, as sentences for the administrator; at most one."""
    if name not in fields:
        yield f'"{name}" is not a field whose owner can be chosen. {suggestion(name, fields)}'
    elif choice not in choices_for(fields[name]):
        yield f'{name} cannot be "{choice}". It can be: {", ".join(choices_for(fields[name]))}.'


def suggestion(name: str, fields: Mapping[str, Field]) -> str:
    """A sentence that helps to correct the name of a field: similar names, or the fields of its kind, or all kinds."""
    if close := get_close_matches(name, fields, n=3):
        return f'Did you mean {" or ".join(close)}?'
    kind = name.partition('.')[0]
    if kind in KINDS:
        own = [field.partition('.')[2] for field in fields if field.startswith(f'{kind}.')]
        return f'Fields of {kind}: {", ".join(own)}.' if own else f'There is none in {kind}.'
    return f'Write it as kind.field; kinds: {", ".join(dict.fromkeys(field.partition(".")[0] for field in fields))}.'


def parse_policy(text: str) -> dict[str, str]:
    """
    The exceptions from lines 'vm.name = ignored'. Empty lines and lines that begin with '#' are skipped.

    Raises:
        InvalidPolicyError: A line has another form, or a field occurs twice. `clean_policy` checks whether the fields
            exist.
    """
    policy, mistakes = {}, []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        name, separator, choice = (part.strip() for part in line.partition('='))
        if not (name and separator and choice):
            mistakes.append(f'"{line.strip()}" is not of the form "vm.name = ignored".')
        elif name in policy:
            mistakes.append(f'{name} stands there twice.')
        policy[name] = choice.lower()
    if mistakes:
        raise InvalidPolicyError(*mistakes)
    return policy


def format_policy(policy: Mapping[str, str]) -> str:
    """The lines that `parse_policy` reads."""
    return '\n'.join(f'{name} = {choice}' for name, choice in policy.items())
