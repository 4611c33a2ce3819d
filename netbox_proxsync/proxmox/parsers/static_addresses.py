"""The addresses that a guest's configuration gives to its NICs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ..guests import AddressOrigin, GuestConfig, GuestType, Nic
from ..readings import Reading, Unreadable, known

__all__ = ('Host', 'StaticAddressing', 'hosts_of', 'is_address', 'static_addressing')

# Values of a configuration in place of an address -> the origin of a reported address of that IP version.
MODES = {'dhcp': AddressOrigin.LEASED, 'auto': AddressOrigin.AUTOCONFIGURED, 'manual': AddressOrigin.OBSERVED}

type Host = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class StaticAddressing:
    """
    The static addressing of one NIC in the configuration; '' for a value that is not configured.

    Attributes:
        is_defined: Whether the configuration determines the addresses at all.
        unreadable: Why a part of the configuration is not known; None if all of it is.
    """

    ipv4: str = ''
    ipv6: str = ''
    gateway4: str = ''
    gateway6: str = ''
    is_defined: bool = False
    unreadable: Unreadable | None = None

    @property
    def hosts(self) -> Reading[frozenset[Host] | None]:
        """The valid addresses without their prefix lengths; None if the configuration does not define them."""
        if self.unreadable is not None:
            return self.unreadable
        return frozenset(hosts_of(self.addresses)) if self.is_defined else None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(text for text in (self.ipv4, self.ipv6) if is_address(text))

    @property
    def running_origins(self) -> dict[int, AddressOrigin]:
        # IPv4 has no SLAAC, and NetBox has no such status for an IPv4 address. `auto` for IPv4, in a file that was
        # edited by hand, is ignored.
        leased = self.ipv4 == 'dhcp'
        return {
            4: AddressOrigin.LEASED if leased else AddressOrigin.OBSERVED,
            6: MODES.get(self.ipv6, AddressOrigin.OBSERVED),
        }


def static_addressing(guest_type: GuestType, nic: Nic, config: GuestConfig) -> StaticAddressing:
    """The static addressing of a NIC: of a container its own, of a virtual machine that of cloud-init."""
    if guest_type is GuestType.LXC:
        return _addressing_of(nic.ipv4, nic.ipv6, nic.gateway4, nic.gateway6)
    # `cicustom` replaces what Proxmox VE derives from `ipconfigN`, and without a drive the guest gets no configuration
    # (qemu-server, PVE/QemuServer/Cloudinit.pm).
    parts = (config.cloudinit_drive, config.cloudinit_custom)
    unreadable = next((part for part in parts if isinstance(part, Unreadable)), None)
    # Without `ipconfigN`, an unreadable drive has no effect on addresses.
    has_drive = bool(config.cloudinit) if isinstance(config.cloudinit_drive, Unreadable) else config.cloudinit_drive
    if not has_drive or config.cloudinit_custom is True:
        return StaticAddressing()
    wish: Reading[Mapping[str, str]] = config.cloudinit.get(int(nic.key.removeprefix('net')), {})
    if unreadable is not None:
        wish = unreadable
    if isinstance(wish, Unreadable):
        return StaticAddressing(is_defined=True, unreadable=wish)
    return _addressing_of(*(wish.get(key) for key in ('ip', 'ip6', 'gw', 'gw6')))


def _addressing_of(*texts: Reading[str | None]) -> StaticAddressing:
    """Build the addressing from the IPv4 and IPv6 addresses and gateways."""
    unreadable = next((text for text in texts if isinstance(text, Unreadable)), None)
    ipv4, ipv6, gateway4, gateway6 = ((text or '').strip() if known(text) else '' for text in texts)
    return StaticAddressing(ipv4, ipv6, gateway4, gateway6, is_defined=True, unreadable=unreadable)


def is_address(configured: str) -> bool:
    """Return whether the configured value is an address. A gateway is only valid together with an address."""
    return bool(configured) and configured not in MODES


def hosts_of(texts: Iterable[str]) -> Iterable[Host]:
    """The valid addresses among texts, without their prefix lengths."""
    for text in texts:
        try:
            yield ip_address(text.partition('/')[0].strip())
        except ValueError:
            continue
