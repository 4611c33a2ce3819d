"""
The schedule of syncs.

Each endpoint has one slot in every interval. Intervals are counted from the epoch and shifted by a part of the interval
that is derived from the id of the endpoint. So endpoints with the same interval do not all start at once, and each
endpoint always starts at the same minute.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b

from django.db import transaction

from ..models import ProxmoxEndpoint
from .scheduled_times import may_start, next_start

__all__ = ('next_slot', 'start_due', 'too_late')

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
    Call `start` for every endpoint whose slot has come, within the transaction that sets its next slot.

    Missed slots are not made up for: `missed` is called once instead. An endpoint whose row is locked, for example by a
    run that is writing, is checked again the next time.
    """
    scheduled = ProxmoxEndpoint.objects.filter(enabled=True, sync_interval__isnull=False)
    for endpoint in scheduled.filter(next_sync__isnull=True):
        # A new schedule begins with its next slot, not with a sync now.
        slot = next_start(endpoint, now, partial(next_slot, endpoint.pk, endpoint.sync_interval))
        scheduled.filter(pk=endpoint.pk, next_sync=None, sync_interval=endpoint.sync_interval).update(next_sync=slot)
    for pk in scheduled.filter(next_sync__lte=now).order_by('next_sync').values_list('pk', flat=True):
        with transaction.atomic():
            lock = scheduled.select_for_update(no_key=True, skip_locked=True)
            endpoint = lock.filter(pk=pk, next_sync__lte=now).first()
            if endpoint is None:
                continue
            slot = endpoint.next_sync
            # By update(): the state of an endpoint is not recorded in its change log.
            following = next_start(endpoint, now, partial(next_slot, pk, endpoint.sync_interval))
            ProxmoxEndpoint.objects.filter(pk=pk).update(next_sync=following)
            if too_late(slot, endpoint.sync_interval, now) or not may_start(endpoint, now):
                missed(endpoint)
            else:
                start(endpoint)
