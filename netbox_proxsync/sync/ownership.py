"""Three values decide: what we wrote last, what NetBox holds now, what Proxmox wants."""

from collections.abc import Mapping
from dataclasses import dataclass

from .kinds import Owner
from .values import Value, as_set

__all__ = ('FieldDecision', 'resolve_field')


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """
    Attributes:
        write: The value to write, if `writes`.
        writes: Whether NetBox changes.
        kept: Whether an edit by someone else stands against what Proxmox wants.
        last: What the binding remembers afterwards.
    """

    write: Value
    writes: bool
    kept: bool
    last: Value


def resolve_field(owner: Owner, name: str, last: Mapping[str, Value], now: Value, want: Value) -> FieldDecision:
    """
    What becomes of one field. `want` must name existing objects by `Pointer` where they exist, as `now` does.

    `last` lacks the field when we never wrote it: at adoption, facts are set and editorial fields that a person filled
    stay.
    """
    if owner is Owner.SET:
        return merge(last.get(name), now, want)
    if now == want:
        return FieldDecision(want, False, False, want)
    edited = now != last[name] if name in last else not is_empty(now)
    if owner is Owner.EDITORIAL and edited:
        # Nothing of ours is in the field, and nothing is remembered of a field that was never ours.
        return FieldDecision(want, False, True, last.get(name))
    return FieldDecision(want, True, False, want)


def merge(last: Value, now: Value, want: Value) -> FieldDecision:
    """
    Sets are merged element by element: we add and remove our own elements only.

    What a person removed is not added again. What stood there before us is not ours to remove later.
    """
    ours, present, wanted = map(as_set, (last, now, want))
    result = (present | (wanted - ours)) - (ours - wanted)
    return FieldDecision(result, result != present, False, (wanted & ours) | (wanted - present))


def is_empty(value: Value) -> bool:
    return value is None or value == '' or value == frozenset()
