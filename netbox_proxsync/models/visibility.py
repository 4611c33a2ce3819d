"""
Visibility of objects that belong to machines. Guests, bindings and changes contain names and values of a virtual
machine or device, so they are hidden from users who may not view that machine.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self, cast

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import CharField, Model, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.db.models.lookups import In
from django.http import HttpRequest
from netbox.models import NetBoxModel
from virtualization.models import VirtualMachine

from .machine_parts import machine_models, part_lookups
from .netbox_types import RestrictedQuerySet
from .users import AnyUser

__all__ = (
    'Hidden',
    'HiddenUnits',
    'MachineScopedQuerySet',
    'hidden_machines',
    'hidden_units',
    'hidden_units_of',
    'machine_filter',
)

type Hidden = dict[type[NetBoxModel], QuerySet[Any]]


def hidden_machines(user: AnyUser | None) -> Hidden:
    """Subqueries for the machines that a user may not view, by model, without models whose objects are all visible."""
    hidden: Hidden = {}
    for model in machine_models().values():
        viewable = model.objects.restrict(user, 'view').order_by()
        if viewable.query.is_empty():
            hidden[model] = model.objects.order_by().values('pk')
        elif viewable.query.where:
            hidden[model] = model.objects.exclude(pk__in=viewable.values('pk')).order_by().values('pk')
    return hidden


def hidden_unit_rows(hidden: Hidden) -> tuple[QuerySet[Any], QuerySet[Any]]:
    """
    The bindings and the guests that relate units to hidden machines. The guest does so if the machine is no longer
    bound. Rows of both have an `endpoint` and a `unit`.
    """
    roots = Q(pk__in=[])
    for kind, model in machine_models().items():
        if model in hidden:
            roots |= Q(kind=kind, object_id__in=hidden[model])
    bindings = apps.get_model('netbox_proxsync', 'Binding').objects.order_by().filter(roots)
    guests = apps.get_model('netbox_proxsync', 'ProxmoxGuest').objects.order_by()
    guests = guests.filter(virtual_machine__in=hidden.get(VirtualMachine, ()))
    return bindings, guests.annotate(unit=Concat('type', Value('/'), Cast('vmid', CharField())))


def unit_name(endpoint: str) -> Concat:
    """An expression for a text that identifies a unit among all endpoints; `endpoint` is the path to the endpoint."""
    return Concat(Cast(endpoint, CharField()), Value(':'), 'unit')


def hidden_units(user: AnyUser | None, endpoint: int, units: Iterable[str]) -> set[str]:
    """The units among the given ones of an endpoint (its pk) that belong to machines which the user may not view."""
    hidden, units = hidden_machines(user), list(units)
    if not hidden or not units:
        return set()
    bindings, guests = (found.filter(endpoint=endpoint, unit__in=units) for found in hidden_unit_rows(hidden))
    return {*bindings.values_list('unit', flat=True), *guests.values_list('unit', flat=True)}


def hidden_units_of(user: AnyUser | None, units: Mapping[int, Collection[str]]) -> dict[int, set[str]]:
    """The same for several endpoints: the given units, and the hidden ones among them, by endpoint (its pk)."""
    hidden, found = hidden_machines(user), {endpoint: set[str]() for endpoint in units}
    names = {name for of_endpoint in units.values() for name in of_endpoint}
    if hidden and names:
        for rows in hidden_unit_rows(hidden):
            for endpoint, unit in rows.filter(endpoint__in=units, unit__in=names).values_list('endpoint', 'unit'):
                found[endpoint].add(unit)
    return {endpoint: hidden_ones.intersection(units[endpoint]) for endpoint, hidden_ones in found.items()}


class HiddenUnits:
    """The hidden units of a user, for pages with many runs: loaded once for each endpoint."""

    ATTRIBUTE = '_proxsync_hidden_units'

    def __init__(self, user: AnyUser | None) -> None:
        self._hidden = hidden_machines(user)
        self._by_endpoint: dict[int, set[str]] = {}

    @classmethod
    def of_request(cls, request: HttpRequest) -> Self:
        """The instance of a request."""
        if not hasattr(request, cls.ATTRIBUTE):
            setattr(request, cls.ATTRIBUTE, cls(request.user))
        return cast('Self', getattr(request, cls.ATTRIBUTE))

    def among(self, endpoint: int, units: Collection[str]) -> set[str]:
        """The hidden units among the given ones of an endpoint (its pk)."""
        if not self._hidden or not units:
            return set()
        if endpoint not in self._by_endpoint:
            found = (
                rows.filter(endpoint=endpoint).values_list('unit', flat=True) for rows in hidden_unit_rows(self._hidden)
            )
            self._by_endpoint[endpoint] = set().union(*found)
        return self._by_endpoint[endpoint].intersection(units)


def machine_filter(hidden: Hidden) -> Q:
    """A condition for rows whose `object_type` and `object_id` are those of a hidden machine."""
    found = Q(pk__in=[])
    for model, machines in hidden.items():
        found |= object_filter(model, machines)
    return found


def object_filter(model: type[Model], objects: QuerySet[Any]) -> Q:
    # The order matters: PostgreSQL reads the objects only when it finds a row of their type.
    return Q(object_type=ContentType.objects.get_for_model(model)) & Q(object_id__in=objects)


def machine_or_part_filter(hidden: Hidden) -> Q:
    """A condition for rows whose `object_type` and `object_id` are those of a hidden machine or of a part of one."""
    found = machine_filter(hidden)
    for model, machines in hidden.items():
        for part, lookup in part_lookups(model):
            parts = part.objects.filter(**{f'{lookup}__in': machines}).order_by().values('pk')
            found |= object_filter(part, parts)
    return found


class MachineScopedQuerySet(RestrictedQuerySet):
    """
    Query set for models with `unit`, `object_type` and `object_id`.

    Attributes:
        endpoint_path: The path from the model to its endpoint.
    """

    endpoint_path = 'endpoint'

    def restrict(self, user: AnyUser | None, action: str = 'view') -> Self:
        permitted = super().restrict(user, action)
        hidden = {} if permitted.query.is_empty() else hidden_machines(user)
        return permitted.without(hidden) if hidden else permitted

    def without(self, hidden: Hidden) -> Self:
        # Not with `Exists`: PostgreSQL would convert it to joins and misestimate their number of rows by orders of
        # magnitude. It looks up a set of names in a hash table regardless of its estimate.
        found = self.exclude(machine_or_part_filter(hidden))
        for units in hidden_unit_rows(hidden):
            names = units.values_list(unit_name('endpoint'))
            found = found.exclude(In(unit_name(self.endpoint_path), names.query))
        return found
