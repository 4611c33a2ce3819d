"""The running network of nodes -> dcim.Interface."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...proxmox.infrastructure import InterfaceType, NodeInterface, PhysicalNic, Vnet
from ...proxmox.inventory import Inventory, Node, Notice, known
from ...proxmox.messages import Message, gettext_noop, joined
from ..hints import PortHints
from ..kind import Conflict, Field, Kind, Owner, Removal, ResolvedObjects, faults_of
from ..kind_names import DEVICE, MAC, NODE_INTERFACE
from ..mapping.nodes import device_ref, interface_ref, node_key, node_mac_key, nodes_of, physical_nics
from ..mapping.vlan_membership import NONE, Membership
from ..mapping.vlans import choose_vlans, missing_vlans
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Ref, Value
from .interface import find_interface

__all__ = ('NodeInterfaceKind',)

VIRTUAL, LAG, BRIDGE, OTHER = 'virtual', 'lag', 'bridge', 'other'
TYPES = {
    InterfaceType.BOND: LAG,
    InterfaceType.OVS_BOND: LAG,
    InterfaceType.BRIDGE: BRIDGE,
    InterfaceType.OVS_BRIDGE: BRIDGE,
    InterfaceType.VLAN: VIRTUAL,
    InterfaceType.OVS_INT_PORT: VIRTUAL,
    InterfaceType.ALIAS: VIRTUAL,
    InterfaceType.LOOPBACK: VIRTUAL,
    InterfaceType.FABRIC: VIRTUAL,
    InterfaceType.VNET: VIRTUAL,
}
# Proxmox VE has no type for these.
DUMMY = re.compile(r'dummy\d+')
# dcim.Interface.type by link speed in Mbit/s: the most common type in servers.
SPEEDS = {
    100: '100base-tx',
    1000: '1000base-t',
    2500: '2.5gbase-t',
    5000: '5gbase-t',
    10000: '10gbase-x-sfpp',
    25000: '25gbase-x-sfp28',
    40000: '40gbase-x-qsfpp',
    50000: '50gbase-x-sfp56',
    100000: '100gbase-x-qsfp28',
    200000: '200gbase-x-qsfp56',
    400000: '400gbase-x-qsfp112',
}
MISSING_VLANS = gettext_noop('Nodes use VLANs that do not exist in NetBox: {vids}. These VLANs are left out.')
CORRECT = Message('Correct it in Proxmox VE (node > System > Network).')
RELATIONS = ('lag', 'bridge', 'parent')
# dcim.Interface: name, description, and what NetBox accepts as an MTU.
NAME_LENGTH, DESCRIPTION_LENGTH, MTU_RANGE = 64, 200, range(1, 65537)


class NodeInterfaceKind(Kind):
    """The interfaces of nodes."""

    name = NODE_INTERFACE
    label = gettext_noop('Device interface')
    plural = Message('interfaces of nodes')
    model = 'dcim.interface'
    removal = Removal.DELETE
    holder = 'device'
    comes_with_parent = ('device', 'name')
    fields = (
        Field('device', Owner.FACT, fixed=True),
        Field('name', Owner.EDITORIAL, needed=True),
        Field('type', Owner.EDITORIAL, needed=True),
        Field('enabled', Owner.FACT),
        Field('mtu', Owner.FACT),
        Field('description', Owner.EDITORIAL),
        Field('mode', Owner.FACT),
        Field('untagged_vlan', Owner.FACT),
        Field('tagged_vlans', Owner.SET),
        Field('lag', Owner.FACT, deferred=True),
        Field('bridge', Owner.FACT, deferred=True),
        Field('parent', Owner.FACT, deferred=True),
        Field('primary_mac_address', Owner.FACT, deferred=True),
        Field('cf_proxmox_interface_type', Owner.FACT),
        Field('cf_proxmox_interface_ports', Owner.FACT),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield the interfaces of the nodes whose network configurations were read."""
        vnets = {vnet.name: vnet for vnet in inventory.vnets} if known(inventory.vnets) else {}
        for node in nodes_of(inventory, settings):
            if known(node.interfaces):
                yield from items_of(node, node.interfaces, vnets, settings)

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The nodes whose network configurations were read."""
        return [node_key(node.name) for node in nodes_of(inventory, settings) if known(node.interfaces)]

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """The interface of the device with the MAC address, otherwise with the name."""
        names = (str(item.values['name']),)
        device = resolved.get(DEVICE, item.unit)
        return find_interface(item.kind, device, PortHints.of(item).mac, names, existing, resolved)

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Choose VLANs. Keep the type of an existing interface, and clear relations that NetBox refuses for it."""
        return choose_vlans([possible(item, existing, resolved) for item in items], existing, resolved)

    def notices(self, items: Sequence[Item]) -> Iterable[Notice]:
        """Report VLANs that NetBox does not have, and faults of the network configurations."""
        yield from missing_vlans(items, MISSING_VLANS)
        yield from faults_of(items)


def items_of(
    node: Node, interfaces: Sequence[NodeInterface], vnets: Mapping[str, Vnet], settings: Settings
) -> Iterable[Item]:
    """The interfaces of one node."""
    nics = physical_nics(node)
    relations, faults = related(node, interfaces)
    for interface in interfaces:
        nic = nics.get(interface.name)
        mac = nic.permanent_mac if nic and known(nic.permanent_mac) else None
        values, wrong = interface_values(node, interface, nic), list(faults.get(interface.name, ()))
        values |= relations[interface.name]
        if nic and mac:
            values['primary_mac_address'] = Ref(MAC, node_mac_key(node, nic), mac)
        if known(interface.mtu) and interface.mtu is not None and interface.mtu not in MTU_RANGE:
            text = Message(
                'NetBox accepts an MTU from 1 to 65536; that of {name} is {mtu}.',
                name=interface.name,
                mtu=interface.mtu,
            )
            wrong.append((text, CORRECT))
        elif known(interface.mtu):
            values['mtu'] = interface.mtu
        yield Item(
            kind=NodeInterfaceKind.name,
            key=interface_ref(node, interface.name).key,
            unit=node_key(node.name),
            label=interface.name,
            values=values,
            hints=PortHints(mac=mac, vlans=membership(interface, vnets), vlan_group=settings.vlan_group),
            faults=tuple(wrong),
        )


def interface_values(node: Node, interface: NodeInterface, nic: PhysicalNic | None) -> dict[str, Value]:
    """The values of an interface, without those that could not be read."""
    values: dict[str, Value] = {
        'device': device_ref(node.name),
        'name': interface.name[:NAME_LENGTH],
        'type': type_of(interface, nic),
    }
    if known(interface.active):
        values['enabled'] = interface.active
    if known(interface.comments):
        values['description'] = ' '.join(interface.comments.split())[:DESCRIPTION_LENGTH]
    if known(interface.raw_type):
        values['cf_proxmox_interface_type'] = interface.raw_type
    if known(interface.ports) and known(interface.members):
        values['cf_proxmox_interface_ports'] = ' '.join(interface.ports or interface.members) or None
    return values


def type_of(interface: NodeInterface, nic: PhysicalNic | None) -> str:
    """The type of an interface in NetBox."""
    if interface.type is InterfaceType.UNKNOWN and DUMMY.fullmatch(interface.name):
        return VIRTUAL
    own_type = TYPES.get(interface.type) if known(interface.type) else None
    return own_type or type_by_speed(nic)


def has_type(interface: NodeInterface, netbox_type: str) -> bool:
    """Whether the interface is known to have a type of NetBox."""
    return known(interface.type) and TYPES.get(interface.type) == netbox_type


def type_by_speed(nic: PhysicalNic | None) -> str:
    """The type of a physical interface in NetBox, by its link speed."""
    speed = nic.speed_mbps if nic and known(nic.speed_mbps) else None
    return SPEEDS.get(speed, OTHER) if speed is not None else OTHER


def membership(interface: NodeInterface, vnets: Mapping[str, Vnet]) -> Membership | None:
    """
    The VLANs of an interface; None for NICs and bonds, about which Proxmox VE states nothing, and if they could not be
    read.
    """
    vnet = vnets.get(interface.name)
    vid = vnet.vlan_id if vnet else interface.vlan_id
    if not known(vid) or not known(interface.type):
        return None
    if vid:
        return Membership.of(vid)
    if has_type(interface, BRIDGE):
        if not known(interface.vlan_aware) or not known(interface.vids):
            return None
        # The bridge forwards only the VLANs in `bridge_vids`.
        passed = Membership.of(tagged=interface.vids) if interface.vids else Membership.trunk()
        return passed if interface.vlan_aware else NONE
    return NONE if interface.type in (InterfaceType.VLAN, InterfaceType.OVS_INT_PORT) else None


type Faults = dict[str, list[tuple[Message, Message]]]


def related(node: Node, interfaces: Sequence[NodeInterface]) -> tuple[dict[str, dict[str, Value]], Faults]:
    """
    By name of the interface: its bond, bridge and parent, and the faults of the node's configuration in them. Relations
    that could not be read are missing.
    """
    relations = Relations(node.name, interfaces)
    values: dict[str, dict[str, Value]] = {
        interface.name: {
            relation: interface_ref(node, other) if other is not None else None
            for relation, other in relations.of(interface).items()
        }
        for interface in interfaces
    }
    return values, relations.faults


class Relations:
    """
    The relations between the interfaces of a node.

    Attributes:
        found: {relation: {interface: the one that it belongs to}}.
        unread: The relations that an interface states for others and that could not be read.
        faults: By interface: the faults of its relations, as (message, remedy).
    """

    def __init__(self, node: str, interfaces: Sequence[NodeInterface]) -> None:
        self.node = node
        self.names = {interface.name for interface in interfaces}
        self.found: dict[str, dict[str, str]] = {relation: {} for relation in RELATIONS}
        self.unread: set[str] = set()
        self.faults: Faults = {}
        for interface in interfaces:
            self.read(interface)
        for relation, found in self.found.items():
            self.cut_loops(relation, found)

    def of(self, interface: NodeInterface) -> dict[str, str | None]:
        """By relation: the interface that this one belongs to; without the relations that could not be read."""
        found = {relation: self.found[relation].get(interface.name) for relation in RELATIONS}
        return {
            relation: other
            for relation, other in found.items()
            if other is not None or not self.is_unread(relation, interface)
        }

    def read(self, interface: NodeInterface) -> None:
        """Collect the relations that an interface states."""
        is_bridge = has_type(interface, BRIDGE)
        if known(interface.members):
            for member in interface.members:
                self.relate('lag', member, interface.name, interface.name)
        else:
            self.unread.add('lag')
        if known(interface.ports) and known(interface.type):
            for port in interface.ports if is_bridge else ():
                self.relate('bridge', port, interface.name, interface.name)
        elif interface.ports or not known(interface.ports):
            self.unread.add('bridge')
        if known(interface.bridge) and interface.bridge and not is_bridge:
            self.relate('bridge', interface.name, interface.bridge, interface.name)
        if known(interface.parent) and interface.parent:
            self.relate('parent', interface.name, interface.parent, interface.name)

    def is_unread(self, relation: str, interface: NodeInterface) -> bool:
        """Whether a relation of an interface may exist that could not be read."""
        own = {'bridge': interface.bridge, 'parent': interface.parent}.get(relation)
        return relation in self.unread or not known(own)

    def relate(self, relation: str, name: str, other: str, source: str) -> None:
        """
        Add a relation, unless the configuration contradicts it.

        Args:
            source: The interface whose configuration states the relation.
        """
        missing = next((each for each in (name, other) if each not in self.names), None)
        if missing is not None:
            self.add_fault(
                source,
                Message(
                    '{source} names {missing}, which does not exist on {node}.',
                    source=source,
                    missing=missing,
                    node=self.node,
                ),
            )
        elif (first := self.found[relation].setdefault(name, other)) != other:
            self.add_fault(
                name,
                Message(
                    '{name} is in {first} and in {other}; NetBox shows it in {first}.',
                    name=name,
                    first=first,
                    other=other,
                ),
            )

    def cut_loops(self, relation: str, found: dict[str, str]) -> None:
        """Remove the relations of interfaces that belong to themselves through others, which NetBox does not accept."""
        loops = {name: chain(name, found) for name in looped(found)}
        for name, names in loops.items():
            del found[name]
            # One fault for all interfaces in the loop.
            if name == min(names):
                text = Message(
                    '{names} is a loop of interfaces ({relation}), which NetBox does not show.',
                    names=joined(names, ' > '),
                    relation=relation,
                )
                self.add_fault(name, text)

    def add_fault(self, name: str, text: Message) -> None:
        """Add a fault of an interface, once."""
        faults = self.faults.setdefault(name, [])
        if (text, CORRECT) not in faults:
            faults.append((text, CORRECT))


def looped(found: Mapping[str, str]) -> set[str]:
    """The names of interfaces that lead back to themselves."""
    return {name for name in found if chain(name, found)[-1] == name and len(chain(name, found)) > 1}


def chain(name: str, found: Mapping[str, str]) -> list[str]:
    """A name and the names that it leads to, up to the end or to the first repetition."""
    names = [name]
    while (following := found.get(names[-1])) is not None:
        names.append(following)
        if following in names[:-1]:
            break
    return names


def possible(item: Item, existing: Existing, resolved: ResolvedObjects) -> Item:
    """The item without relations that NetBox refuses for the type of the existing interface."""
    record = existing.record_of(resolved.get(item.kind, item.key))
    # An existing type is kept: a user, or a template, knows the port better than its speed does.
    values = {**item.values, 'type': record.values['type']} if record else dict(item.values)
    if values['type'] == VIRTUAL:
        values['lag'] = None
    else:
        values['parent'] = None
    return replace(item, values=values)
