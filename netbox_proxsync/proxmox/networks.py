"""The network of a node, `/nodes/N/network`."""

import re
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from itertools import pairwise
from typing import Any

from .estate import InterfaceType, NodeInterface
from .lists import Row, extra_of, flag, number, parse_rows, ranges, word, words
from .properties import Garbled

__all__ = ('parse_interfaces',)

VLAN_IDS = range(1, 4095)
MTUS = range(1, 2**31)
# A further address in /etc/network/interfaces, which Proxmox hands on as an option.
ADDED_ADDRESS = re.compile(
    r'(?:address\s+|(?:post-)?up\s+(?:/(?:usr/)?s?bin/)?ip\s+(?:-[46]\s+)?a(?:ddr(?:ess)?)?\s+add\s+)'
    r'(?P<address>[0-9a-f.:]+/[0-9]{1,3})(?:\s+dev\s+(?P<device>\S+))?(?:\s*\|\|\s*true)?',
    re.IGNORECASE,
)
OVS_OPTION = re.compile(r'(?:^|\s)(bond_mode|tag)=(\S+)')

# What is understood, be it kept or not.
UNDERSTOOD = frozenset((
    'iface', 'type', 'ovs_type', 'active', 'mtu', 'comments', 'comments6', 'cidr', 'cidr6', 'address', 'address6',
    'netmask', 'netmask6', 'gateway', 'gateway6', 'slaves', 'ovs_bonds', 'bridge_ports', 'ovs_ports', 'ovs_bridge',
    'bridge_vlan_aware', 'vlanaware', 'bridge_vids', 'vlan-id', 'ovs_tag', 'vlan-raw-device', 'bond_mode', 'altnames',
    'method', 'method6', 'families', 'autostart', 'exists', 'priority',
))  # fmt: skip


def parse_interfaces(data: Any) -> tuple[NodeInterface, ...]:
    """
    Sorted by name. Kinds that are not known are UNKNOWN, with Proxmox's word in `raw_type`.

    Raises:
        Garbled: A row cannot be read, or there are two of the same name; then none of them is known.
    """
    found = sorted(parse_rows(data, 'interfaces', _interface), key=lambda interface: interface.name)
    for first, second in pairwise(found):
        if first.name == second.name:
            raise Garbled(f'interface {first.name[:40]} is listed twice')
    return tuple(found)


def _interface(row: Row) -> NodeInterface:
    name = word(row, 'iface')
    if name is None:
        raise Garbled('an interface has no name')
    try:
        return _named(name, row)
    except Garbled as error:
        raise Garbled(f'interface {name[:40]}: {error}') from None


def _named(name: str, row: Row) -> NodeInterface:
    kind = _type(row)
    options = dict(OVS_OPTION.findall(word(row, 'ovs_options') or ''))
    aware = kind is InterfaceType.OVS_BRIDGE or flag(row, 'bridge_vlan_aware') or flag(row, 'vlanaware')
    parent, vlan_id = _under(name, kind, row)
    return NodeInterface(
        name=name,
        type=kind,
        raw_type=word(row, 'type') or '',
        active=flag(row, 'active'),
        mtu=number(row, 'mtu', MTUS),
        comments='\n'.join(filter(None, (_comment(row, 'comments'), _comment(row, 'comments6')))),
        addresses=_addresses(name, row),
        gateway4=_gateway(row, 'gateway'),
        gateway6=_gateway(row, 'gateway6'),
        members=words(row, 'slaves') or words(row, 'ovs_bonds'),
        ports=words(row, 'bridge_ports') or words(row, 'ovs_ports'),
        bridge=word(row, 'ovs_bridge'),
        vlan_aware=aware,
        # A bridge that does not look at VLANs does not look at this list either.
        vids=ranges(row, 'bridge_vids', VLAN_IDS) if aware else (),
        # Old configurations hold an OVS tag among the options.
        vlan_id=vlan_id if vlan_id is not None else number(options, 'tag', VLAN_IDS),
        parent=parent,
        bond_mode=word(row, 'bond_mode') or options.get('bond_mode'),
        alternative_names=words(row, 'altnames'),
        extra=extra_of(row, UNDERSTOOD),
    )


def _type(row: Row) -> InterfaceType:
    """Open vSwitch interfaces whose parts do not exist are of type `unknown`, and still say what they are."""
    for key in ('type', 'ovs_type'):
        value = word(row, key)
        if value in tuple(InterfaceType) and value != InterfaceType.UNKNOWN:
            return InterfaceType(value)
    return InterfaceType.UNKNOWN


def _under(name: str, kind: InterfaceType, row: Row) -> tuple[str | None, int | None]:
    """The interface under a VLAN interface or an alias, and the VLAN; told by the name if by nothing else."""
    parent, vlan_id = word(row, 'vlan-raw-device'), number(row, 'vlan-id', VLAN_IDS)
    if kind is InterfaceType.VLAN:
        device, dot, tag = name.rpartition('.')
        parent = parent or (device if dot else None) or None
        if vlan_id is None:
            tag = tag if dot else name.removeprefix('vlan')
            vlan_id = int(tag) if re.fullmatch(r'[0-9]{1,4}', tag) and int(tag) in VLAN_IDS else None
    elif kind is InterfaceType.ALIAS:
        parent = parent or name.partition(':')[0]
    return parent, vlan_id if vlan_id is not None else number(row, 'ovs_tag', VLAN_IDS)


def _comment(row: Row, key: str) -> str:
    value = row.get(key)
    if value is None:
        return ''
    if not isinstance(value, str):
        raise Garbled(f'{key} is not a text')
    return value.rstrip('\r\n')


def _addresses(name: str, row: Row) -> tuple[IPv4Interface | IPv6Interface, ...]:
    found = []
    for suffix in ('', '6'):
        if word(row, f'method{suffix}') != 'dhcp':
            found.append(_address(row, suffix))
    for options in (row.get('options'), row.get('options6')):
        for option in options if isinstance(options, list) else ():
            match = ADDED_ADDRESS.fullmatch(option.strip()) if isinstance(option, str) else None
            if match and match['device'] in (None, name, '$IFACE'):
                found.append(_parsed(match['address'], 'options'))
    return tuple(dict.fromkeys(address for address in found if address is not None))


def _address(row: Row, suffix: str) -> IPv4Interface | IPv6Interface | None:
    """
    `cidr`, else address and mask (dotted, or a length). Without any, it stands alone, as ifupdown2 takes it.
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
        raise Garbled(f'{key}: {shown[:50]!r} is not an address') from None


def _gateway(row: Row, key: str) -> str | None:
    value = word(row, key)
    try:
        return value and str(ip_address(value))
    except ValueError:
        raise Garbled(f'{key}: {value[:50]!r} is not an address') from None
