"""The addresses of a guest that are documented, and its primary addresses."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from ...proxmox.inventory import Address, AddressOrigin, Guest, NicAddresses, known
from ..hints import AddressHints, PrimaryRank
from ..kind_names import ADDRESS
from ..state import Existing, Item, Record
from ..values import Ref, Value

__all__ = ('addresses_of', 'all_readable', 'ip_ref', 'primary_addresses', 'primary_ranks', 'with_primary_addresses')

PRIMARY = {4: 'primary_ip4', 6: 'primary_ip6'}
# Stands for a field that is not to be written.
UNCHANGED = Ref('', '')


def ip_ref(guest: Guest, address: Address) -> Ref:
    """
    The reference to an address. It belongs to its guest, so it remains the same object when it moves between NICs.
    """
    host = str(address.interface.ip)
    return Ref(ADDRESS, f'{guest.key}/{host}', host)


def addresses_of(guest: Guest) -> Iterator[tuple[str, NicAddresses, Address]]:
    """Every usable address of a guest with its NIC, in the order of the NICs."""
    if known(guest.config) and known(guest.addresses):
        for nic in guest.config.nics:
            if nic_addresses := guest.addresses.get(nic.key):
                for address in nic_addresses.addresses:
                    yield nic.key, nic_addresses, address


def all_readable(guest: Guest) -> bool:
    """Whether the running addresses of every NIC were read, so that an address that none of them has is gone."""
    return known(guest.addresses) and all(nic.running is None for nic in guest.addresses.values())


def primary_ranks(guest: Guest) -> dict[str, PrimaryRank]:
    """
    The rank of each address as primary address, by key: static before dynamic, the NIC with the default gateway first,
    then the order of the NICs, and global before private for IPv6. Empty if the configuration of a NIC's addresses
    cannot be read, because it is not known then which addresses are static.
    """
    if known(guest.addresses) and not all(known(nic.configured) for nic in guest.addresses.values()):
        return {}
    ranks = {}
    for position, (_key, nic, address) in enumerate(addresses_of(guest)):
        version = address.interface.version
        ranks[ip_ref(guest, address).key] = (
            address.origin is not AddressOrigin.STATIC,
            not (nic.has_gateway4 if version == 4 else nic.has_gateway6),
            version == 6 and address.interface.is_private,
            position,
        )
    return ranks


def primary_addresses(guest: Guest) -> dict[str, Value]:
    """`primary_ip4` and `primary_ip6`, as far as the guest reports them. `with_primary_addresses` corrects them."""
    ranks = primary_ranks(guest)
    refs = [(entry.interface.version, ip_ref(guest, entry)) for _key, _nic, entry in addresses_of(guest)]
    if refs and not ranks:
        return {}
    values: dict[str, Value] = {}
    for version, name in PRIMARY.items():
        found = [ref for ref_version, ref in refs if ref_version == version]
        if found:
            values[name] = min(found, key=lambda ref: ranks[ref.key])
        elif all_readable(guest):
            values[name] = None
    return values


def with_primary_addresses(
    item: Item,
    record: Record | None,
    ranked: Iterable[Item],
    kept: Container[tuple[str, str]],
    existing: Existing,
    leaves_missing: bool,
) -> Item:
    """
    The machine with the primary addresses that it can have: no address that the guest does not get, and no change if
    the current one is only temporarily not found.

    Args:
        ranked: The addresses that the guest gets.
        kept: The addresses that were not found and are not gone, as (kind, key).
        leaves_missing: The endpoint leaves missing addresses unchanged.
    """
    values = dict(item.values)
    for version, name in PRIMARY.items():
        wanted = values.pop(name, UNCHANGED)
        bound = existing.binding_of(record.values.get(name)) if record else None
        identity = (bound.kind, bound.key) if bound and bound.unit == item.unit else None
        if identity in kept:
            continue
        found = [entry for entry in ranked if version_of(AddressHints.of(entry).host) == version]
        if wanted is None or any(entry.ref == wanted for entry in found):
            values[name] = wanted
        elif best := best_of(found):
            # Another guest has the wanted one, or it cannot be written.
            values[name] = best
        elif identity in existing.gone and not leaves_missing:
            values[name] = None
    return item if values == item.values else replace(item, values=values)


def version_of(host: str) -> int:
    """The IP version of an address as text."""
    return 6 if ':' in host else 4


def best_of(items: Sequence[Item]) -> Ref | None:
    """The address with the best rank; None: there is none, or a rank is not known."""
    ranked = [(rank, item) for item in items if (rank := AddressHints.of(item).primary_rank) is not None]
    return min(ranked, key=lambda entry: entry[0])[1].ref if ranked and len(ranked) == len(items) else None
