"""
Resolves a field from three values: the value written last, the current value in NetBox, and the value in Proxmox VE.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .kinds import Owner
from .values import Value, as_set

__all__ = ('FieldDecision', 'resolve_field')


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """
    The decision about a field.

    Attributes:
        write: The value to write, if `writes`.
        writes: Whether NetBox changes.
        kept: Whether NetBox was edited and keeps its value although Proxmox VE has another one.
        last: The value that the binding stores afterwards.
    """

    write: Value
    writes: bool
    kept: bool
    last: Value


def resolve_field(
    owner: Owner,
    name: str,
    last: Mapping[str, Value],
    now: Value,
    want: Value,
    kept: Mapping[str, tuple[Value, Value]] | None = None,
) -> FieldDecision:
    """
    Decide whether and how one field changes.

    Args:
        owner: The owner of the field.
        last: The values that were last written, by field. It lacks the field if the sync never wrote it (at adoption):
            facts are then written, and editorial fields that have a value keep it.
        now: The current value in NetBox.
        want: The value in Proxmox VE. It must name existing objects by `Pointer`, as `now` does.
        kept: By field: (value in Proxmox VE, value in NetBox) when a user decided to keep the latter. The decision
            holds as long as both are the same. Sets have none.
    """
    if owner is Owner.SET:
        return merge(last.get(name), now, want)
    if now == want:
        return FieldDecision(want, False, False, want)
    if kept and kept.get(name) == (want, now):
        return FieldDecision(want, False, True, last.get(name))
    edited = now != last[name] if name in last else not is_empty(now)
    if owner is Owner.EDITORIAL and edited:
        # The value is not written, so the binding keeps its stored value, if any.
        return FieldDecision(want, False, True, last.get(name))
    return FieldDecision(want, True, False, want)


def merge(last: Value, now: Value, want: Value) -> FieldDecision:
    """
    Merge a set element by element: only the sync's own elements are added and removed.

    An element that a user removed is not added again. An element that existed before the sync is not removed later.
    """
    ours, present, wanted = map(as_set, (last, now, want))
    result = (present | (wanted - ours)) - (ours - wanted)
    return FieldDecision(result, result != present, False, (wanted & ours) | (wanted - present))


def is_empty(value: Value) -> bool:
    """Whether a value is None, an empty text, or an empty set."""
    return value is None or value == '' or value == frozenset()
