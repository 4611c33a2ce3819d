import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import Binding
from .columns import KindColumn

__all__ = ('BindingTable',)


class BindingTable(NetBoxTable):
    kind = KindColumn()
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
    )
    key = tables.Column(
        verbose_name=_('Key'),
        linkify=True,
    )
    object_type = columns.ContentTypeColumn(
        verbose_name=_('NetBox object type'),
    )
    object = tables.Column(
        verbose_name=_('Object'),
        linkify=True,
        orderable=False,
    )
    created_by_sync = columns.BooleanColumn(
        verbose_name=_('Created by sync'),
    )
    unmanaged = columns.BooleanColumn(
        verbose_name=_('Unmanaged'),
    )
    first_seen = columns.DateTimeColumn(
        verbose_name=_('First seen'),
        timespec='minutes',
    )
    missing_since = columns.DateTimeColumn(
        verbose_name=_('Missing since'),
        timespec='minutes',
    )
    actions = columns.ActionsColumn(
        actions=(),
    )

    class Meta(NetBoxTable.Meta):
        model = Binding
        fields = (
            'pk', 'id', 'endpoint', 'kind', 'key', 'unit', 'object_type', 'object_id', 'object', 'created_by_sync',
            'unmanaged', 'first_seen', 'missing_since',
        )  # fmt: skip
        default_columns = (
            'endpoint', 'kind', 'key', 'object_type', 'object', 'created_by_sync', 'unmanaged', 'first_seen',
            'missing_since',
        )  # fmt: skip
