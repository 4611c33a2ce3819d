"""Applies the results of mapping rules to items."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...proxmox.readings import known
from ..hints import RuledHints
from ..rules import Decision
from ..settings import Settings
from ..state import Existing, Item
from ..values import Pointer, Value, as_set

__all__ = ('apply_rules', 'take_back')

# The fields whose values came from a rule, as bindings store them.
RULED = 'ruled'


def apply_rules(
    values: Mapping[str, Value], decision: Decision, defaults: Mapping[str, Pointer | None]
) -> dict[str, Value]:
    """
    The values of a virtual machine, with those that the rules set, or the defaults of the endpoint where they set none.
    Unreadable values are left out.
    """
    ruled = dict(values)
    for name in ('role', 'tenant', 'platform'):
        value = decision.value_for(name, defaults.get(name))
        if not known(value):
            ruled.pop(name, None)
        elif value is not None:
            ruled[name] = value
    if 'tags' in ruled:
        if known(decision.extra_tags):
            ruled['tags'] = as_set(ruled['tags']) | {tag.value for tag in decision.extra_tags}
        else:
            del ruled['tags']
    return ruled


def take_back(item: Item, names: Iterable[str], existing: Existing, settings: Settings) -> Item:
    """
    The item with the values removed that a rule set earlier and that no rule, and no other source, sets any longer (the
    rule was changed, disabled or deleted, or no longer matches).

    Only values from rules are removed: a value from the defaults of the endpoint or from prefixes does not become wrong
    when these are removed. Edits of users are kept.
    """
    bound = existing.binding(item)
    last = bound.last if bound else {}
    decision = RuledHints.of(item).decision
    emptied = {
        name: None
        for name in names
        if name not in item.values
        and decision.decided(name) is None
        and last.get(name) is not None
        and came_from_rule(name, last, settings)
    }
    item = replace(item, values={**item.values, **emptied}) if emptied else item
    # The stored fields are kept while the results of the rules are not known.
    before = as_set(last.get(RULED))
    ruled = frozenset(name for name in names if is_ruled(decision, name, name in before))
    return replace(item, identity={**item.identity, RULED: ruled}) if ruled or RULED in last else item


def came_from_rule(name: str, last: Mapping[str, Value], settings: Settings) -> bool:
    """Whether a rule set the value that was last written to a field."""
    if RULED in last:
        return name in as_set(last[RULED])
    # Older bindings do not store it: values that any rule sets count.
    return last.get(name) in settings.ruled.get(name, frozenset())


def is_ruled(decision: Decision, name: str, before: bool) -> bool:
    """
    Whether a rule sets a field.

    Args:
        before: Whether a rule did so before; the answer while it is not known.
    """
    decided = decision.decided(name)
    return before if not known(decided) else decided is not None
