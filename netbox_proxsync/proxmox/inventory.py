"""
What one read of a Proxmox VE cluster returned.

Plain, frozen data without Django or NetBox. Every part that Proxmox may refuse, time out on or garble is a `Reading`:
the value, or `Unreadable` with the reason. `None` always means that Proxmox said "there is none". That difference
decides whether NetBox may be changed, so no part of an inventory has a default value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from .infrastructure import Certificate, HostCertificate, NodeFacts, NodeHardware, NodeInterface, Vnet
from .readings import Reading, Unreadable, known
from .token_history import TokenView

__all__ = (
    'Address',
    'AddressOrigin',
    'Disk',
    'Guest',
    'GuestConfig',
    'GuestOnlyInterface',
    'GuestType',
    'IgnoredAddress',
    'Inventory',
    'Nic',
    'NicAddresses',
    'Node',
    'Notice',
    'Reading',
    'TagStyle',
    'Unreadable',
    'known',
)


class GuestType(StrEnum):
    """The two kinds of guests, named as in Proxmox's paths."""

    QEMU = 'qemu'
    LXC = 'lxc'


class AddressOrigin(StrEnum):
    """How a guest came by an address; decides the status of the IP address in NetBox."""

    STATIC = 'static'  # configured in Proxmox (container `ip=`, cloud-init `ipconfigN`)
    LEASED = 'dhcp'  # running, where the configuration says DHCP
    AUTOCONFIGURED = 'slaac'  # running IPv6, where the configuration says `auto`
    OBSERVED = 'observed'  # running, and Proxmox's configuration does not tell where it came from


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    One usable address of a NIC.

    Attributes:
        interface: The address with its prefix length.
        has_prefix: Whether the source gave the prefix length; if not, that of `interface` (32 or 128) means nothing.
        origin: How the guest came by it.
        source: Where it was read, for people: 'container configuration', 'cloud-init', 'guest agent', ...
        guest_interface: The name of the interface inside the guest, if the guest told it.
        reported: The running guest has it. Else it is only configured.
    """

    interface: IPv4Interface | IPv6Interface
    has_prefix: bool
    origin: AddressOrigin
    source: str
    guest_interface: str | None = None
    reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredAddress:
    """An address that a guest reported and that is not documented, with the reason (loopback, link-local, ...)."""

    text: str
    guest_interface: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NicAddresses:
    """
    What is known of the addresses of one NIC.

    Attributes:
        addresses: The usable ones, static before running, without duplicates by host address.
        ignored: The others.
        running: None if what runs was read completely, so that an address that is not listed is gone. Else the
            reason why not; then `addresses` holds the static ones only, and no address of the NIC may be removed.
        has_gateway4: The configuration puts the default IPv4 gateway on this NIC.
        has_gateway6: The same for IPv6.
        guest_name: The name of the interface inside the guest that carries this NIC's MAC, if told (the physical one
            when VLANs, bridges or bonds on top share the MAC).
        configured: The hosts that the configuration gives to this NIC, including those that the guest does not have.
            None: the configuration does not say (a virtual machine without a cloud-init drive, or with network data of
            its own). Unreadable: it cannot be read, so it is not known which addresses are static and whether the NIC
            has a default gateway.
        excess: The hosts that the guest reports beyond the limit. They are not documented, and they are not gone.
    """

    addresses: tuple[Address, ...]
    ignored: tuple[IgnoredAddress, ...]
    running: Unreadable | None
    has_gateway4: bool
    has_gateway6: bool
    guest_name: str | None
    configured: Reading[frozenset[IPv4Address | IPv6Address] | None]
    excess: frozenset[IPv4Address | IPv6Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestOnlyInterface:
    """
    An interface inside the guest that belongs to none of its readable NICs in Proxmox: a passed-through NIC, a bridge
    or a tunnel of the guest, a NIC whose MAC address was changed inside the guest.

    Attributes:
        mac: Upper case with colons; None if it has none.
        addresses: The usable ones.
        ignored: The others.
    """

    name: str
    mac: str | None
    addresses: tuple[Address, ...]
    ignored: tuple[IgnoredAddress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """
    A virtual NIC, from a `netN` property string. What cannot be read is Unreadable; if the whole line cannot be read,
    all
    but the key is: the NIC exists all the same.

    Attributes:
        key: 'net0'. Identifies the NIC.
        name: LXC: the name inside the container (`name=`); QEMU: None.
        mac: Upper case with colons, or None.
        model: QEMU: virtio, e1000, ...; LXC: 'veth'. None if not given.
        bridge: Bridge or SDN vnet; None: not connected, or user-mode NAT.
        vlan_tag: `tag=`.
        trunks: `trunks=` as ranges of VLAN ids, both ends included.
        mtu: In bytes; 1 means "as the bridge".
        rate_mbps: `rate=` in megabytes (10^6) per second.
        ipv4, ipv6: LXC's `ip=` / `ip6=`: an address, 'dhcp', 'auto', 'manual' or None.
        extra: Sub-keys that this version does not know, as they are.
    """

    key: str
    name: Reading[str | None]
    mac: Reading[str | None]
    model: Reading[str | None]
    bridge: Reading[str | None]
    vlan_tag: Reading[int | None]
    trunks: Reading[tuple[tuple[int, int], ...]]
    firewall: Reading[bool]
    link_down: Reading[bool]
    mtu: Reading[int | None]
    rate_mbps: Reading[Decimal | None]
    ipv4: Reading[str | None] = None
    ipv6: Reading[str | None] = None
    gateway4: Reading[str | None] = None
    gateway6: Reading[str | None] = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """
    A data disk or mount point; no CD-ROM, cloud-init drive, EFI disk, TPM state or unused volume.

    What cannot be read is Unreadable. If not even the volume can be read, all but the key is: something is there, and
    it may be a disk or a CD-ROM.

    Attributes:
        key: 'scsi0', 'rootfs', 'mp0'.
        size: In bytes; Unreadable if neither the configuration nor the storage tells.
        storage: Storage id; None for pass-through devices and bind mounts.
        volume: The volume without the storage id; for pass-through and bind mounts the path.
        format: 'raw', 'qcow2', 'subvol', ... ; None if it cannot be told.
        mount_point: LXC: the path inside the container ('/' for rootfs).
        passthrough: A device or directory of the host, not a volume of a storage.
    """

    key: str
    size: Reading[int]
    storage: Reading[str | None]
    volume: Reading[str]
    format: Reading[str | None]
    mount_point: Reading[str | None]
    passthrough: Reading[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestConfig:
    """
    A guest's running configuration (`/config?current=1`), with Proxmox's own defaults where a key is absent.

    Each attribute is a reading of its own: one that cannot be read is Unreadable, and costs the others nothing.

    Attributes:
        name: `name` / `hostname`; None if not set (lists then show 'VM 104', 'CT203').
        description: The notes, decoded; '' if none.
        memory: In bytes.
        min_memory: `balloon` in bytes, if ballooning is set to a minimum; else None.
        sockets, cores, vcpus: QEMU: as configured or Proxmox's default (1, 1, None). LXC: `cores` or None.
        cpulimit: Number of CPUs, None if unlimited.
        nics, disks: All that the configuration names, whether their lines can be read or not.
        boot_order: QEMU: boot devices as Proxmox resolves them, in order. Empty for LXC.
        boot_disk: The key of the first boot device that is a disk; 'rootfs' for LXC; None if there is none.
        agent: QEMU: the guest agent is enabled in the configuration.
        uuid, created: SMBIOS UUID and creation time (Unix seconds), which identify the machine.
        cpu_type, machine: QEMU: as configured; else Proxmox's default for the version and the architecture
            (`defaults`), or None as long as that is not filled in.
        kvm: QEMU: `kvm`; None if not configured.
        architecture: QEMU: `arch`, None: that of the host.
        cloudinit: QEMU: {0: ipconfig0, ...} as property mappings, e.g. {'ip': 'dhcp', 'gw6': '...'}.
        cloudinit_custom: `cicustom` replaces the network data, so `cloudinit` says nothing.
        cloudinit_drive: QEMU: there is a cloud-init drive. Without one, `cloudinit` never reaches the guest.
        extra: Keys that this version does not know, as text.
    """

    name: Reading[str | None]
    description: Reading[str]
    memory: Reading[int]
    min_memory: Reading[int | None]
    sockets: Reading[int | None]
    cores: Reading[int | None]
    vcpus: Reading[int | None]
    cpulimit: Reading[Decimal | None]
    start_on_boot: Reading[bool]
    ostype: Reading[str | None]
    tags: Reading[tuple[str, ...]]
    template: Reading[bool]
    lock: Reading[str | None]
    nics: tuple[Nic, ...]
    disks: tuple[Disk, ...]
    boot_order: Reading[tuple[str, ...]]
    boot_disk: Reading[str | None]
    agent: Reading[bool]
    uuid: Reading[str | None]
    created: Reading[int | None]
    cpu_type: Reading[str | None]
    bios: Reading[str | None]
    machine: Reading[str | None]
    numa: Reading[bool | None]
    architecture: Reading[str | None]
    unprivileged: Reading[bool | None]
    features: Reading[str | None]
    kvm: Reading[bool | None] = None
    cloudinit: Mapping[int, Reading[Mapping[str, str]]] = field(default_factory=dict)
    cloudinit_custom: Reading[bool] = False
    cloudinit_drive: Reading[bool] = False
    extra: Mapping[str, str] = field(default_factory=dict)

    def unreadable_parts(self) -> Iterator[tuple[str, str, str]]:
        """Yield (part, device, reason) for each unreadable part; `device` is 'net0', 'scsi0', ... or ''."""
        for part in fields(self):
            # The cloud-init drive is unreadable only because of a disk, which is yielded below.
            if isinstance(reading := getattr(self, part.name), Unreadable) and part.name != 'cloudinit_drive':
                yield part.name, '', reading.reason
        for number, wish in self.cloudinit.items():
            if isinstance(wish, Unreadable):
                yield 'ipconfig', str(number), wish.reason
        devices: tuple[Nic | Disk, ...] = (*self.nics, *self.disks)
        for device in devices:
            readings = {part.name: getattr(device, part.name) for part in fields(device)}
            unreadable = {name: reading.reason for name, reading in readings.items() if isinstance(reading, Unreadable)}
            if len(unreadable) > 1 and len(set(unreadable.values())) == 1:
                # The whole value cannot be read.
                unreadable = {'nic' if isinstance(device, Nic) else 'disk': next(iter(unreadable.values()))}
            for name, reason in unreadable.items():
                yield name, device.key, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """
    A virtual machine or container.

    Attributes:
        node: The node it is on, also if that node is offline.
        name: As Proxmox lists it.
        status: Proxmox's own word: running, stopped, paused, prelaunch, suspended, io-error, ...
        lock: backup, migrate, snapshot, suspended, ...; None if not locked.
        pool, ha_state: None if in no pool, not managed by HA; Unreadable if the token may not see that.
        addresses: By NIC key; Unreadable if the configuration is.
        guest_only: Interfaces that belong to none of its readable NICs. Unreadable if the guest could not be asked, or
            if
            a part of its answer that may be about such an interface could not be read.
        os_name: The guest agent's `pretty-name`; None if not asked for or not told.
        host_name: The guest agent's host name; likewise.
    """

    type: GuestType
    vmid: int
    node: str
    name: Reading[str]
    status: Reading[str]
    lock: Reading[str | None]
    template: Reading[bool]
    tags: Reading[tuple[str, ...]]
    pool: Reading[str | None]
    ha_state: Reading[str | None]
    config: Reading[GuestConfig]
    addresses: Reading[Mapping[str, NicAddresses]]
    os_name: Reading[str | None] = None
    host_name: Reading[str | None] = None
    guest_only: Reading[tuple[GuestOnlyInterface, ...]] = ()

    @property
    def key(self) -> str:
        """Identity within its endpoint: 'qemu/100'."""
        return f'{self.type}/{self.vmid}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    A cluster node.

    Attributes:
        cpus: Logical CPUs.
        address: The one that the cluster uses.
        facts, certificates: Unreadable if it is offline or was not asked.
        interfaces: Its running network. Unreadable, too, if the list may be incomplete (a token without SDN.Audit gets
            no bridges), and while there are changes that are not applied yet: Proxmox shows only those then.
        hardware: What SSH told; None if the endpoint does not ask by SSH.
    """

    name: str
    online: bool
    cpus: Reading[int]
    address: Reading[str | None]
    facts: Reading[NodeFacts]
    certificates: Reading[tuple[Certificate, ...]]
    interfaces: Reading[tuple[NodeInterface, ...]]
    hardware: Reading[NodeHardware | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagStyle:
    """`tag-style` of the datacenter: colours as {tag: 'rrggbb'} and whether upper and lower case differ."""

    colors: Mapping[str, str]
    case_sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    Something that could not be read or looks wrong, for the administrator.

    Attributes:
        subject: What it is about: 'qemu/100', 'node/pve2', 'token', 'cluster'.
        message: What happened.
        remedy: What to do about it ('' if nothing can be done).
        is_fault: A fault of Proxmox VE's own configuration: it is reported at every run until it is corrected, or
            until a user acknowledges it. Subject and message identify it.
    """

    subject: str
    message: str
    remedy: str = ''
    is_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """
    Everything that one read of an endpoint returned.

    Attributes:
        version: '9.2.11'.
        cluster_name: None for a stand-alone host.
        quorate: A stand-alone host always is.
        guests: Sorted by type and vmid.
        guests_incomplete: None if a guest that is not in `guests` does not exist; else the reason why its absence
            means nothing (the token does not see all guests, no quorum, a list was refused).
        vnets: Also Unreadable if the token may not see all of them.
        not_backed_up: The ids of the guests that no backup job covers.
        calls: Number of requests made to Proxmox.
        sight: What the token could see; None if its privileges are not known.
        certificate: What the host has shown that answered last.
    """

    version: str
    cluster_name: Reading[str | None]
    quorate: Reading[bool]
    nodes: tuple[Node, ...]
    guests: tuple[Guest, ...]
    guests_incomplete: Unreadable | None
    tag_style: Reading[TagStyle]
    vnets: Reading[tuple[Vnet, ...]]
    not_backed_up: Reading[frozenset[int]]
    warnings: tuple[Notice, ...]
    calls: int
    token_view: TokenView | None = None
    certificate: HostCertificate | None = None
