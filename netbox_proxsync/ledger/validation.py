"""NetBox's own validation of an object."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from extras.models import CustomField

from ..custom_fields import OWN_FIELDS
from .fields import custom_field_data

__all__ = ('validate',)


def validate(instance: models.Model) -> None:
    """
    Fill the defaults of custom fields that the object lacks, as NetBox's REST API does, and validate it.

    Raises:
        ValidationError: NetBox refuses it; also if it refers to an object that was deleted since the plan was created.
    """
    fill_defaults(instance)
    try:
        with without_refused_values(instance):
            instance.full_clean()
    except ObjectDoesNotExist:
        # NetBox's validation of an object as a whole assumes that referenced objects exist; that of fields does not.
        instance.clean_fields()
        # Only if the object is deleted at this moment.
        raise  # pragma: no cover


def fill_defaults(instance: models.Model) -> None:
    """Fill the defaults of custom fields before an object is validated; NetBox does so afterwards, when it saves it."""
    if hasattr(instance, 'custom_field_data'):
        for name, default in CustomField.objects.get_defaults_for_model(type(instance)).items():
            custom_field_data(instance).setdefault(name, default)


@contextmanager
def without_refused_values(instance: models.Model) -> Iterator[None]:
    """
    Remove values from an object, while it is validated, that a sync has written earlier and that NetBox refuses now,
    because a choice was renamed or the field was made unique. They remain in NetBox; runs report them once.
    """
    removed: dict[str, Any] = {}
    own = OWN_FIELDS.get(instance._meta.label_lower, frozenset())
    if own and instance.pk:
        data = custom_field_data(instance)
        for field in CustomField.objects.get_for_model(type(instance)):
            if field.name in own and not field.required and is_refused(field, data):
                removed[field.name] = data.pop(field.name)
    try:
        yield
    finally:
        if removed:
            custom_field_data(instance).update(removed)


def is_refused(field: CustomField, data: Mapping[str, Any]) -> bool:
    """Whether NetBox refuses the value of a custom field, or may do so because it must be unique."""
    if field.name not in data:
        return False
    if field.unique:
        return True
    try:
        field.validate(data[field.name])
    except ValidationError:
        return True
    return False
