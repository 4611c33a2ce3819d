"""Writes the changes of a plan that undoes a run."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from netbox.models import NetBoxModel

from ..models import Binding, ProxmoxEndpoint
from ..proxmox.messages import Message, joined
from ..sync.changes import Action, Change, FieldChange
from ..sync.kind_names import CLUSTER
from ..sync.kinds import KINDS
from ..sync.ownership import is_empty
from ..sync.reverting import HOLDER_LEFT, holder_of
from ..sync.state import Bound
from ..sync.values import Pointer, encode
from .dependents import DependentFinder, describe
from .errors import OutdatedError
from .fields import pointer_to, read
from .netbox_models import find
from .objects import ObjectWriter

__all__ = ('RevertObjectWriter',)


type Deletions = Mapping[Pointer, Change]


class Others:
    """The managed objects that a plan does not delete."""

    def __init__(self, deletions: Deletions) -> None:
        self.deletions = deletions

    def __contains__(self, pointer: object) -> bool:
        return pointer not in self.deletions


class RevertDependents(DependentFinder):
    """
    As the base class; what was changed in the object or in a part that would be deleted with it counts as well.

    Args:
        bound_to: The bindings of the endpoint by their objects.
        deletions: The deletions of the plan by their objects.
        changed: The fields of an object that were changed since the run.
    """

    def __init__(
        self,
        bound_to: Mapping[Pointer, Bound],
        deletions: Deletions,
        changed: Callable[[NetBoxModel, Change], list[str]],
    ) -> None:
        super().__init__(bound_to, kept=Others(deletions))
        self.deletions = deletions
        self.changed = changed

    def find(self, instance: NetBoxModel) -> Iterator[str]:
        """As the base class."""
        yield from super().find(instance)
        change = self.deletions[pointer_to(instance)]
        yield from (f'"{name}" of {describe(instance)}' for name in self.changed(instance, change))


class RevertObjectWriter(ObjectWriter):
    """
    As the base class; it also deletes what is not retired. It deletes nothing that was changed since the plan was
    made, and nothing on which other objects depend.
    """

    def __init__(
        self, endpoint: ProxmoxEndpoint, message: str, moment: datetime, planned: datetime | None = None
    ) -> None:
        super().__init__(endpoint, message, moment, planned)
        self.deletions: dict[Pointer, Change] = {}

    def expect(self, changes: Iterable[Change]) -> None:
        """As the base class; also note which objects the plan deletes."""
        super().expect(self.noting(changes))

    def noting(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The same changes, while the objects that they delete are noted."""
        for change in changes:
            if change.action is Action.DELETE and change.pointer:
                self.deletions[change.pointer] = change
            yield change

    def check(self, change: Change) -> None:
        """As the base class. The deletion of an object that was deleted along with the one it belongs to is allowed."""
        if change.action is not Action.DELETE or change.pointer is None:
            super().check(change)
            return
        if find(change.pointer) is None:
            return
        super().check(change)
        holder = holder_of(change)
        if holder in self.deletions and holder in self.objects.bound_to:
            raise OutdatedError(HOLDER_LEFT)

    def delete(self, change: Change) -> None:
        """
        Delete an object and its binding. With it, NetBox deletes its parts.

        Raises:
            OutdatedError: It was changed since the plan was made, or has dependents.
        """
        pointer = self.objects.pointer_of(change)
        if find(pointer) is None:
            self.bindings.unbind(change)
            return
        instance = self.fields.locked(pointer)
        if changed := self.changed(instance, change):
            raise OutdatedError(Message('Changed since the run: {fields}.', fields=joined(changed, ', ')))
        if change.kind == CLUSTER:
            self.unassign_cluster(pointer)
        finder = RevertDependents(self.objects.bound_to, self.deletions, self.changed)
        if dependents := sorted(set(finder.find(instance))):
            raise OutdatedError(Message('Dependent objects: {dependents}.', dependents=joined(dependents, ', ')))
        self.fields.prepare(instance)
        instance.delete()
        self.fields.has_written = True
        self.bindings.unbind(change)

    def update(self, change: Change) -> list[str]:
        """As the base class; what Proxmox VE has said of the fields remains known."""
        outdated = super().update(change)
        self.remember_reported(change, [each for each in change.writes if not each.deferred], outdated)
        return outdated

    def write_late(self, change: Change, names: Collection[str], pending: Collection[str] = ()) -> list[str]:
        """As the base class; what Proxmox VE has said of the fields remains known."""
        outdated = super().write_late(change, names, pending)
        written = [each for each in change.writes if each.deferred and each.name in names]
        self.remember_reported(change, written, outdated)
        return outdated

    def remember_reported(self, change: Change, fields: Iterable[FieldChange], outdated: Collection[str]) -> None:
        """
        Store that Proxmox VE has other values than the ones that were restored, so that users can decide at once
        whether NetBox keeps these.

        Args:
            outdated: The fields that were not restored.
        """
        if change.action is not Action.UPDATE:
            return
        single = (each for each in fields if each.name not in outdated and not isinstance(each.want, frozenset))
        row = Binding.objects.get(endpoint=self.endpoint, kind=change.kind, key=change.key)
        row.proxmox_values |= {each.name: encode(each.now) for each in single}
        row.save(update_fields=['proxmox_values'])

    def release(self, change: Change) -> list[str]:
        """
        As the base class, also if the object is the primary address of one that the plan deletes. The object does not
        say any more when a run has changed it.
        """
        instance = self.fields.locked(self.objects.pointer_of(change))
        self.fields.displacement.clear_primary_fields(instance, self.deletions)
        fields = tuple(self.current(each, instance) for each in change.fields)
        outdated = super().release(replace(change, fields=fields))
        if stamp := KINDS[change.kind].stamp:
            instance = self.fields.locked(self.objects.pointer_of(change))
            self.fields.prepare(instance)
            instance.custom_field_data[stamp] = None
            self.fields.save(instance)
        return outdated

    def current(self, field: FieldChange, instance: NetBoxModel) -> FieldChange:
        """A field with the value that it holds now, if it was only emptied because the plan deletes what it named."""
        now = read(instance, field.name)
        return field if isinstance(now, frozenset) or self.is_changed(instance, field) else replace(field, now=now)

    def changed(self, instance: NetBoxModel, change: Change) -> list[str]:
        """The fields of a created object that do not hold what the run has written, or that were filled since."""
        written = {each.name for each in change.fields}
        names = [each.name for each in change.fields if self.is_changed(instance, each)]
        return [*names, *(name for name in filled(instance, change.kind) if name not in written)]

    def is_changed(self, instance: NetBoxModel, field: FieldChange) -> bool:
        """Whether a field does not hold what it did when the plan was made, and this run is not the reason."""
        if self.fields.displacement.is_current(instance, field.name, field.now):
            return False
        if read(instance, field.name) is None and isinstance(field.now, Pointer):
            # NetBox empties the field when the object is deleted.
            return find(field.now) is not None
        return True

    def unassign_cluster(self, cluster: Pointer) -> None:
        """Take the cluster that is deleted from the endpoint, to which a run had assigned it."""
        endpoint = ProxmoxEndpoint.objects.get(pk=self.endpoint.pk)
        if endpoint.cluster_id == cluster.pk:
            self.fields.prepare(endpoint)
            endpoint.cluster_id = None
            endpoint.save()


def filled(instance: NetBoxModel, kind: str) -> Iterator[str]:
    """The fields of a kind that hold something else than in a new object."""
    blank = type(instance)()
    for spec in KINDS[kind].fields:
        value = read(instance, spec.name)
        if is_empty(value):
            continue
        if isinstance(value, frozenset) or spec.name.startswith('cf_') or read(blank, spec.name) != value:
            yield spec.name
