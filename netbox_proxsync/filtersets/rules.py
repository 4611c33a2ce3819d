"""Filters of mapping rules."""

from typing import Any

import django_filters
from dcim.models import DeviceRole, Platform
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.filtersets import PrimaryModelFilterSet
from tenancy.models import Tenant
from utilities.filters import MultiValueArrayFilter
from utilities.filtersets import register_filterset

from ..choices import GuestTypeChoices, PatternTypeChoices, TagMatchChoices
from ..filters import CheckedFilters
from ..models import MappingRule, ProxmoxEndpoint
from .common import by_choice, by_id, by_name, by_tree

__all__ = ('MappingRuleFilterSet',)


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
