"""The custom fields for values that NetBox has no field of its own for: their definitions, installation and checks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connections, models, transaction

from ..proxmox.messages import EMPTY, Message, joined
from .definitions import CHOICES, CUSTOM_FIELDS, WEIGHT
from .installation import install

if TYPE_CHECKING:
    from extras.models import CustomField

__all__ = (
    'CUSTOM_FIELDS', 'OWN_FIELDS', 'FieldProblem', 'ensure_custom_fields', 'models_of', 'problems', 'repair',
    'stored_fields', 'unusable_fields',
)  # fmt: skip

# The names of the fields by model ('app_label.model_name').
OWN_FIELDS = {
    '.'.join(model): frozenset(name for of_model, name, _type, _label in CUSTOM_FIELDS if of_model == model)
    for model, _name, _type, _label in CUSTOM_FIELDS
}
# The values that runs write into selection fields, by the name of the field.
SELECTIONS = {'vm_status': CHOICES}


def ensure_custom_fields(using: str = 'default', **kwargs: Any) -> None:
    """
    Create the custom fields again after the database was emptied. A receiver of `post_migrate`, which Django also sends
    after a flush.

    Does nothing if the database has a record of any of the fields: migrations create them, and a field that an
    administrator has removed is not created again.
    """
    from ..models import ManagedCustomField

    connection = connections[using]
    if ManagedCustomField._meta.db_table not in connection.introspection.table_names():
        # The migrations were reversed.
        return
    if ManagedCustomField.objects.using(using).exists():
        return
    with transaction.atomic(using=using):
        install(apps, using)


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """
    A difference between a custom field and what runs need.

    Attributes:
        remedy: What a user can do if `repair` cannot solve it.
        repairable: `repair` solves it without a decision by a user.
        is_missing: The field does not exist. An administrator may have removed it on purpose.
        is_left_out: Runs do not write the field until this is solved.
    """

    name: str
    message: Message
    remedy: Message = EMPTY
    repairable: bool = False
    is_missing: bool = False
    is_left_out: bool = True


def stored_fields() -> 'list[CustomField]':
    """All custom fields in the database with their choice sets and object types (see `models_of`), in one query."""
    from extras.models import CustomField

    assigned = CustomField.object_types.through.objects.filter(customfield=models.OuterRef('pk'))
    types = ArraySubquery(assigned.order_by('contenttype').values('contenttype'))
    return list(CustomField.objects.select_related('choice_set').annotate(object_type_ids=types))


def models_of(field: 'CustomField') -> set[str]:
    """The models ('app_label.model_name') to which a field is assigned that `stored_fields` has returned."""
    from django.contrib.contenttypes.models import ContentType

    types = [ContentType.objects.get_for_id(pk) for pk in field.object_type_ids]
    return {f'{each.app_label}.{each.model}' for each in types}


def problems(stored: 'Iterable[CustomField] | None' = None) -> list[FieldProblem]:
    """
    The differences between the custom fields in the database and what runs need.

    Args:
        stored: As `stored_fields` returns them; None: load them.
    """
    fields = {field.name: field for field in (stored_fields() if stored is None else stored)}
    found = []
    for (app_label, model), name, type_, _label in CUSTOM_FIELDS:
        field = fields.get(name)
        if field is None:
            message = Message(
                'The custom field "{field}" of {model} is missing.', field=name, model=f'{app_label}.{model}'
            )
            found.append(FieldProblem(name, message, repairable=True, is_missing=True))
        elif field.type != type_:
            message = Message(
                'The custom field "{field}" has the type "{type}". The required type is "{needed}".',
                field=name,
                type=field.type,
                needed=type_,
            )
            found.append(
                FieldProblem(name, message, Message('Rename the custom field, then run "proxsync_check --repair".'))
            )
        elif f'{app_label}.{model}' not in models_of(field):
            message = Message(
                'The custom field "{field}" is not assigned to {model}.', field=name, model=f'{app_label}.{model}'
            )
            found.append(FieldProblem(name, message, repairable=True))
        else:
            found += limits_of(field)
    return found


def limits_of(field: Any) -> Iterator[FieldProblem]:
    """The settings of a custom field because of which NetBox would reject values that runs write."""
    if field.unique:
        yield FieldProblem(
            field.name,
            Message(
                'The custom field "{field}" is unique, so NetBox rejects objects with the same value, such as '
                'guests of two clusters.',
                field=field.name,
            ),
            Message('Disable "must be unique" of the custom field.'),
        )
    values = set(field.choice_set.values) if field.choice_set else set()
    if missing := [value for value in SELECTIONS.get(field.name, ()) if value not in values]:
        yield FieldProblem(
            field.name,
            Message(
                'The custom field "{field}" lacks the choices: {choices}.',
                field=field.name,
                choices=joined(missing, ', '),
            ),
            Message('Add these choices to the choice set "{name}".', name=field.choice_set),
            is_left_out=False,
        )


def unusable_fields(stored: 'Iterable[CustomField]') -> frozenset[str]:
    """The names of custom fields that runs do not write because of a problem."""
    return frozenset(problem.name for problem in problems(stored) if problem.is_left_out)


def repair() -> None:
    """
    Create the custom fields that are missing, and assign the others to the object types that they are for.

    Raises:
        CommandError: NetBox has a choice set of the same name that lacks a choice.
    """
    from core.models import ObjectType
    from extras.models import CustomField

    from ..models import ManagedCustomField

    names = {problem.name for problem in problems() if problem.repairable}
    with transaction.atomic():
        for position, definition in enumerate(CUSTOM_FIELDS):
            (app_label, model), name, _type, _label = definition
            if name not in names:
                continue
            if field := CustomField.objects.filter(name=name).first():
                field.object_types.add(ObjectType.objects.get_by_natural_key(app_label, model))
                continue
            # The record without its field prevents the field from being created again.
            ManagedCustomField.objects.filter(name=name).delete()
            install(apps, 'default', (definition,), WEIGHT + position)
