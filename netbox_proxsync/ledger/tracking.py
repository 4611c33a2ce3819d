"""Writing as a person would: with NetBox's change log and events, all of a run under one request id."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from netbox.context import events_queue
from netbox.context_managers import event_tracking
from utilities.request import NetBoxFakeRequest

from .. import branching
from .search_index import merge_search_updates

__all__ = ('SERVICE_USER', 'savepoint', 'service_user', 'tracked_transaction')

# Runs that no person started act as this user.
SERVICE_USER = 'proxsync'


def service_user() -> AbstractBaseUser:
    """The user of runs that no person started. It cannot log in."""
    model = get_user_model()
    user, created = model.objects.get_or_create(username=SERVICE_USER, defaults={'is_active': False})
    if created:
        user.set_unusable_password()
        user.save()
    return user


def request_for(user: AbstractBaseUser, request_id: UUID) -> NetBoxFakeRequest:
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


@contextmanager
def tracked_transaction(user: AbstractBaseUser, request_id: UUID, quiet: bool = False) -> Iterator[None]:
    """
    A transaction whose writes are logged, and whose events are sent if it commits; none at all if it is to be quiet.

    The tracking is the outer of the two: events must not leave for what was rolled back.
    """
    with event_tracking(request_for(user, request_id)):
        with branching.atomic():
            yield
            for alias in branching.aliases():
                merge_search_updates(alias)
        if quiet:
            events_queue.set({})


@contextmanager
def savepoint() -> Iterator[None]:
    """A savepoint that also takes back the events of what it rolls back."""
    # Copies: NetBox adds a second write of an object to the event of the first one.
    events = {key: copy(event) for key, event in events_queue.get().items()}
    try:
        with branching.atomic():
            yield
    except BaseException:
        events_queue.set(events)
        raise
