"""
What Proxmox VE reports about a guest, for display: its NICs with their addresses, its disks, ignored addresses, and
unreadable parts, each with the reason. Plain data that JSON can store.
"""

from collections.abc import Iterator
from typing import Any

from ..proxmox.inventory import (
    Address,
    Disk,
    Guest,
    GuestOnlyInterface,
    GuestType,
    IgnoredAddress,
    Nic,
    NicAddresses,
    known,
)
from ..proxmox.messages import Message, as_json

__all__ = ('details_of',)

GUEST_ONLY = Message(
    'The interface belongs to no network device (netN) of the guest in Proxmox VE: it is a passed-through NIC, '
    'a bridge or a tunnel inside the guest, or its MAC address was changed there.'
)


def details_of(guest: Guest) -> dict[str, Any]:
    """
    The details by part: 'agent' (whether the guest agent of a virtual machine is enabled), 'nics', 'guest_only',
    'disks', 'unread', 'unknown_keys', 'pool', 'ha_state', 'lock'. Parts that were not read are missing.

    For configuration keys that this version does not know, only the names are listed: the values may be secrets.
    """
    details: dict[str, Any] = {'unread': list(unread(guest))}
    for name in ('pool', 'ha_state'):
        if known(value := getattr(guest, name)) and value:
            details[name] = value
    if known(guest.lock) and guest.lock:
        details['lock'] = guest.lock
    if known(guest.config):
        if guest.type is GuestType.QEMU and known(guest.config.agent):
            details['agent'] = guest.config.agent
        addresses = guest.addresses if known(guest.addresses) else {}
        details['nics'] = [nic_details(nic, addresses.get(nic.key)) for nic in guest.config.nics]
        if known(guest.guest_only) and guest.guest_only:
            details['guest_only'] = [guest_only_details(interface) for interface in guest.guest_only]
        details['disks'] = [disk_details(disk) for disk in guest.config.disks]
        details['unknown_keys'] = sorted(guest.config.extra) + [
            f'{nic.key}: {name}' for nic in guest.config.nics for name in sorted(nic.extra)
        ]
    return details


def nic_details(nic: Nic, addresses: NicAddresses | None) -> dict[str, Any]:
    """The details of a NIC. Values that could not be read are None; `unread` has the reason."""
    guest_name = addresses.guest_name if addresses else None
    read = {
        'name': nic.name or guest_name,
        'mac': nic.mac,
        'model': nic.model,
        'bridge': nic.bridge,
        'vlan': nic.vlan_tag,
        'trunks': nic.trunks,
        'firewall': nic.firewall,
        'link_down': nic.link_down,
    }
    details: dict[str, Any] = {name: value if known(value) else None for name, value in read.items()}
    return details | {
        'key': nic.key,
        'trunks': [str(first) if first == last else f'{first}-{last}' for first, last in details['trunks'] or ()],
        'addresses': [address_details(address) for address in addresses.addresses] if addresses else [],
        'ignored': [ignored_details(ignored) for ignored in (addresses.ignored if addresses else ())],
    }


def guest_only_details(interface: GuestOnlyInterface) -> dict[str, Any]:
    """An interface that only exists within the guest, as JSON."""
    return {
        'name': interface.name,
        'mac': interface.mac,
        'addresses': [address_details(address) for address in interface.addresses],
        'ignored': [ignored_details(ignored) for ignored in interface.ignored],
        **as_json(reason=GUEST_ONLY),
    }


def ignored_details(ignored: IgnoredAddress) -> dict[str, Any]:
    """An address that is not synced, as JSON, with the reason."""
    return {
        'address': ignored.text,
        'guest_interface': ignored.guest_interface,
        **as_json(reason=ignored.reason),
    }


def address_details(address: Address) -> dict[str, Any]:
    """An address with its origin, as JSON."""
    return {
        # If the source has no prefix length, that of `interface` has no meaning.
        'address': str(address.interface if address.has_prefix else address.interface.ip),
        'origin': str(address.origin),
        'source': address.source,
        'guest_interface': address.guest_interface,
    }


def disk_details(disk: Disk) -> dict[str, Any]:
    """`size` is in bytes. Values that could not be read are None; `unread` has the reason."""
    parts = ('storage', 'volume', 'size', 'format', 'mount_point', 'passthrough')
    read = {name: value if known(value := getattr(disk, name)) else None for name in parts}
    # Anything but a volume or a path, such as a URL, may contain credentials.
    if not (read['storage'] or str(read['volume']).startswith('/')):
        read['volume'] = None
    return {'key': disk.key, **read}


def unread(guest: Guest) -> Iterator[dict[str, Any]]:
    """
    The parts that could not be read: 'part' ('config', 'addresses', 'size', ...), 'of' (the NIC or disk), and 'reason'.
    """
    # Everything in an unreadable configuration is unreadable for the same reason.
    parts = list(guest.config.unreadable_parts()) if known(guest.config) else []
    if known(guest.config):
        # They are listed with the parts of the configuration below.
        reasons = {reason for _part, _of, reason in parts}
    else:
        reasons = {guest.config.reason}
        yield {'part': 'config', 'of': '', **as_json(reason=guest.config.reason)}
    for part in ('name', 'status', 'template', 'tags', 'pool', 'ha_state', 'addresses', 'os_name', 'host_name'):
        reading = getattr(guest, part)
        if not known(reading) and reading.reason not in reasons:
            yield {'part': part, 'of': '', **as_json(reason=reading.reason)}
    for part, of, reason in parts:
        yield {'part': part, 'of': of, **as_json(reason=reason)}
    silent: dict[Message, list[str]] = {}
    for key, nic in guest.addresses.items() if known(guest.addresses) else ():
        if nic.running is not None:
            silent.setdefault(nic.running.reason, []).append(key)
    for reason, keys in silent.items():
        yield {'part': 'running', 'of': ', '.join(keys), **as_json(reason=reason)}
