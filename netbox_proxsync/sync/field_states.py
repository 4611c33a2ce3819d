"""How a single field of a bound object stands to Proxmox VE, and what can be decided about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from .kind import Field
from .owners import IGNORED, Owner
from .ownership import resolve_field
from .values import Value, show

__all__ = ('FieldState', 'owner_of', 'state_of_field')

# The values of `FieldDecisionChoices`.
PROXMOX, KEEP, ALWAYS = 'proxmox', 'keep', 'always'


@dataclass(frozen=True, slots=True)
class FieldState:
    """
    A field with its three values.

    Attributes:
        owner: None: the endpoint ignores the field.
        written: The value that was written last; None if there is none.
        differs: Whether NetBox lacks the value of Proxmox VE.
        is_kept: Whether the next sync retains the value in NetBox, if it differs.
        choices: What can be decided: values of `FieldDecisionChoices`.
    """

    name: str
    owner: Owner | None
    written: Value
    now: Value
    reported: Value
    differs: bool
    is_kept: bool
    choices: tuple[str, ...]


def owner_of(kind: str, spec: Field, policy: Mapping[str, str]) -> Owner | None:
    """The owner of a field under the field policy of an endpoint; None: it is ignored."""
    choice = policy.get(f'{kind}.{spec.name}', spec.owner)
    return None if choice == IGNORED else Owner(choice)


def state_of_field(
    spec: Field,
    owner: Owner | None,
    written: Mapping[str, Value],
    now: Value,
    reported: Value,
    kept: Mapping[str, tuple[Value, Value]],
) -> FieldState:
    """
    Args:
        written: The values that were written last, by field.
        kept: As for `resolve_field`.
    """
    differs = owner is not None and not is_alike(reported, now)
    is_kept = owner is None or not resolve_field(owner, spec.name, written, now, reported, kept).writes
    choices: tuple[str, ...] = ()
    if differs and not spec.fixed:
        choices = (PROXMOX,) if is_kept else (KEEP,)
        # The value of an editorial field is always kept once it was edited. A set can be ignored.
        if owner is Owner.FACT or (owner is Owner.SET and not is_kept):
            choices = (*choices, ALWAYS)
    return FieldState(spec.name, owner, written.get(spec.name), now, reported, differs, is_kept, choices)


def is_alike(reported: Value, now: Value) -> bool:
    """Whether NetBox has the value from Proxmox VE; for sets, at least its elements."""
    if isinstance(now, frozenset):
        wanted = reported if isinstance(reported, frozenset) else ()
        return frozenset(map(show, wanted)) <= frozenset(map(show, now))
    return reported == now or show(reported) == show(now)
