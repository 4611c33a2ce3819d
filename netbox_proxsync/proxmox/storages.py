"""Storages (`/storage`), the sizes of the volumes on them, and which guests no backup job covers."""

from typing import Any

from .estate import Storage
from .lists import Row, flag, number, parse_rows, word, words
from .properties import Garbled

__all__ = ('parse_not_backed_up', 'parse_storages', 'parse_volume_sizes')

SIZES = range(1, 2**63)


def parse_storages(data: Any) -> tuple[Storage, ...]:
    """Sorted by name. Raises Garbled."""
    return tuple(sorted(parse_rows(data, 'storages', _storage), key=lambda storage: storage.name))


def parse_volume_sizes(data: Any) -> dict[str, int]:
    """
    {volume id: its size in bytes} from `/nodes/N/storage/S/content`.

    Left out: volumes without a size (`approximate-size` is no fact), and those whose size cannot be read, which costs
    no other volume anything. Raises Garbled if it is no list of rows.
    """
    return {volume: size for volume, size in parse_rows(data, 'volumes', _volume) if volume and size}


def parse_not_backed_up(data: Any) -> frozenset[int]:
    """The ids of the guests in `/cluster/backup-info/not-backed-up`. Raises Garbled."""
    return frozenset(parse_rows(data, 'guests without backup', _vmid))


def _storage(row: Row) -> Storage:
    name, kind = word(row, 'storage'), word(row, 'type')
    if name is None or kind is None:
        raise Garbled('a storage has no name or no type')
    try:
        return Storage(
            name=name,
            type=kind,
            content=frozenset(words(row, 'content')) - {'none'},
            shared=flag(row, 'shared'),
            enabled=not flag(row, 'disable'),
            nodes=frozenset(words(row, 'nodes')) or None,
        )
    except Garbled as error:
        raise Garbled(f'storage {name[:40]}: {error}') from None


def _volume(row: Row) -> tuple[str | None, int | None]:
    try:
        return word(row, 'volid'), number(row, 'size', SIZES)
    except Garbled:
        return None, None


def _vmid(row: Row) -> int:
    vmid = number(row, 'vmid', SIZES)
    if vmid is None:
        raise Garbled('a guest has no vmid')
    return vmid
