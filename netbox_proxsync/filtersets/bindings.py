"""Filters of bindings and decisions."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from users.models import User
from utilities.filters import (
    MultiValueCharFilter,
    MultiValueContentTypeFilter,
    MultiValueDateTimeFilter,
    MultiValueNumberFilter,
)
from utilities.filtersets import register_filterset

from ..choices import DecisionChoices
from ..models import Binding, Decision
from .common import EndpointFilters, by_choice, by_id, by_name

__all__ = ('BindingFilterSet', 'DecisionFilterSet')


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
