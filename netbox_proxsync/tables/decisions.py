import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import Decision
from .columns import KindColumn

__all__ = ('DecisionTable',)


class DecisionTable(NetBoxTable):
    kind = KindColumn()
    key = tables.Column(
        verbose_name=_('Key'),
        linkify=True,
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
    )
    choice = columns.ChoiceFieldColumn(
        verbose_name=_('Decision'),
    )
    object_type = columns.ContentTypeColumn(
        verbose_name=_('NetBox object type'),
    )
    object = tables.Column(
        verbose_name=_('Object'),
        linkify=True,
        orderable=False,
    )
    created = columns.DateTimeColumn(
        verbose_name=_('Created'),
        timespec='minutes',
    )
    actions = columns.ActionsColumn(
        actions=(),
    )

    class Meta(NetBoxTable.Meta):
        model = Decision
        fields = (
            'pk', 'id', 'endpoint', 'kind', 'key', 'unit', 'choice', 'object_type', 'object_id', 'object', 'name',
            'user', 'created',
        )  # fmt: skip
        default_columns = ('pk', 'endpoint', 'kind', 'key', 'choice', 'object', 'name', 'user', 'created')
