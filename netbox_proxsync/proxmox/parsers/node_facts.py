"""The facts of a node (`/nodes/N/status`) and its certificates (`/nodes/N/certificates/info`)."""

from typing import Any

from ..infrastructure import Certificate, NodeFacts
from ..messages import Message
from ..properties import ParseError
from .rows import Row, number, parse_rows, reading, word

__all__ = ('certificate_served', 'parse_certificates', 'parse_node_facts')

COUNTS = range(1, 2**63)
TIMES = range(253_402_300_800)  # up to the year 9999, the end of certificates without expiry
# pveproxy serves the first of these that exists.
SERVED = ('pveproxy-ssl.pem', 'pve-ssl.pem')


def parse_node_facts(data: Any) -> NodeFacts:
    """
    Parse the status of a node. Missing facts are None. Raises ParseError if the answer is not a map.
    """
    if not isinstance(data, dict):
        raise ParseError(Message('the status of the node is not a set of keys and values'))
    return NodeFacts(
        version=reading(lambda: _version(word(data, 'pveversion'))),
        cpu_model=reading(lambda: word(_map(data, 'cpuinfo'), 'model')),
        cpu_sockets=reading(lambda: number(_map(data, 'cpuinfo'), 'sockets', COUNTS)),
        cpus=reading(lambda: number(_map(data, 'cpuinfo'), 'cpus', COUNTS)),
        memory=reading(lambda: number(_map(data, 'memory'), 'total', COUNTS)),
        rootfs=reading(lambda: number(_map(data, 'rootfs'), 'total', COUNTS)),
        architecture=reading(lambda: word(_map(data, 'current-kernel'), 'machine')),
    )


def parse_certificates(data: Any) -> tuple[Certificate, ...]:
    """Parse the certificates, sorted by file name. Raises ParseError if the answer is not a list of files."""
    return tuple(sorted(parse_rows(data, _certificate), key=lambda found: found.filename))


def certificate_served(certificates: tuple[Certificate, ...]) -> Certificate | None:
    """Return the certificate that the node's API presents to clients; None if there is none."""
    by_name = {found.filename: found for found in certificates}
    return next((by_name[name] for name in SERVED if name in by_name), None)


def _certificate(row: Row) -> Certificate:
    filename = word(row, 'filename')
    if filename is None:
        raise ParseError(Message('a certificate has no file name'))
    return Certificate(
        filename=filename,
        fingerprint=reading(lambda: (word(row, 'fingerprint') or '').upper()),
        subject=reading(lambda: word(row, 'subject') or ''),
        expires=reading(_end, row),
    )


def _end(row: Row) -> int:
    expires = number(row, 'notafter', TIMES)
    if expires is None:
        raise ParseError(Message('a certificate has no expiration date'))
    return expires


def _map(data: Row, key: str) -> Row:
    value = data.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParseError(Message('{key} is not a set of keys and values', key=key))
    return value


def _version(text: str | None) -> str | None:
    """Extract '9.2.11' from 'pve-manager/9.2.11/14a22df35955d97d'."""
    parts = (text or '').split('/')
    return (parts[1] if len(parts) > 1 else parts[0]) or None
