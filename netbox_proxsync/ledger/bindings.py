"""The bindings of an endpoint as plain data."""

from collections.abc import Mapping

from django.contrib.contenttypes.models import ContentType

from ..models import Binding, ProxmoxEndpoint
from ..sync.state import Bound
from ..sync.values import Pointer, decode_all

__all__ = ('bound_from', 'content_types', 'dangling', 'load_bindings')


def load_bindings(endpoint: ProxmoxEndpoint) -> dict[tuple[str, str], Bound]:
    """By (kind, key), in one query (and one for the content types)."""
    types = content_types()
    rows = Binding.objects.filter(endpoint=endpoint)
    return {(row.kind, row.key): bound_from(row, types) for row in rows.iterator()}


def content_types() -> dict[int, str]:
    """The model of each content type, as 'app_label.model_name'."""
    return {pk: f'{app}.{model}' for pk, app, model in ContentType.objects.values_list('pk', 'app_label', 'model')}


def bound_from(row: Binding, types: Mapping[int, str]) -> Bound:
    return Bound(
        pk=row.pk,
        kind=row.kind,
        key=row.key,
        unit=row.unit,
        pointer=Pointer(types[row.object_type_id], row.object_id),
        last=decode_all(row.values),
        created_by_sync=row.created_by_sync,
        missing_since=row.missing_since,
        unmanaged=row.unmanaged,
    )


def dangling(endpoint: ProxmoxEndpoint) -> list[int]:
    """
    The bindings (pks) to objects that are gone, by one query for each kind of object.

    Not those that a person has taken over: they remember that nothing is to be made there again.
    """
    bindings = Binding.objects.filter(endpoint=endpoint, unmanaged=False).order_by()
    gone = []
    for object_type in ContentType.objects.filter(pk__in=bindings.values('object_type')):
        if model := object_type.model_class():
            there = model._base_manager.values('pk')
            gone += bindings.filter(object_type=object_type).exclude(object_id__in=there).values_list('pk', flat=True)
    return gone
