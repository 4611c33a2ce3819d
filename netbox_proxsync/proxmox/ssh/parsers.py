"""
Parses the output of the commands on a node: `ip -j -d link show`, and files below /sys.

Sources: iproute2's ip/ipaddress.c and ip/iplink_bond_slave.c, Documentation/ABI/testing/sysfs-class-net and
sysfs-firmware-dmi-entries of the Linux kernel.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..infrastructure import PhysicalNic
from ..messages import Message
from ..properties import NO_MAC, parse_mac
from ..readings import Reading, Unreadable, known
from ..storable_text import clean

__all__ = ('DMI', 'Dmi', 'NicFacts', 'PhysicalNic', 'parse_dmi', 'parse_host_name', 'parse_links', 'parse_nic_facts')

NIC_FILE = re.compile(r'/sys/class/net/([^/:\s]+)/(speed|addr_assign_type|device/uevent):(.*)')
HOST_NAME = re.compile(r'/proc/sys/kernel/hostname:(.*)')
# Names of interfaces in the kernel: at most 15 bytes without '/', ':' and blanks.
INTERFACE = re.compile(r'[^\s/:\x00-\x1f\x7f]{1,15}')
DMI_FILE = re.compile(r'/sys/class/dmi/id/(sys_vendor|product_name|product_serial):(.*)')
# Values of drivers for "no link": -1 in 16 or 32 bits, signed or unsigned.
NO_SPEED = (65535, 2**32 - 1)
MAX_SPEED = 10**8  # Mbit/s; higher values are invalid
# NET_ADDR_RANDOM in include/uapi/linux/netdevice.h: the card has no address, and the driver generated one.
RANDOM_MAC = '1'
MAX_TEXT = 200  # characters of a vendor, product or serial number; SMBIOS allows 64

# Placeholders of manufacturers for values that are not set in the DMI.
MEANINGLESS = frozenset(
    (
        'chassis serial number',
        'default',
        'default string',
        'empty',
        'invalid',
        'n/a',
        'na',
        'no asset tag',
        'none',
        'not applicable',
        'not available',
        'not defined',
        'not specified',
        'null',
        'o.e.m.',
        'oem',
        'serial',
        'serial number',
        'standard',
        'system manufacturer',
        'system name',
        'system product name',
        'system serial number',
        'system version',
        'to be filled',
        'to be filled by o.e.m',
        'type1productconfigid',
        'undefined',
        'unknow',
        'unknown',
        '01234567',
        '012345678',
        '0123456789',
        '123456789',
        '1234567890',
    )
)
# '0', '00000000', 'xxxxxxx', '.......', '-', 'FFFFFFFF'
FILLER = re.compile(r'([0x.\-_*\s]|ff)\1*', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NicFacts:
    """
    Facts of interfaces by name; interfaces without a value are omitted.

    Attributes:
        speeds: Link speeds in Mbit/s.
        lines: The number of lines of output that belong to an interface.
        random_macs: Interfaces with a random MAC address, which the kernel generates at each start.
    """

    speeds: Mapping[str, int]
    lines: int = 0
    random_macs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dmi:
    """
    Facts of the machine in the DMI; None for a value that is not set.

    Attributes:
        lines: The number of files that could be read.
    """

    manufacturer: Reading[str | None]
    product: Reading[str | None]
    serial: Reading[str | None]
    lines: int


DMI = {'sys_vendor': 'manufacturer', 'product_name': 'product', 'product_serial': 'serial'}


def parse_links(output: str, facts: Reading[NicFacts]) -> Reading[tuple[PhysicalNic, ...]]:
    """
    Return all physical NICs in the output of `ip -j -d link show` in its order, or Unreadable.

    All virtual interfaces (bridges, bonds, VLANs, taps, veths, Open vSwitch) have an `info_kind`.
    """
    # A login script (.bashrc) may print text before it.
    start = output.find('[{')
    try:
        links, _ = json.JSONDecoder(strict=False).raw_decode(output, max(start, 0))
        links = clean(links)
    except (ValueError, RecursionError):
        links = None
    if not isinstance(links, list):
        return Unreadable(Message('The node returned an invalid list of network interfaces.'))
    nics: dict[str, PhysicalNic] = {}
    for link in links:
        if link == {}:
            continue  # an interface omitted by iproute2
        if not isinstance(link, dict) or _name(link.get('ifname')) is None:
            return Unreadable(Message('The node listed a network interface without a name.'))
        info = _mapping(link.get('linkinfo'))
        if link.get('link_type') == 'ether' and not info.get('info_kind'):
            nics.setdefault(link['ifname'], _nic(link, info, facts))
    return tuple(nics.values())


def _nic(link: Mapping[str, Any], info: Mapping[str, Any], facts: Reading[NicFacts]) -> PhysicalNic:
    name = link['ifname']
    in_bond = info.get('info_slave_kind') == 'bond'
    mac = _mac(link.get('address'))
    permanent: Reading[str | None]
    # `permaddr` exists only if it differs from `address` and the driver knows it. A bond stores the previous address of
    # each member, which is the permanent one unless it had been changed.
    permanent = _mac(link.get('permaddr')) or _mac(_mapping(info.get('info_slave_data')).get('perm_hwaddr'))
    if permanent is None:
        permanent = (
            Unreadable(Message('The kernel does not report the permanent MAC of {name}, a bond member.', name=name))
            if in_bond
            else mac
        )
        if known(facts) and name in facts.random_macs:
            permanent = None  # the card has none
    return PhysicalNic(
        name=name,
        mac=mac,
        permanent_mac=permanent,
        speed_mbps=facts.speeds.get(name) if known(facts) else facts,
    )


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and INTERFACE.fullmatch(value) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mac(value: object) -> str | None:
    mac = parse_mac(value)
    return None if mac == NO_MAC else mac


def parse_nic_facts(output: str) -> NicFacts:
    """Parse lines such as '/sys/class/net/eno1/speed:1000'."""
    speeds: dict[str, int] = {}
    lines = 0
    random_macs = set()
    for line in output.split('\n'):
        match = NIC_FILE.fullmatch(line.rstrip('\r'))
        if match is None:
            continue
        lines += 1
        name, file, value = match.groups()
        if file == 'speed':
            if re.fullmatch(r'[0-9]{1,10}', value) and 0 < int(value) < MAX_SPEED and int(value) not in NO_SPEED:
                speeds[name] = int(value)
        elif file == 'addr_assign_type' and value == RANDOM_MAC:
            random_macs.add(name)
    return NicFacts(speeds=speeds, lines=lines, random_macs=frozenset(random_macs))


def parse_host_name(output: str) -> str | None:
    """Parse the line '/proc/sys/kernel/hostname:pve1'; None if there is none."""
    for line in output.split('\n'):
        if match := HOST_NAME.fullmatch(line.rstrip('\r')):
            return _printable(match[1]) or None
    return None


def parse_dmi(output: str, user: str) -> Dmi:
    """
    Parse lines such as '/sys/class/dmi/id/sys_vendor:Dell Inc.'. A file without a line could not be read.

    Args:
        user: The SSH user, for the message: only root may read the serial number.
    """
    values: dict[str, str] = {}
    for line in output.split('\n'):
        match = DMI_FILE.fullmatch(line.rstrip('\r'))
        if match:
            values.setdefault(match[1], match[2])
    readings = {field: _dmi(values, file, field, user) for file, field in DMI.items()}
    return Dmi(**readings, lines=len(values))


def _dmi(values: Mapping[str, str], file: str, field: str, user: str) -> Reading[str | None]:
    if file in values:
        return _meaningful(values[file])
    if values and file == 'product_serial' and user != 'root':
        return Unreadable(Message('Only root may read the serial number, not {user}.', user=user))
    return Unreadable(Message('The node does not report its {name} (/sys/class/dmi/id/{file}).', name=field, file=file))


def _meaningful(value: str) -> str | None:
    value = _printable(value)
    lowered = value.casefold().rstrip('.') if value != '.' else ''
    if not lowered or lowered in MEANINGLESS or value.casefold() in MEANINGLESS:
        return None
    if lowered.startswith('to be filled by') or FILLER.fullmatch(value):
        return None
    return value


def _printable(value: str) -> str:
    """Remove control characters and redundant blanks, with which DMI values are often padded."""
    text = ' '.join(''.join(char if char.isprintable() and char != '\ufffd' else ' ' for char in value).split())
    return text[:MAX_TEXT].rstrip()
