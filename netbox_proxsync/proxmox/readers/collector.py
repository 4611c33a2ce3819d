"""
Client -> Inventory.

A constant number of calls for the cluster and for each node, one for the configuration of each guest, and at most one
for the addresses of each guest that can tell them. What cannot be read is Unreadable; `guests_incomplete` says when a
guest that is not in the inventory may exist all the same.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from ..http.client import ProxmoxClient
from ..inventory import Guest, GuestType, Inventory, Node, Unreadable, known
from ..notices import Notebook, listed
from ..parsers.qemu_defaults import with_defaults
from ..parsers.resources import GuestRow, Resources
from ..ssh.nodes import HardwareReading
from ..token_history import Memory
from .calls import ask, understand
from .cluster import (
    Cluster,
    access_still,
    completed,
    note_cluster,
    read_cluster,
    sight_of,
    why_incomplete,
    why_unreachable,
)
from .guests import Finding, GuestReader
from .infrastructure import EstateReader
from .options import CollectOptions

__all__ = ('CollectOptions', 'collect')

ASK_OTHER_NODES = 'Is it up, does pvedaemon run on it, and can the nodes reach each other on port 8006?'
ASK_SINGLE_HOST = 'Does pvedaemon run on it ("systemctl status pvedaemon"), and is it overloaded?'

type Progress = Callable[[int, int], None]


def collect(
    client: ProxmoxClient, options: CollectOptions, progress: Progress | None = None, memory: Memory | None = None
) -> Inventory:
    """
    Read everything about a cluster.

    Args:
        memory: What the token could see the last time; what it cannot any more is among the warnings.
        progress: Called in this thread after each guest, with the number of guests read and of all that are to be.

    Raises:
        ProxmoxError: Nothing can be known: no connection, token refused, no list of guests, out of time, cancelled.
    """
    notebook = Notebook()
    with _pool(client) as pool:
        (version,) = [future.result() for future in completed(client, [pool.submit(client.version)])]
        cluster = read_cluster(client, pool, version, notebook)
        hardware = HardwareReading(client, options.ssh, cluster.nodes)
        unreachable = {node.name: why_unreachable(node, cluster) for node in cluster.nodes}
        estate_reader = EstateReader(client, pool, options, version, unreachable)
        reader = GuestReader(client, options, version, cluster.access, unreachable)
        rows = cluster.resources.guests.values()
        meant = [row for row in rows if options.means(row.vmid)]
        findings = _read_guests(client, pool, reader, meant, progress)
        # Nothing is asked about the others.
        findings |= {row.key: reader.read(row) for row in rows if not options.means(row.vmid)}
        incomplete = why_incomplete(cluster)
        findings = _follow_vanished(client, pool, reader, findings, notebook, cluster)
        for _future in completed(client, estate_reader.futures):
            pass
        # A privilege that was taken away meanwhile may have shortened the lists.
        estate = estate_reader.finish(access_still(client, pool, cluster.access, notebook))
    sight = sight_of(cluster, complete=incomplete is None)
    note_cluster(cluster, notebook, sight, memory)
    nodes = hardware.into(cluster.nodes, notebook)
    for node, reason in sorted((reader.failed_nodes | estate_reader.failed_nodes).items()):
        notebook.add(f'node/{node}', reason, ASK_OTHER_NODES if len(cluster.nodes) > 1 else ASK_SINGLE_HOST)
    note_hosts(client, notebook)
    estate_reader.tell(notebook, client.certificate)
    for finding in findings.values():
        for trouble in finding.troubles:
            notebook.add_guest(finding.guest.key, trouble.what, trouble.remedy)
    nodes = tuple(estate.complete(node) for node in nodes)
    return Inventory(
        version=version.text,
        cluster_name=cluster.status.name,
        quorate=cluster.status.quorate,
        nodes=nodes,
        guests=_sorted(_with_defaults((finding.guest for finding in findings.values()), nodes, version.text)),
        guests_incomplete=incomplete,
        tag_style=cluster.tag_style,
        vnets=estate.vnets,
        storages=estate.storages,
        not_backed_up=estate.not_backed_up,
        warnings=notebook.notices(),
        calls=client.calls,
        sight=sight,
        certificate=client.certificate,
    )


def note_hosts(client: ProxmoxClient, notebook: Notebook) -> None:
    """Hosts that were replaced by others: a run works as long as one answers, so nobody else notices."""
    if failures := client.failed_hosts:
        said = ' '.join(error.message for error in failures)
        notebook.add('hosts', f'{said} {client.host} was used instead.', failures[0].remedy)


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


# The guests


def _read_guests(
    client: ProxmoxClient,
    pool: ThreadPoolExecutor,
    reader: GuestReader,
    rows: Iterable[GuestRow],
    progress: Progress | None,
) -> dict[str, Finding]:
    futures = {pool.submit(reader.read, row): row.key for row in rows}
    findings = {}
    for done, future in enumerate(completed(client, futures), 1):
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
    cluster: Cluster,
) -> dict[str, Finding]:
    """
    Look again for guests that were listed, but not there when their configuration was read.

    One that has moved is read where it is now. One that a second list, if that is understood completely, does not have
    any more was deleted meanwhile. Of any other nothing is known but that it was there.
    """
    vanished = [key for key, finding in findings.items() if finding.vanished]
    if not vanished:
        return findings
    answer = ask(client, 'cluster', 'resources')
    again = understand('the list of guests and nodes', Resources.parse, answer)
    if isinstance(again, Unreadable):
        notebook.add('guests', f'These could not be found again while they moved: {listed(sorted(vanished))}.')
        return findings
    now = replace(cluster, access=access_still(client, pool, cluster.access, notebook))
    reader.trust(now.access)
    moved = _read_guests(client, pool, reader, [again.guests[key] for key in vanished if key in again.guests], None)
    trusted = again.garbled is None and why_incomplete(now) is None
    deleted = set(vanished) - again.guests.keys() if trusted else set()
    return {key: finding for key, finding in (findings | moved).items() if key not in deleted}


def _with_defaults(guests: Iterable[Guest], nodes: Iterable[Node], version: str) -> Iterator[Guest]:
    """The guests with Proxmox's defaults that depend on the node they are on."""
    architectures = {node.name: node.facts.architecture for node in nodes if known(node.facts)}
    for guest in guests:
        if guest.type is GuestType.QEMU and known(guest.config):
            guest = replace(guest, config=with_defaults(guest.config, version, architectures.get(guest.node)))
        yield guest


def _sorted(guests: Iterable[Guest]) -> tuple[Guest, ...]:
    return tuple(sorted(guests, key=lambda guest: (guest.type, guest.vmid)))
