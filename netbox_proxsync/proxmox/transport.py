"""The sockets under the client: proved before a request is sent, kept for the next, closed at once when asked."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any
from weakref import WeakSet

import requests
from cryptography import x509
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

__all__ = ('Channel', 'Sockets', 'TLSAdapter')

# Every exception as it is, and no redirect: both are the client's to decide.
NO_RETRY = Retry(total=False, redirect=False)


class Sockets:
    """The open sockets of one client, so that a call that waits for Proxmox's answer can be ended from outside."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: WeakSet[socket.socket] = WeakSet()
        self._ended = False

    def add(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.add(sock)
            if self._ended:
                _shut(sock)

    def follow(self, context: ssl.SSLContext) -> None:
        """Let the context make sockets that are known here already while their handshake may hang."""
        add = self.add

        class Followed(ssl.SSLSocket):
            def do_handshake(self, *args: Any, **kwargs: Any) -> None:
                add(self)
                super().do_handshake(*args, **kwargs)

        context.sslsocket_class = Followed

    def shut(self) -> None:
        """End every connection, also those that are opened later."""
        with self._lock:
            self._ended = True
            for sock in self._open:
                _shut(sock)


def _shut(sock: socket.socket) -> None:
    # It may be closed already. The method of the base class, since SSLSocket's own would take the TLS state away from
    # the thread that reads just now.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _pool_class(sockets: Sockets, shown: Callable[[bytes], None]) -> type[HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            # A proxy may hang before it comes to TLS, with which this socket is replaced by one that is followed.
            sockets.add(sock)
            return sock

        def connect(self) -> None:
            super().connect()
            # Also of a certificate that is not verified: then without its contents, so as bytes.
            shown(self.sock.getpeercert(binary_form=True) or b'')

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
        size: Connections that are kept and re-used; further threads wait for one.

    Attributes:
        certificate: What the host showed last, in DER; empty before the first connection.
    """

    def __init__(self, context: ssl.SSLContext, fingerprint: str | None, sockets: Sockets, size: int):
        self._tls = {'ssl_context': context}
        if fingerprint:
            self._tls['assert_fingerprint'] = fingerprint
        self.certificate = b''
        self._pool_class = _pool_class(sockets, self._shown)
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

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, **self._tls)
        self._track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs, **self._tls)
        self._track(manager)
        return manager

    def _track(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, 'https': self._pool_class}

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        pass  # the context decides


class Channel:
    """
    GET requests to one host.

    Whatever is the same for every call (headers, proxy, time limits, the pool of connections) is worked out once by
    requests, and the calls go to its pool directly: with thousands of them, most of the time that NetBox itself spends
    on a call would go into working it out again.

    Args:
        url: Of the API, to which the paths of the calls are appended.
        session: Says which headers are sent.
        proxies: By scheme, and nothing from the environment of the process: NetBox's settings count.
    """

    def __init__(
        self,
        url: str,
        session: requests.Session,
        adapter: TLSAdapter,
        proxies: Mapping[str, str],
        timeout: Timeout,
    ):
        self._url = url
        # Neither a password from .netrc.
        session.trust_env = False
        self._session = session
        self._adapter = adapter
        self._proxies = dict(proxies)
        self._timeout = timeout

    @cached_property
    def _request(self) -> requests.PreparedRequest:
        return self._session.prepare_request(requests.Request('GET', self._url))

    @cached_property
    def _pool(self) -> HTTPConnectionPool:
        return self._adapter.get_connection_with_tls_context(self._request, True, self._proxies)

    @cached_property
    def _headers(self) -> dict[str, str]:
        return dict(self._request.headers)

    @contextmanager
    def get(self, path: str) -> Iterator[tuple[BaseHTTPResponse, float]]:
        """
        One call: its response, of which the body is not read yet, and until when (time.monotonic()) it should be.

        Raises what urllib3 does; requests, of a proxy that cannot be.
        """
        deadline = time.monotonic() + self._timeout.read_timeout
        response = self._pool.urlopen(
            'GET',
            f'{self._request.path_url}{path}',
            headers=self._headers,
            retries=NO_RETRY,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        )
        try:
            yield response, deadline
        except BaseException:
            response.close()  # what is left of the answer must not be taken for the next one
            raise
        finally:
            response.release_conn()

    def close(self) -> None:
        self._adapter.close()
        self._session.close()
