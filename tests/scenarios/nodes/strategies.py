"""What hypothesis needs to make nodes: a few interfaces each, in whatever relation."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface

from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import InterfaceType, NodeInterface
from netbox_proxsync.proxmox.inventory import Guest, Inventory, Node, Unreadable
from tests.scenarios.nodes.nodes import FACTS, hardware, physical
from tests.sync.builders import config, guest, inventory, nic, node, node_interface

REFUSED = Unreadable('refused')
NAMES = ('pve1', 'pve2', 'pve3')
NICS = ('eno1', 'eno2', 'eno3')
GATEWAY = '10.20.0.1/16'


def number_of(name: str) -> int:
    return NAMES.index(name) + 1


class DrawnNode:
    """A node that shows, in a falsifying example, what tells it from others."""

    def __init__(self, node: Node):
        self.node = node

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))

    def __repr__(self) -> str:
        found = '; '.join(map(reported, self.node.interfaces))
        by_ssh = 'with SSH' if self.node.hardware else 'without SSH'
        return f'<{self.node.name} {"on" if self.node.online else "off"} {by_ssh} [{found}]>'


def reported(interface: NodeInterface) -> str:
    parts = {
        'of': ' '.join((*interface.members, *interface.ports)), 'on': interface.parent, 'in': interface.bridge,
        'vlan': interface.vlan_id, 'mtu': interface.mtu, 'has': ' '.join(map(str, interface.addresses)),
    }  # fmt: skip
    return ' '.join([interface.name, interface.raw_type, *(f'{key} {value}' for key, value in parts.items() if value)])


@st.composite
def nodes(draw, name: str, addresses=(), ssh=(True, False), shares=(True, False)) -> Node:
    """
    A node of which everything is known: up to three NICs, a bond of some of them, bridges, VLANs, Open vSwitch.

    Args:
        addresses: What it may have besides its own: so that addresses move between nodes.
        ssh: Whether it is asked over SSH.
        shares: Whether it has an address that others have, too.
    """
    number = number_of(name)
    nics = draw(st.lists(st.sampled_from(NICS), unique=True).map(sorted))
    left = list(nics)
    bonded = tuple(draw(st.lists(st.sampled_from(left), unique=True).map(sorted))) if left else ()
    left = [entry for entry in left if entry not in bonded]
    found = [node_interface(entry, mtu=draw(st.sampled_from([None, 9000, 100_000]))) for entry in nics]
    if bonded:
        kind = draw(st.sampled_from([InterfaceType.BOND, InterfaceType.OVS_BOND]))
        found.append(node_interface('bond0', kind, members=bonded))
        left.append('bond0')
    found += draw(bridges(number, left, addresses, shares))
    by_ssh = [physical(entry, f'AA:BB:CC:00:0{number}:0{entry[-1]}', 10_000) for entry in nics]
    return node(
        name,
        address=f'10.0.0.{number}',
        online=draw(st.sampled_from([True, True, True, False])),
        facts=replace(FACTS, version=draw(st.sampled_from(['9.2.11', '9.1.1']))),
        interfaces=tuple(sorted(found, key=lambda interface: interface.name)),
        hardware=hardware(*by_ssh, product=f'R74{number}') if draw(st.sampled_from(ssh)) else None,
    )


@st.composite
def bridges(draw, number: int, ports: list[str], addresses, shares) -> list[NodeInterface]:
    """Bridges on the remaining ports, and the interfaces on these bridges."""
    ports, found = list(ports), []
    own = [f'10.0.0.{number}/24', f'fd00::{number}/64']
    for name in draw(st.lists(st.sampled_from(['vmbr0', 'vmbr1', 'vmbr2']), unique=True).map(sorted)):
        # One that is not there, and one that is in another bridge already, are reported.
        mine = draw(st.lists(st.sampled_from([*ports, 'eno9']), max_size=2, unique=True).map(sorted))
        has = draw(st.lists(st.sampled_from(own), unique=True).map(sorted)) if own else []
        own = [entry for entry in own if entry not in has]
        found.append(
            node_interface(
                name,
                draw(st.sampled_from([InterfaceType.BRIDGE, InterfaceType.BRIDGE, InterfaceType.OVS_BRIDGE])),
                ports=tuple(mine), vlan_aware=draw(st.booleans()), addresses=tuple(map(ip_interface, has)),
                comments=draw(st.sampled_from(['', 'text\n', '<b>🐧</b>'])), active=draw(st.booleans()),
            )
        )  # fmt: skip
        ports.append(name)
    if ports and draw(st.booleans()):
        parent, vid = draw(st.sampled_from(ports)), draw(st.sampled_from([20, 30, 4094]))
        found.append(node_interface('storage', InterfaceType.VLAN, parent=parent, vlan_id=vid))
    if draw(st.sampled_from(shares)):
        found.append(node_interface('nat', InterfaceType.VNET, addresses=(ip_interface(GATEWAY),)))
    free = draw(st.lists(st.sampled_from(addresses), unique=True)) if addresses else []
    found.append(node_interface('dummy0', InterfaceType.UNKNOWN, addresses=tuple(map(ip_interface, free))))
    return found


@st.composite
def guests_on(draw, vmid: int, names=NAMES) -> Guest:
    """A guest on some node, in some VLANs."""
    vlans = draw(st.sampled_from([{}, {'vlan_tag': 20}, {'vlan_tag': 30}, {'trunks': ((20, 21),)}, {'mtu': 1}]))
    card = nic(mac=f'BC:24:11:00:00:{vmid - 100:02X}', bridge=draw(st.sampled_from(['vmbr0', 'vmbr1'])), **vlans)
    return guest(
        vmid, f'vm{vmid}', (f'10.0.1.{vmid}/24',), node=draw(st.sampled_from(names)), config=config(nics=(card,))
    )


def estate(found: Mapping[str, Node], guests: Mapping[int, Guest]) -> Inventory:
    """The inventory of a cluster that was read completely, by a node that is always there."""
    there = [node('pve0', address='10.0.0.254', interfaces=()), *(found[name] for name in sorted(found))]
    return inventory(*(guests[vmid] for vmid in sorted(guests)), nodes=tuple(map(as_read, there)))


def as_read(entry: Node) -> Node:
    """Of a node that is off nothing else is known."""
    if entry.online:
        return entry
    hardware_read = REFUSED if entry.hardware else None
    return replace(entry, cpus=REFUSED, facts=REFUSED, interfaces=REFUSED, hardware=hardware_read)


NODE_FAULTS = ('facts', 'interfaces', 'hardware', 'address', 'missing')
FAULTS = ('list', 'name', 'quorate', 'vnets')


def faults() -> st.SearchStrategy[frozenset]:
    """What cannot be read: ('facts', 'pve1'), ('list', ''), ('missing', 'pve2'), ..."""
    of_nodes = st.tuples(st.sampled_from(NODE_FAULTS), st.sampled_from(NAMES))
    return st.frozensets(of_nodes | st.tuples(st.sampled_from(FAULTS), st.just('')), max_size=5)


def blinded(inv: Inventory, broken: frozenset) -> Inventory:
    """
    The inventory as it looks when some of its parts cannot be read. Nodes are missing only from a list of a cluster
    without quorum.
    """
    parts = {fault for fault, name in broken if not name}
    missing = {name for fault, name in broken if fault == 'missing'}
    remaining = [entry for entry in inv.nodes if entry.name not in missing] or list(inv.nodes)
    for fault, name in sorted(broken):
        if fault in ('facts', 'interfaces', 'hardware', 'address'):
            remaining = [replace(entry, **{fault: REFUSED}) if entry.name == name else entry for entry in remaining]
    inv = replace(inv, nodes=tuple(remaining))
    if missing or 'quorate' in parts:
        inv = replace(inv, quorate=False)
    if 'list' in parts:
        inv = replace(inv, guests=(), guests_incomplete=REFUSED)
    if 'name' in parts:
        inv = replace(inv, cluster_name=REFUSED)
    if 'vnets' in parts:
        inv = replace(inv, vnets=REFUSED)
    return inv
