"""
Loads what was recorded from a real server: {"/path[?query]": {"status": 200, "reason": "OK", "body": {...}}}.

Every answer is kept as it is. Besides, the parts that a script can change are read into the state.
"""

import json
import pathlib
import re
from typing import Any
from urllib.parse import parse_qsl

from .answers import Answer, encode
from .api import GUEST, key_of
from .privileges import Token, from_overview
from .state import Cluster, Guest, Node, Pool, guest_id

__all__ = ('RECORDINGS', 'load')

RECORDINGS = pathlib.Path(__file__).with_name('recordings')
TOKEN_ID = 'netbox@pve!proxsync'
# Made from the state as soon as something was changed.
MADE = re.compile(
    r'^/(cluster/(resources|status|options|nextid|ha/resources)|nodes|nodes/[^/]+/(qemu|lxc)|pools(/.*)?'
    r'|access/permissions)$'
)
METRICS = ('cpu', 'disk', 'diskread', 'diskwrite', 'maxmem', 'mem', 'netin', 'netout', 'uptime')

type Row = dict[str, Any]


class _Recording:
    """The answers of one file by normalised key."""

    def __init__(self, raw: dict[str, Any]):
        self.raw: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        for address, answer in raw.items():
            path, _, query = address.partition('?')
            key = key_of(path, dict(parse_qsl(query)))
            body = answer['body']
            self.raw[key] = answer
            self.answers[key] = Answer(
                answer['status'], answer['reason'], body.encode() if isinstance(body, str) else encode(body)
            )

    def data(self, key: str, default: Any = None) -> Any:
        """`data` of a recorded answer, or the default if it was an error or was not recorded."""
        answer = self.raw.get(key)
        if answer is None or answer['status'] != 200:
            return default
        found = answer['body']['data']
        return default if found is None else found


def names() -> list[str]:
    """The recorded clusters that are there."""
    return sorted(path.stem for path in RECORDINGS.glob('*.json'))


def load(name: str, secret: str) -> Cluster:
    """
    Load a recorded cluster by name, or from a path.

    Raises:
        ValueError: There is no such recording.
    """
    path = pathlib.Path(name) if name.endswith('.json') else RECORDINGS / f'{name}.json'
    if not path.is_file():
        raise ValueError(f'There is no recording {name}; there are: {", ".join(names())}.')
    recording = _Recording(json.loads(path.read_text()))
    cluster = _cluster(recording)
    _nodes(recording, cluster)
    _guests(recording, cluster)
    _pools(recording, cluster)
    for key, answer in recording.answers.items():
        place, _, query = key.partition('?')
        found = GUEST.match(place)
        guest = cluster.guests.get(guest_id(found['type'], int(found['vmid']))) if found else None
        if guest is not None:
            guest.answers[key_of(found['rest'], dict(parse_qsl(query)))] = answer
        elif MADE.match(place) and answer.status == 200:
            cluster.lists[key] = answer
        else:
            cluster.fixed[key] = answer
    overview = recording.data('/access/permissions', {})
    token = Token(TOKEN_ID, secret, from_overview(overview), recorded=True)
    cluster.tokens[token.id] = token
    cluster.default_token = token.id
    return cluster


def _cluster(recording: _Recording) -> Cluster:
    status = recording.data('/cluster/status', [])
    local = next((row['name'] for row in status if row.get('local')), None)
    if local is None:
        # Without Sys.Audit the server does not tell which node it is.
        local = min(row['node'] for row in recording.data('/nodes'))
    heading = next((row for row in status if row['type'] == 'cluster'), {})
    return Cluster(
        version=recording.data('/version')['version'],
        local=local,
        name=heading.get('name'),
        config_version=heading.get('version', 1),
        options=recording.data('/cluster/options', {}),
        storages=recording.data('/storage', []),
        acl_paths={row['path'] for row in recording.data('/access/acl', [])},
    )


def _nodes(recording: _Recording, cluster: Cluster) -> None:
    rows = recording.data('/cluster/resources', [])
    status = {row['name']: row for row in recording.data('/cluster/status', []) if row['type'] == 'node'}
    fingerprints = {row['node']: row.get('ssl_fingerprint', '') for row in recording.data('/nodes', [])}
    for row in rows:
        if row['type'] != 'node':
            continue
        name = row['node']
        member = status.get(name, {})
        cluster.nodes[name] = Node(
            name=name,
            nodeid=member.get('nodeid', 0),
            address=member.get('ip', ''),
            row=row,
            storage_rows=[other for other in rows if other['type'] == 'storage' and other['node'] == name],
            network_rows=[other for other in rows if other['type'] in ('sdn', 'network') and other['node'] == name],
            fingerprint=fingerprints.get(name, ''),
        )


def _guests(recording: _Recording, cluster: Cluster) -> None:
    for row in recording.data('/cluster/resources', []):
        if row['type'] not in ('qemu', 'lxc'):
            continue
        base = f'/nodes/{row["node"]}/{row["type"]}'
        own = f'{base}/{row["vmid"]}'
        config = dict(recording.data(f'{own}/config?current=1', {}))
        config.pop('digest', None)
        listed = _row(recording.data(base, []), row['vmid'])
        guest = Guest(
            type=row['type'],
            vmid=row['vmid'],
            node=row['node'],
            config=config,
            pending=_pending(recording.data(f'{own}/pending', [])),
            status=row['status'],
            metrics={key: row[key] for key in METRICS if key in row} if row['status'] != 'stopped' else {},
            pool=row.get('pool'),
            hastate=row.get('hastate'),
            snapshots=[found for found in recording.data(f'{own}/snapshot', []) if found['name'] != 'current'],
            rows={'resources': {key: value for key, value in row.items() if key != 'pool'}},
            pristine=True,
        )
        if listed:
            guest.rows['list'] = listed
        if guest.up:
            guest.metrics['pid'] = listed.get('pid')
            if guest.type == 'lxc':
                # Of a running container: the size of the file system that is mounted.
                guest.metrics['maxdisk'] = row['maxdisk']
        full = _row(recording.data(f'{base}?full=1', []), row['vmid'])
        if full:
            guest.rows['full'] = full
        _inside(recording, guest, own)
        cluster.guests[guest.id] = guest


def _row(rows: list[Row], vmid: int) -> Row:
    return next((row for row in rows if int(row['vmid']) == vmid), {})


def _pending(rows: list[Row]) -> Row:
    changes = {row['key']: row['pending'] for row in rows if 'pending' in row}
    return changes | {row['key']: None for row in rows if row.get('delete')}


def _inside(recording: _Recording, guest: Guest, own: str) -> None:
    """What the guest itself reports, and its snapshots."""
    if guest.type == 'lxc':
        guest.interfaces = recording.data(f'{own}/interfaces', [])
    else:
        for key in recording.raw:
            if key.startswith(f'{own}/agent/'):
                command = key.rpartition('/')[2]
                found = recording.data(key)
                if found is not None:
                    guest.agent_info[command] = found['result']
        guest.interfaces = guest.agent_info.pop('network-get-interfaces', [])
    for snapshot in guest.snapshots:
        found = recording.data(f'{own}/snapshot/{snapshot["name"]}/config')
        if found is not None:
            guest.snapshot_configs[snapshot['name']] = found


def _pools(recording: _Recording, cluster: Cluster) -> None:
    for row in recording.data('/pools', []):
        name = row['poolid']
        members = recording.data(f'/pools?poolid={name}', [{}])[0].get('members', [])
        storages = sorted({member['storage'] for member in members if member['type'] == 'storage'})
        cluster.pools[name] = Pool(name, row.get('comment'), storages)
