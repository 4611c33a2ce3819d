"""A session with Proxmox VE's API: hosts in order, token, TLS, time limits, retries. It can only GET."""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Timer
from typing import Any, Never, Self
from urllib.parse import quote, urlencode

import urllib3
from proxmoxer.backends.https import Backend

from ..connections import AddressNotAllowedError, ContactPolicy, Sockets
from ..errors import (
    CancelledError,
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
from ..version import Version
from .failures import explain
from .responses import Answer, read_answer
from .tls import TLSMode, normalize_fingerprint, tls_context, try_fetch_fingerprint
from .transport import Route, TLSAdapter, track_sockets

__all__ = ('Connection', 'ProxmoxClient')

TRIES = 3
FIRST_PAUSE = 0.5  # seconds; doubled at each try, minus up to half of it by chance
CONNECT_TIMEOUT = 10  # seconds at most: a host that is up accepts at once, whatever the calls may take
MAX_ANSWER = 128 * 1024**2  # bytes of all answers that are read at the same time; 10,000 guests are about 5 MB
MAX_TOTAL = 1024**3  # bytes of all answers of a run; 10,000 guests with their configurations are about 100 MB
MAX_OVERHEAD = 16 * 1024**2  # bytes: headers, and what tells the sizes of the parts of a chunked answer
CHUNK = 256 * 1024

# What may stand in the Authorization header. Checked here because the HTTP library would quote it in its complaint.
TOKEN_ID = re.compile(r'[!-~]+@[!-~]+![!-~]+')
TOKEN_SECRET = re.compile(r'[!-~]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """
    How one Proxmox VE cluster is reached.

    Attributes:
        hosts: `host[:port]`, tried in order.
        token_id: 'user@realm!name'.
        token_secret: Its secret; never shown.
        tls_mode: See `tls`.
        ca_certificate: PEM, one or more; for mode `ca`.
        fingerprint: SHA-256, for mode `fingerprint`: one for all hosts, or one for each in their order, separated by
            blanks, commas or lines.
        timeout: Seconds that one call may take.
        run_timeout: Seconds from the opening of the client, after which every call fails; None: no limit.
        concurrency: How many calls may run at the same time.
        proxies: As NetBox resolves them: {'https': 'http://proxy:3128'}. May hold credentials; never shown.
        policy: Which addresses may be contacted: of the hosts, of members of the cluster, of proxies, and by SSH.
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
    """One host with the way to it; `answered` once it has spoken HTTP to us."""

    def __init__(self, host: Host, route: Route, adapter: TLSAdapter) -> None:
        self.host = host
        self.route = route
        self.adapter = adapter
        self.answered = False


class _Budget:
    """What the answers to all calls of a client may hold at the same time, and together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held = self._total = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """
        What is taken by the function that is given is held within the context.

        It raises DecodeError if too much is held at the same time, TooMuchDataError if too much was taken altogether.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            with self._lock:
                taken += size
                self._held += size
                self._total += size
                held, total = self._held, self._total
            if total > MAX_TOTAL:
                raise TooMuchDataError(
                    f'Proxmox answered with more than {MAX_TOTAL // 1024**2} MiB in one run.',
                    'Is it Proxmox VE that answers there? Several endpoints, each with a filter, read less at a time.',
                )
            if held > MAX_ANSWER:
                raise urllib3.exceptions.DecodeError('the answer is too large')

        try:
            yield take
        finally:
            with self._lock:
                self._held -= taken


class ProxmoxClient:
    """
    Reads Proxmox VE's API. Safe to use from several threads.

    proxmoxer builds the addresses, the token's header and the session. Its resource objects are not used: they hide
    what decides here. They turn a page of HTML into data, an unknown status into None, and 595 into a text, they log
    what they get, and leave no place for a time limit, a proof of the host other than a CA file, or a retry.

    Attributes:
        sockets: All of its connections, and whatever else is to end with it.

    Use it as a context manager; leaving it closes every connection. Raises InvalidConnectionError for settings that
    cannot be used.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sockets = Sockets()
        self._lock = Lock()
        self._calls = 0
        self._budget = _Budget()
        self._failures: dict[Host, ProxmoxError] = {}
        self._ended: Future[Never] = Future()
        self._mode = TLSMode(connection.tls_mode)
        self._context = tls_context(self._mode, connection.ca_certificate)
        track_sockets(self._context, self.sockets)
        if not TOKEN_ID.fullmatch(connection.token_id):
            raise InvalidConnectionError('The token id is not in the form user@realm!name.', 'Copy it from Proxmox.')
        if not TOKEN_SECRET.fullmatch(connection.token_secret):
            raise InvalidConnectionError(
                'The token secret is empty or holds characters that it cannot have.', 'Copy it from Proxmox again.'
            )
        hosts = [Host.parse(host) for host in connection.hosts]
        if not hosts:
            raise InvalidConnectionError('No host is given.', 'Enter the name or the address of a node.')
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
                f'Reading Proxmox took longer than the {limit:g} seconds that a run may take.',
                'Allow more time or more concurrent calls, or look for a node that answers slowly.',
            )
            self._timer = Timer(limit, self._end, (late,))
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._end(CancelledError('The connection to Proxmox is closed.'))
        for target in self._targets:
            target.route.close()

    @property
    def calls(self) -> int:
        """How many requests were sent so far."""
        return self._calls

    @property
    def host(self) -> str:
        """The host that answers at present."""
        return str(self._active.host)

    @property
    def certificate(self) -> HostCertificate | None:
        """What the host that answers at present has shown; None if that cannot be told."""
        expires = self._active.adapter.expires
        return HostCertificate(host=self.host, expires=int(expires.timestamp())) if expires else None

    @property
    def failed_hosts(self) -> list[ProxmoxError]:
        """Why each host could not be used in whose place another one answered."""
        return list(self._failures.values())

    @property
    def ended(self) -> Future[Never]:
        """Fails when the client ends: cancelled, out of time, closed. For those who wait for several calls."""
        return self._ended

    def cancel(self) -> None:
        """End every call that is under way, and let every later one raise CancelledError at once."""
        self._end(CancelledError('The run was cancelled.'))

    def add_members(self, members: Mapping[str, str | None]) -> None:
        """
        Further members of the cluster, tried when all given hosts fail: {address: SHA-256 fingerprint or None}.

        Only where what was learned over a proved connection proves the member: not if nothing is verified, and if
        fingerprints are pinned, only with the fingerprint that the cluster knows of it.
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
        Proxmox VE's version. To be called first: it tells whether this is Proxmox VE at all, and one that can be read.

        Raises NotProxmoxError, VersionTooOldError and whatever `get` does.
        """
        try:
            answer = self.get('version')
        except InvalidResponseError:
            answer = None
        return Version.parse(answer, self.host)

    def get(self, *path: object, **params: object) -> Any:
        """
        The `data` of one call: `get('nodes', 'pve1', 'qemu', 100, 'config', current=1)`.

        What can pass (a refused or broken connection, 502-504, a node that the host cannot reach) is tried three times,
        everything else once. Raises a ProxmoxError that says what failed.
        """
        return self.get_document(*path, **params)['data']

    def get_document(self, *path: object, **params: object) -> dict[str, Any]:
        """As `get`, with what some calls put next to their `data` (`changes` of a node's network)."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._get_from_some_host(path, params)
            except ProxmoxError as error:
                failure = error
            if not failure.transient or attempt == TRIES:
                break
            wait([self._ended], FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1))
        raise failure

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
        self.raise_if_cancelled()
        with self._budget.holding() as take:
            try:
                answer = self._send(target, _url(path, params), take)
            except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
                # Not raised from here: the exception at hand may hold the request, and with it the token's secret.
                failure = self._explain(error, target, _shown(path))
            except (AddressNotAllowedError, TooMuchDataError) as error:
                failure = type(error)(error.message, error.remedy)
            else:
                self.raise_if_cancelled()  # what was read when everything was ended may be a part of the answer
                target.answered = True
                return read_answer(answer, target.host, path, self.connection.token_id)
        if isinstance(failure, TooMuchDataError):
            self._end(failure)
        self.raise_if_cancelled()
        raise failure

    def _explain(self, error: Exception, target: _Target, call: str) -> ProxmoxError:
        connection = self.connection

        def fingerprint() -> str | None:
            # What a proxy leads to is not asked directly.
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
        # A first call that does not even connect was none.
        counted = target.answered
        if counted:
            self._count()
        with target.route.get(url) as response:
            if not counted:
                self._count()
            return Answer(response.status, response.reason, _body(response, take))

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
            max_size=MAX_ANSWER + MAX_OVERHEAD,
        )
        return _Target(host, route, adapter)

    def _fingerprints(self, count: int) -> Iterable[str | None]:
        if self._mode is not TLSMode.FINGERPRINT:
            return [None] * count
        pins = [normalize_fingerprint(text) for text in re.split(r'[\s,;]+', self.connection.fingerprint.strip())]
        if len(pins) not in (1, count):
            raise InvalidConnectionError(
                f'{len(pins)} fingerprints are given for {count} hosts.', 'Give one for all, or one for each host.'
            )
        return pins * count if len(pins) == 1 else pins

    def _end(self, why: ProxmoxError) -> None:
        with self._lock:
            if not self._ended.done():
                self._ended.set_exception(why)
        self.sockets.shut()

    def raise_if_cancelled(self) -> None:
        """
        Raises CancelledError or RunTimeoutError if everything has been ended. For whoever waits for something else.
        """
        if self._ended.done() and isinstance(why := self._ended.exception(), ProxmoxError):
            # A new one each time: threads must not share a traceback.
            raise type(why)(why.message, why.remedy)


def _url(path: tuple[object, ...], params: Mapping[str, object]) -> str:
    url = ''.join(f'/{quote(str(part), safe="")}' for part in path)
    return f'{url}?{urlencode(params)}' if params else url


def _body(response: urllib3.BaseHTTPResponse, take: Callable[[int], None]) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK, decode_content=True):
        take(len(chunk))
        body += chunk
    return bytes(body)


def _shown(path: tuple[object, ...]) -> str:
    return '/' + '/'.join(map(str, path))


def _none_answered(failures: list[ProxmoxError]) -> ProxmoxError:
    if len(failures) == 1:
        return failures[0]
    return HostUnreachableError(
        ' '.join(['None of the hosts can be used.', *(failure.message for failure in failures)]),
        failures[0].remedy,
        transient=any(failure.transient for failure in failures),
    )
