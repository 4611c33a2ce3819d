"""Readings: a value that was read, or the reason why it could not be read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import Message

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13 on

__all__ = ('Reading', 'Unreadable', 'known')


@dataclass(frozen=True, slots=True)
class Unreadable:
    """
    Takes the place of a part of the inventory that could not be read.

    Attributes:
        reason: The reason, as a sentence for the administrator.
    """

    reason: Message

    def __bool__(self) -> bool:
        # `if guest.config:` must not treat an unreadable configuration as present.
        return False


type Reading[T] = T | Unreadable


def known[T](reading: 'Reading[T]') -> 'TypeIs[T]':
    """Return whether a reading holds a value, which may be None (Proxmox VE reports that there is none)."""
    return not isinstance(reading, Unreadable)
