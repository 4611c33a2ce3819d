"""Objects that other endpoints manage, and which of them they give up."""

from collections.abc import Mapping
from functools import cached_property

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Exists, OuterRef
from ipam.models import IPAddress

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..sync.hints import AddressRecordHints
from ..sync.state import Bound, Record
from ..sync.values import Pointer

__all__ = ('ForeignReader', 'given_up')

ADDRESS = 'ip'


def of_retired_machines(bindings: models.QuerySet[Binding]) -> models.QuerySet[Binding]:
    """
    Those of some bindings that belong to retired guests or nodes, without unmanaged objects and ignored guests.
    """
    roots = Binding.objects.filter(
        endpoint=OuterRef('endpoint'), key=OuterRef('unit'), unmanaged=False, missing_since__isnull=False
    )
    ignored = ProxmoxGuest.objects.filter(ignored=True).order_by().values_list('endpoint_id', 'type', 'vmid')
    is_ignored = models.Q(pk=None)
    for endpoint_id, guest_type, vmid in ignored:
        is_ignored |= models.Q(endpoint_id=endpoint_id, unit=f'{guest_type}/{vmid}')
    return bindings.filter(Exists(roots), unmanaged=False).exclude(is_ignored)


def given_up(bindings: models.QuerySet[Binding], address: IPAddress, machines: Mapping[Pointer, Bound]) -> bool:
    """
    Whether other endpoints give up an address that they manage: their guest is retired, or a user has assigned the
    address to a guest of this endpoint.

    Args:
        bindings: The bindings of other endpoints to the address.
        machines: The bindings of this endpoint by their objects.
    """
    holder = getattr(address.assigned_object, 'parent_object', None)
    if holder is not None and Pointer(holder._meta.label_lower, holder.pk) in machines:
        return True
    return not bindings.exclude(pk__in=of_retired_machines(bindings).values('pk')).exists()


class ForeignReader:
    """
    Finds which of the loaded objects other endpoints manage.

    Args:
        records: The loaded objects, by kind.
        bound_to: The bindings of this endpoint by their objects.
    """

    def __init__(
        self, endpoint: ProxmoxEndpoint, records: Mapping[str, list[Record]], bound_to: Mapping[Pointer, Bound]
    ) -> None:
        self.others = Binding.objects.exclude(endpoint=endpoint).order_by()
        self.records = records
        self.bound_to = bound_to

    def kept(self) -> dict[Pointer, str]:
        """The objects that another endpoint manages, with its ID: users may not be allowed to see its name."""
        foreign: dict[Pointer, str] = {}
        for kind, found in self.records.items():
            free = {record.pointer.pk: record.pointer for record in found if record.pointer not in self.bound_to}
            rows = self.others.filter(kind=kind, object_id__in=list(free))
            foreign |= {free[pk]: str(owner) for pk, owner in rows.values_list('object_id', 'endpoint_id')}
        for record in self.records[ADDRESS]:
            if record.pointer in foreign and (
                record.pointer in self.addresses_of_retired or AddressRecordHints.of(record).machine in self.bound_to
            ):
                del foreign[record.pointer]
        return foreign

    @cached_property
    def addresses_of_retired(self) -> frozenset[Pointer]:
        """The loaded addresses that belong to retired guests or nodes of other endpoints."""
        addresses = {
            record.pointer.pk: record.pointer for record in self.records[ADDRESS] if record.pointer not in self.bound_to
        }
        rows = of_retired_machines(self.others.filter(kind=ADDRESS, object_id__in=list(addresses)))
        return frozenset(addresses[pk] for pk in rows.values_list('object_id', flat=True))

    def retired_machines(self) -> frozenset[Pointer]:
        """The retired machines of other endpoints that have one of the loaded addresses."""
        holders = {
            holder for record in self.records[ADDRESS] if (holder := AddressRecordHints.of(record).machine) is not None
        } - set(self.bound_to)
        if not holders:
            return frozenset()
        rows = of_retired_machines(self.others.filter(object_id__in=[holder.pk for holder in holders]))
        types = {pk: f'{app}.{model}' for pk, app, model in ContentType.objects.values_list('pk', 'app_label', 'model')}
        found = {Pointer(types[type_id], pk) for type_id, pk in rows.values_list('object_type_id', 'object_id')}
        return frozenset(found & holders)
