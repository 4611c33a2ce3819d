"""Writes the bindings of objects that a run has written."""

from collections.abc import Collection
from datetime import datetime

from django.contrib.contenttypes.models import ContentType

from ..models import Binding, FormerEndpoint
from ..sync.changes import Action, Change
from ..sync.state import Bound
from ..sync.values import Pointer, Value, encode_all
from .displacement import Displacement
from .former_endpoints import was_created_by_sync
from .managed_objects import ManagedObjects
from .value_resolver import ValueResolver

__all__ = ('BindingWriter',)

# By these, an object is bound that was not bound to the same guest or node before.
BINDING = (Action.ADOPT, Action.CREATE)


class BindingWriter:
    """
    Args:
        moment: The time of the run.
        displacement: Knows which values this run has moved out of the way.
    """

    def __init__(
        self, moment: datetime, objects: ManagedObjects, values: ValueResolver, displacement: Displacement
    ) -> None:
        self.endpoint = objects.endpoint
        self.moment = moment
        self.objects = objects
        self.values = values
        self.displacement = displacement
        # None: not known yet.
        self.has_former_endpoints: bool | None = None

    def bind(self, change: Change, pointer: Pointer, skipped: Collection[str] = (), is_created: bool = False) -> None:
        """
        Bind an object, and store the values that were written.

        Args:
            skipped: Fields that were not written. Their last values stay, so that the next run finds the same
                difference again.
            is_created: Whether this change has created the object.
        """
        values = self.values_after(change, pointer, skipped)
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        if change.action in BINDING:
            # An object that was bound to something else until now, such as a removed NIC, is bound once.
            Binding.objects.filter(object_type=object_type, object_id=pointer.pk).exclude(
                endpoint=self.endpoint, kind=change.kind, key=change.key
            ).delete()
        state = {
            'unit': change.unit,
            'object_type': object_type,
            'object_id': pointer.pk,
            'values': encode_all(values),
            'missing_since': self.moment if change.action is Action.RETIRE else None,
        }
        if (change.kind, change.key) not in self.objects.pointers or change.action in BINDING:
            state['created_by_sync'] = is_created or self.was_created_by_sync(pointer)
        identity = {'endpoint': self.endpoint, 'kind': change.kind, 'key': change.key}
        row, _created = Binding.objects.update_or_create(
            **identity, defaults=state, create_defaults={**identity, **state, 'first_seen': self.moment}
        )
        self.objects.add(
            Bound(
                pk=row.pk,
                kind=change.kind,
                key=change.key,
                unit=change.unit,
                pointer=pointer,
                last=values,
                created_by_sync=row.created_by_sync,
                missing_since=row.missing_since,
                unmanaged=row.unmanaged,
            )
        )

    def unbind(self, change: Change) -> None:
        """Delete the binding of an object; with a guest or node, those of its parts as well."""
        rows = Binding.objects.filter(endpoint=self.endpoint, kind=change.kind, key=change.key)
        if change.key == change.unit:
            # Its parts were deleted with it; one that a user had moved elsewhere before is the user's.
            rows = Binding.objects.filter(endpoint=self.endpoint, unit=change.unit)
        for row in rows:
            self.objects.remove(row.kind, row.key)
        rows.delete()

    def values_after(self, change: Change, pointer: Pointer, skipped: Collection[str]) -> dict[str, Value]:
        """The values to store for an object whose change was written."""
        last = {field.name: field.last for field in change.fields if field.has_last}
        written = {field.name for field in change.writes}
        planned = change.binding or {}
        values: dict[str, Value] = {}
        for name, value in planned.items():
            if name not in skipped:
                value = self.values.resolve(value)
                values[name] = value if name in written else self.displacement.binding_value(pointer, name, value)
            elif name in last:
                values[name] = last[name]
        # A revert forgets fields that were never written before; those that it has not written remain.
        return values | {name: last[name] for name in skipped if name in last and name not in planned}

    def was_created_by_sync(self, pointer: Pointer) -> bool:
        """
        Whether a sync created an object that is bound now: in this run, for another purpose, or for an endpoint that
        was deleted.
        """
        bound = self.objects.bound_to.get(pointer)
        if bound is not None and bound.created_by_sync:
            return True
        if self.has_former_endpoints is None:
            self.has_former_endpoints = FormerEndpoint.objects.exists()
        return self.has_former_endpoints and was_created_by_sync(pointer)
