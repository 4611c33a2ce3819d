"""Which nodes are synced, and what they and their parts are called."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from ...proxmox.infrastructure import InterfaceType, NodeHardware, NodeInterface, PhysicalNic
from ...proxmox.inventory import AddressOrigin, Inventory, Node, known
from ..settings import Settings
from ..values import Ref

__all__ = (
    'address_ref',
    'addresses_are_read',
    'addresses_of_node',
    'device_ref',
    'hardware_of',
    'interface_ref',
    'is_documented',
    'is_node',
    'management_address',
    'management_in_doubt',
    'node_key',
    'node_mac_key',
    'nodes_of',
    'nodes_read',
    'physical_nics',
)

NODE = 'node'
BRIDGES = (InterfaceType.BRIDGE, InterfaceType.OVS_BRIDGE)
# How an interface is configured that asks for its address, by IP version.
LEASED = {4: ('dhcp',), 6: ('dhcp', 'auto')}


def nodes_of(inventory: Inventory, settings: Settings) -> tuple[Node, ...]:
    """The nodes that become devices. NetBox demands a site of a device."""
    return inventory.nodes if settings.sync_nodes and settings.site else ()


def nodes_read(inventory: Inventory, settings: Settings) -> tuple[Node, ...]:
    """Those of them whose network could be read."""
    return tuple(node for node in nodes_of(inventory, settings) if known(node.interfaces))


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


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """
    An address of a node on one of its interfaces.

    Attributes:
        has_prefix: Whether its prefix length is known; that of a leased address is not.
    """

    interface: NodeInterface
    address: IPv4Interface | IPv6Interface
    origin: AddressOrigin = AddressOrigin.STATIC
    has_prefix: bool = True


def addresses_of_node(node: Node) -> Iterator[NodeAddress]:
    """Every usable address of a node with its interface, each host address once."""
    seen = set()
    for interface in node.interfaces if known(node.interfaces) else ():
        for address in interface.addresses:
            if is_documented(address) and address.ip not in seen:
                seen.add(address.ip)
                yield NodeAddress(interface, address)
    if leased := leased_address(node):
        yield leased


def addresses_are_read(node: Node) -> bool:
    """Whether all addresses of a node could be read, so that one that is not among them is absent."""
    return (
        known(node.interfaces)
        and all(interface.addresses_unreadable is None for interface in node.interfaces)
        and not management_in_doubt(node)
        and (known(node.address) or not may_lease(node))
    )


def may_lease(node: Node) -> bool:
    """Whether an interface of a node has, or may have, an address that its configuration does not state."""
    methods = ((version, each.method(version)) for each in node.interfaces for version in LEASED)
    return any(not known(method) or method in LEASED[version] for version, method in methods)


def management_address(node: Node) -> IPv4Address | IPv6Address | None:
    """The address that the cluster uses; None: none, or it is not known."""
    address = ip_address(node.address) if known(node.address) and node.address else None
    return address if address and is_documented(ip_interface(address)) else None


def is_configured(node: Node, address: IPv4Address | IPv6Address) -> bool:
    return any(address == found.ip for interface in node.interfaces for found in interface.addresses)


def leased_address(node: Node) -> NodeAddress | None:
    """The address that the cluster uses, if the node's configuration does not state it; None: it does, or in doubt."""
    address = management_address(node)
    if address is None or not known(node.interfaces) or is_configured(node, address):
        return None
    interface = leasing_interface(node, address.version)
    if interface is None:
        return None
    is_advertised = address.version == 6 and interface.method6 == 'auto'
    origin = AddressOrigin.AUTOCONFIGURED if is_advertised else AddressOrigin.LEASED
    return NodeAddress(interface, ip_interface(address), origin, has_prefix=False)


def management_in_doubt(node: Node) -> bool:
    """Whether the address that the cluster uses is on none of the node's interfaces for certain."""
    address = management_address(node)
    if address is None or not known(node.interfaces):
        return False
    if any(interface.addresses_unreadable is not None for interface in node.interfaces):
        return False  # one that cannot be read, which is reported
    return not is_configured(node, address) and leasing_interface(node, address.version) is None


def leasing_interface(node: Node, version: int) -> NodeInterface | None:
    """
    The interface that has a leased address: the one with the default route, otherwise the one that is configured so,
    otherwise the only bridge without address of a node that has no address at all. None: in doubt.
    """
    if any(interface.addresses_unreadable is not None for interface in node.interfaces):
        return None
    versions = {interface.name: {found.version for found in interface.addresses} for interface in node.interfaces}
    free = [interface for interface in node.interfaces if version not in versions[interface.name]]
    # A value that could not be read may say so as well.
    routed = [each for each in free if not known(each.gateway(version)) or each.gateway(version)]
    leased = [each for each in free if not known(each.method(version)) or each.method(version) in LEASED[version]]
    bridges = [each for each in free if not known(each.type) or each.type in BRIDGES]
    choices = [routed, leased, [each for each in leased if each in bridges]]
    if not leased and not any(version in found for found in versions.values()):
        choices.append(bridges)
    return next((found[0] for found in choices if len(found) == 1), None)


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
