"""Boot order of virtual machines, resolved as qemu-server does (device_bootorder in PVE/QemuServer.pm)."""

import re
from collections.abc import Mapping

from ..inventory import GuestType
from ..properties import ParseError, parse_properties, parse_tags, text
from .disks import DriveRole, disk_keys, drive_role
from .nics import nic_keys

__all__ = ('boot_disk', 'boot_order')

# What Proxmox uses when `boot` is absent: disk, CD-ROM, network.
LEGACY_DEFAULT = 'cdn'
LEGACY = re.compile('[acdn]{1,4}')
# Volumes that `bootdisk` may name beside the drives.
OTHER_VOLUMES = ('efidisk0', 'tpmstate0')


def boot_order(config: Mapping[str, object]) -> tuple[str, ...]:
    """
    The devices that Proxmox gives a boot index, in order, from a raw configuration.

    `boot: order=a;b` names them. The old form (`boot: cdn`, or no `boot` at all) stands for the drive in `bootdisk`
    unless that is a CD-ROM, all CD-ROMs and all NICs; any other disk gets no boot index there, so it is not listed. If
    both forms are given, the old one counts. A blank `boot` means no device. Devices that do not exist are left out.

    Raises ParseError if `boot`, `bootdisk` or a drive on which the order depends cannot be read.
    """
    if config.get('boot') is None:
        return _legacy_order(config, LEGACY_DEFAULT)
    boot = parse_properties(config['boot'], default_key='legacy')
    if 'legacy' in boot:
        if not LEGACY.fullmatch(boot['legacy']):
            raise ParseError(f'{boot["legacy"][:40]} is not a boot order')
        return _legacy_order(config, boot['legacy'])
    # The same separators as for tags: Proxmox splits both with the same function.
    return tuple(device for device in parse_tags(boot.get('order')) if device in config)


def boot_disk(config: Mapping[str, object], order: tuple[str, ...]) -> str | None:
    """
    The first disk in the boot order; None if there is none. Raises ParseError if a drive before it cannot be read.
    """
    drives = set(disk_keys(GuestType.QEMU, config))
    return next((key for key in order if key in drives and _role(config, key) is DriveRole.DISK), None)


def _legacy_order(config: Mapping[str, object], letters: str) -> tuple[str, ...]:
    drives = disk_keys(GuestType.QEMU, config)
    cdroms = [key for key in drives if 'd' in letters and _role(config, key) is DriveRole.CDROM]
    devices = {'c': _bootdisk(config, drives) if 'c' in letters else [], 'd': cdroms, 'n': nic_keys(config)}
    # Of a letter that is given twice, the last one counts.
    last = [letter for position, letter in enumerate(letters) if letter not in letters[position + 1 :]]
    return tuple(device for letter in last for device in devices.get(letter, ()))


def _bootdisk(config: Mapping[str, object], drives: list[str]) -> list[str]:
    value = config.get('bootdisk')
    name = text(value).strip() if value is not None else ''
    if name in OTHER_VOLUMES and name in config:
        return [name]
    return [name] if name in drives and _role(config, name) is not DriveRole.CDROM else []


def _role(config: Mapping[str, object], key: str) -> DriveRole:
    try:
        return drive_role(config[key])
    except ParseError as error:
        raise ParseError(f'{key}: {error}') from None
