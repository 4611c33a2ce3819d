"""
Objects that users have created or edited since a plan was made. A guest or node that the plan creates may be one of
them, and would then be created twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from dcim.models import Device, MACAddress
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from netbox.models import NetBoxModel
from virtualization.models import VirtualMachine, VMInterface

from ..models import Binding
from ..sync.changes import Change
from ..sync.mapping.guest_names import possible_names

__all__ = ('Newcomers',)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """
    An object that a user has created or edited since.

    Attributes:
        name: In lower case.
        macs: The MAC addresses that were assigned to it since.
    """

    instance: Model
    cluster: int | None
    name: str
    vmid: object = None
    uuid: str = ''
    macs: frozenset[str] = frozenset()


class Newcomers:
    """
    Finds objects that users have created or edited, each model by a query that is repeated after `forget`.

    Args:
        since: When the run began that made the plan.
    """

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.found: dict[str, list[Newcomer]] = {}

    def forget(self) -> None:
        """Repeat the queries the next time."""
        self.found.clear()

    def like(self, change: Change, cluster: int | None) -> Model | None:
        """An object that may be the guest or node that a change creates, if there is one."""
        if change.kind == 'vm':
            return next((each.instance for each in self.machines() if is_guest(each, change, cluster)), None)
        if change.kind == 'device':
            name = change.label.lower()
            return next((each.instance for each in self.devices() if each.name == name), None)
        return None

    def machines(self) -> list[Newcomer]:
        """The virtual machines."""
        if 'vm' not in self.found:
            macs = self.assigned_macs()
            machines = self.unbound(VirtualMachine)
            recent = {vm.pk: vm for vm in machines.filter(last_updated__gte=self.since)}
            recent |= machines.exclude(pk__in=recent).in_bulk([pk for pk in macs if pk not in recent])
            self.found['vm'] = [
                Newcomer(
                    vm, vm.cluster_id, vm.name.lower(), vm.custom_field_data.get('vmid'), vm.serial.lower(),
                    frozenset(macs.get(vm.pk, ())),
                )
                for vm in recent.values()
            ]  # fmt: skip
        return self.found['vm']

    def devices(self) -> list[Newcomer]:
        """The devices."""
        if 'device' not in self.found:
            recent = self.unbound(Device).filter(last_updated__gte=self.since)
            self.found['device'] = [Newcomer(each, each.cluster_id, (each.name or '').lower()) for each in recent]
        return self.found['device']

    def unbound[M: NetBoxModel](self, model: type[M]) -> QuerySet[M]:
        """The objects of a model that no endpoint manages."""
        bound = Binding.objects.filter(object_type=ContentType.objects.get_for_model(model)).order_by()
        rows: QuerySet[M] = model.objects.exclude(pk__in=bound.values('object_id')).order_by('pk')
        return rows

    def assigned_macs(self) -> dict[int, set[str]]:
        """The MAC addresses that were assigned to virtual machines since, by virtual machine (pk)."""
        recent = MACAddress.objects.filter(
            last_updated__gte=self.since,
            assigned_object_type=ContentType.objects.get_for_model(VMInterface),
        )
        bound = Binding.objects.filter(object_type=ContentType.objects.get_for_model(MACAddress)).order_by()
        found: dict[int, set[str]] = {}
        rows = recent.exclude(pk__in=bound.values('object_id')).order_by()
        for vm, mac in rows.values_list('vminterface__virtual_machine', 'mac_address'):
            found.setdefault(vm, set()).add(str(mac))
        return found


def is_guest(newcomer: Newcomer, change: Change, cluster: int | None) -> bool:
    """Whether a virtual machine of the cluster may be the guest that a change creates."""
    if newcomer.cluster != cluster:
        return False
    vmid = int(change.key.rpartition('/')[2])
    if newcomer.vmid is not None and newcomer.vmid == vmid:
        return True
    known = change.binding or {}
    if newcomer.uuid and newcomer.uuid == str(known.get('id_uuid', '')).lower():
        return True
    if newcomer.macs & as_set(known.get('id_macs')):
        return True
    return newcomer.vmid is None and newcomer.name in (
        name.lower() for name in islice(possible_names(change.label, vmid), 2)
    )


def as_set(value: object) -> frozenset[str]:
    """The stored MAC addresses of a guest as a set."""
    return frozenset(value) if isinstance(value, Iterable) else frozenset()
