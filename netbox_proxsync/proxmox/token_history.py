"""
What a token could see the last time, so that a run can tell what it cannot see any more.

Proxmox shortens its lists for a token that has lost a privilege, and says nothing. One read by itself cannot tell that
from a cluster that never had more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .access import Access, wanted_privileges
from .plurals import counted
from .version import Version

__all__ = ('LostAccess', 'Right', 'TokenHistory', 'TokenView')

type Right = tuple[str, str]
"""A privilege and the path that it is on: ('VM.Audit', '/vms')."""

GUESTS = {'qemu': 'virtual machine', 'lxc': 'container'}
# Of the guests of a type: fewer than this part of what was seen the last time is worth a word.
FEWER = 0.5


@dataclass(frozen=True, slots=True)
class LostAccess:
    """What the token could see on a day (YYYY-MM-DD), and cannot now. In words, for people."""

    message: str
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """
    What a token sees in one read.

    Attributes:
        rights: Whether it has each of the privileges that count.
        revoked: Paths below /vms and /pool on which seeing guests is taken away.
        guests: How many it sees, by type.
        complete: Whether those are all that there are.
    """

    rights: Mapping[Right, bool]
    revoked: frozenset[str]
    guests: Mapping[str, int]
    complete: bool

    @classmethod
    def of(cls, access: Access, version: Version, types: Iterable[str], *, complete: bool) -> Self:
        """`types`: of each guest that is seen."""
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
    What is kept between runs.

    Attributes:
        rights: The day on which the token had each for the last time.
        day, guests, revoked: Of the last complete read; '' if there was none.
    """

    rights: Mapping[Right, str] = field(default_factory=dict)
    day: str = ''
    guests: Mapping[str, int] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, data: Any) -> Self:
        """From what `data` gave; empty for everything else."""
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
        """For JSON; the same for the same memory."""
        return {
            'rights': [[privilege, path, day] for (privilege, path), day in sorted(self.rights.items())],
            'day': self.day,
            'guests': dict(sorted(self.guests.items())),
            'revoked': sorted(self.revoked),
        }

    def updated_with(self, token_view: TokenView, day: str) -> Self:
        """The memory after a read on that day. What the token has lost stays, until it has it again."""
        rights = {
            right: day if has else self.rights[right]
            for right, has in token_view.rights.items()
            if has or right in self.rights
        }
        if not token_view.complete:
            return type(self)(rights=rights, day=self.day, guests=self.guests, revoked=self.revoked)
        return type(self)(rights=rights, day=day, guests=dict(token_view.guests), revoked=token_view.revoked)

    def lost(self, token_view: TokenView) -> dict[Right, LostAccess]:
        """The privileges that the token had and has no more."""
        lost = {
            right: self.rights[right] for right, has in token_view.rights.items() if not has and right in self.rights
        }
        if self.day:
            lost |= {('VM.Audit', path): self.day for path in token_view.revoked - self.revoked}
        return {
            right: LostAccess(f'The token no longer has {right[0]} on {right[1]} (it had it on {day})', day)
            for right, day in lost.items()
        }

    def fewer(self, token_view: TokenView) -> list[LostAccess]:
        """The types of guests of which it sees far fewer."""
        return [
            LostAccess(
                f'The token sees {counted(token_view.guests.get(kind, 0), GUESTS.get(kind, kind))}; '
                f'it saw {number} on {self.day}.',
                self.day,
            )
            for kind, number in self.guests.items()
            if token_view.guests.get(kind, 0) < number * FEWER
        ]
