"""
NetBox's own way to create the objects of guests and nodes, to compare with: one object after the other, as for requests
to its REST API, each guest or node in a transaction, with validation, change log, events and search index.
"""

from collections.abc import Iterable
from uuid import uuid4

from dcim.models import Device, Interface, MACAddress, Site
from django.db import transaction
from ipam.models import VRF, IPAddress
from netbox.context_managers import event_tracking
from netbox.models import NetBoxModel
from users.models import User
from utilities.fields import CounterCacheField
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.ledger.tracking import request_for

__all__ = ('copy_machines',)

# Set by NetBox, or afterwards. The devices of virtual machines are not in the new cluster.
LEFT_OUT = {
    'id', 'created', 'last_updated', '_name', 'device', 'disk', 'primary_ip4', 'primary_ip6', 'primary_mac_address',
    'bridge', 'lag', 'parent', 'assigned_object_type', 'assigned_object_id',
}  # fmt: skip
# The fields of interfaces of nodes that point to others of them.
OTHERS = ('bridge', 'lag', 'parent')


def copy_machines(machines: Iterable[VirtualMachine | Device]) -> int:
    """
    Create virtual machines and devices as those are, with their parts, in a cluster, a site and a VRF of their own.

    Returns:
        The number of objects.
    """
    cluster = Cluster.objects.create(name=f'Copy {uuid4()}', type=ClusterType.objects.first())
    site = Site.objects.create(name=f'Copy {uuid4()}', slug=str(uuid4()))
    vrf = VRF.objects.create(name=f'Copy {uuid4()}', enforce_unique=True)
    user = User.objects.get(username='proxsync')
    number = 0
    for machine in machines:
        request = request_for(user, uuid4())
        with event_tracking(request), transaction.atomic():
            number += copy_machine(machine, cluster, site, vrf)
    return number


def copy_machine(machine: VirtualMachine | Device, cluster: Cluster, site: Site, vrf: VRF) -> int:
    """Create one virtual machine or device with its parts; returns the number of objects."""
    is_device = isinstance(machine, Device)
    copy = created(machine, cluster=cluster, **({'site': site} if is_device else {}))
    number = 1
    addresses, interfaces = {}, {}
    for interface in machine.interfaces.all():
        holder = {'interface' if is_device else 'vminterface': interface}
        new = created(interface, **{'device' if is_device else 'virtual_machine': copy})
        interfaces[interface.pk] = new
        number += 1
        late = {}
        for mac in MACAddress.objects.filter(**holder):
            new_mac = created(mac, assigned_object=new)
            number += 1
            if mac.pk == interface.primary_mac_address_id:
                late['primary_mac_address'] = new_mac
        for address in IPAddress.objects.filter(**holder):
            addresses[address.pk] = created(address, assigned_object=new, vrf=vrf)
            number += 1
        if late:
            changed(new, late)
    for disk in VirtualDisk.objects.filter(virtual_machine=machine) if not is_device else ():
        created(disk, virtual_machine=copy)
        number += 1
    for interface in machine.interfaces.all() if is_device else ():
        late = {name: interfaces.get(getattr(interface, f'{name}_id')) for name in OTHERS}
        if any(late.values()):
            changed(interfaces[interface.pk], late)
    if machine.primary_ip4_id or machine.primary_ip6_id:
        late = {name: addresses.get(getattr(machine, f'{name}_id')) for name in ('primary_ip4', 'primary_ip6')}
        changed(copy, late)
    return number


def created(model: NetBoxModel, **values: object) -> NetBoxModel:
    """An object with the values of another one, its tags and its VLANs."""
    fields = [field for field in model._meta.concrete_fields if field.name not in LEFT_OUT]
    new = type(model)(**{field.attname: getattr(model, field.attname) for field in fields if field.name not in values})
    for name, value in values.items():
        setattr(new, name, value)
    for field in fields:
        if isinstance(field, CounterCacheField):
            setattr(new, field.name, 0)
    saved(new)
    if tags := list(model.tags.all()):
        new.tags.set(tags)
    if isinstance(model, VMInterface | Interface) and (vlans := list(model.tagged_vlans.all())):
        new.tagged_vlans.set(vlans)
    return new


def changed(created: NetBoxModel, values: dict[str, object]) -> None:
    """Change an object, which is loaded again, as for a second request."""
    instance = type(created).objects.get(pk=created.pk)
    instance.snapshot()
    for name, value in values.items():
        setattr(instance, name, value)
    saved(instance)


def saved(instance: NetBoxModel) -> None:
    """Validate and save an object."""
    instance.full_clean()
    instance.save()
