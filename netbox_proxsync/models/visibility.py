"""
Who sees what belongs to machines. A guest, a binding, a change of a plan tells names and values of a virtual machine or
a device; so it is hidden from who may not view that machine, whatever else they may view.
"""

from collections.abc import Iterable

from dcim.models import Device, Interface, MACAddress
from django.apps import apps
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.db.models import CharField, Exists, Model, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from ipam.models import IPAddress
from utilities.querysets import RestrictedQuerySet
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

__all__ = ('Hidden', 'OfMachineQuerySet', 'hidden_machines', 'hidden_units', 'machines_themselves')

# Machines by the kind of their binding.
ROOTS = {'vm': VirtualMachine, 'device': Device}
# Parts, and how each leads to its machine.
PARTS = {
    VirtualMachine: (
        (VMInterface, 'virtual_machine'),
        (VirtualDisk, 'virtual_machine'),
        (IPAddress, 'vminterface__virtual_machine'),
        (MACAddress, 'vminterface__virtual_machine'),
    ),
    Device: (
        (Interface, 'device'),
        (IPAddress, 'interface__device'),
        (MACAddress, 'interface__device'),
    ),
}

type Hidden = dict[type[Model], QuerySet]


def hidden_machines(user: AbstractBaseUser | None) -> Hidden:
    """The machines that a person may not view, by model, as subqueries; without the models of which they see all."""
    hidden: Hidden = {}
    for model in ROOTS.values():
        viewable = model.objects.restrict(user, 'view').order_by()
        if viewable.query.is_empty():
            hidden[model] = model.objects.order_by().values('pk')
        elif viewable.query.where:
            hidden[model] = model.objects.exclude(pk__in=viewable.values('pk')).order_by().values('pk')
    return hidden


def of_hidden(hidden: Hidden, endpoint: object, unit: object) -> tuple[QuerySet, QuerySet]:
    """
    What shows that a unit of an endpoint belongs to a hidden machine: its binding, or, where that was given up, its
    guest. Both arguments may be references to an outer query.
    """
    roots = Q(pk__in=[])
    for kind, model in ROOTS.items():
        if model in hidden:
            roots |= Q(kind=kind, object_id__in=hidden[model])
    bindings = apps.get_model('netbox_proxsync', 'Binding').objects.order_by().filter(roots, endpoint=endpoint)
    guests = apps.get_model('netbox_proxsync', 'ProxmoxGuest').objects.order_by().filter(endpoint=endpoint)
    guests = guests.filter(virtual_machine__in=hidden.get(VirtualMachine, ()))
    of_unit = {'unit': unit} if isinstance(unit, OuterRef) else {'unit__in': unit}
    key = Concat('type', Value('/'), Cast('vmid', CharField()))
    return bindings.filter(**of_unit), guests.alias(unit=key).filter(**of_unit)


def hidden_units(user: AbstractBaseUser | None, endpoint: int, units: Iterable[str]) -> set[str]:
    """Those of the units of an endpoint (its pk) that belong to machines which a person may not view."""
    hidden, units = hidden_machines(user), list(units)
    if not hidden or not units:
        return set()
    bindings, guests = of_hidden(hidden, endpoint, units)
    return {*bindings.values_list('unit', flat=True), *(guest.key for guest in guests.only('type', 'vmid'))}


def machines_themselves(hidden: Hidden) -> Q:
    """Rows whose `object_type` and `object_id` name a hidden machine."""
    found = Q(pk__in=[])
    for model, machines in hidden.items():
        found |= Q(object_type=ContentType.objects.get_for_model(model), object_id__in=machines)
    return found


def parts_of(hidden: Hidden) -> Q:
    """Rows whose `object_type` and `object_id` name a hidden machine or a part of one."""
    found = machines_themselves(hidden)
    for model, machines in hidden.items():
        for part, path in PARTS[model]:
            parts = part.objects.filter(**{f'{path}__in': machines}).order_by().values('pk')
            found |= Q(object_type=ContentType.objects.get_for_model(part), object_id__in=parts)
    return found


class OfMachineQuerySet(RestrictedQuerySet):
    """
    For models with `unit`, `object_type` and `object_id`.

    Attributes:
        endpoint_path: How the model leads to its endpoint.
    """

    endpoint_path = 'endpoint'

    def restrict(self, user: AbstractBaseUser | None, action: str = 'view') -> 'OfMachineQuerySet':
        permitted = super().restrict(user, action)
        hidden = {} if permitted.query.is_empty() else hidden_machines(user)
        return permitted.without(hidden) if hidden else permitted

    def without(self, hidden: Hidden) -> 'OfMachineQuerySet':
        bindings, guests = of_hidden(hidden, OuterRef(self.endpoint_path), OuterRef('unit'))
        return self.exclude(parts_of(hidden)).exclude(Exists(bindings)).exclude(Exists(guests))
