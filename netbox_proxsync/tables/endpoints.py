from datetime import datetime
from typing import Any, cast

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import PrimaryModelTable, columns

from ..models import ProxmoxEndpoint
from ..models.endpoint_settings import SWITCHES, Use, names_of

__all__ = ('ProxmoxEndpointTable',)


# A column for each boolean setting.
EndpointSwitches: Any = type(
    'EndpointSwitches',
    (tables.Table,),
    {setting.name: columns.BooleanColumn(verbose_name=setting.column) for setting in SWITCHES},
)


class ProxmoxEndpointTable(EndpointSwitches, PrimaryModelTable):
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
    )
    status = columns.ChoiceFieldColumn(
        verbose_name=_('Status'),
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
    last_run = tables.Column(
        verbose_name=_('Last run'),
        accessor='last_run__completed',
        order_by='last_run__completed',
        linkify=lambda record: record.last_run.get_absolute_url() if record.last_run else None,
    )
    sync_interval = columns.ChoiceFieldColumn(
        verbose_name=_('Sync interval'),
    )
    next_sync = columns.DateTimeColumn(
        verbose_name=_('Next sync'),
        timespec='minutes',
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
            'pk', 'id', 'name', 'status', *names_of(Use.TABLE)[1:], 'last_run', 'pve_version', 'description',
            'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'name', 'status', 'enabled', 'hosts', 'tls_mode', 'cluster', 'sync_interval', 'last_run',
            'pve_version',
        )  # fmt: skip

    def render_last_run(self, value: datetime) -> str:
        return cast(str, columns.DateTimeColumn(timespec='minutes').render(value))
