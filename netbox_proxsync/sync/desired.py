"""Inventory + settings -> what NetBox should hold."""

from dataclasses import replace

from ..proxmox.inventory import Inventory
from .kinds import KINDS
from .kinds.base import is_wanted
from .rules import decide_all
from .settings import Settings
from .state import Desired, Item
from .values import Shared, Value

__all__ = ('desire',)


def desire(inventory: Inventory, settings: Settings) -> Desired:
    """What NetBox should hold for this inventory under these settings. Pure."""
    settings = replace(settings, decisions=decide_all(inventory.guests, settings.rules))
    return Desired(
        items=tuple(storable(item) for kind in KINDS.values() for item in kind.build(inventory, settings)),
        complete=frozenset(
            (kind.name, scope) for kind in KINDS.values() for scope in kind.complete(inventory, settings)
        ),
        # An ignored guest is left alone also when it is gone from Proxmox.
        excluded=settings.ignored
        | frozenset(guest.key for guest in inventory.guests if not is_wanted(guest, settings)),
        notices=tuple(notice for kind in KINDS.values() for notice in kind.omissions(inventory, settings)),
    )


def storable(item: Item) -> Item:
    """The item without what PostgreSQL cannot store in a text: a guest's notes may hold anything."""
    return replace(item, values={name: storable_value(value) for name, value in item.values.items()})


def storable_value(value: Value) -> Value:
    match value:
        case Shared():
            return replace(value, name=storable_value(value.name))
        case frozenset():
            return frozenset(storable_value(element) for element in value)
        case str():
            return storable_text(value)
    return value


def storable_text(text: str) -> str:
    return text.replace('\x00', '').encode('utf-8', 'replace').decode('utf-8')
