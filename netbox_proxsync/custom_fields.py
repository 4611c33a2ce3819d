"""The custom fields in which a sync keeps what NetBox's own fields have no place for."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, transaction

from .migrations import _custom_fields_v1, _custom_fields_v2

__all__ = ('CUSTOM_FIELDS', 'FieldProblem', 'ensure_custom_fields', 'problems', 'repair')

# Object, name, type, label.
CUSTOM_FIELDS = _custom_fields_v1.FIELDS + _custom_fields_v2.FIELDS


def ensure_custom_fields(using: str = 'default', **kwargs: Any):
    """
    Make the custom fields anew after the database was emptied: the handler of `post_migrate`, which Django also sends
    after a flush.

    In a database with any trace of them it does nothing. The fields are the migrations' business, and one that an
    administrator has removed stays removed.
    """
    from .models import ManagedCustomField

    connection = connections[using]
    if ManagedCustomField._meta.db_table not in connection.introspection.table_names():
        # The migrations have been taken back.
        return
    if ManagedCustomField.objects.using(using).exists():
        return
    with transaction.atomic(using=using):
        _custom_fields_v1.install(apps, using)
        _custom_fields_v2.install(apps, using)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """
    A custom field that is not as runs need it.

    Attributes:
        repairable: Without a person's decision.
    """

    name: str
    message: str
    repairable: bool


def problems() -> list[FieldProblem]:
    """What is not as the migrations have made it, as far as runs need it."""
    from extras.models import CustomField

    fields = {field.name: field for field in CustomField.objects.prefetch_related('object_types')}
    found = []
    for (app_label, model), name, type_, _label in CUSTOM_FIELDS:
        field = fields.get(name)
        if field is None:
            found.append(FieldProblem(name, f'is missing (for {app_label}.{model}).', repairable=True))
        elif field.type != type_:
            message = f'has the type "{field.type}", and "{type_}" is needed: rename it, then repair.'
            found.append(FieldProblem(name, message, repairable=False))
        elif not any((each.app_label, each.model) == (app_label, model) for each in field.object_types.all()):
            found.append(FieldProblem(name, f'is not assigned to {app_label}.{model}.', repairable=True))
    return found


def repair():
    """
    Make custom fields that are missing, and assign those that are not where they belong.

    Raises:
        CommandError: The choice set of that name cannot be used.
    """
    from core.models import ObjectType
    from extras.models import CustomField

    from .models import ManagedCustomField

    names = {problem.name for problem in problems() if problem.repairable}
    with transaction.atomic():
        for position, definition in enumerate(CUSTOM_FIELDS):
            (app_label, model), name, _type, _label = definition
            if name not in names:
                continue
            if field := CustomField.objects.filter(name=name).first():
                field.object_types.add(ObjectType.objects.get_by_natural_key(app_label, model))
                continue
            # It says that a person has removed the field, who now wants it back.
            ManagedCustomField.objects.filter(name=name).delete()
            _custom_fields_v1.install(apps, 'default', (definition,), _custom_fields_v1.WEIGHT + position)
