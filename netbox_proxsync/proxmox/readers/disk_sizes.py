"""Sizes of disks whose configuration has none, from the contents of the storages."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from ..access import Access
from ..http.client import ProxmoxClient
from ..inventory import Disk, GuestConfig, GuestType, Reading, Unreadable, known
from ..messages import Message, joined
from ..parsers.resources import GuestRow
from ..parsers.volumes import parse_volume_sizes
from .calls import ask, understand

__all__ = ('SizeReader',)

# The command that writes the sizes of all disks into a guest's configuration.
RESCAN = {GuestType.QEMU: 'qm rescan --vmid {}', GuestType.LXC: 'pct rescan --vmid {}'}


class SizeReader:
    """
    Reads the content of each storage of a node at most once, and only if the size of a disk requires it. Thread-safe.

    Args:
        access: The privileges of the token; Unreadable if they could not be read.
    """

    def __init__(self, client: ProxmoxClient, access: Reading[Access]) -> None:
        self.client = client
        self.access = access
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}
        self._sizes: dict[tuple[str, str], Reading[Mapping[str, int]]] = {}

    def complete(self, row: GuestRow, config: GuestConfig) -> GuestConfig:
        """
        Return the configuration with the sizes that could be found.

        Raises:
            ProxmoxError: A `fatal` error, after which no other call can succeed.
        """
        disks = tuple(self._with_size(row, disk) for disk in config.disks)
        return config if disks == config.disks else replace(config, disks=disks)

    def _with_size(self, row: GuestRow, disk: Disk) -> Disk:
        storage, size = disk.storage, disk.size
        if not isinstance(size, Unreadable) or isinstance(storage, Unreadable) or storage is None:
            return disk
        # No notice: an auditor may not see volumes, and should not need more privileges for this.
        remedy = Message(
            '"{command}" on node {node} writes the size to the configuration.',
            command=RESCAN[row.type].format(row.vmid),
            node=row.node,
        )
        lacks = self.access.missing_for_volumes(row.vmid, storage) if known(self.access) else ()
        if lacks:
            missing = Message(
                'The token does not have permission to view the volume ({privileges}).', privileges=joined(lacks, ', ')
            )
            return replace(disk, size=Unreadable(joined((size.reason, missing, remedy))))
        sizes = self._sizes_on(row.node, storage)
        if isinstance(sizes, Unreadable):
            return replace(disk, size=Unreadable(joined((size.reason, sizes.reason))))
        neither = Message('Storage {storage} does not report the size either.', storage=storage)
        unreadable = Unreadable(joined((size.reason, neither, remedy)))
        return replace(disk, size=sizes.get(f'{storage}:{disk.volume}', unreadable))

    def _sizes_on(self, node: str, storage: str) -> Reading[Mapping[str, int]]:
        """Return {volume id: size in bytes}. The first thread reads them; concurrent threads wait for it."""
        key = (node, storage)
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._sizes:
                answer = ask(self.client, 'nodes', node, 'storage', storage, 'content')
                self._sizes[key] = understand(
                    Message('volumes on storage {storage}', storage=storage), parse_volume_sizes, answer
                )
            return self._sizes[key]
