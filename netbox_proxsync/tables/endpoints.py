from datetime import datetime
from typing import cast

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import PrimaryModelTable, columns

from ..models import ProxmoxEndpoint

__all__ = ('ProxmoxEndpointTable',)


class ProxmoxEndpointTable(PrimaryModelTable):
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
    sync_vms = columns.BooleanColumn(
        verbose_name=_('Virtual machines'),
    )
    sync_containers = columns.BooleanColumn(
        verbose_name=_('Containers'),
    )
    sync_templates = columns.BooleanColumn(
        verbose_name=_('Templates'),
    )
    include_guests = columns.ArrayColumn(
        verbose_name=_('Only these guests'),
    )
    exclude_guests = columns.ArrayColumn(
        verbose_name=_('Except these guests'),
    )
    adopt_by_name = columns.BooleanColumn(
        verbose_name=_('Adopt by name'),
    )
    sync_nodes = columns.BooleanColumn(
        verbose_name=_('Nodes'),
    )
    create_vlans = columns.BooleanColumn(
        verbose_name=_('Create VLANs'),
    )
    read_os_info = columns.BooleanColumn(
        verbose_name=_('Operating systems'),
    )
    read_host_names = columns.BooleanColumn(
        verbose_name=_('Host names'),
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
    tags = columns.TagColumn(
        url_name='plugins:netbox_proxsync:proxmoxendpoint_list',
    )

    class Meta(PrimaryModelTable.Meta):
        model = ProxmoxEndpoint
        fields = (
            'pk', 'id', 'name', 'status', 'enabled', 'hosts', 'token_id', 'tls_mode', 'timeout', 'concurrency',
            'ssh_user', 'ssh_port', 'cluster', 'cluster_type', 'cluster_group', 'site', 'tenant', 'guest_role',
            'node_role', 'node_device_type', 'vrf', 'vlan_group', 'sync_vms', 'sync_containers', 'sync_templates',
            'include_guests', 'exclude_guests', 'adopt_by_name', 'sync_nodes', 'create_vlans', 'read_os_info',
            'read_host_names', 'ignored_interfaces', 'ignored_prefixes', 'interface_naming', 'missing_guests',
            'grace_days', 'missing_addresses', 'missing_address_reads', 'address_limit', 'change_limit',
            'sync_interval', 'next_sync', 'object_events', 'last_run', 'pve_version', 'description', 'comments', 'tags',
            'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'name', 'status', 'enabled', 'hosts', 'tls_mode', 'cluster', 'sync_interval', 'last_run',
            'pve_version',
        )  # fmt: skip

    def render_last_run(self, value: datetime) -> str:
        return cast(str, columns.DateTimeColumn(timespec='minutes').render(value))
