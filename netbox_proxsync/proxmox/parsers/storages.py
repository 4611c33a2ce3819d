"""Storages (`/storage`), the sizes of the volumes on them, and which guests no backup job covers."""

from typing import Any

from ..infrastructure import Storage
from ..properties import ParseError
from ..readings import known
from .rows import Row, flag, number, parse_rows, reading, word, words

__all__ = ('parse_not_backed_up', 'parse_storages', 'parse_volume_sizes')

SIZES = range(1, 2**63)


def parse_storages(data: Any) -> tuple[Storage, ...]:
    """
    Sorted by name. A value that cannot be read is Unreadable. Raises ParseError if it is not a list of named storages.
    """
    return tuple(sorted(parse_rows(data, 'storages', _storage), key=lambda storage: storage.name))


def parse_volume_sizes(data: Any) -> dict[str, int]:
    """
    {volume id: its size in bytes} from `/nodes/N/storage/S/content`.

    Left out: volumes without a size (`approximate-size` is no fact), and those whose size cannot be read, which costs
    no other volume anything. Raises ParseError if it is no list of rows.
    """
    return {volume: size for volume, size in parse_rows(data, 'volumes', _volume) if volume and size}


def parse_not_backed_up(data: Any) -> frozenset[int]:
    """The ids of the guests in `/cluster/backup-info/not-backed-up`. Raises ParseError."""
    return frozenset(parse_rows(data, 'guests without backup', _vmid))


def _storage(row: Row) -> Storage:
    name, disabled = word(row, 'storage'), reading(flag, row, 'disable')
    if name is None:
        raise ParseError('a storage has no name')
    return Storage(
        name=name,
        type=reading(word, row, 'type'),
        content=reading(lambda: frozenset(words(row, 'content')) - {'none'}),
        shared=reading(flag, row, 'shared'),
        enabled=not disabled if known(disabled) else disabled,
        nodes=reading(lambda: frozenset(words(row, 'nodes')) or None),
    )


def _volume(row: Row) -> tuple[str | None, int | None]:
    try:
        return word(row, 'volid'), number(row, 'size', SIZES)
    except ParseError:
        return None, None


def _vmid(row: Row) -> int:
    vmid = number(row, 'vmid', SIZES)
    if vmid is None:
        raise ParseError('a guest has no vmid')
    return vmid
