"""Writing as a person would: with NetBox's change log and events, all of a run under one request id."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from uuid import UUID

from core.signals import clear_signal_history
from django.db import OperationalError
from extras.events import flush_events
from netbox.context import events_queue
from netbox.context_managers import event_tracking
from utilities.request import NetBoxFakeRequest

from .. import branching
from ..models.users import AnyUser
from .database import is_lost
from .search_index import merge_search_updates

__all__ = (
    'EventsNotSent', 'savepoint', 'tracked_transaction', 'tracking', 'transaction',
)  # fmt: skip


def request_for(user: AnyUser, request_id: UUID) -> NetBoxFakeRequest:
    return NetBoxFakeRequest(
        {
            'id': request_id,
            'user': user,
            'META': {},
            'COOKIES': {},
            'GET': {},
            'POST': {},
            'FILES': {},
            'method': 'POST',
            'path': '',
            'path_info': '',
        }
    )


class EventsNotSent(Exception):
    """What was written is committed, but event rules could not be told of it."""


@contextmanager
def tracking(user: AnyUser, request_id: UUID, quiet: bool = False) -> Iterator[None]:
    """
    What is written within is logged, and its events are sent at the end; none at all if it is to be quiet.

    Raises:
        EventsNotSent: The database did not allow it. What was written stays.
    """
    with event_tracking(request_for(user, request_id)):
        yield
        events = [] if quiet else list(events_queue.get().values())
        # Sent here: if that fails, it is to be told apart from what fails within.
        events_queue.set({})
        try:
            flush_events(events)
        except OperationalError as error:
            if is_lost(error):
                raise
            raise EventsNotSent from error


@contextmanager
def transaction() -> Iterator[None]:
    """A transaction within `tracking`. Rolled back are rows, events and updates of the search index."""
    with taken_back(), branching.atomic():
        yield
        for alias in branching.aliases():
            merge_search_updates(alias)


@contextmanager
def tracked_transaction(user: AnyUser, request_id: UUID, quiet: bool = False) -> Iterator[None]:
    """
    A transaction whose writes are logged, and whose events are sent if it commits; none at all if it is to be quiet.

    The tracking is the outer of the two: events must not leave for what was rolled back.
    """
    with tracking(user, request_id, quiet), transaction():
        yield


@contextmanager
def savepoint() -> Iterator[None]:
    """A savepoint that also takes back the events of what it rolls back."""
    with taken_back(), branching.atomic():
        yield


@contextmanager
def taken_back() -> Iterator[None]:
    """Around a block that is rolled back if it fails: what NetBox keeps of it in memory is taken back, too."""
    # Copies: NetBox adds a second write of an object to the event of the first one.
    events = {key: copy(event) for key, event in events_queue.get().items()}
    try:
        yield
    except BaseException:
        events_queue.set(events)
        # NetBox remembers which objects are being deleted, and logs each of them once: so it would not log the deletion
        # if that is tried again.
        clear_signal_history(sender=None)
        raise
