"""Merges the remembered shared objects of one endpoint from a branch into main, or from main into a branch."""

from collections.abc import Iterable

from django.apps import apps

from ..models import ProxmoxEndpoint, SharedObject

__all__ = ('merge_shared_objects',)

VALUE = ('endpoint', 'model', 'within', 'name')


def merge_shared_objects(endpoint: ProxmoxEndpoint, source: str, target: str) -> None:
    """
    Copy remembered objects that exist in the target. Those that the target remembers itself remain, unless the object
    was deleted.

    The target must be the active branch, or main.

    Args:
        source, target: Database aliases.
    """
    theirs = list(SharedObject.objects.using(source).filter(endpoint_id=endpoint.pk))
    mine = {value_of(row): row for row in SharedObject.objects.using(target).filter(endpoint_id=endpoint.pk)}
    there = existing((*theirs, *mine.values()), target)
    followed = [
        SharedObject(
            endpoint=endpoint, model=row.model, within=row.within, name=row.name, object_id=row.object_id
        )
        for row in theirs
        if object_of(row) in there
        and not ((own := mine.get(value_of(row))) and object_of(own) in there)
    ]  # fmt: skip
    SharedObject.objects.using(target).bulk_create(
        followed, update_conflicts=True, unique_fields=VALUE, update_fields=('object_id',)
    )


def value_of(row: SharedObject) -> tuple[str, str, str]:
    """The shared value of a row, within its endpoint."""
    return row.model, row.within, row.name


def object_of(row: SharedObject) -> tuple[str, int]:
    """The object of a row, as (model, primary key)."""
    return row.model, row.object_id


def existing(rows: Iterable[SharedObject], alias: str) -> set[tuple[str, int]]:
    """Those of the objects that exist."""
    by_model: dict[str, set[int]] = {}
    for row in rows:
        by_model.setdefault(row.model, set()).add(row.object_id)
    return {
        (model, pk)
        for model, pks in by_model.items()
        for pk in apps.get_model(model)
        ._base_manager.using(alias).filter(pk__in=pks).order_by().values_list('pk', flat=True)
    }  # fmt: skip
