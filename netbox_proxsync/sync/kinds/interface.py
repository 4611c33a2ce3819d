"""NICs of guests -> virtualization.VMInterface."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...proxmox.inventory import Guest, GuestType, Inventory, Nic, Notice, Reading, known
from ...proxmox.messages import Message, gettext_noop
from ..hints import InterfaceRecordHints, PortHints
from ..kind import Conflict, Field, Kind, Owner, Removal, ResolvedObjects, decision_of, guests_of, label_of
from ..kind_names import GUEST, INTERFACE, MAC
from ..mapping.guest_networks import Networks
from ..mapping.vlans import choose_vlans, missing_vlans
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Pointer, Ref, Value

__all__ = ('InterfaceHints', 'InterfaceKind', 'find_interface', 'interface_key', 'mac_key')

# virtualization.VMInterface.name
NAME_LENGTH = 64
MISSING_VLANS = gettext_noop('Guests use VLANs that do not exist in NetBox: {vids}. These VLANs are left out.')


def interface_key(guest: Guest, nic_key: str) -> str:
    """The key of the interface of a guest."""
    return f'{guest.key}/{nic_key}'


def mac_key(guest: Guest, nic: Nic) -> str:
    """The key of the MAC address of a NIC. It contains the address: another MAC address is another object in NetBox."""
    return f'{guest.key}/{nic.key}/{nic.mac}'


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceHints(PortHints):
    """
    The interface of a guest.

    Attributes:
        names: The names that it may have in NetBox, the best one first.
        is_named: Whether the guest, or its configuration, states the name.
    """

    names: tuple[str, ...]
    is_named: bool


class InterfaceKind(Kind):
    """The NICs of guests."""

    name = INTERFACE
    label = gettext_noop('VM interface')
    plural = Message('interfaces of virtual machines')
    model = 'virtualization.vminterface'
    removal = Removal.DELETE
    holder = 'virtual_machine'
    fields = (
        Field('virtual_machine', Owner.FACT, fixed=True),
        Field('name', Owner.EDITORIAL, needed=True),
        Field('enabled', Owner.FACT),
        Field('mtu', Owner.FACT),
        Field('mode', Owner.FACT),
        Field('untagged_vlan', Owner.FACT),
        Field('tagged_vlans', Owner.SET),
        Field('primary_mac_address', Owner.FACT, deferred=True),
        Field('cf_bridge', Owner.FACT),
        Field('cf_interface_model', Owner.FACT),
        Field('cf_proxmox_firewall', Owner.FACT),
        Field('cf_proxmox_rate_limit', Owner.FACT),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield the NICs of the guests whose configurations were read."""
        networks = Networks(inventory)
        for guest in guests_of(inventory, settings):
            if not known(guest.config):
                continue
            decision = decision_of(guest, settings)
            vlan_group_by = decision.reasons.get('vlan_group')
            for nic in guest.config.nics:
                stated = name_of(guest, nic, settings)
                name = stated or nic.key
                yield Item(
                    kind=self.name,
                    key=interface_key(guest, nic.key),
                    unit=guest.key,
                    label=name,
                    values=nic_values(guest, nic, name, networks),
                    hints=InterfaceHints(
                        mac=nic.mac if known(nic.mac) else None,
                        names=(name, nic.key),
                        vlans=networks.membership(guest, nic),
                        vlan_group=decision.value_for('vlan_group', settings.vlan_group),
                        vlan_group_by=vlan_group_by,
                        is_named=stated is not None,
                    ),
                    partial=not is_recognizable(guest, nic),
                )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The guests whose configurations were read."""
        return [guest.key for guest in guests_of(inventory, settings) if known(guest.config)]

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """The interface of the virtual machine with the MAC address, otherwise with one of the names."""
        hints = InterfaceHints.of(item)
        return find_interface(item.kind, resolved.get(GUEST, item.unit), hints.mac, hints.names, existing, resolved)

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Choose VLANs. Leave out the name of an existing interface if the guest does not report one now."""
        return choose_vlans([without_unreported_name(item, resolved) for item in items], existing, resolved)

    def notices(self, items: Sequence[Item]) -> Iterable[Notice]:
        """Report VLANs that NetBox does not have."""
        return missing_vlans(items, MISSING_VLANS)


def find_interface(
    kind: str,
    machine: Pointer | None,
    mac: str | None,
    names: Iterable[str],
    existing: Existing,
    resolved: ResolvedObjects,
) -> Record | None:
    """
    The interface of a virtual machine or device with a MAC address, otherwise the one with the first of some names.

    Args:
        machine: None if it does not exist yet.
        mac: None: the interface is only looked up by its names.
    """
    if machine is None:
        return None
    free = [
        record
        for record in existing.find(kind, 'machine', machine)
        if record.pointer not in resolved.claimed and is_free(record, existing)
    ]
    same_mac = [record for record in free if mac and mac in InterfaceRecordHints.of(record).macs]
    if len(same_mac) == 1:
        return same_mac[0]
    return next((record for name in names for record in free if record.values['name'] == name), None)


def is_free(record: Record, existing: Existing) -> bool:
    """
    Whether the record is not bound to an existing NIC. The interface of a NIC that is gone may be used for another NIC.
    """
    bound = existing.bound_to.get(record.pointer)
    return bound is None or (bound.kind, bound.key) in existing.gone


def without_unreported_name(item: Item, resolved: ResolvedObjects) -> Item:
    """The item without its name if the guest does not report one and the interface exists: the guest may be off."""
    if InterfaceHints.of(item).is_named or resolved.get(item.kind, item.key) is None:
        return item
    return replace(item, values={name: value for name, value in item.values.items() if name != 'name'})


def is_recognizable(guest: Guest, nic: Nic) -> bool:
    """Whether enough of a NIC was read to create or adopt an interface."""
    return known(nic.name) if guest.type is GuestType.LXC else known(nic.mac) or known(nic.bridge)


def name_of(guest: Guest, nic: Nic, settings: Settings) -> str | None:
    """The name of an interface; None: neither the guest nor a readable configuration line states it."""
    if guest.type is GuestType.LXC:
        return (nic.name or nic.key)[:NAME_LENGTH] if known(nic.name) else None
    if settings.interface_naming == 'guest':
        found = guest.addresses.get(nic.key) if known(guest.addresses) else None
        return found.guest_name[:NAME_LENGTH] if found and found.guest_name else None
    return nic.key


def nic_values(guest: Guest, nic: Nic, name: str, networks: Networks) -> dict[str, Value]:
    """The values of the interface of a NIC, without those that could not be read."""
    values: dict[str, Value] = {'virtual_machine': Ref(GUEST, guest.key, label_of(guest)), 'name': name}
    if known(nic.link_down):
        values['enabled'] = not nic.link_down
    if known(nic.mac):
        values['primary_mac_address'] = Ref(MAC, mac_key(guest, nic), nic.mac) if nic.mac else None
    if known(nic.rate_mbps):
        values['cf_proxmox_rate_limit'] = float(nic.rate_mbps) if nic.rate_mbps is not None else None
    readings: dict[str, Reading[Value]] = {
        'cf_bridge': nic.bridge,
        'cf_interface_model': nic.model,
        'cf_proxmox_firewall': nic.firewall,
    }
    values |= {field: reading for field, reading in readings.items() if known(reading)}
    if networks.has_mtu(guest, nic):
        values['mtu'] = networks.mtu(guest, nic)
    return values
