"""The custom fields for values that have no field of their own in NetBox."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.utils.translation import gettext as _

from .migrations import _custom_fields_v1, _custom_fields_v2

__all__ = (
    'CUSTOM_FIELDS', 'OWN_FIELDS', 'FieldProblem', 'ensure_custom_fields', 'problems', 'repair', 'unusable_fields',
)  # fmt: skip

# Object, name, type, label.
CUSTOM_FIELDS = _custom_fields_v1.FIELDS + _custom_fields_v2.FIELDS
# The names of the fields by model.
OWN_FIELDS = {
    '.'.join(model): frozenset(name for of_model, name, _type, _label in CUSTOM_FIELDS if of_model == model)
    for model, _name, _type, _label in CUSTOM_FIELDS
}
# What runs write into selections.
CHOICES = {'vm_status': _custom_fields_v1.CHOICES}


def ensure_custom_fields(using: str = 'default', **kwargs: Any) -> None:
    """
    Create the custom fields again after the database was flushed: the receiver of `post_migrate`, which Django also
    sends after a flush.

    In a database with any trace of them it does nothing: migrations create the fields, and one that an administrator
    has removed is not created again.
    """
    from .models import ManagedCustomField

    connection = connections[using]
    if ManagedCustomField._meta.db_table not in connection.introspection.table_names():
        # The migrations were reversed.
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
        remedy: What a user can do, if it cannot be repaired automatically.
        repairable: Whether `repair` can repair it.
        is_missing: An administrator has removed it, perhaps on purpose.
        is_left_out: Runs do not write the field until the problem is solved.
    """

    name: str
    message: str
    remedy: str = ''
    repairable: bool = False
    is_missing: bool = False
    is_left_out: bool = True


def problems() -> list[FieldProblem]:
    """The custom fields that differ from those that the migrations create, as far as runs need them."""
    from extras.models import CustomField

    stored = CustomField.objects.select_related('choice_set').prefetch_related('object_types')
    fields = {field.name: field for field in stored}
    found = []
    for (app_label, model), name, type_, _label in CUSTOM_FIELDS:
        field = fields.get(name)
        if field is None:
            message = _('is missing (for {model}).').format(model=f'{app_label}.{model}')
            found.append(FieldProblem(name, message, repairable=True, is_missing=True))
        elif field.type != type_:
            message = _('has the type "{type}", and "{needed}" is needed.').format(type=field.type, needed=type_)
            found.append(FieldProblem(name, message, _('Rename it, then run "proxsync_check --repair".')))
        elif not any((each.app_label, each.model) == (app_label, model) for each in field.object_types.all()):
            message = _('is not assigned to {model}.').format(model=f'{app_label}.{model}')
            found.append(FieldProblem(name, message, repairable=True))
        else:
            found += limits_of(field)
    return found


def limits_of(field: Any) -> Iterator[FieldProblem]:
    """The settings of a custom field for which NetBox refuses values that runs write."""
    if field.unique:
        yield FieldProblem(
            field.name,
            _('is unique, so NetBox refuses objects with the same value, such as guests of two clusters.'),
            _('Switch "must be unique" off.'),
        )
    values = set(field.choice_set.values) if field.choice_set else set()
    if missing := [value for value in CHOICES.get(field.name, ()) if value not in values]:
        yield FieldProblem(
            field.name,
            _('lacks the choices: {choices}.').format(choices=', '.join(missing)),
            _('Add them to the choice set "{name}".').format(name=field.choice_set),
            is_left_out=False,
        )


def unusable_fields() -> frozenset[str]:
    """The names of the custom fields that exist, but that runs do not write because of their settings."""
    return frozenset(problem.name for problem in problems() if problem.is_left_out)


def repair() -> None:
    """
    Create missing custom fields, and assign existing ones to their models.

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
            # This row records that an administrator has removed the field, who now wants it back.
            ManagedCustomField.objects.filter(name=name).delete()
            _custom_fields_v1.install(apps, 'default', (definition,), _custom_fields_v1.WEIGHT + position)
