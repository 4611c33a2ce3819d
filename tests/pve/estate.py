"""The answers about networks, certificates, volumes, SDN and backup that a script can change; None where it did not."""

import copy
import json
from typing import Any

from .answers import Answer, encode, success
from .state import Cluster, Node, Row

__all__ = ('certificates_of', 'interfaces_of', 'made', 'vnets_of')

NETWORK = '/nodes/{node}/network'


def made(cluster: Cluster, template: str, names: dict[str, str], query: dict[str, str]) -> Answer | None:
    """The answer, still with the rows that the token may not see; None if it is as it was recorded or generated."""
    if template == NETWORK:
        return _network(cluster, cluster.nodes[names['node']], query.get('type'))
    if template == '/nodes/{node}/certificates/info':
        rows = cluster.nodes[names['node']].certificates
        return None if rows is None else success(rows)
    if template == '/cluster/sdn/vnets':
        return None if cluster.vnets is None else success(cluster.vnets)
    if template == '/cluster/backup-info/not-backed-up':
        return None if cluster.not_backed_up is None else success(_not_backed_up(cluster))
    if template == '/nodes/{node}/storage/{storage}/content':
        return _content(cluster, names, query)
    return None


def _network(cluster: Cluster, node: Node, wanted: str | None) -> Answer | None:
    if node.interfaces is None and node.pending_interfaces is None and wanted is None:
        return None
    rows = interfaces_of(cluster, node)
    answer: dict[str, Any] = {}
    if node.pending_interfaces is not None:
        rows = node.pending_interfaces
        answer['changes'] = '--- /etc/network/interfaces\n+++ /etc/network/interfaces.new\n'
    if wanted == 'include_sdn':
        rows = rows + [_vnet_row(row) for row in vnets_of(cluster) if _is_on(cluster, node, row['zone'])]
    elif wanted is not None:
        rows = [row for row in rows if row.get('type') == wanted]
    return Answer(200, 'OK', encode({'data': rows, **answer}))


def _is_on(cluster: Cluster, node: Node, zone: str) -> bool:
    """Whether a zone is on a node: it may be limited to some."""
    found = next((row for row in _kept(cluster, '/cluster/sdn/zones') if row['zone'] == zone), {})
    return node.name in found.get('nodes', node.name).split(',')


def _vnet_row(row: Row) -> Row:
    return {
        'active': '1', 'comments': row.get('alias'), 'iface': row['vnet'], 'ipam': 0, 'type': 'vnet',
        'vlanaware': row.get('vlanaware', 0), 'zone': row['zone'],
    }  # fmt: skip


def _not_backed_up(cluster: Cluster) -> list[Row]:
    guests = [guest for guest in cluster.guests.values() if guest.vmid in cluster.not_backed_up]
    return [{'vmid': guest.vmid, 'type': guest.type, 'name': guest.name} for guest in guests]


def _content(cluster: Cluster, names: dict[str, str], query: dict[str, str]) -> Answer | None:
    storage = names['storage']
    added = [
        {'content': _content_type(cluster, vmid), 'ctime': 1790000000, 'format': 'raw', 'size': size, 'vmid': vmid,
         'volid': volume}
        for volume, (vmid, size) in cluster.volumes.items()
        if volume.partition(':')[0] == storage
    ]  # fmt: skip
    if not added:
        return None
    rows = [*_kept(cluster, f'/nodes/{names["node"]}/storage/{storage}/content'), *added]
    return success([row for row in rows if query.get('content') in (None, row['content'])])


def _content_type(cluster: Cluster, vmid: int) -> str:
    return 'rootdir' if cluster.guest(vmid).type == 'lxc' else 'images'


def interfaces_of(cluster: Cluster, node: Node) -> list[Row]:
    """A copy of what the node's network is now."""
    if node.interfaces is None:
        return _kept(cluster, f'/nodes/{node.name}/network')
    return copy.deepcopy(node.interfaces)


def certificates_of(cluster: Cluster, node: Node) -> list[Row]:
    """A copy of its certificates."""
    if node.certificates is None:
        return _kept(cluster, f'/nodes/{node.name}/certificates/info')
    return copy.deepcopy(node.certificates)


def vnets_of(cluster: Cluster) -> list[Row]:
    """A copy of SDN's virtual networks."""
    return _kept(cluster, '/cluster/sdn/vnets') if cluster.vnets is None else copy.deepcopy(cluster.vnets)


def _kept(cluster: Cluster, path: str) -> list[Row]:
    answer = cluster.fixed.get(path)
    return json.loads(answer.body)['data'] if answer is not None and answer.status == 200 else []
