import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import ProxmoxGuest
from .columns import LongTextColumn

__all__ = ('ProxmoxGuestTable',)

# Long names without break opportunities would move the other columns out of view. Others are displayed on one line.
LONG_WORDS = {'td': {'class': 'text-break', 'style': 'min-width: 11rem'}}


class ProxmoxGuestTable(NetBoxTable):
    vmid = tables.Column(
        verbose_name=_('VM ID'),
        linkify=True,
    )
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
        attrs=LONG_WORDS,
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
    )
    # Plain text: the state is what stands out.
    type = tables.Column(
        verbose_name=_('Type'),
    )
    # The status is not limited to choices, and NetBox's column for choices does not escape other values.
    status = columns.TemplateColumn(
        verbose_name=_('Status'),
        template_code='{% badge value bg_color=record.get_status_color %}',
    )
    state = columns.ChoiceFieldColumn(
        verbose_name=_('Sync status'),
    )
    reason = LongTextColumn(
        verbose_name=_('Reason'),
        accessor='shown_reason',
        order_by='reason',
    )
    virtual_machine = tables.Column(
        verbose_name=_('Virtual machine'),
        linkify=True,
        attrs=LONG_WORDS,
    )
    tags = columns.ArrayColumn(
        verbose_name=_('Proxmox VE tags'),
    )
    template = columns.BooleanColumn(
        verbose_name=_('Template'),
    )
    ignored = columns.BooleanColumn(
        verbose_name=_('Ignored'),
    )
    last_seen = columns.DateTimeColumn(
        verbose_name=_('Last seen'),
        timespec='minutes',
        order_by=('seen_until', 'endpoint__guests_read'),
        attrs={'td': {'class': 'text-nowrap'}},
    )
    known_until = columns.DateTimeColumn(
        verbose_name=_('Known until'),
        timespec='minutes',
        attrs={'td': {'class': 'text-nowrap'}},
    )
    actions = columns.ActionsColumn(
        actions=(),
    )

    class Meta(NetBoxTable.Meta):
        model = ProxmoxGuest
        fields = (
            'pk', 'id', 'vmid', 'name', 'endpoint', 'type', 'node', 'status', 'state', 'reason', 'virtual_machine',
            'tags', 'template', 'ignored', 'last_seen', 'known_until',
        )  # fmt: skip
        default_columns = (
            'pk', 'vmid', 'name', 'endpoint', 'state', 'reason', 'virtual_machine', 'node', 'status', 'last_seen',
        )  # fmt: skip

    def value_type(self, record: ProxmoxGuest) -> str:
        return record.type

    def value_status(self, value: str) -> str:
        return value
