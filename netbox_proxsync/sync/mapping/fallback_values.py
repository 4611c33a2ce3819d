"""Values from a less reliable source, used because a better one could not be read."""

from dataclasses import replace

from ..hints import GuestHints
from ..kind import ResolvedObjects
from ..ownership import is_empty
from ..state import Existing, Item
from ..values import as_set

__all__ = ('without_second_choices',)

# In a binding: the fields that such a value was written to.
SECOND_CHOICES = 'second_choices'


def without_second_choices(item: Item, existing: Existing, resolved: ResolvedObjects) -> Item:
    """
    The item without such values where NetBox contains a value from a better source, which is still correct although it
    cannot be read now. Values that came from the same source before are updated.
    """
    names = GuestHints.of(item).second_choices
    bound = existing.binding(item)
    remembered = bound.last.get(SECOND_CHOICES) if bound else None
    if not names and remembered is None:
        return item
    before = as_set(remembered)
    record = existing.record_of(resolved.get(item.kind, item.key))
    better = {
        name
        for name in names
        if record
        and name in item.values
        and not is_empty(record.values.get(name))
        and name not in before
        and record.values[name] != existing.shared_object(item.values[name])
    }
    # If no source could be read, the stored source is kept.
    read = frozenset(name for name in names if name in item.values)
    used = (read - better) | frozenset(name for name in before if name not in item.values)
    identity = {**item.identity, SECOND_CHOICES: used} if used or remembered is not None else item.identity
    values = {name: value for name, value in item.values.items() if name not in better}
    return replace(item, values=values, identity=identity)
