"""The guests or nodes that are created together."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from dcim.models import Device, Interface, VirtualDeviceContext
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from extras.models import Tag, TaggedItem
from ipam.models import VLAN
from netbox.models import NetBoxModel
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface
from wireless.models import WirelessLAN

from ...choices import ChangeOutcomeChoices
from ...models import Binding
from ...sync.changes import Change, FieldChange
from ...sync.kinds import KINDS
from ...sync.state import Bound
from ...sync.values import Pointer, Ref, Value, encode_all
from ..errors import OutdatedError, UnresolvedError
from ..fields import is_set, pointer_to, write
from ..netbox_models import model_named
from ..objects import ObjectWriter
from ..related_objects import RelatedObjects, keep_prefetched
from ..requirements import limits_of_tags, tags_with_limits
from ..results import Result
from .change_log import ChangeLog
from .checks import Checks
from .column_updates import update_columns
from .derived_values import count_created, invalidate_config_contexts, sum_disks
from .errors import ExcludedError
from .serialization import serialized_in_less_time

__all__ = ('Batch',)

TAGS, VLANS = 'tags', 'tagged_vlans'
MODELS_OF_SETS: dict[str, type[models.Model]] = {
    TAGS: Tag, VLANS: VLAN, 'vdcs': VirtualDeviceContext, 'wireless_lans': WirelessLAN,
}  # fmt: skip
# By model: the sets of its objects, in addition to tags.
SETS: dict[type[models.Model], tuple[str, ...]] = {
    VMInterface: (VLANS,),
    Interface: (VLANS, 'vdcs', 'wireless_lans'),
}


@dataclass
class Draft:
    """
    An object that is created.

    Attributes:
        sets: The objects of its sets (tags, tagged VLANs), by field.
    """

    change: Change
    instance: NetBoxModel
    sets: dict[str, list[models.Model]]

    @property
    def late(self) -> list[FieldChange]:
        """The fields that point to objects which are created after this one."""
        return [field for field in self.change.writes if field.deferred]

    def keep_sets(self, instance: NetBoxModel) -> None:
        """Put the sets where NetBox looks for them before it queries."""
        for name, elements in self.sets.items():
            keep_prefetched(instance, name, MODELS_OF_SETS[name], elements)


class Batch:
    """
    Creates the objects of guests, or of nodes, of which NetBox has nothing yet, all units at a time.

    Everything is written within a savepoint of the caller. The steps are those of `ObjectWriter`, for many objects.

    Args:
        quiet: Whether event rules are not notified.
    """

    def __init__(self, objects: ObjectWriter, units: Sequence[Sequence[Change]], quiet: bool) -> None:
        self.objects = objects
        self.units = units
        self.related = RelatedObjects()
        self.checks = Checks()
        self.log = ChangeLog(quiet)
        self.drafts: dict[str, list[Draft]] = {}
        self.created = {(change.kind, change.key) for unit in units for change in unit if not change.action.is_open}
        # By virtual machine or device.
        self.interfaces: dict[int, list[models.Model]] = {}

    def write(self) -> dict[str, list[Result]]:
        """
        Create the objects and their bindings.

        Returns:
            The results by unit, in the order of its changes.

        Raises:
            ExcludedError: Some units have to be written one by one.
        """
        self._check_units()
        changes = [change for unit in self.units for change in unit if not change.action.is_open]
        for name, kind in KINDS.items():
            if of_kind := [change for change in changes if change.kind == name]:
                self._create(model_named(kind.model), of_kind)
        self._derive_values()
        for drafts in self.drafts.values():
            self._write_late([draft for draft in drafts if draft.late])
        self.log.save()
        self._bind()
        return {unit[0].unit: [self._result(change) for change in unit] for unit in self.units}

    # Before anything is written

    def _check_units(self) -> None:
        excluded = {unit[0].unit for unit in self.units if not self._is_allowed(unit)}
        if excluded:
            raise ExcludedError(excluded)

    def _is_allowed(self, unit: Iterable[Change]) -> bool:
        """Whether all changes of a unit may be written, also by the decisions of users since the plan was created."""
        for change in unit:
            if change.action.is_open:
                continue
            if (change.kind, change.key) in self.objects.objects.pointers:
                return False
            wanted = flattened(field.want for field in change.writes)
            if any(isinstance(value, Ref) and not self._exists(value) for value in wanted):
                # Another object could not be written, such as the device of a node.
                return False
            try:
                self.objects.check(change)
            except (OutdatedError, UnresolvedError):
                return False
        return True

    def _exists(self, ref: Ref) -> bool:
        """Whether the object that a reference names exists, or is created as well."""
        return self.objects.values.exists(ref) or (ref.kind, ref.key) in self.created

    # Creation

    def _create(self, model: type[NetBoxModel], changes: Sequence[Change]) -> None:
        """Create objects of one model."""
        values = {id(change): self._early_values(model, change) for change in changes}
        pointers = (value for wants in values.values() for value in flattened(wants.values()))
        self.related.load((value.model, value.pk) for value in pointers if isinstance(value, Pointer))
        drafts = [self._draft(model, change, values[id(change)]) for change in changes]
        instances = [draft.instance for draft in drafts]
        self._exclude(drafts, self.related.attach(instances))
        self._exclude(drafts, self.checks.refused(model, instances))
        for instance in instances:
            run_save(instance)
        model._default_manager.bulk_create(instances)
        self.related.add(instances)
        for instance in instances:
            if isinstance(instance, VMInterface | Interface):
                self.interfaces.setdefault(instance.parent_object.pk, []).append(instance)
        self._add_sets(model, drafts)
        count_created(model, instances)
        self.log.created(instances)
        for draft in drafts:
            pointer = pointer_to(draft.instance)
            self.objects.objects.pointers[draft.change.kind, draft.change.key] = pointer
            self.objects.fields.stamped.add(pointer)
        self.drafts[changes[0].kind] = drafts

    def _early_values(self, model: type[NetBoxModel], change: Change) -> dict[str, Value]:
        """The values of the fields that are written when an object is created."""
        self.objects.begin_change(change)
        return {field.name: self.objects.values.resolve(field.want) for field in change.writes if not field.deferred}

    def _draft(self, model: type[NetBoxModel], change: Change, values: dict[str, Value]) -> Draft:
        """A new object with its values. Nothing is written."""
        instance = model()
        instance._changelog_message = self.objects.fields.message
        sets: dict[str, list[models.Model]] = {name: [] for name in (TAGS, *SETS.get(model, ()))}
        try:
            for name, value in values.items():
                if is_set(model, name):
                    sets[name] = [self.related.get(each) for each in flattened([value]) if isinstance(each, Pointer)]
                elif isinstance(value, Pointer) and isinstance(model._meta.get_field(name), GenericForeignKey):
                    setattr(instance, name, self.related.get(value))
                else:
                    write(instance, name, value)
        except KeyError as error:
            # A tag or a VLAN was deleted since the plan was created.
            raise ExcludedError({change.unit}) from error
        self.objects.fields.stamp(instance, change.kind)
        return Draft(change, instance, sets)

    def _exclude(self, drafts: Iterable[Draft], refused: Iterable[NetBoxModel]) -> None:
        """
        Raises:
            ExcludedError: There are refused objects. It names their units.
        """
        if found := {id(instance) for instance in refused}:
            raise ExcludedError({draft.change.unit for draft in drafts if id(draft.instance) in found})

    def _add_sets(self, model: type[NetBoxModel], drafts: Sequence[Draft]) -> None:
        """Add the tags and VLANs of new objects, and put them where NetBox looks for them before it queries."""
        limits = limits_of_tags(tags_with_limits()) if any(draft.sets[TAGS] for draft in drafts) else {}
        label, object_type = model._meta.label_lower, ContentType.objects.get_for_model(model)
        self._exclude(
            drafts,
            [
                draft.instance
                for draft in drafts
                if any(label not in limits.get(pointer_to(tag), (label,)) for tag in draft.sets[TAGS])
                # NetBox removes the VLANs when it saves the interface the next time.
                or (draft.sets.get(VLANS) and cast('VMInterface | Interface', draft.instance).mode != 'tagged')
            ],
        )
        TaggedItem.objects.bulk_create(
            TaggedItem(content_type=object_type, object_id=draft.instance.pk, tag_id=tag.pk)
            for draft in drafts
            for tag in draft.sets[TAGS]
        )
        if model in SETS:
            through = cast('Any', model).tagged_vlans.through
            ranks = ranks_of({vlan.pk for draft in drafts for vlan in draft.sets[VLANS]})
            for draft in drafts:
                draft.sets[VLANS].sort(key=lambda vlan: ranks[vlan.pk])
            through._default_manager.bulk_create(
                through(**{f'{model._meta.model_name}_id': draft.instance.pk}, vlan_id=vlan.pk)
                for draft in drafts
                for vlan in draft.sets[VLANS]
            )
        for draft in drafts:
            draft.keep_sets(draft.instance)

    def _derive_values(self) -> None:
        """Update what NetBox derives from the new objects."""
        drafts = list(chain.from_iterable(self.drafts.values()))
        sum_disks(draft.instance for draft in drafts if isinstance(draft.instance, VirtualDisk))
        for model in (VirtualMachine, Device):
            machines = [draft for draft in drafts if isinstance(draft.instance, model)]
            invalidate_config_contexts(
                model,
                [draft.instance.pk for draft in machines],
                [draft.instance.pk for draft in machines if draft.sets[TAGS]],
            )

    # Fields that point to objects of the same unit

    def _write_late(self, drafts: Sequence[Draft]) -> None:
        """Write the late fields of new objects of one model."""
        if not drafts:
            return
        model = type(drafts[0].instance)
        # As NetBox has them now: with counters, sums and rounded numbers.
        stored = model._default_manager.in_bulk([draft.instance.pk for draft in drafts])
        instances = {draft.instance.pk: stored[draft.instance.pk] for draft in drafts}
        for draft in drafts:
            instance = instances[draft.instance.pk]
            draft.keep_sets(instance)
            with serialized_in_less_time(instance):
                self.objects.fields.prepare(instance)
            for field in draft.late:
                write(instance, field.name, self.objects.values.resolve(field.want))
            instance.last_updated = timezone.now()
        lacking = {instance.pk for instance in self.related.attach(instances.values())}
        self._exclude(
            drafts,
            [
                draft.instance
                for draft in drafts
                if draft.instance.pk in lacking or not self._is_valid_late(instances[draft.instance.pk])
            ],
        )
        names = sorted({field.name for draft in drafts for field in draft.late})
        update_columns(instances.values(), [*names, 'last_updated'])
        self.log.updated(instances.values())

    def _is_valid_late(self, instance: NetBoxModel) -> bool:
        """
        Whether NetBox accepts the late fields of an object that it has accepted without them.

        Raises:
            ValidationError: It does not.
        """
        if isinstance(instance, VMInterface):
            mac = instance.primary_mac_address
            return mac is None or mac.assigned_object == instance
        if isinstance(instance, Interface):
            instance.clean()
            return True
        if isinstance(instance, Device):
            with queries_answered(instance, self.interfaces.get(instance.pk, [])):
                instance.clean()
            return True
        keep_prefetched(instance, 'interfaces', VMInterface, self.interfaces.get(instance.pk, []))
        # The sum of its disks, for which NetBox would query, was written a moment ago.
        instance._state.adding = True
        try:
            instance.clean()
        finally:
            instance._state.adding = False
            del cast('Any', instance)._prefetched_objects_cache['interfaces']
        return True

    # Bindings and results

    def _bind(self) -> None:
        """Bind the new objects to the guests or nodes."""
        drafts = list(chain.from_iterable(self.drafts.values()))
        values = {id(draft): self._bound_values(draft) for draft in drafts}
        rows = Binding.objects.bulk_create(
            Binding(
                endpoint=self.objects.endpoint,
                kind=draft.change.kind,
                key=draft.change.key,
                unit=draft.change.unit,
                object_type=ContentType.objects.get_for_model(draft.instance),
                object_id=draft.instance.pk,
                values=encode_all(values[id(draft)]),
                created_by_sync=True,
            )
            for draft in drafts
        )
        for row, draft in zip(rows, drafts, strict=True):
            self.objects.objects.add(
                Bound(
                    pk=row.pk,
                    kind=row.kind,
                    key=row.key,
                    unit=row.unit,
                    pointer=pointer_to(draft.instance),
                    last=values[id(draft)],
                    created_by_sync=True,
                    missing_since=None,
                    unmanaged=False,
                )
            )

    def _bound_values(self, draft: Draft) -> dict[str, Value]:
        return self.objects.bindings.values_after(draft.change, pointer_to(draft.instance), skipped=())

    def _result(self, change: Change) -> Result:
        if change.action.is_open:
            return Result(change, ChangeOutcomeChoices.SKIPPED)
        return Result(change, ChangeOutcomeChoices.APPLIED, pointer=self.objects.written_object(change))


def run_save(instance: NetBoxModel) -> None:
    """Do what NetBox does to an object when it is saved, until its row would be written."""
    cast('Any', instance).save_base = lambda *args, **kwargs: None
    try:
        if isinstance(instance, Device):
            save_device(instance)
        else:
            instance.save()
    finally:
        del cast('Any', instance).save_base


def save_device(device: Device) -> None:
    """As `Device.save` of a new device that is in no rack, and of whose type NetBox creates no components."""
    device_type = device.device_type
    device.airflow = device.airflow or device_type.airflow
    device.cooling_method = device.cooling_method or device_type.cooling_method
    device.platform = device.platform or device_type.default_platform
    super(Device, device).save()


@contextmanager
def queries_answered(device: Device, interfaces: Collection[models.Model]) -> Iterator[None]:
    """Let NetBox validate a new device within without queries for its interfaces and its virtual chassis."""
    cast('Any', device).vc_interfaces = lambda **_options: interfaces
    master_for = cast('Any', Device._meta.get_field('vc_master_for'))
    master_for.set_cached_value(device, None)
    try:
        yield
    finally:
        del cast('Any', device).vc_interfaces
        master_for.delete_cached_value(device)


def flattened(values: Iterable[Value]) -> Iterator[Value]:
    """Values, and the elements of sets instead of these."""
    for value in values:
        yield from value if isinstance(value, frozenset) else (value,)


def ranks_of(vlans: Collection[int]) -> dict[int, int]:
    """The positions of VLANs (pks) in NetBox's order, in which the change log lists them."""
    ordered = VLAN.objects.filter(pk__in=vlans).values_list('pk', flat=True) if vlans else ()
    return {pk: position for position, pk in enumerate(ordered)}
