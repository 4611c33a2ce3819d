"""Filters of guests."""

from datetime import datetime
from typing import Any, cast

import django_filters
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from utilities.filters import MultiValueArrayFilter, MultiValueCharFilter, MultiValueDateTimeFilter
from utilities.filtersets import register_filterset
from virtualization.models import VirtualMachine

from ..choices import DuplicateChoices, GuestStateChoices, GuestTypeChoices
from ..guest_search import by_address_or_mac, guests_matching, without_agent
from ..models import ProxmoxGuest
from ..models.guests import ProxmoxGuestQuerySet
from .common import EndpointFilters, by_choice, by_id, by_name

__all__ = ('ProxmoxGuestFilterSet',)

# As `ProxmoxGuest.last_seen`.
LAST_SEEN = Coalesce(F('seen_until'), F('endpoint__guests_read'))


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
