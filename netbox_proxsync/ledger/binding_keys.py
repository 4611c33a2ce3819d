"""Changes the keys of bindings: another guest has the VM ID now, or a guest has returned with another VM ID."""

from collections.abc import Collection, Iterable, Mapping

from django.db.models import Q
from virtualization.models import VirtualMachine

from .. import branching
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..models.deletion import delete_unread

__all__ = ('rekey',)

type Unit = tuple[int, str]


def rekey(endpoint: ProxmoxEndpoint, wanted: Mapping[int, tuple[str, str]]) -> None:
    """
    Change the keys of bindings, and move those of retired guests of other endpoints to this one, in one transaction:
    with half of them, two guests would be bound to one virtual machine. Bindings that have changed since the plan was
    made remain as they are; the changes of their guests are outdated then.

    Args:
        wanted: The new (key, unit) by the binding's pk.
    """
    with branching.atomic():
        rows = Binding.objects.filter(pk__in=list(wanted)).order_by('pk').select_for_update(of=('self',))
        moving = [row for row in rows if (row.endpoint_id, row.key, row.unit) != (endpoint.pk, *wanted[row.pk])]
        units = of_units(moving)
        kept = kept_units(endpoint, {unit for _key, unit in wanted.values()}, [row.pk for row in rows])
        for immovable in {*units} - set(movable(endpoint, units)):
            del units[immovable]
        moving = [row for found in units.values() for row in found if wanted[row.pk][1] not in kept]
        delete_bound_under(endpoint, [wanted[row.pk] for row in moving], [row.pk for row in rows])
        delete_moved_guests(endpoint, units)
        # Two guests may have swapped their VM IDs.
        for row in moving:
            Binding.objects.filter(pk=row.pk).update(endpoint=endpoint, key=f'~{row.pk}')
        for row in moving:
            key, unit = wanted[row.pk]
            Binding.objects.filter(pk=row.pk).update(key=key, unit=unit)


def of_units(rows: Iterable[Binding]) -> dict[Unit, list[Binding]]:
    """Bindings by (endpoint's pk, unit)."""
    units: dict[Unit, list[Binding]] = {}
    for row in rows:
        units.setdefault((row.endpoint_id, row.unit), []).append(row)
    return units


def movable(endpoint: ProxmoxEndpoint, units: Mapping[Unit, Collection[Binding]]) -> Iterable[Unit]:
    """The units that may be changed: those of another endpoint only while their guest is retired there."""
    for (endpoint_id, unit), rows in units.items():
        roots = [row for row in rows if row.key == row.unit]
        if endpoint_id == endpoint.pk or any(row.missing_since and not row.unmanaged for row in roots):
            yield endpoint_id, unit


def kept_units(endpoint: ProxmoxEndpoint, units: Collection[str], moving: Collection[int]) -> set[str]:
    """The units whose virtual machine exists and keeps its key."""
    roots = Binding.objects.filter(endpoint=endpoint, kind='vm', key__in=units).exclude(pk__in=moving).order_by()
    machines = VirtualMachine.objects.filter(pk__in=roots.values('object_id')).order_by()
    return set(roots.filter(object_id__in=machines.values('pk')).values_list('unit', flat=True))


def delete_bound_under(endpoint: ProxmoxEndpoint, keys: Iterable[tuple[str, str]], moving: Collection[int]) -> None:
    """Delete the bindings that have the new keys: their virtual machines were deleted from NetBox."""
    taken = Binding.objects.filter(endpoint=endpoint, key__in=[key for key, _unit in keys]).exclude(pk__in=moving)
    delete_unread(Binding, Q(pk__in=list(taken.values_list('pk', flat=True))), taken.db)


def delete_moved_guests(endpoint: ProxmoxEndpoint, units: Iterable[Unit]) -> None:
    """Delete the guests that have moved from the lists of the other endpoints, where they would be shown as missing."""
    for endpoint_id, unit in units:
        guest_type, _slash, vmid = unit.partition('/')
        if endpoint_id != endpoint.pk and vmid.isdecimal():
            gone = Q(endpoint=endpoint_id, type=guest_type, vmid=vmid, ignored=False, seen_until__isnull=False)
            delete_unread(ProxmoxGuest, gone, ProxmoxGuest.objects.db)
