"""
What one call may take, in time and size, whatever the other side does: real servers that send a byte now and then, or
never stop.

Tried besides the status line: TLS handshakes (nothing, a byte at a time), the answer of a proxy to CONNECT, a TLS
handshake behind a proxy, headers, a body with its length, chunked bodies (sizes, contents, trailers), a body until the
connection ends, "100 Continue" and other interim answers, many headers, one endless header, tiny chunks, trailers
without end, compressed zeros; each at the first call and after one that was answered; and canceling meanwhile.
For SSH: see test_ssh.py.
"""

import gzip
import time
from threading import Event, Thread, Timer

import pytest
from urllib3.exceptions import DecodeError

from netbox_proxsync.proxmox.connections import connect as connect_to
from netbox_proxsync.proxmox.errors import (
    CallTimeoutError,
    CanceledError,
    HostUnreachableError,
    InvalidResponseError,
    ProxmoxError,
    TooMuchDataError,
)
from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.http import size_limits
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.http.tls import fetch_fingerprint
from netbox_proxsync.proxmox.http.transport import LimitedSocket, Limits, limited

from ..reading import THIS_MACHINE
from ..servers import VERSION, answering, response, serving

PAUSE = 0.1  # seconds between two bytes: no wait for one is ever long
TIMEOUT = 1

OK = b'HTTP/1.1 200 OK\r\n'
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n'
# What is sent at once, and what of it then trickles in.
TRICKLES = {
    'status line': (b'', OK * 100),
    'header': (OK, b'X-Header: ' + b'x' * 1000),
    'headers': (OK, b'X: y\r\n' * 100),
    'body': (OK + b'Content-Length: 1000\r\n\r\n', b' ' * 1000),
    'body until the end': (OK + b'Connection: close\r\n\r\n', b' ' * 1000),
    'size of a chunk': (CHUNKED, b'0' * 1000),
    'chunk': (CHUNKED + b'3e8\r\n', b' ' * 1000),
    'chunks': (CHUNKED, b'1\r\nx\r\n' * 1000),
    'trailers': (CHUNKED + b'2\r\n{}\r\n0\r\n', b'X: y\r\n' * 1000),
    '100 Continue': (b'', b'HTTP/1.1 100 Continue\r\n\r\n' * 100),
    'compressed body': (
        OK + b'Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n', gzip.compress(b' ' * 100, mtime=0)[:20] * 50,
    ),
}  # fmt: skip


@pytest.fixture
def connect(leaf):
    def build(*hosts: str, **settings: object) -> ProxmoxClient:
        values = {
            'tls_mode': 'fingerprint', 'fingerprint': leaf.fingerprint, 'timeout': TIMEOUT, 'policy': THIS_MACHINE,
        }  # fmt: skip
        return ProxmoxClient(
            Connection(hosts=hosts, token_id='netbox@pve!sync', token_secret='x', **(values | settings))
        )

    return build


def trickle(server, connection, data: bytes) -> None:
    for byte in data:
        if server.stopped.wait(PAUSE):
            return
        connection.sendall(bytes([byte]))
    server.stopped.wait(30)


def trickling_after(answers: int, at_once: bytes, rest: bytes):
    """Answers so many calls, and trickles after that."""
    left = [answers]

    def handle(server, connection) -> None:
        while server.request(connection):
            if left[0]:
                left[0] -= 1
                connection.sendall(response(VERSION))
                continue
            connection.sendall(at_once)
            trickle(server, connection, rest)

    return handle


def handshake(server, connection) -> None:
    """A TLS record of which a byte arrives now and then."""
    connection.recv(65536)
    trickle(server, connection, b'\x16\x03\x03\x40\x00' + b'\x02' * 1000)


def silent_handshake(server, connection) -> None:
    server.stopped.wait(30)


def proxy_answer(server, connection) -> None:
    server.request(connection)
    trickle(server, connection, b'HTTP/1.1 200 Connection established\r\n' + b'X: y\r\n' * 1000)


def proxy_then_handshake(server, connection) -> None:
    server.request(connection)
    connection.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
    handshake(server, connection)


class Elapsed:
    """Seconds of the clock and of this process."""

    def __enter__(self):
        self.begin, self.cpu_begin = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begin
        self.cpu = time.process_time() - self.cpu_begin


class TestBytesThatTrickle:
    @pytest.mark.parametrize('part', TRICKLES)
    def test_in_a_later_call(self, part, connect, context):
        with serving(trickling_after(1, *TRICKLES[part]), context) as server, connect(server.host) as client:
            client.version()
            with Elapsed() as elapsed, pytest.raises(CallTimeoutError, match='did not answer /nodes within 1 seconds'):
                client.get('nodes')
        assert TIMEOUT * 0.9 < elapsed.seconds < TIMEOUT * 2

    @pytest.mark.parametrize('part', TRICKLES)
    def test_in_the_first_call(self, part, connect, context):
        with (
            serving(trickling_after(0, *TRICKLES[part]), context) as server,
            connect(server.host) as client,
            Elapsed() as elapsed,
            pytest.raises(HostUnreachableError, match='did not answer within 1 seconds'),
        ):
            client.version()
        assert elapsed.seconds < TIMEOUT * 2

    @pytest.mark.parametrize('handle', [handshake, silent_handshake])
    def test_in_the_handshake(self, handle, connect):
        with serving(handle) as server:
            with connect(server.host) as client, Elapsed() as elapsed, pytest.raises(HostUnreachableError):
                client.version()
            assert elapsed.seconds < TIMEOUT * 2
            with Elapsed() as elapsed, pytest.raises(HostUnreachableError, match='within 1 seconds'):
                fetch_fingerprint(server.host, 1)
            assert elapsed.seconds < TIMEOUT * 2

    @pytest.mark.parametrize('handle', [proxy_answer, proxy_then_handshake, silent_handshake])
    def test_at_a_proxy(self, handle, connect):
        with (
            serving(handle) as proxy,
            connect('127.0.0.9', proxies={'https': f'http://{proxy.host}'}) as client,
            Elapsed() as elapsed,
            pytest.raises(HostUnreachableError),
        ):
            client.version()
        assert elapsed.seconds < TIMEOUT * 2

    def test_a_proxy_that_speaks_tls(self, connect, context):
        """TLS within TLS."""
        with (
            serving(proxy_then_handshake, context) as proxy,
            connect('127.0.0.9', proxies={'https': f'https://{proxy.host}'}, tls_mode='off') as client,
            Elapsed() as elapsed,
            pytest.raises(HostUnreachableError),
        ):
            client.version()
        assert elapsed.seconds < TIMEOUT * 2

    def test_every_host_gets_its_time(self, connect, context):
        with (
            serving(trickling_after(0, *TRICKLES['headers']), context) as slow,
            serving(answering(), context) as good,
            connect(slow.host, good.host) as client,
            Elapsed() as elapsed,
        ):
            assert client.version().text == '9.2.11'
        assert elapsed.seconds < TIMEOUT * 2

    def test_the_limit_is_of_the_call_and_not_of_the_connection(self, connect, context):
        """A connection that is reused serves for longer than a call may take."""

        def handle(server, connection):
            while server.request(connection):
                server.stopped.wait(0.4)
                connection.sendall(response(VERSION))

        with serving(handle, context) as server, connect(server.host) as client:
            for _ in range(4):
                client.version()
        assert server.connections == 1


class TestCanceling:
    @pytest.mark.parametrize('part', TRICKLES)
    def test_while_an_answer_trickles(self, part, connect, context):
        handle = trickling_after(1, *TRICKLES[part])
        with serving(handle, context) as server, connect(server.host, timeout=30) as client:
            client.version()
            self.assert_ends(client)

    @pytest.mark.parametrize('handle', [handshake, silent_handshake])
    def test_during_the_handshake(self, handle, connect):
        with serving(handle) as server, connect(server.host, timeout=30) as client:
            self.assert_ends(client)

    @pytest.mark.parametrize('handle', [proxy_answer, proxy_then_handshake, silent_handshake])
    def test_at_a_proxy(self, handle, connect):
        with (
            serving(handle) as proxy,
            connect('127.0.0.9', proxies={'https': f'http://{proxy.host}'}, timeout=30) as client,
        ):
            self.assert_ends(client)

    @staticmethod
    def assert_ends(client):
        Timer(0.4, client.cancel).start()
        with Elapsed() as elapsed, pytest.raises(CanceledError):
            client.get('nodes')
        assert elapsed.seconds < 2


def flooding(at_once: bytes, again: bytes):
    """Sends the second part without end."""

    def handle(server, connection) -> None:
        while server.request(connection):
            connection.sendall(at_once)
            block = again * (256 * 1024 // len(again))
            while not server.stopped.is_set():
                connection.sendall(block)

    return handle


FLOODS = {
    '100 Continue': (b'', b'HTTP/1.1 100 Continue\r\n\r\n'),
    '100 Continue with headers': (b'', b'HTTP/1.1 100 Continue\r\nX: ' + b'y' * 60_000 + b'\r\n\r\n'),
    'early hints': (b'', b'HTTP/1.1 103 Early Hints\r\n\r\n'),
    'status line': (b'', b'HTTP/1.1 200 ' * 1000),
    'headers': (OK, b'X: y\r\n'),
    'long headers': (OK, b'X: ' + b'y' * 60_000 + b'\r\n'),
    'one header': (OK + b'X: ', b'y' * 1000),
    'folded header': (OK + b'X: y\r\n', b' y\r\n'),
    'body': (OK + b'Connection: close\r\n\r\n', b' ' * 1000),
    'chunks': (CHUNKED, b'3e8\r\n' + b' ' * 1000 + b'\r\n'),
    'size of a chunk': (CHUNKED, b'0' * 1000),
    'extension of a chunk': (CHUNKED + b'1;', b'x' * 1000),
}


class TestFloods:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        """What is limited is tested with a few megabytes of an answer."""
        monkeypatch.setattr(size_limits, 'MAX_ANSWER', 4 * 1024**2)
        monkeypatch.setattr(size_limits, 'MAX_OVERHEAD', 1024**2)
        monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)

    @pytest.mark.parametrize('part', FLOODS)
    def test_it_ends_at_once(self, part, connect, context):
        with (
            serving(flooding(*FLOODS[part]), context) as server,
            connect(server.host, timeout=20) as client,
            Elapsed() as elapsed,
            pytest.raises(ProxmoxError),
        ):
            client.get('nodes')
        # Not by the time limit; the processor time is that of the server's thread as well.
        assert elapsed.seconds < 8
        assert elapsed.cpu < 4

    @pytest.mark.parametrize('part', ['trailers', 'tiny chunks'])
    def test_discarded_data_counts_for_the_size_limit(self, part, connect, context):
        parts = {
            'trailers': (CHUNKED + b'2\r\n{}\r\n0\r\n', b'X: y\r\n'),
            'tiny chunks': (CHUNKED, b'1;' + b'x' * 500 + b'\r\n \r\n'),
        }
        with (
            serving(flooding(*parts[part]), context) as server,
            connect(server.host, timeout=60) as client,
            Elapsed() as elapsed,
            pytest.raises(InvalidResponseError, match='too large'),
        ):
            client.get('nodes')
        assert elapsed.seconds < 30

    def test_a_few_interim_answers_are_fine(self, connect, context):
        body = b'HTTP/1.1 100 Continue\r\nX: y\r\n\r\n' * 3 + response(VERSION)

        def handle(server, connection):
            while server.request(connection):
                connection.sendall(body)

        with serving(handle, context) as server, connect(server.host) as client:
            assert client.version().text == '9.2.11'
            assert client.version().text == '9.2.11'
        assert server.connections == 1

    @pytest.mark.parametrize('headers', [90, 101, 5000])
    def test_many_headers(self, headers, connect, context):
        with serving(answering(headers='X: y\r\n' * headers), context) as server, connect(server.host) as client:
            if headers < 100:
                assert client.version().text == '9.2.11'
            else:
                with pytest.raises(InvalidResponseError):
                    client.get('nodes')

    def test_compressed_zeros(self, connect, context):
        body = gzip.compress(bytes(64 * 1024**2))
        with (
            serving(answering(body, headers='Content-Encoding: gzip\r\n'), context) as server,
            connect(server.host, timeout=20) as client,
            pytest.raises(InvalidResponseError, match='too large'),
        ):
            client.get('nodes')


class TestWholeRuns:
    def big(self, size: int) -> bytes:
        return b'{"data":"' + b'x' * size + b'"}'

    def test_concurrent_answers_share_the_limit(self, connect, context, monkeypatch):
        """Each of them alone would be small enough."""
        monkeypatch.setattr(size_limits, 'MAX_ANSWER', 4 * 1024**2)
        body = self.big(3 * 1024**2)
        begun, go_on = Event(), Event()
        reserved, read = [], size_limits.read_body

        def observed(response, take):
            def reserve(size):
                take(size)
                reserved.append(size)
                if sum(reserved) >= len(body) - 10:
                    begun.set()

            return read(response, reserve)

        monkeypatch.setattr(client_module, 'read_body', observed)

        def handle(server, connection):
            while path := server.request(connection):
                connection.sendall(response(body)[:-10])
                if b'nodes' in path:
                    assert go_on.wait(20)
                connection.sendall(body[-10:])

        outcomes = []
        with serving(handle, context) as server, connect(server.host, timeout=20, concurrency=4) as client:
            slow = Thread(target=lambda: outcomes.append(len(client.get('nodes'))))
            slow.start()
            assert begun.wait(20)
            for _ in range(3):
                with pytest.raises(InvalidResponseError, match='too large'):
                    client.get('version')
            go_on.set()
            slow.join()
            assert outcomes == [len(body) - 11]
            # Once answers are processed, they no longer count.
            assert len(client.get('version')) == len(body) - 11

    def test_all_answers_of_a_run_together(self, connect, context, monkeypatch):
        monkeypatch.setattr(size_limits, 'MAX_TOTAL', 4 * 1024**2)
        body = self.big(1024**2)
        with serving(answering(body), context) as server, connect(server.host, timeout=20) as client:
            for _ in range(3):
                client.get('nodes')
            with pytest.raises(TooMuchDataError, match=r'more than 4 MiB') as caught:
                client.get('nodes')
            assert caught.value.fatal
            # It is over for all other calls as well.
            requests = len(server.received)
            with pytest.raises(TooMuchDataError):
                client.get('version')
            assert len(server.received) == requests


def test_outside_of_a_call_a_socket_has_no_limits():
    def echo(server, connection) -> None:
        while data := connection.recv(100):
            connection.sendall(data)

    with serving(echo) as server:
        deadline = time.monotonic() + 5
        with connect_to('127.0.0.1', server.port, THIS_MACHINE, deadline, kind=LimitedSocket) as sock:
            with limited(Limits(deadline, deadline, size=4)):
                sock.sendall(b'abcd')
                assert sock.recv(4) == b'abcd'
            sock.sendall(b'efgh')
            assert sock.recv(4) == b'efgh'
            with limited(Limits(deadline, deadline, size=3)):
                sock.sendall(b'ijkl')
                with pytest.raises(DecodeError):
                    sock.recv(4)
            with limited(Limits(deadline, time.monotonic(), size=100)), pytest.raises(TimeoutError):
                sock.send(b'm')
