"""Virtual NICs: the `netN` property strings of both types of guests."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal

from ..inventory import GuestType, Nic, Reading, Unreadable
from ..messages import Message
from ..properties import (
    ParseError,
    boolean,
    decimal,
    integer,
    optional_text,
    parse_mac,
    parse_ranges,
    read_properties,
    read_value,
    text,
)

__all__ = ('MODELS', 'nic_keys', 'parse_nic')

NIC_KEY = re.compile(r'net(0|[1-9][0-9]{0,3})', re.ASCII)

# qemu-server, PVE/QemuServer/Network.pm. Each name is also a sub-key that holds the MAC address (`virtio=BC:24:...`).
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
# Sub-keys that are known and not part of the inventory.
UNUSED = {GuestType.QEMU: ('host-tunnel', 'queues'), GuestType.LXC: ('host-managed',)}
MAC_KEY = {GuestType.QEMU: 'macaddr', GuestType.LXC: 'hwaddr'}
MODEL_KEY = {GuestType.QEMU: 'model', GuestType.LXC: 'type'}
# Containers have no other type.
DEFAULT_MODEL: dict[GuestType, str | None] = {GuestType.QEMU: None, GuestType.LXC: 'veth'}
VLAN_IDS = range(1, 4095)
# Open vSwitch permits 0 and 4095, which are not VLANs.
TRUNK_IDS = range(4096)
MTUS = range(1, 65536)


# The sub-keys of a virtual machine's NIC that this version knows, other than the names of models.
QEMU_KEYS = frozenset(
    ('model', 'macaddr', 'bridge', 'tag', 'trunks', 'firewall', 'link_down', 'mtu', 'rate', *UNUSED[GuestType.QEMU])
)


def _vlan_tag(value: object) -> int:
    return integer(value, VLAN_IDS)


def _mtu(value: object) -> int:
    return integer(value, MTUS)


def _rate(value: object) -> Decimal | None:
    rate = decimal(value)
    if rate < 0:
        raise ParseError(Message('{rate} is negative', rate=rate))
    return rate or None  # 0 means unlimited


def _trunks(value: object) -> tuple[tuple[int, int], ...]:
    """Parse '2;10-20' as ((2, 2), (10, 20)), without 0 and 4095."""
    clipped = [
        (max(first, VLAN_IDS[0]), min(last, VLAN_IDS[-1]))
        for first, last in parse_ranges(text(value).split(';'), TRUNK_IDS)
    ]
    return tuple((first, last) for first, last in clipped if first <= last)


def _mac(value: object) -> str:
    mac = parse_mac(value)
    if mac is None:
        raise ParseError(Message('{value} is not a MAC address', value=text(value)[:40]))
    return mac


class _SubKeys:
    """The sub-keys of a NIC that have not been used yet."""

    def __init__(self, key: str, values: dict[str, Reading[str]]) -> None:
        self.key = key
        self.values = values

    def take[T](self, name: str, parse: Callable[[object], T], default: T) -> Reading[T]:
        """Return the parsed value of a sub-key, or the default if it is absent."""
        if name not in self.values:
            return default
        return read_value(parse, self.values.pop(name), Message('{name} of {key}', name=name, key=self.key))


def nic_keys(keys: Iterable[str]) -> list[str]:
    """Return the keys of a configuration that hold NICs, sorted by number: net2 before net10."""
    matches = [match for match in map(NIC_KEY.fullmatch, keys) if match]
    return [match[0] for match in sorted(matches, key=lambda match: int(match[1]))]


def parse_nic(guest_type: GuestType, key: str, value: object) -> Nic:
    """
    Parse one NIC. An attribute whose sub-key cannot be read is Unreadable; if the value is not a property string, all
    are.

    Unknown sub-keys are stored in `extra`.
    """
    is_container = guest_type is GuestType.LXC
    try:
        # Only virtual machines may name the model without a sub-key.
        values = read_properties(value, default_key=None if is_container else 'model')
    except ParseError as error:
        return _unreadable(
            is_container, key, Unreadable(Message('"{what}" cannot be read: {problem}.', what=key, problem=error))
        )
    if not is_container:
        _split_model(values)
    keys = _SubKeys(key, values)

    def container_text(name: str) -> Reading[str | None]:
        return keys.take(name, optional_text, None) if is_container else None

    return Nic(
        key=key,
        name=container_text('name'),
        mac=keys.take(MAC_KEY[guest_type], _mac, None),
        model=keys.take(MODEL_KEY[guest_type], optional_text, DEFAULT_MODEL[guest_type]),
        bridge=keys.take('bridge', optional_text, None),
        vlan_tag=keys.take('tag', _vlan_tag, None),
        trunks=keys.take('trunks', _trunks, ()),
        firewall=keys.take('firewall', boolean, False),
        link_down=keys.take('link_down', boolean, False),
        mtu=keys.take('mtu', _mtu, None),
        rate_mbps=keys.take('rate', _rate, None),
        ipv4=container_text('ip'),
        ipv6=container_text('ip6'),
        gateway4=container_text('gw'),
        gateway6=container_text('gw6'),
        # Evaluated last: the sub-keys that are still unused.
        extra={
            name: content.reason if isinstance(content, Unreadable) else content
            for name, content in keys.values.items()
            if name not in UNUSED[guest_type]
        },
    )


def _unreadable(is_container: bool, key: str, why: Unreadable) -> Nic:
    """A NIC that exists and of which nothing else is known."""
    container_only = why if is_container else None
    return Nic(
        key=key,
        name=container_only,
        mac=why,
        model=why,
        bridge=why,
        vlan_tag=why,
        trunks=why,
        firewall=why,
        link_down=why,
        mtu=why,
        rate_mbps=why,
        ipv4=container_only,
        ipv6=container_only,
        gateway4=container_only,
        gateway6=container_only,
    )


def _split_model(properties: dict[str, Reading[str]]) -> None:
    """Replace the usual short form `virtio=MAC` by the long form `model=virtio,macaddr=MAC`, in place."""
    # A model of a newer Proxmox VE is recognized by the MAC address in its value.
    models = [
        name for name, content in properties.items() if name in MODELS or (name not in QEMU_KEYS and parse_mac(content))
    ]
    if not models:
        return
    if len(models) > 1 or 'model' in properties or 'macaddr' in properties:
        why = Unreadable(Message('The configuration contains more than one model or MAC address.'))
        for name in models:
            del properties[name]
        properties |= {'model': why, 'macaddr': why}
        return
    properties |= {'model': models[0], 'macaddr': properties.pop(models[0])}
