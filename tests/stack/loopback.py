"""
Keeps a process of the tests or of the demo on this machine: no connection leaves it, and no name is looked up.

An audit hook sees every connection that Python code makes, whatever library makes it, and a forked process inherits it.
It cannot be removed. What it prevents is written to the file that REPORT names, so that the tests fail for it also when
the program handles the error. What it cannot see is a name that is given to connect() or bind() instead
of an address, which Python looks up itself: nothing here does that.
"""

import errno
import os
import socket
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

__all__ = ('REPORT', 'SWITCH', 'begin_report', 'keep', 'kept', 'local', 'reported')

# The variables of the environment by which processes that are started know of it.
SWITCH = 'PROXSYNC_STACK_LOOPBACK'
REPORT = 'PROXSYNC_STACK_CONTACTS'
NETWORKS = ['127.0.0.0/8', '::1/128']
LOCAL_NAMES = ('localhost', '')

_kept: set[int] = set()


def keep() -> None:
    """Prevent connections of this process, and of those that it forks, to other machines."""
    if not _kept:
        sys.addaudithook(_audit)
    _kept.add(os.getpid())


def kept() -> bool:
    return bool(_kept)


def local(host: str) -> bool | None:
    """Whether a literal address is one of this machine's loopback; None if it is a name, which would be looked up."""
    try:
        address = ip_address(host.partition('%')[0])
    except ValueError:
        # The C library takes '127.1', '0x7f.1' and '2130706433' for addresses as well.
        try:
            address = ip_address(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return True if host in LOCAL_NAMES else None
    return (getattr(address, 'ipv4_mapped', None) or address).is_loopback


def begin_report(path: Path) -> None:
    """Let this process, and those that it starts, write prevented connections to an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('')
    os.environ[REPORT] = str(path)


def reported() -> str:
    """The prevented connections since the report was started or read; it is empty afterwards."""
    path = Path(os.environ[REPORT])
    text = path.read_text()
    if text:
        path.write_text('')
    return text


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ('socket.connect', 'socket.sendto', 'socket.sendmsg'):
        _check_address(event, arguments[1])
    elif event in ('socket.getaddrinfo', 'socket.gethostbyname'):
        _check_name(arguments[0])
    elif event in ('socket.gethostbyaddr', 'socket.getnameinfo'):
        raise socket.herror(1, 'Unknown host')


def _check_address(event: str, address: Any) -> None:
    # Paths of Unix sockets are texts or bytes, and None is the address that the socket is connected to.
    if not isinstance(address, tuple) or not isinstance(address[0], str | bytes):
        return
    host = address[0].decode(errors='replace') if isinstance(address[0], bytes) else address[0]
    if not local(host):
        _write(f'{event} {host} port {address[1]} by process {os.getpid()}\n')
        raise PermissionError(errno.EACCES, f'The tests and the demo do not contact {host}')


def _check_name(host: Any) -> None:
    name = host.decode(errors='replace') if isinstance(host, bytes) else host
    if name is not None and local(name) is None:
        # As for any name that nobody knows: no question leaves this machine.
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')


def _write(line: str) -> None:
    if path := os.environ.get(REPORT):
        with suppress(OSError), open(path, 'a') as report:
            report.write(line)
    else:
        print(line, end='', file=sys.stderr, flush=True)
