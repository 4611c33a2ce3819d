"""Interfaces and addresses inside a running guest, from the guest agent and `/lxc/{id}/interfaces`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..messages import Message
from ..properties import ParseError, as_text, boolean_or_none, parse_mac, positive_or_none

__all__ = ('GuestAddress', 'GuestInterface', 'parse_agent_interfaces', 'parse_container_interfaces')


NO_LIST = Message('The container did not return a list of interfaces.')


@dataclass(frozen=True, slots=True)
class GuestAddress:
    """
    An address as reported by the guest.

    Attributes:
        text: Any text, e.g. 'fe80::1%eth0'.
        prefix: The prefix length; None if not reported (Windows reports -1).
        temporary: Whether it is a privacy address. Proxmox VE up to 9.2 does not report it; the name is iproute2's.
    """

    text: str
    prefix: int | None
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """
    A network interface inside a guest.

    Attributes:
        mac: Upper case with colons; None if there is none or it was not reported.
        is_incomplete: Whether a part of the interface could not be read, so that the absence of an address is not
            reliable.
    """

    name: str
    mac: str | None
    addresses: tuple[GuestAddress, ...]
    is_incomplete: bool = False


def parse_agent_interfaces(raw: object) -> tuple[GuestInterface, ...]:
    """
    Parse the answer of `/qemu/{id}/agent/network-get-interfaces`: `{'result': [...]}`, or only the list.

    An unreadable element is marked as `is_incomplete` and does not affect the others.

    Raises:
        ParseError: There is no list. If the agent refused (`result.error`, with HTTP 200), the message includes its
            error.
    """
    result = raw.get('result', raw) if isinstance(raw, Mapping) else raw
    if isinstance(result, Mapping) and 'error' in result:
        raise ParseError(Message('The guest agent refused: {reason}', reason=_error_text(result['error'])))
    return _interfaces(result, Message('The guest agent did not return a list of interfaces.'), _address_list)


def parse_container_interfaces(raw: object) -> tuple[GuestInterface, ...]:
    """
    Parse the answer of `/lxc/{id}/interfaces` of any version; null, the answer for a stopped container, gives ().

    An unreadable element is marked as `is_incomplete` and does not affect the others.

    Raises:
        ParseError: There is no list.
    """
    return () if raw is None else _interfaces(raw, NO_LIST, _container_addresses)


type Raw = Mapping[str, object]
type Found = Iterable[GuestAddress | None]  # None: an address that cannot be read


def _interfaces(raw: object, no_list: Message, addresses: Callable[[Raw], Found]) -> tuple[GuestInterface, ...]:
    if not isinstance(raw, list):
        raise ParseError(no_list)
    return tuple(_interface(element, addresses) for element in raw)


def _interface(raw: object, addresses: Callable[[Raw], Found]) -> GuestInterface:
    if not isinstance(raw, Mapping):
        return GuestInterface('', None, (), is_incomplete=True)
    name = raw.get('name')
    mac = raw.get('hardware-address', raw.get('hwaddr'))
    found = list(addresses(raw))
    return GuestInterface(
        name=name if isinstance(name, str) else '',
        mac=parse_mac(mac),
        addresses=tuple(address for address in found if address is not None),
        # A text that is not a MAC address means none (tunnels have other hardware addresses); any other type is
        # invalid.
        is_incomplete=None in found or not isinstance(mac, str | None),
    )


def _address_list(raw: Raw) -> Found:
    """The addresses in `ip-addresses`, which is absent or null if there are none."""
    addresses = raw.get('ip-addresses')
    if addresses is None:
        return ()
    return map(_address, addresses) if isinstance(addresses, list) else (None,)


def _container_addresses(raw: Raw) -> Found:
    """
    Proxmox VE 8.1 and newer list all addresses in `ip-addresses`. If it is absent or empty, `inet` and `inet6` hold one
    address each.
    """
    if raw.get('ip-addresses') and isinstance(raw['ip-addresses'], list):
        return _address_list(raw)
    return (_cidr(raw[key]) for key in ('inet', 'inet6') if raw.get(key) is not None)


def _address(raw: object) -> GuestAddress | None:
    if not isinstance(raw, Mapping) or not isinstance(raw.get('ip-address'), str):
        return None
    return GuestAddress(
        raw['ip-address'], positive_or_none(raw.get('prefix')), bool(boolean_or_none(raw.get('temporary')))
    )


def _cidr(raw: object) -> GuestAddress | None:
    if not isinstance(raw, str):
        return None
    text, _, prefix = raw.partition('/')
    return GuestAddress(text, positive_or_none(prefix))


def _error_text(error: object) -> str:
    words = error.get('desc') or error.get('class') if isinstance(error, Mapping) else error
    return as_text(words)[:200]
