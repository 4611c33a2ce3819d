"""
NetBox's validation of new objects, without queries for single objects.

What can be proven for a batch is not asked for each object: the objects of foreign keys were loaded; names and
addresses are looked up together. Whatever NetBox might refuse is left to NetBox's own code, which also says why.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import chain
from typing import Any, cast

from dcim.models import Device, DeviceType, Interface
from dcim.models.device_component_templates import ComponentTemplateModel
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from extras.choices import CustomFieldStatusChoices
from extras.models import CustomField
from ipam.models import IPAddress, IPRange
from netbox.models import NetBoxModel
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from ..validation import fill_defaults

__all__ = ('Checks',)

# By IP version: of such networks, every address may be assigned to an interface.
LONGEST_PREFIXES = {4: (31, 32), 6: (127, 128)}


class Checks:
    """The checks of one transaction."""

    def __init__(self) -> None:
        # Many guests have the same values. By (custom field, type, value).
        self._valid_values: set[Hashable] = set()
        self._ranges: list[IPRange] | None = None

    def refused(self, model: type[NetBoxModel], instances: Collection[NetBoxModel]) -> Iterator[NetBoxModel]:
        """The new objects of a model that NetBox refuses, or may refuse. The objects of their foreign keys exist."""
        foreign_keys = {field.name for field in model._meta.concrete_fields if isinstance(field, models.ForeignKey)}
        for instance in instances:
            fill_defaults(instance)
            try:
                instance.clean_fields(exclude=foreign_keys)
                self._clean(instance)
            except ValidationError:
                yield instance
        match model._meta.model_name:
            case 'virtualmachine':
                yield from repeated(instances, machine_name, names_of_machines(instances))
            case 'device':
                yield from repeated(instances, device_name, names_of_devices(instances))
                yield from with_components(instances)
            case 'vminterface' | 'virtualdisk' | 'interface':
                # The virtual machine or device is new: it has no others.
                yield from repeated(instances, part_name, set())
            case 'ipaddress':
                yield from repeated(instances, host, known_hosts(instances))

    def _clean(self, instance: NetBoxModel) -> None:
        """
        As `clean` of the object.

        Raises:
            ValidationError: NetBox refuses it.
        """
        if isinstance(instance, VirtualMachine | VMInterface | VirtualDisk | Device | Interface):
            instance.clean()
            return
        # NetBox would query the interface to which an address is assigned, duplicates, and ranges.
        self._clean_custom_fields(instance)
        if isinstance(instance, IPAddress):
            clean_host(instance)
            if any(contains(each, instance) for each in self._populated_ranges()):
                raise ValidationError('It is in a populated range.')

    def _clean_custom_fields(self, instance: NetBoxModel) -> None:
        """As `CustomFieldsMixin.clean`, where no field is unique."""
        assigned = CustomField.objects.get_for_model(type(instance), statuses=CustomFieldStatusChoices.DATA_STATUSES)
        data: dict[str, Any] = instance.custom_field_data
        names = {field.name for field in assigned}
        instance.custom_field_data = {name: value for name, value in data.items() if name in names}
        for field in assigned:
            if field.status == CustomFieldStatusChoices.STATUS_ACTIVE:
                if field.name in data:
                    self._clean_value(field, data[field.name])
                elif field.required:
                    raise ValidationError(f'{field.name} is required.')

    def _clean_value(self, field: CustomField, value: Any) -> None:
        known = (field.pk, type(value), value) if isinstance(value, str | int | float | None) else None
        if known is None or known not in self._valid_values:
            field.validate(value)
            self._valid_values.add(known)

    def _populated_ranges(self) -> list[IPRange]:
        """The ranges in which NetBox creates no addresses."""
        if self._ranges is None:
            self._ranges = list(IPRange.objects.filter(mark_populated=True).order_by())
        return self._ranges


def repeated(
    instances: Iterable[NetBoxModel], key_of: Callable[[Any], Hashable], taken: set[Hashable]
) -> Iterator[NetBoxModel]:
    """The objects whose key another object has, in NetBox or before them."""
    for instance in instances:
        key = key_of(instance)
        if key in taken:
            yield instance
        taken.add(key)


def machine_name(machine: VirtualMachine) -> Hashable:
    """What no two virtual machines may have in common."""
    return machine.name.lower(), machine.cluster_id, machine.tenant_id


def names_of_machines(machines: Iterable[VirtualMachine]) -> set[Hashable]:
    """The names in NetBox that resemble those of new virtual machines, as `machine_name` returns them."""
    names = {machine.name.lower() for machine in machines}
    rows = VirtualMachine.objects.annotate(lower_name=Lower('name')).filter(lower_name__in=names).order_by()
    return set(rows.values_list('lower_name', 'cluster_id', 'tenant_id'))


def device_name(device: Device) -> Hashable:
    """What no two devices may have in common."""
    return (device.name or '').lower(), device.site_id, device.tenant_id


def names_of_devices(devices: Iterable[Device]) -> set[Hashable]:
    """The names in NetBox that resemble those of new devices, as `device_name` returns them."""
    names = {(device.name or '').lower() for device in devices}
    rows = Device.objects.annotate(lower_name=Lower('name')).filter(lower_name__in=names).order_by()
    return set(rows.values_list('lower_name', 'site_id', 'tenant_id'))


def with_components(devices: Iterable[Any]) -> Iterator[NetBoxModel]:
    """The new devices for which NetBox creates components, such as interfaces, from templates of their types."""
    types = {device.device_type_id for device in devices}
    related = (cast('Any', each.related_model) for each in DeviceType._meta.related_objects)
    templates = [model for model in related if issubclass(model, ComponentTemplateModel)]
    rows = (model._base_manager.filter(device_type__in=types).values_list('device_type') for model in templates)
    with_templates = {pk for (pk,) in chain.from_iterable(rows)}
    return (device for device in devices if device.device_type_id in with_templates)


def part_name(part: VMInterface | VirtualDisk | Interface) -> Hashable:
    """What no two interfaces or disks may have in common. Two names that differ in case only may be displaced."""
    return part.parent_object.pk, part.name.lower()


def host(address: IPAddress) -> Hashable:
    """What two addresses have in common that are duplicates."""
    return str(address.address.ip), address.vrf_id


def known_hosts(addresses: Iterable[IPAddress]) -> set[Hashable]:
    """The addresses in NetBox that are duplicates of new ones, as `host` returns them."""
    hosts = sorted({str(address.address.ip) for address in addresses})
    rows = IPAddress.objects.filter(address__net_in=hosts).order_by() if hosts else IPAddress.objects.none()
    return {(str(address.ip), vrf) for address, vrf in rows.values_list('address', 'vrf_id')}


def clean_host(instance: IPAddress) -> None:
    """
    As `IPAddress.clean`.

    Raises:
        ValidationError: The address may not be assigned to an interface, or not with this status.
    """
    address = instance.address
    is_end = address.ip in (address.network, address.broadcast) and (
        address.prefixlen not in LONGEST_PREFIXES[address.version]
    )
    if address.prefixlen == 0 or is_end or (instance.status == 'slaac' and address.version != 6):
        raise ValidationError('It may not be assigned to an interface.')


def contains(populated: IPRange, instance: IPAddress) -> bool:
    """Whether an address is in a range."""
    start, end, address = populated.start_address.ip, populated.end_address.ip, instance.address.ip
    is_inside: bool = start.version == address.version and start <= address <= end
    return is_inside and populated.vrf_id == instance.vrf_id
