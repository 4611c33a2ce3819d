"""How a run ends."""

from dataclasses import dataclass

from ..proxmox.messages import EMPTY, Message

__all__ = ('Ending',)


@dataclass(frozen=True, slots=True)
class Ending:
    """
    The result of a run that was carried out.

    Attributes:
        status: One of `RunStatusChoices.FINISHED`.
        reason: Why it did not complete normally, for display; '' if it did.
    """

    status: str
    reason: Message = EMPTY
