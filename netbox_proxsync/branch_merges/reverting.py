"""Reverts the stored values of bindings after the merge of a branch was reverted."""

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
    Restore the values that bindings had before these changes, for fields that have their previous values again.
    Otherwise the next run would take those for edits by users.
    """
    # The bindings of objects that were created are deleted with them.
    changes = changes.exclude(action=ChangeActionChoices.CREATE).exclude(fields=[]).select_related('run')
    # The last change first, as they were reverted.
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
    """Whether a field of a managed object has the value from before a change."""
    return field['name'] in bound.values and read(instance, field['name']) == decode(field['now'])


def restore(values: dict[str, Any], field: Mapping[str, Any]) -> None:
    """Restore the stored value of a field from before a change."""
    if field.get('has_last'):
        values[field['name']] = field['last']
    else:
        values.pop(field['name'], None)
