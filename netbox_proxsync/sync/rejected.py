"""Divides a change into what NetBox accepts and what it rejects."""

from collections.abc import Collection
from dataclasses import replace

from .changes import Action, Change, FieldChange
from .values import Shared, Value

__all__ = ('divided',)


def divided(change: Change, names: Collection[str], lacking: Collection[Shared]) -> tuple[Change | None, Change]:
    """
    What of a change NetBox accepts (None: nothing that would be written), and what it rejects.

    Args:
        names: The fields that it rejects.
        lacking: The shared objects that it does not create.
    """
    accepted, rejected = [], []
    for field in change.fields:
        left = without(field, names, lacking)
        if left is not None:
            accepted.append(left)
        if left is not field:
            rejected.append(field)
    binding = None if change.binding is None else dict(change.binding)
    if binding is not None:
        for field in rejected:
            remember(binding, field, names, lacking)
    rest = replace(change, fields=tuple(accepted), binding=binding)
    # An update without a field writes nothing. The others bind, retire or release the object.
    is_empty = change.action is Action.UPDATE and not rest.writes
    return None if is_empty else rest, replace(change, fields=tuple(rejected), binding=None)


def without(field: FieldChange, names: Collection[str], lacking: Collection[Shared]) -> FieldChange | None:
    """A field without what is rejected: the field itself if that is nothing, None if that is all."""
    if field.kept:
        return field
    if field.name in names or is_lacking(field.want, lacking):
        return None
    if isinstance(field.want, frozenset) and (left := field.want.difference(lacking)) != field.want:
        return None if left == field.now or not (left or field.now) else replace(field, want=left)
    return field


def remember(
    binding: dict[str, Value], field: FieldChange, names: Collection[str], lacking: Collection[Shared]
) -> None:
    """Let a binding store what it stores after a write without what is rejected."""
    value = binding.get(field.name)
    if isinstance(value, frozenset) and field.name not in names:
        binding[field.name] = value.difference(lacking)
    elif field.has_last:
        binding[field.name] = field.last
    else:
        binding.pop(field.name, None)


def is_lacking(value: Value, lacking: Collection[Shared]) -> bool:
    """Whether a value is a shared object that is not created."""
    return isinstance(value, Shared) and value in lacking
