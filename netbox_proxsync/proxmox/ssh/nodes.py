"""All nodes of a cluster over SSH: at the same time, each at its own address, none of them for long."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

from ..hosts import Host
from ..http.client import ProxmoxClient
from ..infrastructure import NodeHardware
from ..inventory import Node, Reading, Unreadable, known
from ..notices import NoticeCollector
from .errors import SSHError, SSHTimeoutError
from .hardware import read_hardware
from .settings import SSHSettings

__all__ = ('HardwareReading', 'NodeVisits', 'node_addresses')

READ_LIMIT = 120  # seconds for all nodes, while the guests are read besides
PATIENCE = 0.5  # seconds until a cancelled run is noticed

NO_ADDRESS = 'Proxmox does not tell the address of node {}, so it cannot be asked over SSH.'


def node_addresses(nodes: Iterable[Node], client: ProxmoxClient) -> dict[str, Reading[str]]:
    """
    Where each node's SSH server is: at its address in the cluster, as `/cluster/status` tells.

    A single node is the one that answers, whatever address it has for itself. Of several, one whose address is not
    told is not guessed at: the hardware of one node must not be taken for that of another.
    """
    nodes = list(nodes)
    return {node.name: _address(node, len(nodes) == 1, client) for node in nodes}


def _address(node: Node, alone: bool, client: ProxmoxClient) -> Reading[str]:
    if not node.online:
        return Unreadable(f'Node {node.name} is offline.')
    if alone:
        return Host.parse(client.host).name
    if known(node.address) and node.address:
        return node.address
    return Unreadable(NO_ADDRESS.format(node.name))


class NodeVisits[T]:
    """
    One action for each node that has an address, started at once in threads of their own.

    Args:
        client: Its end ends the visits, too, and its concurrency is theirs.
        visit: Called with the name of the node, its address, and when it must end by `time.monotonic()`.
        limit: Seconds for all of them.
    """

    def __init__(
        self,
        client: ProxmoxClient,
        addresses: Mapping[str, Reading[str]],
        visit: Callable[[str, str, float], T],
        limit: float,
    ) -> None:
        self._client = client
        self._visit = visit
        self._limit = limit
        self._deadline = time.monotonic() + limit
        pool = ThreadPoolExecutor(max_workers=client.connection.concurrency, thread_name_prefix='ssh')
        self._futures: dict[str, Future[T | SSHError]] = {
            name: pool.submit(self._attempt, name, address) for name, address in addresses.items() if known(address)
        }
        # Nobody waits for them when reading fails elsewhere: the client closes their sockets.
        pool.shutdown(wait=False)

    def results(self) -> dict[str, T | SSHError]:
        """What came of each visit. Raises CancelledError or RunTimeoutError as soon as the client is ended."""
        waiting = set(self._futures.values())
        while waiting and time.monotonic() < self._deadline:
            self._client.raise_if_cancelled()
            waiting = wait(waiting, timeout=min(PATIENCE, max(0, self._deadline - time.monotonic()))).not_done
        self._client.raise_if_cancelled()
        return {name: self._result(name, future) for name, future in self._futures.items()}

    def _result(self, name: str, future: Future[T | SSHError]) -> T | SSHError:
        if future.done():
            return future.result()
        future.cancel()
        return self._late(name)

    def _attempt(self, name: str, address: str) -> T | SSHError:
        if time.monotonic() >= self._deadline:
            return self._late(name)
        try:
            return self._visit(name, address, self._deadline)
        except SSHError as error:
            return error

    def _late(self, name: str) -> SSHTimeoutError:
        return SSHTimeoutError(
            f'Node {name} was not done within the {self._limit:g} seconds for all nodes over SSH.',
            'Do the nodes answer on their SSH port?',
        )


class HardwareReading:
    """The hardware of the nodes, being read. `settings`: None if nobody asked; Unreadable if they cannot be used."""

    def __init__(self, client: ProxmoxClient, settings: Reading[SSHSettings | None], nodes: tuple[Node, ...]) -> None:
        self._settings = settings
        self._addresses: dict[str, Reading[str]] = {}
        self._visits: NodeVisits[NodeHardware] | None = None
        if known(settings) and settings is not None:
            self._addresses = node_addresses(nodes, client)
            self._visits = NodeVisits(client, self._addresses, partial(_read, settings, client), READ_LIMIT)

    def merged_into(self, nodes: tuple[Node, ...], notices: NoticeCollector) -> tuple[Node, ...]:
        """The nodes with their hardware, and a notice for each that could not be read. Waits for the last of them."""
        if isinstance(self._settings, Unreadable):
            notices.add('SSH', self._settings.reason, "Correct the endpoint's SSH settings.")
            return tuple(replace(node, hardware=self._settings) for node in nodes)
        if self._visits is None:
            return nodes
        results = self._visits.results()
        return tuple(replace(node, hardware=self._hardware(node, results, notices)) for node in nodes)

    def _hardware(
        self, node: Node, results: Mapping[str, NodeHardware | SSHError], notices: NoticeCollector
    ) -> Reading[NodeHardware]:
        address = self._addresses[node.name]
        if isinstance(address, Unreadable):
            if node.online:  # an offline node is reported elsewhere
                notices.add(f'node/{node.name}', address.reason, 'Grant the token Sys.Audit on /.')
            return address
        result = results[node.name]
        if isinstance(result, NodeHardware):
            return result
        notices.add(f'node/{node.name}', result.message, result.remedy)
        return Unreadable(result.message)


def _read(settings: SSHSettings, client: ProxmoxClient, name: str, address: str, deadline: float) -> NodeHardware:
    return read_hardware(
        address, settings, node=name, deadline=deadline, sockets=client.sockets, policy=client.connection.policy
    )
