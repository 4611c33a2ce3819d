import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, PrimaryModelTable, columns
from utilities.string import humanize_duration

from ..choices import KindChoices
from ..models import Binding, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

__all__ = (
    'BindingTable',
    'MappingRuleTable',
    'ProxmoxEndpointTable',
    'ProxmoxGuestTable',
    'SyncChangeTable',
    'SyncRunTable',
)

# Names without a place to break them would push the other columns out of sight.
LONG_WORDS = {'td': {'class': 'text-break', 'style': 'min-width: 10rem'}}


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

    def render_last_run(self, value) -> str:
        return columns.DateTimeColumn(timespec='minutes').render(value)


class SyncRunTable(NetBoxTable):
    created = columns.DateTimeColumn(
        verbose_name=_('Created'),
        linkify=True,
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
    )
    mode = columns.ChoiceFieldColumn(
        verbose_name=_('Mode'),
    )
    vmids = tables.Column(
        verbose_name=_('Only these guests'),
    )
    status = columns.ChoiceFieldColumn(
        verbose_name=_('Status'),
    )
    started = columns.DateTimeColumn(
        verbose_name=_('Started'),
    )
    completed = columns.DateTimeColumn(
        verbose_name=_('Completed'),
    )
    duration = tables.Column(
        verbose_name=_('Duration'),
        orderable=False,
    )
    changes = tables.Column(
        verbose_name=_('Changes'),
        accessor='total_changes',
        orderable=False,
    )
    messages = tables.Column(
        verbose_name=_('Messages'),
        orderable=False,
    )
    job = tables.Column(
        verbose_name=_('Job'),
        linkify=True,
    )
    actions = columns.ActionsColumn(
        actions=('delete',),
    )

    class Meta(NetBoxTable.Meta):
        model = SyncRun
        fields = (
            'pk', 'id', 'created', 'endpoint', 'branch', 'branch_id', 'mode', 'vmids', 'status', 'user', 'started',
            'completed', 'duration', 'phase', 'guests', 'calls', 'changes', 'messages', 'error', 'job', 'request_id',
        )  # fmt: skip
        default_columns = (
            'pk', 'created', 'endpoint', 'branch', 'mode', 'vmids', 'status', 'user', 'duration', 'guests', 'calls',
            'changes', 'messages',
        )  # fmt: skip

    def render_duration(self, value) -> str:
        return humanize_duration(value)

    def value_duration(self, value) -> float:
        return round(value.total_seconds(), 3)

    def render_vmids(self, record: SyncRun) -> str:
        return record.shown_vmids

    def value_vmids(self, value: list[int]) -> str:
        return ', '.join(map(str, value))

    def render_messages(self, value) -> int:
        # Without the faults that a user has acknowledged.
        return sum(message.get('level') != 'info' for message in value)

    # What they say is for who may view the machines that they are about.
    value_messages = render_messages


class KindColumn(tables.Column):
    """What people call a kind; an export holds what the API and the policies call it."""

    def __init__(self):
        super().__init__(verbose_name=_('Kind'))

    def render(self, value: str) -> str:
        return KindChoices.label(value)

    def value(self, value: str) -> str:
        return value


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

    def value_object(self, record: SyncChange) -> str:
        return record.label or record.key

    def value_fields(self, record: SyncChange) -> str:
        return '; '.join(f'{field["name"]}: {field["now"]} -> {field["want"]}' for field in record.display_fields)


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
        verbose_name=_('Object type'),
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
    type = columns.ChoiceFieldColumn(
        verbose_name=_('Type'),
    )
    # Proxmox's own word is no choice of ours, which NetBox's column for choices would not escape.
    status = columns.TemplateColumn(
        verbose_name=_('Status'),
        template_code='{% badge value bg_color=record.get_status_color %}',
    )
    state = columns.ChoiceFieldColumn(
        verbose_name=_('State'),
    )
    reason = columns.TemplateColumn(
        verbose_name=_('Reason'),
        accessor='shown_reason',
        order_by='reason',
        template_code='<span title="{{ value }}">{{ value|truncatechars:100 }}</span>',
        attrs={'td': {'style': 'min-width: 14rem'}},
    )
    virtual_machine = tables.Column(
        verbose_name=_('Virtual machine'),
        linkify=True,
        attrs=LONG_WORDS,
    )
    tags = columns.ArrayColumn(
        verbose_name=_('Proxmox tags'),
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
            'pk', 'vmid', 'name', 'endpoint', 'type', 'node', 'status', 'state', 'virtual_machine', 'reason',
            'last_seen', 'known_until',
        )  # fmt: skip

    def value_status(self, value: str) -> str:
        return value

    def value_reason(self, value: str) -> str:
        return value


def linked(label: str) -> tables.Column:
    return tables.Column(verbose_name=label, linkify=True)


class MappingRuleTable(PrimaryModelTable):
    name = tables.Column(
        verbose_name=_('Name'),
        linkify=True,
    )
    weight = tables.Column(
        verbose_name=_('Weight'),
    )
    enabled = columns.BooleanColumn(
        verbose_name=_('Enabled'),
    )
    endpoint = linked(_('Endpoint'))
    guest_type = columns.ChoiceFieldColumn(
        verbose_name=_('Guest type'),
    )
    name_pattern = tables.Column(
        verbose_name=_('Name pattern'),
        attrs={'td': {'class': 'font-monospace'}},
    )
    guest_tags = columns.ArrayColumn(
        verbose_name=_('Guest tags'),
        max_items=3,
    )
    pools = columns.ArrayColumn(
        verbose_name=_('Pools'),
        max_items=3,
    )
    nodes = columns.ArrayColumn(
        verbose_name=_('Nodes'),
        max_items=3,
    )
    vmid_range = tables.Column(
        verbose_name=_('VM IDs'),
        order_by=('vmid_min', 'vmid_max'),
    )
    template = columns.BooleanColumn(
        verbose_name=_('Template'),
    )
    skip = columns.BooleanColumn(
        verbose_name=_('Skip'),
        false_mark=None,
    )
    role = columns.ColoredLabelColumn(
        verbose_name=_('Role'),
    )
    tenant = linked(_('Tenant'))
    platform = linked(_('Platform'))
    vrf = linked(_('VRF'))
    vlan_group = linked(_('VLAN group'))
    extra_tags = columns.ManyToManyColumn(
        verbose_name=_('Extra tags'),
    )
    tags = columns.TagColumn(
        url_name='plugins:netbox_proxsync:mappingrule_list',
    )

    class Meta(PrimaryModelTable.Meta):
        model = MappingRule
        fields = (
            'pk', 'id', 'weight', 'name', 'enabled', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type',
            'guest_tags', 'tag_match', 'pools', 'nodes', 'vmid_range', 'template', 'skip', 'role', 'tenant', 'platform',
            'vrf', 'vlan_group', 'extra_tags', 'description', 'comments', 'tags', 'created', 'last_updated',
        )  # fmt: skip
        default_columns = (
            'pk', 'weight', 'name', 'enabled', 'endpoint', 'name_pattern', 'guest_tags', 'pools', 'skip', 'role',
            'tenant', 'platform',
        )  # fmt: skip
