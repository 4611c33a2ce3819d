"""A guest's configuration as Proxmox answers it (`/config?current=1`) -> `GuestConfig`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from .boot import boot_disk, boot_order
from .disks import DriveRole, disk_keys, drive_role, parse_disk
from .inventory import Disk, GuestConfig, GuestType, Nic
from .nics import nic_keys, parse_nic
from .properties import (
    Garbled,
    as_text,
    boolean,
    decimal,
    format_properties,
    integer,
    parse_properties,
    parse_tags,
    parse_uuid,
    text,
)

__all__ = ('parse_config',)

MIB = 1024**2

# Keys that Proxmox VE 7.4 to 9.2 have and that no part of the inventory needs. Among them are those that may hold
# secrets (`args`, `cipassword`): being named here, they never reach `GuestConfig.extra`.
UNUSED_KEYS = {
    GuestType.QEMU: re.compile(
        r"""
        acpi | affinity | allow-ksm | amd-sev | args | audio0 | autostart | boot | bootdisk | cdrom | cipassword
        | citype | ciupgrade | ciuser | cpuunits | digest | efidisk0 | freeze | hookscript | hostpci\d+ | hotplug
        | hugepages | intel-tdx | ipconfig\d+ | ivshmem | keephugepages | keyboard | kvm | localtime | migrate_downtime
        | migrate_speed | nameserver | numa\d+ | parallel\d+ | parent | protection | reboot | rng0
        | running-nets-host-mtu | runningcpu | runningmachine | scsihw | searchdomain | serial\d+ | shares | smp
        | snapstate | snaptime | spice_enhancements | sshkeys | startdate | startup | tablet | tdf | tpmstate0
        | unused\d+ | usb\d+ | vga | virtiofs\d+ | vmstate | vmstatestorage | watchdog
        """,
        re.ASCII | re.VERBOSE,
    ),
    GuestType.LXC: re.compile(
        r"""
        cmode | console | cpuunits | debug | dev\d+ | digest | entrypoint | env | hookscript | nameserver | parent
        | protection | searchdomain | snapstate | snaptime | startup | swap | timezone | tty | unused\d+
        """,
        re.ASCII | re.VERBOSE,
    ),
}
IP_CONFIG = re.compile(r'ipconfig(0|[1-9][0-9]{0,3})', re.ASCII)


def _word(value: object) -> str | None:
    return text(value).strip() or None


def _positive(value: object) -> int:
    number = integer(value)
    if number < 1:
        raise Garbled(f'{number} is not a positive number')
    return number


def _positive_or_none(value: object) -> int | None:
    number = integer(value)
    if number < 0:
        raise Garbled(f'{number} is negative')
    return number or None


def _cores(value: object) -> int:
    return _positive_or_none(value) or 1  # qemu-server: `$conf->{cores} || 1`


def _memory(value: object) -> int:
    return _positive(_part(value, 'current', default_key='current')) * MIB


def _balloon(value: object) -> int | None:
    mebibytes = _positive_or_none(value)
    return mebibytes and mebibytes * MIB


def _cpulimit(value: object) -> Decimal | None:
    limit = decimal(value)
    if limit < 0:
        raise Garbled(f'{limit} is negative')
    return limit or None


def _part(value: object, name: str, default_key: str | None = None) -> str:
    """One sub-key of a property string; Garbled if it is missing."""
    try:
        return parse_properties(value, default_key)[name]
    except KeyError:
        raise Garbled(f'it has no "{name}"') from None


def _agent(value: object) -> bool:
    return boolean(parse_properties(value, default_key='enabled').get('enabled', '0'))


def _smbios_uuid(value: object) -> str | None:
    # `base64=1` is about all sub-keys but the UUID.
    properties = parse_properties(value)
    return parse_uuid(properties['uuid']) if 'uuid' in properties else None


def _vmgenid(value: object) -> str | None:
    # '0' switches it off; '1' is a request to make one.
    return None if text(value).strip() in ('0', '1') else parse_uuid(value)


def _created(value: object) -> int | None:
    properties = parse_properties(value)
    return _positive(properties['ctime']) if 'ctime' in properties else None


def _cpu_type(value: object) -> str:
    return _part(value, 'cputype', default_key='cputype')


def _machine(value: object) -> str | None:
    return parse_properties(value, default_key='type').get('type')


def _custom_network(value: object) -> bool:
    return 'network' in parse_properties(value)


def _features(value: object) -> str:
    # Proxmox writes sub-keys in random order; sorted, an unchanged configuration stays an unchanged text.
    return format_properties(parse_properties(value))


@dataclass(frozen=True, slots=True)
class _Key:
    """
    How one attribute of GuestConfig comes out of one key.

    Attributes:
        name: The key in Proxmox.
        read: Value as Proxmox sends it -> attribute. Raises Garbled.
        default: The attribute where the key is absent.
        fact: A value that cannot be read makes the whole configuration unreadable, because the default would be
            written to NetBox over what is true. Else the default is taken and the value kept in `extra`.
    """

    name: str
    read: Callable[[object], object]
    default: object = None
    fact: bool = False


COMMON = {
    'description': _Key('description', text, '', fact=True),
    'start_on_boot': _Key('onboot', boolean, False, fact=True),
    'ostype': _Key('ostype', _word),
    'tags': _Key('tags', parse_tags, (), fact=True),
    'template': _Key('template', boolean, False, fact=True),
    'lock': _Key('lock', _word),
    'memory': _Key('memory', _memory, 512 * MIB, fact=True),
    'cpulimit': _Key('cpulimit', _cpulimit, fact=True),
}
KEYS = {
    GuestType.QEMU: COMMON
    | {
        'name': _Key('name', _word),
        'min_memory': _Key('balloon', _balloon, fact=True),
        'sockets': _Key('sockets', _cores, 1, fact=True),
        'cores': _Key('cores', _cores, 1, fact=True),
        'vcpus': _Key('vcpus', _positive_or_none, fact=True),
        'agent': _Key('agent', _agent, False),
        'uuid': _Key('smbios1', _smbios_uuid),
        'vmgenid': _Key('vmgenid', _vmgenid),
        'created': _Key('meta', _created),
        'cpu_type': _Key('cpu', _cpu_type),  # absent: see _default_cpu_type
        'bios': _Key('bios', _word, 'seabios'),
        'machine': _Key('machine', _machine),  # absent: see _default_machine
        'numa': _Key('numa', boolean, False),
        'architecture': _Key('arch', _word),  # absent: that of the host
        'cloudinit_custom': _Key('cicustom', _custom_network, False),
    },
    GuestType.LXC: COMMON
    | {
        'name': _Key('hostname', _word),
        'cores': _Key('cores', _positive_or_none, fact=True),
        'architecture': _Key('arch', _word, 'amd64'),
        'unprivileged': _Key('unprivileged', boolean, False),
        'features': _Key('features', _features),
    },
}
# Attributes that a kind of guest does not have.
MISSING = {
    GuestType.QEMU: {'unprivileged': None, 'features': None},
    GuestType.LXC: dict.fromkeys(
        ('min_memory', 'sockets', 'vcpus', 'uuid', 'vmgenid', 'created', 'cpu_type', 'bios', 'machine', 'numa')
    )
    | {'agent': False, 'boot_order': ()},
}


def parse_config(guest_type: GuestType, raw: object) -> GuestConfig:
    """
    A guest's configuration, with Proxmox's defaults where a key is absent (null and '' count as absent).

    Keys that this version does not know are kept as text in `extra`, and so are values of descriptive keys that
    cannot be read. Their values may be anything: name the keys in a log, never the values.

    Raises:
        Garbled: `raw` is no mapping; or a NIC, a disk, or a number that NetBox takes over as a fact cannot be read.
            Going on without it would write something false into NetBox, or take a NIC for removed.
    """
    guest_type = GuestType(guest_type)
    if not isinstance(raw, Mapping):
        raise Garbled('The configuration is not a set of keys and values.')
    extra: dict[str, str] = {}
    attributes: dict[str, object] = dict(MISSING[guest_type])
    for attribute, key in KEYS[guest_type].items():
        attributes[attribute] = _read(raw, key, extra)
    attributes['nics'] = tuple(_nics(guest_type, raw))
    attributes['disks'] = tuple(_disks(guest_type, raw))
    attributes['boot_disk'] = 'rootfs' if 'rootfs' in raw else None
    if guest_type is GuestType.QEMU:
        attributes |= _boot(raw, attributes['disks'], extra)
        attributes['cpu_type'] = attributes['cpu_type'] or _default_cpu_type(raw)
        attributes['machine'] = attributes['machine'] or _default_machine(raw)
        attributes['cloudinit'] = _cloudinit(raw, extra)
        attributes['cloudinit_drive'] = _has_cloudinit_drive(raw)
    extra |= {key: as_text(raw[key]) for key in _unknown_keys(guest_type, raw)}
    return GuestConfig(**attributes, extra=extra)


def _default_cpu_type(raw: Mapping[str, object]) -> str:
    """
    The CPU type of a virtual machine without `cpu`.

    qemu-server 7 to 9, PVE/QemuServer/CPUConfig.pm, get_default_cpu_type. (The `x86-64-v2-AES` of newer versions is
    what their web interface writes into the configuration of a new machine.)
    """
    if raw.get('arch') == 'aarch64':
        return 'cortex-a57'
    return 'qemu64' if raw.get('kvm') in (0, '0') else 'kvm64'


def _default_machine(raw: Mapping[str, object]) -> str:
    """The machine type of a virtual machine without `machine` (qemu-server, PVE/QemuServer/Machine.pm)."""
    return 'virt' if raw.get('arch') == 'aarch64' else 'pc'


def _read(raw: Mapping[str, object], key: _Key, extra: dict[str, str]) -> object:
    value = raw.get(key.name)
    if value is None or value == '':
        return key.default
    try:
        return key.read(value)
    except Garbled as error:
        if key.fact:
            raise Garbled(f'"{key.name}" cannot be read: {error}.') from error
        extra[key.name] = as_text(value)
        return key.default


def _nics(guest_type: GuestType, raw: Mapping[str, object]) -> list[Nic]:
    return [_named(parse_nic, guest_type, key, raw[key]) for key in nic_keys(raw)]


def _disks(guest_type: GuestType, raw: Mapping[str, object]) -> list[Disk]:
    disks = (_named(parse_disk, guest_type, key, raw[key]) for key in disk_keys(guest_type, raw))
    return [disk for disk in disks if disk is not None]


def _named[T](parse: Callable[[GuestType, str, object], T], guest_type: GuestType, key: str, value: object) -> T:
    try:
        return parse(guest_type, key, value)
    except Garbled as error:
        raise Garbled(f'"{key}" cannot be read: {error}.') from error


def _boot(raw: Mapping[str, object], disks: tuple[Disk, ...], extra: dict[str, str]) -> dict[str, object]:
    try:
        order = boot_order(raw)
        return {'boot_order': order, 'boot_disk': boot_disk(raw, order, frozenset(disk.key for disk in disks))}
    except Garbled:
        extra |= {key: as_text(raw[key]) for key in ('boot', 'bootdisk') if key in raw}
        return {'boot_order': (), 'boot_disk': None}


def _has_cloudinit_drive(raw: Mapping[str, object]) -> bool:
    """Whether a drive takes what cloud-init asks for into the guest."""
    return any(_is_cloudinit_drive(raw[key]) for key in disk_keys(GuestType.QEMU, raw))


def _is_cloudinit_drive(value: object) -> bool:
    try:
        return drive_role(parse_properties(value, default_key='file')) is DriveRole.CLOUD_INIT
    except Garbled:
        return False


def _cloudinit(raw: Mapping[str, object], extra: dict[str, str]) -> dict[int, dict[str, str]]:
    configs = {}
    for match in filter(None, map(IP_CONFIG.fullmatch, raw)):
        try:
            configs[int(match[1])] = parse_properties(raw[match[0]])
        except Garbled:
            extra[match[0]] = as_text(raw[match[0]])
    return dict(sorted(configs.items()))


def _unknown_keys(guest_type: GuestType, raw: Mapping[str, object]) -> list[str]:
    known = {key.name for key in KEYS[guest_type].values()}
    known.update(nic_keys(raw), disk_keys(guest_type, raw))
    return sorted(key for key in raw if key not in known and not UNUSED_KEYS[guest_type].fullmatch(key))
