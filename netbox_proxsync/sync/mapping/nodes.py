"""The nodes that are synced, and the keys of their parts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from ...proxmox.infrastructure import InterfaceType, NodeHardware, NodeInterface, PhysicalNic
from ...proxmox.inventory import AddressOrigin, Inventory, Node, Reading, known
from ..kind_names import ADDRESS, DEVICE, NODE_INTERFACE
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
# The methods of interfaces that ask for their address, by IP version.
LEASED = {4: ('dhcp',), 6: ('dhcp', 'auto')}


def nodes_of(inventory: Inventory, settings: Settings) -> tuple[Node, ...]:
    """The nodes that become devices. NetBox requires a site for a device."""
    return inventory.nodes if settings.sync_nodes and settings.site else ()


def nodes_read(inventory: Inventory, settings: Settings) -> tuple[Node, ...]:
    """Those of them whose network could be read."""
    return tuple(node for node in nodes_of(inventory, settings) if known(node.interfaces))


def node_key(name: str) -> str:
    """The key of a node, which is also its unit."""
    return f'{NODE}/{name}'


def is_node(unit: str) -> bool:
    """Whether a unit is a node."""
    return unit.startswith(f'{NODE}/')


def device_ref(name: str) -> Ref:
    """The reference to the device of a node."""
    return Ref(DEVICE, node_key(name), name)


def interface_ref(node: Node, name: str) -> Ref:
    """The reference to an interface of a node."""
    return Ref(NODE_INTERFACE, f'{node_key(node.name)}/{name}', name)


def node_mac_key(node: Node, nic: PhysicalNic) -> str:
    """The key of the MAC address of a physical NIC."""
    return f'{node_key(node.name)}/{nic.name}/{nic.permanent_mac}'


def address_ref(node: Node, host: str) -> Ref:
    """The reference to an address of a node."""
    return Ref(ADDRESS, f'{node_key(node.name)}/{host}', host)


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
    """Every usable address of a node with its interface, each host once."""
    seen = set()
    for interface in node.interfaces if known(node.interfaces) else ():
        for address in interface.addresses:
            if is_documented(address) and address.ip not in seen:
                seen.add(address.ip)
                yield NodeAddress(interface, address)
    if leased := leased_address(node):
        yield leased


def addresses_are_read(node: Node) -> bool:
    """
    Whether all addresses of a node could be read, so that any other address is absent. One of them is the management
    address, which the configuration of the interfaces need not state.
    """
    return (
        known(node.address)
        and known(node.interfaces)
        and all(interface.addresses_unreadable is None for interface in node.interfaces)
        and not management_in_doubt(node)
    )


def management_address(node: Node) -> IPv4Address | IPv6Address | None:
    """The address that the cluster uses for the node; None: there is none, or it is not known."""
    address = ip_address(node.address) if known(node.address) and node.address else None
    return address if address and is_documented(ip_interface(address)) else None


def is_configured(interfaces: Iterable[NodeInterface], address: IPv4Address | IPv6Address) -> bool:
    """Whether the configuration of an interface states an address."""
    return any(address == found.ip for interface in interfaces for found in interface.addresses)


def leased_address(node: Node) -> NodeAddress | None:
    """
    The management address, if the configuration of the node does not state it; None: it does, or the interface is not
    certain.
    """
    address = management_address(node)
    if address is None or not known(node.interfaces) or is_configured(node.interfaces, address):
        return None
    interface = leasing_interface(node.interfaces, address.version)
    if interface is None:
        return None
    is_advertised = address.version == 6 and interface.method6 == 'auto'
    origin = AddressOrigin.AUTOCONFIGURED if is_advertised else AddressOrigin.LEASED
    return NodeAddress(interface, ip_interface(address), origin, has_prefix=False)


def management_in_doubt(node: Node) -> bool:
    """Whether it is not certain on which interface of the node the management address is."""
    address = management_address(node)
    if address is None or not known(node.interfaces):
        return False
    if any(interface.addresses_unreadable is not None for interface in node.interfaces):
        return False  # It may be the unreadable address, which is reported.
    return not is_configured(node.interfaces, address) and leasing_interface(node.interfaces, address.version) is None


def leasing_interface(interfaces: Sequence[NodeInterface], version: int) -> NodeInterface | None:
    """
    The interface with a leased address: the one with the default route, otherwise the one that is configured to ask for
    an address, otherwise the only bridge that does; on a node that has no address at all, and where none asks, its only
    bridge. None: it is not certain, because there are several, or because a value on which it depends was not read.
    """
    if any(interface.addresses_unreadable is not None for interface in interfaces):
        return None
    free = [interface for interface in interfaces if not has_address(interface, version)]
    routed = those(free, lambda interface: has_gateway(interface, version))
    if routed is None or len(routed) == 1:
        return only_one(routed)
    asking = those(free, lambda interface: asks_for_address(interface, version))
    if asking is None or len(asking) == 1:
        return only_one(asking)
    return only_one(those(asking or (free if len(free) == len(interfaces) else ()), is_bridge))


def those(
    interfaces: Iterable[NodeInterface], condition: Callable[[NodeInterface], Reading[bool]]
) -> list[NodeInterface] | None:
    """The interfaces that meet a condition; None: it is not known of one of them whether it does."""
    results = [(interface, condition(interface)) for interface in interfaces]
    if not all(known(result) for _interface, result in results):
        return None
    return [interface for interface, result in results if result]


def only_one(interfaces: Sequence[NodeInterface] | None) -> NodeInterface | None:
    """The only one of some interfaces; None: there is none, there are several, or it is not known."""
    return interfaces[0] if interfaces and len(interfaces) == 1 else None


def has_address(interface: NodeInterface, version: int) -> bool:
    """Whether the configuration of an interface states an address of an IP version."""
    return any(address.version == version for address in interface.addresses)


def has_gateway(interface: NodeInterface, version: int) -> Reading[bool]:
    """Whether the default route is on an interface."""
    gateway = interface.gateway(version)
    return bool(gateway) if known(gateway) else gateway


def asks_for_address(interface: NodeInterface, version: int) -> Reading[bool]:
    """Whether an interface asks for its address."""
    method = interface.method(version)
    return method in LEASED[version] if known(method) else method


def is_bridge(interface: NodeInterface) -> Reading[bool]:
    """Whether an interface is a bridge."""
    return interface.type in BRIDGES if known(interface.type) else interface.type


def is_documented(address: IPv4Interface | IPv6Interface) -> bool:
    """Whether an address can be documented: it is no loopback, link-local, multicast or unspecified address."""
    ip = address.ip
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


def hardware_of(node: Node) -> NodeHardware | None:
    """The hardware that SSH read; None: nothing, or SSH is not used."""
    return node.hardware if known(node.hardware) else None


def physical_nics(node: Node) -> dict[str, PhysicalNic]:
    """The physical NICs by name, as far as SSH read them."""
    hardware = hardware_of(node)
    nics = hardware.nics if hardware and known(hardware.nics) else ()
    return {nic.name: nic for nic in nics}
