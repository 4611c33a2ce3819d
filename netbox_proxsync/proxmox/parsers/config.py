"""
A guest's configuration as Proxmox answers it (`/config?current=1`) -> `GuestConfig`.

qemu-server leaves lines out that it cannot parse. pve-container hands them out as they are.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from ..inventory import GuestConfig, GuestType, Reading, Unreadable
from ..properties import (
    ParseError,
    as_text,
    boolean,
    decimal,
    format_properties,
    integer,
    parse_properties,
    parse_tags,
    parse_uuid,
    read_properties,
    read_value,
    text,
)
from .boot import boot_disk, boot_order
from .disks import DriveRole, disk_keys, drive_role, parse_disk
from .nics import nic_keys, parse_nic

__all__ = ('parse_config',)

MIB = 1024**2

# Keys that Proxmox VE 7.4 to 9.2 have and that no other part of the inventory needs. Among them are those that may hold
# secrets (`args`, `cipassword`): being named here, they never reach `GuestConfig.extra`.
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
# Sub-keys of `ipconfigN`, and what its addresses may be instead of an address.
GATEWAYS = (('gw', 'ip'), ('gw6', 'ip6'))
NO_ADDRESSES = (None, 'dhcp', 'auto')
IP_CONFIG = re.compile(r'ipconfig(0|[1-9][0-9]{0,3})', re.ASCII)


def _word(value: object) -> str | None:
    return text(value).strip() or None


def _positive(value: object) -> int:
    number = integer(value)
    if number < 1:
        raise ParseError(f'{number} is not a positive number')
    return number


def _positive_or_none(value: object) -> int | None:
    number = integer(value)
    if number < 0:
        raise ParseError(f'{number} is negative')
    return number or None


def _memory(value: object) -> int:
    """Of a virtual machine. 7.x takes 0 for "not configured"; newer versions refuse it."""
    return (_positive_or_none(_part(value, 'current', default_key='current')) or DEFAULT_MEMORY) * MIB


def _container_memory(value: object) -> int:
    return _positive(value) * MIB


def _balloon(value: object) -> int | None:
    mebibytes = _positive_or_none(value)
    return mebibytes and mebibytes * MIB


def _cpulimit(value: object) -> Decimal | None:
    limit = decimal(value)
    if limit < 0:
        raise ParseError(f'{limit} is negative')
    return limit or None


def _container_flag(value: object) -> bool:
    """A container's boolean, which Proxmox hands out as it is; as Perl does, it takes any number but 0 for true."""
    try:
        return boolean(value)
    except ParseError:
        return _positive_or_none(value) is not None


def _container_template(value: object) -> bool:
    """No number but 1 makes a container a template (pve-guest-common, AbstractConfig.pm, is_template)."""
    try:
        return boolean(value)
    except ParseError:
        return integer(value) == 1


def _optional_part(value: object, name: str, default_key: str | None = None) -> str | None:
    """One sub-key of a property string, None if it is absent. Raises ParseError if it cannot be read."""
    content = read_properties(value, default_key).get(name)
    if isinstance(content, Unreadable):
        raise ParseError(content.reason.rstrip('.'))
    return content


def _part(value: object, name: str, default_key: str | None = None) -> str:
    """One sub-key of a property string. Raises ParseError if it is absent or cannot be read."""
    content = _optional_part(value, name, default_key)
    if content is None:
        raise ParseError(f'it has no "{name}"')
    return content


def _agent(value: object) -> bool:
    return boolean(_optional_part(value, 'enabled', default_key='enabled') or '0')


def _smbios_uuid(value: object) -> str | None:
    # `base64=1` is about all sub-keys but the UUID.
    uuid = _optional_part(value, 'uuid')
    return uuid and parse_uuid(uuid)


def _created(value: object) -> int | None:
    created = _optional_part(value, 'ctime')
    return created and _positive(created)


def _cpu_type(value: object) -> str:
    return _part(value, 'cputype', default_key='cputype')


def _machine(value: object) -> str | None:
    return _optional_part(value, 'type', default_key='type')


def _custom_network(value: object) -> bool:
    return _optional_part(value, 'network') is not None


def _features(value: object) -> str | None:
    """In one spelling: sub-keys sorted (Proxmox writes them in random order), and flags as 0 and 1."""
    features = {
        name: str(int(boolean(content))) if name in FEATURE_FLAGS else content
        for name, content in parse_properties(value).items()
    }
    return format_properties(features) or None


@dataclass(frozen=True, slots=True)
class _Key:
    """
    How one attribute of GuestConfig comes out of one key.

    Attributes:
        name: The key in Proxmox.
        read: Value as Proxmox sends it -> attribute. Raises ParseError.
        default: The attribute where the key is absent.
    """

    name: str
    read: Callable[[object], object]
    default: object = None


COMMON = {
    'description': _Key('description', text, ''),
    'ostype': _Key('ostype', _word),
    'tags': _Key('tags', parse_tags, ()),
    'lock': _Key('lock', _word),
    'cpulimit': _Key('cpulimit', _cpulimit),
}
KEYS = {
    GuestType.QEMU: COMMON
    | {
        'name': _Key('name', _word),
        'start_on_boot': _Key('onboot', boolean, False),
        'template': _Key('template', boolean, False),
        'memory': _Key('memory', _memory, DEFAULT_MEMORY * MIB),
        'min_memory': _Key('balloon', _balloon),
        'sockets': _Key('sockets', _positive_or_none),  # absent: see _sockets
        'cores': _Key('cores', lambda value: _positive_or_none(value) or 1, 1),  # qemu-server: `$conf->{cores} || 1`
        'vcpus': _Key('vcpus', _positive_or_none),
        'agent': _Key('agent', _agent, False),
        'uuid': _Key('smbios1', _smbios_uuid),
        'created': _Key('meta', _created),
        'cpu_type': _Key('cpu', _cpu_type),  # absent: see `defaults`
        'bios': _Key('bios', _word, 'seabios'),
        'machine': _Key('machine', _machine),  # absent: see `defaults`
        'numa': _Key('numa', boolean, False),
        'architecture': _Key('arch', _word),  # absent: that of the host
        'kvm': _Key('kvm', boolean),
        'cloudinit_custom': _Key('cicustom', _custom_network, False),
    },
    GuestType.LXC: COMMON
    | {
        'name': _Key('hostname', _word),
        'start_on_boot': _Key('onboot', _container_flag, False),
        'template': _Key('template', _container_template, False),
        'memory': _Key('memory', _container_memory, DEFAULT_MEMORY * MIB),
        'cores': _Key('cores', _positive_or_none),
        'architecture': _Key('arch', _word, 'amd64'),
        'unprivileged': _Key('unprivileged', _container_flag, False),
        'features': _Key('features', _features),
    },
}
# Attributes that a kind of guest does not have.
MISSING = {
    GuestType.QEMU: {'unprivileged': None, 'features': None},
    GuestType.LXC: dict.fromkeys(
        ('min_memory', 'sockets', 'vcpus', 'uuid', 'created', 'cpu_type', 'bios', 'machine', 'numa')
    )
    | {'agent': False, 'boot_order': ()},
}


def parse_config(guest_type: GuestType, raw: object) -> GuestConfig:
    """
    A guest's configuration, with Proxmox's defaults where a key is absent (null and '' count as absent).

    What cannot be read is Unreadable with the reason, each attribute by itself. Keys that this version does not know
    are kept as text in `extra`; their values may be anything: name the keys in a log, never the values.

    Raises:
        ParseError: `raw` is no mapping.
    """
    guest_type = GuestType(guest_type)
    if not isinstance(raw, Mapping):
        raise ParseError('The configuration is not a set of keys and values.')
    attributes: dict[str, object] = dict(MISSING[guest_type])
    for attribute, key in KEYS[guest_type].items():
        attributes[attribute] = _read(raw, key)
    disks = (parse_disk(guest_type, key, raw[key]) for key in disk_keys(guest_type, raw))
    attributes['nics'] = tuple(parse_nic(guest_type, key, raw[key]) for key in nic_keys(raw))
    attributes['disks'] = tuple(disk for disk in disks if disk is not None)
    attributes['boot_disk'] = 'rootfs' if 'rootfs' in raw else None
    if guest_type is GuestType.QEMU:
        attributes['sockets'] = _sockets(raw, attributes['sockets'])
        attributes |= _boot(raw)
        attributes['cloudinit'] = _cloudinit(raw)
        attributes['cloudinit_drive'] = _cloudinit_drive(raw[key] for key in disk_keys(guest_type, raw))
    return GuestConfig(**attributes, extra={key: as_text(raw[key]) for key in _unknown_keys(guest_type, raw)})


def _read(raw: Mapping[str, object], key: _Key) -> Reading[object]:
    value = raw.get(key.name)
    return key.default if value is None or value == '' else read_value(key.read, value, key.name)


def _sockets(raw: Mapping[str, object], sockets: Reading[int | None]) -> Reading[int]:
    """`sockets`, else `smp`, which is what old versions called them."""
    if sockets is not None:
        return sockets
    smp = _read(raw, _Key('smp', _positive_or_none))
    return smp if isinstance(smp, Unreadable) else smp or 1


def _boot(raw: Mapping[str, object]) -> dict[str, object]:
    order = read_value(boot_order, raw, 'boot')
    disk = order if isinstance(order, Unreadable) else read_value(lambda raw: boot_disk(raw, order), raw, 'boot')
    return {'boot_order': order, 'boot_disk': disk}


def _cloudinit_drive(drives: Iterable[object]) -> Reading[bool]:
    """Whether a drive takes what cloud-init asks for into the guest."""
    roles = [read_value(drive_role, drive, 'drive') for drive in drives]
    if DriveRole.CLOUD_INIT in roles:
        return True
    return next((role for role in roles if isinstance(role, Unreadable)), False)


def _cloudinit(raw: Mapping[str, object]) -> dict[int, Reading[Mapping[str, str]]]:
    configs = {
        int(match[1]): read_value(_ip_config, raw[match[0]], match[0])
        for match in filter(None, map(IP_CONFIG.fullmatch, raw))
    }
    return dict(sorted(configs.items()))


def _ip_config(value: object) -> dict[str, str]:
    """
    One `ipconfigN`.

    qemu-server ignores the whole of it if a gateway stands beside no address, `dhcp` or `auto` (parse_ipconfig in
    PVE/QemuServer/Network.pm): cloud-init then configures nothing.
    """
    wish = parse_properties(value)
    is_ignored = any(gateway in wish and wish.get(address) in NO_ADDRESSES for gateway, address in GATEWAYS)
    return {} if is_ignored else wish


def _unknown_keys(guest_type: GuestType, raw: Mapping[str, object]) -> list[str]:
    known = {key.name for key in KEYS[guest_type].values()}
    known.update(nic_keys(raw), disk_keys(guest_type, raw))
    return sorted(key for key in raw if key not in known and not UNUSED_KEYS[guest_type].fullmatch(key))
