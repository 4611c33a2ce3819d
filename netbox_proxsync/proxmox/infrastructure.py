"""
What the cluster is built on: the nodes' hardware and networks, the virtual networks, the storages.

Plain, frozen data, as `inventory`, by whose rules its parts are known, absent (None, empty) or Unreadable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface

from .readings import Reading, Unreadable, known

__all__ = (
    'Certificate',
    'InterfaceType',
    'NodeFacts',
    'NodeHardware',
    'NodeInterface',
    'PhysicalNic',
    'Storage',
    'Vnet',
    'unreadable_values',
)


class InterfaceType(StrEnum):
    """The kinds of interfaces in a node's network configuration, by Proxmox's own words (`/nodes/N/network`)."""

    ETH = 'eth'
    BOND = 'bond'
    BRIDGE = 'bridge'
    VLAN = 'vlan'
    ALIAS = 'alias'
    LOOPBACK = 'loopback'
    OVS_BRIDGE = 'OVSBridge'
    OVS_BOND = 'OVSBond'
    OVS_PORT = 'OVSPort'
    OVS_INT_PORT = 'OVSIntPort'
    FABRIC = 'fabric'
    VNET = 'vnet'
    UNKNOWN = 'unknown'  # what Proxmox does not know (wg0), and what this version does not


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """
    `/nodes/N/status`. Each value may be unreadable on its own.

    Attributes:
        version: '9.2.11'.
        cpu_model: 'AMD EPYC 9354P 32-Core Processor'.
        cpu_sockets, cpus: Sockets, and logical CPUs of all of them.
        memory, rootfs: In bytes.
        kernel: '6.14.11-4-pve'.
        architecture: 'x86_64', 'aarch64'; 7 does not tell it.
    """

    version: Reading[str | None]
    cpu_model: Reading[str | None]
    cpu_sockets: Reading[int | None]
    cpus: Reading[int | None]
    memory: Reading[int | None]
    rootfs: Reading[int | None]
    kernel: Reading[str | None]
    architecture: Reading[str | None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    One of a node's certificates.

    Attributes:
        filename: 'pve-ssl.pem', 'pveproxy-ssl.pem' (which is served if it is there), 'pve-root-ca.pem'.
        expires: Unix seconds.
    """

    filename: str
    fingerprint: Reading[str]
    subject: Reading[str]
    issuer: Reading[str]
    expires: Reading[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCertificate:
    """
    What a host has shown when it was connected to: a node, or whatever stands before it.

    Attributes:
        host: 'pve1.example.com:8006'.
        expires: Unix seconds.
    """

    host: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInterface:
    """
    An interface in a node's network configuration, as it runs. Each value may be unreadable on its own.

    Attributes:
        type: As this version knows it; `raw_type` as Proxmox VE states it (`ovs_type` where `type` is 'unknown').
        active: It is up (by the kernel).
        comments: Without the line break at the end.
        addresses: All of them, IPv4 and IPv6, with their prefix lengths; none where it asks for one by DHCP.
        addresses_unread: Why an address of it could not be read; None if all could.
        method4, method6: 'static', 'manual', 'dhcp', for IPv6 also 'auto' (router advertisements).
        members: A bond's interfaces (`slaves`, `ovs_bonds`), in their order.
        ports: A bridge's ports (`bridge_ports`, `ovs_ports`), in their order.
        bridge: The OVS bridge that it is in (`ovs_bridge`).
        vlan_aware: A bridge that passes tagged frames on. OVS bridges do.
        vids: What a VLAN-aware bridge passes (`bridge_vids`), as ranges; empty: all.
        vlan_id: Of a VLAN interface, or the `ovs_tag` of an OVS port.
        parent: The interface under a VLAN interface or an alias.
        alternative_names: `altnames`.
        extra: What has no attribute of its own, as text.
    """

    name: str
    type: Reading[InterfaceType]
    raw_type: Reading[str]
    active: Reading[bool]
    mtu: Reading[int | None]
    comments: Reading[str]
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    gateway4: Reading[str | None]
    gateway6: Reading[str | None]
    members: Reading[tuple[str, ...]]
    ports: Reading[tuple[str, ...]]
    bridge: Reading[str | None]
    vlan_aware: Reading[bool]
    vids: Reading[tuple[tuple[int, int], ...]]
    vlan_id: Reading[int | None]
    parent: Reading[str | None]
    bond_mode: Reading[str | None]
    alternative_names: Reading[tuple[str, ...]]
    addresses_unreadable: Unreadable | None = None
    method4: Reading[str | None] = None
    method6: Reading[str | None] = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def method(self, version: int) -> Reading[str | None]:
        """How it gets its address of an IP version."""
        return self.method4 if version == 4 else self.method6

    def gateway(self, version: int) -> Reading[str | None]:
        """The default route over it, of an IP version."""
        return self.gateway4 if version == 4 else self.gateway6


def unreadable_values(part: object) -> tuple[str, ...]:
    """The reasons of the values of a dataclass that could not be read, each once."""
    values = (getattr(part, attribute.name) for attribute in fields(part))
    return tuple(dict.fromkeys(value.reason for value in values if isinstance(value, Unreadable)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vnet:
    """
    A virtual network of SDN, as it runs; guests' NICs name it as their bridge.

    Attributes:
        zone_type: simple, vlan, qinq, vxlan, evpn, faucet, ...; None if the zone was not listed.
        tag: A VLAN id where the zone is of VLANs, a VNI (up to 16,777,215) in VXLAN and EVPN zones; None: untagged.
        alias: Its name for people.
    """

    name: str
    zone: Reading[str]
    zone_type: Reading[str | None]
    tag: Reading[int | None]
    alias: Reading[str | None]
    vlan_aware: Reading[bool]

    @property
    def vlan_id(self) -> Reading[int | None]:
        """The VLAN that its guests are in; None if it is none (a VNI is not a VLAN)."""
        if not known(self.zone_type):
            return self.zone_type
        if self.zone_type not in ('vlan', 'qinq', 'faucet'):
            return None
        if not known(self.tag):
            return self.tag
        return self.tag if self.tag and self.tag <= 4094 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """
    A storage of the cluster (`/storage`).

    Attributes:
        type: dir, lvmthin, zfspool, rbd, nfs, pbs, ...
        content: images, rootdir, iso, backup, ...
        nodes: Those that it is limited to; None: all.
    """

    name: str
    type: Reading[str | None]
    content: Reading[frozenset[str]]
    shared: Reading[bool]
    enabled: Reading[bool]
    nodes: Reading[frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalNic:
    """
    A network card's port (or a virtual function of one) as the node's kernel sees it.

    Attributes:
        name: 'eno1'.
        mac: The one that it uses now; members of a bond all use the bond's. Upper case with colons; None if it has
            none.
        permanent_mac: The one that it was made with.
        speed_mbps: Of the link, in 10^6 bits per second; None while there is no link or the driver does not tell.
        driver: 'ixgbe'; None if the kernel names none.
        bond: The Linux bond that it is a member of; None if of none. Bonds of Open vSwitch are not known to the kernel.
    """

    name: str
    mac: str | None
    permanent_mac: Reading[str | None]
    speed_mbps: Reading[int | None]
    driver: Reading[str | None]
    bond: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHardware:
    """
    What a node told over SSH. None: there is none, or nobody filled it in.

    Attributes:
        manufacturer, product, serial: 'Dell Inc.', 'PowerEdge R740', '7XK2M93'.
        nics: All physical ones, in the kernel's order.
    """

    manufacturer: Reading[str | None]
    product: Reading[str | None]
    serial: Reading[str | None]
    nics: Reading[tuple[PhysicalNic, ...]]
