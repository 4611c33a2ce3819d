from collections.abc import Collection
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from netbox.tables import PrimaryModelTable, columns

from ..choices import GuestStateChoices
from ..models import ProxmoxEndpoint
from ..models.endpoint_settings import SWITCHES, Use, names_of

__all__ = ('ProxmoxEndpointTable',)


# A column for each boolean setting.
EndpointSwitches: Any = type(
    'EndpointSwitches',
    (tables.Table,),
    {setting.name: columns.BooleanColumn(verbose_name=setting.column) for setting in SWITCHES},
)


DATES = {'td': {'class': 'text-nowrap'}}


class GuestNumberColumn(tables.Column):
    """
    A number of guests, with a link to them.

    Args:
        states: The states of these guests; none: all guests.
    """

    def __init__(self, states: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(attrs={'td': {'class': 'text-end'}, 'th': {'class': 'text-end'}}, **kwargs)
        self.query = urlencode([('state', state) for state in states])

    def render(self, record: ProxmoxEndpoint, value: int) -> str:
        if not value:
            return intcomma(value)
        url = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[record.pk])
        return format_html('<a href="{}{}">{}</a>', url, f'?{self.query}' if self.query else '', intcomma(value))

    def value(self, value: int) -> int:
        return value


class ProxmoxEndpointTable(EndpointSwitches, PrimaryModelTable):
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
    )
    sync_status = columns.TemplateColumn(
        verbose_name=_('Sync status'),
        template_name='netbox_proxsync/columns/sync_status.html',
    )
    status = columns.ChoiceFieldColumn(
        verbose_name=_('Last run status'),
    )
    guest_count = GuestNumberColumn(
        verbose_name=_('Guests'),
    )
    pending_guests = GuestNumberColumn(
        GuestStateChoices.PENDING,
        verbose_name=_('Changes pending'),
    )
    attention_guests = GuestNumberColumn(
        GuestStateChoices.NAMING_OTHERS,
        verbose_name=_('Needs attention'),
    )
    last_sync = columns.DateTimeColumn(
        verbose_name=_('Last sync'),
        timespec='minutes',
        attrs=DATES,
    )
    enabled = columns.BooleanColumn(
        verbose_name=_('Enabled'),
    )
    hosts = columns.ArrayColumn(
        verbose_name=_('Hosts'),
        max_items=3,
    )
    tls_mode = columns.ChoiceFieldColumn(
        verbose_name=_('TLS verification'),
    )
    cluster = tables.Column(
        verbose_name=_('Cluster'),
        linkify=True,
    )
    cluster_type = tables.Column(
        verbose_name=_('Cluster type'),
        linkify=True,
    )
    cluster_group = tables.Column(
        verbose_name=_('Cluster group'),
        linkify=True,
    )
    site = tables.Column(
        verbose_name=_('Site'),
        linkify=True,
    )
    tenant = tables.Column(
        verbose_name=_('Tenant'),
        linkify=True,
    )
    guest_role = columns.ColoredLabelColumn(
        verbose_name=_('Guest role'),
    )
    node_role = columns.ColoredLabelColumn(
        verbose_name=_('Node role'),
    )
    node_device_type = tables.Column(
        verbose_name=_('Node device type'),
        linkify=True,
    )
    vrf = tables.Column(
        verbose_name=_('VRF'),
        linkify=True,
    )
    vlan_group = tables.Column(
        verbose_name=_('VLAN group'),
        linkify=True,
    )
    include_guests = columns.ArrayColumn(
        verbose_name=_('Only these guests'),
    )
    exclude_guests = columns.ArrayColumn(
        verbose_name=_('Except these guests'),
    )
    ignored_interfaces = columns.ArrayColumn(
        verbose_name=_('Ignored interfaces'),
    )
    ignored_prefixes = columns.ArrayColumn(
        verbose_name=_('Ignored prefixes'),
    )
    write_policy = columns.ChoiceFieldColumn(
        verbose_name=_('Write policy'),
    )
    last_run = tables.Column(
        verbose_name=_('Last run'),
        accessor='last_run__completed',
        order_by='last_run__completed',
        linkify=lambda record: record.last_run.get_absolute_url() if record.last_run else None,
    )
    sync_interval = columns.ChoiceFieldColumn(
        verbose_name=_('Sync interval'),
    )
    sync_windows = columns.ArrayColumn(
        verbose_name=_('Sync windows'),
    )
    paused_until = columns.DateTimeColumn(
        verbose_name=_('Paused until'),
        timespec='minutes',
        attrs=DATES,
    )
    next_sync = columns.DateTimeColumn(
        verbose_name=_('Next sync'),
        timespec='minutes',
        attrs=DATES,
    )
    quick_interval = tables.Column(
        verbose_name=_('Quick interval'),
    )
    next_quick = columns.DateTimeColumn(
        verbose_name=_('Next quick run'),
        timespec='minutes',
    )
    tags = columns.TagColumn(
        url_name='plugins:netbox_proxsync:proxmoxendpoint_list',
    )

    class Meta(PrimaryModelTable.Meta):
        model = ProxmoxEndpoint
        fields = (
            'pk', 'id', 'name', 'sync_status', 'status', 'guest_count', 'pending_guests', 'attention_guests',
            'last_sync', *names_of(Use.TABLE)[1:], 'last_run', 'pve_version', 'description',
            'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'name', 'sync_status', 'guest_count', 'pending_guests', 'attention_guests', 'last_sync', 'next_sync',
            'site', 'cluster', 'enabled',
        )  # fmt: skip

    def value_sync_status(self, record: ProxmoxEndpoint) -> str:
        return record.sync_status

    def render_last_run(self, value: datetime) -> str:
        return cast(str, columns.DateTimeColumn(timespec='minutes').render(value))
