"""The last known state of a cluster, for the page of its endpoint. No run decides by it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from ..proxmox.inventory import Inventory, Node, Notice, known
from ..proxmox.messages import from_json
from ..proxmox.parsers.node_facts import certificate_served
from ..proxmox.readings import Reading

__all__ = ('ClusterState', 'Expiry', 'NodeState', 'naming', 'state_of')

# Notices about guests are displayed on the pages of the runs and of the guests.
SUBJECTS = ('token', 'cluster', 'nodes')


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """
    A node, as far as it was read.

    Attributes:
        memory: In bytes.
        expires: The end of the certificate of its API.
        offline_since: When it was first found offline since it was last online; None while it is online.
    """

    name: str
    online: bool
    address: str | None = None
    version: str | None = None
    cpus: int | None = None
    memory: int | None = None
    expires: datetime | None = None
    offline_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """
    The end of a certificate.

    Attributes:
        name: The node that uses the certificate, or the host of the connection.
    """

    name: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """
    The state of a cluster.

    Attributes:
        read: Whether the cluster was ever read.
        name: '' for a stand-alone host, or if it is not known.
        quorate: None if it is not known.
        shown: The certificate of the host of the connection; None until it was read.
        notices: What the token cannot access, and the faults of the cluster.
    """

    read: bool = False
    name: str = ''
    quorate: bool | None = None
    nodes: tuple[NodeState, ...] = ()
    notices: tuple[Notice, ...] = ()
    shown: Expiry | None = None

    @classmethod
    def parse(cls, data: Any) -> Self:
        """The state that `state_of` returned; empty for all other data."""
        try:
            return cls(
                read=True,
                name=str(data['name']),
                quorate=data['quorate'],
                nodes=tuple(node_from(node) for node in data['nodes']),
                notices=tuple(notice_from(notice) for notice in data['notices']),
                shown=shown_from(data.get('shown')),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    def without(self, names: Collection[str]) -> Self:
        """The state without some of the nodes, and without the notices that name one of them."""
        named = naming(names)
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.name not in names),
            notices=tuple(it for it in self.notices if not named.search(f'{it.subject} {it.message} {it.remedy}')),
        )

    @property
    def online(self) -> int:
        """The number of nodes that are online."""
        return sum(node.online for node in self.nodes)

    @property
    def first_expiry(self) -> Expiry | None:
        """
        The certificate that ends first. The certificate of the host is usually that of a node and is then listed under
        the node; it is a different one if there is a proxy in front of the nodes.
        """
        ends = [Expiry(name=node.name, expires=node.expires) for node in self.nodes if node.expires]
        return min([*ends, *filter(None, [self.shown])], key=lambda end: end.expires, default=None)


def naming(names: Collection[str]) -> re.Pattern[str]:
    """A pattern that finds any of these names of nodes in a text. There must be at least one."""
    return re.compile(r'(?<![\w.-])(?:{})(?![\w-])'.format('|'.join(map(re.escape, names))))


def state_of(inventory: Inventory, before: Any, now: datetime) -> dict[str, Any]:
    """
    The state as JSON; the same for the same cluster.

    Args:
        before: The stored state of the previous read. Values that a node did not report this time are taken from it.
        now: When this read began; stored for the nodes that have gone offline since the previous read.
    """
    kept = {node['name']: node for node in before.get('nodes', ())}
    shown = inventory.certificate
    nodes = sorted(inventory.nodes, key=lambda node: node.name)
    return {
        'name': value_of(inventory.cluster_name) or '',
        'quorate': value_of(inventory.quorate),
        'nodes': [node_data(node, kept.get(node.name, {}), now) for node in nodes],
        'shown': {'name': shown.host, 'expires': shown.expires} if shown else before.get('shown'),
        'notices': [notice.as_json() for notice in visible_notices(inventory.warnings)],
    }


def notice_from(data: dict[str, Any]) -> Notice:
    """The notice of a stored state."""
    return Notice(subject=data['subject'], message=from_json(data, 'message'), remedy=from_json(data, 'remedy'))


def visible_notices(notices: Iterable[Notice]) -> Iterable[Notice]:
    """The notices that concern the cluster."""
    return (it for it in notices if it.subject in SUBJECTS or it.subject.startswith('node/'))


def node_data(node: Node, before: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The state of a node as JSON. Values that were not read are taken from the previous state, `before`."""
    facts = node.facts if known(node.facts) else None
    served = certificate_served(node.certificates) if known(node.certificates) else None
    values = {
        'address': value_of(node.address),
        'version': facts and value_of(facts.version),
        'cpus': value_of(node.cpus),
        'memory': facts and value_of(facts.memory),
        'expires': served and value_of(served.expires),
    }
    kept = {name: before.get(name) if value is None else value for name, value in values.items()}
    since = None if node.online else before.get('offline_since') or now.isoformat()
    return {'name': node.name, 'online': node.online, **kept, **({'offline_since': since} if since else {})}


def node_from(data: dict[str, Any]) -> NodeState:
    """The node of a stored state."""
    expires, since = data['expires'], data.get('offline_since')
    return NodeState(
        **{
            **data,
            'expires': expires and at(expires),
            'offline_since': since and datetime.fromisoformat(since),
        }
    )


def shown_from(data: dict[str, Any] | None) -> Expiry | None:
    """The certificate of the host of a stored state; None if it was not read."""
    return Expiry(name=data['name'], expires=at(data['expires'])) if data else None


def at(seconds: int) -> datetime:
    """The time of a Unix timestamp (seconds), in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def value_of[T](reading: Reading[T]) -> T | None:
    """The value of a reading; None if it could not be read."""
    return reading if known(reading) else None
