"""Filters of runs and their changes."""

from typing import Any

import django_filters
from core.models import Job
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from netbox.filtersets import BaseFilterSet
from users.models import User
from utilities.filters import (
    MultiValueCharFilter,
    MultiValueContentTypeFilter,
    MultiValueDateTimeFilter,
    MultiValueNumberFilter,
)
from utilities.filtersets import register_filterset

from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from ..filters import CheckedFilters
from ..models import ProxmoxEndpoint, SyncChange, SyncRun
from ..models.rules import MAX_VMID, MIN_VMID
from .common import EndpointFilters, by_choice, by_id, by_name

__all__ = ('SyncChangeFilterSet', 'SyncRunFilterSet')


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
