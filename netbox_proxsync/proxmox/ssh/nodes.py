"""Visits all nodes of a cluster over SSH concurrently, each at its own address, with a common time limit."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

from ..hosts import Host
from ..http.client import ProxmoxClient
from ..infrastructure import NodeHardware
from ..inventory import Node, Reading, Unreadable, known
from ..messages import Message, gettext_noop
from ..notices import NoticeCollector
from .errors import SSHError, SSHTimeoutError
from .hardware import read_hardware
from .settings import SSHSettings

__all__ = ('HardwareReading', 'NodeVisits', 'node_addresses')

READ_LIMIT = 120  # seconds for all nodes, while the guests are being read
PATIENCE = 0.5  # seconds between checks whether the run was canceled

NO_ADDRESS = gettext_noop('Proxmox VE does not report the address of node {node}, so it cannot be queried over SSH.')


def node_addresses(nodes: Iterable[Node], client: ProxmoxClient) -> dict[str, Reading[str]]:
    """
    Return the address of each node's SSH server: its address in `/cluster/status`.

    For a single node, the connected host is used. If one of several nodes has no known address, it is Unreadable: the
    hardware of one node must never be attributed to another.
    """
    nodes = list(nodes)
    return {node.name: _address(node, len(nodes) == 1, client) for node in nodes}


def _address(node: Node, alone: bool, client: ProxmoxClient) -> Reading[str]:
    if not node.online:
        return Unreadable(Message('Node {node} is offline.', node=node.name))
    if alone:
        return Host.parse(client.host).name
    if known(node.address) and node.address:
        return node.address
    return Unreadable(Message(NO_ADDRESS, node=node.name))


class NodeVisits[T]:
    """
    Runs one action per node with an address, started on creation in separate threads.

    Args:
        client: Its end aborts the visits, and its concurrency applies to them.
        visit: Called with the name of the node, its address, and its deadline on the clock of `time.monotonic()`.
        limit: The time limit of all visits in seconds.
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
        # If the read fails elsewhere, the visits are not waited for: the client closes their sockets.
        pool.shutdown(wait=False)

    def results(self) -> dict[str, T | SSHError]:
        """Return the result or error of each visit. Raises CanceledError or RunTimeoutError as soon as the client
        ends."""
        waiting = set(self._futures.values())
        while waiting and time.monotonic() < self._deadline:
            self._client.raise_if_canceled()
            waiting = wait(waiting, timeout=min(PATIENCE, max(0, self._deadline - time.monotonic()))).not_done
        self._client.raise_if_canceled()
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
            Message(
                'Node {node} could not be read within the {limit} seconds for all nodes over SSH.',
                node=name,
                limit=f'{self._limit:g}',
            ),
            Message('Check that the nodes answer on their SSH port.'),
        )


class HardwareReading:
    """Reads the hardware of the nodes in the background. `settings`: None if not requested; Unreadable if invalid."""

    def __init__(self, client: ProxmoxClient, settings: Reading[SSHSettings | None], nodes: tuple[Node, ...]) -> None:
        self._settings = settings
        self._addresses: dict[str, Reading[str]] = {}
        self._visits: NodeVisits[NodeHardware] | None = None
        if known(settings) and settings is not None:
            self._addresses = node_addresses(nodes, client)
            self._visits = NodeVisits(client, self._addresses, partial(_read, settings, client), READ_LIMIT)

    def merged_into(self, nodes: tuple[Node, ...], notices: NoticeCollector) -> tuple[Node, ...]:
        """Wait for all nodes, and return them with their hardware. Adds a notice for each that could not be read."""
        if isinstance(self._settings, Unreadable):
            notices.add('SSH', self._settings.reason, Message("Correct the endpoint's SSH settings."))
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
                notices.add(f'node/{node.name}', address.reason, Message('Grant the token Sys.Audit on /.'))
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
