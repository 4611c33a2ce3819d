"""
Client -> Inventory.

A constant number of calls for the cluster, one for the configuration of each guest, and at most one for the addresses
of each guest that can tell them. What cannot be read is Unknown; `guests_incomplete` says when a guest that is not in
the inventory may exist all the same.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .access import Access, MissingPrivilege, grant_remedy
from .client import ProxmoxClient
from .errors import ProxmoxError
from .guests import Finding, GuestReader
from .inventory import Guest, Inventory, Node, Reading, TagStyle, Unknown, known
from .notebook import Notebook, listed
from .options import CollectOptions
from .properties import Garbled
from .resources import NOT_ASKED, ClusterStatus, GuestRow, Resources, merge_nodes, parse_tag_style
from .ssh_nodes import HardwareReading
from .tls import TLSMode
from .version import Version

__all__ = ('CollectOptions', 'collect')

type Progress = Callable[[int, int], None]

# What the inventory is made of now; a missing privilege for anything else is not worth a warning.
USED_PRIVILEGES = ('VM.Audit', 'Sys.Audit', 'Pool.Audit', 'VM.GuestAgent.Audit', 'VM.Monitor')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """The answers that concern the cluster as a whole."""

    version: Version
    access: Reading[Access]
    status: ClusterStatus
    resources: Resources
    tag_style: Reading[TagStyle]
    nodes: tuple[Node, ...]
    undecided: tuple[str, ...]  # nodes of which nobody says whether they are online


def collect(client: ProxmoxClient, options: CollectOptions, progress: Progress | None = None) -> Inventory:
    """
    Read everything about a cluster.

    Args:
        progress: Called in this thread after each guest, with the number of guests read and of all guests.

    Raises:
        ProxmoxError: Nothing can be known: no connection, token refused, no list of guests, out of time, cancelled.
    """
    notebook = Notebook()
    version = client.version()
    with _pool(client) as pool:
        cluster = _read_cluster(client, pool, version, notebook)
        hardware = HardwareReading(client, options.ssh, cluster.nodes)
        unreachable = {node.name: _why_unreachable(node, cluster) for node in cluster.nodes}
        reader = GuestReader(client, options, version, cluster.access, unreachable)
        findings = _read_guests(pool, reader, list(cluster.resources.guests.values()), progress)
        incomplete = _why_incomplete(cluster)
        findings = _follow_vanished(client, pool, reader, findings, notebook, trust_absence=incomplete is None)
    _note_cluster(cluster, notebook)
    nodes = hardware.into(cluster.nodes, notebook)
    for node, reason in sorted(reader.failed_nodes.items()):
        notebook.add(f'node/{node}', reason, 'Is it up, and can the nodes reach each other on port 8006?')
    for finding in findings.values():
        for trouble in finding.troubles:
            notebook.add_guest(finding.guest.key, trouble.what, trouble.remedy)
    return Inventory(
        version=version.text,
        cluster_name=cluster.status.name,
        quorate=cluster.status.quorate,
        nodes=nodes,
        guests=_sorted(finding.guest for finding in findings.values()),
        guests_incomplete=incomplete,
        tag_style=cluster.tag_style,
        vnets=NOT_ASKED,
        storages=NOT_ASKED,
        not_backed_up=NOT_ASKED,
        warnings=notebook.notices(),
        calls=client.calls,
    )


@contextmanager
def _pool(client: ProxmoxClient) -> Iterator[ThreadPoolExecutor]:
    """As many threads as the endpoint allows calls at the same time; nobody waits for them when something fails."""
    pool = ThreadPoolExecutor(max_workers=client.connection.concurrency, thread_name_prefix='proxmox')
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


# The cluster


def _read_cluster(client: ProxmoxClient, pool: ThreadPoolExecutor, version: Version, notebook: Notebook) -> _Cluster:
    calls = {
        'permissions': ('access', 'permissions'),
        'acl': ('access', 'acl'),
        'status': ('cluster', 'status'),
        'resources': ('cluster', 'resources'),
        'options': ('cluster', 'options'),
    }
    if TLSMode(client.connection.tls_mode) is TLSMode.FINGERPRINT:
        calls['nodes'] = ('nodes',)  # only this tells the fingerprints of the other members
    futures = {name: pool.submit(_answer, client, path) for name, path in calls.items()}
    wait(futures.values(), return_when=FIRST_EXCEPTION)
    answers = {name: future.result() for name, future in futures.items()}
    resources = _parse('the list of guests and nodes', Resources.parse, answers['resources'])
    if isinstance(resources, Unknown):
        error = answers['resources']
        raise error if isinstance(error, ProxmoxError) else ProxmoxError(resources.reason)
    status = _parse('the status of the cluster', ClusterStatus.parse, answers['status'])
    if isinstance(status, Unknown):
        status = ClusterStatus.unread(status.reason)
    tag_style = _parse('the options of the datacenter', parse_tag_style, answers['options'])
    nodes, undecided = merge_nodes(resources, status)
    client.add_members(_members(status, answers.get('nodes')))
    return _Cluster(
        version=version,
        access=_access(client.connection.token_id, answers['permissions'], answers['acl'], notebook),
        status=status,
        resources=resources,
        tag_style=tag_style,
        nodes=nodes,
        undecided=undecided,
    )


def _answer(client: ProxmoxClient, path: tuple[str, ...]) -> Any:
    """The data of a call, or the error that says why there are none. Raises only what makes all others useless."""
    try:
        return client.get(*path)
    except ProxmoxError as error:
        if error.fatal:
            raise
        return error


def _parse[T](what: str, parse: Callable[[Any], T], answer: Any) -> Reading[T]:
    if isinstance(answer, ProxmoxError):
        return Unknown(answer.message)
    try:
        return parse(answer)
    except Garbled as error:
        return Unknown(f'Proxmox did not tell {what} in a form that can be read: {str(error).rstrip(".")}.')


def _access(token_id: str, permissions: Any, acl: Any, notebook: Notebook) -> Reading[Access]:
    access = _parse("the token's privileges", lambda answer: Access.parse(token_id, answer), permissions)
    if isinstance(access, Unknown):
        return access
    if isinstance(acl, ProxmoxError):
        notebook.add('token', acl.message, acl.remedy)
        return access
    whole = _parse('the access control list', access.with_acl, acl)
    if isinstance(whole, Unknown):
        notebook.add('token', whole.reason)
        return access
    return whole


def _members(status: ClusterStatus, nodes: Any) -> dict[str, str | None]:
    """{address: fingerprint} of the members of the cluster."""
    rows = [row for row in nodes if isinstance(row, dict)] if isinstance(nodes, list) else []
    prints = {row.get('node'): row.get('ssl_fingerprint') for row in rows}
    return {
        address: prints[name] if isinstance(prints.get(name), str) else None
        for name, (_, address) in status.nodes.items()
        if address
    }


def _why_unreachable(node: Node, cluster: _Cluster) -> str | None:
    if node.name in cluster.undecided:
        return f'Proxmox did not say whether node {node.name} is online.'
    return None if node.online else f'Node {node.name} is offline.'


def _why_incomplete(cluster: _Cluster) -> Unknown | None:
    """
    Why a guest that is not listed may exist all the same; None if it does not.

    An offline node is no reason: its guests stay in the list, since their configurations lie in the cluster's file
    system, which every node has whole as long as the cluster is quorate.
    """
    reasons = []
    if cluster.resources.garbled:
        reasons.append(cluster.resources.garbled)
    if isinstance(cluster.access, Unknown):
        reasons.append(f'Whether the token sees all guests cannot be told: {cluster.access.reason}')
    elif cluster.access.guests_hidden:
        reasons.append(cluster.access.guests_hidden)
    if isinstance(cluster.status.quorate, Unknown):
        reasons.append(f'Whether the cluster is quorate cannot be told: {cluster.status.quorate.reason}')
    elif not cluster.status.quorate:
        reasons.append('The cluster is not quorate, so this node may not know of what has changed.')
    if cluster.undecided:
        reasons.append(f'Proxmox did not say which of these nodes are online: {listed(cluster.undecided)}.')
    return Unknown(' '.join(reasons)) if reasons else None


def _note_cluster(cluster: _Cluster, notebook: Notebook) -> None:
    if known(cluster.access):
        _note_privileges(cluster.access.missing(cluster.version), notebook)
    else:
        notebook.add('token', cluster.access.reason)
    quorate = cluster.status.quorate
    if isinstance(quorate, Unknown):
        notebook.add('cluster', quorate.reason)
    elif not quorate:
        notebook.add('cluster', 'The cluster is not quorate.', 'Bring its other nodes back, or connect to one that is.')
    if cluster.resources.garbled:
        notebook.add('cluster', cluster.resources.garbled)
    if isinstance(cluster.tag_style, Unknown):
        notebook.add('cluster', cluster.tag_style.reason)
    for node in cluster.nodes:
        if reason := _why_unreachable(node, cluster):
            notebook.add(f'node/{node.name}', f'{reason} What its guests do now is not known.')
    strangers = {row.node for row in cluster.resources.guests.values()} - {node.name for node in cluster.nodes}
    for name in sorted(strangers):
        notebook.add(f'node/{name}', f'Guests are listed on node {name}, which is not a member of the cluster.')


def _note_privileges(missing: Iterable[MissingPrivilege], notebook: Notebook) -> None:
    """One notice for each command to type, not for each privilege that it grants."""
    by_command: dict[str, list[str]] = {}
    for lack in missing:
        if lack.privilege in USED_PRIVILEGES:
            lacks = by_command.setdefault(lack.command, [])
            lacks.append(f'{lack.privilege} on {lack.path} (for {lack.feature})')
    for command, lacks in by_command.items():
        notebook.add('token', f'The token lacks {"; ".join(lacks)}.', grant_remedy(command))


# The guests


def _read_guests(
    pool: ThreadPoolExecutor, reader: GuestReader, rows: Iterable[GuestRow], progress: Progress | None
) -> dict[str, Finding]:
    futures = {pool.submit(reader.read, row): row.key for row in rows}
    findings = {}
    for done, future in enumerate(as_completed(futures), 1):
        findings[futures[future]] = future.result()
        if progress:
            progress(done, len(futures))
    return findings


def _follow_vanished(
    client: ProxmoxClient,
    pool: ThreadPoolExecutor,
    reader: GuestReader,
    findings: dict[str, Finding],
    notebook: Notebook,
    *,
    trust_absence: bool,
) -> dict[str, Finding]:
    """
    Look again for guests that were listed, but not there when their configuration was read.

    One that has moved is read where it is now. One that a second list, if that is understood completely, does not have
    any more was deleted meanwhile. Of any other nothing is known but that it was there.
    """
    vanished = [key for key, finding in findings.items() if finding.vanished]
    if not vanished:
        return findings
    answer = _answer(client, ('cluster', 'resources'))
    again = _parse('the list of guests and nodes', Resources.parse, answer)
    if isinstance(again, Unknown):
        notebook.add('guests', f'These could not be found again while they moved: {listed(sorted(vanished))}.')
        return findings
    moved = _read_guests(pool, reader, [again.guests[key] for key in vanished if key in again.guests], None)
    deleted = set(vanished) - again.guests.keys() if trust_absence and again.garbled is None else set()
    return {key: finding for key, finding in (findings | moved).items() if key not in deleted}


def _sorted(guests: Iterable[Guest]) -> tuple[Guest, ...]:
    return tuple(sorted(guests, key=lambda guest: (guest.type, guest.vmid)))
