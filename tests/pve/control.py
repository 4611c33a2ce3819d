"""
The same operations over HTTP, for tests in other processes and for users who play with the demo.

    POST /control/OPERATION   {"argument": value, ...}, or [positional, ...]  ->  {"result": ...}
    GET  /control/log         the requests so far; ?glob=/nodes/*
    GET  /control/state       guests, nodes, tokens, peak and refused requests
    POST /control/clear_log
"""

import asyncio
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .script import OPERATIONS

if TYPE_CHECKING:
    from .standin import StandIn

__all__ = ('Control',)


class Control:
    """Listens on a loopback port of its own, over plain HTTP."""

    def __init__(self, pve: 'StandIn'):
        self.pve = pve

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.removeprefix('/control/')
        if request.method == 'GET' and name == 'log':
            calls = self.pve.calls(request.query.get('glob', '*'))
            return web.json_response({'result': [dataclasses.asdict(call) for call in calls]})
        if request.method == 'GET' and name == 'state':
            return web.json_response({'result': self._state()})
        # A page in a user's browser can send forms to this port, but no JSON.
        if request.method != 'POST' or request.content_type != 'application/json':
            return web.json_response({'error': 'POST the arguments as application/json'}, status=405)
        if name == 'clear_log':
            self.pve.clear_log()
            return web.json_response({'result': None})
        if name not in OPERATIONS:
            known = ', '.join(OPERATIONS)
            return web.json_response({'error': f'There is no operation {name}; there are: {known}'}, status=404)
        return await self._operate(name, request)

    async def _operate(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        try:
            arguments: Any = await request.json() if request.can_read_body else {}
            positional, named = (arguments, {}) if isinstance(arguments, list) else ([], dict(arguments))
            if 'vmid' in named and name in ('set_config', 'delete_config'):
                # These take everything but the guest as keys of its configuration.
                positional = [named.pop('vmid'), *named.pop('keys', [])]
            operation = functools.partial(getattr(self.pve, name), *positional, **named)
            result = await asyncio.get_running_loop().run_in_executor(None, operation)
        except (KeyError, TypeError, ValueError) as failure:
            return web.json_response({'error': f'{name}: {failure}'}, status=400)
        return web.json_response({'result': result})

    def _state(self) -> dict[str, Any]:
        cluster = self.pve.cluster
        with cluster.lock:
            return {
                'version': cluster.version,
                'nodes': {node.name: node.offline or 'online' for node in cluster.nodes.values()},
                'guests': [
                    {'type': guest.type, 'vmid': guest.vmid, 'node': guest.node, 'name': guest.name,
                     'status': guest.status, 'config': guest.config}
                    for guest in cluster.guests.values()
                ],
                'peak': self.pve.peak,
                'refused': len(self.pve.refused),
            }  # fmt: skip
