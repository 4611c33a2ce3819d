"""What the mapping rules say, put into items."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...proxmox.readings import known
from ..hints import RuledHints
from ..rules import Decision
from ..settings import Settings
from ..state import Existing, Item
from ..values import Pointer, Value, as_set

__all__ = ('apply_rules', 'take_back')

# In a binding: the fields whose value came from a rule.
RULED = 'ruled'


def apply_rules(
    values: Mapping[str, Value], decision: Decision, defaults: Mapping[str, Pointer | None]
) -> dict[str, Value]:
    """
    The values of a virtual machine with what the rules and, where they are silent, the endpoint's defaults say. What is
    unknown is not in it.
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
    The item without what we wrote by a rule that no longer decides (it was changed, disabled or deleted, or does not
    match any more), where nothing else decides either.

    Only what came from a rule is taken back: another value came from the endpoint's defaults or from prefixes, and that
    these are silent now does not make it wrong. A user's edit stays, as ever.
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
    # While it is not known what the rules say, what is remembered stays.
    before = as_set(last.get(RULED))
    ruled = frozenset(name for name in names if is_ruled(decision, name, name in before))
    return replace(item, identity={**item.identity, RULED: ruled}) if ruled or RULED in last else item


def came_from_rule(name: str, last: Mapping[str, Value], settings: Settings) -> bool:
    if RULED in last:
        return name in as_set(last[RULED])
    # Of bindings that do not remember it: values that some rule sets.
    return last.get(name) in settings.ruled.get(name, frozenset())


def is_ruled(decision: Decision, name: str, before: bool) -> bool:
    decided = decision.decided(name)
    return before if not known(decided) else decided is not None
