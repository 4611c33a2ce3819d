"""The filters of an endpoint, which admit or exclude guests."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from ..proxmox.inventory import Guest, Reading, Unreadable, known
from ..proxmox.messages import Message, joined

__all__ = ('GuestFilters', 'Subject', 'Term')


class Subject(StrEnum):
    """The property of a guest that a term matches."""

    NAME = 'name'
    TAG = 'tag'
    POOL = 'pool'
    NODE = 'node'


@dataclass(frozen=True, slots=True)
class Term:
    """
    A shell pattern for one of a guest's properties: 'web-*' (its name), 'tag:prod', 'pool:customer-?', 'node:pve1'.
    Case is ignored.
    """

    subject: Subject
    pattern: str

    @classmethod
    def parse(cls, text: str) -> 'Term':
        """
        The term that a text describes.

        Raises:
            ValueError: The text is no term; the message says why.
        """
        subject, colon, pattern = text.strip().partition(':')
        if not colon:
            subject, pattern = Subject.NAME, subject
        try:
            subject = Subject(subject.strip().lower())
        except ValueError:
            raise ValueError(
                Message('"{subject}" is none of {subjects}', subject=subject, subjects=joined(Subject, ', '))
            ) from None
        if not (pattern := pattern.strip()):
            raise ValueError(
                Message('nothing follows "{subject}:"', subject=subject) if colon else Message('it is empty')
            )
        return cls(subject, pattern.lower())

    def __str__(self) -> str:
        return self.pattern if self.subject is Subject.NAME else f'{self.subject}:{self.pattern}'

    def matches(self, guest: Guest) -> bool | None:
        """Whether the guest matches; None: the property was not read."""
        values = matchable_values(guest, self.subject)
        if isinstance(values, Unreadable):
            return None
        return any(fnmatchcase(value.lower(), self.pattern) for value in values)


def matchable_values(guest: Guest, subject: Subject) -> Reading[tuple[str, ...]]:
    """The values of a property of a guest."""
    if subject is Subject.NAME:
        return (guest.name,) if known(guest.name) else guest.name
    if subject is Subject.TAG:
        return guest.tags
    if subject is Subject.POOL:
        return guest.pool if not known(guest.pool) else tuple(filter(None, [guest.pool]))
    return (guest.node,)


@dataclass(frozen=True, slots=True)
class GuestFilters:
    """
    The filters of an endpoint.

    Attributes:
        include: A guest must match one of these; empty: all guests do.
        exclude: A guest must match none of these.
    """

    include: tuple[Term, ...] = ()
    exclude: tuple[Term, ...] = ()

    @classmethod
    def parse(cls, include: Iterable[str], exclude: Iterable[str]) -> 'GuestFilters':
        """
        The filters that texts describe.

        Raises:
            ValueError: One of the texts is no term.
        """
        return cls(tuple(map(Term.parse, include)), tuple(map(Term.parse, exclude)))

    def admits(self, guest: Guest) -> bool:
        """
        Whether the filters certainly admit a guest. If too little of a guest was read, it is not admitted, and its
        objects stay unchanged.
        """
        if self.include and not any(term.matches(guest) for term in self.include):
            return False
        return all(term.matches(guest) is False for term in self.exclude)
