"""The client of the Proxmox VE API: hosts in order, token, TLS, time limits and retries. It sends GET requests only."""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from threading import Lock, Timer
from typing import Any, Never, Self
from urllib.parse import quote, urlencode

import urllib3
from proxmoxer.backends.https import Backend

from ..connections import AddressNotAllowedError, ContactPolicy, Sockets
from ..errors import (
    CanceledError,
    HostUnreachableError,
    InvalidConnectionError,
    InvalidResponseError,
    NotProxmoxError,
    ProxmoxError,
    RunTimeoutError,
    TLSError,
    TooMuchDataError,
)
from ..hosts import Host
from ..infrastructure import HostCertificate
from ..messages import Message, joined
from ..version import Version
from . import size_limits
from .failures import explain
from .responses import Answer, read_answer
from .size_limits import SizeBudget, read_body
from .tls import TLSMode, normalize_fingerprint, tls_context, try_fetch_fingerprint
from .transport import Route, TLSAdapter, track_sockets

__all__ = ('Connection', 'ProxmoxClient')

TRIES = 3
FIRST_PAUSE = 0.5  # seconds; doubled for each attempt, minus a random jitter of up to half
CONNECT_TIMEOUT = 10  # seconds at most: a running host accepts connections at once, even if calls take longer

# Valid values in the Authorization header. Checked here because an error of the HTTP library would contain the value.
TOKEN_ID = re.compile(r'[!-~]+@[!-~]+![!-~]+')
TOKEN_SECRET = re.compile(r'[!-~]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """
    The connection settings of one Proxmox VE cluster.

    Attributes:
        hosts: `host[:port]`, tried in this order.
        token_id: 'user@realm!name'.
        token_secret: The secret; not part of the representation.
        tls_mode: See `tls`.
        ca_certificate: One or more certificates in PEM format, for mode `ca`.
        fingerprint: SHA-256 fingerprints for mode `fingerprint`: one for all hosts, or one per host in their order,
            separated by blanks, commas or line breaks.
        timeout: The time limit of one call in seconds.
        run_timeout: Seconds after the opening of the client at which every call fails; None means no limit.
        concurrency: The maximum number of concurrent calls.
        proxies: As NetBox resolves them: {'https': 'http://proxy:3128'}. May contain credentials; not part of the
            representation.
        policy: The addresses that may be contacted, including members of the cluster, proxies and SSH.
    """

    hosts: tuple[str, ...]
    token_id: str
    token_secret: str = field(repr=False)
    tls_mode: TLSMode = TLSMode.SYSTEM
    ca_certificate: str = field(default='', repr=False)
    fingerprint: str = ''
    timeout: float = 30
    run_timeout: float | None = None
    concurrency: int = 8
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    policy: ContactPolicy = field(default_factory=ContactPolicy)


class _Target:
    """A host and its connection pool; `answered` is set by its first HTTP response."""

    def __init__(self, host: Host, route: Route, adapter: TLSAdapter) -> None:
        self.host = host
        self.route = route
        self.adapter = adapter
        self.answered = False


class ProxmoxClient:
    """
    Reads the Proxmox VE API. Thread-safe.

    proxmoxer builds the URL, the token's header and the session. Its resource objects are not used: they return an HTML
    page as data, None for an unknown status and a text for 595; they log answers; and they support neither time limits
    for a call, nor verification of the host other than by a CA file, nor retries.

    Attributes:
        sockets: All connections that are to end with the client.

    Use it as a context manager; its exit closes every connection.

    Raises:
        InvalidConnectionError: A setting is invalid.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sockets = Sockets()
        self._lock = Lock()
        self._calls = 0
        self._budget = SizeBudget()
        self._failures: dict[Host, ProxmoxError] = {}
        self._ended: Future[Never] = Future()
        self._mode = TLSMode(connection.tls_mode)
        self._context = tls_context(self._mode, connection.ca_certificate)
        track_sockets(self._context, self.sockets)
        if not TOKEN_ID.fullmatch(connection.token_id):
            raise InvalidConnectionError(
                Message('The token ID is not in the form user@realm!name.'), Message('Copy it from Proxmox VE.')
            )
        if not TOKEN_SECRET.fullmatch(connection.token_secret):
            raise InvalidConnectionError(
                Message('The token secret is empty or contains characters that are not allowed.'),
                Message('Copy it from Proxmox VE again.'),
            )
        hosts = [Host.parse(host) for host in connection.hosts]
        if not hosts:
            raise InvalidConnectionError(
                Message('No host is given.'), Message('Enter the name or the address of a node.')
            )
        self._targets = [
            self._target(host, fingerprint)
            for host, fingerprint in zip(hosts, self._fingerprints(len(hosts)), strict=True)
        ]
        self._active = self._targets[0]
        self._timer: Timer | None = None

    def __enter__(self) -> Self:
        limit = self.connection.run_timeout
        if limit:
            late = RunTimeoutError(
                Message(
                    'Reading Proxmox VE took longer than the {limit} seconds that a run may take.', limit=f'{limit:g}'
                ),
                Message('Allow more time or more concurrent API requests, or look for a node that answers slowly.'),
            )
            self._timer = Timer(limit, self._end, (late,))
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._end(CanceledError(Message('The connection to Proxmox VE is closed.')))
        for target in self._targets:
            target.route.close()

    @property
    def calls(self) -> int:
        """The number of requests sent so far."""
        return self._calls

    @property
    def host(self) -> str:
        """The host in use."""
        return str(self._active.host)

    @property
    def certificate(self) -> HostCertificate | None:
        """The certificate of the host in use; None if it is not known."""
        expires = self._active.adapter.expires
        return HostCertificate(host=self.host, expires=int(expires.timestamp())) if expires else None

    @property
    def failed_hosts(self) -> list[ProxmoxError]:
        """The errors of the hosts that were replaced by another."""
        return list(self._failures.values())

    @property
    def ended(self) -> Future[Never]:
        """Raises when the client ends (canceled, out of time, closed). Callers can wait for it together with calls."""
        return self._ended

    def cancel(self) -> None:
        """Abort all calls, and let every later call raise CanceledError."""
        self._end(CanceledError(Message('The run was canceled.')))

    def add_members(self, members: Mapping[str, str | None]) -> None:
        """
        Add members of the cluster, which are tried if all configured hosts fail.

        Members are added only if their identity can be verified: never in TLS mode `off`, and in mode `fingerprint`
        only with a fingerprint.

        Args:
            members: {address: SHA-256 fingerprint as reported by the cluster, or None}.
        """
        if self._mode is TLSMode.OFF:
            return
        port = self._targets[0].host.port
        known = {target.host for target in self._targets}
        for address, fingerprint in sorted(members.items()):
            try:
                host = Host(Host.parse(address).name, port)
                pin = normalize_fingerprint(fingerprint or '') if self._mode is TLSMode.FINGERPRINT else None
            except InvalidConnectionError:
                continue
            if host not in known:
                self._targets.append(self._target(host, pin))

    def version(self) -> Version:
        """
        Return the version of Proxmox VE. Call this first: it verifies that the host is a supported Proxmox VE.

        Raises:
            NotProxmoxError, VersionTooOldError: The host is not a supported Proxmox VE.
            ProxmoxError: As `get`.
        """
        try:
            answer = self.get('version')
        except InvalidResponseError:
            answer = None
        return Version.parse(answer, self.host)

    def get(self, *path: object, **params: object) -> Any:
        """
        Return the `data` of one call: `get('nodes', 'pve1', 'qemu', 100, 'config', current=1)`.

        A transient failure (a refused or broken connection, 502-504, a node that the host cannot reach) is retried
        twice.

        Raises:
            ProxmoxError: The call failed.
        """
        return self.get_document(*path, **params)['data']

    def get_document(self, *path: object, **params: object) -> dict[str, Any]:
        """
        As `get`, but return the whole document: some calls have keys in addition to `data` (`changes` of the network of
        a node).
        """
        for attempt in range(TRIES - 1):
            try:
                return self._get_from_some_host(path, params)
            except ProxmoxError as error:
                if not error.transient:
                    raise
            wait([self._ended], FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1))
        return self._get_from_some_host(path, params)

    def _get_from_some_host(self, path: tuple[object, ...], params: Mapping[str, object]) -> dict[str, Any]:
        first = self._active
        failures: list[ProxmoxError] = []
        failed: list[_Target] = []
        for target in (first, *(target for target in self._targets if target is not first)):
            try:
                document = self._call(target, path, params)
            except (HostUnreachableError, TLSError, NotProxmoxError) as error:
                failures.append(error)
                failed.append(target)
            else:
                self._active = target
                for other, failure in zip(failed, failures, strict=True):
                    self._failures.setdefault(other.host, failure)
                return document
        raise _none_answered(failures)

    def _call(self, target: _Target, path: tuple[object, ...], params: Mapping[str, object]) -> dict[str, Any]:
        self.raise_if_canceled()
        with self._budget.holding() as take:
            try:
                answer = self._send(target, _url(path, params), take)
            except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
                # Not raised here: the current exception may refer to the request, which contains the token's secret.
                failure = self._explain(error, target, _shown(path))
            except (AddressNotAllowedError, TooMuchDataError) as error:
                failure = type(error)(error.message, error.remedy)
            else:
                self.raise_if_canceled()  # an answer that was aborted may be incomplete
                target.answered = True
                return read_answer(answer, target.host, path, self.connection.token_id)
        if isinstance(failure, TooMuchDataError):
            self._end(failure)
        self.raise_if_canceled()
        raise failure

    def _explain(self, error: Exception, target: _Target, call: str) -> ProxmoxError:
        connection = self.connection

        def fingerprint() -> str | None:
            # A host behind a proxy is not contacted directly.
            if target.route.proxy:
                return None
            return try_fetch_fingerprint(target.host, self._connect_timeout, connection.policy)

        return explain(
            error, target.host, call, connection.timeout, self._connect_timeout, fingerprint, answered=target.answered
        )

    @property
    def _connect_timeout(self) -> float:
        return min(self.connection.timeout, CONNECT_TIMEOUT)

    def _send(self, target: _Target, url: str, take: Callable[[int], None]) -> Answer:
        # Do not count a call whose connection was never made.
        counted = target.answered
        if counted:
            self._count()
        with target.route.get(url) as response:
            if not counted:
                self._count()
            return Answer(response.status, response.reason, read_body(response, take))

    def _count(self) -> None:
        with self._lock:
            self._calls += 1

    def _target(self, host: Host, fingerprint: str | None) -> _Target:
        connection = self.connection
        user, _, name = connection.token_id.rpartition('!')
        backend = Backend(
            str(host), user=user, token_name=name, token_value=connection.token_secret, proxies=dict(connection.proxies)
        )
        adapter = TLSAdapter(self._context, fingerprint, self.sockets, connection.policy, connection.concurrency)
        route = Route(
            backend.get_base_url(),
            backend.get_session(),
            adapter,
            connection.proxies,
            timeout=connection.timeout,
            connect_timeout=self._connect_timeout,
            max_size=size_limits.MAX_ANSWER + size_limits.MAX_OVERHEAD,
        )
        return _Target(host, route, adapter)

    def _fingerprints(self, count: int) -> Iterable[str | None]:
        if self._mode is not TLSMode.FINGERPRINT:
            return [None] * count
        pins = [normalize_fingerprint(text) for text in re.split(r'[\s,;]+', self.connection.fingerprint.strip())]
        if len(pins) not in (1, count):
            raise InvalidConnectionError(
                Message('{number} fingerprints are given for {count} hosts.', number=len(pins), count=count),
                Message('Give one for all, or one for each host.'),
            )
        return pins * count if len(pins) == 1 else pins

    def _end(self, why: ProxmoxError) -> None:
        with self._lock:
            if not self._ended.done():
                self._ended.set_exception(why)
        self.sockets.shut()

    def raise_if_canceled(self) -> None:
        """
        Raise CanceledError or RunTimeoutError if the client has ended. For code that waits for something else.
        """
        if self._ended.done() and isinstance(why := self._ended.exception(), ProxmoxError):
            # A new exception each time: threads must not share a traceback.
            raise type(why)(why.message, why.remedy)


def _url(path: tuple[object, ...], params: Mapping[str, object]) -> str:
    url = ''.join(f'/{quote(str(part), safe="")}' for part in path)
    return f'{url}?{urlencode(params)}' if params else url


def _shown(path: tuple[object, ...]) -> str:
    return '/' + '/'.join(map(str, path))


def _none_answered(failures: list[ProxmoxError]) -> ProxmoxError:
    if len(failures) == 1:
        return failures[0]
    return HostUnreachableError(
        joined((Message('None of the hosts can be used.'), *(failure.message for failure in failures))),
        failures[0].remedy,
        transient=any(failure.transient for failure in failures),
    )
