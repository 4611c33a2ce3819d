"""
Small servers that go wrong in ways in which a whole Proxmox VE does not: other certificates, other protocols, answers
that never end. What Proxmox VE itself answers comes from the stand-in.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

VERSION = b'{"data":{"version":"9.2.11","release":"9.2","repoid":"14a22df35955d97d"}}'


class Server:
    """
    Runs one function per connection, and keeps what the clients sent.

    Attributes:
        received: What each connection sent, headers and all.
        stopped: Set when the server ends, so that no handler outlives its test.
    """

    def __init__(
        self,
        handle: Callable[['Server', socket.socket], None],
        context: ssl.SSLContext | None,
        family: int,
        address: tuple[str, int] | None = None,
    ):
        self.handle = handle
        self.context = context
        self.received: list[bytes] = []
        self.connections = 0
        self.stopped = Event()
        self.socket = socket.create_server(
            address or ('::1' if family == socket.AF_INET6 else '127.0.0.1', 0), family=family, backlog=64
        )
        self.socket.settimeout(0.05)
        self.port = self.socket.getsockname()[1]
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    @property
    def host(self) -> str:
        return f'127.0.0.1:{self.port}'

    def start(self) -> None:
        self._threads[0].start()

    def stop(self) -> None:
        self.stopped.set()
        self.socket.close()
        for connection in self._open:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            self.handle(self, connection)
        except OSError:
            pass  # the client went away, which many tests make it do
        finally:
            connection.close()

    def request(self, connection: socket.socket) -> bytes:
        """The next request, b'' if the client has closed."""
        data = b''
        while b'\r\n\r\n' not in data:
            if not (chunk := connection.recv(65536)):
                break
            data += chunk
        if data:
            self.received.append(data)
        return data


@contextmanager
def serving(
    handle: Callable[[Server, socket.socket], None],
    context: ssl.SSLContext | None = None,
    family: int = socket.AF_INET,
    address: tuple[str, int] | None = None,
) -> Iterator[Server]:
    server = Server(handle, context, family, address)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def response(body: bytes, status: str = '200 OK', headers: str = '') -> bytes:
    head = f'HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n{headers}\r\n'
    return head.encode() + body


def answering(body: bytes = VERSION, status: str = '200 OK', headers: str = '') -> Callable:
    """The same answer to every request, on connections that stay open."""

    def handle(server: Server, connection: socket.socket) -> None:
        while server.request(connection):
            connection.sendall(response(body, status, headers))

    return handle


def in_turn(*steps: bytes | None) -> Callable:
    """One answer after the other, whatever the connection; None: break the connection instead. The last one stays."""
    left = list(steps)

    def handle(server: Server, connection: socket.socket) -> None:
        while server.request(connection):
            step = left.pop(0) if len(left) > 1 else left[0]
            if step is None:
                return
            connection.sendall(step)

    return handle


def silent(server: Server, connection: socket.socket) -> None:
    """Takes the request and never answers."""
    server.request(connection)
    server.stopped.wait(30)


def trickling(server: Server, connection: socket.socket) -> None:
    """Sends a byte now and then, so that no single wait is long."""
    server.request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
    while not server.stopped.wait(0.1):
        connection.sendall(b' ')


def speaking_ssh(server: Server, connection: socket.socket) -> None:
    connection.sendall(b'SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n')
    server.request(connection)


def speaking_http(server: Server, connection: socket.socket) -> None:
    """Without TLS, as a web server that gets a handshake."""
    server.received.append(connection.recv(65536))
    connection.sendall(response(b'Bad request', '400 Bad Request'))


@contextmanager
def full() -> Iterator[int]:
    """The port of a server that accepts no connection, as its backlog is full: further ones wait."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]
