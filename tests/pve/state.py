"""
The cluster behind the API: what the answers are made from and what a script changes.

A recorded cluster is held in the same form as a generated one. In addition it keeps what was recorded, and each part
is answered exactly as recorded until something about it is changed.
"""

import copy
import threading
from dataclasses import dataclass, field
from typing import Any, Literal

from .answers import Answer
from .privileges import Token

__all__ = ('Cluster', 'Guest', 'Node', 'Phase', 'Pool', 'guest_id', 'major_of')

type Row = dict[str, Any]
# Phases of an unreachable node, see `Node.offline`.
Phase = Literal['stale', 'unknown']
KINDS = {'qemu': 'qemu-server', 'lxc': 'lxc'}


def major_of(version: str) -> int:
    """'9.2.11' -> 9."""
    return int(version.split('.')[0])


def guest_id(type_: str, vmid: int) -> str:
    """As in the `id` of /cluster/resources."""
    return f'{type_}/{vmid}'


@dataclass
class Guest:
    """
    A virtual machine or container.

    Attributes:
        config: The running configuration, without `digest`.
        pending: Changes that wait for a restart: {key: new value, or None for a key that goes away}.
        status: As in /cluster/resources: running, stopped, paused, prelaunch, ...
        metrics: Measured values of its rows (cpu, mem, netin, ...); empty for a stopped guest.
        interfaces: What the guest agent or the container reports, in the form of that call.
        agent: Whether a configured guest agent answers: 'running', 'silent' (it does not), 'error' (it refuses).
        agent_info: `result` of the other agent calls by name ('get-osinfo').
        hastate: State of the HA resource; None if it is none.
        snapshots: Rows without the pseudo snapshot 'current'.
        snapshot_configs: {snapshot: configuration}.
        rows: Recorded rows of lists by kind; empty once the guest was changed.
        answers: Recorded answers by the rest of the path ('config?current=1').
        pristine: Nothing was changed since the recording.
    """

    type: Literal['qemu', 'lxc']
    vmid: int
    node: str
    config: Row
    pending: Row = field(default_factory=dict)
    status: str = 'stopped'
    metrics: Row = field(default_factory=dict)
    interfaces: list[Row] = field(default_factory=list)
    agent: Literal['running', 'silent', 'error'] = 'running'
    agent_info: dict[str, Any] = field(default_factory=dict)
    pool: str | None = None
    hastate: str | None = None
    snapshots: list[Row] = field(default_factory=list)
    snapshot_configs: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    pristine: bool = False

    @property
    def id(self) -> str:
        return guest_id(self.type, self.vmid)

    @property
    def path(self) -> str:
        """In the access control list."""
        return f'/vms/{self.vmid}'

    @property
    def up(self) -> bool:
        """There is a process; it may be paused."""
        return self.status not in ('stopped', 'unknown')

    @property
    def name(self) -> str:
        """As listed; Proxmox VE makes one up for a guest that has none."""
        if self.type == 'qemu':
            return self.config.get('name') or f'VM {self.vmid}'
        return self.config.get('hostname') or f'CT{self.vmid}'

    def touch(self) -> None:
        """Forget what was recorded: something changes."""
        self.rows = {}
        self.pristine = False


@dataclass
class Node:
    """
    A node of the cluster.

    Attributes:
        nodeid: 0 on a stand-alone host.
        row: Its row in /cluster/resources while it is online.
        storage_rows, network_rows: Its storages and SDN zones there.
        fingerprint: Of its certificate, as in /nodes.
        interfaces: Its network, as in /nodes/N/network; None: as it was recorded.
        pending_interfaces: The same with changes that are not applied; None if there are none.
        certificates: As in /nodes/N/certificates/info; None: as they were recorded.
        offline: None: online. 'stale': just lost, its guests are still listed as they were. 'unknown': lost some
            minutes ago, its guests are listed without name, sizes and state.
    """

    name: str
    nodeid: int
    address: str
    row: Row
    storage_rows: list[Row] = field(default_factory=list)
    network_rows: list[Row] = field(default_factory=list)
    fingerprint: str = ''
    interfaces: list[Row] | None = None
    pending_interfaces: list[Row] | None = None
    certificates: list[Row] | None = None
    offline: Phase | None = None

    @property
    def cpus(self) -> int:
        return int(self.row.get('maxcpu') or 1)


@dataclass
class Pool:
    """A resource pool; guests know theirs by themselves."""

    name: str
    comment: str | None = None
    storages: list[str] = field(default_factory=list)


@dataclass
class Cluster:
    """
    Everything that one Proxmox VE cluster, or stand-alone host, answers from.

    Attributes:
        version: '9.2.11', '7.4-20'.
        local: The node whose API is served.
        name: None for a stand-alone host.
        fixed: Answers that no script changes, by path and normalised query.
        lists: Recorded answers of the calls that are made from the state; they hold while nothing was changed.
        acl_paths: Paths with an entry of anybody in the access control list.
        default_token: The token that tests use if they do not ask for another one.
        authority: Fingerprint of the certificate authority of a generated cluster, which each has for itself.
        options: /cluster/options.
        not_backed_up: Ids of the guests that no backup job covers; None: as it was recorded.
        vnets: SDN's virtual networks as they run; None: as they were recorded.
        volumes: {volume id: (owner's vmid, size in bytes)} beyond those that were recorded.
    """

    version: str
    local: str
    name: str | None
    nodes: dict[str, Node] = field(default_factory=dict)
    guests: dict[str, Guest] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    storages: list[Row] = field(default_factory=list)
    fixed: dict[str, Answer] = field(default_factory=dict)
    lists: dict[str, Answer] = field(default_factory=dict)
    acl_paths: set[str] = field(default_factory=set)
    tokens: dict[str, Token] = field(default_factory=dict)
    default_token: str = ''
    authority: str = ''
    options: Row = field(default_factory=dict)
    not_backed_up: set[int] | None = None
    vnets: list[Row] | None = None
    volumes: dict[str, tuple[int, int]] = field(default_factory=dict)
    quorate: bool = True
    config_version: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    cache: dict[tuple[str, str], Answer] = field(default_factory=dict, repr=False)

    @property
    def major(self) -> int:
        return major_of(self.version)

    def changed(self) -> None:
        """Something is different: recorded lists no longer hold, nor do answers that were made before."""
        self.lists = {}
        self.cache.clear()

    def copy(self) -> 'Cluster':
        """The same cluster, to be changed by itself."""
        with self.lock:
            return copy.deepcopy(self, {id(self.lock): threading.RLock(), id(self.cache): {}})

    def guest(self, vmid: int) -> Guest:
        """
        Raises:
            KeyError: There is no such guest.
        """
        for type_ in KINDS:
            found = self.guests.get(guest_id(type_, vmid))
            if found is not None:
                return found
        raise KeyError(f'guest {vmid} does not exist')

    def pool_paths(self) -> dict[str, str]:
        """{path in the access control list: pool} of everything that is in a pool."""
        found = {guest.path: guest.pool for guest in self.guests.values() if guest.pool}
        for pool in self.pools.values():
            found.update(dict.fromkeys((f'/storage/{storage}' for storage in pool.storages), pool.name))
        return found

    def pool_of(self, path: str) -> str | None:
        """The pool of the guest or storage at a path in the access control list."""
        if path.startswith('/vms/') and path[5:].isdigit():
            try:
                return self.guest(int(path[5:])).pool
            except KeyError:
                return None
        if path.startswith('/storage/'):
            return next((pool.name for pool in self.pools.values() if path[9:] in pool.storages), None)
        return None
