"""Combines static configuration and reported interfaces into the addresses of each NIC."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..guests import (
    Address,
    AddressOrigin,
    GuestConfig,
    GuestOnlyInterface,
    GuestType,
    IgnoredAddress,
    Nic,
    NicAddresses,
)
from ..messages import Message
from ..properties import NO_MAC
from ..readings import Reading, Unreadable, known
from .address_filters import AddressFilters, assess
from .address_limit import shortened, within_limit
from .guest_interfaces import GuestInterface
from .static_addresses import Host, StaticAddressing, hosts_of, is_address, static_addressing

__all__ = ('guest_only_interfaces', 'nic_addresses')

STATIC_SOURCE = {GuestType.QEMU: 'cloud-init', GuestType.LXC: 'container configuration'}
RUNNING_SOURCE = {GuestType.QEMU: 'guest agent', GuestType.LXC: 'container interfaces'}
STATIC_ORIGINS = {4: AddressOrigin.STATIC, 6: AddressOrigin.STATIC}
# Names of interfaces that are usually stacked on a physical one, on Linux, BSD and Windows.
STACKED = re.compile(
    r'.*[.:@]|(vlan|vmbr|br[-_0-9]|bridge|bond|team|lagg|macv|ipvl|dummy|vEthernet|docker|veth|virbr|tap|tun)'
)


def nic_addresses(
    guest_type: GuestType,
    config: GuestConfig,
    running: Reading[tuple[GuestInterface, ...]],
    filters: AddressFilters | None = None,
) -> dict[str, NicAddresses]:
    """
    Return the addresses of every NIC of a guest by NIC key.

    Static addresses come first. `ip` and `ip6` of a container are facts. `ipconfigN` of cloud-init is a request, which
    is used only if there is a cloud-init drive, and if the guest has the address or cannot be queried. Reported
    addresses follow, from all interfaces in the guest with the MAC address of the NIC. An address of two NICs belongs
    to the first. Excluded addresses are listed with the reason.

    Args:
        running: The interfaces reported by the guest, or why they are not known (stopped, no agent, refused, ...).
        filters: Further exclusions; by default, the usual interfaces of container hosts.
    """
    guest_type = GuestType(guest_type)
    filters = filters or AddressFilters()
    macs = Counter(nic.mac for nic in config.nics if known(nic.mac))
    holders: dict[Host, str] = {}
    result = {}
    for nic in config.nics:
        carriers = _carriers(nic, running, macs)
        found = _of_nic(guest_type, static_addressing(guest_type, nic, config), _name(nic), carriers, filters)
        result[nic.key] = _without_held(found, holders, filters.limit)
        holders |= {address.interface.ip: nic.key for address in result[nic.key].addresses}
    return within_limit(result, filters.limit)


def guest_only_interfaces(
    guest_type: GuestType,
    config: GuestConfig,
    running: Reading[tuple[GuestInterface, ...]],
    nics: Mapping[str, NicAddresses],
    filters: AddressFilters | None = None,
) -> Reading[tuple[GuestOnlyInterface, ...]]:
    """
    Return the interfaces with addresses that match none of the readable NICs.

    Args:
        nics: The result of `nic_addresses`.
    """
    if isinstance(running, Unreadable):
        return running
    filters = filters or AddressFilters()
    readable = {nic.mac for nic in config.nics if nics[nic.key].running is None}
    others = [interface for interface in running if interface.mac is None or interface.mac not in readable]
    if any(interface.is_incomplete for interface in others):
        return Unreadable(Message('The guest returned an incomplete list of interfaces.'))
    static = StaticAddressing()
    found = []
    for interface in others:
        addresses, ignored = _sorted_out(_observed(RUNNING_SOURCE[guest_type], static, (interface,), filters))
        # Every guest has a loopback interface, and every interface that is up has a link-local address.
        if addresses or any(not _is_local(address.text) for address in ignored):
            found.append(
                GuestOnlyInterface(
                    name=interface.name,
                    mac=None if interface.mac == NO_MAC else interface.mac,
                    addresses=tuple(addresses[: filters.limit]),
                    ignored=shortened(ignored, filters.limit),
                )
            )
    return tuple(sorted(found, key=lambda interface: (interface.name, interface.mac or ''))[: filters.limit])


def _name(nic: Nic) -> str | None:
    """The configured name of the interface inside the guest; None if there is none, or it is not known."""
    return nic.name if known(nic.name) else None


def _carriers(
    nic: Nic, running: Reading[tuple[GuestInterface, ...]], macs: Counter[str | None]
) -> Reading[tuple[GuestInterface, ...]]:
    """
    The reported interfaces with the MAC address of the NIC, the NIC itself first; Unreadable if they may be incomplete.
    """
    if isinstance(running, Unreadable):
        return running
    if isinstance(nic.mac, Unreadable):
        return nic.mac
    if nic.mac is None:
        return Unreadable(
            Message(
                'The configuration of {key} has no MAC address, so the NIC cannot be found in the guest.', key=nic.key
            )
        )
    if macs[nic.mac] > 1:
        return Unreadable(
            Message(
                'Two NICs of the guest share the MAC address {mac}; their addresses cannot be distinguished.',
                mac=nic.mac,
            )
        )
    if any(interface.is_incomplete and interface.mac in (nic.mac, None) for interface in running):
        return Unreadable(Message('The guest returned an incomplete list of interfaces.'))
    carriers = [interface for interface in running if interface.mac == nic.mac]
    if not carriers:
        # It is in another network namespace or has no driver: its addresses are not visible, but may exist.
        return Unreadable(
            Message('No interface in the guest has the MAC address {mac} of {key}.', mac=nic.mac, key=nic.key)
        )
    return tuple(sorted(carriers, key=lambda interface: _rank(nic, interface)))


def _rank(nic: Nic, interface: GuestInterface) -> tuple[bool, bool]:
    """
    The sort key that puts the NIC before interfaces stacked on it (VLAN, bridge, bond), which share its MAC address.

    The sources do not distinguish them. In a container, the NIC has the configured name. Otherwise, names that look
    like stacked interfaces come last, and the order of the guest decides among the others.
    """
    return interface.name != _name(nic), STACKED.match(interface.name) is not None


def _of_nic(
    guest_type: GuestType,
    static: StaticAddressing,
    name: str | None,
    carriers: Reading[tuple[GuestInterface, ...]],
    filters: AddressFilters,
) -> NicAddresses:
    """The addresses of one NIC, including those that another NIC has as well."""
    configured, ignored = _sorted_out(_configured(guest_type, static, name, filters))
    unreadable = carriers if isinstance(carriers, Unreadable) else None
    observed: list[Address] = []
    if not isinstance(carriers, Unreadable):
        observed, ignored_running = _sorted_out(_observed(RUNNING_SOURCE[guest_type], static, carriers, filters))
        ignored += ignored_running
        configured = [_completed(address, observed) for address in configured]
    if unreadable is None and guest_type is GuestType.QEMU:
        configured, ignored_wishes = _granted(configured, observed)
        ignored += ignored_wishes
    return NicAddresses(
        addresses=_unique([*configured, *observed]),
        ignored=shortened(ignored, filters.limit),
        running=unreadable,
        has_gateway4=bool(static.gateway4 and is_address(static.ipv4)),
        has_gateway6=bool(static.gateway6 and is_address(static.ipv6)),
        guest_name=None if isinstance(carriers, Unreadable) else carriers[0].name or None,
        configured=static.hosts,
        excess=frozenset(),
    )


def _sorted_out(assessed: Iterable[Address | IgnoredAddress]) -> tuple[list[Address], list[IgnoredAddress]]:
    addresses: list[Address] = []
    ignored: list[IgnoredAddress] = []
    for address in assessed:
        if isinstance(address, Address):
            addresses.append(address)
        else:
            ignored.append(address)
    return addresses, ignored


def _configured(
    guest_type: GuestType, static: StaticAddressing, name: str | None, filters: AddressFilters
) -> Iterable[Address | IgnoredAddress]:
    for text in static.addresses:
        host, _, prefix = text.partition('/')
        yield assess(
            host,
            int(prefix) if re.fullmatch('[0-9]{1,3}', prefix) else None,
            filters,
            origins=STATIC_ORIGINS,
            source=STATIC_SOURCE[guest_type],
            guest_interface=name,
        )


def _observed(
    source: str, static: StaticAddressing, carriers: tuple[GuestInterface, ...], filters: AddressFilters
) -> Iterable[Address | IgnoredAddress]:
    for interface in carriers:
        excluded = filters.excludes_interface(interface.name)
        for address in interface.addresses:
            assessed = assess(
                address.text,
                address.prefix,
                filters,
                origins=static.running_origins,
                source=source,
                guest_interface=interface.name or None,
                reported=True,
            )
            if isinstance(assessed, Address) and address.temporary:
                assessed = _ignored(assessed, Message('The address is a temporary address.'))
            elif isinstance(assessed, Address) and excluded:
                assessed = _ignored(assessed, Message('The endpoint ignores interfaces with this name.'))
            yield assessed


def _ignored(address: Address, reason: Message) -> IgnoredAddress:
    text = str(address.interface if address.has_prefix else address.interface.ip)
    return IgnoredAddress(text=text, guest_interface=address.guest_interface, reason=reason)


def _completed(address: Address, observed: list[Address]) -> Address:
    """A configured address with the interface name, and a missing prefix length, as reported by the guest."""
    for reported in observed:
        if reported.interface.ip == address.interface.ip:
            if not address.has_prefix:
                address = replace(address, interface=reported.interface, has_prefix=reported.has_prefix)
            return replace(address, guest_interface=reported.guest_interface, reported=True)
    return address


def _granted(wishes: list[Address], observed: list[Address]) -> tuple[list[Address], list[IgnoredAddress]]:
    """Split the addresses requested by cloud-init into those that the guest has and ignored ones."""
    hosts = {address.interface.ip for address in observed}
    return _sorted_out(
        wish
        if wish.interface.ip in hosts
        else _ignored(
            wish,
            Message(
                'cloud-init requests the address, but it is not among the usable addresses that the guest reports.'
            ),
        )
        for wish in wishes
    )


def _unique(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Keep the first of each host address, so that a configured address precedes the same reported one."""
    by_host: dict[Host, Address] = {}
    for address in addresses:
        by_host.setdefault(address.interface.ip, address)
    return tuple(by_host.values())


def _without_held(found: NicAddresses, holders: dict[Host, str], limit: int) -> NicAddresses:
    """Move the addresses that an earlier NIC has to the ignored ones."""
    kept, ignored = _sorted_out(
        _ignored(address, Message('{nic} of the same guest has the address.', nic=holders[address.interface.ip]))
        if address.interface.ip in holders
        else address
        for address in found.addresses
    )
    return replace(found, addresses=tuple(kept), ignored=(*found.ignored, *shortened(ignored, limit)))


def _is_local(text: str) -> bool:
    return any(host.is_loopback or host.is_link_local for host in hosts_of([text]))
