"""Which addresses of a guest are documented, and which of them are its primary ones."""

from collections.abc import Iterator

from ...proxmox.inventory import Address, AddressOrigin, Guest, NicAddresses, known
from ..values import Ref, Value

__all__ = ('addresses_of', 'all_readable', 'ip_ref', 'primary_addresses')


def ip_ref(guest: Guest, address: Address) -> Ref:
    """An address belongs to its guest, so that it stays the same object when it moves between NICs."""
    return Ref('ip', f'{guest.key}/{address.interface.ip}', str(address.interface.ip))


def addresses_of(guest: Guest) -> Iterator[tuple[str, NicAddresses, Address]]:
    """Every usable address of a guest with its NIC, in the order of the NICs."""
    if known(guest.config) and known(guest.addresses):
        for nic in guest.config.nics:
            if nic_addresses := guest.addresses.get(nic.key):
                for address in nic_addresses.addresses:
                    yield nic.key, nic_addresses, address


def all_readable(guest: Guest) -> bool:
    """Whether every NIC told what it runs, so that an address that none of them has is gone."""
    return known(guest.addresses) and all(nic.running is None for nic in guest.addresses.values())


def primary_addresses(guest: Guest) -> dict[str, Value]:
    """
    `primary_ip4` and `primary_ip6`, as far as the guest told: static before dynamic, the NIC with the default gateway
    first, then the NICs' order, global before private for IPv6. Nothing if the configuration of a NIC's addresses
    cannot be read: which addresses are static is not known then.
    """
    if known(guest.addresses) and any(nic.configured is not None for nic in guest.addresses.values()):
        return {}
    found: dict[int, list[tuple[tuple, Address]]] = {4: [], 6: []}
    for position, (_key, nic, address) in enumerate(addresses_of(guest)):
        version = address.interface.version
        rank = (
            address.origin is not AddressOrigin.STATIC,
            not (nic.has_gateway4 if version == 4 else nic.has_gateway6),
            version == 6 and address.interface.is_private,
            position,
        )
        found[version].append((rank, address))
    values: dict[str, Value] = {}
    for version, ranked in found.items():
        if ranked:
            best = min(ranked, key=lambda entry: entry[0])[1]
            values[f'primary_ip{version}'] = ip_ref(guest, best)
        elif all_readable(guest):
            values[f'primary_ip{version}'] = None
    return values
