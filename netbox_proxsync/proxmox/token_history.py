"""
The history of what the token could see, by which a run detects lost privileges.

Proxmox VE silently shortens its lists for a token that has lost a privilege. A single read cannot distinguish such a
list from that of a smaller cluster.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .access import Access, wanted_privileges
from .guests import GuestType
from .messages import Message, counted
from .version import Version

__all__ = ('LostAccess', 'Right', 'TokenHistory', 'TokenView')

type Right = tuple[str, str]
"""A privilege and its path: ('VM.Audit', '/vms')."""

# A read that shows fewer than this fraction of the previous number of guests of a type is reported.
FEWER = 0.5


@dataclass(frozen=True, slots=True)
class LostAccess:
    """
    Something that the token could see before and cannot see now: a privilege, or most guests of a type.

    Attributes:
        message: For the administrator.
        day: The last day on which the token could see it (YYYY-MM-DD).
    """

    message: Message
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """
    What the token can see in one read.

    Attributes:
        rights: For each relevant privilege, whether the token has it.
        revoked: The paths below /vms and /pool on which the right to see guests is revoked.
        guests: The number of visible guests by type.
        complete: Whether these are all guests of the cluster.
    """

    rights: Mapping[Right, bool]
    revoked: frozenset[str]
    guests: Mapping[str, int]
    complete: bool

    @classmethod
    def of(cls, access: Access, version: Version, types: Iterable[str], *, complete: bool) -> Self:
        """Create the view from the privileges and the type of each visible guest."""
        return cls(
            rights={
                (privileges[0], path): access.has(path, privileges)
                for path, privileges, _feature in wanted_privileges(version)
            },
            revoked=frozenset(access.revoked_guests),
            guests=Counter(types),
            complete=complete,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHistory:
    """
    What the token could see at earlier reads; stored between runs.

    Attributes:
        rights: The last day on which the token had each privilege (YYYY-MM-DD).
        day: The day of the last complete read; '' if there was none.
        guests, revoked: As in `TokenView`, at the last complete read.
    """

    rights: Mapping[Right, str] = field(default_factory=dict)
    day: str = ''
    guests: Mapping[str, int] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Restore a history from its `data`; an invalid value gives an empty history."""
        try:
            return cls(
                rights={(privilege, path): str(day) for privilege, path, day in data['rights']},
                day=str(data['day']),
                guests={str(kind): int(number) for kind, number in data['guests'].items()},
                revoked=frozenset(map(str, data['revoked'])),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    @property
    def data(self) -> dict[str, Any]:
        """The history for JSON; equal for equal histories."""
        return {
            'rights': [[privilege, path, day] for (privilege, path), day in sorted(self.rights.items())],
            'day': self.day,
            'guests': dict(sorted(self.guests.items())),
            'revoked': sorted(self.revoked),
        }

    def updated_with(self, token_view: TokenView, day: str) -> Self:
        """Return the history after a read on a day. A lost privilege stays in it until the token has it again."""
        rights = {
            right: day if has else self.rights[right]
            for right, has in token_view.rights.items()
            if has or right in self.rights
        }
        if not token_view.complete:
            return type(self)(rights=rights, day=self.day, guests=self.guests, revoked=self.revoked)
        return type(self)(rights=rights, day=day, guests=dict(token_view.guests), revoked=token_view.revoked)

    def lost_privileges(self, token_view: TokenView) -> dict[Right, LostAccess]:
        """Return the privileges that the token had and has lost."""
        lost = {
            right: self.rights[right] for right, has in token_view.rights.items() if not has and right in self.rights
        }
        if self.day:
            lost |= {('VM.Audit', path): self.day for path in token_view.revoked - self.revoked}
        return {
            right: LostAccess(
                Message(
                    'The token no longer has {privilege} on {path}. It had this privilege on {day}.',
                    privilege=right[0],
                    path=right[1],
                    day=day,
                ),
                day,
            )
            for right, day in lost.items()
        }

    def fewer_guests(self, token_view: TokenView) -> list[LostAccess]:
        """Return one entry for each type of guests of which far fewer are visible than before."""
        return [
            LostAccess(_seen(kind, token_view.guests.get(kind, 0), number, self.day), self.day)
            for kind, number in self.guests.items()
            if token_view.guests.get(kind, 0) < number * FEWER
        ]


def _seen(kind: str, number: int, before: int, day: str) -> Message:
    """How many guests of a type the token sees, and how many it saw before."""
    if kind == GuestType.LXC:
        return counted(
            'The token sees {number} container; it saw {before} on {day}.',
            'The token sees {number} containers; it saw {before} on {day}.',
            number,
            before=before,
            day=day,
        )
    return counted(
        'The token sees {number} virtual machine; it saw {before} on {day}.',
        'The token sees {number} virtual machines; it saw {before} on {day}.',
        number,
        before=before,
        day=day,
    )
