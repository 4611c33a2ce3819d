from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.choices import JobIntervalChoices
from dcim.models import DeviceRole, DeviceType, Platform, Site
from django import forms
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.context import current_request
from netbox.forms import PrimaryModelFilterSetForm
from netbox.forms.mixins import SavedFiltersMixin
from tenancy.models import Tenant
from users.models import User
from utilities.choices import ChoiceSet
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES, FilterForm
from utilities.forms.fields import DynamicModelMultipleChoiceField, TagFilterField
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import DateTimePicker
from virtualization.models import Cluster, ClusterGroup, ClusterType, VirtualMachine

from ..choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    DecisionChoices,
    DuplicateChoices,
    EndpointStatusChoices,
    GuestStateChoices,
    GuestTypeChoices,
    KindChoices,
    PatternTypeChoices,
    RunModeChoices,
    RunStatusChoices,
    SyncStatusChoices,
    TagMatchChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from ..models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.endpoint_settings import SWITCHES

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'BindingFilterForm',
    'DecisionFilterForm',
    'MappingRuleFilterForm',
    'ProxmoxEndpointFilterForm',
    'ProxmoxGuestFilterForm',
    'SyncChangeFilterForm',
    'SyncRunFilterForm',
)


def boolean(label: 'StrOrPromise') -> forms.NullBooleanField:
    return forms.NullBooleanField(label=label, required=False, widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES))


def multiple_choice(label: 'StrOrPromise', choices: type[ChoiceSet]) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(label=label, choices=choices, required=False)


def objects(label: 'StrOrPromise', model: type[Model], **kwargs: Any) -> DynamicModelMultipleChoiceField:
    return DynamicModelMultipleChoiceField(label=label, queryset=model._default_manager.all(), required=False, **kwargs)


def date_time(label: 'StrOrPromise') -> forms.DateTimeField:
    return forms.DateTimeField(label=label, required=False, widget=DateTimePicker())


def values_of_guests(name: str) -> Callable[[], list[tuple[str, str]]]:
    """Choices: the values of a field of the guests that the user of the request may view, in one query a request."""
    cached = f'_proxsync_{name}s'

    def choices() -> list[tuple[str, str]]:
        request = current_request.get()
        if request is None:
            return []
        if not hasattr(request, cached):
            guests = ProxmoxGuest.objects.restrict(request.user, 'view').order_by()
            found = set(guests.values_list(name, flat=True).distinct())
            # A filter in an address may name what no guest has now.
            values = sorted(value for value in found.union(request.GET.getlist(name)) if value)
            setattr(request, cached, [(value, value) for value in values])
        return getattr(request, cached)  # type: ignore[no-any-return]

    return choices


# A form field for each boolean setting.
EndpointSwitches: Any = type(
    'EndpointSwitches', (forms.Form,), {setting.name: boolean(setting.label) for setting in SWITCHES}
)


class ProxmoxEndpointFilterForm(EndpointSwitches, PrimaryModelFilterSetForm):
    model = ProxmoxEndpoint
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet(
            'sync_status', 'status', 'enabled', 'write_policy', 'sync_interval', 'quick_interval', 'tls_mode',
            'pve_version',
            name=_('Endpoint'),
        ),
        FieldSet(
            'cluster_id', 'cluster_type_id', 'cluster_group_id', 'site_id', 'tenant_id', 'guest_role_id',
            'node_role_id', 'node_device_type_id', 'vrf_id', 'vlan_group_id',
            name=_('Placement'),
        ),
        FieldSet(*(setting.name for setting in SWITCHES), name=_('Behavior')),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )  # fmt: skip
    sync_status = multiple_choice(_('Sync status'), SyncStatusChoices)
    status = multiple_choice(_('Last run'), EndpointStatusChoices)
    enabled = boolean(_('Enabled'))
    write_policy = multiple_choice(_('Write policy'), WritePolicyChoices)
    sync_interval = multiple_choice(_('Sync interval'), JobIntervalChoices)
    quick_interval = forms.IntegerField(label=_('Quick interval (minutes)'), required=False)
    tls_mode = multiple_choice(_('TLS verification'), TLSModeChoices)
    pve_version = forms.CharField(label=_('Proxmox VE version'), required=False)
    cluster_id = objects(_('Cluster'), Cluster)
    cluster_type_id = objects(_('Cluster type'), ClusterType)
    cluster_group_id = objects(_('Cluster group'), ClusterGroup)
    site_id = objects(_('Site'), Site)
    tenant_id = objects(_('Tenant'), Tenant)
    guest_role_id = objects(_('Guest role'), DeviceRole, query_params={'vm_role': 'true'})
    node_role_id = objects(_('Node role'), DeviceRole)
    node_device_type_id = objects(_('Node device type'), DeviceType)
    vlan_group_id = objects(_('VLAN group'), VLANGroup)
    vrf_id = objects(_('VRF'), VRF)
    tag = TagFilterField(model)


class SyncRunFilterForm(SavedFiltersMixin, FilterForm):
    model = SyncRun
    fieldsets = (
        FieldSet('q', 'filter_id'),
        FieldSet('endpoint_id', 'mode', 'status', 'user_id', 'limited', 'in_branch', 'branch', name=_('Run')),
        FieldSet('created__gte', 'created__lte', name=_('Time')),
    )
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    mode = multiple_choice(_('Mode'), RunModeChoices)
    status = multiple_choice(_('Status'), RunStatusChoices)
    user_id = objects(_('User'), User)
    limited = boolean(_('Limited to given guests'))
    in_branch = boolean(_('In a branch'))
    branch = forms.CharField(label=_('Branch'), required=False)
    created__gte = date_time(_('Created after'))
    created__lte = date_time(_('Created before'))


class SyncChangeFilterForm(SavedFiltersMixin, FilterForm):
    model = SyncChange
    fieldsets = (
        FieldSet('q', 'filter_id'),
        FieldSet('run_id', 'endpoint_id', 'mode', name=_('Run')),
        FieldSet('action', 'outcome', 'kind', 'unit', 'key', name=_('Change')),
    )
    run_id = objects(_('Run'), SyncRun)
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    mode = multiple_choice(_('Mode'), RunModeChoices)
    action = multiple_choice(_('Action'), ChangeActionChoices)
    outcome = multiple_choice(_('Outcome'), ChangeOutcomeChoices)
    kind = multiple_choice(_('Object type'), KindChoices)
    unit = forms.CharField(label=_('Guest or node'), required=False)
    key = forms.CharField(label=_('Key'), required=False)


class BindingFilterForm(SavedFiltersMixin, FilterForm):
    model = Binding
    fieldsets = (
        FieldSet('q', 'filter_id'),
        FieldSet('endpoint_id', 'kind', 'unit', 'key', name=_('Binding')),
        FieldSet('created_by_sync', 'unmanaged', 'missing', name=_('Attributes')),
    )
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    kind = multiple_choice(_('Object type'), KindChoices)
    unit = forms.CharField(label=_('Guest or node'), required=False)
    key = forms.CharField(label=_('Key'), required=False)
    created_by_sync = boolean(_('Created by sync'))
    unmanaged = boolean(_('Unmanaged'))
    missing = boolean(_('Missing from Proxmox VE'))


class DecisionFilterForm(SavedFiltersMixin, FilterForm):
    model = Decision
    fieldsets = (
        FieldSet('q', 'filter_id'),
        FieldSet('endpoint_id', 'kind', 'unit', 'key', name=_('Object')),
        FieldSet('choice', 'user_id', name=_('Decision')),
    )
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    kind = multiple_choice(_('Object type'), KindChoices)
    unit = forms.CharField(label=_('Guest or node'), required=False)
    key = forms.CharField(label=_('Key'), required=False)
    choice = multiple_choice(_('Decision'), DecisionChoices)
    user_id = objects(_('User'), User)


class MappingRuleFilterForm(PrimaryModelFilterSetForm):
    model = MappingRule
    fieldsets = (
        FieldSet('q', 'filter_id', 'tag'),
        FieldSet('enabled', 'weight', name=_('Mapping Rule')),
        FieldSet(
            'endpoint_id', 'guest_type', 'pattern_type', 'guest_tags', 'tag_match', 'pools', 'nodes', 'template',
            name=pgettext_lazy('mapping rule', 'Conditions'),
        ),
        FieldSet(
            'skip', 'role_id', 'tenant_id', 'platform_id', 'vrf_id', 'vlan_group_id', 'extra_tag_id', name=_('Outcome')
        ),
        FieldSet('owner_group_id', 'owner_id', name=_('Ownership')),
    )  # fmt: skip
    enabled = boolean(_('Enabled'))
    weight = forms.IntegerField(label=_('Weight'), required=False)
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    guest_type = multiple_choice(_('Guest type'), GuestTypeChoices)
    pattern_type = multiple_choice(_('Pattern type'), PatternTypeChoices)
    guest_tags = forms.CharField(label=_('Guest tag'), required=False)
    tag_match = multiple_choice(_('Tag match'), TagMatchChoices)
    pools = forms.CharField(label=_('Pool'), required=False)
    nodes = forms.CharField(label=_('Node'), required=False)
    template = boolean(_('Template'))
    skip = boolean(_('Skip the guest'))
    role_id = objects(_('Role'), DeviceRole, query_params={'vm_role': 'true'})
    tenant_id = objects(_('Tenant'), Tenant)
    platform_id = objects(_('Platform'), Platform)
    vrf_id = objects(_('VRF'), VRF)
    vlan_group_id = objects(_('VLAN group'), VLANGroup)
    extra_tag_id = objects(_('Extra tag'), Tag)
    tag = TagFilterField(model)


class ProxmoxGuestFilterForm(SavedFiltersMixin, FilterForm):
    model = ProxmoxGuest
    fieldsets = (
        FieldSet('q', 'filter_id'),
        FieldSet(
            'endpoint_id',
            'vmid',
            'state',
            'reason__ic',
            'type',
            'node',
            'status',
            'pool',
            'tags',
            'template',
            name=_('Guest'),
        ),
        FieldSet('last_seen_after', 'last_seen_before', name=_('Time')),
        FieldSet('virtual_machine_id', 'has_virtual_machine', 'ignored', name=_('NetBox')),
        FieldSet('duplicate', 'without_agent', name=_('Reports')),
    )
    duplicate = multiple_choice(_('Shares with another guest'), DuplicateChoices)
    without_agent = boolean(_('Runs without a guest agent'))
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    state = multiple_choice(_('Sync status'), GuestStateChoices)
    type = multiple_choice(_('Type'), GuestTypeChoices)
    vmid = forms.IntegerField(label=_('VM ID'), required=False)
    reason__ic = forms.CharField(label=_('Reason contains'), required=False)
    node = forms.MultipleChoiceField(label=_('Node'), choices=values_of_guests('node'), required=False)
    status = forms.MultipleChoiceField(label=_('Status'), choices=values_of_guests('status'), required=False)
    pool = forms.CharField(label=_('Pool'), required=False)
    last_seen_after = date_time(_('Last seen after'))
    last_seen_before = date_time(_('Last seen before'))
    tags = forms.CharField(label=_('Proxmox VE tags'), required=False)
    template = boolean(_('Template'))
    virtual_machine_id = objects(_('Virtual machine'), VirtualMachine)
    has_virtual_machine = boolean(_('Has a virtual machine'))
    ignored = boolean(_('Ignored'))
