"""NetBox's own validation."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import models
from extras.models import CustomField

from ..custom_fields import OWN_FIELDS

__all__ = ('validate',)


def validate(instance: models.Model) -> None:
    """
    Fill the defaults of custom fields that the object lacks, as NetBox's REST API does, and validate it.

    Raises:
        ValidationError: NetBox refuses it; also where it names an object that is gone, deleted since a plan was made.
    """
    fill_defaults(instance)
    try:
        with own_fields_set_aside(instance):
            instance.full_clean()
    except ObjectDoesNotExist:
        # NetBox's checks of an object as a whole trust that whatever it names is there. Its fields' own do not.
        instance.clean_fields()
        raise


def fill_defaults(instance: models.Model) -> None:
    """NetBox does that when it saves an object, which is after it has validated it."""
    if hasattr(instance, 'custom_field_data'):
        for name, default in CustomField.objects.get_defaults_for_model(type(instance)).items():
            instance.custom_field_data.setdefault(name, default)


@contextmanager
def own_fields_set_aside(instance: models.Model) -> Iterator[None]:
    """
    Keep values out of the check that a sync has written earlier and that NetBox does not take any more, because a
    choice was renamed or the field was made unique. They stay as they are; runs say so once.
    """
    aside = {}
    own = OWN_FIELDS.get(instance._meta.label_lower, frozenset())
    if own and instance.pk:
        for field in CustomField.objects.get_for_model(type(instance)):
            if field.name in own and not field.required and is_refused(field, instance.custom_field_data):
                aside[field.name] = instance.custom_field_data.pop(field.name)
    try:
        yield
    finally:
        if aside:
            instance.custom_field_data |= aside


def is_refused(field: CustomField, data: dict) -> bool:
    if field.name not in data:
        return False
    if field.unique:
        return True
    try:
        field.validate(data[field.name])
    except ValidationError:
        return True
    return False
