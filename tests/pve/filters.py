"""
Which rows of a list a token may see, for the lists that no script changes.

Proxmox leaves rows out without saying so; every rule is the path and the privileges (one of them is enough) that its
own code asks for.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from .answers import Answer, success
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
    return f'/sdn/zones/localnetwork/{row["iface"]}' if row.get('type') in BRIDGES else None


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
    rule = RULES.get(template)
    if rule is None or kept.status != 200:
        return kept
    path_of, privileges = rule
    rows = json.loads(kept.body)['data']
    if not isinstance(rows, list):
        return kept
    seen = []
    for row in rows:
        path = path_of(row, cluster.major)
        if path is None or token.may(path, privileges, cluster.pool_of(path)):
            seen.append(row)
    return kept if len(seen) == len(rows) else success(seen)
