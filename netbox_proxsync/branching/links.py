"""Links to objects in the branch into which a run has written."""

from collections.abc import Iterable
from typing import Any, Protocol, cast

from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from . import BranchUnusableError, active, link, within

__all__ = ('object_urls',)


class HasPage(Protocol):
    """An object with a page of its own."""

    def get_absolute_url(self) -> str: ...


class NamesObject(Protocol):
    """A row that refers to an object of any model, such as a change of a run."""

    pk: Any
    object_type: ContentType | None
    object_type_id: int | None
    object_id: int | None


def object_urls(branch_id: str, rows: Iterable[NamesObject]) -> dict[int, str]:
    """
    The URLs of the objects of changes, by the primary key of the change. Objects that do not exist or are not reachable
    are missing.

    Args:
        branch_id: The branch of the run. If it was merged or deleted, the objects in main are linked.
        rows: Changes of that run.
    """
    wanted: dict[type[Model], dict[int, list[int]]] = {}
    for row in rows:
        model = row.object_type.model_class() if row.object_type and row.object_id else None
        if model is not None and row.object_id:
            wanted.setdefault(model, {}).setdefault(row.object_id, []).append(row.pk)
    try:
        with within(branch_id):
            found = addresses(wanted)
    except BranchUnusableError:
        branch_id = ''
        with within(branch_id):
            found = addresses(wanted)
    if branch_id == active().schema_id:
        return found
    return {pk: there for pk, url in found.items() if (there := link(url, branch_id))}


def addresses(wanted: dict[type[Model], dict[int, list[int]]]) -> dict[int, str]:
    """The URLs of objects in the active branch, by the primary key of the change."""
    return {
        pk: str(cast(HasPage, instance).get_absolute_url())
        for model, by_object in wanted.items()
        for instance in model._base_manager.filter(pk__in=by_object)
        for pk in by_object[instance.pk]
    }
