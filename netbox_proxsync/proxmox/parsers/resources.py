"""The answers about a whole cluster: `/cluster/resources`, `/cluster/status` and `/cluster/options`."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from ..inventory import GuestType, Node, Reading, TagStyle, Unreadable, known
from ..messages import Message, counted
from ..properties import (
    ParseError,
    boolean,
    boolean_or_none,
    integer,
    optional_text,
    parse_properties,
    parse_tags,
    positive_or_none,
    text,
)
from .guest_fingerprints import fingerprint_of

__all__ = ('ClusterStatus', 'GuestRow', 'Resources', 'merge_nodes', 'parse_tag_style')

NO_ANSWER = Unreadable(Message('The list of guests does not contain the guest.'))
# Replaced when the node is queried.
NOT_ASKED = Unreadable(Message('The node was not asked.'))
COLOR = re.compile(r'[0-9a-f]{6}', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRow:
    """
    A guest in `/cluster/resources`. If its node is offline, or pvestatd hangs on it, fewer values are known.

    Attributes:
        twice: Whether the list has this id more than once, so that the correct row is not known.
        fingerprint: See `guest_fingerprints`; '' if the row cannot be compared.
    """

    type: GuestType
    vmid: int
    node: str
    name: Reading[str]
    status: Reading[str]
    lock: Reading[str | None]
    template: Reading[bool]
    tags: Reading[tuple[str, ...]]
    pool: Reading[str | None]
    ha_state: Reading[str | None]
    has_duplicate_vmid: bool = False
    fingerprint: str = ''

    @property
    def key(self) -> str:
        """The key of the guest in its cluster: 'qemu/100'."""
        return f'{self.type}/{self.vmid}'

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> 'GuestRow':
        """Parse a row. Raises ParseError if its id or its node is not known."""
        node, vmid = row.get('node'), integer(row.get('vmid'))
        if vmid <= 0 or not isinstance(node, str) or not node:
            raise ParseError(Message('A guest without VM ID or node'))
        name, status = _read(row, 'name', optional_text), _read(row, 'status', optional_text)
        # The status of the guests of an unreachable node, and of a node on which pvestatd does not run.
        if status in (None, 'unknown'):
            status = Unreadable(
                Message(
                    'Node {node} does not report the status of its guests. Check that pvestatd is running on it.',
                    node=node,
                )
            )
        return cls(
            type=GuestType(row['type']),
            vmid=vmid,
            node=node,
            name=NO_ANSWER if name is None else name,
            status=status,
            lock=_read(row, 'lock', optional_text),
            template=_template(row.get('template')),
            tags=_read(row, 'tags', parse_tags, ()),
            pool=_read(row, 'pool', optional_text),
            ha_state=_read(row, 'hastate', optional_text),
            fingerprint=fingerprint_of(row),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """
    `/cluster/resources`.

    Attributes:
        guests: By key ('qemu/100'), sorted.
        nodes: {name: (online, logical CPUs)}; None for a value that the row does not have.
        incomplete_reason: Why the list may be incomplete; None if it was read completely.
    """

    guests: Mapping[str, GuestRow]
    nodes: Mapping[str, tuple[bool | None, int | None]]
    incomplete_reason: Message | None

    @classmethod
    def parse(cls, data: Any) -> 'Resources':
        """
        Parse the list. Unreadable rows are counted in `incomplete_reason`. Raises ParseError if the answer is not a
        list.
        """
        if not isinstance(data, list):
            raise ParseError(Message('The list of resources is not a list.'))
        rows: list[GuestRow] = []
        nodes = {}
        unreadable = 0
        for row in data:
            try:
                kind = row['type']
                if kind in tuple(GuestType):
                    rows.append(GuestRow.parse(row))
                elif kind == 'node':
                    nodes[text(row['node'])] = (_online(row.get('status')), positive_or_none(row.get('maxcpu')))
                elif not isinstance(kind, str):
                    raise ParseError(Message('A row without type'))
            except (ParseError, LookupError, TypeError):
                unreadable += 1
        return cls(guests=_by_key(rows), nodes=nodes, incomplete_reason=_complaint(unreadable, bool(nodes)))


def _by_key(rows: list[GuestRow]) -> dict[str, GuestRow]:
    """Index the rows by key. An id is unique among all guests of a cluster, regardless of their type."""
    count = Counter(row.vmid for row in rows)
    result: dict[str, GuestRow] = {}
    for row in sorted(rows, key=lambda row: (row.type, row.vmid, row.node)):
        result.setdefault(row.key, replace(row, has_duplicate_vmid=count[row.vmid] > 1))
    return result


def _complaint(unreadable: int, has_nodes: bool) -> Message | None:
    if unreadable:
        return counted(
            '{number} row of the list of guests and nodes could not be parsed.',
            '{number} rows of the list of guests and nodes could not be parsed.',
            unreadable,
        )
    if not has_nodes:
        # Node rows require no privilege, and there is always one: the list was cut off.
        return Message('The list of guests and nodes contains no node, so it is incomplete.')
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """
    `/cluster/status`.

    Attributes:
        name: None for a stand-alone host.
        quorate: Always True for a stand-alone host.
        nodes: {name: (online, address)}; None for a value that the row does not have.
    """

    name: Reading[str | None]
    quorate: Reading[bool]
    nodes: Mapping[str, tuple[bool | None, Reading[str | None]]]

    @classmethod
    def unreadable(cls, reason: Message) -> 'ClusterStatus':
        """Return a status of which nothing is known."""
        return cls(name=Unreadable(reason), quorate=Unreadable(reason), nodes={})

    @classmethod
    def parse(cls, data: Any) -> 'ClusterStatus':
        """Raises ParseError."""
        if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
            raise ParseError(Message('The status of the cluster is not a list.'))
        nodes = {
            text(row.get('name')): (boolean_or_none(row.get('online')), _read(row, 'ip', _address))
            for row in data
            if row.get('type') == 'node'
        }
        cluster = next((row for row in data if row.get('type') == 'cluster'), None)
        if cluster is not None:
            if (positive_or_none(cluster.get('nodes')) or 0) > len(nodes):
                raise ParseError(Message('The status of the cluster is incomplete.'))
            quorate = boolean_or_none(cluster.get('quorate'))
            return cls(
                name=_read(
                    cluster, 'name', text, Unreadable(Message('Proxmox VE did not state the name of the cluster.'))
                ),
                quorate=Unreadable(Message('Proxmox VE did not report whether the cluster is quorate.'))
                if quorate is None
                else quorate,
                nodes=nodes,
            )
        if len(nodes) != 1:
            # Only a stand-alone host has no row for the cluster. It has exactly one row, for itself.
            raise ParseError(Message('The status of the cluster is incomplete.'))
        return cls(name=None, quorate=True, nodes=nodes)


def merge_nodes(resources: Resources, status: ClusterStatus) -> tuple[tuple[Node, ...], tuple[str, ...]]:
    """
    Return the nodes in either answer, and the names of those whose online state neither answer has.

    A node is online only if no answer says that it is offline.
    """
    merged, undecided = [], []
    for name in sorted(resources.nodes.keys() | status.nodes.keys()):
        listed, cpus = resources.nodes.get(name, (None, None))
        joined, address = status.nodes.get(name, (None, None))
        states = [online for online in (listed, joined) if online is not None]
        if not states:
            undecided.append(name)
        merged.append(
            Node(
                name=name,
                online=bool(states) and all(states),
                cpus=Unreadable(Message('Proxmox VE did not report how many CPUs the node has.'))
                if cpus is None
                else cpus,
                address=address if name in status.nodes else _address_unread(status),
                facts=NOT_ASKED,
                certificates=NOT_ASKED,
                interfaces=NOT_ASKED,
                hardware=None,
            )
        )
    return tuple(merged), tuple(undecided)


def _address_unread(status: ClusterStatus) -> Unreadable:
    return (
        status.quorate
        if not known(status.quorate)
        else Unreadable(Message('The status of the cluster does not list the node.'))
    )


def parse_tag_style(data: Any) -> TagStyle:
    """
    Parse `tag-style` in `/cluster/options`: 'color-map=TAG:RRGGBB[:TEXT];...', as an object or text. Raises ParseError.
    """
    if not isinstance(data, dict):
        raise ParseError(Message('The options of the datacenter are not a set of keys and values.'))
    style = data.get('tag-style') or {}
    if isinstance(style, str):
        style = parse_properties(style)
    if not isinstance(style, dict):
        raise ParseError(Message('The tag style is not a set of keys and values.'))
    colors = {}
    for entry in text(style.get('color-map') or '').split(';'):
        tag, _, rest = entry.strip().partition(':')
        color = rest.partition(':')[0]
        if tag and COLOR.fullmatch(color):
            colors[tag] = color.lower()
    return TagStyle(colors=colors, case_sensitive=boolean(style.get('case-sensitive') or 0))


def _read(row: Mapping[str, Any], key: str, parse: Callable[[Any], Any], default: Any = None) -> Reading[Any]:
    value = row.get(key)
    try:
        return default if value is None else parse(value)
    except ParseError as error:
        return Unreadable(Message('{key} in the list cannot be read: {problem}.', key=key, problem=error))


def _template(value: Any) -> Reading[bool]:
    """Whether it is a template. Old versions use '' for false; rows of an unreachable node's guests have no value."""
    flag = False if value == '' else boolean_or_none(value)
    return NO_ANSWER if flag is None else flag


def _online(status: Any) -> bool | None:
    return {'online': True, 'offline': False}.get(status) if isinstance(status, str) else None


def _address(value: Any) -> str | None:
    shown = text(value)
    try:
        return str(ip_address(shown)) if shown else None
    except ValueError:
        raise ParseError(Message('{value} is not an IP address', value=f'{shown[:50]!r}')) from None
