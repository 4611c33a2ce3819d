"""
Moves values out of the way for a moment: a plan may move an address or a name from one object to another, and NetBox
refuses a value that another object still has.
"""

from collections.abc import Callable, Container, Iterable, MutableMapping
from dataclasses import replace

from dcim.models import Device, Interface, MACAddress
from django.contrib.contenttypes.models import ContentType
from ipam.constants import IPADDRESS_ROLES_NONUNIQUE
from ipam.models import IPAddress
from netbox.models import NetBoxModel
from virtualization.models import VirtualMachine, VMInterface

from ..models import Binding
from ..sync.changes import Change
from ..sync.state import Bound
from ..sync.values import Pointer, Value, decode, encode
from .fields import pointer_to, read
from .netbox_models import model_named
from .rollback import Journal, JournaledDict, JournaledSet

__all__ = ('Displacement',)

# The columns within which the names of a model are unique.
UNIQUE_WITHIN: dict[type[NetBoxModel], tuple[str, ...]] = {
    VirtualMachine: ('cluster_id', 'tenant_id'),
    VMInterface: ('virtual_machine_id',),
    Interface: ('device_id',),
}
# The fields that name an object as the primary one of its kind.
PRIMARY_FIELDS: dict[type[NetBoxModel], tuple[tuple[type[NetBoxModel], str], ...]] = {
    IPAddress: tuple((model, name) for model in (VirtualMachine, Device) for name in ('primary_ip4', 'primary_ip6')),
    MACAddress: ((VMInterface, 'primary_mac_address'), (Interface, 'primary_mac_address')),
}
# Shorter than the name of any model may be, so that the suffix which makes it unique fits.
LENGTH_OF_DISPLACED_NAME = 40


class Displacement:
    """
    Args:
        save: Sets a field of an object and saves it, with an entry in the change log.
        bound_to: The bindings of this run by their objects; updated along with the stored ones.
        journal: Undoes what is remembered here together with a savepoint or a transaction.

    Attributes:
        leaving: The objects that the plan renames or deletes, and that this has not happened to yet.
    """

    def __init__(
        self,
        save: Callable[[NetBoxModel, str, Value], None],
        bound_to: MutableMapping[Pointer, Bound],
        journal: Journal,
    ) -> None:
        self.save = save
        self.bound_to = bound_to
        # What displaced fields held before.
        self.before: MutableMapping[tuple[Pointer, str], Value] = JournaledDict(journal)
        self.leaving: JournaledSet[Pointer] = JournaledSet(journal)
        self.roles: dict[Pointer, Value] = {}

    def expect(self, changes: Iterable[Change]) -> None:
        """Note which objects a plan renames or deletes, since only these are displaced, and the roles of addresses."""
        for change in changes:
            if change.pointer and (
                change.action.removes_object or any(field.name == 'name' for field in change.writes)
            ):
                self.leaving.add(change.pointer)
            role = next((field.want for field in change.writes if change.kind == 'ip' and field.name == 'role'), None)
            if change.pointer and role:
                self.roles[change.pointer] = role

    def is_current(self, instance: NetBoxModel, name: str, planned: Value) -> bool:
        """Whether a field holds what it held when the plan was made, or did so until this run displaced the value."""
        return read(instance, name) == planned or self.before.get((pointer_to(instance), name), ...) == planned

    def binding_value(self, pointer: Pointer, name: str, value: Value) -> Value:
        """The value to store in a binding for a field that is not written by its own change: None if displaced."""
        return None if value is not None and self.before.get((pointer, name)) == value else value

    def displace(self, instance: NetBoxModel) -> None:
        """
        Before an object is saved: rename objects that have its name and are to be renamed or deleted, and set the role
        of addresses that may exist twice in that role and are to get it.
        """
        if isinstance(instance, IPAddress):
            self._displace_duplicates(instance)
        else:
            self._displace_namesakes(instance)

    def clear_primary_ip(self, address: NetBoxModel, want: Value) -> None:
        """
        Clear the primary address of the machine that an address leaves; NetBox refuses to reassign it otherwise.

        Args:
            want: The interface to which the address is about to be assigned; None: none.
        """
        if not isinstance(address, IPAddress) or not isinstance(want, Pointer):
            return
        machine = getattr(model_named(want.model).objects.get(pk=want.pk), 'parent_object', None)
        name = f'primary_ip{address.family}'
        for model in (VirtualMachine, Device):
            for holder in model.objects.filter(**{name: address}).select_for_update(of=('self',)):
                if holder != machine:
                    self._set(holder, name, None)

    def clear_primary_fields(self, instance: NetBoxModel, holders: Container[Pointer]) -> None:
        """
        Clear the fields by which objects name an address as their primary one; NetBox refuses to unassign it otherwise.

        Args:
            holders: The objects whose fields may be cleared.
        """
        for model, name in PRIMARY_FIELDS.get(type(instance), ()):
            for holder in model.objects.filter(**{name: instance}).select_for_update(of=('self',)):
                if pointer_to(holder) in holders:
                    self._set(holder, name, None)

    def _displace_duplicates(self, address: IPAddress) -> None:
        if address.role in IPADDRESS_ROLES_NONUNIQUE:
            for other in address.get_duplicates().select_for_update(of=('self',)):
                if role := self.roles.get(pointer_to(other)):
                    self._set(other, 'role', role)

    def _displace_namesakes(self, instance: VirtualMachine | VMInterface | Interface) -> None:
        columns = UNIQUE_WITHIN.get(type(instance))
        if columns is None:
            return
        same = {name: getattr(instance, name) for name in columns}
        model: type[VirtualMachine | VMInterface | Interface] = type(instance)
        namesakes = model.objects.filter(name__iexact=instance.name, **same).exclude(pk=instance.pk)
        for other in namesakes.select_for_update(of=('self',)):
            if pointer_to(other) in self.leaving:
                self._set(other, 'name', f'{other.name[:LENGTH_OF_DISPLACED_NAME]} #{other.pk}')

    def _set(self, instance: NetBoxModel, name: str, value: Value) -> None:
        pointer, before = pointer_to(instance), read(instance, name)
        self.save(instance, name, value)
        self.before.setdefault((pointer, name), before)
        self._update_bindings(pointer, name, before, value)

    def _update_bindings(self, pointer: Pointer, name: str, before: Value, value: Value) -> None:
        """Store the new value in bindings, or the next run would take it for a user's edit."""
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        # Also in the binding of another endpoint, whose retired guest gives an address up.
        for row in Binding.objects.filter(object_type=object_type, object_id=pointer.pk):
            # Decoded, because the labels of pointers do not count.
            if name in row.values and decode(row.values[name]) == before:
                row.values[name] = encode(value)
                row.save(update_fields=['values'])
        bound = self.bound_to.get(pointer)
        if bound and name in bound.last and bound.last[name] == before:
            self.bound_to[pointer] = replace(bound, last={**bound.last, name: value})
