"""Sync windows: what users may enter, and when they are open."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from netbox_proxsync.sync.sync_windows import InvalidWindowError, SyncWindow, is_open, next_opening

BERLIN = ZoneInfo('Europe/Berlin')


def at(text: str) -> datetime:
    """In the week of Monday, 2026-11-23."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ('text', 'normal'),
    [
        ('22:00-06:00', '22:00-06:00'),
        ('mon - fri 9:00 - 17:30', 'Mon-Fri 09:00-17:30'),
        ('Saturday,sun 00:00-24:00', 'Sat-Sun 00:00-24:00'),
        ('Fri-Mon 20:00-02:00', 'Mon, Fri-Sun 20:00-02:00'),
        ('Mon-Sun 01:00-02:00', '01:00-02:00'),
    ],
)
def test_valid_sync_windows(text, normal):
    assert str(SyncWindow.parse(text)) == normal
    assert str(SyncWindow.parse(normal)) == normal


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'Enter days and times'),
        ('0 2 * * *', 'Enter days and times'),
        ('Mon', 'Enter days and times'),
        ('22:00-25:00', '25:00 is not a time'),
        ('22:60-23:00', '22:60 is not a time'),
        ('Funday 22:00-23:00', '"Funday" is not a day'),
        ('Mon-  22:00-22:00', 'no duration'),
        ('24:00-02:00', 'no duration'),
    ],
)
def test_invalid_input_is_rejected(text, problem):
    with pytest.raises(InvalidWindowError, match=problem):
        SyncWindow.parse(text)


@pytest.mark.parametrize(
    ('window', 'moment', 'is_in'),
    [
        ('Mon-Fri 22:00-06:00', '2026-11-23 21:59', False),
        ('Mon-Fri 22:00-06:00', '2026-11-23 22:00', True),
        ('Mon-Fri 22:00-06:00', '2026-11-24 05:59', True),
        ('Mon-Fri 22:00-06:00', '2026-11-24 06:00', False),
        # The window of Friday ends on Saturday. That of Sunday does not exist.
        ('Mon-Fri 22:00-06:00', '2026-11-28 03:00', True),
        ('Mon-Fri 22:00-06:00', '2026-11-23 03:00', False),
        ('Sat 00:00-24:00', '2026-11-28 23:59', True),
        ('Sat 00:00-24:00', '2026-11-29 00:00', False),
        ('09:00-17:00', '2026-11-25 12:00', True),
    ],
)
def test_when_it_is_open(window, moment, is_in):
    assert is_open([SyncWindow.parse(window)], at(moment)) is is_in


def test_without_windows_it_is_always_open():
    assert is_open([], at('2026-11-25 12:00'))


def test_the_next_opening_is_the_earliest_of_all_windows():
    windows = [SyncWindow.parse('Mon 22:00-23:00'), SyncWindow.parse('Wed 02:00-04:00')]
    assert next_opening(windows, at('2026-11-23 10:00'))[0] == at('2026-11-23 22:00')
    assert next_opening(windows, at('2026-11-23 22:00'))[0] == at('2026-11-25 02:00')
    assert next_opening(windows, at('2026-11-25 02:00'))[0] == at('2026-11-30 22:00')
