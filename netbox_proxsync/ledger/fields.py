"""A field of a NetBox object <-> a `Value`. Custom fields are named 'cf_<name>'."""

from decimal import Decimal
from typing import Any

from dcim.fields import MACAddressField
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from ipam.fields import IPAddressField
from netaddr import IPNetwork
from taggit.managers import TaggableManager

from ..sync.values import Pointer, Value, decimal_text, plain_lines

__all__ = ('is_set', 'pointer_to', 'read', 'read_all', 'write')

CUSTOM = 'cf_'


def pointer_to(instance: models.Model) -> Pointer:
    """The pointer to an object, labelled as NetBox labels it."""
    return Pointer(instance._meta.label_lower, instance.pk, str(instance))


def read(instance: models.Model, name: str) -> Value:
    """
    The value of a field now. Related objects that are loaded are labelled; none is fetched for its label.

    Tags and other sets are taken from the prefetch cache where there is one.
    """
    if name.startswith(CUSTOM):
        value = instance.custom_field_data.get(name.removeprefix(CUSTOM))
        return plain_lines(value) if isinstance(value, str) else value
    field = instance._meta.get_field(name)
    match field:
        case GenericForeignKey():
            return generic_pointer(instance, field)
        case TaggableManager() | models.ManyToManyField():
            return frozenset(pointer_to(element) for element in getattr(instance, name).all())
        case models.ForeignKey():
            return foreign_pointer(instance, field)
        case models.DecimalField():
            return decimal_text(getattr(instance, name))
        case IPAddressField() | MACAddressField():
            value = getattr(instance, name)
            return None if value is None else str(value)
        case models.TextField():
            value = getattr(instance, name)
            return value and plain_lines(value)
    return getattr(instance, name)


def read_all(instance: models.Model, names: list[str]) -> dict[str, Value]:
    return {name: read(instance, name) for name in names}


def is_set(model: type[models.Model], name: str) -> bool:
    """Whether a field holds many objects, which are added and removed one by one after the object is saved."""
    return not name.startswith(CUSTOM) and isinstance(
        model._meta.get_field(name), TaggableManager | models.ManyToManyField
    )


def write(instance: models.Model, name: str, value: Value) -> None:
    """Set a field (not a set) to a value whose objects all exist. Nothing is saved."""
    if name.startswith(CUSTOM):
        instance.custom_field_data[name.removeprefix(CUSTOM)] = value
        return
    field = instance._meta.get_field(name)
    match field:
        case GenericForeignKey():
            object_type = ContentType.objects.get_by_natural_key(*value.model.split('.')) if value else None
            setattr(instance, field.ct_field, object_type)
            setattr(instance, field.fk_field, value.pk if value else None)
        case models.ForeignKey():
            setattr(instance, field.attname, value.pk if value else None)
        case _:
            setattr(instance, name, to_python(field, value))


def to_python(field: models.Field, value: Any) -> Any:
    if value is None:
        return None
    match field:
        case models.DecimalField():
            return Decimal(value)
        case IPAddressField():
            return IPNetwork(value)
        case _:
            return field.to_python(value)


def foreign_pointer(instance: models.Model, field: models.ForeignKey) -> Pointer | None:
    pk = getattr(instance, field.attname)
    if pk is None:
        return None
    label = str(getattr(instance, field.name)) if field.is_cached(instance) else ''
    return Pointer(field.related_model._meta.label_lower, pk, label)


def generic_pointer(instance: models.Model, field: GenericForeignKey) -> Pointer | None:
    object_type_id = getattr(instance, f'{field.ct_field}_id')
    pk = getattr(instance, field.fk_field)
    if object_type_id is None or pk is None:
        return None
    object_type = ContentType.objects.get_for_id(object_type_id)
    label = str(getattr(instance, field.name)) if field.is_cached(instance) else ''
    return Pointer(f'{object_type.app_label}.{object_type.model}', pk, label)
