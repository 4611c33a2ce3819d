"""Virtual NICs: the `netN` property strings of both kinds of guests."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from ..inventory import GuestType, Nic, Reading, Unreadable
from ..properties import ParseError, boolean, decimal, integer, parse_mac, read_properties, read_value

__all__ = ('MODELS', 'nic_keys', 'parse_nic')

NIC_KEY = re.compile(r'net(0|[1-9][0-9]{0,3})', re.ASCII)

# qemu-server, PVE/QemuServer/Network.pm. Each is also a sub-key that holds the MAC (`virtio=BC:24:...`).
MODELS = (
    'e1000',
    'e1000-82540em',
    'e1000-82544gc',
    'e1000-82545em',
    'e1000e',
    'i82551',
    'i82557b',
    'i82559er',
    'ne2k_isa',
    'ne2k_pci',
    'pcnet',
    'rtl8139',
    'virtio',
    'vmxnet3',
)
# Sub-keys that are understood and have no place in the inventory.
UNUSED = {GuestType.QEMU: ('host-tunnel', 'queues'), GuestType.LXC: ('host-managed',)}
MAC_KEY = {GuestType.QEMU: 'macaddr', GuestType.LXC: 'hwaddr'}
MODEL_KEY = {GuestType.QEMU: 'model', GuestType.LXC: 'type'}
# Containers know no other type.
DEFAULT_MODEL = {GuestType.QEMU: None, GuestType.LXC: 'veth'}
VLAN_IDS = range(1, 4095)
# 0 and 4095 are legal on Open vSwitch, and are no VLANs.
TRUNK_IDS = range(4096)
MTUS = range(1, 65536)


def _within(value: str, allowed: range) -> int:
    number = integer(value)
    if number not in allowed:
        raise ParseError(f'{number} is out of range')
    return number


def _vlan_tag(value: str) -> int:
    return _within(value, VLAN_IDS)


def _mtu(value: str) -> int:
    return _within(value, MTUS)


def _rate(value: str) -> Decimal | None:
    rate = decimal(value)
    if rate < 0:
        raise ParseError(f'{rate} is negative')
    return rate or None  # 0 is no limit


def _trunks(value: str) -> tuple[tuple[int, int], ...]:
    """'2;10-20' as ((2, 2), (10, 20)), without 0 and 4095."""
    ranges = []
    for part in value.split(';'):
        low, dash, high = part.partition('-')
        first = _within(low, TRUNK_IDS)
        last = _within(high, TRUNK_IDS) if dash else first
        if last < first:
            raise ParseError(f'{part} ends before it begins')
        first, last = max(first, VLAN_IDS[0]), min(last, VLAN_IDS[-1])
        if first <= last:
            ranges.append((first, last))
    return tuple(sorted(ranges))


def _word(value: str) -> str | None:
    return value.strip() or None


def _mac(value: str) -> str:
    mac = parse_mac(value)
    if mac is None:
        raise ParseError(f'{value[:40]} is not a MAC address')
    return mac


type Field = tuple[str, Callable[[str], object], object]

# Attribute of Nic -> sub-key, how to read it, value if it is absent.
COMMON: dict[str, Field] = {
    'bridge': ('bridge', _word, None),
    'vlan_tag': ('tag', _vlan_tag, None),
    'trunks': ('trunks', _trunks, ()),
    'firewall': ('firewall', boolean, False),
    'link_down': ('link_down', boolean, False),
    'mtu': ('mtu', _mtu, None),
    'rate_mbps': ('rate', _rate, None),
}
ADDRESSING: dict[str, Field] = {
    'name': ('name', _word, None),
    'ipv4': ('ip', _word, None),
    'ipv6': ('ip6', _word, None),
    'gateway4': ('gw', _word, None),
    'gateway6': ('gw6', _word, None),
}
FIELDS: dict[GuestType, dict[str, Field]] = {
    guest_type: COMMON
    | (ADDRESSING if guest_type is GuestType.LXC else {})
    | {
        'mac': (MAC_KEY[guest_type], _mac, None),
        'model': (MODEL_KEY[guest_type], _word, DEFAULT_MODEL[guest_type]),
    }
    for guest_type in GuestType
}


def nic_keys(keys: Iterable[str]) -> list[str]:
    """Those of the keys of a configuration that hold NICs, by number: net2 before net10."""
    matches = [match for match in map(NIC_KEY.fullmatch, keys) if match]
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1]))]


def parse_nic(guest_type: GuestType, key: str, value: object) -> Nic:
    """
    One NIC. Each attribute whose sub-key cannot be read is Unreadable; all of them are, if the line is no property
    string.

    Sub-keys that are not known are kept in `extra`.
    """
    try:
        # Only virtual machines may name the model alone.
        left = read_properties(value, default_key='model' if guest_type is GuestType.QEMU else None)
    except ParseError as error:
        return _unreadable(guest_type, key, Unreadable(f'"{key}" cannot be read: {error}.'))
    if guest_type is GuestType.QEMU:
        _split_model(left)
    attributes: dict[str, object] = {'key': key, 'name': None}
    for attribute, (name, read, default) in FIELDS[guest_type].items():
        attributes[attribute] = read_value(read, left.pop(name), f'{name} of {key}') if name in left else default
    extra = {
        name: content.reason if isinstance(content, Unreadable) else content
        for name, content in left.items()
        if name not in UNUSED[guest_type]
    }
    return Nic(**attributes, extra=extra)


def _unreadable(guest_type: GuestType, key: str, why: Unreadable) -> Nic:
    """A NIC that exists and of which nothing else is known."""
    return Nic(key=key, **({'name': None} | dict.fromkeys(FIELDS[guest_type], why)))


def _split_model(properties: dict[str, Reading[str]]) -> None:
    """Turn QEMU's usual `virtio=MAC` into its long form `model=virtio,macaddr=MAC`, in place."""
    understood = {name for name, _, _ in FIELDS[GuestType.QEMU].values()} | {*UNUSED[GuestType.QEMU]}
    # A model that a newer Proxmox VE may know is recognized by the MAC in its value.
    models = [
        name
        for name, content in properties.items()
        if name in MODELS or (name not in understood and parse_mac(content))
    ]
    if not models:
        return
    if len(models) > 1 or 'model' in properties or 'macaddr' in properties:
        why = Unreadable('It names more than one model or MAC address.')
        for name in models:
            del properties[name]
        properties |= {'model': why, 'macaddr': why}
        return
    properties |= {'model': models[0], 'macaddr': properties.pop(models[0])}
