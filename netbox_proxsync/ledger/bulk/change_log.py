"""The change log, the events and the search index of objects that are written many at a time."""

from collections.abc import Iterable

from core.choices import ObjectChangeActionChoices
from core.events import OBJECT_CREATED, OBJECT_UPDATED
from core.models import ObjectChange
from django_prometheus.models import model_inserts, model_updates
from extras.events import enqueue_event
from netbox.context import current_request, events_queue
from netbox.models import NetBoxModel
from netbox.search.backends import search_backend

from .serialization import serialized_in_less_time

__all__ = ('ChangeLog',)


class ChangeLog:
    """
    Does for many objects what NetBox does for each object that is saved within a request.

    Args:
        quiet: Whether no events are sent.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._entries: list[ObjectChange] = []

    def created(self, instances: Iterable[NetBoxModel]) -> None:
        """Note objects that were created, with their tags and sets in their prefetch caches."""
        for instance in instances:
            self._note(instance, is_created=True)

    def updated(self, instances: Iterable[NetBoxModel]) -> None:
        """Note objects that were changed."""
        for instance in instances:
            self._note(instance, is_created=False)

    def save(self) -> None:
        """Write the entries."""
        ObjectChange.objects.bulk_create(self._entries)
        self._entries.clear()

    def _note(self, instance: NetBoxModel, is_created: bool) -> None:
        request = current_request.get()
        action = ObjectChangeActionChoices.ACTION_CREATE if is_created else ObjectChangeActionChoices.ACTION_UPDATE
        with serialized_in_less_time(instance):
            entry = instance.to_objectchange(action)
        entry.user, entry.user_name, entry.request_id = request.user, request.user.username, request.id
        self._entries.append(entry)
        if not self.quiet:
            queue = events_queue.get()
            enqueue_event(queue, instance, request, OBJECT_CREATED if is_created else OBJECT_UPDATED)
            events_queue.set(queue)
        (model_inserts if is_created else model_updates).labels(instance._meta.model_name).inc()
        search_backend.caching_handler(type(instance), instance, created=is_created, using=instance._state.db)
