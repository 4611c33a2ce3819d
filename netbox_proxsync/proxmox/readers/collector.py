"""
Reads the inventory of a cluster through the client.

There is a constant number of calls for the cluster and each node, one for the configuration of each guest, and at most
one for the addresses of each guest that reports them. Parts that cannot be read are Unreadable; `guests_incomplete` is
set if a guest may exist although it is not in the inventory.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from ..http.client import ProxmoxClient
from ..inventory import Guest, GuestType, Inventory, Node, Unreadable, known
from ..messages import Message, joined
from ..notices import NoticeCollector, listed
from ..parsers.qemu_defaults import with_defaults
from ..parsers.resources import GuestRow, Resources
from ..ssh.nodes import HardwareReading
from ..token_history import TokenHistory
from .calls import ask, understand
from .cluster import (
    Cluster,
    add_cluster_notices,
    completed,
    read_cluster,
    recheck_access,
    token_view_of,
    why_incomplete,
    why_unreachable,
)
from .guests import GuestReader, GuestReading
from .infrastructure import InfrastructureReader
from .options import CollectOptions

__all__ = ('CollectOptions', 'collect')

ASK_OTHER_NODES = Message(
    'Check that the node is online, that pvedaemon runs on it, and that the nodes reach each other on port 8006.'
)
ASK_SINGLE_HOST = Message(
    'Check that pvedaemon runs on the node ("systemctl status pvedaemon") and that the node is not overloaded.'
)

type Progress = Callable[[int, int], None]


def collect(
    client: ProxmoxClient,
    options: CollectOptions,
    progress: Progress | None = None,
    history: TokenHistory | None = None,
) -> Inventory:
    """
    Read the inventory of a cluster.

    Args:
        progress: Called in this thread after each guest, with the number of guests read and the number to be read.
        history: What the token could see at earlier reads; lost privileges are among the warnings.

    Raises:
        ProxmoxError: Nothing can be read: no connection, token rejected, no list of guests, out of time, canceled.
    """
    notices = NoticeCollector()
    with _pool(client) as pool:
        (version,) = [future.result() for future in completed(client, [pool.submit(client.version)])]
        cluster = read_cluster(client, pool, version, notices)
        hardware = HardwareReading(client, options.ssh, cluster.nodes)
        unreachable = {node.name: why_unreachable(node, cluster) for node in cluster.nodes}
        infrastructure_reader = InfrastructureReader(client, pool, options, version, unreachable)
        reader = GuestReader(client, options, version, cluster.access, unreachable)
        rows = cluster.resources.guests.values()
        included = [row for row in rows if options.includes(row.vmid)]
        guest_readings = _read_guests(client, pool, reader, included, progress)
        # The other guests are not queried.
        guest_readings |= {row.key: reader.read(row) for row in rows if not options.includes(row.vmid)}
        incomplete = why_incomplete(cluster)
        guest_readings = _read_vanished_again(client, pool, reader, guest_readings, notices, cluster)
        for _future in completed(client, infrastructure_reader.futures):
            pass
        # The loss of a privilege in the meantime may have shortened the lists.
        infrastructure = infrastructure_reader.finish(recheck_access(client, pool, cluster.access, notices))
    token_view = token_view_of(cluster, complete=incomplete is None)
    add_cluster_notices(cluster, notices, token_view, history)
    nodes = hardware.merged_into(cluster.nodes, notices)
    for node, reason in sorted((reader.failed_nodes | infrastructure_reader.failed_nodes).items()):
        notices.add(f'node/{node}', reason, ASK_OTHER_NODES if len(cluster.nodes) > 1 else ASK_SINGLE_HOST)
    add_host_notices(client, notices)
    infrastructure_reader.add_notices(notices, client.certificate)
    for reading in guest_readings.values():
        for problem in reading.problems:
            notices.add_guest(reading.guest.key, problem.what, problem.remedy)
    nodes = tuple(infrastructure.complete(node) for node in nodes)
    return Inventory(
        version=version.text,
        cluster_name=cluster.status.name,
        quorate=cluster.status.quorate,
        nodes=nodes,
        guests=_sorted(_with_defaults((reading.guest for reading in guest_readings.values()), nodes, version.text)),
        guests_incomplete=incomplete,
        tag_style=cluster.tag_style,
        vnets=infrastructure.vnets,
        not_backed_up=infrastructure.not_backed_up,
        warnings=notices.collected(),
        calls=client.calls,
        token_view=token_view,
        certificate=client.certificate,
    )


def add_host_notices(client: ProxmoxClient, notices: NoticeCollector) -> None:
    """Report hosts that were replaced by others. Otherwise this would go unnoticed, because a run works if one host
    answers."""
    if failures := client.failed_hosts:
        used = Message('{host} was used instead.', host=client.host)
        notices.add('hosts', joined((*(error.message for error in failures), used)), failures[0].remedy)


@contextmanager
def _pool(client: ProxmoxClient) -> Iterator[ThreadPoolExecutor]:
    """A pool with one thread per concurrent call of the endpoint. If the read fails, it is not waited for."""
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
) -> dict[str, GuestReading]:
    futures = {pool.submit(reader.read, row): row.key for row in rows}
    guest_readings = {}
    for done, future in enumerate(completed(client, futures), 1):
        guest_readings[futures[future]] = future.result()
        if progress:
            progress(done, len(futures))
    return guest_readings


def _read_vanished_again(
    client: ProxmoxClient,
    pool: ThreadPoolExecutor,
    reader: GuestReader,
    guest_readings: dict[str, GuestReading],
    notices: NoticeCollector,
    cluster: Cluster,
) -> dict[str, GuestReading]:
    """
    Read the guests again that were listed, but did not exist when their configuration was read.

    A guest that has moved is read on its new node. A guest that is not in a second, complete list was deleted in the
    meantime. The others remain as listed.
    """
    vanished = [key for key, reading in guest_readings.items() if reading.vanished]
    if not vanished:
        return guest_readings
    answer = ask(client, 'cluster', 'resources')
    again = understand(Message('list of guests and nodes'), Resources.parse, answer)
    if isinstance(again, Unreadable):
        notices.add(
            'guests',
            Message(
                'These guests could not be found again during a migration: {guests}.', guests=listed(sorted(vanished))
            ),
        )
        return guest_readings
    now = replace(cluster, access=recheck_access(client, pool, cluster.access, notices))
    reader.set_access(now.access)
    moved = _read_guests(client, pool, reader, [again.guests[key] for key in vanished if key in again.guests], None)
    trusted = again.incomplete_reason is None and why_incomplete(now) is None
    deleted = set(vanished) - again.guests.keys() if trusted else set()
    return {key: reading for key, reading in (guest_readings | moved).items() if key not in deleted}


def _with_defaults(guests: Iterable[Guest], nodes: Iterable[Node], version: str) -> Iterator[Guest]:
    """Fill in the defaults that depend on the node of each guest."""
    architectures = {node.name: node.facts.architecture for node in nodes if known(node.facts)}
    for guest in guests:
        if guest.type is GuestType.QEMU and known(guest.config):
            guest = replace(guest, config=with_defaults(guest.config, version, architectures.get(guest.node)))
        yield guest


def _sorted(guests: Iterable[Guest]) -> tuple[Guest, ...]:
    return tuple(sorted(guests, key=lambda guest: (guest.type, guest.vmid)))
