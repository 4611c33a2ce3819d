"""`host[:port]` as people write it."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from .errors import InvalidConnectionError

__all__ = ('DEFAULT_PORT', 'Host')

DEFAULT_PORT = 8006
BRACKETED = re.compile(r'\[(?P<name>[^]]+)\](?::(?P<port>\d{1,5}))?')
PLAIN = re.compile(r'(?P<name>[^\s:/?#@\[\]]+)(?::(?P<port>\d{1,5}))?')


@dataclass(frozen=True, slots=True)
class Host:
    """One address of the API: a DNS name or an IP address (without brackets), and a port."""

    name: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f'[{self.name}]:{self.port}' if ':' in self.name else f'{self.name}:{self.port}'

    @classmethod
    def parse(cls, text: str) -> 'Host':
        """'pve1', 'pve1:8006', '10.0.0.1', '[2001:db8::1]:8006', '2001:db8::1'. Else raises InvalidConnectionError."""
        text = text.strip()
        try:
            return cls(str(ip_address(text)))
        except ValueError:
            pass
        match = BRACKETED.fullmatch(text) or PLAIN.fullmatch(text)
        port = int(match['port'] or DEFAULT_PORT) if match else 0
        if match is None or not 0 < port < 65536 or (text.startswith('[') and not _is_ipv6(match['name'])):
            raise InvalidConnectionError(
                f'{text or "An empty text"} is not a host.',
                'Write the name or the address of a node, and its port if it is not 8006: pve1.example.com, '
                '10.0.0.1:8006 or [2001:db8::1]:8006.',
            )
        return cls(match['name'], port)


def _is_ipv6(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv6Address)
    except ValueError:
        return False
