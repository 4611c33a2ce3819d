"""Transactions with NetBox's change log and events, as for a request by a user: one request ID for each run."""

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
    'EventsNotSentError', 'savepoint', 'tracked_transaction', 'tracking', 'transaction',
)  # fmt: skip


def request_for(user: AnyUser, request_id: UUID) -> NetBoxFakeRequest:
    """The request that the change log and the events of NetBox require. It has no content, only a user and an ID."""
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


class EventsNotSentError(Exception):
    """Changes were committed, but their events could not be sent."""


@contextmanager
def tracking(user: AnyUser, request_id: UUID, quiet: bool = False) -> Iterator[None]:
    """
    Record what is written within in the change log, and send its events at the end; none if `quiet`.

    Raises:
        EventsNotSentError: The database did not allow it. What was written remains.
    """
    with event_tracking(request_for(user, request_id)):
        yield
        events = [] if quiet else list(events_queue.get().values())
        # Sent here, to distinguish a failure of this from a failure within.
        events_queue.set({})
        try:
            flush_events(events)
        except OperationalError as error:
            if is_lost(error):
                raise
            raise EventsNotSentError from error


@contextmanager
def transaction() -> Iterator[None]:
    """A transaction within `tracking`. It rolls back rows, events and updates of the search index."""
    with restored(), branching.atomic():
        yield
        for alias in branching.aliases():
            merge_search_updates(alias)


@contextmanager
def tracked_transaction(user: AnyUser, request_id: UUID, quiet: bool = False) -> Iterator[None]:
    """
    A transaction whose writes are recorded in the change log, and whose events are sent after the commit; none if
    `quiet`.
    """
    with tracking(user, request_id, quiet), transaction():
        yield


@contextmanager
def savepoint() -> Iterator[None]:
    """A savepoint that also rolls back events."""
    with restored(), branching.atomic():
        yield


@contextmanager
def restored() -> Iterator[None]:
    """Around a block that is rolled back if it fails: restore what NetBox has in memory about it."""
    # Copies, because NetBox adds a second write of an object to the event of the first one.
    events = {key: copy(event) for key, event in events_queue.get().items()}
    try:
        yield
    except BaseException:
        events_queue.set(events)
        # NetBox remembers which objects are being deleted and logs each deletion once, so it would not log one that is
        # repeated.
        clear_signal_history(sender=None)
        raise
