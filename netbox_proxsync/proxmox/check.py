"""The connection test of an endpoint: a few calls, none per guest, with a checklist as the result."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .access import Access, MissingPrivilege, grant_remedy
from .errors import ProxmoxError
from .hosts import Host
from .http.client import Connection, ProxmoxClient
from .http.tls import TLSMode, fetch_fingerprint
from .infrastructure import NodeHardware
from .inventory import Node, Reading, Unreadable, known
from .messages import EMPTY, Message, as_is, counted, joined
from .parsers.resources import ClusterStatus, Resources, merge_nodes
from .properties import ParseError
from .readers.calls import ask, understand
from .ssh.errors import SSHError
from .ssh.hardware import read_hardware
from .ssh.nodes import NodeVisits, node_addresses
from .ssh.settings import SSHSettings
from .token_history import LostAccess, TokenHistory, TokenView
from .version import Version

__all__ = ('Check', 'ConnectionReport', 'check')

SSH_LIMIT = 30  # seconds for all nodes: a user is waiting

# Without these privileges, a run reads less about guests, but nothing wrong.
OPTIONAL = ('Pool.Audit', 'SDN.Audit', 'VM.GuestAgent.Audit', 'VM.Monitor')


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One line of the checklist.

    Attributes:
        required: Whether the endpoint cannot be synced completely if the check fails.
    """

    label: Message
    ok: bool
    detail: Message = EMPTY
    remedy: Message = EMPTY
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReport:
    """
    The result of a connection test.

    Attributes:
        connected: Whether Proxmox VE answers, in a supported version, and accepts the token. Runs work then; `checks`
            names the data that they cannot read.
        host: The host that answered; '' if none did.
        version: The version of Proxmox VE; '' if it is not known.
        cluster_name: None for a stand-alone host, or if the token may not see it.
        nodes_online, nodes_total, quorate: None if not known.
        fingerprint: The SHA-256 fingerprint of the host's certificate; None if it was not fetched.
        error, remedy: The failure and how to correct it, if not `connected`.
    """

    connected: bool
    host: str = ''
    version: str = ''
    cluster_name: str | None = None
    nodes_online: int | None = None
    nodes_total: int | None = None
    quorate: bool | None = None
    fingerprint: str | None = None
    error: Message = EMPTY
    remedy: Message = EMPTY
    checks: tuple[Check, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The required checks that have failed."""
        return tuple(check for check in self.checks if check.required and not check.ok)

    @property
    def ok(self) -> bool:
        """Whether the endpoint can be synced completely: it answers, and no required check has failed."""
        return self.connected and not self.failed


def check(
    connection: Connection, history: TokenHistory | None = None, ssh: Reading[SSHSettings | None] = None
) -> ConnectionReport:
    """
    Test a connection, and SSH to each node if it is configured. A ProxmoxError becomes part of the report.

    Args:
        history: What the token could see at earlier reads.
        ssh: None if SSH is not used; Unreadable if its settings are invalid.
    """
    try:
        with ProxmoxClient(connection) as client:
            return _report(client, history or TokenHistory(), ssh)
    except ProxmoxError as error:
        fingerprint = getattr(error, 'fingerprint', None) or _fingerprint(connection)
        return ConnectionReport(
            connected=False,
            error=error.message,
            remedy=error.remedy,
            fingerprint=fingerprint,
            checks=(Check(label=Message('Connection'), ok=False, detail=error.message, remedy=error.remedy),),
        )


def _report(client: ProxmoxClient, history: TokenHistory, ssh: Reading[SSHSettings | None]) -> ConnectionReport:
    version = client.version()
    permissions, acl = ask(client, 'access', 'permissions'), ask(client, 'access', 'acl')
    status_answer, resources_answer = ask(client, 'cluster', 'status'), ask(client, 'cluster', 'resources')
    status = understand(Message('status of the cluster'), ClusterStatus.parse, status_answer)
    resources = understand(Message('list of guests and nodes'), Resources.parse, resources_answer)
    checks = [
        Check(
            label=Message('Connection'),
            ok=True,
            detail=Message('{host} is reachable and accepted the API token.', host=client.host),
        ),
        *_host_checks(client),
        _tls_check(client.connection),
        Check(label=Message('Version'), ok=True, detail=as_is(f'Proxmox VE {version.text}')),
        _cluster_check(status, _remedy(status_answer)),
        *_resource_checks(resources, _remedy(resources_answer)),
        *_privilege_checks(client.connection.token_id, version, permissions, acl, resources, history),
    ]
    cluster = status if known(status) else ClusterStatus.unreadable(EMPTY)
    nodes = merge_nodes(resources, cluster)[0] if known(resources) else ()
    checks += _ssh_checks(client, ssh, nodes)
    return ConnectionReport(
        connected=known(resources),
        host=client.host,
        version=version.text,
        cluster_name=(cluster.name or None) if known(cluster.name) else None,
        nodes_online=sum(node.online for node in nodes) if nodes else None,
        nodes_total=len(nodes) or None,
        quorate=cluster.quorate if known(cluster.quorate) else None,
        fingerprint=_fingerprint(client.connection, client.host),
        error=EMPTY if known(resources) else resources.reason,
        remedy=_remedy(resources_answer),
        checks=tuple(checks),
    )


def _remedy(answer: Any) -> Message:
    """The remedy for an answer that is an error; '' for any other."""
    return answer.remedy if isinstance(answer, ProxmoxError) else EMPTY


def _host_checks(client: ProxmoxClient) -> list[Check]:
    """Report the hosts that failed and were replaced by another."""
    return [
        Check(label=Message('Hosts'), ok=False, detail=error.message, remedy=error.remedy, required=False)
        for error in client.failed_hosts
    ]


def _tls_check(connection: Connection) -> Check:
    if TLSMode(connection.tls_mode) is not TLSMode.OFF:
        return Check(label=Message('Certificate'), ok=True, detail=Message('The identity of the host is verified.'))
    return Check(
        label=Message('Certificate'),
        ok=False,
        detail=Message('Not verified: the token can be intercepted.'),
        remedy=Message('Compare the fingerprint with the one in Proxmox VE (System > Certificates), and pin it.'),
        required=False,
    )


def _cluster_check(status: Reading[ClusterStatus], remedy: Message) -> Check:
    if isinstance(status, Unreadable):
        return Check(label=Message('Cluster'), ok=False, detail=status.reason, remedy=remedy)
    name = Message('cluster {name}', name=status.name) if status.name else Message('stand-alone host')
    if status.quorate:
        return Check(label=Message('Cluster'), ok=True, detail=name)
    return Check(
        label=Message('Cluster'),
        ok=False,
        detail=Message('{cluster}, not quorate: runs do not treat any guest as missing', cluster=name),
        remedy=Message('Bring the other nodes back online, or connect to a node that is quorate.'),
    )


def _resource_checks(resources: Reading[Resources], remedy: Message) -> list[Check]:
    if isinstance(resources, Unreadable):
        return [Check(label=Message('Guests'), ok=False, detail=resources.reason, remedy=remedy)]
    guests = counted('{number} guest', '{number} guests', len(resources.guests))
    nodes = counted('{number} node', '{number} nodes', len(resources.nodes))
    detail = Message('{guests} on {nodes} visible', guests=guests, nodes=nodes)
    checks = [
        Check(
            label=Message('Guests'),
            ok=resources.incomplete_reason is None,
            detail=resources.incomplete_reason or detail,
        )
    ]
    offline = sorted(name for name, (online, _) in resources.nodes.items() if online is False)
    if offline:
        checks.append(
            Check(
                label=Message('Nodes'),
                ok=False,
                detail=Message('offline: {nodes}', nodes=joined(offline, ', ')),
                required=False,
            )
        )
    return checks


def _privilege_checks(
    token_id: str,
    version: Version,
    permissions: Any,
    acl: Any,
    resources: Reading[Resources],
    history: TokenHistory,
) -> list[Check]:
    if isinstance(permissions, ProxmoxError):
        return [Check(label=Message('Privileges'), ok=False, detail=permissions.message, remedy=permissions.remedy)]
    try:
        access = Access.parse(token_id, permissions)
        if not isinstance(acl, ProxmoxError):
            access = access.with_acl(acl)
    except ParseError as error:
        return [
            Check(
                label=Message('Privileges'),
                ok=False,
                detail=Message('Proxmox VE returned an invalid response: {problem}', problem=error),
            )
        ]
    guests = resources.guests.values() if known(resources) else ()
    token_view = TokenView.of(access, version, (row.type.value for row in guests), complete=False)
    lost = history.lost_privileges(token_view)
    missing = access.missing(version)
    checks = [
        Check(
            label=Message('{privilege} on {path}', privilege=lack.privilege, path=lack.path),
            ok=False,
            detail=_missing(lack, lost.get((lack.privilege, lack.path))),
            remedy=remedy,
            required=lack.privilege not in OPTIONAL,
        )
        for lack, remedy in _with_remedies(missing)
    ]
    if known(resources):
        checks += [
            Check(label=Message('Guests seen before'), ok=False, detail=lost_access.message, required=False)
            for lost_access in history.fewer_guests(token_view)
        ]
    hidden = access.guests_hidden
    if hidden and not checks:
        checks.append(Check(label=Message('Privileges'), ok=False, detail=hidden))
    return checks or [
        Check(label=Message('Privileges'), ok=True, detail=Message('The token has all required privileges.'))
    ]


def _with_remedies(missing: Iterable[MissingPrivilege]) -> Iterator[tuple[MissingPrivilege, Message]]:
    """Yield the missing privileges, each command only with the first privilege that it grants."""
    by_command: dict[str, list[MissingPrivilege]] = {}
    for lack in missing:
        by_command.setdefault(lack.command, []).append(lack)
    for command, lacks in by_command.items():
        names = dict.fromkeys(
            Message('{privilege} on {path}', privilege=lack.privilege, path=lack.path) for lack in lacks
        )
        remedy = grant_remedy(command)
        if len(names) > 1:
            remedy = joined((remedy, Message('This command grants: {privileges}.', privileges=joined(names, ', '))))
        for number, lack in enumerate(lacks):
            yield lack, EMPTY if number else remedy


def _missing(lack: MissingPrivilege, lost_access: LostAccess | None) -> Message:
    if lost_access is None:
        return Message('missing; required for: {feature}', feature=lack.feature)
    return Message(
        'missing; the token had this privilege on {day}; required for: {feature}',
        day=lost_access.day,
        feature=lack.feature,
    )


def _ssh_checks(client: ProxmoxClient, settings: Reading[SSHSettings | None], nodes: Iterable[Node]) -> list[Check]:
    """One optional check per node."""
    if isinstance(settings, Unreadable):
        return [Check(label=Message('SSH'), ok=False, detail=settings.reason, required=False)]
    if settings is None:
        return []

    def visit(name: str, address: str, deadline: float) -> NodeHardware:
        return read_hardware(
            address, settings, node=name, deadline=deadline, sockets=client.sockets, policy=client.connection.policy
        )

    addresses = node_addresses(nodes, client)
    results = NodeVisits(client, addresses, visit, SSH_LIMIT).results()
    return [_ssh_check(name, results[name] if known(address) else address) for name, address in addresses.items()]


def _ssh_check(name: str, result: NodeHardware | SSHError | Unreadable) -> Check:
    check = partial(Check, label=Message('SSH to {node}', node=name), required=False)
    if isinstance(result, NodeHardware):
        machine = [value for value in (result.manufacturer, result.product) if known(value) and value]
        nics = (
            counted('{number} physical NIC', '{number} physical NICs', len(result.nics))
            if known(result.nics)
            else result.nics.reason
        )
        return check(ok=True, detail=Message('works: {hardware}', hardware=joined((' '.join(machine), nics), ', ')))
    if isinstance(result, Unreadable):
        return check(ok=False, detail=result.reason)
    return check(ok=False, detail=result.message, remedy=result.remedy)


def _fingerprint(connection: Connection, host: str | None = None) -> str | None:
    """The fingerprint of the host that answered, or of the first; None if it fails or a proxy is used."""
    if connection.proxies:
        return None
    try:
        shown = host or str(Host.parse(connection.hosts[0]))
        return fetch_fingerprint(shown, min(connection.timeout, 10), connection.policy)
    except (ProxmoxError, IndexError):
        return None
