"""
NetBox's own way to create the objects of guests, to compare with: one object after the other, as for requests to its
REST API, each guest in a transaction, with validation, change log, events and search index.
"""

from collections.abc import Iterable
from uuid import uuid4

from dcim.models import MACAddress
from django.db import transaction
from ipam.models import VRF, IPAddress
from netbox.context_managers import event_tracking
from netbox.models import NetBoxModel
from users.models import User
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.ledger.tracking import request_for

__all__ = ('copy_machines',)

# Set by NetBox, or afterwards. The devices are not in the new cluster.
LEFT_OUT = {
    'id', 'created', 'last_updated', '_name', 'device', 'disk', 'primary_ip4', 'primary_ip6', 'primary_mac_address',
}  # fmt: skip


def copy_machines(machines: Iterable[VirtualMachine]) -> int:
    """
    Create virtual machines as those are, with their parts, in a cluster and a VRF of their own.

    Returns:
        The number of objects.
    """
    cluster = Cluster.objects.create(name=f'Copy {uuid4()}', type=ClusterType.objects.first())
    vrf = VRF.objects.create(name=f'Copy {uuid4()}', enforce_unique=True)
    user = User.objects.get(username='proxsync')
    number = 0
    for machine in machines:
        request = request_for(user, uuid4())
        with event_tracking(request), transaction.atomic():
            number += copy_machine(machine, cluster, vrf)
    return number


def copy_machine(machine: VirtualMachine, cluster: Cluster, vrf: VRF) -> int:
    """Create one virtual machine with its parts; returns the number of objects."""
    copy = created(machine, cluster=cluster)
    number = 1
    addresses = {}
    for interface in machine.interfaces.all():
        new = created(interface, virtual_machine=copy)
        number += 1
        for mac in MACAddress.objects.filter(vminterface=interface):
            new_mac = created(mac, assigned_object=new)
            number += 1
            if mac.pk == interface.primary_mac_address_id:
                new.snapshot()
                new.primary_mac_address = new_mac
                saved(new)
        for address in IPAddress.objects.filter(vminterface=interface):
            addresses[address.pk] = created(address, assigned_object=new, vrf=vrf)
            number += 1
    for disk in VirtualDisk.objects.filter(virtual_machine=machine):
        created(disk, virtual_machine=copy)
        number += 1
    if machine.primary_ip4_id or machine.primary_ip6_id:
        copy = VirtualMachine.objects.get(pk=copy.pk)
        copy.snapshot()
        copy.primary_ip4 = addresses.get(machine.primary_ip4_id)
        copy.primary_ip6 = addresses.get(machine.primary_ip6_id)
        saved(copy)
    return number


def created(model: NetBoxModel, **values: object) -> NetBoxModel:
    """An object with the values of another one, its tags and its VLANs."""
    fields = [field for field in model._meta.concrete_fields if field.name not in LEFT_OUT]
    new = type(model)(**{field.attname: getattr(model, field.attname) for field in fields if field.name not in values})
    for name, value in values.items():
        setattr(new, name, value)
    if isinstance(new, VirtualMachine):
        new.interface_count = new.virtual_disk_count = 0
    saved(new)
    if tags := list(model.tags.all()):
        new.tags.set(tags)
    if isinstance(model, VMInterface) and (vlans := list(model.tagged_vlans.all())):
        new.tagged_vlans.set(vlans)
    return new


def saved(instance: NetBoxModel) -> None:
    """Validate and save an object."""
    instance.full_clean()
    instance.save()
