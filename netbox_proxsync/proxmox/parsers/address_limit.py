"""Limits how many addresses of one guest are used and listed."""

from collections.abc import Container, Mapping
from dataclasses import replace

from ..guests import Address, AddressOrigin, IgnoredAddress, NicAddresses
from ..messages import Message
from .static_addresses import Host

__all__ = ('shortened', 'within_limit')


def within_limit(found: Mapping[str, NicAddresses], limit: int) -> dict[str, NicAddresses]:
    """
    Remove the addresses of a guest beyond the limit. Configured ones take precedence, then those of all NICs in turn.

    The selection does not depend on the order in which the guest reports the addresses.
    """
    if sum(len(nic.addresses) for nic in found.values()) <= limit:
        return dict(found)
    ranked = []
    for position, (key, nic) in enumerate(found.items()):
        in_order = sorted(nic.addresses, key=lambda address: (_is_observed(address), _order(address.interface.ip)))
        ranked += [
            ((_is_observed(address), rank, position), key, address.interface.ip)
            for rank, address in enumerate(in_order)
        ]
    kept = {(key, host) for _rank, key, host in sorted(ranked, key=lambda entry: entry[0])[:limit]}
    return {key: _limited(nic, {host for kept_key, host in kept if kept_key == key}) for key, nic in found.items()}


def _is_observed(address: Address) -> bool:
    return address.origin is not AddressOrigin.STATIC


def _order(host: Host) -> tuple[int, int]:
    return host.version, int(host)


def _limited(nic: NicAddresses, kept: Container[Host]) -> NicAddresses:
    excess = [address for address in nic.addresses if address.interface.ip not in kept]
    if not excess:
        return nic
    beyond = IgnoredAddress(
        text=f'{len(excess)} more',
        guest_interface=None,
        reason=Message('The guest has more addresses than the address limit of the endpoint.'),
    )
    left = [address for address in nic.addresses if address.interface.ip in kept]
    return replace(
        nic,
        addresses=tuple(sorted(left, key=lambda address: (_is_observed(address), _order(address.interface.ip)))),
        ignored=(*nic.ignored, beyond),
        excess=frozenset(address.interface.ip for address in excess),
    )


def shortened(ignored: list[IgnoredAddress], limit: int) -> tuple[IgnoredAddress, ...]:
    """Limit the list for display, and count the rest."""
    more = len(ignored) - limit
    if more <= 0:
        return tuple(ignored)
    rest = IgnoredAddress(
        text=f'{more} more', guest_interface=None, reason=Message('The addresses are not listed one by one.')
    )
    return (*ignored[:limit], rest)
