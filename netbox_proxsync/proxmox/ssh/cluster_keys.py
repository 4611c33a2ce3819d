"""Fetches the SSH host keys of all nodes of a cluster, for a user to compare and confirm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import ProxmoxError
from ..http.client import Connection, ProxmoxClient
from ..inventory import Node, Reading, Unreadable
from ..messages import EMPTY, Message
from ..parsers.resources import ClusterStatus, Resources, merge_nodes
from ..properties import ParseError
from .errors import SSHError
from .keys import parse_pins
from .known_hosts import OfferedKey, compare_command, fetch_host_key
from .nodes import NodeVisits, node_addresses

__all__ = ('NodeKey', 'fetch_host_keys')

LIMIT = 30  # seconds for all nodes: a user is waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKey:
    """
    The host key of a node.

    Attributes:
        address: '' if it is not known.
        status: 'pinned', 'new' or 'changed' (see KeyStatus); '' if no key was fetched, for the reason in `error`.
        line: The key in the format of pinned keys.
        command: The command that prints the fingerprint on the console of the node.
    """

    node: str
    address: str = ''
    status: str = ''
    type: str = ''
    fingerprint: str = ''
    line: str = ''
    command: str = ''
    error: Message = EMPTY
    remedy: Message = EMPTY


def fetch_host_keys(connection: Connection, port: int, pinned: Iterable[str], timeout: float) -> list[NodeKey]:
    """
    Fetch the key of each node at its address in the cluster. No user name is sent.

    Raises:
        ProxmoxError: The nodes cannot be read from Proxmox VE, or the pinned keys are invalid.
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
        raise ProxmoxError(Message('Proxmox VE returned an invalid list of nodes: {problem}', problem=error)) from None
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
