"""Verifies the host key of a host against the pinned keys."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..connections import ContactPolicy, Sockets
from ..messages import Message
from .errors import HostKeyChangedError, HostKeyNotPinnedError, HostKeyRefusedError, SSHUnreachableError
from .host_key import HostKey
from .keys import ALGORITHMS, Pin
from .session import Session
from .settings import TIMEOUT, check_address

__all__ = ('KeyStatus', 'OfferedKey', 'compare_command', 'fetch_host_key', 'verify_host_key')

SESSION_STEPS = 3  # the time limit of a session, as a multiple of the limit of one step


class KeyStatus(StrEnum):
    """The result of comparing an offered host key with the pinned ones."""

    PINNED = 'pinned'
    NEW = 'new'  # no key is pinned for this host
    CHANGED = 'changed'  # another key is pinned


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """The key that a host currently offers."""

    key: HostKey
    status: KeyStatus


def fetch_host_key(
    host: str,
    port: int = 22,
    pins: Iterable[Pin] = (),
    *,
    timeout: float = TIMEOUT,
    deadline: float | None = None,
    sockets: Sockets | None = None,
    policy: ContactPolicy | None = None,
) -> OfferedKey:
    """
    Fetch the key that a host currently offers, for a user to compare and confirm. No user name is sent.

    Raises:
        InvalidSSHSettingsError: `host` is not a host.
        SSHUnreachableError, SSHTimeoutError: No connection.
    """
    check_address(host)
    with Session(host, port, timeout, session_deadline(timeout, deadline), sockets, policy) as session:
        return _fetch_host_key(session, host, port, pins)


def verify_host_key(session: Session, host: str, port: int, pins: Iterable[Pin]) -> None:
    """
    Connect to a host and verify that it holds a pinned key. No credential is sent.

    Raises:
        HostKeyRefusedError: The host does not offer a pinned key.
        SSHUnreachableError, SSHTimeoutError: No connection.
    """
    offered = _fetch_host_key(session, host, port, pins)
    if offered.status is not KeyStatus.PINNED:
        raise _refused(session, offered)


def session_deadline(timeout: float, deadline: float | None) -> float:
    """Return the deadline of a session on the clock of `time.monotonic()`."""
    own = time.monotonic() + SESSION_STEPS * timeout
    return own if deadline is None else min(own, deadline)


def _fetch_host_key(session: Session, host: str, port: int, pins: Iterable[Pin]) -> OfferedKey:
    """
    Fetch the pinned host key if the host has it, else the first that it offers.

    A host has several keys and offers one per connection. A pin with a whole key names the type to request first. A pin
    with a fingerprint does not, so the remaining types are tried as well.
    """
    pins = [pin for pin in pins if pin.is_for(host, port)]
    accepted = {pin.fingerprint for pin in pins}
    types = sorted(ALGORITHMS, key=lambda type_: all(pin.type != type_ for pin in pins))
    key = offered = session.connect(types)
    while key.fingerprint_sha256 not in accepted:
        if all(pin.type for pin in pins) or key.type not in types or types == [key.type]:
            return OfferedKey(offered, KeyStatus.CHANGED if pins else KeyStatus.NEW)
        types.remove(key.type)
        try:
            key = session.connect(types)
        except SSHUnreachableError:
            return OfferedKey(offered, KeyStatus.CHANGED)  # the host has no key of another type
    return OfferedKey(key, KeyStatus.PINNED)


def compare_command(key: HostKey) -> str:
    """Return the command that prints the fingerprint of this key on the node."""
    kind = key.type.removeprefix('ssh-').split('-')[0]
    return f'ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub'


def _refused(session: Session, offered: OfferedKey) -> HostKeyRefusedError:
    key = offered.key
    shown = f'{key.fingerprint_sha256} ({key.type})'
    compare = compare_command(key)
    if offered.status is KeyStatus.CHANGED:
        return HostKeyChangedError(
            Message(
                '{host} does not present the SSH host key that is pinned for it, but {key}. Nothing was sent.',
                host=session.name,
                key=shown,
            ),
            Message(
                'If the node was reinstalled, compare the key with "{command}" on the console of the node and '
                'pin it under "SSH Host Keys" of the endpoint. Otherwise, the connection may be intercepted.',
                command=compare,
            ),
            key=key,
        )
    return HostKeyNotPinnedError(
        Message(
            'No SSH host key is pinned for {host}. The host presents {key}. Nothing was sent to it.',
            host=session.name,
            key=shown,
        ),
        Message(
            'Compare the key with "{command}" on the console of the node, and pin it under "SSH Host Keys" of '
            'the endpoint.',
            command=compare,
        ),
        key=key,
    )
