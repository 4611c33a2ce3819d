"""The SSH host keys that the nodes of a cluster show now, for a person to compare and confirm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import ProxmoxError
from ..http.client import Connection, ProxmoxClient
from ..inventory import Node, Reading, Unreadable
from ..parsers.resources import ClusterStatus, Resources, merge_nodes
from ..properties import ParseError
from .errors import SSHError
from .keys import parse_pins
from .known_hosts import OfferedKey, compare_command, fetch_host_key
from .nodes import NodeVisits, node_addresses

__all__ = ('NodeKey', 'fetch_host_keys')

LIMIT = 30  # seconds for all nodes: a person waits


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKey:
    """
    What a node shows.

    Attributes:
        address: '' if it is not known.
        status: 'pinned', 'new', 'changed' (see KeyStatus), or '' if it shows none: `error` says why.
        line: The key as it is pinned.
        command: What shows the same fingerprint on the node's console.
    """

    node: str
    address: str = ''
    status: str = ''
    type: str = ''
    fingerprint: str = ''
    line: str = ''
    command: str = ''
    error: str = ''
    remedy: str = ''


def fetch_host_keys(connection: Connection, port: int, pinned: Iterable[str], timeout: float) -> list[NodeKey]:
    """
    The key of each node, at the addresses that Proxmox tells. No user name is sent to any of them.

    Raises ProxmoxError: Proxmox does not tell the nodes, or the pinned keys cannot be read.
    """
    pins = parse_pins(pinned)
    with ProxmoxClient(connection) as client:
        nodes = _nodes(client)
        addresses = node_addresses(nodes, client)

        def visit(name: str, address: str, deadline: float) -> OfferedKey:
            sockets, policy = client.sockets, connection.policy
            return fetch_host_key(
                address, port, pins, timeout=timeout, deadline=deadline, sockets=sockets, policy=policy
            )

        results = NodeVisits(client, addresses, visit, LIMIT).results()
        return [_row(name, address, results) for name, address in addresses.items()]


def _nodes(client: ProxmoxClient) -> tuple[Node, ...]:
    client.version()
    try:
        resources = Resources.parse(client.get('cluster', 'resources', type='node'))
        try:
            status = ClusterStatus.parse(client.get('cluster', 'status'))
        except ProxmoxError as error:
            if error.fatal:
                raise
            status = ClusterStatus.unreadable(error.message)
    except ParseError as error:
        raise ProxmoxError(f'Proxmox did not tell its nodes readably: {error}') from None
    return merge_nodes(resources, status)[0]


def _row(node: str, address: Reading[str], results: Mapping[str, OfferedKey | SSHError]) -> NodeKey:
    if isinstance(address, Unreadable):
        return NodeKey(node=node, error=address.reason)
    result = results[node]
    if isinstance(result, OfferedKey):
        key = result.key
        return NodeKey(
            node=node, address=address, status=str(result.status), type=key.type, fingerprint=key.fingerprint_sha256,
            line=key.line, command=compare_command(key),
        )  # fmt: skip
    return NodeKey(node=node, address=address, error=result.message, remedy=result.remedy)
