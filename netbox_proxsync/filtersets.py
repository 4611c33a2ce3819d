from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import django_filters
from core.choices import JobIntervalChoices
from core.models import Job
from dcim.models import DeviceRole, DeviceType, Platform, Site
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.filtersets import BaseFilterSet, PrimaryModelFilterSet
from tenancy.models import Tenant
from users.models import User
from utilities.choices import ChoiceSet
from utilities.filters import (
    MultiValueArrayFilter,
    MultiValueCharFilter,
    MultiValueContentTypeFilter,
    MultiValueDateTimeFilter,
    MultiValueNumberFilter,
    TreeNodeMultipleChoiceFilter,
)
from utilities.filtersets import register_filterset
from virtualization.models import Cluster, ClusterGroup, ClusterType, VirtualMachine

from .choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    DecisionChoices,
    DuplicateChoices,
    EndpointStatusChoices,
    GuestStateChoices,
    GuestTypeChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    PatternTypeChoices,
    RunModeChoices,
    RunStatusChoices,
    SyncStatusChoices,
    TagMatchChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from .filters import CheckedFilters
from .guest_search import by_address_or_mac, guests_matching, without_agent
from .models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from .models.endpoint_settings import SWITCHES
from .models.guests import ProxmoxGuestQuerySet
from .models.rules import MAX_VMID, MIN_VMID

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'BindingFilterSet',
    'DecisionFilterSet',
    'MappingRuleFilterSet',
    'ProxmoxEndpointFilterSet',
    'ProxmoxGuestFilterSet',
    'SyncChangeFilterSet',
    'SyncRunFilterSet',
)


# As `ProxmoxGuest.last_seen`.
LAST_SEEN = Coalesce(F('seen_until'), F('endpoint__guests_read'))


def by_id(queryset: QuerySet[Any], label: 'StrOrPromise') -> django_filters.ModelMultipleChoiceFilter:
    return django_filters.ModelMultipleChoiceFilter(queryset=queryset, distinct=False, label=label)


def by_name(
    relation: str, queryset: QuerySet[Any], label: 'StrOrPromise', to_field_name: str = 'name'
) -> django_filters.ModelMultipleChoiceFilter:
    return django_filters.ModelMultipleChoiceFilter(
        field_name=f'{relation}__{to_field_name}',
        queryset=queryset,
        distinct=False,
        to_field_name=to_field_name,
        label=label,
    )


def by_choice(choices: type[ChoiceSet]) -> django_filters.MultipleChoiceFilter:
    return django_filters.MultipleChoiceFilter(choices=choices, distinct=False, null_value=None)


@register_filterset
class ProxmoxEndpointFilterSet(CheckedFilters, PrimaryModelFilterSet):
    status = by_choice(EndpointStatusChoices)
    sync_status = django_filters.MultipleChoiceFilter(
        choices=SyncStatusChoices,
        method='filter_sync_status',
        distinct=False,
        label=_('Sync status'),
    )
    tls_mode = by_choice(TLSModeChoices)
    interface_naming = by_choice(InterfaceNamingChoices)
    missing_guests = by_choice(MissingGuestsChoices)
    missing_addresses = by_choice(MissingAddressesChoices)
    sync_interval = by_choice(JobIntervalChoices)
    object_events = by_choice(ObjectEventsChoices)
    write_policy = by_choice(WritePolicyChoices)
    next_sync = MultiValueDateTimeFilter()
    next_quick = MultiValueDateTimeFilter()
    paused_until = MultiValueDateTimeFilter()
    sync_windows = MultiValueArrayFilter(lookup_expr='icontains')
    # Matches a part of any host.
    hosts = MultiValueArrayFilter(lookup_expr='icontains')
    cluster_id = by_id(Cluster.objects.all(), _('Cluster (ID)'))
    cluster = by_name('cluster', Cluster.objects.all(), _('Cluster (name)'))
    cluster_type_id = by_id(ClusterType.objects.all(), _('Cluster type (ID)'))
    cluster_type = by_name('cluster_type', ClusterType.objects.all(), _('Cluster type (slug)'), 'slug')
    cluster_group_id = by_id(ClusterGroup.objects.all(), _('Cluster group (ID)'))
    cluster_group = by_name('cluster_group', ClusterGroup.objects.all(), _('Cluster group (slug)'), 'slug')
    site_id = by_id(Site.objects.all(), _('Site (ID)'))
    site = by_name('site', Site.objects.all(), _('Site (slug)'), 'slug')
    tenant_id = by_id(Tenant.objects.all(), _('Tenant (ID)'))
    tenant = by_name('tenant', Tenant.objects.all(), _('Tenant (slug)'), 'slug')
    guest_role_id = TreeNodeMultipleChoiceFilter(
        queryset=DeviceRole.objects.all(),
        lookup_expr='in',
        label=_('Guest role (ID)'),
    )
    guest_role = TreeNodeMultipleChoiceFilter(
        field_name='guest_role',
        queryset=DeviceRole.objects.all(),
        lookup_expr='in',
        to_field_name='slug',
        label=_('Guest role (slug)'),
    )
    node_role_id = TreeNodeMultipleChoiceFilter(
        queryset=DeviceRole.objects.all(),
        lookup_expr='in',
        label=_('Node role (ID)'),
    )
    node_role = TreeNodeMultipleChoiceFilter(
        field_name='node_role',
        queryset=DeviceRole.objects.all(),
        lookup_expr='in',
        to_field_name='slug',
        label=_('Node role (slug)'),
    )
    node_device_type_id = by_id(DeviceType.objects.all(), _('Node device type (ID)'))
    node_device_type = by_name('node_device_type', DeviceType.objects.all(), _('Node device type (slug)'), 'slug')
    vlan_group_id = by_id(VLANGroup.objects.all(), _('VLAN group (ID)'))
    vlan_group = by_name('vlan_group', VLANGroup.objects.all(), _('VLAN group (slug)'), 'slug')
    include_guests = MultiValueArrayFilter(lookup_expr='icontains')
    exclude_guests = MultiValueArrayFilter(lookup_expr='icontains')
    ignored_interfaces = MultiValueArrayFilter(lookup_expr='icontains')
    ignored_prefixes = MultiValueArrayFilter(lookup_expr='icontains')
    vrf_id = by_id(VRF.objects.all(), _('VRF (ID)'))
    vrf = by_name('vrf', VRF.objects.all(), _('VRF (RD)'), 'rd')
    guests_read = MultiValueDateTimeFilter()
    last_run_id = by_id(SyncRun.objects.all(), _('Last run (ID)'))

    class Meta:
        model = ProxmoxEndpoint
        fields = (
            'id', 'name', 'enabled', 'token_id', 'fingerprint', 'timeout', 'concurrency', 'ssh_user', 'ssh_port',
            'ssh_host_keys', *(setting.name for setting in SWITCHES), 'grace_days', 'missing_address_reads',
            'address_limit', 'change_limit', 'quick_interval', 'pve_version', 'description',
        )  # fmt: skip

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(name__icontains=value)
            | Q(hosts__icontains=value)
            | Q(cluster__name__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )

    def filter_sync_status(self, queryset: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        if not value:
            return queryset
        found = ProxmoxEndpoint.objects.with_sync_status().filter(sync_status__in=value).order_by()
        return queryset.filter(pk__in=found.values('pk'))


class EndpointFilters(CheckedFilters, BaseFilterSet):
    """Filter set with a search, for models that belong to an endpoint."""

    q = django_filters.CharFilter(
        method='search',
        label=_('Search'),
    )
    endpoint_id = by_id(ProxmoxEndpoint.objects.all(), _('Endpoint (ID)'))
    endpoint = by_name('endpoint', ProxmoxEndpoint.objects.all(), _('Endpoint (name)'))


@register_filterset
class SyncRunFilterSet(EndpointFilters):
    mode = by_choice(RunModeChoices)
    status = by_choice(RunStatusChoices)
    job_id = by_id(Job.objects.all(), _('Job (ID)'))
    user_id = by_id(User.objects.all(), _('User (ID)'))
    applies_id = by_id(SyncRun.objects.all(), _('Plan of run (ID)'))
    reverts_id = by_id(SyncRun.objects.all(), _('Revert of run (ID)'))
    vmids = MultiValueNumberFilter(method='filter_vmids', label=_('Limited to a guest (VM ID)'))
    limited = django_filters.BooleanFilter(
        field_name='vmids',
        lookup_expr='isnull',
        exclude=True,
        label=_('Limited to given guests'),
    )
    user = by_name('user', User.objects.all(), _('User name'), 'username')
    branch = MultiValueCharFilter()
    branch_id = MultiValueCharFilter()
    in_branch = django_filters.BooleanFilter(
        method='filter_in_branch',
        label=_('In a branch'),
    )
    created = MultiValueDateTimeFilter()
    started = MultiValueDateTimeFilter()
    completed = MultiValueDateTimeFilter()

    class Meta:
        model = SyncRun
        fields = (
            'id', 'mode', 'status', 'branch', 'branch_id', 'request_id', 'created', 'started', 'completed', 'phase',
            'calls', 'guests', 'error', 'refusal',
        )  # fmt: skip

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(endpoint__name__icontains=value) | Q(user__username__icontains=value) | Q(error__icontains=value)
        )

    def filter_in_branch(self, queryset: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return queryset.exclude(branch_id='') if value else queryset.filter(branch_id='')

    def filter_vmids(self, queryset: QuerySet[Any], name: str, value: list[int]) -> QuerySet[Any]:
        # PostgreSQL would reject numbers that are too large. No guest has a VM ID outside of the range.
        possible = [vmid for vmid in value if MIN_VMID <= vmid <= MAX_VMID]
        return queryset.filter(vmids__overlap=possible) if value else queryset


@register_filterset
class SyncChangeFilterSet(CheckedFilters, BaseFilterSet):
    q = django_filters.CharFilter(
        method='search',
        label=_('Search'),
    )
    run_id = by_id(SyncRun.objects.all(), _('Run (ID)'))
    endpoint_id = django_filters.ModelMultipleChoiceFilter(
        field_name='run__endpoint',
        queryset=ProxmoxEndpoint.objects.all(),
        distinct=False,
        label=_('Endpoint (ID)'),
    )
    mode = django_filters.MultipleChoiceFilter(
        field_name='run__mode',
        choices=RunModeChoices,
        distinct=False,
        label=_('Mode of the run'),
    )
    kind = MultiValueCharFilter()
    unit = MultiValueCharFilter()
    key = MultiValueCharFilter()
    action = by_choice(ChangeActionChoices)
    outcome = by_choice(ChangeOutcomeChoices)
    object_type = MultiValueContentTypeFilter()
    object_id = MultiValueNumberFilter()

    class Meta:
        model = SyncChange
        fields = (
            'id', 'position', 'unit', 'kind', 'key', 'action', 'outcome', 'object_type', 'object_id', 'label', 'reason',
            'message',
        )  # fmt: skip

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(label__icontains=value)
            | Q(key__icontains=value)
            | Q(reason__icontains=value)
            | Q(message__icontains=value)
        )


@register_filterset
class DecisionFilterSet(EndpointFilters):
    kind = MultiValueCharFilter()
    unit = MultiValueCharFilter()
    key = MultiValueCharFilter()
    choice = by_choice(DecisionChoices)
    object_type = MultiValueContentTypeFilter()
    object_id = MultiValueNumberFilter()
    user_id = by_id(User.objects.all(), _('User (ID)'))
    user = by_name('user', User.objects.all(), _('User (name)'), 'username')
    created = MultiValueDateTimeFilter()

    class Meta:
        model = Decision
        fields = ('id', 'kind', 'key', 'unit', 'choice', 'object_type', 'object_id', 'name', 'created')

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(Q(key__icontains=value) | Q(endpoint__name__icontains=value))


@register_filterset
class BindingFilterSet(EndpointFilters):
    kind = MultiValueCharFilter()
    unit = MultiValueCharFilter()
    key = MultiValueCharFilter()
    object_type = MultiValueContentTypeFilter()
    object_id = MultiValueNumberFilter()
    first_seen = MultiValueDateTimeFilter()
    missing_since = MultiValueDateTimeFilter()
    missing = django_filters.BooleanFilter(
        field_name='missing_since',
        lookup_expr='isnull',
        exclude=True,
        label=_('Missing from Proxmox VE'),
    )

    class Meta:
        model = Binding
        fields = (
            'id', 'kind', 'key', 'unit', 'object_type', 'object_id', 'created_by_sync', 'unmanaged', 'first_seen',
            'missing_since',
        )  # fmt: skip

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(Q(key__icontains=value) | Q(endpoint__name__icontains=value))


def by_tree(name: str, queryset: QuerySet[Any], label: 'StrOrPromise', **kwargs: Any) -> TreeNodeMultipleChoiceFilter:
    return TreeNodeMultipleChoiceFilter(field_name=name, queryset=queryset, lookup_expr='in', label=label, **kwargs)


@register_filterset
class MappingRuleFilterSet(CheckedFilters, PrimaryModelFilterSet):
    endpoint_id = by_id(ProxmoxEndpoint.objects.all(), _('Endpoint (ID)'))
    endpoint = by_name('endpoint', ProxmoxEndpoint.objects.all(), _('Endpoint (name)'))
    guest_type = by_choice(GuestTypeChoices)
    pattern_type = by_choice(PatternTypeChoices)
    tag_match = by_choice(TagMatchChoices)
    # Match a part of any of them.
    guest_tags = MultiValueArrayFilter(lookup_expr='icontains')
    pools = MultiValueArrayFilter(lookup_expr='icontains')
    nodes = MultiValueArrayFilter(lookup_expr='icontains')
    role_id = by_tree('role', DeviceRole.objects.all(), _('Role (ID)'))
    role = by_tree('role', DeviceRole.objects.all(), _('Role (slug)'), to_field_name='slug')
    tenant_id = by_id(Tenant.objects.all(), _('Tenant (ID)'))
    tenant = by_name('tenant', Tenant.objects.all(), _('Tenant (slug)'), 'slug')
    platform_id = by_tree('platform', Platform.objects.all(), _('Platform (ID)'))
    platform = by_tree('platform', Platform.objects.all(), _('Platform (slug)'), to_field_name='slug')
    vrf_id = by_id(VRF.objects.all(), _('VRF (ID)'))
    vrf = by_name('vrf', VRF.objects.all(), _('VRF (RD)'), 'rd')
    vlan_group_id = by_id(VLANGroup.objects.all(), _('VLAN group (ID)'))
    vlan_group = by_name('vlan_group', VLANGroup.objects.all(), _('VLAN group (slug)'), 'slug')
    extra_tag_id = django_filters.ModelMultipleChoiceFilter(
        field_name='extra_tags',
        queryset=Tag.objects.all(),
        label=_('Extra tag (ID)'),
    )
    extra_tag = django_filters.ModelMultipleChoiceFilter(
        field_name='extra_tags__slug',
        queryset=Tag.objects.all(),
        to_field_name='slug',
        label=_('Extra tag (slug)'),
    )

    class Meta:
        model = MappingRule
        fields = (
            'id', 'name', 'weight', 'enabled', 'name_pattern', 'vmid_min', 'vmid_max', 'template', 'skip',
            'description',
        )  # fmt: skip

    def search(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if not value.strip():
            return queryset
        return queryset.filter(
            Q(name__icontains=value)
            | Q(name_pattern__icontains=value)
            | Q(guest_tags__icontains=value)
            | Q(pools__icontains=value)
            | Q(nodes__icontains=value)
            | Q(description__icontains=value)
            | Q(comments__icontains=value)
        )


@register_filterset
class ProxmoxGuestFilterSet(EndpointFilters):
    type = by_choice(GuestTypeChoices)
    state = by_choice(GuestStateChoices)
    node = MultiValueCharFilter()
    status = MultiValueCharFilter()
    reason = MultiValueCharFilter()
    # Matches guests that have any of the tags.
    tags = MultiValueArrayFilter(lookup_expr='icontains')
    pool = MultiValueCharFilter(
        method='filter_pool',
        label=_('Pool'),
    )
    last_seen_after = django_filters.DateTimeFilter(
        method='filter_last_seen_after',
        label=_('Last seen after'),
    )
    last_seen_before = django_filters.DateTimeFilter(
        method='filter_last_seen_before',
        label=_('Last seen before'),
    )
    virtual_machine_id = by_id(VirtualMachine.objects.all(), _('Virtual machine (ID)'))
    virtual_machine = by_name('virtual_machine', VirtualMachine.objects.all(), _('Virtual machine (name)'))
    seen_until = MultiValueDateTimeFilter()
    known_until = MultiValueDateTimeFilter()
    has_virtual_machine = django_filters.BooleanFilter(
        field_name='virtual_machine',
        lookup_expr='isnull',
        exclude=True,
        label=_('Has a virtual machine'),
    )
    duplicate = django_filters.MultipleChoiceFilter(
        choices=DuplicateChoices,
        method='filter_duplicate',
        distinct=False,
        label=_('Shares a value with another guest'),
    )
    without_agent = django_filters.BooleanFilter(
        method='filter_without_agent',
        label=_('Runs without a guest agent'),
    )

    class Meta:
        model = ProxmoxGuest
        fields = (
            'id', 'type', 'vmid', 'name', 'node', 'status', 'template', 'state', 'reason', 'ignored', 'seen_until',
            'known_until',
        )  # fmt: skip

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        assert isinstance(queryset, ProxmoxGuestQuerySet)
        by_reason = any(name.startswith('reason') for name, value in self.form.cleaned_data.items() if value)
        if by_reason and not queryset.mentions_other_guests:
            # Reasons that are hidden from the user must not be found either.
            queryset = queryset.exclude(state__in=GuestStateChoices.NAMING_OTHERS)
        return super().filter_queryset(queryset)

    def search(self, queryset: ProxmoxGuestQuerySet, name: str, value: str) -> QuerySet[Any]:
        if not (value := value.strip()):
            return queryset
        reason_shown = Q() if queryset.mentions_other_guests else ~Q(state__in=GuestStateChoices.NAMING_OTHERS)
        found = (
            Q(name__icontains=value)
            | Q(node__icontains=value)
            | Q(reason_shown, reason__icontains=value)
            | Q(virtual_machine__name__icontains=value)
            | Q(tags__icontains=value)
        )
        if value.isdecimal():
            found |= Q(vmid__startswith=value)
        elif by_value := by_address_or_mac(value):
            found |= by_value
        return queryset.filter(found)

    def filter_pool(self, queryset: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        return queryset.filter(details__pool__in=value) if value else queryset

    def filter_last_seen_after(self, queryset: QuerySet[Any], name: str, value: datetime) -> QuerySet[Any]:
        return cast(QuerySet[Any], queryset.alias(seen=LAST_SEEN).filter(seen__gte=value))

    def filter_last_seen_before(self, queryset: QuerySet[Any], name: str, value: datetime) -> QuerySet[Any]:
        return cast(QuerySet[Any], queryset.alias(seen=LAST_SEEN).filter(seen__lte=value))

    def filter_duplicate(self, queryset: QuerySet[Any], name: str, value: list[str]) -> QuerySet[Any]:
        return guests_matching(queryset, value, getattr(self.request, 'user', None)) if value else queryset

    def filter_without_agent(self, queryset: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return queryset.filter(without_agent()) if value else queryset.exclude(without_agent())
