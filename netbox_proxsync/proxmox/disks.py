"""Disks and mount points: `ide sata scsi virtio` drives of virtual machines, `rootfs` and `mpN` of containers."""

import re
from collections.abc import Iterable
from enum import Enum

from .inventory import Disk, GuestType, Reading, Unknown
from .properties import Garbled, parse_properties, parse_size

__all__ = ('DriveRole', 'disk_keys', 'drive_role', 'parse_disk')

DISK_KEY = {
    GuestType.QEMU: re.compile(r'(ide|sata|scsi|virtio)(0|[1-9][0-9]{0,3})', re.ASCII),
    GuestType.LXC: re.compile(r'rootfs|(mp)(0|[1-9][0-9]{0,3})', re.ASCII),
}
# For virtual machines the order in which Proxmox walks over the drives.
BUSES = ('rootfs', 'mp', 'ide', 'scsi', 'virtio', 'sata')
VOLUME_KEYS = {GuestType.QEMU: ('file', 'volume'), GuestType.LXC: ('volume', 'file')}
# pve-storage, PVE/Storage.pm, parse_volume_id. A path never matches, whatever colons it has.
VOLUME_ID = re.compile(r'([a-z][a-z0-9._-]*[a-z0-9]):(.+)', re.IGNORECASE | re.ASCII | re.DOTALL)
# qemu-server, PVE/QemuServer/Drive.pm, drive_is_cloudinit.
CLOUD_INIT = re.compile(r'[:/](?:vm-[0-9]+-)?cloudinit(?:\.(?:raw|cow|qcow|qcow2|qed|vmdk|cloop))?$')
EXTENSION = re.compile(r'\.(raw|cow|qcow|qcow2|qed|vmdk|cloop|subvol)$')


class DriveRole(Enum):
    """What a drive of a virtual machine is."""

    DISK = 'disk'
    CDROM = 'cdrom'
    CLOUD_INIT = 'cloud-init'


def disk_keys(guest_type: GuestType, keys: Iterable[str]) -> list[str]:
    """Those of the keys of a configuration that hold disks, mount points or CD-ROMs: by bus, then number."""
    matches = [match for match in map(DISK_KEY[guest_type].fullmatch, keys) if match]
    return [match[0] for match in sorted(matches, key=_position)]


def drive_role(properties: dict[str, str]) -> DriveRole:
    """What a drive is, from the sub-keys of its property string."""
    volume = _volume_text(GuestType.QEMU, properties)
    if CLOUD_INIT.search(volume):
        return DriveRole.CLOUD_INIT
    # 'none' is an empty tray and 'cdrom' the host's own drive.
    if properties.get('media') == 'cdrom' or volume in ('none', 'cdrom'):
        return DriveRole.CDROM
    return DriveRole.DISK


def parse_disk(guest_type: GuestType, key: str, value: object) -> Disk | None:
    """
    One disk or mount point; None if it is a CD-ROM or cloud-init drive.

    Raises:
        Garbled: It is no property string, or it names no volume.
    """
    properties = parse_properties(value, default_key=VOLUME_KEYS[guest_type][0])
    if guest_type is GuestType.QEMU and drive_role(properties) is not DriveRole.DISK:
        return None
    volume_id = VOLUME_ID.fullmatch(_volume_text(guest_type, properties))
    storage, volume = volume_id.groups() if volume_id else (None, _volume_text(guest_type, properties))
    return Disk(
        key=key,
        size=_size(key, properties.get('size')),
        storage=storage,
        volume=volume,
        format=properties.get('format') or _format(guest_type, storage, volume),
        mount_point='/' if key == 'rootfs' else properties.get('mp'),
        passthrough=storage is None,
    )


def _position(match: re.Match) -> tuple[int, int]:
    return BUSES.index(match[1] or match[0]), int(match[2] or 0)


def _volume_text(guest_type: GuestType, properties: dict[str, str]) -> str:
    for name in VOLUME_KEYS[guest_type]:
        if properties.get(name):
            return properties[name]
    raise Garbled('it names no volume')


def _size(key: str, value: str | None) -> Reading[int]:
    if value is None:
        return Unknown(f'The configuration of {key} gives no size.')
    try:
        size = parse_size(value)
    except Garbled as error:
        return Unknown(f'The size of {key} cannot be read: {error}.')
    # A subvolume in a directory may have no quota, which Proxmox writes as 0.
    return size or Unknown(f'{key} has no size limit.')


def _format(guest_type: GuestType, storage: str | None, volume: str) -> str | None:
    """
    The format of a volume without `format=`.

    Volumes in files tell it by their extension; file systems by the name `subvol-`; everything else is a block volume
    (LVM, ZFS, RBD, ...), thus raw. QEMU takes a path without `format=` as raw; a bind mount has no format.
    """
    if storage is None:
        return 'raw' if guest_type is GuestType.QEMU else None
    name = volume.rpartition('/')[2]  # of a linked clone, the clone and not its base
    if extension := EXTENSION.search(name):
        return extension[1]
    return 'subvol' if name.startswith(('subvol-', 'basevol-')) else 'raw'
