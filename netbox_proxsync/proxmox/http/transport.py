"""The connections of the client: verified before a request is sent, reused, and limited in time and size."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import IO, Any

import requests
from cryptography import x509
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, DecodeError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from ..connections import AddressNotAllowedError, ContactPolicy, Sockets, check_behind_proxy, connect
from ..messages import Message

__all__ = ('LimitedSocket', 'Limits', 'Route', 'Sockets', 'TLSAdapter', 'limited')

# Neither retry nor follow redirects here; the client handles both.
NO_RETRY = Retry(total=False, redirect=False)
# Bytes of status line and headers, including preceding "100 Continue" responses; Proxmox VE sends about 500.
MAX_HEAD = 64 * 1024


@dataclass(slots=True)
class Limits:
    """
    The limits of one call, which are checked at each read and write on its socket.

    Attributes:
        connected_by: The deadline for the connection, including TLS and the proxy, on the clock of `time.monotonic()`.
        deadline: The deadline for the complete answer.
        size: The number of bytes that may still be read, including chunk headers and trailers.
        connecting: Whether the connection is being established.
    """

    connected_by: float
    deadline: float
    size: int
    connecting: bool = False

    @property
    def seconds(self) -> float:
        """Seconds until the current deadline. Raises TimeoutError if it has passed."""
        remaining = (self.connected_by if self.connecting else self.deadline) - time.monotonic()
        if remaining <= 0:
            raise TimeoutError('the whole answer')
        return remaining

    def read(self, size: int) -> None:
        """Count bytes that were read. Raises DecodeError beyond the limit."""
        self.size -= size
        if self.size < 0:
            raise DecodeError('the answer is too large')


_current = threading.local()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Apply the limits to all sockets of this module that the current thread uses."""
    _current.limits = limits
    try:
        yield
    finally:
        _current.limits = None


def _limits() -> Limits | None:
    return getattr(_current, 'limits', None)


class LimitedSocket(socket.socket):
    """
    A socket whose waits end at the deadline of the current thread's call.

    The timeout of an ordinary socket restarts with every byte.
    """

    def recv(self, *args: Any) -> bytes:
        """Receive bytes within the limits of the call."""
        self._limit_wait()
        return self._counted(super().recv(*args), len)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive bytes into a buffer within the limits of the call."""
        self._limit_wait()
        return self._counted(super().recv_into(*args, **kwargs), int)

    def send(self, *args: Any) -> int:
        """Send bytes within the time limit of the call."""
        self._limit_wait()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
        """Send all bytes within the time limit of the call."""
        self._limit_wait()
        super().sendall(*args)

    def _limit_wait(self) -> None:
        if limits := _limits():
            self.settimeout(limits.seconds)

    @staticmethod
    def _counted[T](read: T, size: Callable[[T], int]) -> T:
        if limits := _limits():
            limits.read(size(read))
        return read


def track_sockets(context: ssl.SSLContext, sockets: Sockets) -> None:
    """Let the context create sockets that are limited, and registered before their handshake."""

    class LimitedSSLSocket(LimitedSocket, ssl.SSLSocket):
        """Registers itself before the handshake."""

        def do_handshake(self, *args: Any, **kwargs: Any) -> None:
            """Perform the handshake within the limits."""
            sockets.add(self)
            self._limit_wait()
            super().do_handshake(*args, **kwargs)

    context.sslsocket_class = LimitedSSLSocket


class _Head:
    """The stream from which http.client reads status line and headers, with a size limit. http.client itself accepts a
    hundred headers of 64 KiB, and an unlimited number of "100 Continue" responses."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self._left = MAX_HEAD

    def readline(self, limit: int = -1) -> bytes:
        line = self.stream.readline(min(limit, self._left + 1) if limit >= 0 else self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise DecodeError('the head of the answer is too large')
        return line

    def close(self) -> None:
        self.stream.close()


class _Response(http.client.HTTPResponse):
    """A response whose head is limited in size."""

    def begin(self) -> None:
        stream = self.fp
        head: Any = _Head(stream)  # has the methods of a BufferedReader that http.client uses for the head
        self.fp = head
        try:
            super().begin()
        except http.client.HTTPException as error:
            if type(error) is http.client.HTTPException:  # "got more than 100 headers"
                raise DecodeError('the head of the answer has too many headers') from error
            raise
        finally:
            # None if it was closed because the response has no body.
            if self.fp is not None:
                self.fp = stream


def _pool_class(sockets: Sockets, policy: ContactPolicy, shown: Callable[[bytes], None]) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            """Connect to the host, or to its proxy. Raises the errors of urllib3."""
            deadline = _current.limits.connected_by
            if self._tunnel_host:
                check_behind_proxy(self._tunnel_host, self._tunnel_port or self.default_port, policy, deadline, sockets)
            try:
                sock = connect(self._dns_host, self.port, policy, deadline, sockets, LimitedSocket)
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
            except AddressNotAllowedError as error:
                if not self._tunnel_host:
                    raise
                raise AddressNotAllowedError(
                    Message(
                        'The proxy for {proxy} cannot be used. {reason}', proxy=self._tunnel_host, reason=error.message
                    ),
                    error.remedy,
                ) from None
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                raise ConnectTimeoutError(self, 'timed out') from error
            except OSError as error:
                raise NewConnectionError(self, str(error)) from error
            return sock

        def connect(self) -> None:
            limits = _current.limits
            limits.connecting = True
            try:
                super().connect()
            finally:
                limits.connecting = False
            # An SSLSocket, or an SSLTransport within a proxy's TLS. An unverified certificate is available as bytes
            # only.
            sock: Any = self.sock
            shown(sock.getpeercert(binary_form=True) or b'')

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

    return Pool


class TLSAdapter(HTTPAdapter):
    """
    Connections to one host, which is verified before the first byte of a request (with the token) is sent.

    requests can neither pin a fingerprint nor use the operating system's authorities (it uses those of certifi or
    REQUESTS_CA_BUNDLE), and it adds certifi's to a custom context. Its handling of `verify` is therefore replaced.

    Args:
        context: From `tls.tls_context`.
        fingerprint: The SHA-256 fingerprint of the only accepted certificate; None to verify by the context.
        sockets: Registers every new socket.
        policy: The addresses that may be contacted, including the proxy's.
        size: The number of pooled connections; further threads wait for one.

    Attributes:
        certificate: The last certificate of the host in DER format; empty before the first connection.
    """

    def __init__(
        self, context: ssl.SSLContext, fingerprint: str | None, sockets: Sockets, policy: ContactPolicy, size: int
    ) -> None:
        self._tls: dict[str, Any] = {'ssl_context': context}
        if fingerprint:
            self._tls['assert_fingerprint'] = fingerprint
        self._verify_mode = context.verify_mode
        self._sockets = sockets
        self.certificate = b''
        self._pool_class = _pool_class(sockets, policy, self._shown)
        super().__init__(pool_connections=1, pool_maxsize=size, pool_block=True, max_retries=0)

    @cached_property
    def _proxy_context(self) -> ssl.SSLContext:
        """For a proxy that uses TLS: as urllib3 would create it, but with limits."""
        # Only when there is a proxy: loading the authorities of the operating system takes longer than a call.
        context = create_urllib3_context(cert_reqs=self._verify_mode)
        context.load_default_certs()
        track_sockets(context, self._sockets)
        return context

    @property
    def expires(self) -> datetime | None:
        """The expiry of the last certificate of the host; None if it is not known."""
        try:
            return x509.load_der_x509_certificate(self.certificate).not_valid_after_utc
        except ValueError:
            return None

    def _shown(self, certificate: bytes) -> None:
        self.certificate = certificate

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Create the pools with the TLS context of this adapter."""
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._tls)
        self._track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools for a proxy, with the TLS context of this adapter."""
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._proxy_context, **kwargs, **self._tls)
        self._track(manager)
        return manager

    def _track(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, 'https': self._pool_class}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        """Return the host only: the TLS settings of requests are not used."""
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: the TLS context verifies the certificate."""


class Route:
    """
    The route to one host, over which GET requests are sent.

    Headers, proxy, limits and the connection pool are the same for all calls. requests computes them once, and the
    calls use the pool directly: for thousands of calls, computing them again would dominate NetBox's own time.

    Args:
        url: The URL of the API, to which the paths of calls are appended.
        session: Defines the headers.
        proxies: By scheme. The environment of the process is ignored in favor of NetBox's settings.
        timeout: The time limit of a call in seconds.
        connect_timeout: The part of it for the connection.
        max_size: The maximum number of bytes read for a call.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        adapter: TLSAdapter,
        proxies: Mapping[str, str],
        timeout: float,
        connect_timeout: float,
        max_size: int,
    ) -> None:
        self._url = url
        # Do not read credentials from ~/.netrc either.
        session.trust_env = False
        self._session = session
        self._adapter = adapter
        self._proxies = dict(proxies)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._max_size = max_size

    @property
    def proxy(self) -> str | None:
        """The proxy for the host; None if there is none."""
        return select_proxy(self._url, self._proxies)

    @cached_property
    def _request(self) -> requests.PreparedRequest:
        return self._session.prepare_request(requests.Request('GET', self._url))

    @cached_property
    def _pool(self) -> HTTPConnectionPool:
        pool = self._adapter.get_connection_with_tls_context(self._request, True, self._proxies)
        assert isinstance(pool, HTTPConnectionPool)
        return pool

    @cached_property
    def _headers(self) -> dict[str, str]:
        return dict(self._request.headers)

    @contextmanager
    def get(self, path: str) -> Iterator[BaseHTTPResponse]:
        """
        Send a call and yield its response before the body is read. The limits apply until the end of the context.

        Raises:
            urllib3.exceptions.HTTPError: The call failed.
            requests.exceptions.RequestException: The proxy settings are invalid.
            AddressNotAllowedError: The policy forbids the address.
        """
        now = time.monotonic()
        limits = Limits(now + self._connect_timeout, now + self._timeout, self._max_size)
        with limited(limits):
            response = self._pool.urlopen(
                'GET',
                f'{self._request.path_url}{path}',
                headers=self._headers,
                retries=NO_RETRY,
                redirect=False,
                assert_same_host=False,
                # `Limits` apply instead: this timeout would be set on the socket and restart with each wait.
                timeout=None,
                preload_content=False,
                decode_content=False,
            )
            try:
                yield response
            except BaseException:
                response.close()  # the rest of this answer must not be read as the next one
                raise
            finally:
                response.release_conn()

    def close(self) -> None:
        """Close all connections."""
        # The adapter only forgets its pools: their sockets would remain open until garbage is collected.
        if pool := self.__dict__.get('_pool'):
            pool.close()
        self._adapter.close()
        self._session.close()
