from typing import TYPE_CHECKING, Annotated, Any, cast

import strawberry
import strawberry_django
from django.db.models import Q, QuerySet
from netbox.graphql.filters import BaseModelFilter, PrimaryModelFilter, register_filter
from strawberry.scalars import ID
from strawberry.types import Info
from strawberry_django import (
    BaseFilterLookup,
    ComparisonFilterLookup,
    DatetimeFilterLookup,
    FilterLookup,
    StrFilterLookup,
    process_filters,
)

from .. import models
from ..choices import GuestStateChoices
from ..models.endpoint_settings import SWITCHES
from ..models.visibility import hidden_machines
from .enums import *

if TYPE_CHECKING:
    from core.graphql.filters import ContentTypeFilter
    from dcim.graphql.filters import DeviceRoleFilter, DeviceTypeFilter, PlatformFilter, SiteFilter
    from extras.graphql.filters import TagFilter
    from ipam.graphql.filters import VLANGroupFilter, VRFFilter
    from netbox.graphql.filter_lookups import BigIntegerLookup, IntegerLookup, StringArrayLookup
    from strawberry.types.base import WithStrawberryObjectDefinition
    from tenancy.graphql.filters import TenantFilter
    from users.graphql.filters import UserFilter
    from virtualization.graphql.filters import (
        ClusterFilter,
        ClusterGroupFilter,
        ClusterTypeFilter,
        VirtualMachineFilter,
    )

__all__ = (
    'ProxSyncBindingFilter',
    'ProxSyncChangeFilter',
    'ProxSyncDecisionFilter',
    'ProxSyncEndpointFilter',
    'ProxSyncGuestFilter',
    'ProxSyncMappingRuleFilter',
    'ProxSyncRunFilter',
)

Integer = Annotated['IntegerLookup', strawberry.lazy('netbox.graphql.filter_lookups')]
BigInteger = Annotated['BigIntegerLookup', strawberry.lazy('netbox.graphql.filter_lookups')]
Texts = Annotated['StringArrayLookup', strawberry.lazy('netbox.graphql.filter_lookups')]
ContentTypes = Annotated['ContentTypeFilter', strawberry.lazy('core.graphql.filters')]
Endpoints = Annotated['ProxSyncEndpointFilter', strawberry.lazy('netbox_proxsync.graphql.filters')]
Runs = Annotated['ProxSyncRunFilter', strawberry.lazy('netbox_proxsync.graphql.filters')]


def with_switches[T](filter_class: type[T]) -> type[T]:
    """Add a filter for each boolean setting of an endpoint."""
    for setting in SWITCHES:
        filter_class.__annotations__[setting.name] = FilterLookup[bool] | None
        setattr(filter_class, setting.name, strawberry_django.filter_field())
    return filter_class


@register_filter(models.ProxmoxEndpoint, lookups=True)
@with_switches
class ProxSyncEndpointFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    enabled: FilterLookup[bool] | None = strawberry_django.filter_field()
    hosts: Texts | None = strawberry_django.filter_field()
    token_id: StrFilterLookup | None = strawberry_django.filter_field()
    tls_mode: BaseFilterLookup[ProxSyncTLSModeEnum] | None = strawberry_django.filter_field()
    fingerprint: StrFilterLookup | None = strawberry_django.filter_field()
    timeout: Integer | None = strawberry_django.filter_field()
    concurrency: Integer | None = strawberry_django.filter_field()
    cluster: Annotated['ClusterFilter', strawberry.lazy('virtualization.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    cluster_id: ID | None = strawberry_django.filter_field()
    cluster_type: Annotated['ClusterTypeFilter', strawberry.lazy('virtualization.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    cluster_type_id: ID | None = strawberry_django.filter_field()
    cluster_group: Annotated['ClusterGroupFilter', strawberry.lazy('virtualization.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    cluster_group_id: ID | None = strawberry_django.filter_field()
    site: Annotated['SiteFilter', strawberry.lazy('dcim.graphql.filters')] | None = strawberry_django.filter_field()
    site_id: ID | None = strawberry_django.filter_field()
    tenant: Annotated['TenantFilter', strawberry.lazy('tenancy.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    tenant_id: ID | None = strawberry_django.filter_field()
    guest_role: Annotated['DeviceRoleFilter', strawberry.lazy('dcim.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    guest_role_id: ID | None = strawberry_django.filter_field()
    node_role: Annotated['DeviceRoleFilter', strawberry.lazy('dcim.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    node_role_id: ID | None = strawberry_django.filter_field()
    node_device_type: Annotated['DeviceTypeFilter', strawberry.lazy('dcim.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    node_device_type_id: ID | None = strawberry_django.filter_field()
    vrf: Annotated['VRFFilter', strawberry.lazy('ipam.graphql.filters')] | None = strawberry_django.filter_field()
    vrf_id: ID | None = strawberry_django.filter_field()
    vlan_group: Annotated['VLANGroupFilter', strawberry.lazy('ipam.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    vlan_group_id: ID | None = strawberry_django.filter_field()
    include_guests: Texts | None = strawberry_django.filter_field()
    exclude_guests: Texts | None = strawberry_django.filter_field()
    ignored_interfaces: Texts | None = strawberry_django.filter_field()
    ignored_prefixes: Texts | None = strawberry_django.filter_field()
    interface_naming: BaseFilterLookup[ProxSyncInterfaceNamingEnum] | None = strawberry_django.filter_field()
    missing_guests: BaseFilterLookup[ProxSyncMissingGuestsEnum] | None = strawberry_django.filter_field()
    missing_addresses: BaseFilterLookup[ProxSyncMissingAddressesEnum] | None = strawberry_django.filter_field()
    missing_address_reads: Integer | None = strawberry_django.filter_field()
    address_limit: Integer | None = strawberry_django.filter_field()
    grace_days: Integer | None = strawberry_django.filter_field()
    change_limit: Integer | None = strawberry_django.filter_field()
    sync_interval: Integer | None = strawberry_django.filter_field()
    quick_interval: Integer | None = strawberry_django.filter_field()
    object_events: BaseFilterLookup[ProxSyncObjectEventsEnum] | None = strawberry_django.filter_field()
    write_policy: BaseFilterLookup[ProxSyncWritePolicyEnum] | None = strawberry_django.filter_field()
    sync_windows: Texts | None = strawberry_django.filter_field()
    paused_until: DatetimeFilterLookup | None = strawberry_django.filter_field()
    next_sync: DatetimeFilterLookup | None = strawberry_django.filter_field()
    next_quick: DatetimeFilterLookup | None = strawberry_django.filter_field()
    status: BaseFilterLookup[ProxSyncEndpointStatusEnum] | None = strawberry_django.filter_field()
    last_run: Runs | None = strawberry_django.filter_field()
    last_run_id: ID | None = strawberry_django.filter_field()
    guests_read: DatetimeFilterLookup | None = strawberry_django.filter_field()
    pve_version: StrFilterLookup | None = strawberry_django.filter_field()

    @strawberry_django.filter_field
    def sync_status(
        self, queryset: QuerySet[Any], value: BaseFilterLookup[ProxSyncSyncStatusEnum], prefix: str
    ) -> tuple[QuerySet[Any], Q]:
        """By how NetBox stands to Proxmox VE."""
        wanted = {*(value.in_list or ()), *([value.exact] if value.exact else ())}
        statuses = [getattr(status, 'value', status) for status in wanted]
        found = models.ProxmoxEndpoint.objects.with_sync_status().filter(sync_status__in=statuses).order_by()
        return queryset, Q(**{f'{prefix}pk__in': found.values('pk')})


@register_filter(models.MappingRule, lookups=True)
class ProxSyncMappingRuleFilter(PrimaryModelFilter):
    name: StrFilterLookup | None = strawberry_django.filter_field()
    weight: Integer | None = strawberry_django.filter_field()
    enabled: FilterLookup[bool] | None = strawberry_django.filter_field()
    endpoint: Endpoints | None = strawberry_django.filter_field()
    endpoint_id: ID | None = strawberry_django.filter_field()
    guest_type: BaseFilterLookup[ProxSyncGuestTypeEnum] | None = strawberry_django.filter_field()
    name_pattern: StrFilterLookup | None = strawberry_django.filter_field()
    pattern_type: BaseFilterLookup[ProxSyncPatternTypeEnum] | None = strawberry_django.filter_field()
    guest_tags: Texts | None = strawberry_django.filter_field()
    tag_match: BaseFilterLookup[ProxSyncTagMatchEnum] | None = strawberry_django.filter_field()
    pools: Texts | None = strawberry_django.filter_field()
    nodes: Texts | None = strawberry_django.filter_field()
    vmid_min: Integer | None = strawberry_django.filter_field()
    vmid_max: Integer | None = strawberry_django.filter_field()
    template: FilterLookup[bool] | None = strawberry_django.filter_field()
    skip: FilterLookup[bool] | None = strawberry_django.filter_field()
    role: Annotated['DeviceRoleFilter', strawberry.lazy('dcim.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    role_id: ID | None = strawberry_django.filter_field()
    tenant: Annotated['TenantFilter', strawberry.lazy('tenancy.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    tenant_id: ID | None = strawberry_django.filter_field()
    platform: Annotated['PlatformFilter', strawberry.lazy('dcim.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    platform_id: ID | None = strawberry_django.filter_field()
    vrf: Annotated['VRFFilter', strawberry.lazy('ipam.graphql.filters')] | None = strawberry_django.filter_field()
    vrf_id: ID | None = strawberry_django.filter_field()
    vlan_group: Annotated['VLANGroupFilter', strawberry.lazy('ipam.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    vlan_group_id: ID | None = strawberry_django.filter_field()
    extra_tags: Annotated['TagFilter', strawberry.lazy('extras.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )


@register_filter(models.SyncRun, lookups=True)
class ProxSyncRunFilter(BaseModelFilter):
    endpoint: Endpoints | None = strawberry_django.filter_field()
    endpoint_id: ID | None = strawberry_django.filter_field()
    user: Annotated['UserFilter', strawberry.lazy('users.graphql.filters')] | None = strawberry_django.filter_field()
    user_id: ID | None = strawberry_django.filter_field()
    mode: BaseFilterLookup[ProxSyncRunModeEnum] | None = strawberry_django.filter_field()
    status: BaseFilterLookup[ProxSyncRunStatusEnum] | None = strawberry_django.filter_field()
    branch: StrFilterLookup | None = strawberry_django.filter_field()
    branch_id: StrFilterLookup | None = strawberry_django.filter_field()
    request_id: ComparisonFilterLookup[ID] | None = strawberry_django.filter_field()
    created: DatetimeFilterLookup | None = strawberry_django.filter_field()
    started: DatetimeFilterLookup | None = strawberry_django.filter_field()
    completed: DatetimeFilterLookup | None = strawberry_django.filter_field()
    phase: StrFilterLookup | None = strawberry_django.filter_field()
    calls: Integer | None = strawberry_django.filter_field()
    guests: Integer | None = strawberry_django.filter_field()
    error: StrFilterLookup | None = strawberry_django.filter_field()
    refusal: StrFilterLookup | None = strawberry_django.filter_field()
    applies: Runs | None = strawberry_django.filter_field()
    applies_id: ID | None = strawberry_django.filter_field()
    reverts: Runs | None = strawberry_django.filter_field()
    reverts_id: ID | None = strawberry_django.filter_field()


@register_filter(models.SyncChange, lookups=True)
class ProxSyncChangeFilter(BaseModelFilter):
    run: Runs | None = strawberry_django.filter_field()
    run_id: ID | None = strawberry_django.filter_field()
    position: Integer | None = strawberry_django.filter_field()
    unit: StrFilterLookup | None = strawberry_django.filter_field()
    kind: StrFilterLookup | None = strawberry_django.filter_field()
    key: StrFilterLookup | None = strawberry_django.filter_field()
    action: BaseFilterLookup[ProxSyncChangeActionEnum] | None = strawberry_django.filter_field()
    outcome: BaseFilterLookup[ProxSyncChangeOutcomeEnum] | None = strawberry_django.filter_field()
    object_type: ContentTypes | None = strawberry_django.filter_field()
    object_type_id: ID | None = strawberry_django.filter_field()
    object_id: BigInteger | None = strawberry_django.filter_field()
    label: StrFilterLookup | None = strawberry_django.filter_field()
    reason: StrFilterLookup | None = strawberry_django.filter_field()
    message: StrFilterLookup | None = strawberry_django.filter_field()


@register_filter(models.Binding, lookups=True)
class ProxSyncBindingFilter(BaseModelFilter):
    endpoint: Endpoints | None = strawberry_django.filter_field()
    endpoint_id: ID | None = strawberry_django.filter_field()
    kind: StrFilterLookup | None = strawberry_django.filter_field()
    key: StrFilterLookup | None = strawberry_django.filter_field()
    unit: StrFilterLookup | None = strawberry_django.filter_field()
    object_type: ContentTypes | None = strawberry_django.filter_field()
    object_type_id: ID | None = strawberry_django.filter_field()
    object_id: BigInteger | None = strawberry_django.filter_field()
    created_by_sync: FilterLookup[bool] | None = strawberry_django.filter_field()
    unmanaged: FilterLookup[bool] | None = strawberry_django.filter_field()
    first_seen: DatetimeFilterLookup | None = strawberry_django.filter_field()
    missing_since: DatetimeFilterLookup | None = strawberry_django.filter_field()


@register_filter(models.Decision, lookups=True)
class ProxSyncDecisionFilter(BaseModelFilter):
    endpoint: Endpoints | None = strawberry_django.filter_field()
    endpoint_id: ID | None = strawberry_django.filter_field()
    kind: StrFilterLookup | None = strawberry_django.filter_field()
    key: StrFilterLookup | None = strawberry_django.filter_field()
    unit: StrFilterLookup | None = strawberry_django.filter_field()
    choice: BaseFilterLookup[ProxSyncDecisionEnum] | None = strawberry_django.filter_field()
    object_type: ContentTypes | None = strawberry_django.filter_field()
    object_type_id: ID | None = strawberry_django.filter_field()
    object_id: BigInteger | None = strawberry_django.filter_field()
    name: StrFilterLookup | None = strawberry_django.filter_field()
    user: Annotated['UserFilter', strawberry.lazy('users.graphql.filters')] | None = strawberry_django.filter_field()
    user_id: ID | None = strawberry_django.filter_field()
    created: DatetimeFilterLookup | None = strawberry_django.filter_field()


@register_filter(models.ProxmoxGuest, lookups=True)
class ProxSyncGuestFilter(BaseModelFilter):
    endpoint: Endpoints | None = strawberry_django.filter_field()
    endpoint_id: ID | None = strawberry_django.filter_field()
    type: BaseFilterLookup[ProxSyncGuestTypeEnum] | None = strawberry_django.filter_field()
    vmid: Integer | None = strawberry_django.filter_field()
    name: StrFilterLookup | None = strawberry_django.filter_field()
    node: StrFilterLookup | None = strawberry_django.filter_field()
    status: StrFilterLookup | None = strawberry_django.filter_field()
    tags: Texts | None = strawberry_django.filter_field()
    template: FilterLookup[bool] | None = strawberry_django.filter_field()
    state: BaseFilterLookup[ProxSyncGuestStateEnum] | None = strawberry_django.filter_field()
    ignored: FilterLookup[bool] | None = strawberry_django.filter_field()
    seen_until: DatetimeFilterLookup | None = strawberry_django.filter_field()
    known_until: DatetimeFilterLookup | None = strawberry_django.filter_field()
    virtual_machine: Annotated['VirtualMachineFilter', strawberry.lazy('virtualization.graphql.filters')] | None = (
        strawberry_django.filter_field()
    )
    virtual_machine_id: ID | None = strawberry_django.filter_field()

    @strawberry_django.filter_field
    def reason(
        self, info: Info, queryset: QuerySet[Any], value: StrFilterLookup, prefix: str
    ) -> tuple[QuerySet[Any], Q]:
        """What is not displayed is not found, either: a conflict's reason may name a machine that is hidden."""
        lookups = cast('WithStrawberryObjectDefinition', value)  # strawberry-django adds the definition at run time
        queryset, found = process_filters(lookups, queryset, info, prefix=f'{prefix}reason__')
        if hidden_machines(info.context.request.user):
            found &= ~Q(**{f'{prefix}state__in': GuestStateChoices.NAMING_OTHERS})
        return queryset, found
