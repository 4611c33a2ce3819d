"""
What users have entered in objects of the sync. The cases come from the models of NetBox, so that they include
fields that a later version adds.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Platform, Site
from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey
from django.db import models
from extras.models import Tag
from ipam.models import VLAN, IPAddress
from virtualization.models import (
    Cluster,
    ClusterType,
    VirtualDisk,
    VirtualMachine,
    VirtualMachineType,
    VMInterface,
)
from wireless.models import WirelessLAN

from netbox_proxsync.ledger.entered import entered_fields
from netbox_proxsync.ledger.fields import pointer_to, read
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.state import Bound

pytestmark = pytest.mark.django_db

# What no user enters: NetBox has no object without it, so that the sync has written it ...
REQUIRED = {
    'cluster': {'name', 'type'},
    'device': {'device_type', 'role', 'site'},
    'node_interface': {'name', 'type'},
    'vm': {'name'},
    'interface': {'name'},
    'disk': {'name', 'size'},
}
# ... or it says which object it is ...
IDENTITY = {
    'device': {'cluster'},
    'node_interface': {'device'},
    'vm': {'cluster'},
    'interface': {'virtual_machine'},
    'mac': {'mac_address', 'assigned_object'},
    'ip': {'address', 'assigned_object'},
    'disk': {'virtual_machine'},
}
# ... or NetBox sets it for a cable or a wireless link, which prevent a deletion themselves.
LINKED = {'node_interface': {'cable', 'cable_connector', 'cable_end', 'cable_positions', 'wireless_link'}}

# What every sync writes, although NetBox does not require it.
WRITTEN = {'device': ('name',), 'vm': ('virtual_machine_type', 'device')}


def names_of(kind: str) -> Iterator[str]:
    """The fields of a kind's model that a user can enter."""
    model = apps.get_model(KINDS[kind].model)
    generic = [field for field in model._meta.get_fields() if isinstance(field, GenericForeignKey)]
    skipped = {part for field in generic for part in (field.ct_field, field.fk_field)} | {'custom_field_data'}
    skipped |= REQUIRED.get(kind, set()) | IDENTITY.get(kind, set()) | LINKED.get(kind, set())
    for field in model._meta.get_fields():
        is_own = isinstance(field, GenericForeignKey) or (
            isinstance(field, models.Field) and field.editable and not field.auto_created
        )
        if is_own and not field.name.startswith('_') and field.name not in skipped:
            yield field.name


CASES = [(kind, name) for kind in KINDS for name in names_of(kind)]


@pytest.fixture
def instances(db) -> dict[str, Any]:
    """One object of each kind, as a sync creates them where Proxmox VE has no values."""
    site = Site.objects.create(name='Berlin', slug='berlin')
    cluster = Cluster.objects.create(name='lab', type=ClusterType.objects.create(name='t', slug='t'))
    maker = Manufacturer.objects.create(name='Acme', slug='acme')
    platform = Platform.objects.create(name='Linux', slug='linux')
    device_type = DeviceType.objects.create(
        manufacturer=maker, model='One', slug='one', airflow='front-to-rear', default_platform=platform
    )
    role = DeviceRole.objects.create(name='Node', slug='node')
    device = Device.objects.create(device_type=device_type, role=role, site=site, cluster=cluster, name='pve1')
    vm_type = VirtualMachineType.objects.create(
        name='Small', slug='small', default_vcpus=2, default_memory=512, default_platform=platform
    )
    vm = VirtualMachine.objects.create(name='web', cluster=cluster, virtual_machine_type=vm_type, device=device)
    disk = VirtualDisk.objects.create(virtual_machine=vm, name='scsi0', size=1000)
    interface = VMInterface.objects.create(virtual_machine=vm, name='net0')
    vm.refresh_from_db()
    return {
        'cluster': cluster,
        'device': device,
        'node_interface': Interface.objects.create(device=device, name='eno1', type='other'),
        'vm': vm,
        'interface': interface,
        'mac': MACAddress.objects.create(mac_address='BC:24:11:00:00:01', assigned_object=interface),
        'ip': IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface),
        'disk': disk,
    }


def bound(kind: str, instance: Any, **last: Any) -> Bound:
    last = {name: read(instance, name) for name in WRITTEN.get(kind, ())} | last
    return Bound(
        pk=1, kind=kind, key='key', unit='unit', pointer=pointer_to(instance), last=last, created_by_sync=True,
        missing_since=None,
    )  # fmt: skip


def related(model: type[models.Model], instances: dict[str, Any]) -> models.Model:
    """An object that a field of several objects can hold."""
    if model is Tag:
        return Tag.objects.create(name='web', slug='web')
    if model is VLAN:
        return VLAN.objects.create(name='web', vid=7)
    if model is WirelessLAN:
        return WirelessLAN.objects.create(ssid='web')
    return model.objects.create(name='web', device=instances['device'], status='active')


def enter(instance: Any, name: str, instances: dict[str, Any]) -> Any:
    """Give a field a value that is not its default; it is saved only if it must be."""
    field = instance._meta.get_field(name)
    match field:
        case GenericForeignKey():
            setattr(instance, field.ct_field, ObjectType.objects.get_for_model(Site))
            setattr(instance, field.fk_field, instances['device'].site_id)
        case models.ForeignKey() if name == 'virtual_machine_type':
            # It has one, of which NetBox takes values.
            pass
        case models.ForeignKey():
            setattr(instance, field.attname, 999_999)
        case models.BooleanField():
            setattr(instance, name, not field.default)
        case models.JSONField():
            setattr(instance, name, {'a': 1})
        case models.IntegerField() | models.DecimalField():
            # Zero is a value.
            setattr(instance, name, 0)
        case models.CharField() | models.TextField():
            setattr(instance, name, 'entered')
        case _ if field.many_to_many:
            getattr(instance, name).add(related(field.related_model, instances))
        case _:
            setattr(instance, name, '00:00:00:00:00:00:00:01')


def test_every_kind_has_cases():
    assert {kind for kind, _name in CASES} == set(KINDS)
    assert {('interface', 'vrf'), ('node_interface', 'poe_mode'), ('device', 'airflow')} <= set(CASES)


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_is_entered_in_what_netbox_and_the_sync_have_filled(kind, instances):
    assert list(entered_fields(instances[kind], bound(kind, instances[kind]))) == []


@pytest.mark.parametrize(('kind', 'name'), CASES)
def test_a_value_in_any_field_that_the_sync_has_not_written_is_entered(kind, name, instances):
    instance = instances[kind]
    entry = bound(kind, instance)
    entry = replace(entry, last={written: value for written, value in entry.last.items() if written != name})
    enter(instance, name, instances)
    assert list(entered_fields(instance, entry)) == [name]


@pytest.mark.parametrize(('kind', 'name', 'value'), [
    ('interface', 'mtu', 1500), ('node_interface', 'enabled', False), ('vm', 'vcpus', '0'), ('ip', 'dns_name', 'a.b'),
])  # fmt: skip
def test_a_value_that_the_sync_has_written_is_not(kind, name, value, instances):
    instance = instances[kind]
    setattr(instance, name, value)
    assert list(entered_fields(instance, bound(kind, instance, **{name: value}))) == []


def test_a_site_of_the_cluster_is_not_entered(instances):
    vm, cluster = instances['vm'], instances['cluster']
    other = Site.objects.create(name='Rome', slug='rome')
    cluster.devices.update(cluster=None)
    assert list(entered_fields(vm, bound('vm', vm))) == ['site']
    cluster._site = vm.site
    vm.cluster = cluster
    assert list(entered_fields(vm, bound('vm', vm))) == []
    vm.site, vm.cluster = other, None
    assert list(entered_fields(vm, bound('vm', vm))) == ['site']


def test_a_size_without_disks_is_entered(instances):
    vm = instances['vm']
    VirtualDisk.objects.all().delete()
    assert list(entered_fields(vm, bound('vm', vm))) == ['disk']
