"""Public host keys and their notation."""

import base64
import hashlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self

import paramiko

__all__ = (
    'HostKey',
    'host_names',
)


def host_names(host: str, port: int) -> tuple[str, ...]:
    """Return the names of a host and port in a known_hosts file, the canonical form first. Ports other than 22 are
    included."""
    try:
        host = str(ip_address(host))
    except ValueError:
        host = host.lower()
    with_port = f'[{host}]:{port}'
    return (host, with_port) if port == 22 else (with_port, host)


@dataclass(frozen=True, slots=True)
class HostKey:
    """
    The public key that a host offers.

    Attributes:
        type: 'ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa', ...
        base64: The key itself, as in a known_hosts file.
        fingerprint_sha256: 'SHA256:...' as printed by ssh-keygen.
        line: 'host key-type base64' ('[host]:port ...' if the port is not 22), the format of pinned keys.
    """

    type: str
    base64: str
    fingerprint_sha256: str
    line: str

    @classmethod
    def of(cls, key: paramiko.PKey, host: str, port: int) -> Self:
        """Create the key from paramiko's."""
        text = base64.b64encode(key.asbytes()).decode()
        name = key.get_name()
        return cls(name, text, fingerprint_of(key.asbytes()), f'{host_names(host, port)[0]} {name} {text}')


def fingerprint_of(blob: bytes) -> str:
    """Return the fingerprint 'SHA256:...' of a public key in binary form."""
    return 'SHA256:' + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')
