"""Hosts in the notation `host[:port]`."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from .errors import InvalidConnectionError
from .messages import Message

__all__ = ('BRACKETED', 'DEFAULT_PORT', 'Host', 'is_host', 'is_ipv6')

DEFAULT_PORT = 8006
BRACKETED = re.compile(r'\[(?P<name>[^]]+)\](?::(?P<port>\d{1,5}))?')
NAME = r'[^\s:/?#@\[\]\x00-\x1f\x7f]+'
PLAIN = re.compile(rf'(?P<name>{NAME})(?::(?P<port>\d{{1,5}}))?')


@dataclass(frozen=True, slots=True)
class Host:
    """A DNS name or an IP address (without brackets), and a port."""

    name: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f'[{self.name}]:{self.port}' if ':' in self.name else f'{self.name}:{self.port}'

    @classmethod
    def parse(cls, text: str) -> 'Host':
        """
        Parse 'pve1', 'pve1:8006', '10.0.0.1', '[2001:db8::1]:8006' or '2001:db8::1'.

        Raises:
            InvalidConnectionError: The text is anything else.
        """
        text = text.strip()
        try:
            return cls(str(ip_address(text)))
        except ValueError:
            pass
        match = BRACKETED.fullmatch(text) or PLAIN.fullmatch(text)
        port = int(match['port'] or DEFAULT_PORT) if match else 0
        if match is None or not 0 < port < 65536 or (text.startswith('[') and not is_ipv6(match['name'])):
            raise InvalidConnectionError(
                Message('{text} is not a host.', text=text or Message('An empty text')),
                Message(
                    'Write the name or the address of a node, and its port if it is not 8006: '
                    'pve1.example.com, 10.0.0.1:8006 or [2001:db8::1]:8006.'
                ),
            )
        return cls(match['name'], port)


def is_ipv6(text: str) -> bool:
    """Return whether a text is an IPv6 address without brackets."""
    try:
        return isinstance(ip_address(text), IPv6Address)
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """Return whether a text may be a DNS name or is an IP address, without brackets and port."""
    return re.fullmatch(NAME, text) is not None or is_ipv6(text)
