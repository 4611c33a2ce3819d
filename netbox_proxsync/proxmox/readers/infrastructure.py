"""Reads the infrastructure of a cluster: nodes and their networks, SDN, and the guests without a backup job."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..access import Access
from ..errors import APIError, NodeUnreachableError, PermissionDeniedError, ProxmoxError
from ..http.client import ProxmoxClient
from ..infrastructure import Certificate, HostCertificate, NodeFacts, NodeInterface, Vnet, unreadable_values
from ..inventory import Node
from ..messages import EMPTY, Message, counted
from ..notices import NoticeCollector, listed
from ..parsers.node_facts import certificate_served, parse_certificates, parse_node_facts
from ..parsers.node_networks import parse_interfaces
from ..parsers.sdn import parse_vnets, parse_zones
from ..parsers.volumes import parse_not_backed_up
from ..readings import Reading, Unreadable, known
from ..version import Version
from .calls import ask, ask_document, understand
from .options import CollectOptions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ('Infrastructure', 'InfrastructureReader', 'NodeParts')

# Stands for the nodes of a notice until all of them are known.
NODES = '{nodes}'
NOT_WANTED = Unreadable(Message('Nodes are not read by the settings of the endpoint.'))
WARN_BEFORE = 30 * 86400  # seconds
RENEWAL = {
    'pve-ssl.pem': Message('Run "pvecm updatecerts --force" and "systemctl restart pveproxy" on the node, as root.'),
    'pveproxy-ssl.pem': Message(
        'Renew it on the node: "pvenode acme cert renew" if it comes by ACME, otherwise upload a new one '
        '(node > System > Certificates).'
    ),
}
RENEW_SHOWN = Message('Renew it on that host (node > System > Certificates), or on the proxy before it.')
CORRECT_NETWORK = Message('Correct it in Proxmox VE (node > System > Network).')
CORRECT_SDN = Message('Correct it in Proxmox VE (Datacenter > SDN).')
APPLY = Message('Apply or revert them in Proxmox VE (node > System > Network).')
CLUSTER_CALLS: Mapping[str, tuple[tuple[str, ...], dict[str, object]]] = {
    'vnets': (('cluster', 'sdn', 'vnets'), {'running': 1}),
    'zones': (('cluster', 'sdn', 'zones'), {'running': 1}),
    'backup': (('cluster', 'backup-info', 'not-backed-up'), {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """The readings of one node, as in `Node`."""

    facts: Reading[NodeFacts]
    certificates: Reading[tuple[Certificate, ...]]
    interfaces: Reading[tuple[NodeInterface, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """The parts of an inventory other than guests, as in `Inventory`; `nodes` by name."""

    vnets: Reading[tuple[Vnet, ...]]
    not_backed_up: Reading[frozenset[int]]
    nodes: Mapping[str, NodeParts]

    def complete(self, node: Node) -> Node:
        """Return a listed node with its own readings."""
        parts = self.nodes[node.name]
        return replace(node, facts=parts.facts, certificates=parts.certificates, interfaces=parts.interfaces)


class InfrastructureReader:
    """
    Submits all calls to the pool on creation, and parses the answers in `finish`.

    Args:
        nodes: {name: why it cannot be queried, or None} of all members of the cluster.

    Attributes:
        failed_nodes: {name: reason} of the nodes that could not be reached.
    """

    def __init__(
        self,
        client: ProxmoxClient,
        pool: ThreadPoolExecutor,
        options: CollectOptions,
        version: Version,
        nodes: Mapping[str, Message | None],
    ) -> None:
        self.version = version
        self.access: Reading[Access] = Unreadable(Message('They were not read.'))
        self.failed_nodes: dict[str, Message] = {}
        self._nodes = nodes
        self._cluster = {
            name: pool.submit(ask, client, *path, **params) for name, (path, params) in CLUSTER_CALLS.items()
        }
        self._asked: dict[tuple[str, str], Future[Any]] = {}
        for node in (name for name, reason in nodes.items() if reason is None):
            self._asked[node, 'network'] = pool.submit(_ask_network, client, node, version)
            if options.nodes:
                self._asked[node, 'status'] = pool.submit(ask, client, 'nodes', node, 'status')
                self._asked[node, 'certificates'] = pool.submit(ask, client, 'nodes', node, 'certificates', 'info')
        self._notices: dict[tuple[Message, Message], list[str]] = {}  # (message with NODES, remedy): nodes
        self._certificates: dict[str, Certificate] = {}

    @property
    def futures(self) -> tuple[Future[Any], ...]:
        """The futures of all calls."""
        return (*self._cluster.values(), *self._asked.values())

    def finish(self, access: Reading[Access]) -> Infrastructure:
        """
        Parse the answers.

        Args:
            access: The privileges held before and after the calls; Unreadable if they could not be read.

        Raises:
            ProxmoxError: A `fatal` error, after which no other call can succeed.
        """
        self.access = access
        answers = {name: future.result() for name, future in self._cluster.items()}
        return Infrastructure(
            vnets=self._vnets(answers['vnets'], answers['zones']),
            not_backed_up=self._cluster_part(Message('guests without backup'), parse_not_backed_up, answers['backup']),
            nodes={name: self._node(name, reason) for name, reason in self._nodes.items()},
        )

    def add_notices(self, notices: NoticeCollector, shown: HostCertificate | None) -> None:
        """
        Add the notices, each once for all nodes that it concerns.

        Args:
            shown: The certificate of the connected host, which is checked if no node was queried for its own.
        """
        for (message, remedy), nodes in self._notices.items():
            subject = f'node/{nodes[0]}' if len(nodes) == 1 else 'nodes' if nodes else 'cluster'
            named = counted('node {nodes}', 'nodes {nodes}', len(nodes), nodes=listed(sorted(nodes)))
            notices.add(subject, message.with_text(NODES, named), remedy)
        for node, certificate in sorted(self._certificates.items()):
            name = Message('{file} of node {node}', file=certificate.filename, node=node)
            _add_expiry_notice(f'node/{node}', name, certificate.expires, RENEWAL[certificate.filename], notices)
        if shown and not self._certificates:
            _add_expiry_notice('cluster', Message('of {host}', host=shown.host), shown.expires, RENEW_SHOWN, notices)

    # The cluster

    def _vnets(self, vnets: Any, zones: Any) -> Reading[tuple[Vnet, ...]]:
        if isinstance(vnets, APIError) and vnets.not_implemented:
            return ()  # a node of Proxmox VE 7 without the package libpve-network-perl has no SDN
        known_zones = self._cluster_part(Message('zones of SDN'), parse_zones, zones)
        if isinstance(known_zones, Unreadable):
            return known_zones  # the zone determines whether a tag is a VLAN id or a VNI
        found = self._listed(
            Message('virtual networks of SDN'),
            lambda data: parse_vnets(data, known_zones),
            vnets,
            lambda access: access.vnets_hidden(self.version),
        )
        for vnet in found if known(found) else ():
            self._note_unreadable(Message('virtual network {name}', name=vnet.name), CORRECT_SDN, vnet)
        return found

    def _listed[T](
        self, what: Message, parse: Callable[[Any], T], answer: Any, hidden: Callable[[Access], Message | None]
    ) -> Reading[T]:
        """Parse a list from which Proxmox VE silently omits rows that the token may not see."""
        reading = self._cluster_part(what, parse, answer)
        why = self._hidden(what, hidden)
        return reading if isinstance(reading, Unreadable) or why is None else why

    def _hidden(self, what: Message, hidden: Callable[[Access], Message | None]) -> Unreadable | None:
        if isinstance(self.access, Unreadable):
            return Unreadable(
                Message(
                    'Possibly incomplete data ({what}): {reason}',
                    what=what,
                    reason=self.access.reason,
                )
            )
        reason = hidden(self.access)
        return Unreadable(reason) if reason else None

    def _cluster_part[T](self, what: Message, parse: Callable[[Any], T], answer: Any) -> Reading[T]:
        reading = understand(what, parse, answer)
        if isinstance(reading, Unreadable) and not self._is_reported_by_privileges(answer):
            self._notices[reading.reason, EMPTY] = []
        return reading

    # The nodes

    def _node(self, name: str, reason: Message | None) -> NodeParts:
        if reason is not None:
            unreadable = Unreadable(reason)
            return NodeParts(facts=unreadable, certificates=unreadable, interfaces=unreadable)
        return NodeParts(
            facts=self._read_facts(name),
            certificates=self._read_certificates(name),
            interfaces=self._interfaces(name),
        )

    def _read_facts(self, name: str) -> Reading[NodeFacts]:
        found = self._part(name, 'status', Message('status'), parse_node_facts)
        if known(found):
            self._note_unreadable(Message('status'), EMPTY, found, name)
        return found

    def _read_certificates(self, name: str) -> Reading[tuple[Certificate, ...]]:
        found = self._part(name, 'certificates', Message('certificates'), parse_certificates)
        served = certificate_served(found) if known(found) else None
        if served is not None:
            self._certificates[name] = served
        for certificate in found if known(found) else ():
            self._note_unreadable(Message('certificate {name}', name=certificate.filename), EMPTY, certificate, name)
        return found

    def _interfaces(self, name: str) -> Reading[tuple[NodeInterface, ...]]:
        document = self._asked[name, 'network'].result()
        if isinstance(document, ProxmoxError):
            return self._part(name, 'network', Message('network'), parse_interfaces)
        reading = self._understood(name, Message('network'), parse_interfaces, document['data'])
        if document.get('changes'):
            unapplied = Message(
                'The network of {nodes} has changes that are not applied, so the running configuration is not known.',
                nodes=NODES,
            )
            self._note(name, unapplied, APPLY)
            return Unreadable(
                Message(
                    'The network of node {name} has changes that are not applied; Proxmox VE shows only those.',
                    name=name,
                )
            )
        hidden = self._hidden(Message('network'), lambda access: access.interfaces_hidden(self.version))
        if known(reading) and hidden is None:
            for interface in reading:
                self._note_unreadable(
                    Message('interface {name}', name=interface.name), CORRECT_NETWORK, interface, name
                )
        return reading if isinstance(reading, Unreadable) or hidden is None else hidden

    def _part[T](self, name: str, call: str, what: Message, parse: Callable[[Any], T]) -> Reading[T]:
        if (name, call) not in self._asked:
            return NOT_WANTED
        return self._understood(name, what, parse, self._asked[name, call].result())

    def _understood[T](self, name: str, what: Message, parse: Callable[[Any], T], answer: Any) -> Reading[T]:
        reading = understand(Message('node {node}: {what}', what=what, node=name), parse, answer)
        if isinstance(answer, NodeUnreachableError):
            self.failed_nodes[name] = Message(
                'Node {node} stopped answering: Proxmox VE reports "{words}".', node=name, words=answer.words
            )
        elif isinstance(answer, APIError):
            refused = Message(
                'Proxmox VE reported an error ({nodes}: {what}): {reason}.',
                what=what,
                nodes=NODES,
                reason=answer.reason,
            )
            self._note(name, refused, answer.remedy)
        elif isinstance(reading, Unreadable) and not self._is_reported_by_privileges(answer):
            self._note(name, reading.reason, answer.remedy if isinstance(answer, ProxmoxError) else EMPTY)
        return reading

    def _is_reported_by_privileges(self, answer: Any) -> bool:
        """Whether the error is a missing privilege, which is reported together with the token's privileges."""
        return (
            isinstance(answer, PermissionDeniedError)
            and answer.privilege != ''
            and known(self.access)
            and not self.access.allows(answer.path, *answer.privilege.split('|'))
        )

    def _note_unreadable(
        self, what: Message, remedy: Message, part: 'DataclassInstance', node: str | None = None
    ) -> None:
        """Note the values of a part that could not be read."""
        if node:
            what = Message('{nodes}: {what}', what=what, nodes=NODES)
        for reason in unreadable_values(part):
            message = Message(
                'A value could not be read and is left unchanged in NetBox ({what}): {reason}',
                what=what,
                reason=reason,
            )
            if node is None:
                self._notices.setdefault((message, remedy), [])
            else:
                self._note(node, message, remedy)

    def _note(self, node: str, message: Message, remedy: Message) -> None:
        self._notices.setdefault((message, remedy), []).append(node)


def _ask_network(client: ProxmoxClient, node: str, version: Version) -> dict[str, Any] | ProxmoxError:
    """Read the network, with the interfaces of SDN if the version supports it."""
    if version.major >= 9:
        answer = ask_document(client, 'nodes', node, 'network', type='include_sdn')
        # During the upgrade of a cluster, some nodes do not support this yet.
        if not (isinstance(answer, APIError) and answer.status == 400):
            return answer
    return ask_document(client, 'nodes', node, 'network')


def _add_expiry_notice(
    subject: str, name: Message, expires: Reading[int], remedy: Message, notices: NoticeCollector
) -> None:
    if not known(expires):
        return
    remaining = expires - time.time()
    if remaining > WARN_BEFORE:
        return
    day = f'{datetime.fromtimestamp(expires, UTC):%Y-%m-%d}'
    if remaining > 0:
        notices.add(subject, Message('The certificate {name} expires on {day}.', name=name, day=day), remedy)
    else:
        notices.add(subject, Message('The certificate {name} expired on {day}.', name=name, day=day), remedy)
