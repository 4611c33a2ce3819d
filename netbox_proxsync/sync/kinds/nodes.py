"""Which nodes are synced, and what they and their parts are called."""

from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

from ...proxmox.estate import NodeHardware, NodeInterface, PhysicalNic
from ...proxmox.inventory import Inventory, Node, known
from ..settings import Settings
from ..values import Ref

__all__ = (
    'address_ref',
    'addresses_are_read',
    'addresses_of_node',
    'device_ref',
    'hardware_of',
    'interface_ref',
    'is_node',
    'node_key',
    'node_mac_key',
    'nodes_of',
    'physical_nics',
)

NODE = 'node'


def nodes_of(inventory: Inventory, settings: Settings) -> tuple[Node, ...]:
    """The nodes that become devices. NetBox demands a site of a device."""
    return inventory.nodes if settings.sync_nodes and settings.site else ()


def node_key(name: str) -> str:
    return f'{NODE}/{name}'


def is_node(unit: str) -> bool:
    return unit.startswith(f'{NODE}/')


def device_ref(name: str) -> Ref:
    return Ref('device', node_key(name), name)


def interface_ref(node: Node, name: str) -> Ref:
    return Ref('node_interface', f'{node_key(node.name)}/{name}', name)


def node_mac_key(node: Node, nic: PhysicalNic) -> str:
    return f'{node_key(node.name)}/{nic.name}/{nic.permanent_mac}'


def address_ref(node: Node, host: str) -> Ref:
    return Ref('ip', f'{node_key(node.name)}/{host}', host)


def addresses_of_node(node: Node) -> Iterator[tuple[NodeInterface, IPv4Interface | IPv6Interface]]:
    """Every usable address of a node with its interface, each host address once."""
    seen = set()
    for interface in node.interfaces if known(node.interfaces) else ():
        for address in interface.addresses:
            if is_documented(address) and address.ip not in seen:
                seen.add(address.ip)
                yield interface, address


def addresses_are_read(node: Node) -> bool:
    """Whether all addresses of a node could be read, so that one that is not among them is absent."""
    return known(node.interfaces) and all(interface.addresses_unread is None for interface in node.interfaces)


def is_documented(address: IPv4Interface | IPv6Interface) -> bool:
    ip = address.ip
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


def hardware_of(node: Node) -> NodeHardware | None:
    """What SSH told; None: nothing, or it was not asked."""
    return node.hardware if known(node.hardware) else None


def physical_nics(node: Node) -> dict[str, PhysicalNic]:
    """The physical NICs by name, as far as SSH told."""
    hardware = hardware_of(node)
    nics = hardware.nics if hardware and known(hardware.nics) else ()
    return {nic.name: nic for nic in nics}
