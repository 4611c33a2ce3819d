"""The guests of an inventory: their configurations, devices and addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from operator import attrgetter

from .messages import Message
from .readings import Reading, Unreadable

__all__ = (
    'Address',
    'AddressOrigin',
    'Disk',
    'Guest',
    'GuestConfig',
    'GuestOnlyInterface',
    'GuestType',
    'IgnoredAddress',
    'Nic',
    'NicAddresses',
)


class GuestType(StrEnum):
    """The two types of guests, named as in the paths of the API."""

    QEMU = 'qemu'
    LXC = 'lxc'


class AddressOrigin(StrEnum):
    """The origin of a guest's address, which determines the status of the IP address in NetBox."""

    STATIC = 'static'  # configured in Proxmox VE (container `ip=`, cloud-init `ipconfigN`)
    LEASED = 'dhcp'  # reported, and the configuration says DHCP
    AUTOCONFIGURED = 'slaac'  # reported IPv6 address, and the configuration says `auto`
    OBSERVED = 'observed'  # reported, and the configuration does not name an origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    One usable address of a NIC.

    Attributes:
        interface: The address with its prefix length.
        has_prefix: Whether the source has a prefix length; if not, that of `interface` (32 or 128) has no meaning.
        origin: How the guest obtained the address.
        source: The source for display: 'container configuration', 'cloud-init', 'guest agent', ...
        guest_interface: The name of the interface inside the guest; None if it was not reported.
        reported: Whether the running guest has the address; if not, it is only configured.
    """

    interface: IPv4Interface | IPv6Interface
    has_prefix: bool
    origin: AddressOrigin
    source: str
    guest_interface: str | None = None
    reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredAddress:
    """A configured or reported address that is not documented, with the reason (loopback, link-local, ...)."""

    text: str
    guest_interface: str | None
    reason: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class NicAddresses:
    """
    The addresses of one NIC.

    Attributes:
        addresses: The usable addresses, static before reported ones, without duplicate host addresses.
        ignored: The other addresses.
        running: None if the addresses of the running guest were read completely, so that the absence of an address is
            reliable. Otherwise the reason; `addresses` then holds static addresses only, and no address of the NIC may
            be removed.
        has_gateway4, has_gateway6: Whether the configuration has a default gateway on this NIC.
        guest_name: The name of the interface inside the guest with the MAC address of this NIC (the physical one if
            VLANs, bridges or bonds share the address); None if not reported.
        configured: The host addresses in the configuration of this NIC, including those that the guest does not have.
            None if the configuration does not define them (a virtual machine without a cloud-init drive, or with custom
            network data). Unreadable if it is not known which addresses are static and whether there is a gateway.
        excess: The reported host addresses beyond the limit. They are not documented, and they are not absent.
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
    An interface inside a guest that matches none of its readable NICs in Proxmox VE: a passed-through NIC, a bridge or
    tunnel of the guest, or a NIC whose MAC address was changed inside the guest.

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
    A virtual NIC, from a `netN` property string. A value that cannot be read is Unreadable. If the whole property
    string cannot be read, all values except the key are; the NIC exists nevertheless.

    Attributes:
        key: 'net0'. Identifies the NIC.
        name: LXC: the name inside the container (`name=`); QEMU: None.
        mac: Upper case with colons, or None.
        model: QEMU: virtio, e1000, ...; LXC: 'veth'. None if not given.
        bridge: Bridge or SDN vnet; None: not connected, or user-mode NAT.
        vlan_tag: `tag=`.
        trunks: `trunks=` as ranges of VLAN ids, both ends included.
        mtu: In bytes; 1 means the MTU of the bridge.
        rate_mbps: `rate=` in megabytes (10^6) per second.
        ipv4, ipv6: LXC's `ip=` / `ip6=`: an address, 'dhcp', 'auto', 'manual' or None.
        extra: Sub-keys that this version does not know, as text.
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
    A data disk or mount point; not a CD-ROM, cloud-init drive, EFI disk, TPM state or unused volume.

    A value that cannot be read is Unreadable. If the volume cannot be read, all values except the key are; the device
    exists, and may be a disk or a CD-ROM.

    Attributes:
        key: 'scsi0', 'rootfs', 'mp0'.
        size: In bytes; Unreadable if neither the configuration nor the storage has it.
        storage: Storage id; None for pass-through devices and bind mounts.
        volume: The volume without the storage id; for pass-through and bind mounts the path.
        format: 'raw', 'qcow2', 'subvol', ...; None if it has none.
        mount_point: LXC: the path inside the container ('/' for rootfs).
        passthrough: Whether it is a device or directory of the host instead of a volume of a storage.
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
    A guest's running configuration (`/config?current=1`), with Proxmox VE's defaults for absent keys.

    Each attribute that cannot be read is Unreadable, independently of the others.

    Attributes:
        name: `name` / `hostname`; None if not set (lists then show 'VM 104', 'CT203').
        description: The notes, decoded; '' if none.
        memory: In bytes.
        min_memory: `balloon` in bytes; None if ballooning has no minimum.
        sockets, cores, vcpus: QEMU: as configured, or the default (1, 1, None). LXC: `cores` or None.
        cpulimit: Number of CPUs, None if unlimited.
        nics, disks: All in the configuration, including unreadable ones.
        boot_order: QEMU: the boot devices as resolved by Proxmox VE, in order. Empty for LXC.
        boot_disk: The key of the first boot device that is a disk; 'rootfs' for LXC; None if there is none.
        agent: QEMU: the guest agent is enabled in the configuration.
        uuid, created: SMBIOS UUID and creation time (Unix seconds), which identify the machine.
        cpu_type, machine: QEMU: as configured, or the default for the version and architecture (`qemu_defaults`); None
            before that is filled in.
        kvm: QEMU: `kvm`; None if not configured.
        architecture: QEMU: `arch`; None means that of the host.
        cloudinit: QEMU: {0: ipconfig0, ...} as property mappings, e.g. {'ip': 'dhcp', 'gw6': '...'}.
        cloudinit_custom: Whether `cicustom` replaces the network data, so that `cloudinit` has no effect.
        cloudinit_drive: QEMU: whether there is a cloud-init drive. Without one, `cloudinit` has no effect.
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

    def unreadable_parts(self) -> Iterator[tuple[str, str, Message]]:
        """Yield (part, device, reason) for each unreadable part; `device` is 'net0', 'scsi0', ... or ''."""
        for part, reason in unreadable_in(self):
            # The cloud-init drive is unreadable only because of a disk, which is yielded below.
            if part != 'cloudinit_drive':
                yield part, '', reason
        for number, wish in self.cloudinit.items():
            if isinstance(wish, Unreadable):
                yield 'ipconfig', str(number), wish.reason
        devices: tuple[Nic | Disk, ...] = (*self.nics, *self.disks)
        for device in devices:
            unreadable = dict(unreadable_in(device))
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
        node: The node on which the guest is, even if that node is offline.
        name: The name in the lists of Proxmox VE.
        status: The status in Proxmox VE: running, stopped, paused, prelaunch, suspended, io-error, ...
        lock: backup, migrate, snapshot, suspended, ...; None if not locked.
        pool, ha_state: None if in no pool, or not managed by HA; Unreadable if the token may not see it.
        addresses: By NIC key; Unreadable if the configuration is.
        guest_only: Interfaces that match none of the readable NICs. Unreadable if the guest could not be queried, or if
            a part of its answer that may concern such an interface could not be read.
        os_name: The operating system reported by the guest agent (`pretty-name`); None if not requested or not
            reported.
        host_name: The hostname reported by the guest agent; None likewise.
        key: Its identity within its endpoint: 'qemu/100'.
        row_fingerprint: The fingerprint of its row in the list (see `guest_fingerprints`); '' if the row lacks values.
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
    row_fingerprint: str = ''
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # It is read more often than any other value.
        object.__setattr__(self, 'key', f'{self.type}/{self.vmid}')


# The names of their fields, and functions that return the values of all of them.
FIELD_NAMES = {model: tuple(part.name for part in fields(model)) for model in (GuestConfig, Nic, Disk)}
VALUES_OF = {model: attrgetter(*names) for model, names in FIELD_NAMES.items()}


def unreadable_in(holder: GuestConfig | Nic | Disk) -> Iterator[tuple[str, Message]]:
    """The fields that could not be read, with the reasons."""
    values = VALUES_OF[type(holder)](holder)
    # Nearly every object could be read completely.
    if Unreadable in map(type, values):
        for name, reading in zip(FIELD_NAMES[type(holder)], values, strict=True):
            if isinstance(reading, Unreadable):
                yield name, reading.reason
