"""The answers about the whole cluster or a node, made from the state, with the rows that the token may see."""

from typing import Any

from .guests import list_row, resource_row, unknown_row
from .privileges import Token
from .state import Cluster, Guest, Node, Pool

__all__ = ('cluster_options', 'cluster_status', 'guests_of', 'nodes', 'permissions', 'pool', 'pools', 'resources')

type Row = dict[str, Any]
MEASURED = ('cpu', 'mem', 'disk', 'maxcpu', 'maxmem', 'maxdisk', 'uptime')
TAG_OPTIONS = ('allowed-tags', 'registered-tags', 'tag-style', 'user-tag-access')


def _sees(token: Token, guest: Guest) -> bool:
    return token.may(guest.path, ('VM.Audit',), guest.pool)


def _node_row(node: Node, token: Token) -> Row:
    row = node.row
    if node.offline:
        # First the measured values go, later the sizes and the subscription level too.
        lost = {'cpu', 'mem', 'disk', 'uptime'}
        if node.offline == 'unknown':
            lost |= {'maxcpu', 'maxmem', 'maxdisk', 'level', 'cgroup-mode'}
        row = {key: value for key, value in row.items() if key not in lost} | {'status': 'offline'}
    if not token.may(f'/nodes/{node.name}', ('Sys.Audit',)):
        row = {key: value for key, value in row.items() if key not in MEASURED}
    return row


def _storage_row(node: Node, row: Row) -> Row:
    if node.offline != 'unknown':
        return row
    return {key: value for key, value in row.items() if key not in ('disk', 'maxdisk')} | {'status': 'unknown'}


def _guest_row(cluster: Cluster, guest: Guest) -> Row:
    if guest.status == 'unknown' or cluster.nodes[guest.node].offline == 'unknown':
        return unknown_row(guest)
    return resource_row(cluster, guest)


def _pool_row(cluster: Cluster, pool: Pool) -> Row:
    """With the sums of the guests that run."""
    row: Row = {'id': f'/pool/{pool.name}', 'pool': pool.name, 'type': 'pool'}
    members = [_guest_row(cluster, guest) for guest in cluster.guests.values() if guest.pool == pool.name]
    running = [member for member in members if member.get('uptime')]
    if running:
        row['maxcpu'] = sum(member['maxcpu'] for member in running)
        row['maxmem'] = sum(member['maxmem'] for member in running)
        row['mem'] = sum(member['mem'] for member in running)
        row['uptime'] = max(member['uptime'] for member in running)
        row['cpu'] = sum(member['cpu'] * member['maxcpu'] for member in running) / (row['maxcpu'] or 1)
    return row


def resources(cluster: Cluster, token: Token, wanted: str | None) -> list[Row]:
    """
    /cluster/resources: rows are left out without saying so when the token may not see them.

    Attributes:
        wanted: The parameter `type`: vm, storage, node, sdn or None.
    """
    rows: list[Row] = []
    if wanted is None:
        rows += [
            _pool_row(cluster, pool)
            for pool in cluster.pools.values()
            if token.may(f'/pool/{pool.name}', ('Pool.Audit',))
        ]
    if wanted in (None, 'vm'):
        for guest in cluster.guests.values():
            if _sees(token, guest):
                row = _guest_row(cluster, guest)
                if guest.pool and token.may(f'/pool/{guest.pool}', ('Pool.Audit',)):
                    row = {**row, 'pool': guest.pool}
                rows.append(row)
    for node in cluster.nodes.values():
        if wanted in (None, 'node'):
            rows.append(_node_row(node, token))
        if wanted in (None, 'storage'):
            rows += [
                _storage_row(node, row) for row in node.storage_rows if token.may(*_storage(cluster, row['storage']))
            ]
        if wanted in (None, 'sdn', 'network'):
            rows += [row for row in node.network_rows if token.may(_zone_path(row), ('SDN.Audit',))]
    return rows


def _storage(cluster: Cluster, storage: str) -> tuple[str, tuple[str, ...], str | None]:
    path = f'/storage/{storage}'
    return path, ('Datastore.Audit',), cluster.pool_of(path)


def _zone_path(row: Row) -> str:
    return f'/sdn/zones/{row.get("network") or row.get("sdn")}'


def nodes(cluster: Cluster, token: Token) -> list[Row]:
    """/nodes."""
    rows = []
    for node in cluster.nodes.values():
        row = {key: value for key, value in _node_row(node, token).items() if key != 'cgroup-mode'}
        if node.fingerprint:
            row['ssl_fingerprint'] = node.fingerprint
        rows.append(row)
    return rows


def guests_of(cluster: Cluster, token: Token, node: str, type_: str, full: bool) -> list[Row]:
    """/nodes/N/qemu and /nodes/N/lxc."""
    return [
        list_row(cluster, guest, full)
        for guest in cluster.guests.values()
        if guest.node == node and guest.type == type_ and _sees(token, guest)
    ]


def cluster_status(cluster: Cluster) -> list[Row]:
    """/cluster/status; a stand-alone host has no row of type cluster."""
    rows: list[Row] = []
    if cluster.name is not None:
        rows.append(
            {
                'id': 'cluster',
                'name': cluster.name,
                'nodes': len(cluster.nodes),
                'quorate': int(cluster.quorate),
                'type': 'cluster',
                'version': cluster.config_version,
            }
        )
    for node in cluster.nodes.values():
        rows.append(
            {
                'id': f'node/{node.name}',
                'ip': node.address,
                'level': '',
                'local': int(node.name == cluster.local),
                'name': node.name,
                'nodeid': node.nodeid,
                'online': int(node.offline is None),
                'type': 'node',
            }
        )
    return rows


def cluster_options(cluster: Cluster, token: Token) -> Row:
    """/cluster/options: without Sys.Audit only what concerns tags."""
    if token.may('/', ('Sys.Audit',)):
        return cluster.options
    return {key: value for key, value in cluster.options.items() if key in ('allowed-tags', 'tag-style')}


def pools(cluster: Cluster, token: Token) -> list[Row]:
    """/pools, without members."""
    return [
        _comment(found, {'poolid': found.name})
        for found in cluster.pools.values()
        if token.may(f'/pool/{found.name}', ('Pool.Audit',))
    ]


def _comment(found: Pool, row: Row) -> Row:
    return row if found.comment is None else {'comment': found.comment, **row}


def pool(cluster: Cluster, found: Pool, listed: bool) -> Row:
    """/pools/NAME, or with `listed` the row of /pools/?poolid=NAME; the members are rows of /cluster/resources."""
    members: list[Row] = []
    for guest in cluster.guests.values():
        if guest.pool == found.name:
            row = _guest_row(cluster, guest)
            # Members are made without looking at the guests' configuration and at HA.
            members.append({key: value for key, value in row.items() if key not in ('tags', 'lock', 'hastate')})
    local = cluster.nodes[cluster.local]
    members += [row for row in local.storage_rows if row['storage'] in found.storages]
    row = _comment(found, {'members': members})
    return {**row, 'poolid': found.name} if listed else row


def permissions(cluster: Cluster, token: Token) -> dict[str, dict[str, int]]:
    """/access/permissions: what the token itself may do."""
    paths = {path for known in cluster.tokens.values() for path in known.acl} | cluster.acl_paths
    return token.overview(cluster.pool_paths(), paths)


def ha_resources(cluster: Cluster) -> list[Row]:
    """/cluster/ha/resources."""
    rows = []
    for guest in cluster.guests.values():
        if guest.hastate:
            type_ = 'vm' if guest.type == 'qemu' else 'ct'
            rows.append({'sid': f'{type_}:{guest.vmid}', 'state': guest.hastate, 'type': type_, 'digest': '0' * 40})
    return rows
