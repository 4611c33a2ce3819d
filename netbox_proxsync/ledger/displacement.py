"""
What has to give way for a moment: a plan may move an address or a name from one object to another, and NetBox lets
nobody take what another still has.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from dcim.models import Device, Interface
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import models
from ipam.constants import IPADDRESS_ROLES_NONUNIQUE
from ipam.models import IPAddress
from virtualization.models import VirtualMachine, VMInterface

from ..models import Binding
from ..sync.changes import Change
from ..sync.state import Bound
from ..sync.values import Pointer, Value, decode, encode
from .fields import pointer_to, read
from .rollback import Journal, JournaledDict, JournaledSet

__all__ = ('Aside',)

# Model -> with what its names are unique.
UNIQUE_WITH = {
    VirtualMachine: ('cluster_id', 'tenant_id'),
    VMInterface: ('virtual_machine_id',),
    Interface: ('device_id',),
}
# Shorter than any name may be, so that what makes it unique fits.
KEPT_OF_NAME = 40


class Aside:
    """
    Args:
        save: Sets a field of an object and saves it, with its change logged.
        bound_to: The bindings of this run by their objects; kept true to what is remembered.
        journal: Takes back what is remembered here, too.
    """

    def __init__(
        self,
        save: Callable[[models.Model, str, Value], None],
        bound_to: dict[Pointer, Bound],
        journal: Journal,
    ) -> None:
        self.save = save
        self.bound_to = bound_to
        self.before: dict[tuple[Pointer, str], Value] = JournaledDict(journal)
        self.leaving: JournaledSet[Pointer] = JournaledSet(journal)
        self.roles: dict[Pointer, Value] = {}

    def expect(self, changes: Iterable[Change]) -> None:
        """
        Note which objects a plan will rename or delete: the others keep their names. And which addresses get a role.
        """
        for change in changes:
            if change.pointer and (
                change.action.removes_object or any(field.name == 'name' for field in change.writes)
            ):
                self.leaving.add(change.pointer)
            role = next((field.want for field in change.writes if change.kind == 'ip' and field.name == 'role'), None)
            if change.pointer and role:
                self.roles[change.pointer] = role

    def is_current(self, instance: models.Model, name: str, seen: Value) -> bool:
        """Whether a field holds what the plan saw, or did so until this run set it aside."""
        return read(instance, name) == seen or self.before.get((pointer_to(instance), name), ...) == seen

    def holds(self, pointer: Pointer, name: str, remembered: Value) -> Value:
        """What is to be remembered of a field that is not written by its own change."""
        return None if remembered is not None and self.before.get((pointer, name)) == remembered else remembered

    def make_room(self, instance: models.Model) -> None:
        """
        Rename whoever has the name of an object that is about to be saved, if it is to be renamed or deleted. Give the
        role in which an address may be there twice to those that are to get it.
        """
        if isinstance(instance, IPAddress) and instance.role in IPADDRESS_ROLES_NONUNIQUE:
            for other in instance.get_duplicates().select_for_update(of=('self',)):
                if role := self.roles.get(pointer_to(other)):
                    self.set_aside(other, 'role', role)
        scope = UNIQUE_WITH.get(type(instance))
        if scope is None:
            return
        same = {name: getattr(instance, name) for name in scope}
        rivals = type(instance).objects.filter(name__iexact=instance.name, **same).exclude(pk=instance.pk)
        for rival in rivals.select_for_update(of=('self',)):
            if pointer_to(rival) in self.leaving:
                self.set_aside(rival, 'name', f'{rival.name[:KEPT_OF_NAME]} #{rival.pk}')

    def free_primary(self, address: models.Model, want: Pointer | None) -> None:
        """NetBox does not let go of an address while it is the primary one of the machine that it leaves."""
        if not isinstance(address, IPAddress) or want is None:
            return
        target = apps.get_model(want.model).objects.get(pk=want.pk).parent_object
        name = f'primary_ip{address.family}'
        for model in (VirtualMachine, Device):
            for holder in model.objects.filter(**{name: address}).select_for_update(of=('self',)):
                if holder != target:
                    self.set_aside(holder, name, None)

    def set_aside(self, instance: models.Model, name: str, value: Value) -> None:
        pointer, before = pointer_to(instance), read(instance, name)
        self.save(instance, name, value)
        self.before.setdefault((pointer, name), before)
        self.remember(pointer, name, before, value)

    def remember(self, pointer: Pointer, name: str, before: Value, value: Value) -> None:
        """Let the binding know, or the next run would take it for a person's edit."""
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        # Also of another endpoint, whose retired guest gives an address up.
        rows = Binding.objects.filter(object_type=object_type, object_id=pointer.pk)
        for row in rows:
            # By value: the labels of pointers mean nothing.
            if name in row.values and decode(row.values[name]) == before:
                row.values[name] = encode(value)
                row.save(update_fields=['values'])
        bound = self.bound_to.get(pointer)
        if bound and name in bound.last and bound.last[name] == before:
            self.bound_to[pointer] = replace(bound, last={**bound.last, name: value})
