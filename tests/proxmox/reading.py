"""Reading a stand-in as a sync does."""

import json
from collections.abc import Callable
from typing import Any

from netbox_proxsync.proxmox.connections import ContactPolicy
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.inventory import Guest, Inventory, Unreadable
from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect
from tests.pve import StandIn
from tests.stack import loopback

THIS_MACHINE = ContactPolicy.parse(loopback.NETWORKS, ())


def connection(pve: StandIn, **settings: object) -> Connection:
    values = {
        'hosts': (f'{pve.host}:{pve.port}',),
        'token_id': pve.token_id,
        'token_secret': pve.token_secret,
        'tls_mode': 'fingerprint',
        'fingerprint': pve.fingerprint,
        'timeout': 5,
        'policy': THIS_MACHINE,
    }
    return Connection(**(values | settings))


def read(pve: StandIn, *, progress: Callable | None = None, options: dict | None = None, **settings: Any) -> Inventory:
    with ProxmoxClient(connection(pve, **settings)) as client:
        return collect(client, CollectOptions(**(options or {})), progress)


def guest_of(inventory: Inventory, vmid: int) -> Guest:
    (guest,) = (guest for guest in inventory.guests if guest.vmid == vmid)
    return guest


def is_unknown(reading: object, words: str = '') -> bool:
    return isinstance(reading, Unreadable) and words in reading.reason


def messages(inventory: Inventory) -> str:
    return '\n'.join(f'{notice.subject}: {notice.message} {notice.remedy}' for notice in inventory.warnings)


def answer_of(pve: StandIn, path: str) -> Any:
    """The `data` that the stand-in answers now, to be changed and served with `serve`."""
    from tests.pve.api import respond

    token = pve.cluster.tokens[pve.token_id]
    return json.loads(respond(pve.cluster, token, path, {}).body)['data']


def serve(pve: StandIn, path: str, data: Any, times: int | None = None) -> None:
    """Let a call answer 200 with other data."""
    pve.fail(path, 200, 'OK', times=times, body={'data': data})
