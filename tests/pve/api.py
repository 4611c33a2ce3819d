"""From a request to an answer: the token, the call, its privileges, what was recorded, what the state says."""

import re
from collections.abc import Mapping
from typing import Any

from . import estate, guests, lists
from .answers import Answer, ApiError, error, forbidden, not_implemented, success
from .facts import check, exists, match
from .facts import facts as facts_of
from .filters import filtered
from .privileges import Token
from .state import Cluster

__all__ = ('authenticate', 'key_of', 'respond')

HEADER = re.compile(r'^PVEAPIToken[= ](?P<id>[^\s=]+![^\s=]+)=(?P<secret>\S+)$')
GUEST = re.compile(r'^/nodes/(?P<node>[^/]+)/(?P<type>qemu|lxc)/(?P<vmid>[^/]+)/(?P<rest>.+)$')
# Parameters that mean nothing when they are off.
FLAGS = ('current', 'full', 'pending', 'running', 'verbose')
OFF = ('', '0', 'no', 'off', 'false')


def authenticate(cluster: Cluster, header: str | None) -> Token:
    """
    The token of a request.

    Raises:
        ApiError: 401, with a text in the reason phrase and no body.
    """
    if not header:
        raise ApiError(401, 'No ticket')
    found = HEADER.match(header.strip())
    token = cluster.tokens.get(found['id']) if found else None
    if token is None or not token.verify(found['secret']):
        raise ApiError(401, 'Authentication failed!')
    return token


def key_of(path: str, query: Mapping[str, str]) -> str:
    """Path and query in one normal form: sorted, without a slash at the end, without flags that are off."""
    parts = sorted(f'{name}={value}' for name, value in query.items() if name not in FLAGS or value not in OFF)
    return (path.rstrip('/') or '/') + ('?' + '&'.join(parts) if parts else '')


def respond(cluster: Cluster, token: Token, path: str, query: Mapping[str, str]) -> Answer:
    """The answer to GET `path` (without /api2/json)."""
    with cluster.lock:
        key = key_of(path, query)
        known = cluster.cache.get((key, token.id))
        if known is None:
            try:
                known = _respond(cluster, token, path.rstrip('/') or '/', query, key)
            except ApiError as failure:
                known = error(failure, cluster.major)
            # Answers about single guests are cheap to make and many: only the others are kept.
            if not GUEST.match(path):
                cluster.cache[(key, token.id)] = known
        return known


def _respond(cluster: Cluster, token: Token, path: str, query: Mapping[str, str], key: str) -> Answer:
    call = match(path, cluster.major)
    if call is None or not exists(call[0], cluster.major):
        # A recording says itself what that server did not know.
        if key in cluster.fixed:
            return cluster.fixed[key]
        raise not_implemented('GET', path)
    template, names = call
    _check_node(cluster, names)
    found = GUEST.match(path)
    changed = estate.made(cluster, template, names, query) if exists(template, cluster.major) else None
    if token.recorded and changed is None:
        recorded = _recorded(cluster, found, query, key)
        if recorded is not None:
            return recorded
    _check_parameters(cluster, template, names, query)
    _check_privileges(cluster, token, template, names, query)
    if found:
        return _guest(cluster, template, found, query)
    if changed is not None:
        return filtered(cluster, token, template, names, changed)
    return _made(cluster, token, template, names, query) or _kept(cluster, token, template, names, key, path)


def _recorded(cluster: Cluster, found: re.Match[str] | None, query: Mapping[str, str], key: str) -> Answer | None:
    """What was recorded with the same token, if nothing about it was changed since."""
    if found is None:
        return cluster.lists.get(key) or cluster.fixed.get(key)
    guest = cluster.guests.get(f'{found["type"]}/{found["vmid"]}')
    if guest is None or guest.node != found['node'] or not guest.pristine:
        return None
    return guest.answers.get(key_of(found['rest'], query))


def _check_node(cluster: Cluster, names: Mapping[str, str]) -> None:
    node = names.get('node')
    if node is None:
        return
    if node not in cluster.nodes:
        text = f"hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        raise ApiError(500, text)
    if cluster.nodes[node].offline:
        raise ApiError(595, 'No route to host')


def _check_parameters(cluster: Cluster, template: str, names: Mapping[str, str], query: Mapping[str, str]) -> None:
    entry = facts_of(template, cluster.major)
    errors = {}
    if entry is not None:
        text = 'property is not defined in schema and the schema does not allow additional properties'
        errors = {name: text for name in query if name not in entry['parameters']}
    if 'vmid' in names and not names['vmid'].isdigit():
        errors['vmid'] = 'invalid format - value does not look like a valid VM ID\n'
    if errors:
        raise ApiError(400, 'Parameter verification failed.', errors)


def _check_privileges(cluster: Cluster, token: Token, template: str, names: Mapping[str, str], query) -> None:
    rule = check(template, cluster.major)
    if template == '/pools' and query.get('poolid'):
        rule = [[f'/pool/{query["poolid"]}', ['Pool.Audit'], 'all']]
    if rule is None:
        return
    if isinstance(rule, str):
        raise ApiError(403, rule)
    for path, privileges, how in rule:
        path = path.format_map(names)
        held = token.privileges(path, cluster.pool_of(path))
        if (any if how == 'any' else all)(privilege in held for privilege in privileges):
            return
    if len(rule) > 1:
        raise ApiError(403, 'Permission check failed')
    raise forbidden(rule[0][0].format_map(names), rule[0][1])


def _guest(cluster: Cluster, template: str, found: re.Match[str], query: Mapping[str, str]) -> Answer:
    """Calls below /nodes/N/qemu/VMID and /nodes/N/lxc/VMID."""
    guest = cluster.guests.get(f'{found["type"]}/{found["vmid"]}')
    if guest is None or guest.node != found['node']:
        raise guests.missing(found['node'], found['type'], found['vmid'])
    rest = found['rest']
    kept = guest.answers.get(key_of(rest, query))
    if guest.pristine and kept is not None and kept.status != 403:
        return kept
    if '/agent/' in template:
        return success(guests.agent(guest, rest.removeprefix('agent/')))
    if rest == 'config':
        if query.get('snapshot'):
            return success(guests.snapshot_config(guest, query['snapshot']))
        return success(guests.config(guest, query.get('current', '0') not in OFF))
    if rest.startswith('snapshot/') and rest.endswith('/config'):
        return success(guests.snapshot_config(guest, rest.split('/')[1]))
    made = {
        'pending': lambda: guests.pending(guest),
        'status/current': lambda: guests.status(cluster, guest),
        'snapshot': lambda: guests.snapshots(guest),
        'cloudinit': lambda: guests.cloudinit(guest),
        'interfaces': lambda: guests.interfaces(cluster, guest),
    }.get(rest)
    if made is not None:
        return success(made())
    if kept is not None:
        return kept
    raise not_implemented('GET', found[0])


def _made(cluster: Cluster, token: Token, template: str, names: Mapping[str, str], query) -> Answer | None:
    """The answers that are made from the state."""
    if template == '/pools' and query.get('poolid'):
        return success([_pool(cluster, query['poolid'], listed=True)])
    if template == '/pools/{poolid}':
        return success(_pool(cluster, names['poolid'], listed=cluster.major >= 8))
    if template in ('/nodes/{node}/qemu', '/nodes/{node}/lxc'):
        full = query.get('full', '0') not in OFF
        return success(lists.guests_of(cluster, token, names['node'], template.rpartition('/')[2], full))
    made = {
        '/cluster/resources': lambda: lists.resources(cluster, token, query.get('type')),
        '/cluster/status': lambda: lists.cluster_status(cluster),
        '/cluster/options': lambda: lists.cluster_options(cluster, token),
        '/cluster/ha/resources': lambda: lists.ha_resources(cluster),
        '/cluster/nextid': lambda: _next_id(cluster),
        '/nodes': lambda: lists.nodes(cluster, token),
        '/pools': lambda: lists.pools(cluster, token),
        '/access/permissions': lambda: lists.permissions(cluster, token),
    }.get(template)
    return None if made is None else success(made())


def _pool(cluster: Cluster, name: str, listed: bool) -> dict[str, Any]:
    if name not in cluster.pools:
        raise ApiError(500, f"pool '{name}' does not exist")
    return lists.pool(cluster, cluster.pools[name], listed)


def _next_id(cluster: Cluster) -> str:
    used = {guest.vmid for guest in cluster.guests.values()}
    return str(next(number for number in range(100, 1_000_000_000) if number not in used))


def _kept(cluster: Cluster, token: Token, template: str, names, key: str, path: str) -> Answer:
    """Answers that no script changes, without the rows that the token may not see."""
    kept = cluster.fixed.get(key) or cluster.fixed.get(path)
    if kept is None:
        raise not_implemented('GET', path)
    return filtered(cluster, token, template, names, kept)
