"""
Parses a guest's configuration (`/config?current=1`) into a `GuestConfig`.

qemu-server omits lines that it cannot parse; pve-container returns them unchanged.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from ..inventory import Disk, GuestConfig, GuestType, Nic, Reading, Unreadable, known
from ..messages import Message
from ..properties import (
    ParseError,
    as_text,
    boolean,
    decimal,
    format_properties,
    integer,
    optional_text,
    parse_properties,
    parse_tags,
    parse_uuid,
    read_properties,
    read_value,
    text,
)
from .boot import DriveRoles, boot_disk, boot_order, drive_roles
from .disks import DriveRole, disk_keys, parse_disk
from .nics import nic_keys, parse_nic

__all__ = ('parse_config',)

MIB = 1024**2

# Keys of Proxmox VE 7.4 to 9.2 that are not part of the inventory. Some may contain secrets (`args`, `cipassword`);
# because they are listed here, they are never stored in `GuestConfig.extra`.
UNUSED_KEYS = {
    GuestType.QEMU: re.compile(
        r"""
        acpi | affinity | allow-ksm | amd-sev | args | audio0 | autostart | boot | bootdisk | cdrom | cipassword
        | citype | ciupgrade | ciuser | cpuunits | digest | efidisk0 | freeze | hookscript | hostpci\d+ | hotplug
        | hugepages | intel-tdx | ipconfig\d+ | ivshmem | keephugepages | keyboard | localtime | migrate_downtime
        | migrate_speed | nameserver | numa\d+ | parallel\d+ | parent | protection | reboot | rng0
        | running-nets-host-mtu | runningcpu | runningmachine | scsihw | searchdomain | serial\d+ | shares | smp
        | snapstate | snaptime | spice_enhancements | sshkeys | startdate | startup | tablet | tdf | tpmstate0
        | unused\d+ | usb\d+ | vga | virtiofs\d+ | vmgenid | vmstate | vmstatestorage | watchdog
        """,
        re.ASCII | re.VERBOSE,
    ),
    GuestType.LXC: re.compile(
        r"""
        cmode | console | cpuunits | debug | dev\d+ | digest | entrypoint | env | hookscript | lxc | nameserver | parent
        | protection | searchdomain | snapstate | snaptime | startup | swap | timezone | tty | unused\d+
        """,
        re.ASCII | re.VERBOSE,
    ),
}
# Sub-keys of `features` that are booleans (pve-container, LXC/Config.pm); `mount` is a list of file systems.
FEATURE_FLAGS = ('force_rw_sys', 'fuse', 'keyctl', 'mknod', 'nesting')
# MiB, for both kinds of guests.
DEFAULT_MEMORY = 512
# Sub-keys of `ipconfigN` for gateways and addresses, and the values of the latter that are not addresses.
GATEWAYS = (('gw', 'ip'), ('gw6', 'ip6'))
NO_ADDRESSES = (None, 'dhcp', 'auto')
IP_CONFIG = re.compile(r'ipconfig(0|[1-9][0-9]{0,3})', re.ASCII)


def _positive(value: object) -> int:
    number = integer(value)
    if number < 1:
        raise ParseError(Message('{number} is not a positive number', number=number))
    return number


def _positive_or_none(value: object) -> int | None:
    number = integer(value)
    if number < 0:
        raise ParseError(Message('{number} is negative', number=number))
    return number or None


def _memory(value: object) -> int:
    """Memory of a virtual machine in bytes. Proxmox VE 7 treats 0 as not configured; newer versions reject it."""
    return (_positive_or_none(_part(value, 'current', default_key='current')) or DEFAULT_MEMORY) * MIB


def _container_memory(value: object) -> int:
    return _positive(value) * MIB


def _balloon(value: object) -> int | None:
    mebibytes = _positive_or_none(value)
    return mebibytes and mebibytes * MIB


def _cpulimit(value: object) -> Decimal | None:
    limit = decimal(value)
    if limit < 0:
        raise ParseError(Message('{limit} is negative', limit=limit))
    return limit or None


def _container_flag(value: object) -> bool:
    """A container's boolean. Proxmox VE returns it unchanged and, like Perl, treats every number but 0 as true."""
    try:
        return boolean(value)
    except ParseError:
        return _positive_or_none(value) is not None


def _container_template(value: object) -> bool:
    """Only 1 marks a container as a template (pve-guest-common, AbstractConfig.pm, is_template)."""
    try:
        return boolean(value)
    except ParseError:
        return integer(value) == 1


def _optional_part(value: object, name: str, default_key: str | None = None) -> str | None:
    """One sub-key of a property string, None if it is absent. Raises ParseError if it cannot be read."""
    content = read_properties(value, default_key).get(name)
    if isinstance(content, Unreadable):
        raise ParseError(content.reason.as_phrase())
    return content


def _part(value: object, name: str, default_key: str | None = None) -> str:
    """One sub-key of a property string. Raises ParseError if it is absent or cannot be read."""
    content = _optional_part(value, name, default_key)
    if content is None:
        raise ParseError(Message('"{name}" is missing', name=name))
    return content


def _agent(value: object) -> bool:
    return boolean(_optional_part(value, 'enabled', default_key='enabled') or '0')


def _smbios_uuid(value: object) -> str | None:
    # `base64=1` applies to all sub-keys except the UUID.
    uuid = _optional_part(value, 'uuid')
    return uuid and parse_uuid(uuid)


def _created(value: object) -> int | None:
    created = _optional_part(value, 'ctime')
    return None if created is None else _positive(created)


def _cpu_type(value: object) -> str:
    return _part(value, 'cputype', default_key='cputype')


def _machine(value: object) -> str | None:
    return _optional_part(value, 'type', default_key='type')


def _custom_network(value: object) -> bool:
    return _optional_part(value, 'network') is not None


def _features(value: object) -> str | None:
    """The features in a normal form: sub-keys sorted (Proxmox VE writes them in random order), flags as 0 and 1."""
    features = {
        name: str(int(boolean(content))) if name in FEATURE_FLAGS else content
        for name, content in parse_properties(value).items()
    }
    return format_properties(features) or None


class _Source:
    """A raw configuration, which records the keys that have been used."""

    def __init__(self, guest_type: GuestType, raw: Mapping[str, object]) -> None:
        self.guest_type = guest_type
        self.raw = raw
        self.nic_keys = nic_keys(raw)
        self.disk_keys = disk_keys(guest_type, raw)
        self._used = {*self.nic_keys, *self.disk_keys}

    def read[T](self, key: str, parse: Callable[[object], T], default: T) -> Reading[T]:
        """Return the parsed value of a key, or the default if it is absent, null or empty."""
        self._used.add(key)
        value = self.raw.get(key)
        return default if value is None or value == '' else read_value(parse, value, key)

    def nics(self) -> tuple[Nic, ...]:
        """Return all NICs, including unreadable ones."""
        return tuple(parse_nic(self.guest_type, key, self.raw[key]) for key in self.nic_keys)

    def disks(self) -> tuple[Disk, ...]:
        """Return all disks and mount points, including unreadable ones."""
        disks = (parse_disk(self.guest_type, key, self.raw[key]) for key in self.disk_keys)
        return tuple(disk for disk in disks if disk is not None)

    def extra(self) -> dict[str, str]:
        """Return the keys that neither `read` has been called for nor UNUSED_KEYS lists, with their values as text."""
        unused = UNUSED_KEYS[self.guest_type]
        return {
            key: as_text(self.raw[key]) for key in sorted(self.raw.keys() - self._used) if not unused.fullmatch(key)
        }


def parse_config(guest_type: GuestType, raw: object) -> GuestConfig:
    """
    Parse a guest's configuration, with Proxmox VE's defaults for keys that are absent, null or ''.

    An attribute that cannot be read is Unreadable with the reason; the others are not affected. Unknown keys are stored
    as text in `extra`. Their values may be secrets: log the keys, never the values.

    Raises:
        ParseError: `raw` is not a mapping.
    """
    guest_type = GuestType(guest_type)
    if not isinstance(raw, Mapping):
        raise ParseError(Message('The configuration is not a set of keys and values.'))
    source = _Source(guest_type, raw)
    return _virtual_machine(source) if guest_type is GuestType.QEMU else _container(source)


def _virtual_machine(source: _Source) -> GuestConfig:
    roles = drive_roles(source.raw, source.disk_keys)
    order = read_value(lambda _raw: boot_order(source.raw, roles, source.nic_keys), source.raw, 'boot')
    disk: Reading[str | None]
    disk = read_value(lambda _raw: boot_disk(order, roles), source.raw, 'boot') if known(order) else order
    return GuestConfig(
        name=source.read('name', optional_text, None),
        description=source.read('description', text, ''),
        memory=source.read('memory', _memory, DEFAULT_MEMORY * MIB),
        min_memory=source.read('balloon', _balloon, None),
        sockets=_sockets(source),
        cores=source.read('cores', _cores, 1),
        vcpus=source.read('vcpus', _positive_or_none, None),
        cpulimit=source.read('cpulimit', _cpulimit, None),
        start_on_boot=source.read('onboot', boolean, False),
        ostype=source.read('ostype', optional_text, None),
        tags=source.read('tags', parse_tags, ()),
        template=source.read('template', boolean, False),
        lock=source.read('lock', optional_text, None),
        nics=source.nics(),
        disks=source.disks(),
        boot_order=order,
        boot_disk=disk,
        agent=source.read('agent', _agent, False),
        uuid=source.read('smbios1', _smbios_uuid, None),
        created=source.read('meta', _created, None),
        cpu_type=source.read('cpu', _cpu_type, None),  # absent: see `qemu_defaults`
        bios=source.read('bios', optional_text, 'seabios'),
        machine=source.read('machine', _machine, None),  # absent: see `qemu_defaults`
        numa=source.read('numa', boolean, False),
        architecture=source.read('arch', optional_text, None),  # absent: that of the host
        unprivileged=None,
        features=None,
        kvm=source.read('kvm', boolean, None),
        cloudinit=_cloudinit(source.raw),
        cloudinit_custom=source.read('cicustom', _custom_network, False),
        cloudinit_drive=_cloudinit_drive(roles),
        extra=source.extra(),
    )


def _container(source: _Source) -> GuestConfig:
    return GuestConfig(
        name=source.read('hostname', optional_text, None),
        description=source.read('description', text, ''),
        memory=source.read('memory', _container_memory, DEFAULT_MEMORY * MIB),
        min_memory=None,
        sockets=None,
        cores=source.read('cores', _positive_or_none, None),
        vcpus=None,
        cpulimit=source.read('cpulimit', _cpulimit, None),
        start_on_boot=source.read('onboot', _container_flag, False),
        ostype=source.read('ostype', optional_text, None),
        tags=source.read('tags', parse_tags, ()),
        template=source.read('template', _container_template, False),
        lock=source.read('lock', optional_text, None),
        nics=source.nics(),
        disks=source.disks(),
        boot_order=(),
        boot_disk='rootfs' if 'rootfs' in source.raw else None,
        agent=False,
        uuid=None,
        created=None,
        cpu_type=None,
        bios=None,
        machine=None,
        numa=None,
        architecture=source.read('arch', optional_text, 'amd64'),
        unprivileged=source.read('unprivileged', _container_flag, False),
        features=source.read('features', _features, None),
        extra=source.extra(),
    )


def _sockets(source: _Source) -> Reading[int]:
    """`sockets`, or `smp`, the name of this key in old versions."""
    sockets = source.read('sockets', _positive_or_none, None)
    if sockets is None:
        sockets = source.read('smp', _positive_or_none, None)
    return 1 if sockets is None else sockets


def _cores(value: object) -> int:
    return _positive_or_none(value) or 1  # qemu-server: `$conf->{cores} || 1`


def _cloudinit_drive(roles: DriveRoles) -> Reading[bool]:
    """Whether there is a drive that passes the cloud-init configuration to the guest."""
    if DriveRole.CLOUD_INIT in roles.values():
        return True
    errors = (role for role in roles.values() if isinstance(role, ParseError))
    return next((Unreadable(Message('"drive" cannot be read: {problem}.', problem=error)) for error in errors), False)


def _cloudinit(raw: Mapping[str, object]) -> dict[int, Reading[Mapping[str, str]]]:
    configs = {
        int(match[1]): read_value(_ip_config, raw[match[0]], match[0])
        for match in filter(None, map(IP_CONFIG.fullmatch, raw))
    }
    return dict(sorted(configs.items()))


def _ip_config(value: object) -> dict[str, str]:
    """
    One `ipconfigN`.

    qemu-server ignores the whole value if it has a gateway without an address, or with `dhcp` or `auto` (parse_ipconfig
    in PVE/QemuServer/Network.pm): cloud-init then configures nothing.
    """
    wish = parse_properties(value)
    is_ignored = any(gateway in wish and wish.get(address) in NO_ADDRESSES for gateway, address in GATEWAYS)
    return {} if is_ignored else wish
