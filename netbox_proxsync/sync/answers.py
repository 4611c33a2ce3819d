"""Decisions of users about single things in Proxmox VE, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .values import Pointer

__all__ = ('Answer', 'Answers', 'Choice')


class Choice(StrEnum):
    """What a user has decided. The values of `DecisionChoices`."""

    LINK = 'link'
    SEPARATE = 'separate'
    RENAME = 'rename'
    MOVE = 'move'
    VRF = 'vrf'
    IGNORE = 'ignore'


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A decision.

    Attributes:
        pointer: The linked object, the interface from which an address is moved, or its VRF.
        decided: When the decision was made.
        name: The name of the new object, if the user has chosen it; otherwise ''.
    """

    choice: Choice
    pointer: Pointer | None
    decided: datetime
    name: str = ''

    @property
    def is_separate(self) -> bool:
        """Whether no existing object is the guest or node."""
        return self.choice in (Choice.SEPARATE, Choice.RENAME)


# By (kind, key).
type Answers = Mapping[tuple[str, str], Answer]
