"""Collects notices for the administrator and merges those that concern several guests."""

from collections.abc import Iterable

from .inventory import Notice
from .messages import EMPTY, Message, joined

__all__ = ('VMID', 'NoticeCollector', 'listed')

SHOWN = 20
# Placeholder for the VM ID in messages about several guests.
VMID = '{vmid}'


def listed(names: Iterable[object]) -> Message:
    """Join names, and count those beyond the first twenty: 'qemu/100, qemu/101 and 48 more'."""
    texts = [str(name) for name in names]
    more = len(texts) - SHOWN
    shown = joined(texts[:SHOWN], ', ')
    return Message('{names} and {more} more', names=shown, more=more) if more > 0 else shown


class NoticeCollector:
    """Collects notices without duplicates. Not thread-safe."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._guests: dict[tuple[Message, Message], list[str]] = {}

    def add(self, subject: str, message: Message, remedy: Message = EMPTY) -> None:
        """Add a notice unless it exists."""
        notice = Notice(subject=subject, message=message, remedy=remedy)
        if notice not in self._notices:
            self._notices.append(notice)

    def add_guest(self, key: str, what: Message, remedy: Message = EMPTY) -> None:
        """
        Add a notice about a guest. Guests with the same text and remedy share one notice.

        Args:
            key: The guest, e.g. 'qemu/100'.
            what: The message without a full stop and without the guest; VMID stands for its id in parameters.
        """
        keys = self._guests.setdefault((what, remedy), [])
        if key not in keys:
            keys.append(key)

    def collected(self) -> tuple[Notice, ...]:
        """Return the notices in the order of their addition, those about guests last."""
        return (*self._notices, *(self._of_guests(what, remedy, keys) for (what, remedy), keys in self._guests.items()))

    @staticmethod
    def _of_guests(what: Message, remedy: Message, keys: list[str]) -> Notice:
        keys = sorted(keys, key=lambda key: (key.partition('/')[0], int(key.partition('/')[2])))
        if len(keys) == 1:
            own = what.with_text(VMID, keys[0].partition('/')[2])
            return Notice(subject=keys[0], message=Message('{problem}.', problem=own), remedy=remedy)
        message = Message(
            '{problem}, in {number} guests: {guests}.',
            problem=what.with_text(VMID, 'VMID'),
            number=len(keys),
            guests=listed(keys),
        )
        return Notice(subject='guests', message=message, remedy=remedy)
