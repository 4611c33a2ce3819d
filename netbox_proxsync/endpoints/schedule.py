"""
The schedule of syncs and of quick runs.

Each endpoint has one slot in every interval. Intervals are counted from the epoch and shifted by a part of the interval
that is derived from the id of the endpoint. So endpoints with the same interval do not all start at once, and each
endpoint always starts at the same minute. If the interval of syncs is a multiple of that of quick runs, a slot of quick
runs coincides with each slot of syncs.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b

from django.db import transaction
from django.db.models import QuerySet

from ..choices import RunModeChoices
from ..models import ProxmoxEndpoint, SyncRun
from .scheduled_times import may_start, next_start

__all__ = ('next_slot', 'start_due', 'start_due_quick_runs', 'too_late')

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A worker that is busy or restarted delays the schedule, possibly by more than one short interval.
PATIENCE = timedelta(minutes=10)


def next_slot(endpoint_id: int, interval: int, after: datetime) -> datetime:
    """The first slot of an endpoint after a given time, to the second; `interval` is in minutes."""
    seconds = interval * 60
    draw = int.from_bytes(blake2b(str(endpoint_id).encode(), digest_size=8).digest())
    shift = draw % seconds
    passed = (after - EPOCH) // timedelta(seconds=1) - shift
    return EPOCH + timedelta(seconds=shift + (passed // seconds + 1) * seconds)


def too_late(slot: datetime, interval: int, now: datetime) -> bool:
    """Whether a slot was missed: no worker was available before the next slot."""
    return now - slot >= max(timedelta(minutes=interval), PATIENCE)


def start_due(
    now: datetime, start: Callable[[ProxmoxEndpoint], None], missed: Callable[[ProxmoxEndpoint], None]
) -> None:
    """
    Call `start` for every endpoint whose sync is due, within the transaction that sets its next slot.

    Missed slots are not made up for: `missed` is called once instead. An endpoint whose row is locked, for example by a
    run that is writing, is checked again the next time. So is one with a quick run in progress, which must not take the
    place of a sync.
    """
    quick = SyncRun.objects.active().filter(mode=RunModeChoices.QUICK)
    start_slots(now, 'sync_interval', 'next_sync', start, missed, busy=quick)


def start_due_quick_runs(now: datetime, start: Callable[[ProxmoxEndpoint], None]) -> None:
    """
    Call `start` for every endpoint whose quick run is due and that has no run, within the transaction that sets its
    next slot. Missed slots are not made up for, and not reported: the next one reads the same list.
    """

    def start_unless_busy(endpoint: ProxmoxEndpoint) -> None:
        if not endpoint.runs.active().exists():
            start(endpoint)

    start_slots(now, 'quick_interval', 'next_quick', start_unless_busy, missed=lambda endpoint: None)


def start_slots(
    now: datetime,
    interval: str,
    slot: str,
    start: Callable[[ProxmoxEndpoint], None],
    missed: Callable[[ProxmoxEndpoint], None],
    busy: QuerySet[SyncRun] | None = None,
) -> None:
    """
    Start what is due in one of the two schedules.

    Args:
        interval, slot: The fields of the endpoint.
        busy: The runs that let a slot wait.
    """
    scheduled = ProxmoxEndpoint.objects.filter(enabled=True, **{f'{interval}__isnull': False})
    for endpoint in scheduled.filter(**{slot: None}):
        # A new schedule begins with its next slot, not with a run now.
        minutes = getattr(endpoint, interval)
        first = {slot: next_start(endpoint, now, partial(next_slot, endpoint.pk, minutes))}
        scheduled.filter(pk=endpoint.pk, **{slot: None, interval: minutes}).update(**first)
    due = scheduled.filter(**{f'{slot}__lte': now})
    if busy is not None:
        due = due.exclude(pk__in=busy.order_by().values('endpoint'))
    for pk in due.order_by(slot).values_list('pk', flat=True):
        with transaction.atomic():
            lock = scheduled.select_for_update(no_key=True, skip_locked=True)
            endpoint = lock.filter(pk=pk, **{f'{slot}__lte': now}).first()
            if endpoint is None:
                continue
            at, minutes = getattr(endpoint, slot), getattr(endpoint, interval)
            # By update(): the state of an endpoint is not recorded in its change log.
            following = next_start(endpoint, now, partial(next_slot, pk, minutes))
            ProxmoxEndpoint.objects.filter(pk=pk).update(**{slot: following})
            if too_late(at, minutes, now) or not may_start(endpoint, now):
                missed(endpoint)
            else:
                start(endpoint)
