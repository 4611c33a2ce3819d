"""Sync windows: the times of the week in which scheduled syncs start, such as "Mon-Fri 22:00-06:00"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self

from ..proxmox.messages import Message, joined

__all__ = ('DAYS', 'InvalidWindowError', 'SyncWindow', 'is_open', 'next_opening')

DAYS = ('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')
WINDOW = re.compile(r'(?:(?P<days>[A-Za-z, -]+?) +)?(?P<start>\d{1,2}:\d{2}) *- *(?P<end>\d{1,2}:\d{2})')
EXAMPLES = '"22:00-06:00", "Mon-Fri 22:00-06:00" or "Sat, Sun 00:00-24:00"'
MINUTES_OF_DAY = 24 * 60


class InvalidWindowError(ValueError):
    """A text is not a sync window. The message is for users."""


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """
    A window of the week.

    Attributes:
        days: The weekdays on which it opens, 0 is Monday.
        start, end: Minutes since midnight. If the end is not after the start, it is on the next day.
    """

    days: frozenset[int]
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Raises:
            InvalidWindowError: The text is not a window.
        """
        found = WINDOW.fullmatch(text.strip())
        if found is None:
            raise InvalidWindowError(
                Message(
                    '"{text}" is not a sync window. Enter days and times, such as {examples}.',
                    text=text,
                    examples=EXAMPLES,
                )
            )
        start, end = minutes(found['start'], text), minutes(found['end'], text)
        if start in (MINUTES_OF_DAY, end):
            raise InvalidWindowError(
                Message('"{text}" is not a sync window: it has no duration. Enter 00:00-24:00 for a day.', text=text)
            )
        return cls(days_of(found['days'], text), start, end)

    def __str__(self) -> str:
        times = f'{clock(self.start)}-{clock(self.end)}'
        return times if len(self.days) == len(DAYS) else f'{", ".join(shown_days(self.days))} {times}'

    @property
    def length(self) -> int:
        """In minutes."""
        return self.end - self.start if self.end > self.start else self.end + MINUTES_OF_DAY - self.start

    @property
    def is_overnight(self) -> bool:
        """Whether it ends on the next day."""
        return self.end <= self.start

    def opens_on(self, day: date) -> bool:
        """Whether it opens on a day."""
        return day.weekday() in self.days

    def contains(self, moment: datetime) -> bool:
        """Whether it is open at a moment, which has the time zone of the window."""
        now = moment.hour * 60 + moment.minute
        if not self.is_overnight:
            return self.opens_on(moment.date()) and self.start <= now < self.end
        if now >= self.start:
            return self.opens_on(moment.date())
        return now < self.end and self.opens_on(moment.date() - timedelta(days=1))

    def next_opening(self, moment: datetime) -> datetime:
        """The first time after a moment at which it opens."""
        opening = time(self.start // 60, self.start % 60)
        days = (moment.date() + timedelta(days=number) for number in range(len(DAYS) + 1))
        openings = (datetime.combine(day, opening, moment.tzinfo) for day in days if self.opens_on(day))
        return next(opens for opens in openings if opens > moment)


def is_open(windows: Iterable[SyncWindow], moment: datetime) -> bool:
    """Whether one of the windows is open at a moment; without windows, always."""
    windows = list(windows)
    return not windows or any(window.contains(moment) for window in windows)


def next_opening(windows: Iterable[SyncWindow], moment: datetime) -> tuple[datetime, SyncWindow]:
    """When the next window opens after a moment, and which one; there must be windows."""
    return min(((window.next_opening(moment), window) for window in windows), key=lambda opening: opening[0])


def minutes(text: str, window: str) -> int:
    """A time as minutes since midnight."""
    hours, minute = map(int, text.split(':'))
    if minute > 59 or hours * 60 + minute > MINUTES_OF_DAY:
        raise InvalidWindowError(
            Message(
                '"{window}" is not a sync window: {text} is not a time from 00:00 to 24:00.', window=window, text=text
            )
        )
    return hours * 60 + minute


def clock(number: int) -> str:
    """Minutes since midnight as a time."""
    return f'{number // 60:02}:{number % 60:02}'


def days_of(text: str | None, window: str) -> frozenset[int]:
    """The weekdays that a window names; all of them if it names none."""
    if text is None:
        return frozenset(range(len(DAYS)))
    days: set[int] = set()
    for part in text.split(','):
        first, _dash, last = (word.strip() for word in part.partition('-'))
        start = day_of(first, window)
        stop = day_of(last, window) if last else start
        days |= {number % len(DAYS) for number in range(start, stop + 1 if stop >= start else stop + 1 + len(DAYS))}
    return frozenset(days)


def day_of(word: str, window: str) -> int:
    """The number of a weekday."""
    for number, day in enumerate(DAYS):
        if word[:3].lower() == day.lower():
            return number
    raise InvalidWindowError(
        Message(
            '"{window}" is not a sync window: "{word}" is not a day. Use {days}.',
            window=window,
            word=word,
            days=joined(DAYS, ', '),
        )
    )


def shown_days(days: frozenset[int]) -> list[str]:
    """'Mon-Fri', 'Sun'"""
    shown: list[str] = []
    ordered = sorted(days)
    while ordered:
        first = last = ordered.pop(0)
        while ordered and ordered[0] == last + 1:
            last = ordered.pop(0)
        shown.append(DAYS[first] if first == last else f'{DAYS[first]}-{DAYS[last]}')
    return shown
