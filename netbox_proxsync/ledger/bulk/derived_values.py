"""Columns that NetBox derives from other objects, for many objects at a time: counters, disk sums, config contexts."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import cast

from django.db import models
from django.db.models import F, OuterRef, Subquery, Sum
from extras.cache import invalidate_config_context_for_objects
from netbox.models import NetBoxModel
from utilities.counters import get_counters_for_model
from virtualization.models import VirtualDisk, VirtualMachine

__all__ = ('count_created', 'invalidate_config_contexts', 'sum_disks')


def count_created(model: type[NetBoxModel], instances: Collection[NetBoxModel]) -> None:
    """Add new objects to the counters of the objects to which they belong."""
    for field_name, counter_name in get_counters_for_model(model):
        parent_model = cast('type[models.Model]', model._meta.get_field(field_name).related_model)
        parents = Counter(pk for instance in instances if (pk := getattr(instance, field_name)) is not None)
        by_number: dict[int, list[int]] = {}
        for pk, number in parents.items():
            by_number.setdefault(number, []).append(pk)
        for number, pks in by_number.items():
            parent_model._base_manager.filter(pk__in=pks).update(**{counter_name: F(counter_name) + number})


def sum_disks(disks: Iterable[VirtualDisk]) -> None:
    """Set the disk sizes of the virtual machines of new disks."""
    machines = {disk.virtual_machine_id for disk in disks}
    sizes = VirtualDisk.objects.filter(virtual_machine=OuterRef('pk')).order_by().values('virtual_machine')
    if machines:
        VirtualMachine.objects.filter(pk__in=machines).update(disk=Subquery(sizes.values(total=Sum('size'))))


def invalidate_config_contexts(model: type[NetBoxModel], machines: Collection[int], tagged: Collection[int]) -> None:
    """
    Let NetBox render the config contexts of new virtual machines or devices (pks).

    Args:
        tagged: Those of them that have tags. NetBox does it anew when tags are added.
    """
    label = model._meta.label_lower
    if machines:
        invalidate_config_context_for_objects(label, machines)
        invalidate_config_context_for_objects(label, tagged)
