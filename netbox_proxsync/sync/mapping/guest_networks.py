"""The networks that the NICs of guests are connected to: the bridges of nodes and the virtual networks of SDN."""

from ...proxmox.infrastructure import InterfaceType, NodeInterface, Vnet
from ...proxmox.inventory import Guest, Inventory, Nic, known
from .vlan_membership import NONE, Membership

__all__ = ('Networks',)

BRIDGES = (InterfaceType.BRIDGE, InterfaceType.OVS_BRIDGE)
# `mtu=1` of a virtio NIC: as its bridge (qemu-server, Network.pm).
AS_BRIDGE = 1


class Networks:
    """The networks of an inventory, by the names that the configurations of guests use."""

    def __init__(self, inventory: Inventory) -> None:
        self.vnets = {vnet.name: vnet for vnet in inventory.vnets} if known(inventory.vnets) else {}
        read = {node.name: node.interfaces for node in inventory.nodes if known(node.interfaces)}
        self.interfaces = {
            (name, interface.name): interface for name, interfaces in read.items() for interface in interfaces
        }
        self.read_nodes = frozenset(read)
        # If the virtual networks could not be read, an unknown name may be one of them.
        self.vnets_read = known(inventory.vnets)

    def bridge_of(self, guest: Guest, nic: Nic) -> NodeInterface | None:
        """The bridge on the guest's node; None if there is none, or if it was not read."""
        interface = self.connected(guest, nic)
        return interface if interface and interface.type in BRIDGES else None

    def connected(self, guest: Guest, nic: Nic) -> NodeInterface | None:
        """The interface on the guest's node to which the NIC is connected; None if there is none, or not known."""
        if not known(nic.bridge) or nic.bridge is None:
            return None
        return self.interfaces.get((guest.node, nic.bridge))

    def may_be_bridge(self, guest: Guest, nic: Nic) -> bool:
        """Whether the NIC is connected to an interface whose type could not be read."""
        interface = self.connected(guest, nic)
        return interface is not None and not known(interface.type)

    def membership(self, guest: Guest, nic: Nic) -> Membership | None:
        """
        The VLANs of a NIC; None if they are not known.

        A NIC without a tag on a VLAN-aware bridge gets all VLANs.
        """
        if not known(nic.bridge):
            return None
        if nic.bridge is None:
            return NONE
        vnet = self.vnets.get(nic.bridge)
        if vnet is None:
            return None if self.may_be_vnet(guest, nic) else self.tagging(guest, nic, self.bridge_of(guest, nic))
        if not known(vnet.vlan_id):
            return None
        # The tags of the guest are nested in the VLAN of the virtual network.
        return Membership.of(vnet.vlan_id) if vnet.vlan_id else self.tagging(guest, nic, vnet)

    def tagging(self, guest: Guest, nic: Nic, bridge: NodeInterface | Vnet | None) -> Membership | None:
        """
        The VLANs of a NIC by its own configuration and its bridge; None if they are not known.

        Args:
            bridge: A bridge, or a virtual network without a VLAN; None if there is none, or if it was not read.
        """
        if not known(nic.vlan_tag) or not known(nic.trunks):
            return None
        if nic.vlan_tag or nic.trunks:
            return Membership.of(nic.vlan_tag, nic.trunks)
        if bridge is None:
            # A bridge that does not exist forwards nothing.
            is_read = self.vnets_read and guest.node in self.read_nodes and not self.may_be_bridge(guest, nic)
            return NONE if is_read else None
        if not known(bridge.vlan_aware):
            return None
        return Membership.trunk() if bridge.vlan_aware else NONE

    def may_be_vnet(self, guest: Guest, nic: Nic) -> bool:
        """Whether a name that no bridge of the node has may be a virtual network of an SDN that could not be read."""
        return not self.vnets_read and guest.node in self.read_nodes and self.bridge_of(guest, nic) is None

    def has_mtu(self, guest: Guest, nic: Nic) -> bool:
        """
        Whether `mtu` is known. It is not if the NIC follows a bridge that could not be read, because that bridge may
        have the MTU in NetBox.
        """
        if not known(nic.mtu) or (nic.mtu == AS_BRIDGE and not known(nic.bridge)):
            return False
        if nic.mtu != AS_BRIDGE or nic.bridge is None:
            return True
        bridge = self.connected(guest, nic)
        return guest.node in self.read_nodes and (bridge is None or known(bridge.mtu))

    def mtu(self, guest: Guest, nic: Nic) -> int | None:
        """The MTU of a NIC; None: not configured, on the NIC or on the bridge that it follows."""
        if nic.mtu != AS_BRIDGE:
            return nic.mtu if known(nic.mtu) else None
        bridge = self.connected(guest, nic)
        return bridge.mtu if bridge and known(bridge.mtu) else None
