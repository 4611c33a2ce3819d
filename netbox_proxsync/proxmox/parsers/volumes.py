"""The sizes of the volumes on a storage, and the guests that no backup job covers."""

from typing import Any

from ..messages import Message
from ..properties import ParseError
from .rows import Row, number, parse_rows, word

__all__ = ('parse_not_backed_up', 'parse_volume_sizes')

SIZES = range(1, 2**63)


def parse_volume_sizes(data: Any) -> dict[str, int]:
    """
    Return {volume id: size in bytes} from `/nodes/N/storage/S/content`.

    Volumes without a readable size are omitted; `approximate-size` is not used because it is only an upper bound.

    Raises:
        ParseError: The answer is not a list of rows.
    """
    return {volume: size for volume, size in parse_rows(data, _volume) if volume and size}


def parse_not_backed_up(data: Any) -> frozenset[int]:
    """
    Return the ids of the guests in `/cluster/backup-info/not-backed-up`.

    Raises:
        ParseError: The answer is not a list of guests with ids.
    """
    return frozenset(parse_rows(data, _vmid))


def _volume(row: Row) -> tuple[str | None, int | None]:
    try:
        return word(row, 'volid'), number(row, 'size', SIZES)
    except ParseError:
        return None, None


def _vmid(row: Row) -> int:
    vmid = number(row, 'vmid', SIZES)
    if vmid is None:
        raise ParseError(Message('a guest has no VM ID'))
    return vmid
