"""The connections of the client: proved before a request is sent, kept for the next, limited in time and size."""

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

__all__ = ('Limits', 'Route', 'Sockets', 'TLSAdapter', 'limited')

# Every exception as it is, and no redirect: both are the client's to decide.
NO_RETRY = Retry(total=False, redirect=False)
# Bytes of status line and headers, together with all "100 Continue" before them; Proxmox's are about 500.
MAX_HEAD = 64 * 1024


@dataclass(slots=True)
class Limits:
    """
    What one call may take, whatever the other side does: they count for each read and write on its socket.

    Attributes:
        connected_by: When the connection must stand, with TLS and by way of a proxy; by `time.monotonic()`.
        deadline: When the whole answer must be there.
        size: Bytes that may still be read. The parts of a chunked answer and its trailers count as well.
        connecting: The connection is being established.
    """

    connected_by: float
    deadline: float
    size: int
    connecting: bool = False

    @property
    def seconds(self) -> float:
        """Until the limit that counts at present. Raises TimeoutError when none are left."""
        left = (self.connected_by if self.connecting else self.deadline) - time.monotonic()
        if left <= 0:
            raise TimeoutError('the whole answer')
        return left

    def read(self, size: int) -> None:
        """Count what was read."""
        self.size -= size
        if self.size < 0:
            raise DecodeError('the answer is too large')


_current = threading.local()


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """What this thread does on sockets of this module is one call."""
    _current.limits = limits
    try:
        yield
    finally:
        _current.limits = None


def _limits() -> Limits | None:
    return getattr(_current, 'limits', None)


class _LimitedSocket(socket.socket):
    """
    A socket on which every wait ends with the call of its thread.

    The time limit of a socket by itself starts again with every byte.
    """

    def recv(self, *args: Any) -> bytes:
        self._limit_wait()
        return self._counted(super().recv(*args), len)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._limit_wait()
        return self._counted(super().recv_into(*args, **kwargs), int)

    def send(self, *args: Any) -> int:
        self._limit_wait()
        return super().send(*args)

    def sendall(self, *args: Any) -> None:
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
    """Let the context make sockets that are limited, and known while their handshake may hang."""

    class Followed(_LimitedSocket, ssl.SSLSocket):
        def do_handshake(self, *args: Any, **kwargs: Any) -> None:
            sockets.add(self)
            self._limit_wait()
            super().do_handshake(*args, **kwargs)

    context.sslsocket_class = Followed


class _Head:
    """What http.client reads the head of an answer from, limited in size: it would read a hundred headers of 64 KiB,
    and "100 Continue" without end."""

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

    def flush(self) -> None:
        self.stream.flush()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        if self.headers is not None:
            return
        stream, self.fp = self.fp, _Head(self.fp)
        try:
            super().begin()
        except http.client.HTTPException as error:
            if type(error) is http.client.HTTPException:  # "got more than 100 headers"
                raise DecodeError('the head of the answer has too many headers') from error
            raise
        finally:
            # None: it was closed, since nothing follows the head.
            if self.fp is not None:
                self.fp = stream


def _pool_class(sockets: Sockets, policy: ContactPolicy, shown: Callable[[bytes], None]) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            """To the host or, if there is one, to the proxy before it. The errors are those that urllib3 knows."""
            deadline = _current.limits.connected_by
            if self._tunnel_host:
                check_behind_proxy(self._tunnel_host, self._tunnel_port or self.default_port, policy, deadline, sockets)
            try:
                sock = connect(self._dns_host, self.port, policy, deadline, sockets, _LimitedSocket)
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
            except AddressNotAllowedError as error:
                if not self._tunnel_host:
                    raise
                raise AddressNotAllowedError(
                    f'The proxy for {self._tunnel_host} cannot be used. {error.message}', error.remedy
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
    Connections to one host, proved in one way, before the first byte of a request (which holds the token) is sent.

    requests by itself can neither pin a fingerprint nor use the operating system's authorities (it takes certifi's, or
    whatever REQUESTS_CA_BUNDLE says), and it adds certifi's to an own context. So its handling of `verify` is replaced.

    Args:
        context: From `tls.tls_context`.
        fingerprint: If given, the SHA-256 fingerprint of the only certificate that is accepted.
        sockets: Told of every new socket.
        policy: Which addresses may be contacted, the proxy's as well.
        size: Connections that are kept and re-used; further threads wait for one.

    Attributes:
        certificate: What the host showed last, in DER; empty before the first connection.
    """

    def __init__(
        self, context: ssl.SSLContext, fingerprint: str | None, sockets: Sockets, policy: ContactPolicy, size: int
    ) -> None:
        self._tls: dict[str, Any] = {'ssl_context': context}
        if fingerprint:
            self._tls['assert_fingerprint'] = fingerprint
        # For a proxy that speaks TLS itself: as urllib3 would make it, but with limits.
        self._proxy_context = create_urllib3_context(cert_reqs=context.verify_mode)
        self._proxy_context.load_default_certs()
        track_sockets(self._proxy_context, sockets)
        self.certificate = b''
        self._pool_class = _pool_class(sockets, policy, self._shown)
        super().__init__(pool_connections=1, pool_maxsize=size, pool_block=True, max_retries=0)

    @property
    def expires(self) -> datetime | None:
        """When the certificate ends that the host showed last; None if that is not known."""
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
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._proxy_context, **kwargs, **self._tls)
        self._track(manager)
        return manager

    def _track(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, 'https': self._pool_class}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        pass  # the context decides


class Route:
    """
    GET requests to one host.

    Whatever is the same for every call (headers, proxy, time limits, the pool of connections) is worked out once by
    requests, and the calls go to its pool directly: with thousands of them, most of the time that NetBox itself spends
    on a call would go into working it out again.

    Args:
        url: Of the API, to which the paths of the calls are appended.
        session: Says which headers are sent.
        proxies: By scheme, and nothing from the environment of the process: NetBox's settings count.
        timeout: Seconds that a call may take.
        connect_timeout: Seconds of them until the connection must stand.
        max_size: Bytes that may be read for a call.
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
        # Neither a password from .netrc.
        session.trust_env = False
        self._session = session
        self._adapter = adapter
        self._proxies = dict(proxies)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._max_size = max_size

    @property
    def proxy(self) -> str | None:
        """The proxy that leads to the host."""
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
        One call: its response, of which the body is not read yet. All is limited until the end of the context.

        Raises what urllib3 does; requests, of a proxy that cannot be; AddressNotAllowedError.
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
                # The limits count: this one would be set on the socket, for each wait by itself.
                timeout=None,
                preload_content=False,
                decode_content=False,
            )
            try:
                yield response
            except BaseException:
                response.close()  # what is left of the answer must not be taken for the next one
                raise
            finally:
                response.release_conn()

    def close(self) -> None:
        self._adapter.close()
        self._session.close()
