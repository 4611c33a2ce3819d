"""Network interfaces as the guest agent and the container call report them, and the NICs they belong to."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

__all__ = ('agent_interface', 'container_interface', 'link_local', 'loopback', 'mac_of', 'report')

MAC = re.compile(r'(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}')
NIC = re.compile(r'^net\d+$')

type Row = dict[str, Any]


def mac_of(nic: str) -> str | None:
    """The MAC address in a `netN` property, upper case."""
    found = MAC.search(nic)
    return found[0].upper() if found else None


def link_local(mac: str) -> str:
    """The EUI-64 address of a MAC, as a running Linux has it."""
    octets = [int(part, 16) for part in mac.split(':')]
    octets[0] ^= 2
    octets[3:3] = [0xFF, 0xFE]
    host = int.from_bytes(bytes(octets))
    return f'{ipaddress.IPv6Address((0xFE80 << 112) | host)}/64'


def agent_interface(name: str, mac: str | None, addresses: Iterable[str]) -> Row:
    """
    A row of agent/network-get-interfaces. An interface without addresses has neither `ip-addresses` nor `statistics`.

    Attributes:
        addresses: With prefix length.
    """
    row: Row = {'name': name}
    if mac:
        row['hardware-address'] = mac.lower()
    rows = []
    for address in addresses:
        found = ipaddress.ip_interface(address)
        rows.append(
            {
                'ip-address': str(found.ip),
                'ip-address-type': f'ipv{found.version}',
                'prefix': found.network.prefixlen,
            }
        )
    if rows:
        row['ip-addresses'] = rows
        row['statistics'] = {
            f'{way}-{what}': 0 for way in ('rx', 'tx') for what in ('bytes', 'dropped', 'errs', 'packets')
        }
    return row


def container_interface(name: str, mac: str, addresses: Iterable[str]) -> Row:
    """A row of /lxc/N/interfaces: prefix as text, other words for the families, and one address of each beside."""
    row: Row = {'name': name, 'hwaddr': mac.lower(), 'hardware-address': mac.lower(), 'ip-addresses': []}
    for address in addresses:
        found = ipaddress.ip_interface(address)
        family = 'inet' if found.version == 4 else 'inet6'
        row['ip-addresses'].append(
            {'ip-address': str(found.ip), 'ip-address-type': family, 'prefix': str(found.network.prefixlen)}
        )
        # The old fields hold the last address of their family.
        row[family] = found.with_prefixlen
    return row


def loopback(type_: str) -> Row:
    """What every guest reports first."""
    make = agent_interface if type_ == 'qemu' else container_interface
    return make('lo', '00:00:00:00:00:00', ('127.0.0.1/8', '::1/128'))


def report(type_: str, config: Row, addresses: dict[str, list[str]], extra: Iterable[Row] = ()) -> list[Row]:
    """
    What a running guest reports.

    Attributes:
        addresses: {NIC key: addresses with prefix length}; a link-local address is added.
        extra: Other interfaces in the guest.
    """
    rows = [loopback(type_)]
    for key in sorted(filter(NIC.match, config), key=lambda key: int(key[3:])):
        rows.append(nic_interface(type_, key, str(config[key]), addresses.get(key, [])))
    return [*rows, *extra]


def nic_interface(type_: str, key: str, nic: str, addresses: Iterable[str]) -> Row:
    """The interface of one NIC."""
    mac = mac_of(nic) or '02:00:00:00:00:00'
    addresses = list(addresses)
    if addresses and 'link_down=1' not in nic:
        addresses.append(link_local(mac))
    if type_ == 'qemu':
        return agent_interface(f'ens{18 + int(key[3:])}', mac, addresses)
    name = re.search(r'(?:^|,)name=([^,]+)', nic)
    return container_interface(name[1] if name else f'eth{key[3:]}', mac, addresses)


def static_addresses(nic: str) -> list[str]:
    """The addresses that a container's configuration gives a NIC."""
    found = re.findall(r'(?:^|,)ip6?=([^,]+)', nic)
    return [value for value in found if '/' in value]
