"""The network configuration of a node, `/nodes/N/network`."""

import re
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from itertools import pairwise
from typing import Any

from ..infrastructure import InterfaceType, NodeInterface
from ..messages import Message
from ..properties import ParseError
from ..readings import Reading, Unreadable, known
from .rows import Row, extra_of, flag, number, parse_rows, ranges, reading, word, words

__all__ = ('parse_interfaces',)

VLAN_IDS = range(1, 4095)
MTUS = range(1, 2**31)
# A further address in /etc/network/interfaces, which Proxmox VE returns as an option.
ADDED_ADDRESS = re.compile(
    r'(?:address\s+|(?:post-)?up\s+(?:/(?:usr/)?s?bin/)?ip\s+(?:-[46]\s+)?a(?:ddr(?:ess)?)?\s+add\s+)'
    r'(?P<address>[0-9a-f.:]+/[0-9]{1,3})(?:\s+dev\s+(?P<device>\S+))?(?:\s*\|\|\s*true)?',
    re.IGNORECASE,
)
OVS_OPTION = re.compile(r'(?:^|\s)(tag)=(\S+)')

# The keys that this version knows, including those that it does not use.
UNDERSTOOD = frozenset((
    'iface', 'type', 'ovs_type', 'active', 'mtu', 'comments', 'comments6', 'cidr', 'cidr6', 'address', 'address6',
    'netmask', 'netmask6', 'gateway', 'gateway6', 'slaves', 'ovs_bonds', 'bridge_ports', 'ovs_ports', 'ovs_bridge',
    'bridge_vlan_aware', 'vlanaware', 'bridge_vids', 'vlan-id', 'ovs_tag', 'vlan-raw-device', 'bond_mode', 'altnames',
    'method', 'method6', 'families', 'autostart', 'exists', 'priority',
))  # fmt: skip


def parse_interfaces(data: Any) -> tuple[NodeInterface, ...]:
    """
    Parse the interfaces, sorted by name. Unknown types are UNKNOWN, with the type of Proxmox VE in `raw_type`.

    A value that cannot be read is Unreadable, independently of the other values of the interface.

    Raises:
        ParseError: The answer is not a list of interfaces with unique names.
    """
    found = sorted(parse_rows(data, _interface), key=lambda interface: interface.name)
    for first, second in pairwise(found):
        if first.name == second.name:
            raise ParseError(Message('interface {name} is listed twice', name=first.name[:40]))
    return tuple(found)


def _interface(row: Row) -> NodeInterface:
    name = word(row, 'iface')
    if name is None:
        raise ParseError(Message('an interface has no name'))
    kind = reading(_type, row)
    aware = _vlan_aware(kind, row)
    parent, vlan_id = _under(name, kind, row)
    addresses, unreadable = _addresses(name, row)
    return NodeInterface(
        name=name,
        type=kind,
        raw_type=reading(_raw_type, row),
        active=reading(flag, row, 'active'),
        mtu=reading(number, row, 'mtu', MTUS),
        comments=reading(_comments, row),
        addresses=addresses,
        addresses_unreadable=unreadable,
        method4=reading(word, row, 'method'),
        method6=reading(word, row, 'method6'),
        gateway4=reading(_gateway, row, 'gateway'),
        gateway6=reading(_gateway, row, 'gateway6'),
        members=reading(_first_words, row, 'slaves', 'ovs_bonds'),
        ports=reading(_first_words, row, 'bridge_ports', 'ovs_ports'),
        bridge=reading(word, row, 'ovs_bridge'),
        vlan_aware=aware,
        # A bridge that is not VLAN-aware ignores this list.
        vids=() if aware is False else reading(ranges, row, 'bridge_vids', VLAN_IDS),
        vlan_id=vlan_id,
        parent=parent,
        extra=extra_of(row, UNDERSTOOD),
    )


def _type(row: Row) -> InterfaceType:
    """
    The type. For an Open vSwitch interface whose parts do not exist, it is `unknown`; `ovs_type` is still correct.
    """
    value = _raw_type(row)
    return InterfaceType(value) if value in tuple(InterfaceType) else InterfaceType.UNKNOWN


def _raw_type(row: Row) -> str:
    stated = [value for value in (word(row, 'type'), word(row, 'ovs_type')) if value]
    return next((value for value in stated if value != InterfaceType.UNKNOWN), stated[0] if stated else '')


def _vlan_aware(kind: Reading[InterfaceType], row: Row) -> Reading[bool]:
    if kind is InterfaceType.OVS_BRIDGE:
        return True
    flags = [reading(flag, row, key) for key in ('bridge_vlan_aware', 'vlanaware')]
    return True if True in flags else next((value for value in flags if not known(value)), False)


def _under(name: str, kind: Reading[InterfaceType], row: Row) -> tuple[Reading[str | None], Reading[int | None]]:
    """The interface below a VLAN interface or an alias, and the VLAN id; from the name if no key states them."""
    parent, vlan_id = reading(word, row, 'vlan-raw-device'), reading(number, row, 'vlan-id', VLAN_IDS)
    if kind is InterfaceType.VLAN:
        device, dot, tag = name.rpartition('.')
        if parent is None and dot:
            parent = device or None
        if vlan_id is None:
            tag = tag if dot else name.removeprefix('vlan')
            vlan_id = int(tag) if re.fullmatch(r'[0-9]{1,4}', tag) and int(tag) in VLAN_IDS else None
    elif kind is InterfaceType.ALIAS and parent is None:
        parent = name.partition(':')[0]
    if vlan_id is None:
        vlan_id = reading(number, row, 'ovs_tag', VLAN_IDS)
    if vlan_id is None:
        # Old configurations have the OVS tag in the options.
        vlan_id = reading(lambda: number(_ovs_options(row), 'tag', VLAN_IDS))
    return parent, vlan_id


def _ovs_options(row: Row) -> dict[str, str]:
    return dict(OVS_OPTION.findall(word(row, 'ovs_options') or ''))


def _first_words(row: Row, *keys: str) -> tuple[str, ...]:
    return next((found for key in keys if (found := words(row, key))), ())


def _comments(row: Row) -> str:
    return '\n'.join(filter(None, (_comment(row, 'comments'), _comment(row, 'comments6'))))


def _comment(row: Row, key: str) -> str:
    value = row.get(key)
    if value is None:
        return ''
    if not isinstance(value, str):
        raise ParseError(Message('{key} is not a text', key=key))
    return value.rstrip('\r\n')


def _addresses(name: str, row: Row) -> tuple[tuple[IPv4Interface | IPv6Interface, ...], Unreadable | None]:
    """The readable addresses, and why others could not be read."""
    found = [reading(_configured, row, suffix) for suffix in ('', '6')]
    for options in (row.get('options'), row.get('options6')):
        for option in options if isinstance(options, list) else ():
            match = ADDED_ADDRESS.fullmatch(option.strip()) if isinstance(option, str) else None
            if match and match['device'] in (None, name, '$IFACE'):
                found.append(reading(_parsed, match['address'], 'options'))
    unreadable = next((address for address in found if not known(address)), None)
    return tuple(dict.fromkeys(address for address in found if known(address) and address is not None)), unreadable


def _configured(row: Row, suffix: str) -> IPv4Interface | IPv6Interface | None:
    return None if word(row, f'method{suffix}') == 'dhcp' else _address(row, suffix)


def _address(row: Row, suffix: str) -> IPv4Interface | IPv6Interface | None:
    """
    `cidr`, or address and mask (dotted, or a length). An address without a mask is a host address, as in ifupdown2.
    """
    whole = word(row, f'cidr{suffix}')
    if whole is None:
        host, mask = word(row, f'address{suffix}'), word(row, f'netmask{suffix}')
        if host is None:
            return None
        whole = f'{host}/{mask}' if mask and '/' not in host else host
    return _parsed(whole, f'cidr{suffix}')


def _parsed(shown: str, key: str) -> IPv4Interface | IPv6Interface:
    try:
        return ip_interface(shown)
    except ValueError:
        raise ParseError(Message('{key}: {value} is not an address', key=key, value=f'{shown[:50]!r}')) from None


def _gateway(row: Row, key: str) -> str | None:
    value = word(row, key)
    if value is None:
        return None
    try:
        return str(ip_address(value))
    except ValueError:
        raise ParseError(Message('{key}: {value} is not an address', key=key, value=f'{value[:50]!r}')) from None
