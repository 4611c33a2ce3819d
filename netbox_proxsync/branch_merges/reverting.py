"""What bindings remember, after what a branch had brought was taken back."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, QuerySet

from ..choices import ChangeActionChoices
from ..ledger.fields import read
from ..models import Binding, SyncChange
from ..sync.values import decode

__all__ = ('revert',)


def revert(changes: QuerySet[SyncChange]) -> None:
    """
    Where objects hold again what they held before these changes, let bindings remember what was written before; or the
    next run would take it for a person's edit.
    """
    # The last change first, as they were undone.
    # What was made has gone with its binding.
    changes = changes.exclude(action=ChangeActionChoices.CREATE).exclude(fields=[]).select_related('run')
    for change in changes.order_by('-run_id', '-position').iterator():
        bound = Binding.objects.filter(endpoint=change.run.endpoint_id, kind=change.kind, key=change.key).first()
        instance = bound and bound.object
        if bound is None or instance is None:
            continue
        values = dict(bound.values)
        for field in change.fields:
            if not field.get('kept') and is_reverted(field, bound, instance):
                restore(values, field)
        if values != bound.values:
            bound.values = values
            bound.save(update_fields=['values'])


def is_reverted(field: Mapping[str, Any], bound: Binding, instance: Model) -> bool:
    """Whether a field holds what it held before. One that was there without us has nothing remembered."""
    return field['name'] in bound.values and read(instance, field['name']) == decode(field['now'])


def restore(values: dict[str, Any], field: Mapping[str, Any]) -> None:
    if field.get('has_last'):
        values[field['name']] = field['last']
    else:
        values.pop(field['name'], None)
