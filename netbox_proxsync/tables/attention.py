import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import BaseTable, columns

__all__ = ('AttentionTable',)


class AttentionTable(BaseTable):
    """What requires a user. Its rows are no objects of a model."""

    pk = columns.ToggleColumn(
        visible=False,
    )
    question = columns.TemplateColumn(
        verbose_name=_('Type'),
        order_by='order',
        template_code='{% load helpers %}{% badge record.get_question_display bg_color=record.get_question_color %}',
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
        order_by='endpoint__name',
    )
    kind = tables.Column(
        verbose_name=_('Category'),
        accessor='kind_label',
    )
    label = columns.TemplateColumn(
        verbose_name=_('Object'),
        template_name='netbox_proxsync/columns/attention_object.html',
        attrs={'td': {'class': 'text-break', 'style': 'min-width: 10rem'}},
    )
    object = columns.TemplateColumn(
        verbose_name=_('NetBox object'),
        template_code='{% load helpers %}{% if record.object %}{{ record.object|linkify }}{% endif %}',
        orderable=False,
        attrs={'td': {'class': 'text-break'}},
    )
    reason = columns.TemplateColumn(
        verbose_name=_('Reason'),
        template_name='netbox_proxsync/columns/attention_reason.html',
        orderable=False,
        attrs={'td': {'class': 'text-break', 'style': 'min-width: 14rem'}},
    )
    # Loaded for the rows of the page only.
    since = columns.DateTimeColumn(
        verbose_name=_('Since'),
        timespec='minutes',
        orderable=False,
        attrs={'td': {'class': 'text-nowrap'}},
    )
    actions = columns.TemplateColumn(
        verbose_name=_('Actions'),
        template_name='netbox_proxsync/columns/attention_actions.html',
        orderable=False,
    )

    exempt_columns = ('pk', 'actions')

    class Meta(BaseTable.Meta):
        fields = ('pk', 'question', 'endpoint', 'kind', 'label', 'object', 'reason', 'since', 'actions')
        default_columns = fields
        empty_text = _('Nothing needs attention')
