import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import SyncChange
from .columns import KindColumn, LongTextColumn

__all__ = ('SyncChangeTable',)


class SyncChangeTable(NetBoxTable):
    kind = KindColumn()
    position = tables.Column(
        verbose_name=_('Position'),
    )
    time = columns.DateTimeColumn(
        verbose_name=_('Time'),
        accessor='run__created',
        timespec='minutes',
        linkify=True,
        attrs={'td': {'class': 'text-nowrap'}},
    )
    run = tables.Column(
        verbose_name=_('Run'),
        linkify=True,
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        accessor='run__endpoint',
        linkify=True,
    )
    mode = tables.Column(
        verbose_name=_('Mode'),
        accessor='run__mode',
    )
    action = columns.ChoiceFieldColumn(
        verbose_name=_('Action'),
    )
    outcome = columns.ChoiceFieldColumn(
        verbose_name=_('Outcome'),
    )
    object = columns.TemplateColumn(
        verbose_name=_('Object'),
        template_name='netbox_proxsync/columns/changed_object.html',
        order_by='label',
        attrs={'td': {'class': 'text-break', 'style': 'min-width: 11rem'}},
    )
    object_type = columns.ContentTypeColumn(
        verbose_name=_('NetBox object type'),
    )
    fields = columns.TemplateColumn(
        verbose_name=_('Fields'),
        template_name='netbox_proxsync/columns/changed_fields.html',
        orderable=False,
    )
    reason = LongTextColumn(
        verbose_name=_('Reason'),
    )
    message = LongTextColumn(
        verbose_name=_('Message'),
    )
    actions = columns.ActionsColumn(
        actions=(),
    )

    class Meta(NetBoxTable.Meta):
        model = SyncChange
        fields = (
            'pk', 'id', 'time', 'run', 'endpoint', 'mode', 'position', 'unit', 'kind', 'key', 'action', 'outcome',
            'object', 'object_type', 'label', 'fields', 'reason', 'message',
        )  # fmt: skip
        default_columns = (
            'time', 'endpoint', 'mode', 'action', 'outcome', 'kind', 'object', 'fields', 'reason',
        )  # fmt: skip

    def render_mode(self, record: SyncChange) -> str:
        return str(record.run.get_mode_display())

    def render_reason(self, record: SyncChange) -> str:
        return record.shown_reason

    def render_message(self, record: SyncChange) -> str:
        return record.shown_message

    def value_object(self, record: SyncChange) -> str:
        return record.label or record.key

    def value_fields(self, record: SyncChange) -> str:
        return '; '.join(f'{field["name"]}: {field["now"]} -> {field["want"]}' for field in record.display_fields)
