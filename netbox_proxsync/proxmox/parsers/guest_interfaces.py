"""What runs inside a guest: interfaces and addresses as the guest agent and `/lxc/{id}/interfaces` tell them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..properties import ParseError, as_text, boolean_or_none, parse_mac, positive_or_none

__all__ = ('GuestAddress', 'GuestInterface', 'parse_agent_interfaces', 'parse_container_interfaces')


@dataclass(frozen=True, slots=True)
class GuestAddress:
    """
    An address as the guest reported it.

    Attributes:
        text: May be anything, e.g. 'fe80::1%eth0'.
        prefix: The prefix length; None if not told (Windows says -1).
        temporary: A privacy address. Neither source tells it up to Proxmox VE 9.2; `temporary` is iproute2's name.
    """

    text: str
    prefix: int | None
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """
    A network interface inside a guest.

    Attributes:
        mac: Upper case with colons; None if it has none or the guest did not say.
        garbled: Part of it could not be read, so an address that is missing here is not known to be gone.
    """

    name: str
    mac: str | None
    addresses: tuple[GuestAddress, ...]
    garbled: bool = False


def parse_agent_interfaces(raw: object) -> tuple[GuestInterface, ...]:
    """
    The answer of `/qemu/{id}/agent/network-get-interfaces`: `{'result': [...]}`, or the bare list.

    An element that cannot be read does not spoil the others; it is marked as `garbled`.

    Raises:
        ParseError: There is no list. If the agent refused (`result.error`, with HTTP 200), with its words.
    """
    result = raw.get('result', raw) if isinstance(raw, Mapping) else raw
    if isinstance(result, Mapping) and 'error' in result:
        raise ParseError(f'The guest agent refused: {_error_text(result["error"])}')
    return _interfaces(result, 'The guest agent', _address_list)


def parse_container_interfaces(raw: object) -> tuple[GuestInterface, ...]:
    """
    The answer of `/lxc/{id}/interfaces`, of any version; null, which is the answer for a stopped container, is ().

    An element that cannot be read does not spoil the others; it is marked as `garbled`.

    Raises:
        ParseError: There is no list.
    """
    return () if raw is None else _interfaces(raw, 'The container', _container_addresses)


type Raw = Mapping[str, object]
type Found = Iterable[GuestAddress | None]  # None: an address that cannot be read


def _interfaces(raw: object, teller: str, addresses: Callable[[Raw], Found]) -> tuple[GuestInterface, ...]:
    if not isinstance(raw, list):
        raise ParseError(f'{teller} did not answer with a list of interfaces.')
    return tuple(_interface(element, addresses) for element in raw)


def _interface(raw: object, addresses: Callable[[Raw], Found]) -> GuestInterface:
    if not isinstance(raw, Mapping):
        return GuestInterface('', None, (), garbled=True)
    name = raw.get('name')
    mac = raw.get('hardware-address', raw.get('hwaddr'))
    found = list(addresses(raw))
    return GuestInterface(
        name=name if isinstance(name, str) else '',
        mac=parse_mac(mac),
        addresses=tuple(address for address in found if address is not None),
        # A text that is no MAC address is none (tunnels have other hardware addresses), but 5 means nothing.
        garbled=None in found or not isinstance(mac, str | None),
    )


def _address_list(raw: Raw) -> Found:
    """`ip-addresses`, which is absent (or null) where there is no address."""
    addresses = raw.get('ip-addresses')
    if addresses is None:
        return ()
    return map(_address, addresses) if isinstance(addresses, list) else (None,)


def _container_addresses(raw: Raw) -> Found:
    """
    8.1 and newer list all addresses in `ip-addresses`. Where that is missing or empty, `inet` and `inet6` have one
    each.
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
