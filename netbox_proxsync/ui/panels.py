from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from netbox.ui import attrs, panels

from ..models.endpoint_settings import SETTINGS, Section, Switch
from ..runs.progress import Progress
from .bound_objects import differing_fields
from .durations import shown_duration

__all__ = (
    'BindingPanel',
    'BindingValuesPanel',
    'ChangeFieldsPanel',
    'ChangePanel',
    'DecisionPanel',
    'EndpointBehaviorPanel',
    'EndpointConnectionPanel',
    'EndpointPanel',
    'EndpointPlacementPanel',
    'EndpointSSHPanel',
    'MappingRulePanel',
    'RuleConditionsPanel',
    'RuleOutcomePanel',
    'RunPanel',
    'RunProgressPanel',
)


class EndpointPanel(panels.ObjectAttributesPanel):
    title = _('Endpoint')
    name = attrs.TextAttr('name')
    sync_status = attrs.ChoiceAttr('sync_status', label=_('Sync status'))
    enabled = attrs.BooleanAttr('enabled')
    sync_interval = attrs.ChoiceAttr('sync_interval', label=_('Sync interval'))
    sync_windows = attrs.ArrayAttr('window_texts', label=_('Sync windows'))
    paused_until = attrs.DateTimeAttr('paused_until', label=_('Paused until'))
    next_sync = attrs.DateTimeAttr('next_sync', label=_('Next sync'))
    quick_interval = attrs.TextAttr('quick_interval', label=_('Quick interval'), format_string=_('{} min'))
    next_quick = attrs.DateTimeAttr('next_quick', label=_('Next quick run'))
    last_sync = attrs.DateTimeAttr('last_sync', label=_('Last sync'))
    status = attrs.ChoiceAttr('status', label=_('Last run status'))
    last_run = attrs.RelatedObjectAttr('last_run', linkify=True, label=_('Last run'))
    guests_read = attrs.DateTimeAttr('guests_shown', label=_('Guests read'))
    pve_version = attrs.TextAttr('pve_version', label=_('Proxmox VE version'))
    description = attrs.TextAttr('description')


class EndpointConnectionPanel(panels.ObjectAttributesPanel):
    title = _('Connection')
    hosts = attrs.ArrayAttr('hosts')
    token_id = attrs.TextAttr('token_id', label=_('Token ID'), style='font-monospace')
    # Secrets are shown as a token if they are set.
    token_secret = attrs.TextAttr('token_secret', label=_('Token secret'))
    tls_mode = attrs.ChoiceAttr('tls_mode', label=_('TLS verification'))
    fingerprint = attrs.TextAttr(
        'fingerprint', label=_('Fingerprint'), style='font-monospace text-break', copy_button=True
    )
    ca_certificate = attrs.TemplatedAttr(
        'ca_certificate',
        label=_('CA certificate'),
        template_name='netbox_proxsync/attrs/ca_certificate.html',
    )
    timeout = attrs.TextAttr('timeout', label=_('Timeout'), format_string=_('{} s'))
    concurrency = attrs.NumericAttr('concurrency')


class EndpointSSHPanel(panels.ObjectAttributesPanel):
    title = _('SSH')
    ssh_user = attrs.TextAttr('ssh_user', label=_('User'), style='font-monospace')
    ssh_port = attrs.TextAttr('ssh_port', label=_('Port'))
    # Secrets are shown as a token if they are set.
    ssh_password = attrs.TextAttr('ssh_password', label=_('Password'))
    ssh_private_key = attrs.TextAttr('ssh_private_key', label=_('Private key'))
    ssh_passphrase = attrs.TextAttr('ssh_passphrase', label=_('Passphrase of the key'))
    ssh_host_keys = attrs.TemplatedAttr(
        'ssh_host_keys',
        label=_('Host keys'),
        template_name='netbox_proxsync/attrs/ca_certificate.html',
    )

    def should_render(self, context: dict[str, Any]) -> bool:
        return bool(context['object'].ssh_user or context['object'].ssh_host_keys)


class EndpointPlacementPanel(panels.ObjectAttributesPanel):
    title = _('Placement')
    cluster = attrs.RelatedObjectAttr('cluster', linkify=True)
    cluster_type = attrs.RelatedObjectAttr('cluster_type', linkify=True)
    cluster_group = attrs.RelatedObjectAttr('cluster_group', linkify=True)
    site = attrs.RelatedObjectAttr('site', linkify=True)
    tenant = attrs.RelatedObjectAttr('tenant', linkify=True, grouped_by='group')
    guest_role = attrs.RelatedObjectAttr('guest_role', linkify=True, colored=True)
    node_role = attrs.RelatedObjectAttr('node_role', linkify=True, colored=True, label=_('Node role'))
    node_device_type = attrs.RelatedObjectAttr('node_device_type', linkify=True, label=_('Node device type'))
    vrf = attrs.RelatedObjectAttr('vrf', linkify=True, label=_('VRF'))
    vlan_group = attrs.RelatedObjectAttr('vlan_group', linkify=True, label=_('VLAN group'))


def attributes_of(*sections: Section, **others: attrs.ObjectAttribute) -> dict[str, attrs.ObjectAttribute]:
    """
    The attributes of settings for a panel, in the order of their declaration.

    Args:
        sections: A boolean setting in one of them gets its attribute from its declaration.
        others: The attributes of settings of other types.
    """
    found = {}
    for setting in SETTINGS:
        if setting.name in others:
            found[setting.name] = others[setting.name]
        elif isinstance(setting, Switch) and setting.section in sections:
            found[setting.name] = attrs.BooleanAttr(setting.name, label=setting.label)
    return found


# Panels collect the attributes of their base classes.
EndpointBehavior: Any = type(
    'EndpointBehavior',
    (panels.ObjectAttributesPanel,),
    attributes_of(
        Section.GUESTS,
        Section.NODES,
        include_guests=attrs.ArrayAttr('include_guests', label=_('Only these guests')),
        exclude_guests=attrs.ArrayAttr('exclude_guests', label=_('Except these guests')),
        ignored_interfaces=attrs.ArrayAttr('ignored_interfaces', label=_('Ignored interfaces')),
        ignored_prefixes=attrs.ArrayAttr('ignored_prefixes', label=_('Ignored prefixes')),
        interface_naming=attrs.ChoiceAttr('interface_naming', label=_('Interface names')),
        missing_guests=attrs.ChoiceAttr('missing_guests', label=_('Missing guests')),
        grace_days=attrs.TextAttr('grace_days', label=_('Grace period'), format_string=_('{} days')),
        missing_addresses=attrs.ChoiceAttr('missing_addresses', label=_('Missing addresses')),
        missing_address_reads=attrs.TextAttr('missing_address_reads', label=_('Reads until an address is missing')),
        address_limit=attrs.TextAttr('address_limit', label=_('Address limit')),
    ),
)


class EndpointBehaviorPanel(EndpointBehavior):
    title = _('Behavior')
    write_policy = attrs.ChoiceAttr('write_policy', label=_('Write policy'))
    object_events = attrs.ChoiceAttr('object_events', label=_('Object events'))
    field_policy = attrs.TemplatedAttr(
        'field_policy', label=_('Field policy'), template_name='netbox_proxsync/attrs/field_policy.html'
    )
    change_limit = attrs.TextAttr('change_limit', label=_('Change limit'), format_string='{}%')


class DurationAttr(attrs.TextAttr):
    """A duration, rounded as on all pages."""

    def get_value(self, obj: Any) -> str | None:
        value = super().get_value(obj)
        return None if value is None else shown_duration(value)


class NumberAttr(attrs.TextAttr):
    """A number with separators of thousands."""

    def get_value(self, obj: Any) -> str | None:
        value = super().get_value(obj)
        return None if value is None else intcomma(value)


class RunPanel(panels.ObjectAttributesPanel):
    title = _('Run')
    endpoint = attrs.RelatedObjectAttr('endpoint', linkify=True)
    mode = attrs.ChoiceAttr('mode')
    branch = attrs.TextAttr('branch')
    vmids = attrs.ArrayAttr('vmids', label=_('Only these guests'))
    status = attrs.ChoiceAttr('status')
    applies = attrs.RelatedObjectAttr('applies', linkify=True, label=_('Plan of'))
    reverts = attrs.RelatedObjectAttr('reverts', linkify=True, label=_('Revert of'))
    units = attrs.TextAttr('shown_units', label=_('Part of the plan'))
    actions = attrs.ArrayAttr('shown_actions', label=_('Only these actions'))
    user = attrs.TextAttr('user')
    started = attrs.DateTimeAttr('started')
    completed = attrs.DateTimeAttr('completed')
    duration = DurationAttr('duration')
    guests = NumberAttr('guests')
    calls = NumberAttr('calls', label=_('API requests'))
    job = attrs.RelatedObjectAttr('job', linkify=True)
    request_id = attrs.TemplatedAttr(
        'request_id',
        label=_('Request ID'),
        template_name='netbox_proxsync/attrs/request_id.html',
    )


class RunProgressPanel(panels.ObjectPanel):
    """The progress of a run, with a link to the run if `linked`, for other pages than its own."""

    title = _('Progress')
    template_name = 'netbox_proxsync/panels/run_progress.html'

    def __init__(self, linked: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.linked = linked

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        return {**context, 'progress': Progress.of(context['object'], timezone.now()), 'linked': self.linked}


class ChangePanel(panels.ObjectAttributesPanel):
    title = _('Change')
    run = attrs.RelatedObjectAttr('run', linkify=True)
    action = attrs.ChoiceAttr('action')
    outcome = attrs.ChoiceAttr('outcome')
    kind = attrs.TextAttr('kind_label', label=_('Object type'))
    key = attrs.TextAttr('key', style='font-monospace', label=_('Key in Proxmox VE'))
    unit = attrs.TextAttr('unit', style='font-monospace', label=_('Guest or node'))
    label = attrs.TextAttr('label')
    object = attrs.GenericForeignKeyAttr('object', linkify=True)
    reason = attrs.TextAttr('reason')
    message = attrs.TextAttr('message')


class ChangeFieldsPanel(panels.ObjectPanel):
    title = _('Fields')
    template_name = 'netbox_proxsync/panels/change_fields.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        change = context['object']
        binding, differing = differing_fields(change, context['request'].user)
        fields = [{**field, 'bound': differing.get(field['name'])} for field in change.labelled_fields]
        return {**context, 'binding': binding, 'fields': fields, 'has_decisions': any(each['bound'] for each in fields)}


class BindingPanel(panels.ObjectAttributesPanel):
    title = _('Binding')
    endpoint = attrs.RelatedObjectAttr('endpoint', linkify=True)
    kind = attrs.TextAttr('kind_label', label=_('Object type'))
    key = attrs.TextAttr('key', style='font-monospace', label=_('Key in Proxmox VE'))
    unit = attrs.TextAttr('unit', style='font-monospace', label=_('Guest or node'))
    object = attrs.GenericForeignKeyAttr('object', linkify=True)
    created_by_sync = attrs.BooleanAttr('created_by_sync')
    unmanaged = attrs.BooleanAttr('unmanaged')
    first_seen = attrs.DateTimeAttr('first_seen')
    missing_since = attrs.DateTimeAttr('missing_since')


class DecisionPanel(panels.ObjectAttributesPanel):
    title = _('Decision')
    endpoint = attrs.RelatedObjectAttr('endpoint', linkify=True)
    kind = attrs.TextAttr('kind_label', label=_('Object type'))
    key = attrs.TextAttr('key', style='font-monospace', label=_('Key in Proxmox VE'))
    unit = attrs.TextAttr('unit', style='font-monospace', label=_('Guest or node'))
    choice = attrs.ChoiceAttr('choice', label=_('Decision'))
    object = attrs.GenericForeignKeyAttr('object', linkify=True)
    name = attrs.TextAttr('name')
    user = attrs.RelatedObjectAttr('user')
    created = attrs.DateTimeAttr('created')


class BindingValuesPanel(panels.ObjectPanel):
    title = _('Last Written')
    template_name = 'netbox_proxsync/panels/binding_values.html'


class MappingRulePanel(panels.ObjectAttributesPanel):
    title = _('Mapping Rule')
    name = attrs.TextAttr('name')
    weight = attrs.NumericAttr('weight')
    enabled = attrs.BooleanAttr('enabled')
    description = attrs.TextAttr('description')


class RuleConditionsPanel(panels.ObjectAttributesPanel):
    title = pgettext_lazy('mapping rule', 'Conditions')
    endpoint = attrs.RelatedObjectAttr('endpoint', linkify=True)
    guest_type = attrs.ChoiceAttr('guest_type', label=_('Guest type'))
    name_pattern = attrs.TextAttr('name_pattern', label=_('Name pattern'), style='font-monospace text-break')
    pattern_type = attrs.ChoiceAttr('pattern_type', label=_('Pattern type'))
    guest_tags = attrs.ArrayAttr('guest_tags', label=_('Guest tags'))
    tag_match = attrs.ChoiceAttr('tag_match', label=_('Tag match'))
    pools = attrs.ArrayAttr('pools')
    nodes = attrs.ArrayAttr('nodes')
    vmid_range = attrs.TextAttr('vmid_range', label=_('VM IDs'))
    template = attrs.BooleanAttr('template')


class RuleOutcomePanel(panels.ObjectAttributesPanel):
    title = _('Outcome')
    skip = attrs.BooleanAttr('skip', label=_('Skip the guest'))
    role = attrs.RelatedObjectAttr('role', linkify=True, colored=True)
    tenant = attrs.RelatedObjectAttr('tenant', linkify=True, grouped_by='group')
    platform = attrs.RelatedObjectAttr('platform', linkify=True)
    vrf = attrs.RelatedObjectAttr('vrf', linkify=True, label=_('VRF'))
    vlan_group = attrs.RelatedObjectAttr('vlan_group', linkify=True, label=_('VLAN group'))
    extra_tags = attrs.RelatedObjectListAttr('extra_tags', linkify=True, colored=True, label=_('Extra tags'))
