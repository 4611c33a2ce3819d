"""Virtual NICs: the `netN` property strings of both kinds of guests."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from .inventory import GuestType, Nic
from .properties import Garbled, boolean, decimal, integer, parse_mac, parse_properties

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
UNUSED = {GuestType.QEMU: ('queues',), GuestType.LXC: ('host-managed',)}
MAC_KEY = {GuestType.QEMU: 'macaddr', GuestType.LXC: 'hwaddr'}
MODEL_KEY = {GuestType.QEMU: 'model', GuestType.LXC: 'type'}
# Containers know no other type.
DEFAULT_MODEL = {GuestType.QEMU: None, GuestType.LXC: 'veth'}
VLAN_IDS = range(1, 4095)
MTUS = range(1, 65536)


def _within(value: str, allowed: range) -> int:
    number = integer(value)
    if number not in allowed:
        raise Garbled(f'{number} is out of range')
    return number


def _vlan_tag(value: str) -> int:
    return _within(value, VLAN_IDS)


def _mtu(value: str) -> int:
    return _within(value, MTUS)


def _rate(value: str) -> Decimal | None:
    rate = decimal(value)
    if rate < 0:
        raise Garbled(f'{rate} is negative')
    return rate or None  # 0 is no limit


def _trunks(value: str) -> tuple[tuple[int, int], ...]:
    """'2;10-20' as ((2, 2), (10, 20))."""
    ranges = []
    for part in value.split(';'):
        low, dash, high = part.partition('-')
        first = _vlan_tag(low)
        last = _vlan_tag(high) if dash else first
        if last < first:
            raise Garbled(f'{part} ends before it begins')
        ranges.append((first, last))
    return tuple(sorted(ranges))


def _word(value: str) -> str | None:
    return value.strip() or None


def _mac(value: str) -> str:
    mac = parse_mac(value)
    if mac is None:
        raise Garbled(f'{value} is not a MAC address')
    return mac


type Field = tuple[str, Callable[[str], object], object]

# Attribute of Nic -> sub-key, how to read it, value if it is absent or unreadable.
COMMON: dict[str, Field] = {
    'bridge': ('bridge', _word, None),
    'vlan_tag': ('tag', _vlan_tag, None),
    'trunks': ('trunks', _trunks, ()),
    'firewall': ('firewall', boolean, False),
    'link_down': ('link_down', boolean, False),
    'mtu': ('mtu', _mtu, None),
    'rate_mbps': ('rate', _rate, None),
}
FIELDS: dict[GuestType, dict[str, Field]] = {
    GuestType.QEMU: COMMON,
    GuestType.LXC: COMMON
    | {
        'name': ('name', _word, None),
        'ipv4': ('ip', _word, None),
        'ipv6': ('ip6', _word, None),
        'gateway4': ('gw', _word, None),
        'gateway6': ('gw6', _word, None),
    },
}


def nic_keys(keys: Iterable[str]) -> list[str]:
    """Those of the keys of a configuration that hold NICs, by number: net2 before net10."""
    matches = [match for match in map(NIC_KEY.fullmatch, keys) if match]
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1]))]


def parse_nic(guest_type: GuestType, key: str, value: object) -> Nic:
    """
    One NIC.

    A sub-key that is not known, or whose value is not understood (`tag=abc`, a MAC that is none), is kept in `extra`
    and the attribute is as if the sub-key were absent.

    Raises:
        Garbled: It is no property string at all.
    """
    left = parse_properties(value, default_key=MODEL_KEY[guest_type])
    _split_model(guest_type, left)
    table = FIELDS[guest_type] | {
        'mac': (MAC_KEY[guest_type], _mac, None),
        'model': (MODEL_KEY[guest_type], _word, DEFAULT_MODEL[guest_type]),
    }
    attributes: dict[str, object] = {'key': key, 'name': None}
    for attribute, (name, read, default) in table.items():
        attributes[attribute] = default
        if name in left:
            try:
                attributes[attribute] = read(left[name])
            except Garbled:
                continue
            del left[name]
    extra = {name: content for name, content in left.items() if name not in UNUSED[guest_type]}
    return Nic(**attributes, extra=extra)


def _split_model(guest_type: GuestType, properties: dict[str, str]) -> None:
    """Turn QEMU's usual `virtio=MAC` into its long form `model=virtio,macaddr=MAC`, in place."""
    if guest_type is not GuestType.QEMU or 'model' in properties or 'macaddr' in properties:
        return
    known = {name for name, _, _ in COMMON.values()} | {*UNUSED[guest_type]}
    # A model that a newer Proxmox VE may know is recognised by the MAC in its value.
    for name in list(properties):
        if name in MODELS or (name not in known and parse_mac(properties[name])):
            properties['model'] = name
            properties['macaddr'] = properties.pop(name)
            return
