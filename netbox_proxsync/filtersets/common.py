"""Filters of several lists."""

from typing import TYPE_CHECKING, Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from netbox.filtersets import BaseFilterSet
from utilities.choices import ChoiceSet
from utilities.filters import TreeNodeMultipleChoiceFilter

from ..filters import CheckedFilters
from ..models import ProxmoxEndpoint

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('EndpointFilters', 'by_choice', 'by_id', 'by_name', 'by_tree')


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


class EndpointFilters(CheckedFilters, BaseFilterSet):
    """Filter set with a search, for models that belong to an endpoint."""

    q = django_filters.CharFilter(
        method='search',
        label=_('Search'),
    )
    endpoint_id = by_id(ProxmoxEndpoint.objects.all(), _('Endpoint (ID)'))
    endpoint = by_name('endpoint', ProxmoxEndpoint.objects.all(), _('Endpoint (name)'))


def by_tree(name: str, queryset: QuerySet[Any], label: 'StrOrPromise', **kwargs: Any) -> TreeNodeMultipleChoiceFilter:
    return TreeNodeMultipleChoiceFilter(field_name=name, queryset=queryset, lookup_expr='in', label=label, **kwargs)
