"""The bindings of an endpoint as plain data."""

from django.contrib.contenttypes.models import ContentType

from ..models import Binding, ProxmoxEndpoint
from ..sync.state import Bound
from ..sync.values import Pointer, decode_all

__all__ = ('dangling', 'load_bindings')


def load_bindings(endpoint: ProxmoxEndpoint) -> dict[tuple[str, str], Bound]:
    """By (kind, key), in one query (and one for the content types)."""
    types = {pk: f'{app}.{model}' for pk, app, model in ContentType.objects.values_list('pk', 'app_label', 'model')}
    return {
        (row.kind, row.key): Bound(
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
        for row in Binding.objects.filter(endpoint=endpoint).iterator()
    }


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
