"""Creating and removing the custom fields: for migrations, and to repair them later."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.management.base import CommandError
from django.db.models import F, Func, JSONField, TextField, Value

from .definitions import CHOICE_SET, CHOICES, COLORS, CUSTOM_FIELDS, GROUP, SEARCH_WEIGHTS, WEIGHT, Definition

__all__ = ('install', 'uninstall')


def install(apps: Any, using: str, definitions: Sequence[Definition] = CUSTOM_FIELDS, weight: int = WEIGHT) -> None:
    """
    Create the fields that are missing, and adopt existing fields of the same name and type.

    Args:
        apps: The app registry of a migration, or Django's own.
        using: Alias of the database.
        definitions: The fields to create or adopt.
        weight: The display weight of the first field; each further field has one more.

    Raises:
        CommandError: A field of the same name exists that cannot be adopted. Nothing is written then.
    """
    custom_fields = apps.get_model('extras', 'CustomField').objects.using(using)
    existing = {field.name: field for field in custom_fields.filter(name__in=[name for _, name, _, _ in definitions])}
    _refuse_conflicts(apps, using, existing, definitions)
    records = apps.get_model('netbox_proxsync', 'ManagedCustomField').objects.using(using)
    for position, (model, name, type_, label) in enumerate(definitions):
        choice_set, choice_set_created = None, False
        if (field := existing.get(name)) is None:
            if type_ == 'select':
                choice_set, choice_set_created = _choice_set(apps, using)
            field = custom_fields.create(
                name=name,
                type=type_,
                label=label,
                group_name=GROUP,
                weight=weight + position,
                ui_visible='if-set',
                ui_editable='no',
                search_weight=SEARCH_WEIGHTS.get(name, 0),
                choice_set=choice_set,
            )
        records.create(
            name=name,
            created=name not in existing,
            object_type_added=_assign(apps, using, field, model),
            choice_set_created=choice_set_created,
        )


def uninstall(apps: Any, using: str) -> None:
    """
    Remove the fields that `install` created, with their data, and the object types that it added to adopted fields.
    """
    custom_fields = apps.get_model('extras', 'CustomField').objects.using(using)
    records = apps.get_model('netbox_proxsync', 'ManagedCustomField').objects.using(using)
    models = {name: model for model, name, _, _ in CUSTOM_FIELDS}
    removed: dict[tuple[str, str], list[str]] = {}
    for record in records.filter(name__in=models):
        if (field := custom_fields.filter(name=record.name).first()) is None:
            continue
        if record.object_type_added:
            field.object_types.remove(_content_type(apps, using, models[record.name]))
            removed.setdefault(models[record.name], []).append(record.name)
        # A field that a user has assigned to other object types in the meantime belongs to the user.
        if record.created and not field.object_types.exists():
            field.delete()
        if record.choice_set_created:
            choice_sets = apps.get_model('extras', 'CustomFieldChoiceSet').objects.using(using)
            choice_sets.filter(name=CHOICE_SET, choices_for=None).delete()
    for model, names in removed.items():
        _remove_data(apps.get_model(*model).objects.using(using), names)


def _refuse_conflicts(apps: Any, using: str, existing: dict[str, Any], definitions: Sequence[Definition]) -> None:
    problems = [
        problem
        for _, name, type_, _ in definitions
        if name in existing and (problem := _problem(existing[name], type_))
    ]
    if 'select' in {type_ for _, name, type_, _ in definitions if name not in existing}:
        choice_set = apps.get_model('extras', 'CustomFieldChoiceSet').objects.using(using).filter(name=CHOICE_SET)
        if (found := choice_set.first()) and (missing := _missing_choices(found)):
            problems.append(f'The choice set "{CHOICE_SET}" exists without {missing}: rename it, or add them.')
    if problems:
        lines = '\n'.join(f'  - {problem}' for problem in problems)
        raise CommandError(
            'The plugin netbox_proxsync requires custom fields that exist with other settings:\n'
            f'{lines}\n'
            'Change them under Customization > Custom Fields and run the migration again. Nothing was changed.'
        )


def _problem(field: Any, type_: str) -> str:
    if field.type != type_:
        return (
            f'"{field.name}" exists with the type "{field.type}", and "{type_}" is needed: '
            'rename it, or delete it if it is not used any more.'
        )
    if field.status != 'active':
        return f'"{field.name}" is being changed or deleted by a background job: wait until that has ended.'
    if type_ == 'select' and (missing := _missing_choices(field.choice_set)):
        return (
            f'"{field.name}" has a choice set without {missing}: add them to the choice set "{field.choice_set.name}".'
        )
    return ''


def _missing_choices(choice_set: Any) -> str:
    values = {value for value, _ in choice_set.extra_choices or ()}
    return ' and '.join(f'"{choice}"' for choice in CHOICES if choice not in values)


def _choice_set(apps: Any, using: str) -> tuple[Any, bool]:
    """The choice set, and whether it was created."""
    choice_sets = apps.get_model('extras', 'CustomFieldChoiceSet').objects.using(using)
    choices = [[choice, choice] for choice in CHOICES]
    choice_set, created = choice_sets.get_or_create(
        name=CHOICE_SET, defaults={'extra_choices': choices, 'choice_colors': COLORS}
    )
    return choice_set, created


def _content_type(apps: Any, using: str, model: tuple[str, str]) -> Any:
    # In a new database, Django creates content types only after the last migration.
    app_label, model_name = model
    content_types = apps.get_model('contenttypes', 'ContentType').objects.using(using)
    return content_types.get_or_create(app_label=app_label, model=model_name)[0]


def _assign(apps: Any, using: str, field: Any, model: tuple[str, str]) -> bool:
    content_type = _content_type(apps, using, model)
    if field.object_types.filter(pk=content_type.pk).exists():
        return False
    field.object_types.add(content_type)
    return True


def _remove_data(objects: Any, names: Iterable[str]) -> None:
    names = list(names)
    without = Func(
        F('custom_field_data'),
        Value(names, output_field=ArrayField(TextField())),
        template='(%(expressions)s)',
        arg_joiner=' - ',
        output_field=JSONField(),
    )
    objects.filter(custom_field_data__has_any_keys=names).update(custom_field_data=without)
