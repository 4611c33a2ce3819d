"""The boot order of virtual machines, resolved as in qemu-server (device_bootorder in PVE/QemuServer.pm)."""

import re
from collections.abc import Mapping, Sequence

from ..messages import Message
from ..properties import ParseError, parse_properties, parse_tags, text
from .disks import DriveRole, drive_role

__all__ = ('DriveRoles', 'boot_disk', 'boot_order', 'drive_roles')

# The order if `boot` is absent: disk, CD-ROM, network.
LEGACY_DEFAULT = 'cdn'
LEGACY = re.compile('[acdn]{1,4}')
# Volumes other than drives that `bootdisk` may name.
OTHER_VOLUMES = ('efidisk0', 'tpmstate0')


type DriveRoles = Mapping[str, DriveRole | ParseError]
"""The role of each drive by its key, in the order in which Proxmox VE iterates over drives; or why it is unreadable."""


def drive_roles(config: Mapping[str, object], drives: Sequence[str]) -> DriveRoles:
    """Return the roles of the drives with the given keys of a raw configuration."""
    roles: dict[str, DriveRole | ParseError] = {}
    for key in drives:
        try:
            roles[key] = drive_role(config[key])
        except ParseError as error:
            roles[key] = error
    return roles


def boot_order(config: Mapping[str, object], roles: DriveRoles, nics: Sequence[str]) -> tuple[str, ...]:
    """
    Return the devices to which Proxmox VE assigns a boot index, in order.

    `boot: order=a;b` names them. The old form (`boot: cdn`, or no `boot` at all) stands for the drive in `bootdisk`
    unless that is a CD-ROM, all CD-ROMs and all NICs; other disks get no boot index and are not listed. If both forms
    are given, the old one is used. A blank `boot` means no device. Devices that do not exist are omitted.

    Args:
        config: The raw configuration of a virtual machine.
        nics: The keys of its NICs, in order.

    Raises:
        ParseError: `boot`, `bootdisk` or a drive on which the order depends cannot be read.
    """
    if config.get('boot') is None:
        return _legacy_order(config, LEGACY_DEFAULT, roles, nics)
    boot = parse_properties(config['boot'], default_key='legacy')
    if 'legacy' in boot:
        if not LEGACY.fullmatch(boot['legacy']):
            raise ParseError(Message('{value} is not a boot order', value=boot['legacy'][:40]))
        return _legacy_order(config, boot['legacy'], roles, nics)
    # Proxmox VE splits the order and tags with the same function.
    return tuple(device for device in parse_tags(boot.get('order')) if device in config)


def boot_disk(order: tuple[str, ...], roles: DriveRoles) -> str | None:
    """
    Return the first disk in a boot order; None if there is none. Raises ParseError if a drive before it is unreadable.
    """
    return next((key for key in order if key in roles and _role(roles, key) is DriveRole.DISK), None)


def _legacy_order(
    config: Mapping[str, object], letters: str, roles: DriveRoles, nics: Sequence[str]
) -> tuple[str, ...]:
    cdroms = [key for key in roles if 'd' in letters and _role(roles, key) is DriveRole.CDROM]
    devices = {'c': _bootdisk(config, roles) if 'c' in letters else [], 'd': cdroms, 'n': nics}
    # If a letter is given twice, its last position counts.
    last = [letter for position, letter in enumerate(letters) if letter not in letters[position + 1 :]]
    return tuple(device for letter in last for device in devices.get(letter, ()))


def _bootdisk(config: Mapping[str, object], roles: DriveRoles) -> list[str]:
    value = config.get('bootdisk')
    name = text(value).strip() if value is not None else ''
    if name in OTHER_VOLUMES and name in config:
        return [name]
    return [name] if name in roles and _role(roles, name) is not DriveRole.CDROM else []


def _role(roles: DriveRoles, key: str) -> DriveRole:
    role = roles[key]
    if isinstance(role, ParseError):
        raise ParseError(Message('{key}: {problem}', key=key, problem=role))
    return role
