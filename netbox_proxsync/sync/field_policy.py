"""An endpoint's exceptions from the owners of fields: which ones are possible, and their text form."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ..proxmox.messages import Message, choice_of, joined
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
        raise InvalidPolicyError(Message('Enter {"type.field": "fact", "editorial" or "ignored"}.'))
    fields = configurable()
    if mistakes := [text for name, choice in policy.items() for text in mistakes_in(name, choice, fields)]:
        raise InvalidPolicyError(*mistakes)
    return {name: policy[name] for name in fields if name in policy and policy[name] != fields[name].owner}


def mistakes_in(name: str, choice: Any, fields: Mapping[str, Field]) -> Iterator[Message]:
    """Why an entry of a policy is not valid, as sentences for the administrator; at most one."""
    if name not in fields:
        yield joined(
            (
                Message('"{field}" is not a field whose source of truth can be chosen.', field=name),
                suggestion(name, fields),
            )
        )
    elif choice not in choices_for(fields[name]):
        yield Message(
            '{field} cannot be "{choice}". It can be: {choices}.',
            field=name,
            choice=choice,
            choices=joined(choices_for(fields[name]), ', '),
        )


def suggestion(name: str, fields: Mapping[str, Field]) -> Message:
    """A sentence that helps to correct the name of a field: similar names, or the fields of its kind, or all kinds."""
    if close := get_close_matches(name, fields, n=3):
        return Message('Did you mean {close}?', close=choice_of(close))
    kind = name.partition('.')[0]
    if kind in KINDS:
        own = [field.partition('.')[2] for field in fields if field.startswith(f'{kind}.')]
        return (
            Message('Fields of {kind}: {own}.', kind=kind, own=joined(own, ', '))
            if own
            else Message('{kind} has no such field.', kind=kind)
        )
    return Message(
        'Enter it as type.field. Types: {kinds}.',
        kinds=joined(dict.fromkeys(field.partition('.')[0] for field in fields), ', '),
    )


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
            mistakes.append(Message('"{line}" is not of the form "vm.name = ignored".', line=line.strip()))
        elif name in policy:
            mistakes.append(Message('{name} is given twice.', name=name))
        policy[name] = choice.lower()
    if mistakes:
        raise InvalidPolicyError(*mistakes)
    return policy


def format_policy(policy: Mapping[str, str]) -> str:
    """The lines that `parse_policy` reads."""
    return '\n'.join(f'{name} = {choice}' for name, choice in policy.items())
