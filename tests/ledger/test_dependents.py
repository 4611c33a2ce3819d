from dataclasses import replace
from uuid import uuid4

import pytest
from core.models import Job, ObjectType
from dcim.models import MACAddress
from extras.models import Bookmark, CustomField, ImageAttachment, JournalEntry, Tag
from ipam.models import IPAddress, Service
from users.models import User
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.ledger.dependents import dependents_of
from netbox_proxsync.ledger.fields import pointer_to
from netbox_proxsync.sync.state import Bound

pytestmark = pytest.mark.django_db


@pytest.fixture
def vm():
    cluster = Cluster.objects.create(name='lab', type=ClusterType.objects.create(name='t', slug='t'))
    return VirtualMachine.objects.create(name='web', cluster=cluster)


@pytest.fixture
def interface(vm):
    return VMInterface.objects.create(virtual_machine=vm, name='net0')


def bound(kind, instance, created=True, **last):
    pointer = pointer_to(instance)
    return {
        pointer: Bound(
            pk=1, kind=kind, key=str(instance), unit='qemu/100', pointer=pointer, last=last, created_by_sync=created,
            missing_since=None,
        )
    }  # fmt: skip


def test_objects_created_by_the_sync_are_not_dependents(vm, interface):
    ip = IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface)
    mac = MACAddress.objects.create(mac_address='BC:24:11:00:00:01', assigned_object=interface)
    vm.primary_ip4 = ip
    vm.save()
    ours = bound('interface', interface) | bound('ip', ip) | bound('mac', mac)
    assert list(dependents_of(vm, ours | bound('vm', vm, primary_ip4=pointer_to(ip)))) == []


@pytest.mark.parametrize('target', ['ip', 'interface'])
def test_a_primary_address_chosen_by_a_user_is_a_dependent(target, vm, interface):
    ip = IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface)
    vm.primary_ip4 = ip
    vm.save()
    ours = bound('vm', vm, primary_ip4=None) | bound('interface', interface) | bound('ip', ip)
    instance = {'ip': ip, 'interface': interface}[target]
    assert list(dependents_of(instance, ours)) == ['"primary_ip4" of virtual machine web']


@pytest.mark.parametrize('field', ['role', 'dns_name', 'description'])
def test_a_word_in_a_field_that_the_sync_left_empty_is_a_users(interface, field):
    ip = IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface, **{field: 'vip'})
    assert list(dependents_of(ip, bound('ip', ip))) == [f'"{field}" of IP address "192.0.2.1/24"']
    written = {pointer: replace(entry, last={field: 'vip'}) for pointer, entry in bound('ip', ip).items()}
    assert list(dependents_of(ip, written)) == []


def test_tags_and_custom_fields_of_a_user_are_dependents(interface):
    ip = IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface)
    field = CustomField.objects.create(name='asset', type='text', default='none')
    field.object_types.add(ObjectType.objects.get_for_model(IPAddress))
    ip.custom_field_data['asset'] = 'none'
    assert list(dependents_of(ip, bound('ip', ip))) == []
    ip.custom_field_data['asset'] = '4711'
    ip.tags.add(Tag.objects.create(name='web', slug='web'))
    assert list(dependents_of(ip, bound('ip', ip))) == [
        '"tags" of IP address "192.0.2.1/24"', '"asset" of IP address "192.0.2.1/24"',
    ]  # fmt: skip


def test_a_part_that_the_sync_has_adopted_is_a_dependent_of_the_whole(vm, interface):
    assert list(dependents_of(vm, bound('interface', interface, created=False))) == ['interface "net0"']


def test_objects_of_users_on_a_part_are_dependents_of_the_machine(vm, interface):
    IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface)
    assert list(dependents_of(vm, bound('interface', interface))) == ['IP address "192.0.2.1/24"']


@pytest.mark.parametrize('kind', ['journal', 'service', 'image', 'child'])
def test_everything_of_a_user_is_a_dependent(kind, vm, interface):
    match kind:
        case 'journal':
            JournalEntry.objects.create(assigned_object=vm, comments='x')
        case 'service':
            Service.objects.create(parent=vm, name='ssh', port_mappings=['tcp/22'])
        case 'image':
            ImageAttachment.objects.create(parent=vm, image='a.png', image_height=1, image_width=1)
        case 'child':
            VMInterface.objects.create(virtual_machine=vm, name='net0.5', parent=interface)
    target = interface if kind == 'child' else vm
    assert list(dependents_of(target, bound('interface', interface)))


def test_a_users_nat_address_depends_on_ours(interface):
    inside = IPAddress.objects.create(address='192.0.2.1/24', assigned_object=interface)
    IPAddress.objects.create(address='198.51.100.1/24', nat_inside=inside)
    assert list(dependents_of(inside, {})) == ['IP address "198.51.100.1/24"']


def test_traces_do_not_hang(vm):
    user = User.objects.create(username='reader')
    object_type = ObjectType.objects.get_for_model(vm)
    Bookmark.objects.create(object_type=object_type, object_id=vm.pk, user=user)
    Job.objects.create(object_type=object_type, object_id=vm.pk, name='x', job_id=uuid4())
    assert list(dependents_of(vm, {})) == []
