"""The bindings of an endpoint as plain data."""

from django.contrib.contenttypes.models import ContentType

from ..models import Binding, ProxmoxEndpoint
from ..sync.state import Bound
from ..sync.values import Pointer, decode_all

__all__ = ('load_bindings',)


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
