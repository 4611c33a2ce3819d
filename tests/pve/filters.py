"""
Which rows of a list a token may see, for the lists that no script changes.

Proxmox VE leaves rows out without saying so; every rule is the path and the privileges (one of them is enough) that its
own code asks for.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .answers import Answer, encode, success
from .privileges import Token
from .state import Cluster

__all__ = ('filtered',)

type Row = dict[str, Any]
type Rule = tuple[Callable[[Row, int], str | None], tuple[str, ...]]

BRIDGES = ('bridge', 'OVSBridge')
SDN = ('SDN.Audit', 'SDN.Allocate')
MAPPING = ('Mapping.Audit', 'Mapping.Use', 'Mapping.Modify')
DATASTORE = ('Datastore.Audit', 'Datastore.AllocateSpace')
ACCESS = ('Sys.Audit', 'User.Modify', 'Permissions.Modify')


def _vnet(row: Row, major: int) -> str:
    return f'/sdn/vnets/{row["vnet"]}' if major < 8 else f'/sdn/zones/{row.get("zone")}/{row["vnet"]}'


def _bridge(row: Row, major: int) -> str | None:
    """Bridges have privileges of their own since 8."""
    if row.get('type') == 'vnet':
        return f'/sdn/zones/{row.get("zone")}/{row["iface"]}'
    return f'/sdn/zones/localnetwork/{row["iface"]}' if row.get('type') in BRIDGES and major >= 8 else None


RULES: Mapping[str, Rule] = {
    '/access/acl': (lambda row, major: '/access', ACCESS),
    '/access/groups': (lambda row, major: '/access/groups', ACCESS),
    '/access/users': (lambda row, major: '/access/groups', ACCESS),
    '/cluster/mapping/dir': (lambda row, major: f'/mapping/dir/{row["id"]}', MAPPING),
    '/cluster/mapping/pci': (lambda row, major: f'/mapping/pci/{row["id"]}', MAPPING),
    '/cluster/mapping/usb': (lambda row, major: f'/mapping/usb/{row["id"]}', MAPPING),
    '/cluster/replication': (lambda row, major: f'/vms/{row["guest"]}', ('VM.Audit',)),
    '/cluster/sdn/controllers': (lambda row, major: f'/sdn/controllers/{row["controller"]}', SDN),
    '/cluster/sdn/dns': (lambda row, major: f'/sdn/dns/{row["dns"]}', SDN),
    '/cluster/sdn/ipams': (lambda row, major: f'/sdn/ipams/{row["ipam"]}', SDN),
    '/cluster/sdn/vnets': (_vnet, SDN),
    '/cluster/sdn/vnets/{vnet}/subnets': (_vnet, SDN),
    '/cluster/sdn/zones': (lambda row, major: f'/sdn/zones/{row["zone"]}', SDN),
    '/nodes/{node}/network': (_bridge, ('SDN.Audit', 'SDN.Use')),
    '/nodes/{node}/storage': (lambda row, major: f'/storage/{row["storage"]}', DATASTORE),
    '/storage': (lambda row, major: f'/storage/{row["storage"]}', DATASTORE),
}


def filtered(cluster: Cluster, token: Token, template: str, names: Mapping[str, str], kept: Answer) -> Answer:
    """The answer without the rows that the token may not see; the same object if it may see all."""
    if template == '/nodes/{node}/storage/{storage}/content':
        return _volumes(token, cluster, names['storage'], kept)
    rule = RULES.get(template)
    if rule is None or kept.status != 200:
        return kept
    path_of, privileges = rule
    document = json.loads(kept.body)
    rows = document['data']
    if not isinstance(rows, list):
        return kept
    seen = []
    for row in rows:
        path = path_of(row, cluster.major)
        if path is None or token.may(path, privileges, cluster.pool_of(path)):
            seen.append(row)
    return kept if len(seen) == len(rows) else Answer(200, 'OK', encode({**document, 'data': seen}))


def _volumes(token: Token, cluster: Cluster, storage: str, kept: Answer) -> Answer:
    """Images of guests take VM.Config.Disk on the guest, or the right to manage the storage."""
    if kept.status != 200 or token.may(f'/storage/{storage}', ('Datastore.Allocate',)):
        return kept
    rows = json.loads(kept.body)['data']
    return success([row for row in rows if 'vmid' not in row or _may_edit_disks(token, cluster, row['vmid'])])


def _may_edit_disks(token: Token, cluster: Cluster, vmid: int) -> bool:
    path = f'/vms/{vmid}'
    return token.may(path, ('VM.Config.Disk',), cluster.pool_of(path))
