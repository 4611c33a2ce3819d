"""Reads the bindings of an endpoint as plain data, and updates and deletes them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet

from .. import branching
from ..models import Binding, ProxmoxEndpoint
from ..sync.kinds import KINDS
from ..sync.state import Bound
from ..sync.values import Pointer, decode_all, decode_pairs
from .netbox_models import model_named
from .object_loading import rows_of

__all__ = (
    'BindingRow', 'bound_from', 'bound_in', 'content_types', 'dangling', 'delete_bindings', 'load_bindings',
    'store_values',
)  # fmt: skip


class BindingRow(NamedTuple):
    """The columns of a binding that `bound_from` reads."""

    id: int
    kind: str
    key: str
    unit: str
    object_type_id: int
    object_id: int
    values: dict[str, Any]
    created_by_sync: bool
    missing_since: datetime | None
    unmanaged: bool
    proxmox_values: dict[str, Any]
    kept_values: dict[str, Any]


def load_bindings(endpoint: ProxmoxEndpoint) -> dict[tuple[str, str], Bound]:
    """The bindings of an endpoint by (kind, key), in this order, in one query."""
    # PostgreSQL takes longer to sort them.
    found = {(bound.kind, bound.key): bound for bound in bound_in(Binding.objects.filter(endpoint=endpoint))}
    return {identity: found[identity] for identity in sorted(found)}


def bound_in(bindings: QuerySet[Binding]) -> Iterator[Bound]:
    """Bindings as plain data, in any order."""
    types = content_types()
    rows = rows_of(bindings.order_by(), BindingRow._fields)
    return (bound_from(row, types) for row in map(BindingRow._make, rows))


class ModelNames(dict[int, str]):
    """The models of content types, as 'app_label.model_name', from Django's cache of content types."""

    def __missing__(self, pk: int) -> str:
        object_type = ContentType.objects.get_for_id(pk)
        self[pk] = f'{object_type.app_label}.{object_type.model}'
        return self[pk]


def content_types() -> ModelNames:
    """The models of content types. Those of the kinds are loaded at once if they are not cached."""
    ContentType.objects.get_for_models(*[model_named(kind.model) for kind in KINDS.values()])
    return ModelNames()


def bound_from(row: BindingRow, types: Mapping[int, str]) -> Bound:
    """
    A binding as plain data.

    Args:
        types: As `content_types` returns them.
    """
    return Bound(
        pk=row.id,
        # Shared by many bindings.
        kind=intern(row.kind),
        key=row.key,
        unit=intern(row.unit),
        pointer=Pointer(types[row.object_type_id], row.object_id),
        last=decode_all(row.values),
        created_by_sync=row.created_by_sync,
        missing_since=row.missing_since,
        unmanaged=row.unmanaged,
        proxmox_values=row.proxmox_values,
        kept=decode_pairs(row.kept_values),
    )


def dangling(endpoint: ProxmoxEndpoint) -> list[int]:
    """
    The bindings (primary keys) whose objects were deleted, by one query for each kind of object.

    Without those of unmanaged objects: they make sure that the objects are not created again.
    """
    bindings = Binding.objects.filter(endpoint=endpoint, unmanaged=False).order_by()
    found: list[int] = []
    for object_type in ContentType.objects.filter(pk__in=bindings.values('object_type')):
        existing = model_named(f'{object_type.app_label}.{object_type.model}')._base_manager.values('pk')
        missing = bindings.filter(object_type=object_type).exclude(object_id__in=existing)
        found += missing.values_list('pk', flat=True)
    return found


def store_values(values: Mapping[int, Mapping[str, Any]]) -> None:
    """Store the values of bindings, given as JSON by the binding's primary key, in one transaction."""
    with branching.atomic():
        for pk, stored in values.items():
            Binding.objects.filter(pk=pk).update(values=stored)


def delete_bindings(pks: Iterable[int]) -> None:
    """Delete bindings, given by their primary keys."""
    with branching.atomic():
        Binding.objects.filter(pk__in=pks).delete()
