"""Disks and mount points: `ide sata scsi virtio` drives of virtual machines, `rootfs` and `mpN` of containers."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from ..inventory import Disk, GuestType, Reading, Unreadable
from ..messages import Message
from ..properties import ParseError, parse_size, read_properties, read_value, text

__all__ = ('DriveRole', 'disk_keys', 'drive_role', 'parse_disk')

DISK_KEY = {
    GuestType.QEMU: re.compile(r'(ide|sata|scsi|virtio)(0|[1-9][0-9]{0,3})', re.ASCII),
    GuestType.LXC: re.compile(r'rootfs|(mp)(0|[1-9][0-9]{0,3})', re.ASCII),
}
# For virtual machines, the order in which Proxmox VE iterates over drives.
BUSES = ('rootfs', 'mp', 'ide', 'scsi', 'virtio', 'sata')
VOLUME_KEYS = {GuestType.QEMU: ('file', 'volume'), GuestType.LXC: ('volume', 'file')}
# pve-storage, PVE/Storage.pm, parse_volume_id. A path never matches, even if it contains colons.
VOLUME_ID = re.compile(r'([a-z][a-z0-9._-]*[a-z0-9]):(.+)', re.IGNORECASE | re.ASCII | re.DOTALL)
# qemu-server, PVE/QemuServer/Drive.pm, drive_is_cloudinit.
CLOUD_INIT = re.compile(r'[:/](?:vm-[0-9]+-)?cloudinit(?:\.(?:raw|cow|qcow|qcow2|qed|vmdk|cloop))?$')
EXTENSION = re.compile(r'\.(raw|cow|qcow|qcow2|qed|vmdk|cloop|subvol)$')


# Values in place of a volume: an empty drive, and the drive of the host.
NO_VOLUMES = ('none', 'cdrom')


class DriveRole(Enum):
    """The role of a drive of a virtual machine."""

    DISK = 'disk'
    CDROM = 'cdrom'
    CLOUD_INIT = 'cloud-init'
    EMPTY = 'empty'  # `none` or `cdrom` without `media=cdrom`: no volume, and not a CD-ROM for Proxmox VE


def disk_keys(guest_type: GuestType, keys: Iterable[str]) -> list[str]:
    """Return the keys of a configuration for disks, mount points and CD-ROMs, sorted by bus and number."""
    matches = [match for match in map(DISK_KEY[guest_type].fullmatch, keys) if match]
    return [match[0] for match in sorted(matches, key=_position)]


def drive_role(value: object) -> DriveRole:
    """
    Return the role of a drive of a virtual machine from its property string. Raises ParseError if it is unreadable.
    """
    properties = read_properties(value, default_key=VOLUME_KEYS[GuestType.QEMU][0])
    volume = _volume_id(GuestType.QEMU, properties)
    if CLOUD_INIT.search(volume):
        return DriveRole.CLOUD_INIT
    if _require(properties.get('media', 'disk')) == 'cdrom':
        return DriveRole.CDROM
    return DriveRole.DISK if volume not in NO_VOLUMES else DriveRole.EMPTY


def parse_disk(guest_type: GuestType, key: str, value: object) -> Disk | None:
    """
    Parse one disk or mount point; None for a CD-ROM or cloud-init drive.

    An attribute whose sub-key cannot be read is Unreadable; if the volume cannot be read, all are.
    """
    try:
        if guest_type is GuestType.QEMU and drive_role(value) is not DriveRole.DISK:
            return None
        properties = read_properties(value, default_key=VOLUME_KEYS[guest_type][0])
        volume_id = _volume_id(guest_type, properties)
    except ParseError as error:
        return _unreadable(key, Unreadable(Message('"{what}" cannot be read: {problem}.', what=key, problem=error)))
    match = VOLUME_ID.fullmatch(volume_id)
    storage, volume = match.groups() if match else (None, volume_id)
    options = {
        name: read_value(text, properties[name], Message('{name} of {key}', name=name, key=key))
        for name in ('format', 'mp')
        if name in properties
    }
    return Disk(
        key=key,
        size=_size(key, properties.get('size')),
        storage=storage,
        volume=volume,
        format=options.get('format', _format(guest_type, storage, volume)),
        mount_point='/' if key == 'rootfs' else options.get('mp'),
        passthrough=storage is None,
    )


def _unreadable(key: str, why: Unreadable) -> Disk:
    """A drive or mount point that exists, and of which nothing else is known."""
    return Disk(key=key, size=why, storage=why, volume=why, format=why, mount_point=why, passthrough=why)


def _position(match: re.Match[str]) -> tuple[int, int]:
    return BUSES.index(match[1] or match[0]), int(match[2] or 0)


def _volume_id(guest_type: GuestType, properties: Mapping[str, Reading[str]]) -> str:
    """The volume with its storage, or a path. Raises ParseError."""
    named = [name for name in VOLUME_KEYS[guest_type] if name in properties]
    if not named:
        raise ParseError(Message('no volume is given'))
    if len(named) > 1:
        raise ParseError(Message('more than one volume is given'))
    return _require(properties[named[0]])


def _require(value: Reading[str]) -> str:
    """Raises ParseError if it is Unreadable."""
    if isinstance(value, Unreadable):
        raise ParseError(value.reason.as_phrase())
    return value


def _size(key: str, value: Reading[str] | None) -> Reading[int]:
    if value is None:
        return Unreadable(Message('The configuration of {key} gives no size.', key=key))
    size = read_value(parse_size, value, Message('{name} of {key}', name='size', key=key))
    # A subvolume in a directory may have no quota, which Proxmox VE writes as 0.
    return size if isinstance(size, Unreadable) or size else Unreadable(Message('{key} has no size limit.', key=key))


def _format(guest_type: GuestType, storage: str | None, volume: str) -> str | None:
    """
    The format of a volume without `format=`.

    It is the extension of a volume in a file, and 'subvol' for a name with `subvol-`. Every other volume is a block
    device (LVM, ZFS, RBD, ...) and therefore raw. QEMU uses a path without `format=` as raw; a bind mount has no
    format.
    """
    if storage is None:
        return 'raw' if guest_type is GuestType.QEMU else None
    name = volume.rpartition('/')[2]  # for a linked clone, the clone instead of its base
    if extension := EXTENSION.search(name):
        return extension[1]
    return 'subvol' if name.startswith(('subvol-', 'basevol-')) else 'raw'
