"""When the schedule starts the next sync of an endpoint: its slots, its sync windows, and its pause."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from ..models import ProxmoxEndpoint
from ..sync.sync_windows import SyncWindow, is_open, next_opening

__all__ = ('may_start', 'next_start')

# Syncs that begin with a window are spread over this time.
SPREAD = timedelta(minutes=10)


def may_start(endpoint: ProxmoxEndpoint, now: datetime) -> bool:
    """Whether a scheduled sync may start now: a worker that was busy may have let its window pass."""
    is_paused = endpoint.paused_until is not None and endpoint.paused_until > now
    return not is_paused and is_open(windows_of(endpoint), timezone.localtime(now))


def windows_of(endpoint: ProxmoxEndpoint) -> list[SyncWindow]:
    return [SyncWindow.parse(text) for text in endpoint.sync_windows]


def next_start(endpoint: ProxmoxEndpoint, now: datetime, next_slot: Callable[[datetime], datetime]) -> datetime:
    """
    When the next scheduled sync starts.

    A slot that is in no sync window moves to the next opening of one. Endpoints with the same window do not all start
    when it opens.

    Args:
        next_slot: The first slot of the endpoint after a given time.
    """
    begin = max(now, endpoint.paused_until) if endpoint.paused_until else now
    slot = next_slot(begin)
    windows = windows_of(endpoint)
    if is_open(windows, timezone.localtime(slot)):
        return slot
    # The slot may be later than the opening of a window in between, for example if there is one slot in a day.
    opening, window = next_opening(windows, timezone.localtime(begin))
    spread = min(SPREAD, timedelta(minutes=window.length) / 2)
    offset = timedelta(seconds=int(slot.timestamp()) % int(spread.total_seconds() or 1))
    return opening.astimezone(slot.tzinfo) + offset
