import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import SyncChange
from .columns import KindColumn

__all__ = ('SyncChangeTable',)


class SyncChangeTable(NetBoxTable):
    kind = KindColumn()
    position = tables.Column(
        verbose_name=_('No.'),
        linkify=True,
    )
    run = tables.Column(
        verbose_name=_('Run'),
        linkify=True,
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
    )
    object_type = columns.ContentTypeColumn(
        verbose_name=_('Object type'),
    )
    fields = columns.TemplateColumn(
        verbose_name=_('Fields'),
        template_name='netbox_proxsync/columns/changed_fields.html',
        orderable=False,
    )
    actions = columns.ActionsColumn(
        actions=(),
    )

    class Meta(NetBoxTable.Meta):
        model = SyncChange
        fields = (
            'pk', 'id', 'position', 'run', 'unit', 'kind', 'key', 'action', 'outcome', 'object', 'object_type', 'label',
            'fields', 'reason', 'message',
        )  # fmt: skip
        default_columns = (
            'position', 'action', 'kind', 'key', 'object', 'fields', 'outcome', 'reason', 'message',
        )  # fmt: skip

    def render_reason(self, record: SyncChange) -> str:
        return record.shown_reason

    def render_message(self, record: SyncChange) -> str:
        return record.shown_message

    def value_object(self, record: SyncChange) -> str:
        return record.label or record.key

    def value_fields(self, record: SyncChange) -> str:
        return '; '.join(f'{field["name"]}: {field["now"]} -> {field["want"]}' for field in record.display_fields)
