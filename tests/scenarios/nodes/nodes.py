"""Nodes for tests."""

from ipaddress import ip_interface

from netbox_proxsync.proxmox.infrastructure import InterfaceType, NodeFacts, NodeHardware, PhysicalNic
from tests.sync.builders import node_interface

FACTS = NodeFacts(
    version='9.2.11', cpu_model='AMD EPYC 9354P', cpu_sockets=2, cpus=64, memory=256 * 2**30, rootfs=94 * 2**30,
)  # fmt: skip


def physical(name: str, mac: str | None, speed: int | None = None) -> PhysicalNic:
    return PhysicalNic(name=name, mac=mac, permanent_mac=mac, speed_mbps=speed)


def hardware(*nics: PhysicalNic, **values) -> NodeHardware:
    defaults = {'manufacturer': 'Dell Inc.', 'product': 'R740', 'serial': '7XK2M93', 'nics': nics}
    return NodeHardware(**(defaults | values))


def network(number: int = 1) -> tuple:
    """Two NICs in a bond, a VLAN-aware bridge on it with the management address, a VLAN, an OVS bridge."""
    return (
        node_interface('eno1'),
        node_interface('eno2', mtu=9000),
        node_interface('eno3'),
        node_interface('bond0', InterfaceType.BOND, members=('eno1', 'eno2')),
        node_interface(
            'vmbr0', InterfaceType.BRIDGE, ports=('bond0',), vlan_aware=True, comments='Management\n',
            addresses=(ip_interface(f'10.0.0.{number}/24'), ip_interface(f'2001:db8::{number}/64')),
        ),
        node_interface(
            'bond0.20', InterfaceType.VLAN, parent='bond0', vlan_id=20, addresses=(ip_interface(f'10.9.0.{number}/31'),)
        ),
        node_interface('vmbr1', InterfaceType.OVS_BRIDGE, ports=('eno3', 'mgmt'), vlan_aware=True),
        node_interface('mgmt', InterfaceType.OVS_INT_PORT, bridge='vmbr1', vlan_id=30),
    )  # fmt: skip
