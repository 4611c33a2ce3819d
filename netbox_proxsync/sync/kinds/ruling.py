"""What the mapping rules say, put into items."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...proxmox.readings import known
from ..rules import Decision
from ..settings import Settings
from ..state import Existing, Item
from ..values import Value

__all__ = ('apply_rules', 'take_back')


def apply_rules(
    values: Mapping[str, Value], decision: Decision, defaults: Mapping[str, Value]
) -> dict[str, Value]:
    """
    The values of a virtual machine with what the rules and, where they are silent, the endpoint's defaults say. What is
    unknown is not in it.
    """
    ruled = dict(values)
    for name in ('role', 'tenant', 'platform'):
        value = decision.pick(name, defaults.get(name))
        if not known(value):
            ruled.pop(name, None)
        elif value is not None:
            ruled[name] = value
    if 'tags' in ruled:
        if known(decision.extra_tags):
            ruled['tags'] |= {tag.value for tag in decision.extra_tags}
        else:
            del ruled['tags']
    return ruled


def take_back(item: Item, names: Iterable[str], existing: Existing, settings: Settings) -> Item:
    """
    The item without what we wrote by a rule that no longer decides, where nothing else decides either.

    Only a value that some rule sets is taken back: another one came from the endpoint's defaults or from prefixes, and
    that these are silent now does not make it wrong.
    """
    bound = existing.bindings.get((item.kind, item.key))
    decision: Decision = item.hints['decision']
    emptied = {
        name: None
        for name in names
        if bound
        and name not in item.values
        and getattr(decision, name) is None
        and bound.last.get(name) in settings.ruled.get(name, frozenset())
    }
    return replace(item, values={**item.values, **emptied}) if emptied else item
