"""
Reads the answers about a cluster as a whole, and adds the notices about them.

`why_incomplete` determines whether a guest may exist although it is not listed.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from ..access import Access, MissingPrivilege, grant_remedy
from ..errors import ProxmoxError
from ..http.client import ProxmoxClient
from ..http.tls import TLSMode
from ..inventory import Node, Reading, TagStyle, Unreadable, known
from ..messages import Message, joined
from ..notices import NoticeCollector, listed
from ..parsers.resources import ClusterStatus, Resources, merge_nodes, parse_tag_style
from ..token_history import LostAccess, Right, TokenHistory, TokenView
from ..version import Version
from .calls import ask, understand

__all__ = (
    'Cluster',
    'add_cluster_notices',
    'completed',
    'read_cluster',
    'recheck_access',
    'token_view_of',
    'why_incomplete',
    'why_unreachable',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The answers about the cluster as a whole."""

    version: Version
    access: Reading[Access]
    status: ClusterStatus
    resources: Resources
    tag_style: Reading[TagStyle]
    nodes: tuple[Node, ...]
    undecided: tuple[str, ...]  # nodes whose online state is not known


def completed[T](client: ProxmoxClient, futures: Iterable[Future[T]]) -> Iterator[Future[T]]:
    """
    Yield the futures as they complete. The first exception of a future is raised.

    Ends with an exception as soon as the client ends: a thread may be in a DNS lookup, which cannot be interrupted.
    """
    pending: list[Future[Any]] = [*futures]
    completing = as_completed([*pending, client.ended])
    for _number in pending:
        future = next(completing)
        future.result()
        yield future


def read_cluster(
    client: ProxmoxClient, pool: ThreadPoolExecutor, version: Version, notices: NoticeCollector
) -> Cluster:
    """Read the answers about the cluster. Raises ProxmoxError if there is no list of guests."""
    calls: dict[str, tuple[str, ...]] = {
        'permissions': ('access', 'permissions'),
        'acl': ('access', 'acl'),
        'status': ('cluster', 'status'),
        'resources': ('cluster', 'resources'),
        'options': ('cluster', 'options'),
    }
    if TLSMode(client.connection.tls_mode) is TLSMode.FINGERPRINT:
        calls['nodes'] = ('nodes',)  # the only call with the fingerprints of the other members
    futures = {name: pool.submit(ask, client, *path) for name, path in calls.items()}
    for _future in completed(client, futures.values()):
        pass
    answers = {name: future.result() for name, future in futures.items()}
    resources = understand(Message('list of guests and nodes'), Resources.parse, answers['resources'])
    if isinstance(resources, Unreadable):
        error = answers['resources']
        raise error if isinstance(error, ProxmoxError) else ProxmoxError(resources.reason)
    status = understand(Message('status of the cluster'), ClusterStatus.parse, answers['status'])
    if isinstance(status, Unreadable):
        status = ClusterStatus.unreadable(status.reason)
    tag_style = understand(Message('options of the datacenter'), parse_tag_style, answers['options'])
    nodes, undecided = merge_nodes(resources, status)
    client.add_members(_members(status, answers.get('nodes')))
    before = _access(client.connection.token_id, answers['permissions'], answers['acl'], notices)
    return Cluster(
        version=version,
        access=recheck_access(client, pool, before, notices),
        status=status,
        resources=resources,
        tag_style=tag_style,
        nodes=nodes,
        undecided=undecided,
    )


def _access(token_id: str, permissions: Any, acl: Any, notices: NoticeCollector) -> Reading[Access]:
    access = understand(Message('privileges of the token'), lambda answer: Access.parse(token_id, answer), permissions)
    if isinstance(access, Unreadable):
        return access
    if isinstance(acl, ProxmoxError):
        notices.add('token', acl.message, acl.remedy)
        return access
    whole = understand(Message('access control list'), access.with_acl, acl)
    if isinstance(whole, Unreadable):
        notices.add('token', whole.reason)
        return access
    return whole


def recheck_access(
    client: ProxmoxClient, pool: ThreadPoolExecutor, before: Reading[Access], notices: NoticeCollector
) -> Reading[Access]:
    """
    Return the privileges that the token had before and still has.

    Call this after reading a list: the loss of a privilege in the meantime may have shortened it.
    """
    futures = [pool.submit(ask, client, 'access', name) for name in ('permissions', 'acl')]
    for _future in completed(client, futures):
        pass
    permissions, acl = (future.result() for future in futures)
    now = _access(client.connection.token_id, permissions, acl, notices)
    if isinstance(before, Unreadable):
        return before
    return now if isinstance(now, Unreadable) else before.intersect(now)


def token_view_of(cluster: Cluster, *, complete: bool) -> TokenView | None:
    """Return what the token can see; None if its privileges could not be read. `complete`: it can see all guests."""
    if isinstance(cluster.access, Unreadable):
        return None
    types = (row.type.value for row in cluster.resources.guests.values())
    return TokenView.of(cluster.access, cluster.version, types, complete=complete)


def _lost(token_view: TokenView | None, history: TokenHistory | None) -> dict[Right, LostAccess]:
    return history.lost_privileges(token_view) if token_view and history else {}


def _members(status: ClusterStatus, nodes: Any) -> dict[str, str | None]:
    """{address: fingerprint or None} of the members of the cluster."""
    rows = [row for row in nodes if isinstance(row, dict)] if isinstance(nodes, list) else []
    prints = {row.get('node'): row.get('ssl_fingerprint') for row in rows}
    return {
        address: prints[name] if isinstance(prints.get(name), str) else None
        for name, (_, address) in status.nodes.items()
        if known(address) and address
    }


def why_unreachable(node: Node, cluster: Cluster) -> Message | None:
    """Return why a node cannot be queried; None if it can."""
    if node.name in cluster.undecided:
        return Message('Proxmox VE did not report whether node {node} is online.', node=node.name)
    return None if node.online else Message('Node {node} is offline.', node=node.name)


def why_incomplete(cluster: Cluster) -> Unreadable | None:
    """
    Return why a guest may exist although it is not listed; None if the list is complete.

    An offline node is not a reason. Its guests stay in the list, because every node of a quorate cluster has the whole
    cluster file system with all configurations.
    """
    reasons = []
    if cluster.resources.incomplete_reason:
        reasons.append(cluster.resources.incomplete_reason)
    if isinstance(cluster.access, Unreadable):
        reasons.append(
            Message('Unable to determine whether the token can see all guests: {reason}', reason=cluster.access.reason)
        )
    elif cluster.access.guests_hidden:
        reasons.append(cluster.access.guests_hidden)
    if isinstance(cluster.status.quorate, Unreadable):
        reasons.append(
            Message(
                'Unable to determine whether the cluster is quorate: {reason}', reason=cluster.status.quorate.reason
            )
        )
    elif not cluster.status.quorate:
        reasons.append(Message('The cluster is not quorate, so the data of this node may be outdated.'))
    if cluster.undecided:
        reasons.append(
            Message(
                'Proxmox VE did not report which of these nodes are online: {nodes}.', nodes=listed(cluster.undecided)
            )
        )
    return Unreadable(joined(reasons)) if reasons else None


def add_cluster_notices(
    cluster: Cluster, notices: NoticeCollector, token_view: TokenView | None, history: TokenHistory | None
) -> None:
    """Add the notices about the cluster. `history`: what the token could see at earlier reads; None if not known."""
    if known(cluster.access):
        _add_privilege_notices(cluster.access.missing(cluster.version), _lost(token_view, history), notices)
    else:
        notices.add('token', cluster.access.reason)
    quorate = cluster.status.quorate
    if isinstance(quorate, Unreadable):
        notices.add('cluster', quorate.reason)
    elif not quorate:
        notices.add(
            'cluster',
            Message('The cluster is not quorate.'),
            Message('Bring the other nodes back online, or connect to a node that is quorate.'),
        )
    if cluster.resources.incomplete_reason:
        notices.add('cluster', cluster.resources.incomplete_reason)
    if isinstance(cluster.tag_style, Unreadable):
        notices.add('cluster', cluster.tag_style.reason)
    for node in cluster.nodes:
        if reason := why_unreachable(node, cluster):
            notices.add(
                f'node/{node.name}', joined((reason, Message('The current status of its guests is not known.')))
            )
    foreign_nodes = {row.node for row in cluster.resources.guests.values()} - {node.name for node in cluster.nodes}
    for name in sorted(foreign_nodes):
        notices.add(
            f'node/{name}',
            Message('Guests are listed on node {name}, which is not a member of the cluster.', name=name),
        )
    for lost_access in history.fewer_guests(token_view) if history and token_view else ():
        notices.add(
            'token',
            lost_access.message,
            Message('If these guests were not deleted, check the privileges of the token.'),
        )


def _add_privilege_notices(
    missing: Iterable[MissingPrivilege], lost: Mapping[Right, LostAccess], notices: NoticeCollector
) -> None:
    """Add one notice per command that grants missing privileges, and one per lost privilege."""
    by_command: dict[str, list[Message]] = {}
    for lack in missing:
        if lost_access := lost.get((lack.privilege, lack.path)):
            notices.add(
                'token',
                joined((lost_access.message, Message('Required for: {feature}.', feature=lack.feature))),
                grant_remedy(lack.command),
            )
        else:
            by_command.setdefault(lack.command, []).append(
                Message(
                    '{privilege} on {path} (for {feature})',
                    privilege=lack.privilege,
                    path=lack.path,
                    feature=lack.feature,
                )
            )
    for command, lacks in by_command.items():
        notices.add(
            'token', Message('The token lacks {privileges}.', privileges=joined(lacks, '; ')), grant_remedy(command)
        )
