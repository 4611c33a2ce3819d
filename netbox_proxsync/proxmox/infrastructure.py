"""
The infrastructure of a cluster: its nodes' hardware and networks, and the virtual networks of SDN.

Plain, frozen data. As in `inventory`, a part is a value, absent (None or empty), or Unreadable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING

from .messages import Message
from .readings import Reading, Unreadable, known

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = (
    'Certificate',
    'HostCertificate',
    'InterfaceType',
    'NodeFacts',
    'NodeHardware',
    'NodeInterface',
    'PhysicalNic',
    'Vnet',
    'unreadable_values',
)

MAX_VLAN_ID = 4094


class InterfaceType(StrEnum):
    """The types of interfaces in a node's network configuration, named as in `/nodes/N/network`."""

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
    UNKNOWN = 'unknown'  # unknown to Proxmox VE (wg0), or to this version of the plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """
    The answer of `/nodes/N/status`. Each value may be unreadable independently of the others.

    Attributes:
        version: Version of Proxmox VE on the node, e.g. '9.2.11'.
        cpu_model: E.g. 'AMD EPYC 9354P 32-Core Processor'.
        cpu_sockets: Number of CPU sockets.
        cpus: Number of logical CPUs of all sockets.
        memory: RAM in bytes.
        rootfs: Size of the root file system in bytes.
        architecture: E.g. 'x86_64' or 'aarch64'. Proxmox VE 7 does not report it.
    """

    version: Reading[str | None]
    cpu_model: Reading[str | None]
    cpu_sockets: Reading[int | None]
    cpus: Reading[int | None]
    memory: Reading[int | None]
    rootfs: Reading[int | None]
    architecture: Reading[str | None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """
    A certificate of a node.

    Attributes:
        filename: 'pve-ssl.pem', 'pveproxy-ssl.pem' (which is served if it exists) or 'pve-root-ca.pem'.
        expires: Unix seconds.
    """

    filename: str
    fingerprint: Reading[str]
    subject: Reading[str]
    expires: Reading[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCertificate:
    """
    The certificate that a host presented when it was connected to: that of a node, or of a proxy in front of it.

    Attributes:
        host: E.g. 'pve1.example.com:8006'.
        expires: Unix seconds.
    """

    host: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInterface:
    """
    An interface in a node's running network configuration. Each value may be unreadable independently of the others.

    Attributes:
        type: The type; UNKNOWN for a type that this version of the plugin does not know.
        raw_type: The type as Proxmox VE states it (`ovs_type` where `type` is 'unknown').
        active: The interface is up, according to the kernel.
        mtu: In bytes; None if not configured.
        comments: Without trailing line breaks.
        addresses: All configured addresses with their prefix lengths; empty if the interface uses DHCP.
        addresses_unreadable: Why an address of the interface could not be read; None if all could be.
        method4, method6: 'static', 'manual' or 'dhcp'; for IPv6 also 'auto' (router advertisements).
        gateway4, gateway6: The default gateway through this interface.
        members: The interfaces of a bond (`slaves`, `ovs_bonds`) in their order.
        ports: The ports of a bridge (`bridge_ports`, `ovs_ports`) in their order.
        bridge: The OVS bridge of which the interface is a port (`ovs_bridge`).
        vlan_aware: Whether a bridge forwards tagged frames. OVS bridges always do.
        vids: The VLANs that a VLAN-aware bridge forwards (`bridge_vids`), as inclusive ranges; empty means all.
        vlan_id: The VLAN of a VLAN interface, or the `ovs_tag` of an OVS port.
        parent: The interface below a VLAN interface or an alias.
        extra: Keys without an attribute of their own, as text.
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
    addresses_unreadable: Unreadable | None = None
    method4: Reading[str | None] = None
    method6: Reading[str | None] = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def method(self, version: int) -> Reading[str | None]:
        """Return how the interface gets its address for an IP version (4 or 6)."""
        return self.method4 if version == 4 else self.method6

    def gateway(self, version: int) -> Reading[str | None]:
        """Return the default gateway through this interface for an IP version (4 or 6)."""
        return self.gateway4 if version == 4 else self.gateway6


def unreadable_values(part: 'DataclassInstance') -> tuple[Message, ...]:
    """Return the distinct reasons why values of a dataclass instance are Unreadable."""
    values = (getattr(part, attribute.name) for attribute in fields(part))
    return tuple(dict.fromkeys(value.reason for value in values if isinstance(value, Unreadable)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vnet:
    """
    A virtual network of SDN as it runs. The NICs of guests refer to it as their bridge.

    Attributes:
        zone_type: 'simple', 'vlan', 'qinq', 'vxlan', 'evpn', 'faucet', ...; None if the zone was not listed.
        tag: A VLAN id in zones of VLANs; a VNI (up to 16,777,215) in VXLAN and EVPN zones; None if untagged.
        alias: The display name.
    """

    name: str
    zone_type: Reading[str | None]
    tag: Reading[int | None]
    alias: Reading[str | None]
    vlan_aware: Reading[bool]

    @property
    def vlan_id(self) -> Reading[int | None]:
        """The VLAN of the guests in this network; None if there is none (a VNI is not a VLAN id)."""
        if not known(self.zone_type):
            return self.zone_type
        if self.zone_type not in ('vlan', 'qinq', 'faucet'):
            return None
        if not known(self.tag):
            return self.tag
        return self.tag if self.tag and self.tag <= MAX_VLAN_ID else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalNic:
    """
    A port of a network card, or a virtual function of one, as the kernel of the node reports it.

    Attributes:
        name: E.g. 'eno1'.
        mac: The MAC address in use, upper case with colons; None if there is none. All members of a bond use the
            bond's.
        permanent_mac: The MAC address assigned by the manufacturer.
        speed_mbps: Link speed in 10^6 bits per second; None if there is no link or the driver does not report it.
    """

    name: str
    mac: str | None
    permanent_mac: Reading[str | None]
    speed_mbps: Reading[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHardware:
    """
    The hardware of a node as read over SSH. None means that the node has no such value, or a meaningless one.

    Attributes:
        manufacturer, product, serial: E.g. 'Dell Inc.', 'PowerEdge R740', '7XK2M93'.
        nics: All physical NICs in the order of the kernel.
    """

    manufacturer: Reading[str | None]
    product: Reading[str | None]
    serial: Reading[str | None]
    nics: Reading[tuple[PhysicalNic, ...]]
