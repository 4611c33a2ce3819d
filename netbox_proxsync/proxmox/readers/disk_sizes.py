"""The sizes of disks whose configuration gives none, from the lists of the storages that they are on."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from ..access import Access
from ..http.client import ProxmoxClient
from ..inventory import Disk, GuestConfig, GuestType, Reading, Unreadable, known
from ..parsers.resources import GuestRow
from ..parsers.storages import parse_volume_sizes
from .calls import ask, understand

__all__ = ('SizeReader',)

# Writes the sizes of all its disks into a guest's configuration.
RESCAN = {GuestType.QEMU: 'qm rescan --vmid {}', GuestType.LXC: 'pct rescan --vmid {}'}


class SizeReader:
    """
    Asks each storage of a node at most once, and only if a disk needs it. Safe to use from several threads.

    Args:
        access: Unreadable if the privileges could not be read.
    """

    def __init__(self, client: ProxmoxClient, access: Reading[Access]) -> None:
        self.client = client
        self.access = access
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}
        self._sizes: dict[tuple[str, str], Reading[Mapping[str, int]]] = {}

    def complete(self, row: GuestRow, config: GuestConfig) -> GuestConfig:
        """
        The configuration with the sizes that could be found.

        Raises:
            ProxmoxError: Only one after which nothing else can be read either (`fatal`).
        """
        if not any(_is_on_storage(disk) for disk in config.disks):
            return config
        return replace(config, disks=tuple(self._sized(row, disk) for disk in config.disks))

    def _sized(self, row: GuestRow, disk: Disk) -> Disk:
        if not _is_on_storage(disk):
            return disk
        # No warning: an auditor cannot see volumes, and nobody should have to give it more for this.
        remedy = f'"{RESCAN[row.type].format(row.vmid)}" on node {row.node} writes it into the configuration.'
        if known(self.access) and not self.access.shows_volume(row.vmid, disk.storage):
            # The list would leave the volume out without saying so.
            missing = f'The token may not see its volume (VM.Config.Disk on /vms/{row.vmid}).'
            return replace(disk, size=Unreadable(f'{disk.size.reason} {missing} {remedy}'))
        sizes = self._sizes_on(row.node, disk.storage)
        if isinstance(sizes, Unreadable):
            return replace(disk, size=Unreadable(f'{disk.size.reason} {sizes.reason}'))
        missing = f'Storage {disk.storage} does not tell it either.'
        unknown = Unreadable(f'{disk.size.reason} {missing} {remedy}')
        return replace(disk, size=sizes.get(f'{disk.storage}:{disk.volume}', unknown))

    def _sizes_on(self, node: str, storage: str) -> Reading[Mapping[str, int]]:
        """By volume id; whoever comes second waits for the first."""
        key = (node, storage)
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._sizes:
                answer = ask(self.client, 'nodes', node, 'storage', storage, 'content')
                self._sizes[key] = understand(f'the volumes on storage {storage}', parse_volume_sizes, answer)
            return self._sizes[key]


def _is_on_storage(disk: Disk) -> bool:
    """Whether the size of a disk is not known, and its storage may tell it."""
    return not known(disk.size) and known(disk.storage) and disk.storage is not None
