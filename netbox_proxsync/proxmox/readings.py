"""What was asked for: its value, or why there is none."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13 on

__all__ = ('Reading', 'Unreadable', 'known')


@dataclass(frozen=True, slots=True)
class Unreadable:
    """
    A part of the inventory that was asked for and not answered.

    Attributes:
        reason: Why, as a sentence for the administrator.
    """

    reason: str

    def __bool__(self) -> bool:
        # "if guest.config:" must never take an unread configuration for a present one.
        return False


type Reading[T] = T | Unreadable


def known[T](reading: 'Reading[T]') -> 'TypeIs[T]':
    """Whether a reading holds a value (which may be None: Proxmox said that there is none)."""
    return not isinstance(reading, Unreadable)
