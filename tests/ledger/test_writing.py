"""What a plan does to a real NetBox where objects stand in each other's way, case by case."""

from dataclasses import replace
from datetime import timedelta

import pytest
from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Site
from django.db.models import ProtectedError
from django.db.models.signals import post_save, pre_delete
from extras.models import CustomField, JournalEntry, Tag
from ipam.models import VLAN, IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding
from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from tests.cases import make_binding, make_guest
from tests.scenarios.rounds import Lab
from tests.sync.builders import addresses, config, guest, inventory, nic

from .faults import FailingCalls

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
    remaining = vm(200).interfaces.get(name='eth0')
    lab.sync(inventory(container('eth1')))
    assert list(vm(200).interfaces.values_list('pk', 'name')) == [(remaining.pk, 'eth1')]


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


def test_an_address_that_a_user_chose_for_a_retired_guest_moves_to_the_guest_that_uses_it(lab):
    lab.sync(inventory(guest(100, ips=('10.0.0.5/24', '10.0.0.6/24'))))
    chosen = IPAddress.objects.get(address='10.0.0.6/24')
    lab.edit(vm(100), primary_ip4=chosen)
    lab.sync(inventory())
    assert vm(100).primary_ip4 == chosen
    done = lab.sync(inventory(guest(101, 'db', ips=('10.0.0.6/24',))))
    assert not done.left
    assert vm(101).primary_ip4 == chosen
    assert vm(100).primary_ip4 is None


def test_an_address_deleted_manually_is_primary_again_when_it_is_created_again(lab):
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
def test_an_address_that_a_user_gave_to_a_switch_remains_there_when_the_guest_loses_it(lab, heir):
    lab.sync(inventory(guest(100)))
    address, port = IPAddress.objects.get(), switch_port()
    lab.edit(vm(100), primary_ip4=None)
    assert lab.edit(address, assigned_object=port)
    lab.sync(inventory(guest(100, ips=()), *heir))
    address.refresh_from_db()
    assert address.assigned_object == port


def test_a_mac_address_that_a_user_unassigned_is_assigned_again(lab):
    lab.sync(inventory(guest(100, ips=())))
    interface, mac = vm(100).interfaces.get(), MACAddress.objects.get()
    assert lab.edit(interface, primary_mac_address=None)
    assert lab.edit(mac, assigned_object=None)
    lab.sync(inventory(guest(100, ips=())))
    mac.refresh_from_db()
    assert mac.assigned_object == interface


def test_an_interface_that_a_user_moved_to_another_machine_is_retained_when_its_nic_goes(lab):
    lab.sync(inventory(guest(100, ips=()), guest(101, 'db', ())))
    interface = vm(100).interfaces.get()
    assert lab.edit(interface, virtual_machine=vm(101), name='moved')
    lab.sync(inventory(guest(100, ips=(), config=config(nics=()), addresses={}), guest(101, 'db', ())))
    assert VMInterface.objects.get(pk=interface.pk).virtual_machine == vm(101)


def test_a_users_address_remains_unassigned_when_the_nic_of_a_silent_guest_is_missing(lab):
    lab.make(IPAddress(address='10.0.0.5/24'))
    lab.sync(inventory(guest(100)))
    missing = guest(100, config=config(nics=(nic('net1', 'BC:24:11:00:00:99'),)),
                 addresses={'net1': addresses(running=Unreadable('silent'))})  # fmt: skip
    done = lab.sync(inventory(missing))
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


def test_a_machine_deleted_manually_whose_guest_is_missing_leaves_no_bindings(lab):
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


@pytest.mark.parametrize(
    ('failing', 'written'), [({1, 2, 3}, {'new0'}), ({1, 2, 3, 4}, set())], ids=['between guests', 'before a guest']
)
def test_a_run_that_is_canceled_while_guests_are_written_one_by_one(lab, failing, written):
    """All together have failed three times; the run is canceled while the first guest is written alone."""
    lab.sync(inventory(*(guest(100 + number, f'old{number}', ()) for number in range(3))))
    plan = lab.plan(inventory(*(guest(100 + number, f'new{number}', ()) for number in range(3))))
    calls = FailingCalls(failing)
    done = lab.apply(plan, before_commit=calls, stopped=lambda: calls.number >= 4)
    outcomes = {result.change.key: result.outcome for result in done.results}
    canceled = {f'qemu/{100 + number}': 'canceled' for number in range(3) if f'new{number}' not in written}
    assert outcomes == {'qemu/100': 'applied'} | canceled
    assert set(VirtualMachine.objects.filter(name__startswith='new').values_list('name', flat=True)) == written


def test_guests_of_a_cluster_that_cannot_be_written_now_are_skipped(lab):
    """The transaction with the cluster fails three times, and three times more when it has no other units."""
    inv = inventory(guest(100), guest(101, 'db', ()))
    done = lab.apply(lab.plan(inv), before_commit=FailingCalls(range(1, 7)))
    reason = 'another transaction and this one were waiting for each other'
    messages = {(result.change.kind, result.outcome): result.message for result in done.results}
    assert messages['cluster', 'failed'] == f'lab was not written: {reason}. Run the sync again.'
    assert messages['vm', 'skipped'] == 'The object requires lab, which could not be written.'
    assert {outcome for _kind, outcome in messages} == {'failed', 'skipped'}
    lab.sync(inv)
    assert vm(101).name == 'db'


def test_a_fault_of_another_plugin_costs_only_the_object_that_it_concerns(lab):
    def receive(instance, **values):
        if instance.name == 'web':
            raise RuntimeError('a fault')

    post_save.connect(receive, sender=VirtualMachine)
    try:
        done = lab.run(inventory(guest(100), guest(101, 'db')))
    finally:
        post_save.disconnect(receive, sender=VirtualMachine)
    failed = [(result.change.key, result.message) for result in done.results if result.outcome == 'failed']
    assert failed == [('qemu/100', 'RuntimeError: a fault')]
    assert list(VirtualMachine.objects.values_list('name', flat=True)) == ['db']


def test_a_primary_address_that_a_validator_refuses_leaves_the_other_one(lab, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'primary_ip4': {'prohibited': True}}]}
    both = inventory(guest(100, ips=('10.0.0.5/24', '2001:db8::5/64')))
    done = lab.run(both)
    (failed,) = (result for result in done.results if result.outcome == 'failed')
    assert failed.change.key == 'qemu/100'
    assert 'primary_ip4' in failed.message
    assert (vm(100).primary_ip4, str(vm(100).primary_ip6)) == (None, '2001:db8::5/64')
    settings.CUSTOM_VALIDATORS = {}
    lab.run(both)
    assert str(vm(100).primary_ip4) == '10.0.0.5/24'


def test_an_address_that_moves_to_another_nic_stays_the_primary_one(lab):
    nics = (nic('net0', 'BC:24:11:00:01:00'), nic('net1', 'BC:24:11:00:01:01'))
    for key in ('net0', 'net1'):
        found = {other: addresses(*(['10.0.0.5/24'] if other == key else [])) for other in ('net0', 'net1')}
        lab.sync(inventory(guest(100, config=config(nics=nics), addresses=found)))
        address = IPAddress.objects.get()
        assert (address.assigned_object.name, vm(100).primary_ip4) == (key, address)


def test_an_address_of_another_endpoints_ignored_guest_remains_there(lab):
    """A retired guest gives its address up; one that is retired and ignored does not."""
    with lab.as_endpoint('Other'):
        guests = guest(100, ips=('10.0.0.5/24',)), guest(101, 'db', ('10.0.0.6/24',))
        lab.run(inventory(*guests, cluster_name='other'))
        lab.run(inventory(cluster_name='other'))
        make_guest(lab.endpoint, 101, ignored=True)
        others = Binding.objects.filter(endpoint=lab.endpoint, kind='vm').order_by('key')
        holders = [row.object for row in others]
    lab.run(inventory(guest(200, 'new', ('10.0.0.5/24',)), guest(201, 'other', ('10.0.0.6/24',))))
    found = {str(each.address): each.assigned_object.virtual_machine for each in IPAddress.objects.all()}
    assert found['10.0.0.5/24'].name == 'new'
    assert found['10.0.0.6/24'] == holders[1]


def test_edits_since_the_plan_that_concern_deletions(lab):
    lab.endpoint.missing_guests, lab.endpoint.grace_days = 'delete', 0
    lab.endpoint.save()
    names = ('documented', 'active', 'protected', 'linked')
    lab.run(inventory(*(guest(100 + number, name, ()) for number, name in enumerate(names))))
    lab.run(inventory())
    plan = lab.plan(inventory())
    assert {str(change.action) for change in plan.changes if change.kind == 'vm'} == {'delete'}
    documented, active, protected, linked = (vm(100 + number) for number in range(4))
    JournalEntry.objects.create(assigned_object=documented, comments='x')
    active.status = 'active'
    active.custom_field_data['vm_status'] = 'Deployed'
    active.save()

    by_hand = VirtualMachine.objects.create(name='by-hand', cluster=lab.place('cluster'))
    disk = VirtualDisk.objects.create(virtual_machine=by_hand, name='disk', size=1)

    def protect(instance, **values):
        if instance == protected:
            raise ProtectedError('protected', {active})

    def link() -> bool:
        """Bind something else to the guest while the run goes on."""
        identity = {'endpoint': lab.endpoint, 'kind': 'disk', 'key': 'qemu/103/scsi9', 'unit': 'qemu/103'}
        if not Binding.objects.filter(**identity).exists() and VirtualMachine.objects.filter(pk=linked.pk).exists():
            Binding.objects.create(**identity, object=disk)
        return False

    pre_delete.connect(protect, sender=VirtualMachine)
    try:
        done = lab.apply(plan, stopped=link)
    finally:
        pre_delete.disconnect(protect, sender=VirtualMachine)
    results = {result.change.key: (result.outcome, result.message) for result in done.results}
    assert results['qemu/100'][0] == results['qemu/101'][0] == 'outdated'
    assert results['qemu/100'][1].startswith('Dependent objects: journal entry')
    assert results['qemu/101'][1] == 'The object is no longer marked as retired.'
    assert results['qemu/102'] == ('failed', 'NetBox rejects the deletion because of dependent objects: active')
    assert results['qemu/103'] == ('applied', '')
    assert set(VirtualMachine.objects.values_list('name', flat=True)) == {
        'by-hand', 'documented', 'active', 'protected',
    }  # fmt: skip
    assert not Binding.objects.filter(unit='qemu/103').exists()


def test_edits_since_the_plan_that_concern_updates(lab):
    by_hand = VirtualMachine.objects.create(
        name='by-hand', cluster=lab.place('cluster'), custom_field_data={'vmid': 103}
    )
    lab.run(inventory(guest(100, 'one', ()), guest(101, 'two', ())))
    VirtualMachine.objects.filter(pk=by_hand.pk).update(cluster=vm(100).cluster)
    nics = config(nics=(nic(mac='BC:24:11:00:00:65', mtu=9000),))
    plan = lab.plan(inventory(guest(100, 'new', ()), guest(101, 'two', (), config=nics), guest(103, 'by-hand', ())))
    assert {(change.key, str(change.action)) for change in plan.changes if change.kind == 'vm'} == {
        ('qemu/100', 'update'), ('qemu/103', 'adopt'),
    }  # fmt: skip
    VirtualMachine.objects.filter(pk=vm(100).pk).update(name='renamed')
    Binding.objects.filter(kind='vm', key='qemu/101').update(unmanaged=True)
    with lab.as_endpoint('Other'):
        make_binding(lab.endpoint, by_hand, 103)
    stamp = vm(101).custom_field_data['vm_last_sync']
    lab.now += timedelta(days=1)
    done = lab.apply(plan)
    results = {(result.change.kind, result.change.key): (result.outcome, result.message) for result in done.results}
    assert results['vm', 'qemu/100'][0] == 'outdated'
    assert vm(100).name == 'renamed'
    assert results['vm', 'qemu/103'] == ('outdated', 'The object is now managed by another endpoint.')
    assert results['interface', 'qemu/101/net0'][0] == 'applied'
    # The machine itself is the user's.
    assert vm(101).custom_field_data['vm_last_sync'] == stamp


def test_custom_fields_of_users_cost_no_change(lab):
    field = CustomField.objects.create(name='note', type='text')
    field.object_types.set([ObjectType.objects.get_for_model(model) for model in (VirtualMachine, Site)])
    lab.sync(inventory(guest(100)))
    assert lab.edit(vm(100), custom_field_data={**vm(100).custom_field_data, 'note': None})
    lab.sync(inventory(guest(100, 'renamed')))
    assert (vm(100).name, vm(100).custom_field_data['note']) == ('renamed', None)


def test_a_trunk_that_loses_a_vlan_and_its_mtu(lab):
    VLAN.objects.bulk_create(VLAN(vid=vid, name=f'vlan{vid}') for vid in (20, 30))
    for trunks, mtu in ((((20, 20), (30, 30)), 9000), (((20, 20),), 9000), (((20, 20),), None)):
        nics = (nic(mac='BC:24:11:00:00:64', vlan_tag=30, trunks=trunks, mtu=mtu),)
        lab.sync(inventory(guest(100, ips=(), config=config(nics=nics))))
    interface = vm(100).interfaces.get()
    assert (interface.mtu, [vlan.vid for vlan in interface.tagged_vlans.all()]) == (None, [20])
