"""Inventory + settings -> what NetBox should hold."""

from ..proxmox.inventory import Inventory
from .kinds import KINDS
from .kinds.base import is_wanted
from .settings import Settings
from .state import Desired

__all__ = ('desire',)


def desire(inventory: Inventory, settings: Settings) -> Desired:
    """What NetBox should hold for this inventory under these settings. Pure."""
    return Desired(
        items=tuple(item for kind in KINDS.values() for item in kind.build(inventory, settings)),
        complete=frozenset(
            (kind.name, scope) for kind in KINDS.values() for scope in kind.complete(inventory, settings)
        ),
        excluded=frozenset(guest.key for guest in inventory.guests if not is_wanted(guest, settings)),
    )
