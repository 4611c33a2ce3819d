"""What a plan does to a real NetBox where objects stand in each other's way, case by case."""

from dataclasses import replace

import pytest
from dcim.models import Device, DeviceRole, DeviceType, Interface, Manufacturer, Site
from extras.models import Tag
from ipam.models import IPAddress
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.models import Binding
from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from tests.scenarios.rounds import Lab
from tests.sync.builders import addresses, config, guest, inventory, nic

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab():
    return Lab()


def vm(vmid: int) -> VirtualMachine:
    return Binding.objects.get(kind='vm', unit__endswith=f'/{vmid}').object


def container(*names: str, vmid=200, **values):
    """A container with a NIC of each of these names inside."""
    nics = tuple(
        nic(f'net{number}', f'BC:24:11:00:01:0{number}', name=name) for number, name in enumerate(names) if name
    )
    return guest(vmid, 'ct', (), type=GuestType.LXC, config=config(nics=nics), addresses={}, **values)


def test_tags_that_differ_in_case_only_are_two_if_the_datacenter_says_so(lab):
    lab.sync(inventory(guest(100, tags=('Web', 'web'))))
    assert set(vm(100).tags.values_list('name', flat=True)) == {'Web', 'web'}


def test_a_tag_that_netbox_refuses_takes_no_other_one_back(lab, settings):
    settings.CUSTOM_VALIDATORS = {'extras.tag': [{'name': {'max_length': 3}}]}
    lab.sync(inventory(guest(100, tags=('a', 'b', 'long')), guest(101, 'db', (), tags=('a', 'b'))))
    assert set(vm(101).tags.values_list('name', flat=True)) == {'a', 'b'}
    assert Tag.objects.count() == 2


def test_two_machines_swap_their_names(lab):
    lab.sync(inventory(guest(100, 'a'), guest(101, 'b', ())))
    pks = vm(100).pk, vm(101).pk
    lab.sync(inventory(guest(100, 'b'), guest(101, 'A', ())))
    assert (vm(100).name, vm(101).name) == ('b', 'A')
    assert (vm(100).pk, vm(101).pk) == pks


def test_a_machine_takes_the_name_that_a_later_one_gives_up(lab):
    lab.sync(inventory(guest(101, 'web', ())))
    lab.sync(inventory(guest(100, 'web'), guest(101, 'db', ())))
    assert (vm(100).name, vm(101).name) == ('web', 'db')


def test_a_machine_takes_the_name_of_one_that_the_same_run_deletes():
    lab = Lab(missing_guests='delete', grace_days=0)
    lab.sync(inventory(guest(100)))
    lab.run(inventory())
    lab.sync(inventory(guest(101, ips=())))
    assert list(VirtualMachine.objects.values_list('name', flat=True)) == ['web']


def test_a_name_that_is_set_aside_and_cannot_be_replaced_comes_back(lab, settings):
    lab.sync(inventory(guest(100, 'a'), guest(101, 'b', ())))
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'name': {'regex': '^[b-z].*'}}]}
    swapped = inventory(guest(100, 'b'), guest(101, 'a', ()))
    lab.run(swapped)
    settings.CUSTOM_VALIDATORS = {}
    lab.run(swapped)
    assert (vm(100).name, vm(101).name) == ('b', 'a')


def test_the_nics_of_a_container_swap_their_names(lab):
    lab.sync(inventory(container('eth0', 'eth1')))
    lab.sync(inventory(container('eth1', 'eth0')))
    assert [interface.name for interface in vm(200).interfaces.order_by('pk')] == ['eth1', 'eth0']


def test_a_nic_takes_the_name_of_one_that_goes(lab):
    lab.sync(inventory(container('eth0', 'eth1')))
    kept = vm(200).interfaces.get(name='eth0')
    lab.sync(inventory(container('eth1')))
    assert list(vm(200).interfaces.values_list('pk', 'name')) == [(kept.pk, 'eth1')]


def test_a_nic_that_serves_on_as_another_takes_its_name(lab):
    """The MAC address tells that net1 is what net0 was; then a new net0 comes."""
    moved = guest(100, ips=(), config=config(nics=(nic('net1', 'BC:24:11:00:00:64'),)), addresses={})
    lab.sync(inventory(guest(100)))
    lab.sync(inventory(moved))
    assert [interface.name for interface in vm(100).interfaces.all()] == ['net1']
    both = config(nics=(nic('net0', 'BC:24:11:00:00:99'), nic('net1', 'BC:24:11:00:00:64')))
    lab.sync(inventory(replace(moved, config=both)))
    assert {interface.name for interface in vm(100).interfaces.all()} == {'net0', 'net1'}


def test_an_address_that_moves_to_another_guest_survives_the_nic_that_had_it(lab):
    lab.sync(inventory(guest(100), guest(101, 'db', ())))
    address = IPAddress.objects.get()
    lab.edit(address, description='by hand')
    bare = guest(100, ips=(), config=config(nics=()), addresses={})
    lab.sync(inventory(bare, guest(101, 'db', ('10.0.0.5/24',))))
    address.refresh_from_db()
    assert (address.assigned_object.virtual_machine, address.description) == (vm(101), 'by hand')


def test_a_guest_whose_address_another_one_took_gets_its_next_one_as_primary(lab):
    lab.sync(inventory(guest(100, 'a', ()), guest(101, 'b', ('10.0.0.5/24', '10.0.0.6/24'))))
    done = lab.sync(inventory(guest(100, 'a', ('10.0.0.5/24',)), guest(101, 'b', ('10.0.0.6/24',))))
    assert not done.left
    assert str(vm(100).primary_ip4) == '10.0.0.5/24'
    assert str(vm(101).primary_ip4) == '10.0.0.6/24'


def test_a_retired_guest_whose_address_another_one_took_gets_a_primary_one_again(lab):
    lab.sync(inventory(guest(100)))
    lab.sync(inventory())
    lab.sync(inventory(guest(101, 'db')))
    assert vm(100).primary_ip4 is None
    lab.sync(inventory(guest(100, ips=('10.0.0.9/24',)), guest(101, 'db')))
    assert str(vm(100).primary_ip4) == '10.0.0.9/24'


def test_an_address_deleted_by_hand_is_primary_again_when_it_is_made_again(lab):
    lab.sync(inventory(guest(100)))
    lab.delete(IPAddress.objects.get())
    lab.sync(inventory(guest(100)))
    assert vm(100).primary_ip4 == IPAddress.objects.get()


def switch_port() -> Interface:
    maker = Manufacturer.objects.create(name='Acme', slug='acme')
    device = Device.objects.create(
        name='switch',
        site=Site.objects.create(name='Site', slug='site'),
        role=DeviceRole.objects.create(name='Switch', slug='switch'),
        device_type=DeviceType.objects.create(manufacturer=maker, model='S', slug='s'),
    )
    return Interface.objects.create(device=device, name='vlan1', type='virtual')


@pytest.mark.parametrize('heir', [(), (guest(101, 'db'),)], ids=['nobody', 'another guest'])
def test_an_address_that_a_user_gave_to_a_switch_stays_there_when_the_guest_loses_it(lab, heir):
    lab.sync(inventory(guest(100)))
    address, port = IPAddress.objects.get(), switch_port()
    lab.edit(vm(100), primary_ip4=None)
    assert lab.edit(address, assigned_object=port)
    lab.sync(inventory(guest(100, ips=()), *heir))
    address.refresh_from_db()
    assert address.assigned_object == port


def test_an_interface_that_a_user_moved_to_another_machine_stays_when_its_nic_goes(lab):
    lab.sync(inventory(guest(100, ips=()), guest(101, 'db', ())))
    interface = vm(100).interfaces.get()
    assert lab.edit(interface, virtual_machine=vm(101), name='moved')
    lab.sync(inventory(guest(100, ips=(), config=config(nics=()), addresses={}), guest(101, 'db', ())))
    assert VMInterface.objects.get(pk=interface.pk).virtual_machine == vm(101)


def test_a_users_address_stays_unassigned_when_the_nic_of_a_silent_guest_is_gone(lab):
    lab.make(IPAddress(address='10.0.0.5/24'))
    lab.sync(inventory(guest(100)))
    gone = guest(100, config=config(nics=(nic('net1', 'BC:24:11:00:00:99'),)),
                 addresses={'net1': addresses(running=Unreadable('silent'))})  # fmt: skip
    done = lab.sync(inventory(gone))
    assert not done.left
    assert IPAddress.objects.get().assigned_object is None
    assert [interface.name for interface in vm(100).interfaces.all()] == ['net1']


def test_a_lost_primary_address_is_reported_alike_though_its_machine_is_renamed_in_the_same_run(lab):
    lab.sync(inventory(guest(100, ips=('10.0.0.5/24', '10.0.0.6/24'))))
    machine = vm(100)
    chosen = IPAddress.objects.exclude(pk=machine.primary_ip4_id).get()
    assert lab.edit(machine, primary_ip4=chosen)
    left = next(ip for ip in ('10.0.0.5/24', '10.0.0.6/24') if ip != str(chosen.address))
    # The lab compares what a second run says with what this one said.
    done = lab.sync(inventory(guest(100, 'renamed', ips=(left,))))
    assert [(found[0], found[2]) for found in done.left] == [('ip', 'conflict')]
    assert vm(100).primary_ip4 == chosen


def test_a_deleted_machine_leaves_no_bindings(lab):
    lab.endpoint.missing_guests, lab.endpoint.grace_days = 'delete', 0
    lab.endpoint.save()
    lab.sync(inventory(guest(100)))
    lab.run(inventory())
    lab.sync(inventory())
    assert not VirtualMachine.objects.exists()
    assert set(Binding.objects.values_list('kind', flat=True)) == {'cluster'}


def test_a_machine_deleted_by_hand_whose_guest_is_gone_leaves_no_bindings(lab):
    lab.sync(inventory(guest(100)))
    lab.delete(vm(100))
    lab.sync(inventory())
    assert set(Binding.objects.values_list('kind', flat=True)) == {'cluster'}


def test_a_primary_address_that_netbox_refuses_is_no_update_of_the_machine(lab):
    lab.sync(inventory(guest(100, ips=())))
    done = lab.sync(inventory(guest(100, ips=('10.0.0.0/24',))))
    assert done.left
    again = lab.run(inventory(guest(100, ips=('10.0.0.0/24',))))
    assert {result.outcome for result in again.results} == {'failed', 'skipped'}
