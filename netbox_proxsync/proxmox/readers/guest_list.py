"""Reads the list of guests alone, with a constant number of calls, to find out which guests have changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ProxmoxError
from ..http.client import ProxmoxClient
from ..inventory import GuestType, Reading, Unreadable
from ..messages import Message
from ..parsers.guest_fingerprints import fingerprint_of
from ..parsers.resources import ClusterStatus
from ..properties import ParseError, integer
from .calls import ask, understand

__all__ = ('GuestList', 'ListedGuest', 'read_guest_list')

GUEST_TYPES = frozenset(map(str, GuestType))


@dataclass(frozen=True, slots=True)
class ListedGuest:
    """
    A guest of the list.

    Attributes:
        fingerprint: See `guest_fingerprints`; '' if the row cannot be compared.
    """

    type: str
    vmid: int
    node: str
    fingerprint: str

    @property
    def key(self) -> str:
        """The key of the guest in its cluster: 'qemu/100'."""
        return f'{self.type}/{self.vmid}'


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestList:
    """
    The list of guests of a cluster. It proves that guests exist, never that one is missing.

    Attributes:
        guests: Those on nodes that are online. Rows that cannot be understood, and guests whose VM ID is listed more
            than once, are left out.
        total: The number of rows of guests.
        cluster_name: None for a stand-alone host.
        nodes: The names of all nodes.
        quorate: Always True for a stand-alone host.
    """

    guests: tuple[ListedGuest, ...]
    total: int
    cluster_name: Reading[str | None]
    nodes: frozenset[str]
    quorate: Reading[bool]


def read_guest_list(client: ProxmoxClient) -> GuestList:
    """
    Read the list of guests with three calls: the version, the status of the cluster, and the list.

    Raises:
        ProxmoxError: One of them cannot be read.
    """
    client.version()
    # Before the list: a guest on a node that was online a moment ago is read again by the run that follows.
    status = _understood(Message('status of the cluster'), ask(client, 'cluster', 'status'), ClusterStatus.parse)
    rows = _understood(Message('list of guests'), ask(client, 'cluster', 'resources', type='vm'), _rows)
    online = frozenset(name for name, (is_online, _address) in status.nodes.items() if is_online)
    listed = [guest for row in rows if (guest := _listed(row))]
    number = Counter(guest.vmid for guest in listed)
    return GuestList(
        guests=tuple(guest for guest in listed if guest.node in online and number[guest.vmid] == 1),
        total=len(listed),
        cluster_name=status.name,
        nodes=frozenset(status.nodes),
        quorate=status.quorate,
    )


def _understood(what: Message, answer: Any, parse: Any) -> Any:
    reading = understand(what, parse, answer)
    if isinstance(reading, Unreadable):
        raise answer if isinstance(answer, ProxmoxError) else ProxmoxError(reading.reason)
    return reading


def _rows(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise ParseError(Message('The list of guests is not a list.'))
    return data


def _listed(row: Any) -> ListedGuest | None:
    """The guest of a row; None if it cannot be understood."""
    if not isinstance(row, Mapping) or row.get('type') not in GUEST_TYPES:
        return None
    node = row.get('node')
    try:
        vmid = integer(row.get('vmid'))
    except ParseError:
        return None
    if vmid <= 0 or not isinstance(node, str) or not node:
        return None
    return ListedGuest(row['type'], vmid, node, fingerprint_of(row))
