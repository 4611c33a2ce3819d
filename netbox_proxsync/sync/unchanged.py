"""
Proves that a bound object has all values of its item, so that nothing has to be decided about it.

Most runs change few objects or none. Comparing values takes much less time than deciding about each field, which
`comparison` does for every object for which this proves nothing.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from .kinds import KINDS
from .matching import Match
from .values import Value

__all__ = ('is_unchanged',)


def is_unchanged(entry: Match, owned: AbstractSet[str], resolved: Mapping[str, Value]) -> bool:
    """
    Whether an object and its binding certainly need no change, and hold every value of Proxmox VE.

    Args:
        owned: The names of the fields that are compared.
        resolved: The values of the item, in which every object that exists is a pointer.
    """
    bound, record = entry.bound, entry.record
    if bound is None or bound.missing_since or record is None:
        return False
    # A stored pointer to an object that no longer exists differs from every resolved value.
    last = bound.last
    if not resolved.items() <= last.items():
        return False
    compared = resolved if resolved.keys() <= owned else {name: resolved[name] for name in resolved.keys() & owned}
    if not compared.items() <= record.values.items():
        return False
    return KINDS[entry.item.kind].memory(entry.item, last, is_bound=True) == last
