"""Filters of endpoints."""

from typing import Any

import django_filters
from core.choices import JobIntervalChoices
from dcim.models import DeviceRole, DeviceType, Site
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from ipam.models import VRF, VLANGroup
from netbox.filtersets import PrimaryModelFilterSet
from tenancy.models import Tenant
from utilities.filters import MultiValueArrayFilter, MultiValueDateTimeFilter, TreeNodeMultipleChoiceFilter
from utilities.filtersets import register_filterset
from virtualization.models import Cluster, ClusterGroup, ClusterType

from ..choices import (
    EndpointStatusChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    SyncStatusChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from ..filters import CheckedFilters
from ..models import ProxmoxEndpoint, SyncRun
from ..models.endpoint_settings import SWITCHES
from .common import by_choice, by_id, by_name

__all__ = ('ProxmoxEndpointFilterSet',)


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
