"""The operating system of a guest -> dcim.Platform."""

import re

from ...proxmox.inventory import Guest, GuestConfig, Reading, Unreadable, known
from ..values import Shared

__all__ = ('is_second_choice', 'platform_of')

NOTES_LINE = re.compile(r'^\s*os:\s*(\S.*?)\s*$', re.IGNORECASE | re.MULTILINE)
NAME_LENGTH = 100

# The names of the values of `ostype` (qemu-server: QemuServer.pm, pve-container: LXC/Config.pm). Some values stand for
# several releases.
OS_TYPES = {
    'l24': 'Linux 2.4',
    'l26': 'Linux',
    'solaris': 'Solaris',
    'w2k': 'Windows 2000',
    'w2k3': 'Windows Server 2003',
    'w2k8': 'Windows Vista/2008',
    'win10': 'Windows 10/2016/2019',
    'win11': 'Windows 11/2022/2025',
    'win7': 'Windows 7/2008 R2',
    'win8': 'Windows 8/2012/2012 R2',
    'wvista': 'Windows Vista/2008',
    'wxp': 'Windows XP',
    'alpine': 'Alpine Linux',
    'archlinux': 'Arch Linux',
    'centos': 'CentOS',
    'debian': 'Debian',
    'devuan': 'Devuan',
    'fedora': 'Fedora',
    'gentoo': 'Gentoo',
    'nixos': 'NixOS',
    'opensuse': 'openSUSE',
    'ubuntu': 'Ubuntu',
}
# The values for systems that Proxmox VE does not know.
UNSPECIFIED_OS = ('other', 'unmanaged')


def platform_of(guest: Guest, config: GuestConfig) -> Reading[Shared | None]:
    """
    The platform: from an `os:` line in the notes, otherwise from the guest agent, otherwise from `ostype`. None: no
    source states it; Unreadable: the best source that may state it could not be read.
    """
    if isinstance(config.description, Unreadable):
        return config.description
    if line := NOTES_LINE.search(config.description):
        return platform(line[1])
    if known(guest.os_name) and guest.os_name:
        return platform(guest.os_name)
    if isinstance(config.ostype, Unreadable):
        return config.ostype
    if config.ostype is None or config.ostype in UNSPECIFIED_OS:
        return None
    return platform(OS_TYPES.get(config.ostype, config.ostype))


def is_second_choice(guest: Guest, config: GuestConfig) -> bool:
    """Whether the platform comes from `ostype` because the guest agent, which is more precise, could not be read."""
    if not known(config.description) or NOTES_LINE.search(config.description):
        return False
    return isinstance(guest.os_name, Unreadable)


def platform(name: str) -> Shared:
    """The platform of that name."""
    return Shared('dcim.platform', name[:NAME_LENGTH])
