"""Reads one guest: its row in the list, its configuration, and what it reports while it runs."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from ..access import Access
from ..errors import APIError, CallTimeoutError, NodeUnreachableError, ProxmoxError
from ..http.client import ProxmoxClient
from ..inventory import Guest, GuestConfig, GuestOnlyInterface, GuestType, NicAddresses, Reading, Unreadable, known
from ..messages import Message, phrase
from ..parsers.addresses import guest_only_interfaces, nic_addresses
from ..parsers.config import parse_config
from ..parsers.resources import GuestRow
from ..properties import ParseError
from ..version import Version
from .disk_sizes import SizeReader
from .guest_agent import RuntimeReader
from .options import CollectOptions
from .unreadable import GuestProblem, UnreadableError, unreadable_error

__all__ = ('GuestReader', 'GuestReading')

logger = logging.getLogger(__name__)

NOT_WANTED = {
    GuestType.QEMU: Message('The endpoint does not read virtual machines.'),
    GuestType.LXC: Message('The endpoint does not read containers.'),
}
# The names of unnamed guests in the lists (QemuServer.pm, LXC.pm).
DEFAULT_NAMES = {GuestType.QEMU: 'VM {}', GuestType.LXC: 'CT{}'}
# A configuration is a small file: a node hangs if it fails to read one within the limit this many times in a row.
MAX_TIMEOUTS = 3
# The first version with tags in the list of guests.
TAGS_SINCE = (7, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestReading:
    """
    The result of reading one guest.

    Attributes:
        guest: The guest with everything that could be read.
        problems: What is reported to the administrator.
        vanished: Whether the guest does not exist on this node any more.
    """

    guest: Guest
    problems: tuple[GuestProblem, ...] = ()
    vanished: bool = False


class GuestReader:
    """
    Reads guests. Thread-safe.

    Args:
        access: The privileges of the token; Unreadable if they could not be read.
        nodes: {name: why it cannot be queried, or None} of all members of the cluster.

    Attributes:
        failed_nodes: {name: reason} of the nodes that have stopped answering.
    """

    def __init__(
        self,
        client: ProxmoxClient,
        options: CollectOptions,
        version: Version,
        access: Reading[Access],
        nodes: Mapping[str, Message | None],
    ) -> None:
        self.client = client
        self.options = options
        self.version = version
        self.runtime = RuntimeReader(client, options, version, access)
        self.sizes = SizeReader(client, access)
        self.set_access(access)
        self.failed_nodes: dict[str, Message] = {}
        self._nodes = nodes
        self._timeouts: Counter[str] = Counter()
        self._strange_keys: set[str] = set()
        self._lock = Lock()

    def set_access(self, access: Reading[Access]) -> None:
        """Use these privileges from now on."""
        self.runtime.access = access
        self.sizes.access = access
        # Computed once instead of per guest: it checks the privileges on every pool.
        self._sees_all_pools = known(access) and access.sees_all_pools

    def read(self, row: GuestRow) -> GuestReading:
        """
        Read a guest. Parts that cannot be read are Unreadable with the reason.

        Raises:
            ProxmoxError: A `fatal` error, after which no other guest can be read.
        """
        try:
            return self._read(row)
        except UnreadableError as error:
            return self._unreadable_guest(row, error)
        except ProxmoxError:
            raise
        except Exception as error:
            # An unexpected value of one guest must not prevent the others from being read.
            logger.exception('Reading %s failed', row.key)
            what = Message(
                'The data could not be parsed because of a bug in this plugin ({error})', error=type(error).__name__
            )
            remedy = Message("Report it; the details are in the log of NetBox's worker.")
            return self._unreadable_guest(
                row, UnreadableError(Message('{problem}.', problem=what), GuestProblem(what=what, remedy=remedy))
            )

    def _read(self, row: GuestRow) -> GuestReading:
        self._raise_if_not_readable(row)
        try:
            config = self._config(row)
        except APIError as error:
            reading = self._unreadable_guest(row, unreadable_error(Message('configuration'), row, error))
            return replace(reading, vanished=error.guest_not_there)
        config = self.sizes.complete(row, config)
        problems = list(_config_problems(config))
        running = self.runtime.interfaces(row, config, problems)
        addresses = nic_addresses(row.type, config, running, self.options.filters)
        guest_only = guest_only_interfaces(row.type, config, running, addresses, self.options.filters)
        problems += self._address_problems(addresses, guest_only)
        guest = replace(
            self._guest(row, config),
            addresses=addresses,
            guest_only=guest_only,
            os_name=self.runtime.os_name(row, config, running, problems),
            host_name=self.runtime.host_name(row, config, running, problems),
        )
        return GuestReading(guest=guest, problems=tuple(dict.fromkeys(problems)))

    def _address_problems(
        self, nics: Mapping[str, NicAddresses], guest_only: Reading[tuple[GuestOnlyInterface, ...]]
    ) -> Iterator[GuestProblem]:
        """Yield the problems with reported addresses that are not synced."""
        excess = sum(len(nic.excess) for nic in nics.values())
        if excess:
            number = excess + sum(len(nic.addresses) for nic in nics.values())
            yield GuestProblem(
                what=Message(
                    'The guest has {number} addresses, of which at most {limit} are synchronized',
                    number=number,
                    limit=self.options.filters.limit,
                ),
                remedy=Message('If these addresses are correct, raise the address limit of the endpoint.'),
            )
        # Without a MAC address, it is a tunnel.
        if known(guest_only) and any(interface.mac and interface.addresses for interface in guest_only):
            yield GuestProblem(
                what=(
                    Message(
                        'The guest has addresses on interfaces that belong to no network device (netN) in '
                        'Proxmox VE, such as passed-through NICs; these addresses are not synchronized'
                    )
                ),
                remedy=Message('The page of the guest lists them.'),
            )

    def _unreadable_guest(self, row: GuestRow, error: UnreadableError) -> GuestReading:
        problems = (error.problem,) if error.problem else ()
        return GuestReading(guest=self._listed_guest(row, error.unreadable), problems=problems)

    def _raise_if_not_readable(self, row: GuestRow) -> None:
        if not self.options.includes(row.vmid):
            raise UnreadableError(Message('This run is for other guests.'))
        wanted = self.options.vms if row.type is GuestType.QEMU else self.options.containers
        if not wanted:
            raise UnreadableError(NOT_WANTED[row.type])
        if row.has_duplicate_vmid:
            what = Message('Proxmox VE lists the VM ID {vmid} more than once', vmid=row.vmid)
            raise UnreadableError(Message('{problem}.', problem=what), GuestProblem(what=what))
        if reason := self._unreachable(row):
            raise UnreadableError(reason)

    def _unreachable(self, row: GuestRow) -> Message | None:
        """Why the guest's node cannot be queried; None if it can."""
        if row.node not in self._nodes:
            return Message('Node {node} is not a member of the cluster.', node=row.node)
        return self._nodes[row.node] or self.failed_nodes.get(row.node)

    def _config(self, row: GuestRow) -> GuestConfig:
        """Read the configuration. Raises APIError, e.g. if the guest has moved, and UnreadableError for any other
        failure."""
        try:
            data = self.client.get('nodes', row.node, row.type.value, row.vmid, 'config', current=1)
        except APIError:
            raise
        except ProxmoxError as error:
            self._note_failure(row.node, error)
            raise unreadable_error(Message('configuration'), row, error) from None
        self._timeouts.pop(row.node, None)
        try:
            # Every complete configuration has a digest. One without it must not pass for a guest without NICs and
            # disks.
            if not isinstance(data, dict) or 'digest' not in data:
                raise ParseError(Message('the response is not a complete configuration'))
            config = parse_config(row.type, data)
        except ParseError as error:
            words = phrase(error)
            raise UnreadableError(
                Message('The configuration of the guest cannot be parsed: {words}.', words=words),
                GuestProblem(what=Message('The configuration cannot be parsed ({words})', words=words)),
            ) from None
        self._log_strange_keys(row, config)
        return config

    def _log_strange_keys(self, row: GuestRow, config: GuestConfig) -> None:
        """Log each unknown key once per run, without its value, which may be a secret."""
        found = {f'{row.type}: {key}' for key in config.extra}
        found |= {f'{row.type}: {nic.key.rstrip("0123456789")}N {key}' for nic in config.nics for key in nic.extra}
        with self._lock:
            new = sorted(found - self._strange_keys)
            self._strange_keys |= found
        for name in new:
            logger.info('This version does not understand what %s has in its configuration (%s).', row.key, name)

    def _note_failure(self, node: str, error: ProxmoxError) -> None:
        """Record failures of a node, so that its other guests are not queried in vain."""
        if isinstance(error, CallTimeoutError):
            self._timeouts[node] += 1
        if isinstance(error, NodeUnreachableError):
            self.failed_nodes[node] = Message(
                'Node {node} stopped answering: Proxmox VE reports "{words}".', node=node, words=error.words
            )
        elif self._timeouts[node] >= MAX_TIMEOUTS:
            self.failed_nodes.setdefault(node, Message('Node {node} stopped answering.', node=node))

    def _guest(self, row: GuestRow, config: GuestConfig) -> Guest:
        """The guest without its addresses. The configuration takes precedence over the list, which may be outdated."""
        return Guest(
            type=row.type,
            vmid=row.vmid,
            node=row.node,
            name=_name(row, config),
            status=row.status,
            lock=config.lock,
            # The list holds the value that Proxmox VE derives from one that cannot be read here.
            template=config.template if known(config.template) else row.template,
            tags=config.tags,
            pool=self._pool(row),
            ha_state=row.ha_state,
            config=config,
            addresses={},
            row_fingerprint=row.fingerprint,
        )

    def _listed_guest(self, row: GuestRow, config: Unreadable) -> Guest:
        """A guest whose configuration was not read, as listed."""
        unreachable = self._unreachable(row)
        is_vm = row.type is GuestType.QEMU
        return Guest(
            type=row.type,
            vmid=row.vmid,
            node=row.node,
            name=row.name,
            # For minutes after the failure of a node, the list repeats the last known status.
            status=Unreadable(unreachable) if unreachable else _unless_duplicate(row, row.status),
            lock=row.lock,
            template=_unless_duplicate(row, row.template),
            tags=_unless_duplicate(row, self._tags(row)),
            pool=_unless_duplicate(row, self._pool(row)),
            ha_state=_unless_duplicate(row, row.ha_state),
            config=config,
            addresses=config,
            guest_only=config,
            os_name=config if self.options.os_info and is_vm else None,
            host_name=config if self.options.host_names and is_vm else None,
            row_fingerprint=row.fingerprint,
        )

    def _tags(self, row: GuestRow) -> Reading[tuple[str, ...]]:
        if (self.version.major, self.version.minor) < TAGS_SINCE:
            return Unreadable(Message('This version of Proxmox VE does not list tags.'))
        return row.tags

    def _pool(self, row: GuestRow) -> Reading[str | None]:
        """The pool. The list omits it if the token may not see it."""
        if row.pool is not None or self._sees_all_pools:
            return row.pool
        return Unreadable(Message('The token does not have permission to view all pools (Pool.Audit).'))


def _name(row: GuestRow, config: GuestConfig) -> Reading[str]:
    return (
        config.name if isinstance(config.name, Unreadable) else config.name or DEFAULT_NAMES[row.type].format(row.vmid)
    )


def _config_problems(config: GuestConfig) -> Iterator[GuestProblem]:
    """Yield the values of a configuration that need correction. A size may be available from the storage."""
    for part, _of, reason in config.unreadable_parts():
        if part != 'size':
            words = reason.as_phrase()
            yield GuestProblem(
                what=Message(
                    'A part of the configuration cannot be parsed and is left unchanged in NetBox ({words})',
                    words=words,
                ),
                remedy=Message('Correct that line of the configuration in Proxmox VE.'),
            )


def _unless_duplicate[T](row: GuestRow, value: Reading[T]) -> Reading[T]:
    return (
        Unreadable(Message('Proxmox VE lists the VM ID {vmid} more than once.', vmid=row.vmid))
        if row.has_duplicate_vmid
        else value
    )
