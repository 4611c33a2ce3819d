"""MAC addresses of guests' and nodes' NICs -> dcim.MACAddress."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...proxmox.inventory import Inventory, known
from ...proxmox.messages import Message, gettext_noop
from ..hints import MACRecordHints
from ..kind import Conflict, Field, Kind, Owner, Removal, ResolvedObjects, guests_of
from ..kind_names import INTERFACE, MAC
from ..mapping.nodes import hardware_of, interface_ref, node_key, node_mac_key, nodes_of, physical_nics
from ..settings import Settings
from ..state import Existing, Hints, Item, Record
from ..values import Ref
from .interface import interface_key, mac_key

__all__ = ('MACHints', 'MACKind')


@dataclass(frozen=True, slots=True, kw_only=True)
class MACHints(Hints):
    """
    A MAC address of a guest or node.

    Attributes:
        interface: The interface that has the MAC address.
    """

    mac: str
    interface: Ref


class MACKind(Kind):
    """The MAC addresses of the NICs of guests and nodes."""

    name = MAC
    label = gettext_noop('MAC address')
    plural = Message('MAC addresses')
    model = 'dcim.macaddress'
    removal = Removal.DELETE
    holder = 'assigned_object'
    fields = (
        Field('mac_address', Owner.FACT, fixed=True),
        Field('assigned_object', Owner.FACT, fixed=True),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield the MAC addresses of the NICs of nodes and guests."""
        yield from node_macs(inventory, settings)
        for guest in guests_of(inventory, settings):
            for nic in guest.config.nics if known(guest.config) else ():
                if known(nic.mac) and nic.mac is not None:
                    interface = Ref(INTERFACE, interface_key(guest, nic.key), nic.key)
                    yield item_of(mac_key(guest, nic), guest.key, nic.mac, interface)

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The nodes and guests of which every MAC address was read."""
        nodes = [
            node_key(node.name)
            for node in nodes_of(inventory, settings)
            if known(node.interfaces) and (found := hardware_of(node)) and known(found.nics)
        ]
        guests = [
            guest.key
            for guest in guests_of(inventory, settings)
            # The key contains the MAC address, so one that cannot be read may be any of the bound ones.
            if known(guest.config) and all(known(nic.mac) for nic in guest.config.nics)
        ]
        return nodes + guests

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """
        The unbound record of the address on the interface, the primary one first, otherwise the only unassigned one.
        """
        hints = MACHints.of(item)
        interface = resolved.get(hints.interface.kind, hints.interface.key)
        free = [
            record
            for record in existing.find(self.name, 'mac', hints.mac)
            if record.pointer not in existing.bound_to and record.pointer not in resolved.claimed
        ]
        here = [record for record in free if interface and record.values['assigned_object'] == interface]
        if here:
            # The interface's primary one, if it has several of the same address.
            return min(here, key=lambda record: (not MACRecordHints.of(record).is_primary, record.pointer.pk))
        unassigned = [record for record in free if record.values['assigned_object'] is None]
        return unassigned[0] if len(unassigned) == 1 else None

    def verify_binding(
        self, item: Item, record: Record, existing: Existing, resolved: ResolvedObjects
    ) -> Conflict | None:
        """Refuse a record that a user assigned to another interface."""
        wanted = MACHints.of(item).interface
        holder = record.values['assigned_object']
        if holder is None or holder == resolved.get(wanted.kind, wanted.key):
            return None
        return Conflict(
            Message(
                'The MAC address {mac} that this sync manages was assigned to {holder} in NetBox. '
                'Assign it back, or delete it there.',
                mac=item.label,
                holder=MACRecordHints.of(record).holder,
            ),
            record,
        )


def node_macs(inventory: Inventory, settings: Settings) -> Iterable[Item]:
    """The permanent MAC addresses of the NICs of nodes, which only SSH reads."""
    for node in nodes_of(inventory, settings):
        names = {interface.name for interface in node.interfaces} if known(node.interfaces) else set()
        for nic in physical_nics(node).values():
            if nic.name not in names or not known(nic.permanent_mac) or not nic.permanent_mac:
                continue
            interface = interface_ref(node, nic.name)
            yield item_of(node_mac_key(node, nic), node_key(node.name), nic.permanent_mac, interface)


def item_of(key: str, unit: str, mac: str, interface: Ref) -> Item:
    """The item of a MAC address."""
    return Item(
        kind=MACKind.name,
        key=key,
        unit=unit,
        label=mac,
        values={'mac_address': mac, 'assigned_object': interface},
        hints=MACHints(mac=mac, interface=interface),
    )
