"""Decides which addresses of a guest are documented in NetBox, with the reason for those that are not."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)

from ..inventory import Address, AddressOrigin, IgnoredAddress
from ..messages import Message

__all__ = ('AddressFilters', 'assess')

# Property of an address -> the reason why such an address is not documented.
UNUSABLE = {
    'is_unspecified': Message('The address is the unspecified address.'),
    'is_loopback': Message('The address is a loopback address.'),
    'is_link_local': Message('The address is a link-local address.'),
    'is_multicast': Message('The address is a multicast address.'),
    'ipv4_mapped': Message('The address is an IPv4 address in IPv6 notation.'),
    'scope_id': Message('The address has a zone ID, so it is valid within the guest only.'),
}
BROADCAST = IPv4Address('255.255.255.255')


@dataclass(frozen=True, slots=True)
class AddressFilters:
    """
    The addresses that are excluded by the settings of the endpoint.

    Attributes:
        interfaces: Shell patterns for names of interfaces inside the guest, whose reported addresses are excluded.
        prefixes: Networks whose addresses are excluded, including configured ones.
        limit: The maximum number of addresses of one guest.
    """

    interfaces: tuple[str, ...] = (
        'lo',
        'docker*',
        'veth*',
        'br-*',
        'cali*',
        'cni*',
        'flannel*',
        'virbr*',
        'tap*',
        'kube-*',
    )
    prefixes: tuple[IPv4Network | IPv6Network, ...] = ()
    limit: int = 256

    def excludes_interface(self, name: str) -> bool:
        """Return whether a pattern matches the name of an interface inside the guest."""
        return any(fnmatchcase(name, pattern) for pattern in self.interfaces)

    def excludes_address(self, address: IPv4Address | IPv6Address) -> bool:
        """Return whether an address is in an excluded network."""
        return any(address in prefix for prefix in self.prefixes)


def assess(
    text: str,
    prefix: int | None,
    filters: AddressFilters,
    *,
    origins: Mapping[int, AddressOrigin],
    source: str,
    guest_interface: str | None,
    reported: bool = False,
) -> Address | IgnoredAddress:
    """
    Return a configured or reported address: usable, or ignored with the reason.

    Args:
        text: The host address; any text is allowed.
        prefix: The prefix length; an invalid one is ignored.
        origins: The origin by IP version.
        source: The source for display, as in `Address`.
    """
    reason = None
    try:
        host = ip_address(text.strip())
    except ValueError:
        reason = Message('The value is not an IP address.')
    else:
        interface, has_prefix = _interface(host, prefix)
        reason = _why_unusable(host, interface.network if has_prefix else None, filters)
    if reason:
        return IgnoredAddress(text=_with_prefix(text, prefix), guest_interface=guest_interface, reason=reason)
    return Address(
        interface=interface,
        has_prefix=has_prefix,
        origin=origins[interface.version],
        source=source,
        guest_interface=guest_interface,
        reported=reported,
    )


def _interface(host: IPv4Address | IPv6Address, prefix: int | None) -> tuple[IPv4Interface | IPv6Interface, bool]:
    # NetBox does not support /0 addresses.
    has_prefix = prefix is not None and 0 < prefix <= host.max_prefixlen
    # From the number: `ip_interface` would parse the text again.
    interface = IPv4Interface if host.version == 4 else IPv6Interface
    return interface((int(host), prefix if has_prefix else host.max_prefixlen)), has_prefix


def _why_unusable(
    host: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network | None, filters: AddressFilters
) -> Message | None:
    for attribute, reason in UNUSABLE.items():
        if getattr(host, attribute, None):
            return reason
    if host == BROADCAST:
        return Message('The address is the broadcast address.')
    if filters.excludes_address(host):
        return Message('The address is in a prefix that the endpoint ignores.')
    # NetBox rejects both on an interface; networks with one or two addresses have neither.
    if network is not None and network.num_addresses > 2:
        if host == network.network_address:
            return Message('The address is the network address, which NetBox does not accept on an interface.')
        if host.version == 4 and host == network.broadcast_address:
            return Message(
                'The address is the broadcast address of its network, which NetBox does not accept on an interface.'
            )
    return None


def _with_prefix(text: str, prefix: int | None) -> str:
    return text if prefix is None else f'{text}/{prefix}'
