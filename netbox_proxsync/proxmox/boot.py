"""Boot order of virtual machines, resolved as qemu-server does (device_bootorder in PVE/QemuServer.pm)."""

from collections.abc import Mapping

from .disks import DriveRole, disk_keys, drive_role
from .inventory import GuestType
from .nics import nic_keys
from .properties import Garbled, parse_properties, parse_tags, text

__all__ = ('boot_disk', 'boot_order')

# What Proxmox uses when nothing is configured: disk, CD-ROM, network.
LEGACY_DEFAULT = 'cdn'


def boot_order(config: Mapping[str, object]) -> tuple[str, ...]:
    """
    The devices that Proxmox gives a boot index, in order, from a raw configuration.

    `boot: order=a;b` names them. The old form (`boot: cdn`, or no `boot` at all) stands for the drive in `bootdisk`,
    all CD-ROMs and all NICs; a disk that is not the `bootdisk` gets no boot index there, so it is not listed. Devices
    that do not exist are left out. Raises Garbled if `boot` cannot be read.
    """
    boot = parse_properties(config.get('boot') or '', default_key='legacy')
    if 'order' in boot:
        # The same separators as for tags: Proxmox splits both with the same function.
        return tuple(device for device in parse_tags(boot['order']) if device in config)
    letters = dict.fromkeys(boot.get('legacy') or LEGACY_DEFAULT)
    devices = {
        'c': [device for device in (_bootdisk(config),) if device in config],
        'd': _cdroms(config),
        'n': nic_keys(config),
    }
    return tuple(device for letter in letters for device in devices.get(letter, ()))


def boot_disk(config: Mapping[str, object], order: tuple[str, ...], disks: frozenset[str]) -> str | None:
    """The first of `order` that is a disk, else the `bootdisk` of the old form if that is one, else None."""
    return next((device for device in (*order, _bootdisk(config)) if device in disks), None)


def _bootdisk(config: Mapping[str, object]) -> str:
    value = config.get('bootdisk')
    return text(value).strip() if value is not None else ''


def _cdroms(config: Mapping[str, object]) -> list[str]:
    return [key for key in disk_keys(GuestType.QEMU, config) if _is_cdrom(config[key])]


def _is_cdrom(value: object) -> bool:
    try:
        return drive_role(parse_properties(value, default_key='file')) is DriveRole.CDROM
    except Garbled:
        return False
