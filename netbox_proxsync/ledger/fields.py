"""Reads and writes fields of NetBox objects as values of a sync. Custom fields are named 'cf_<name>'."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, cast

from dcim.fields import MACAddressField
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from ipam.fields import IPAddressField
from netaddr import IPNetwork
from netbox.models import NetBoxModel
from taggit.managers import TaggableManager

from ..sync.values import Pointer, Value, decimal_text, plain_lines

__all__ = ('is_set', 'keep_pointers', 'label_of', 'pointer_to', 'read', 'read_all', 'write')

CUSTOM = 'cf_'
# Where `keep_pointers` keeps the pointer to an object.
POINTER = '_proxsync_pointer'


def pointer_to(instance: models.Model) -> Pointer:
    """A pointer to an object, with the label that NetBox shows."""
    kept: Pointer | None = instance.__dict__.get(POINTER)
    return kept or Pointer(label_of(type(instance)), instance.pk, str(instance))


@cache
def label_of(model: type[models.Model]) -> str:
    """The name of a model, as 'app_label.model_name': the same text each time, of which Django makes another one."""
    return model._meta.label_lower


def keep_pointers(instances: Iterable[models.Model]) -> None:
    """Let `pointer_to` create only one pointer to each of some objects, which are not changed from now on."""
    for instance in instances:
        instance.__dict__[POINTER] = pointer_to(instance)


def read(instance: models.Model, name: str) -> Value:
    """
    The present value of a field. Related objects have a label if they are loaded already; none is loaded for it.

    Tags and other sets are read from the prefetch cache if there is one.
    """
    return reader_of(type(instance), name)(instance)


@cache
def readers_of(model: type[models.Model], names: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Value]], ...]:
    """The functions that read fields of objects of a model, with the names of the fields."""
    return tuple((name, reader_of(model, name)) for name in names)


@cache
def reader_of(model: type[models.Model], name: str) -> Callable[[Any], Value]:
    """A function that reads a field of objects of a model."""
    if name.startswith(CUSTOM):
        key = name.removeprefix(CUSTOM)
        return lambda instance: in_plain_lines(instance.custom_field_data.get(key))
    field = model._meta.get_field(name)
    plain = attrgetter(name)
    match field:
        case GenericForeignKey():
            return lambda instance: generic_pointer(instance, field)
        case TaggableManager() | models.ManyToManyField():
            return lambda instance: frozenset(pointer_to(element) for element in getattr(instance, name).all())
        case models.ForeignKey():
            return lambda instance: foreign_pointer(instance, field)
        case models.DecimalField():
            return lambda instance: decimal_text(plain(instance))
        case IPAddressField() | MACAddressField():
            return lambda instance: None if (value := plain(instance)) is None else str(value)
        case models.TextField():
            return lambda instance: in_plain_lines(plain(instance))
    return plain


def in_plain_lines(value: Value) -> Value:
    """A text with plain line breaks; other values as they are."""
    return plain_lines(value) if isinstance(value, str) else value


def custom_field_data(instance: models.Model) -> dict[str, Any]:
    """The custom fields of an object whose model has some."""
    return cast('dict[str, Any]', cast('NetBoxModel', instance).custom_field_data)


def read_all(instance: models.Model, names: Iterable[str]) -> dict[str, Value]:
    """The present values of several fields, by name."""
    return {name: read(instance) for name, read in readers_of(type(instance), tuple(names))}


def is_set(model: type[models.Model], name: str) -> bool:
    """Whether a field holds several objects, which are added and removed one by one after the object is saved."""
    return not name.startswith(CUSTOM) and isinstance(
        model._meta.get_field(name), TaggableManager | models.ManyToManyField
    )


def write(instance: models.Model, name: str, value: Value) -> None:
    """Set a field that holds a single value. Its object exists, if it is one. Nothing is saved."""
    if name.startswith(CUSTOM):
        custom_field_data(instance)[name.removeprefix(CUSTOM)] = value
        return
    field = instance._meta.get_field(name)
    pointer = value if isinstance(value, Pointer) else None
    match field:
        case GenericForeignKey():
            object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.')) if pointer else None
            setattr(instance, field.ct_field, object_type)
            setattr(instance, field.fk_field, pointer.pk if pointer else None)
        case models.ForeignKey():
            setattr(instance, field.attname, pointer.pk if pointer else None)
        case _:
            setattr(instance, name, to_python(cast('models.Field[Any, Any]', field), value))


def to_python(field: 'models.Field[Any, Any]', value: Any) -> Any:
    """A value as the model's field holds it."""
    if value is None:
        return None
    match field:
        case models.DecimalField():
            return Decimal(value)
        case IPAddressField():
            return IPNetwork(value)
        case _:
            return field.to_python(value)


def foreign_pointer(instance: models.Model, field: 'models.ForeignKey[Any, Any]') -> Pointer | None:
    """The object of a foreign key."""
    pk = getattr(instance, field.attname)
    if pk is None:
        return None
    related = field.get_cached_value(instance, default=None)
    return Pointer(label_of(field.related_model), pk) if related is None else pointer_to(related)


def generic_pointer(instance: models.Model, field: GenericForeignKey) -> Pointer | None:
    """The object of a generic foreign key."""
    object_type_id = getattr(instance, f'{field.ct_field}_id')
    pk = getattr(instance, field.fk_field)
    if object_type_id is None or pk is None:
        return None
    object_type = ContentType.objects.get_for_id(object_type_id)
    # Django would compare the types of both each time.
    related = field.get_cached_value(instance, default=None)
    if related is not None and related.pk == pk:
        return pointer_to(related)
    return Pointer(f'{object_type.app_label}.{object_type.model}', pk)
