"""The stand-in as tests use it."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

from . import recordings
from .answers import Answer, ApiError, error, not_implemented
from .api import authenticate, respond
from .control import Control
from .generate import ClusterSpec, generate
from .script import Script
from .server import Loop, Server
from .state import Cluster
from .tls import Kind, Tls
from .traffic import Call, Fault, Traffic, failure

__all__ = ('StandIn',)

API = '/api2/json'
PAGE = '<!DOCTYPE html>\n<html><head><title>pve - Proxmox Virtual Environment</title></head><body></body></html>\n'
IMPOSTORS = {
    # A web server with a start page, and one that has nothing there.
    'html': (200, 'OK', '<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>'),
    'nginx': (404, 'Not Found', '<html><head><title>404 Not Found</title></head><body>nginx</body></html>'),
    'json': (200, 'OK', {'status': 'ok'}),
    'broken': (200, 'OK', '{"data": [{"id": '),
}
COMPRESS_FROM = 1024
# The event loop wakes up at whole milliseconds, half of one too late on average.
TICK = 0.001


class StandIn(Script):
    """
    A Proxmox VE API server over HTTPS, for as long as the `with` block lasts.

        with StandIn('pve-9.2.11-cluster') as pve:
            client.get(pve.url + '/api2/json/version', headers=pve.headers, verify=pve.ca_file)
            pve.stop(100)

    Attributes:
        url: https://host:port.
        fingerprint: SHA-256 of its certificate, with colons.
        ca_pem: What a client has to trust.
        token_id, token_secret: The token that made the recording, or one with the auditor's role.
        control_url: Where the same operations are available over HTTP (None without `control`).
    """

    def __init__(
        self,
        cluster: str | ClusterSpec | Cluster = 'pve-9.2.11-cluster',
        *,
        tls: Kind | Tls | None = 'self-signed',
        host: str = '127.0.0.1',
        port: int = 0,
        token_secret: str | None = None,
        latency: float = 0.0,
        shuffle: int | None = None,
        control: bool | int = False,
    ):
        """
        Attributes:
            cluster: The name of a recording, what to generate, or a cluster (several servers may share one).
            tls: Kind of certificate, or one to use again; None serves plain HTTP.
            shuffle: Seed for a random order of rows, keys and lists in texts, as on a real server.
            control: Serve the control endpoint, on this port or any.
        """
        secret = token_secret or str(uuid.uuid4())
        if isinstance(cluster, str):
            cluster = recordings.load(cluster, secret)
        elif isinstance(cluster, ClusterSpec):
            cluster = generate(cluster, secret)
        self.cluster: Cluster = cluster
        self.traffic = Traffic()
        self.traffic.latency = latency
        self.tls = Tls.generate(tls) if isinstance(tls, str) else tls
        self._random = None if shuffle is None else random.Random(shuffle)
        self._address = (host, port)
        self._control_port = None if control is False else (0 if control is True else control)
        self._loop: Loop | None = None
        self._server: Server | None = None
        self._control: Server | None = None

    # ----- life -----

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def listen(self) -> None:
        """Start to serve."""
        self._loop = Loop()
        context = self.tls.context() if self.tls else None
        self._server = Server(self._handle, *self._address, context)
        self._loop.run(self._server.start())
        if self._control_port is not None:
            self._control = Server(Control(self).handle, '127.0.0.1', self._control_port, None)
            self._loop.run(self._control.start())

    def move(self, host: str, port: int) -> None:
        """Listen somewhere else the next time."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        self._address = (host, port)

    def close(self) -> None:
        """Stop serving; requests that hang are cut off."""
        if self._loop is None:
            return
        self.heal()
        for server in (self._server, self._control):
            if server is not None:
                self._loop.run(server.stop())
        self._loop.close()
        self._loop = None

    def serve(self, cluster: Cluster) -> None:
        """Answer for another cluster from now on, at the same address, without faults and with an empty log."""
        self.heal()
        self.cluster = cluster
        self.traffic = Traffic()

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        name = f'[{self.host}]' if ':' in self.host else self.host
        return f'{"https" if self.tls else "http"}://{name}:{self.port}'

    @property
    def control_url(self) -> str | None:
        return f'http://127.0.0.1:{self._control.port}' if self._control else None

    @property
    def fingerprint(self) -> str:
        return self.tls.fingerprint

    @property
    def ca_pem(self) -> str:
        return self.tls.ca_pem

    @property
    def token_id(self) -> str:
        return self.cluster.default_token

    @property
    def token_secret(self) -> str:
        return self.cluster.tokens[self.cluster.default_token].secret

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends to be let in."""
        return {'Authorization': f'PVEAPIToken={self.token_id}={self.token_secret}'}

    # ----- the log -----

    @property
    def log(self) -> list[Call]:
        """All requests so far, oldest first."""
        return self.traffic.calls()

    def calls(self, glob: str = '*') -> list[Call]:
        """The requests whose path matches, e.g. '/nodes/*/qemu/*/config'."""
        return self.traffic.calls(glob)

    @property
    def refused(self) -> list[Call]:
        """The requests that were anything but GET."""
        return [call for call in self.traffic.calls() if call.method != 'GET']

    @property
    def peak(self) -> int:
        """The highest number of requests at the same time since the log was cleared."""
        return self.traffic.peak

    def clear_log(self) -> None:
        self.traffic.clear()

    def wait_for(self, glob: str = '*', count: int = 1, timeout: float = 10, answered: bool = False) -> list[Call]:
        """Wait until so many requests have arrived (or were answered). Raises TimeoutError."""
        return self.traffic.wait(glob, count, timeout, answered)

    # ----- faults -----

    def fail(
        self, glob: str, status: int = 595, reason: str = 'No route to host', times: int | None = None, body: Any = None
    ) -> None:
        """Answer requests with an error; `body` is None, text (HTML) or data. `times` limits how many."""
        self.traffic.add(Fault(glob, answer=failure(status, reason, body), times=times))

    def slow(self, glob: str, seconds: float, times: int | None = None) -> None:
        """Let requests take longer."""
        self.traffic.add(Fault(glob, delay=seconds, times=times))

    def latency(self, seconds: float) -> None:
        """Let every request take longer."""
        self.traffic.latency = seconds

    def hang(self, glob: str, times: int | None = None) -> None:
        """Do not answer until `heal`."""
        self.traffic.add(Fault(glob, hang=True, times=times))

    def drop(self, glob: str, times: int | None = None) -> None:
        """Close the connection instead of answering."""
        self.traffic.add(Fault(glob, drop=True, times=times))

    def before(self, glob: str, call: Callable[[], Any], times: int | None = 1) -> None:
        """Call something (a script operation) when a request arrives, before it is answered."""
        self.traffic.add(Fault(glob, call=call, times=times))

    def impostor(self, kind: str = 'html') -> None:
        """Answer everything as something that is not Proxmox VE: html, nginx, json, broken."""
        status, reason, body = IMPOSTORS[kind]
        self.traffic.add(Fault('*', answer=failure(status, reason, body)))

    def heal(self, glob: str | None = None) -> None:
        """Take faults away: those with this very glob, or all."""
        for fault in self.traffic.heal(glob):
            if self._loop is not None:
                self._loop.call(fault.released.set)

    # ----- requests -----

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix(API) if request.path.startswith(API) else request.path
        call = self.traffic.begin(request.method, path or '/', request.query_string)
        status = None
        try:
            answer = await self._answer(request, call)
            await self._take_time(call)
            if answer is None:
                request.transport.abort()
                return web.Response()
            status = answer.status
            return self._response(request, answer)
        finally:
            self.traffic.end(call, status)

    async def _answer(self, request: web.BaseRequest, call: Call) -> Answer | None:
        for fault in self.traffic.faults(call.path):
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.hang:
                await fault.released.wait()
            if fault.call is not None:
                fault.call()
            if fault.drop:
                return None
            if fault.answer is not None:
                return fault.answer
        if not request.path.startswith(API):
            return Answer(200, 'OK', PAGE.encode(), 'text/html; charset=utf-8')
        return self._api(request, call)

    async def _take_time(self, call: Call) -> None:
        """Until the latency has passed since the request arrived: what it took to make the answer is part of it."""
        if self.traffic.latency:
            await asyncio.sleep(call.started + self.traffic.latency - time.monotonic() - TICK / 2)

    def _api(self, request: web.BaseRequest, call: Call) -> Answer:
        try:
            token = authenticate(self.cluster, request.headers.get('Authorization'))
            call.token_id = token.id
            if request.method != 'GET':
                # The stand-in is for readers: whoever tries to write has a bug, and finds it in `refused`.
                raise not_implemented(request.method, call.path)
        except ApiError as failed:
            return error(failed, self.cluster.major)
        return respond(self.cluster, token, call.path, request.query)

    def _response(self, request: web.BaseRequest, answer: Answer) -> web.Response:
        body = answer.body
        headers = {'Server': 'pve-api-daemon/3.0', 'Cache-Control': 'max-age=0', 'Pragma': 'no-cache', **answer.headers}
        if body:
            headers['Content-Type'] = answer.content_type
        if self._random is not None and body and answer.content_type.startswith('application/json'):
            body = self._shuffled(body)
        elif len(body) > COMPRESS_FROM and 'gzip' in request.headers.get('Accept-Encoding', ''):
            body = answer.gzipped()
            headers['Content-Encoding'] = 'gzip'
        return web.Response(status=answer.status, reason=answer.reason, body=body, headers=headers)

    def _shuffled(self, body: bytes) -> bytes:
        try:
            return json.dumps(self._mix(json.loads(body))).encode()
        except ValueError:
            return body

    def _mix(self, value: Any, key: str = '') -> Any:
        """Perl's hashes have no order: lists of rows, keys, and the lists inside some texts come in any."""
        if isinstance(value, dict):
            keys = list(value)
            self._random.shuffle(keys)
            return {name: self._mix(value[name], name) for name in keys}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = [self._mix(row) for row in value]
            # What the guest agent answers is passed on in the order of the guest's kernel.
            if key not in ('result', 'ip-addresses'):
                self._random.shuffle(rows)
            return rows
        if isinstance(value, str) and key in ('content', 'nodes') and ',' in value:
            parts = value.split(',')
            self._random.shuffle(parts)
            return ','.join(parts)
        return value
