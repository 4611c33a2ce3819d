"""
The HTTP side: listens on one port with TLS, answers plain HTTP on it with a redirect as pveproxy does, and runs in a
thread with its own event loop, so that tests and their clients can block as they like.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable

from aiohttp import web

__all__ = ('Loop', 'Server')

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
TLS_HANDSHAKE = b'\x16'


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name='pve-stand-in', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def run[T](self, coroutine: Awaitable[T], timeout: float = 20) -> T:
        """Run a coroutine there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable, *arguments: object) -> None:
        """Call a function there, without waiting."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)


class Server:
    """
    One listening port.

    Attributes:
        host, port: Where it listens; the port is chosen by the system if 0 was asked for.
    """

    def __init__(self, handler: Handler, host: str, port: int, context: ssl.SSLContext | None):
        self._context = context
        self._handler = handler
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._socket.listen(256)
        self._socket.setblocking(False)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> None:
        # aiohttp wants to be set up where it runs.
        self._web = web.Server(self._handler, access_log=None, keepalive_timeout=75)
        self._redirect = web.Server(self._to_https, access_log=None)
        self._spawn(self._accept())

    async def stop(self) -> None:
        self._socket.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Requests that hang on purpose never finish: give them no time.
        await self._web.shutdown(0.1)
        await self._redirect.shutdown(0.1)

    def _spawn(self, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._greet(connection))

    async def _greet(self, connection: socket.socket) -> None:
        """Find out whether the client speaks TLS, without taking the first byte away from it."""
        loop = asyncio.get_running_loop()
        try:
            if self._context is None:
                await loop.connect_accepted_socket(self._web, connection)
                return
            if await _first_byte(connection) == TLS_HANDSHAKE:
                await loop.connect_accepted_socket(self._web, connection, ssl=self._context)
            else:
                await loop.connect_accepted_socket(self._redirect, connection)
        except (OSError, ssl.SSLError):
            # The client does not trust us, or went away: its business.
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    async def _to_https(self, request: web.BaseRequest) -> web.StreamResponse:
        host = request.headers.get('Host', f'{self.host}:{self.port}')
        return web.Response(
            status=301, reason='Moved Permanently', headers={'Location': f'https://{host}{request.path_qs}'}
        )


async def _first_byte(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(BlockingIOError):
            return connection.recv(1, socket.MSG_PEEK)
        ready = loop.create_future()
        loop.add_reader(connection, lambda ready=ready: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(connection)
