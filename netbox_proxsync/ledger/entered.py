"""What users have entered in an object of the sync, according to the fields of its model, so that none is missed."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import models
from django.db.models import Sum
from extras.models import CustomField
from netbox.models import NetBoxModel

from ..sync.kinds import KINDS, Owner
from ..sync.state import Bound
from ..sync.values import as_set
from .fields import is_set, read

__all__ = ('enterable_fields', 'entered_fields')

# Fields that NetBox's forms do not offer although Django calls them editable: NetBox sets them for the cables and
# wireless links of an interface, which are dependents themselves. Custom fields are compared one by one.
SET_BY_NETBOX = {
    'cable', 'cable_connector', 'cable_end', 'cable_positions', 'custom_field_data', 'wireless_link',
}  # fmt: skip

EMPTY: tuple[object, ...] = (None, '', [], {})


def has_site_of_cluster(vm: Any) -> bool:
    """Whether the site of a virtual machine is the one of its cluster, or of a device there, where NetBox takes it."""
    cluster = vm.cluster
    if cluster is None:
        return False
    return bool(vm.site_id == cluster._site_id or cluster.devices.filter(site=vm.site_id).exists())


def has_size_of_disks(vm: Any) -> bool:
    """Whether the size of a virtual machine is the sum that NetBox computes of its virtual disks."""
    return bool(vm.disk == vm.virtualdisks.aggregate(Sum('size'))['size__sum'])


def is_inherited(holder: str, default: str) -> Callable[[Any, Any], bool]:
    """
    A function that returns whether a value is the one that NetBox sets in a new object from another one.

    Args:
        holder: The field that refers to the other object.
        default: Its field with the value.
    """

    def inherits(instance: Any, value: Any) -> bool:
        other = getattr(instance, holder)
        return other is not None and read(other, default) == value

    return inherits


# Fields that NetBox fills itself if nobody has entered a value: whether it has filled in this one.
FILLED: dict[tuple[str, str], Callable[[Any, Any], bool]] = {
    ('dcim.device', 'airflow'): is_inherited('device_type', 'airflow'),
    ('dcim.device', 'cooling_method'): is_inherited('device_type', 'cooling_method'),
    ('dcim.device', 'platform'): is_inherited('device_type', 'default_platform'),
    ('virtualization.virtualmachine', 'disk'): lambda vm, _size: has_size_of_disks(vm),
    ('virtualization.virtualmachine', 'memory'): is_inherited('virtual_machine_type', 'default_memory'),
    ('virtualization.virtualmachine', 'platform'): is_inherited('virtual_machine_type', 'default_platform'),
    ('virtualization.virtualmachine', 'site'): lambda vm, _site: has_site_of_cluster(vm),
    ('virtualization.virtualmachine', 'vcpus'): is_inherited('virtual_machine_type', 'default_vcpus'),
}


def entered_fields(instance: NetBoxModel, bound: Bound) -> Iterator[str]:
    """The fields which a user has filled, or edited since the endpoint wrote them; custom fields without prefix."""
    yield from edited_fields(instance, bound)
    yield from filled_fields(instance, bound)
    yield from filled_custom_fields(instance, bound)


def edited_fields(instance: NetBoxModel, bound: Bound) -> Iterator[str]:
    """Editorial fields that do not hold what this endpoint wrote."""
    for spec in KINDS[bound.kind].fields:
        is_written = spec.owner is Owner.EDITORIAL and spec.name in bound.last
        if is_written and read(instance, spec.name) != bound.last[spec.name]:
            yield spec.name


def filled_fields(instance: NetBoxModel, bound: Bound) -> Iterator[str]:
    """
    Fields that this endpoint has not written and that do not hold their defaults; fields of several objects (tags) that
    hold others than those that it has written.
    """
    label = instance._meta.label_lower
    for name, default in enterable_fields(bound.kind).items():
        if is_set(type(instance), name):
            if as_set(read(instance, name)) - as_set(bound.last.get(name)):
                yield name
        elif name not in bound.last:
            value = read(instance, name)
            was_filled = FILLED.get((label, name))
            if not is_same(value, default) and not (was_filled and was_filled(instance, value)):
                yield name


@cache
def enterable_fields(kind: str) -> dict[str, Any]:
    """
    The fields of a kind that a user can fill, with the values that they have if nobody has.

    A field that NetBox requires has no such value: the sync has written it. Fields that identify the object are
    the sync's as well.
    """
    instance = model_of(kind)()
    fixed = {spec.name for spec in KINDS[kind].fields if spec.fixed}
    return {
        field.name: frozenset() if is_set(type(instance), field.name) else read(instance, field.name)
        for field in editable_fields(type(instance))
        if field.name not in fixed and is_optional(field)
    }


def model_of(kind: str) -> type[models.Model]:
    """The model of a kind."""
    return apps.get_model(KINDS[kind].model)


def editable_fields(model: type[models.Model]) -> Iterator[Any]:
    """The fields of a model that a user can edit. A generic foreign key stands for its two fields."""
    generic = [field for field in model._meta.private_fields if isinstance(field, GenericForeignKey)]
    parts = {name for field in generic for name in (field.ct_field, field.fk_field)}
    yield from generic
    for field in (*model._meta.concrete_fields, *model._meta.many_to_many):
        # NetBox names the copies of values of other objects '_site'.
        is_copy = field.name.startswith('_')
        if field.editable and not field.auto_created and not is_copy and field.name not in parts | SET_BY_NETBOX:
            yield field


def is_optional(field: Any) -> bool:
    """Whether an object can do without a value of its own in the field."""
    return isinstance(field, GenericForeignKey) or bool(field.many_to_many or field.blank or field.has_default())


def is_same(value: Any, default: Any) -> bool:
    """Whether a value is the default. There are several empty values."""
    return bool(value == default) or (value in EMPTY and default in EMPTY)


def filled_custom_fields(instance: NetBoxModel, bound: Bound) -> Iterator[str]:
    """Custom fields that this plugin does not write and that hold another value than their default."""
    kind = KINDS[bound.kind]
    written = {f'cf_{kind.stamp}', *(spec.name for spec in kind.fields)}
    for field in CustomField.objects.get_for_model(type(instance)):
        value = instance.custom_field_data.get(field.name)
        if f'cf_{field.name}' not in written and value not in (None, '', [], field.default):
            yield field.name
