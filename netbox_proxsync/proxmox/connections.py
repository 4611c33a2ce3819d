"""
The policy for addresses that NetBox may contact, and the only place where the plugin opens connections.

A name is resolved once, its addresses are checked, and the connection is made to a checked address. A later change of
the DNS record (DNS rebinding) therefore has no effect.
"""

import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Lock, Thread
from typing import Any, Never, Self
from weakref import WeakSet

from .errors import HostUnreachableError
from .hosts import Host
from .messages import Message

__all__ = (
    'ALLOWED_NETWORKS',
    'DENIED_NETWORKS',
    'AddressNotAllowedError',
    'ContactPolicy',
    'Sockets',
    'check_behind_proxy',
    'connect',
)

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

ALLOWED_NETWORKS = ('0.0.0.0/0', '::/0')
# Link-local addresses, which include the metadata services of most clouds, and metadata services at other addresses.
DENIED_NETWORKS = (
    '169.254.0.0/16',
    'fe80::/10',
    'fd00:ec2::/32',  # Amazon
    'fd20:ce::254/128',  # Google
    '100.100.100.200/32',  # Alibaba
    '168.63.129.16/32',  # Azure
    '192.0.0.192/32',  # Oracle
)
# Unspecified, multicast, reserved and broadcast addresses, which are never the address of a single host.
NO_HOST = tuple(map(ip_network, ('0.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '::/128', 'ff00::/8')))

# IPv6 networks whose addresses end with an embedded IPv4 address: NAT64, IPv4-compatible, IPv4-translated.
IPV4_AT_THE_END = tuple(map(ip_network, ('64:ff9b::/96', '::/96', '::ffff:0:0:0/96')))
# The position of the embedded IPv4 address depends on the configuration of the translator (RFC 6052).
LOCAL_NAT64 = ip_network('64:ff9b:1::/48')
ISATAP = (0x00005EFE, 0x02005EFE)

SETTING = "in PLUGINS_CONFIG['netbox_proxsync']"


class AddressNotAllowedError(HostUnreachableError):
    """The policy forbids contact with this address. Nothing was sent to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPolicy:
    """
    The networks that may be contacted.

    Attributes:
        allowed: The address must be in one of these networks.
        denied: The address must be in none of these networks.
    """

    allowed: tuple[Network, ...] = tuple(map(ip_network, ALLOWED_NETWORKS))
    denied: tuple[Network, ...] = tuple(map(ip_network, DENIED_NETWORKS))

    @classmethod
    def parse(cls, allowed: Iterable[str], denied: Iterable[str]) -> Self:
        """Create a policy from networks in CIDR notation. Raises ValueError for anything else."""
        return cls(allowed=tuple(map(ip_network, allowed)), denied=tuple(map(ip_network, denied)))

    def check(self, host: str, port: int, address: str) -> None:
        """
        Check that an address may be contacted.

        Args:
            host: The name or address from the settings or from Proxmox VE, for the message.
            address: The IP address as returned by the resolver.

        Raises:
            AddressNotAllowedError: The address, or an IPv4 address embedded in it, may not be contacted.
        """
        literal = ip_address(address)
        for meant in _meant_by(literal):
            self._check(str(Host(host, port)), literal, meant)
        for possible in _possibly_meant_by(literal):
            if network := _containing(possible, self.denied):
                raise self._denied(str(Host(host, port)), literal, possible, network)

    def _check(self, shown: str, literal: Address, meant: Address) -> None:
        address = _shown_address(literal, meant)
        if _containing(meant, NO_HOST):
            raise AddressNotAllowedError(
                Message(
                    'NetBox does not contact {shown}: {address} is not the address of a single host.',
                    shown=shown,
                    address=address,
                ),
                Message('Enter the name or the address of a node.'),
            )
        if network := _containing(meant, self.denied):
            raise self._denied(shown, literal, meant, network)
        if not _containing(meant, self.allowed):
            raise AddressNotAllowedError(
                Message(
                    'NetBox is not allowed to contact {shown}: {address} is in none of the allowed_networks {setting}.',
                    shown=shown,
                    address=address,
                    setting=SETTING,
                ),
                Message(
                    'If NetBox should contact this address, add its network to allowed_networks {setting}.',
                    setting=SETTING,
                ),
            )

    @staticmethod
    def _denied(shown: str, literal: Address, meant: Address, network: Network) -> AddressNotAllowedError:
        return AddressNotAllowedError(
            Message(
                'NetBox is not allowed to contact {shown}: {address} is in {network}, which is one of the '
                'denied_networks {setting}.',
                shown=shown,
                address=_shown_address(literal, meant),
                network=network,
                setting=SETTING,
            ),
            Message(
                'If NetBox should contact this address, remove {network} from denied_networks {setting}.',
                network=network,
                setting=SETTING,
            ),
        )


def _meant_by(address: Address) -> Iterator[Address]:
    """Yield the address and the IPv4 addresses embedded in it."""
    if address.version == 4:
        yield address
        return
    if address.ipv4_mapped:
        # The operating system uses IPv4 for these.
        yield address.ipv4_mapped
        return
    yield address
    if address.is_loopback or address.is_unspecified:
        return
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    number = int(address)
    if _containing(address, IPV4_AT_THE_END) or number >> 32 & 0xFFFFFFFF in ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)


def _possibly_meant_by(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a local NAT64 address may embed, one for each possible prefix length."""
    if address.version == 4 or address not in LOCAL_NAT64:
        return
    octets = address.packed
    for start in (6, 7, 8, 12):
        # The ninth octet is never part of the embedded address.
        kept = [octet for place, octet in enumerate(octets) if place >= start and (place != 8 or start == 12)]
        yield IPv4Address(bytes(kept[:4]))


def _containing(address: Address, networks: Iterable[Network]) -> Network | None:
    return next((network for network in networks if address in network), None)


def _shown_address(literal: Address, meant: Address) -> str:
    """The address, and in parentheses the IPv4 address that is embedded in it."""
    return str(literal) if meant == literal else f'{literal} ({meant})'


class Sockets:
    """The open sockets of one client, which allow another thread to abort calls that wait for an answer."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: WeakSet[socket.socket] = WeakSet()
        self.ended: Future[Never] = Future()

    def add(self, sock: socket.socket) -> None:
        """Register a socket. It is shut down at once if the client has ended."""
        with self._lock:
            self._open.add(sock)
            if self.ended.done():
                _shut(sock)

    def shut(self) -> None:
        """Shut down all connections, including those that are opened later."""
        with self._lock:
            if not self.ended.done():
                self.ended.set_exception(ConnectionAbortedError('The client was ended.'))
            for sock in self._open:
                _shut(sock)


def _shut(sock: socket.socket) -> None:
    # The socket may be closed already. SSLSocket.shutdown would drop the TLS state that another thread is using; the
    # method of the base class does not.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def connect(
    host: str,
    port: int,
    policy: ContactPolicy,
    deadline: float,
    sockets: Sockets | None = None,
    kind: type[socket.socket] = socket.socket,
) -> socket.socket:
    """
    Connect to the first address of a host that may be contacted and that accepts the connection.

    Args:
        deadline: The end of all attempts, on the clock of `time.monotonic()`. Several addresses share the time.
        sockets: Registers the socket before it connects.
        kind: The class of the socket.

    Raises:
        AddressNotAllowedError: None of the addresses may be contacted.
        socket.gaierror, UnicodeError: The name cannot be resolved.
        TimeoutError, OSError: None of the addresses accepted the connection.
    """
    found = look_up(host, port, deadline, sockets)
    allowed, refusal = [], None
    for entry in found:
        try:
            policy.check(host, port, entry[4][0])
        except AddressNotAllowedError as error:
            refusal = refusal or error
        else:
            allowed.append(entry)
    if refusal and not allowed:
        raise refusal
    failure = OSError('no address')
    for left, (family, type_, protocol, _, address) in zip(range(len(allowed), 0, -1), allowed, strict=True):
        sock = kind(family, type_, protocol)
        try:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            sock.settimeout((deadline - now) / left)
            if sockets:
                sockets.add(sock)
            sock.connect(address)
            if sockets:
                sockets.add(sock)  # a shutdown during the connection attempt had no effect on this socket
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def check_behind_proxy(
    host: str, port: int, policy: ContactPolicy, deadline: float, sockets: Sockets | None = None
) -> None:
    """
    Check a host to which a proxy connects.

    The proxy resolves the name itself. Every address that the name has here must be allowed; a name that cannot be
    resolved here is left to the proxy.

    Raises:
        AddressNotAllowedError: One of the addresses may not be contacted.
    """
    try:
        found = look_up(host, port, deadline, sockets)
    except (OSError, UnicodeError):
        return
    for entry in found:
        policy.check(host, port, entry[4][0])


def look_up(host: str, port: int, deadline: float, sockets: Sockets | None = None) -> list[tuple[Any, ...]]:
    """
    Resolve a host as `socket.getaddrinfo` does, but only until the deadline: the resolver's own limits are longer.

    Raises:
        socket.gaierror, UnicodeError: The name cannot be resolved.
        TimeoutError: The deadline has passed.
        ConnectionAbortedError: The client has ended.
    """
    with suppress(socket.gaierror):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    answer: Future[list[tuple[Any, ...]]] = Future()

    def ask() -> None:
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised in the waiting thread
            answer.set_exception(error)

    # A lookup cannot be interrupted, so the thread is abandoned if it is late.
    Thread(target=ask, name='lookup', daemon=True).start()
    ends: list[Future[Any]] = [answer, sockets.ended] if sockets else [answer]
    done = wait(ends, timeout=max(0, deadline - time.monotonic()), return_when=FIRST_COMPLETED).done
    if answer in done:
        return answer.result()
    if done:
        raise ConnectionAbortedError('The client was ended.')
    raise TimeoutError
