"""Objects beyond the scope of an endpoint that a new guest may be: retired guests of other endpoints, unbound ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dcim.models import MACAddress
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from virtualization.models import VirtualMachine, VMInterface

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..sync.guest_identity import is_another_machine
from ..sync.hints import GuestHints
from ..sync.state import Bound, Item
from .bindings import BindingRow, bound_from, content_types
from .object_loading import rows_of

__all__ = ('DepartedUnit', 'load_departed', 'new_guests', 'unbound_elsewhere')


@dataclass(frozen=True, slots=True)
class DepartedUnit:
    """The bindings of a retired guest of another endpoint."""

    root: Bound
    parts: tuple[Bound, ...]


def new_guests(items: Iterable[Item], bindings: Mapping[tuple[str, str], Bound]) -> list[Item]:
    """The guests that are not bound under their VM ID, and that could be read well enough to be identified."""
    found = []
    for item in items:
        if item.kind == 'vm' and item.identity and not item.partial:
            bound = bindings.get((item.kind, item.key))
            if bound is None or is_another_machine(bound.last, item.identity):
                found.append(item)
    return found


def load_departed(endpoint: ProxmoxEndpoint, newcomers: Sequence[Item]) -> tuple[DepartedUnit, ...]:
    """
    The retired guests of other endpoints that have a UUID or a MAC address of a new guest, without ignored and
    unmanaged ones.
    """
    if not newcomers:
        return ()
    uuids = {item.identity.get('id_uuid') for item in newcomers} - {None}
    macs = macs_of(newcomers)
    retired = Binding.objects.exclude(endpoint=endpoint).filter(
        kind='vm', key=models.F('unit'), missing_since__isnull=False, unmanaged=False
    )
    alike = [
        (endpoint_id, unit)
        for endpoint_id, unit, uuid, known in retired.order_by().values_list(
            'endpoint_id', 'unit', 'values__id_uuid', 'values__id_macs'
        )
        if uuid in uuids or not macs.isdisjoint(known or ())
    ]
    ignored = ProxmoxGuest.objects.exclude(endpoint=endpoint).filter(ignored=True).order_by()
    left = {(guest.endpoint_id, guest.key) for guest in ignored.only('endpoint_id', 'type', 'vmid')} if alike else set()
    return units_of([each for each in alike if each not in left])


def units_of(keys: Sequence[tuple[int, str]]) -> tuple[DepartedUnit, ...]:
    """The bindings of units, given as (endpoint's pk, unit)."""
    if not keys:
        return ()
    wanted, types = set(keys), content_types()
    rows = Binding.objects.filter(endpoint__in={pk for pk, _unit in keys}, unit__in={unit for _pk, unit in keys})
    units: dict[tuple[int, str], list[Bound]] = {}
    for endpoint_id, *columns in rows_of(rows.order_by('pk'), ('endpoint_id', *BindingRow._fields)):
        row = BindingRow(*columns)
        units.setdefault((endpoint_id, row.unit), []).append(bound_from(row, types))
    return tuple(
        DepartedUnit(
            root=next(bound for bound in found if bound.kind == 'vm'),
            parts=tuple(bound for bound in found if bound.kind != 'vm'),
        )
        for key, found in units.items()
        if key in wanted
    )


def unbound_elsewhere(newcomers: Sequence[Item]) -> models.QuerySet[VirtualMachine, dict[str, Any]]:
    """
    The virtual machines of any cluster, as a query for their primary keys, that no endpoint manages and that have the
    UUID or a MAC address of a new guest.
    """
    rows: models.QuerySet[VirtualMachine, dict[str, Any]]
    if not newcomers:
        rows = VirtualMachine.objects.none().values('pk')
        return rows
    uuids = {str(uuid).lower() for item in newcomers if (uuid := GuestHints.of(item).uuid)}
    holders = MACAddress.objects.filter(
        mac_address__in=macs_of(newcomers), assigned_object_type=ContentType.objects.get_for_model(VMInterface)
    )
    bound = Binding.objects.filter(kind='vm').order_by()
    rows = (
        VirtualMachine.objects.annotate(folded_serial=Lower('serial'))
        .filter(Q(folded_serial__in=uuids) | Q(interfaces__in=holders.order_by().values('assigned_object_id')))
        .exclude(pk__in=bound.values('object_id'))
        .order_by()
        .values('pk')
    )
    return rows


def macs_of(items: Iterable[Item]) -> set[str]:
    """The MAC addresses of guests."""
    macs = (item.identity.get('id_macs') for item in items)
    return {str(mac) for found in macs if isinstance(found, frozenset) for mac in found}
