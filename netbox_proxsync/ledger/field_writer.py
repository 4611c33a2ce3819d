"""Writes fields of single NetBox objects, with NetBox's validation and change log."""

from collections.abc import Iterable
from datetime import datetime

from extras.models import CustomField
from netbox.models import NetBoxModel
from virtualization.models import VirtualMachine

from ..custom_fields import stored_fields, unusable_fields
from ..proxmox.messages import Message
from ..sync.changes import Change, FieldChange
from ..sync.kinds import KINDS
from ..sync.values import Pointer, Value
from .displacement import Displacement
from .errors import OutdatedError
from .fields import is_set, pointer_to, write
from .managed_objects import ManagedObjects
from .netbox_models import find, model_named
from .requirements import not_assignable
from .rollback import JournaledSet
from .validation import validate
from .value_resolver import ValueResolver

__all__ = ('FieldWriter',)


class FieldWriter:
    """
    Every method that writes raises what NetBox refuses with (ValidationError, AbortRequest, ...); the caller holds the
    savepoint.

    Args:
        message: For every entry of the change log.
        moment: The time of the run, for the stamp that says when an object was last changed by a run.

    Attributes:
        has_written: Set on each write; a caller clears it before to learn whether anything was written.
        stamped: The objects that this run has written.
    """

    def __init__(self, message: str, moment: datetime, values: ValueResolver, objects: ManagedObjects) -> None:
        self.message = message
        self.moment = moment
        self.values = values
        self.displacement = Displacement(self.save_field, objects.bound_to, objects.journal)
        self.stamped: JournaledSet[Pointer] = JournaledSet(objects.journal)
        # Custom fields that runs do not write, because NetBox would refuse the values.
        self.unusable = unusable_fields(stored_fields())
        self.has_written = False

    def locked(self, pointer: Pointer) -> NetBoxModel:
        """
        An object, locked until the transaction ends.

        Raises:
            OutdatedError: It was deleted.
        """
        rows = model_named(pointer.model).objects.select_for_update(of=('self',))
        instance: NetBoxModel | None = rows.filter(pk=pointer.pk).first()
        if instance is None:
            raise OutdatedError(Message('The object was deleted in NetBox since the plan was created.'))
        return instance

    def prepare(self, instance: NetBoxModel) -> None:
        """Note the present values of an object for the change log, before it is changed or deleted."""
        instance.snapshot()
        instance._changelog_message = self.message

    def save(self, instance: NetBoxModel) -> None:
        """Validate and save an object."""
        instance._changelog_message = self.message
        validate(instance)
        instance.save()
        self.has_written = True

    def save_field(self, instance: NetBoxModel, name: str, value: Value) -> None:
        """Write a single field."""
        self.prepare(instance)
        write(instance, name, value)
        self.save(instance)

    def write_fields(self, change: Change, fields: list[FieldChange], pointer: Pointer) -> list[str]:
        """
        Write fields that still hold what they held when the plan was made. If there is nothing to write, nothing is
        saved.

        Returns:
            The names of the other fields.

        Raises:
            OutdatedError, UnresolvedError
        """
        if not fields:
            return []
        instance = self.locked(pointer)
        sets = [field for field in fields if is_set(type(instance), field.name)]
        single = [field for field in fields if field not in sets]
        current = [field for field in single if self.displacement.is_current(instance, field.name, field.now)]
        if current or sets:
            self.prepare(instance)
            self.assign(instance, change, current)
            self.stamp(instance, change.kind)
            if current or KINDS[change.kind].stamp:
                self.save(instance)
            self.write_sets(instance, sets)
            self.stamped.add(pointer_to(instance))
        return [field.name for field in single if field not in current]

    def assign(self, instance: NetBoxModel, change: Change, fields: Iterable[FieldChange]) -> None:
        """Give an object the values of fields, and whatever NetBox demands along with them. Nothing is saved."""
        names = set()
        for field in fields:
            want = self.values.resolve(field.want)
            if field.name == 'assigned_object' and field.now is not None:
                self.displacement.clear_primary_ip(instance, want)
            write(instance, field.name, want)
            names.add(field.name)
        if change.kind == 'vm' and 'cluster' in names:
            follow_cluster(instance)
        if 'name' in names:
            self.displacement.displace(instance)

    def write_sets(self, instance: NetBoxModel, fields: Iterable[FieldChange]) -> None:
        """Add and remove single elements, so that what others added meanwhile remains."""
        for field in fields:
            if not is_set(type(instance), field.name):
                continue
            if field.name == 'tags':
                self.values.unassignable |= not_assignable(self.values.resolve_objects(field.want), instance)
            want, now = self.values.resolve_objects(field.want), pointers_in(field.now)
            manager = getattr(instance, field.name)
            if added := want - now:
                manager.add(*existing_objects(added))
            if removed := now - want:
                manager.remove(*existing_objects(removed))
            self.has_written |= bool(added or removed)

    def stamp(self, instance: NetBoxModel, kind: str) -> None:
        """Set the custom field that says when a run has last changed an object. Nothing is saved."""
        stamp = KINDS[kind].stamp
        fields = {field.name for field in CustomField.objects.get_for_model(type(instance))} - self.unusable
        if stamp and stamp in fields:
            instance.custom_field_data[stamp] = self.moment.isoformat()


def follow_cluster(instance: VirtualMachine) -> None:
    """
    A virtual machine that moves to another cluster gets the site of that cluster, and is taken from a device that is
    not in the cluster: NetBox accepts no others.
    """
    if instance.cluster and instance.cluster._site_id:
        instance.site_id = instance.cluster._site_id
    if instance.device and instance.device.cluster_id != instance.cluster_id:
        instance.device = None


def pointers_in(value: Value) -> frozenset[Pointer]:
    """The objects of a set that is stored in NetBox."""
    elements = value if isinstance(value, frozenset) else ()
    return frozenset(element for element in elements if isinstance(element, Pointer))


def existing_objects(pointers: Iterable[Pointer]) -> list[NetBoxModel]:
    """The objects that still exist, by one query for each."""
    return [instance for instance in map(find, pointers) if instance is not None]
