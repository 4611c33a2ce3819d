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
    MOVE = 'move'
    IGNORE = 'ignore'


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A decision.

    Attributes:
        pointer: The linked object, or the interface from which an address is moved.
        decided: When the decision was made.
    """

    choice: Choice
    pointer: Pointer | None
    decided: datetime


# By (kind, key).
type Answers = Mapping[tuple[str, str], Answer]
