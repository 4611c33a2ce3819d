"""Reverting what a run has written: planned as a preview, applied by the user, only where nothing has changed since."""

import pytest
from core.models import ObjectChange
from dcim.models import Device, Interface, MACAddress, Site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from extras.models import Tag
from ipam.models import IPAddress
from virtualization.models import Cluster, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.decisions import decide_field
from netbox_proxsync.jobs import AlreadyRunningError, SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint, SyncRun
from netbox_proxsync.runs.reverting import reversal_of
from netbox_proxsync.runs.stored_plans import PlanNotApplicableError
from netbox_proxsync.sync.values import decode_all

pytestmark = pytest.mark.django_db

WRITTEN = (Cluster, Device, Interface, VirtualMachine, VMInterface, VirtualDisk, MACAddress, IPAddress)
STAMPS = ('vm_last_sync', 'proxmox_node_last_sync')


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=4, containers=2, running=1, agent=1, seed=3)


@pytest.fixture
def site():
    return Site.objects.create(name='Berlin', slug='berlin')


@pytest.fixture
def endpoint(pve, make_endpoint, site):
    return make_endpoint(pve, sync_nodes=True, site=site)


def revert(run: SyncRun) -> SyncRun:
    """The run that plans the revert of another one, which must not have changed since it was loaded."""
    return SyncJob.enqueue_revert(SyncRun.objects.get(pk=run.pk), None, immediate=True)


def apply(run: SyncRun, **part) -> SyncRun:
    return SyncJob.enqueue_plan(SyncRun.objects.get(pk=run.pk), None, immediate=True, **part)


def row_of(instance) -> dict:
    """What users see of an object, without the times of changes and counters that lag."""
    data = instance.serialize_object()
    for stamp in STAMPS:
        data['custom_fields'].pop(stamp, None)
    data.pop('last_updated', None)
    return data


def contents() -> dict:
    """What NetBox contains, by model and primary key."""
    return {
        (model.__name__, instance.pk, name): value
        for model in WRITTEN
        for instance in model.objects.order_by('pk')
        for name, value in row_of(instance).items()
    }


def contents_of(instance) -> dict:
    return {key: value for key, value in contents().items() if key[:2] == (type(instance).__name__, instance.pk)}


def bound(endpoint) -> dict:
    """The bindings as the next sync reads them."""
    rows = Binding.objects.filter(endpoint=endpoint)
    found = {}
    for row in rows:
        # Without what identifies the guest in Proxmox VE.
        values = {name: value for name, value in decode_all(row.values).items() if not name.startswith('id_')}
        state = {'object': row.object_id, 'created': row.created_by_sync, 'retired': row.missing_since is not None}
        found |= {(row.kind, row.key, name): value for name, value in (values | state).items()}
    return found


def plan_of(run: SyncRun) -> set:
    return {
        (change.action, change.kind, change.key, tuple(field['name'] for field in change.fields))
        for change in run.changes.filter(outcome='planned')
    }


def left(run: SyncRun) -> dict:
    return {(change.kind, change.key): change.message for change in run.changes.filter(outcome='left')}


def test_a_first_sync_is_reverted_and_netbox_is_as_it_was_before(endpoint, sync):
    before = contents()
    first = sync(endpoint)
    assert contents() != before
    planned = revert(first)
    assert (planned.mode, planned.status, planned.reverts) == ('revert', 'completed', first), planned.error
    assert not left(planned)
    assert {change.action for change in planned.changes.all()} == {'delete'}
    assert planned.changes.filter(outcome='planned').count() == first.changes.filter(outcome='applied').count()
    # Shared objects remain, and are named.
    (retained,) = [each['message'] for each in planned.messages if 'which a revert retains' in each['message']]
    created = ObjectChange.objects.filter(request_id=first.request_id, action='create')
    shared = created.exclude(changed_object_type__model__in=[model._meta.model_name for model in WRITTEN])
    assert {entry.changed_object_type.model for entry in shared} >= {'clustertype', 'devicerole', 'manufacturer'}
    for entry in shared:
        assert f'"{entry.object_repr}"' in retained
    # It is only planned. So much requires approval.
    assert contents() != before
    assert planned.refusal.startswith('This revert requires approval')
    done = apply(planned)
    assert (done.mode, done.status) == ('apply', 'completed'), list(
        done.changes.values_list('key', 'outcome', 'message')
    )
    assert contents() == before
    assert not Binding.objects.filter(endpoint=endpoint).exists()
    endpoint.refresh_from_db()
    assert endpoint.cluster is None
    assert (
        ObjectChange.objects.filter(request_id=done.request_id)
        .first()
        .message.startswith(f'Revert of run {first.pk} of ')
    )
    # The next sync finds what the first one found.
    again = sync(endpoint)
    assert again.status == 'completed'
    assert again.counts == first.counts


def test_shared_objects_that_the_run_has_not_created_or_that_were_deleted_are_not_named(pve, endpoint, sync):
    sync(endpoint)
    vmid = next(guest.vmid for guest in pve.cluster.guests.values())
    pve.set_tags(vmid, *(f'day{number:02}' for number in range(53)))
    second = sync(endpoint)
    Tag.objects.get(name='day00').delete()
    (text,) = [each['message'] for each in revert(second).messages if 'which a revert retains' in each['message']]
    assert 'tag "day00"' not in text
    assert text.count('tag "') == 50
    assert text.endswith(' and 2 more.')
    assert 'device role' not in text
    Tag.objects.filter(name__startswith='day').delete()
    assert not [each for each in revert(second).messages if 'which a revert retains' in each['message']]


def test_a_machine_whose_vm_id_another_one_has_now_is_left_with_the_reason(pve, endpoint, sync):
    first = sync(endpoint)
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    key = f'qemu/{vmid}'
    old = VirtualMachine.objects.get(pk=first.changes.get(kind='vm', key=key).object_id)
    pve.reuse(vmid, name='another')
    assert sync(endpoint).status == 'completed'
    assert Binding.objects.get(kind='vm', object_id=old.pk).key == f'{key}#1'
    found = left(revert(first))
    for kind, part in (('vm', ''), ('interface', '/net0')):
        reason = 'The VM ID was reused or changed since the run: the object is managed as {} now.'
        assert found[kind, f'{key}{part}'] == reason.format(f'{key}#1{part}')


def test_a_run_that_found_a_vm_id_reused_is_reverted_and_the_next_one_finds_the_same(pve, endpoint, sync):
    sync(endpoint)
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    before = contents()
    pve.reuse(vmid, name='another')
    second = sync(endpoint)
    assert contents() != before
    planned = revert(second)
    assert not left(planned)
    assert apply(planned).status == 'completed'
    assert contents() == before
    again = sync(endpoint)
    assert (again.status, again.counts) == ('completed', second.counts)
    assert VirtualMachine.objects.filter(name='another').count() == 1


def test_a_day_of_changes_is_reverted(pve, endpoint, sync):
    sync(endpoint)
    before, bindings = contents(), bound(endpoint)
    guests = sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    pve.rename(guests[0], 'renamed')
    pve.delete(guests[1])
    pve.set_config(guests[2], memory='8192', cores=7, tags='blue;green')
    run = sync(endpoint)
    assert run.changes.filter(outcome='applied').count() >= 3
    planned = revert(run)
    assert (planned.status, planned.error) == ('completed', '')
    assert not left(planned)
    done = apply(planned)
    assert done.status == 'completed', list(done.changes.values_list('key', 'outcome', 'message'))
    assert contents() == before
    assert bound(endpoint) == bindings
    # The next sync finds the same changes again.
    assert sync(endpoint, 'preview').counts == run.counts


@pytest.mark.parametrize('values', [{'asset_tag': 'A-1'}, {'latitude': 52.5}])
def test_a_node_about_which_users_have_entered_something_is_left(endpoint, sync, values):
    first = sync(endpoint)
    device = Device.objects.order_by('pk').first()
    for name, value in values.items():
        setattr(device, name, value)
    device.save()
    planned = revert(first)
    key = Binding.objects.get(kind='device', object_id=device.pk).key
    assert next(iter(values)) in left(planned)['device', key]
    apply(planned)
    assert Device.objects.filter(pk=device.pk).exists()


def test_what_users_have_changed_since_is_left(pve, endpoint, sync):
    """Objects that were edited stay, with their parts; edited fields stay, and the others are reverted."""
    first = sync(endpoint)
    edited, described, used = VirtualMachine.objects.order_by('pk')[:3]
    edited.memory = 12345
    edited.save()
    disk = VirtualDisk.objects.filter(virtual_machine=described).first()
    assert disk is not None
    disk.description = 'Mine'
    disk.save()
    used.services.create(name='https', port_mappings=['tcp/443'])
    kept = [contents_of(each) for machine in (edited, described, used) for each in (machine, *machine.interfaces.all())]
    planned = revert(first)
    keys = {pk: key for key, pk in Binding.objects.filter(kind='vm').values_list('key', 'object_id')}
    reasons = left(planned)
    assert reasons['vm', keys[edited.pk]] == 'Changed since the run: memory.'
    assert reasons['vm', keys[described.pk]] == 'A part of it is left unchanged.'
    assert reasons['vm', keys[used.pk]].startswith('Dependent objects: application service')
    run = apply(planned)
    assert run.status == 'completed', list(run.changes.values_list('key', 'outcome', 'message'))
    assert set(VirtualMachine.objects.values_list('pk', flat=True)) == {edited.pk, described.pk, used.pk}
    assert kept == [
        contents_of(each) for machine in (edited, described, used) for each in (machine, *machine.interfaces.all())
    ]
    # Their nodes and their cluster are needed.
    assert Cluster.objects.exists()
    assert not sync(endpoint).changes.filter(kind='vm', action='adopt').exists()


def test_a_field_that_the_run_left_empty_and_a_user_has_filled_keeps_the_guest(endpoint, sync):
    first = sync(endpoint)
    interface = VMInterface.objects.filter(mtu=None).first()
    VMInterface.objects.filter(pk=interface.pk).update(mtu=1400)
    planned = revert(first)
    machine = interface.virtual_machine
    unit = Binding.objects.get(kind='vm', object_id=machine.pk).unit
    assert not planned.changes.filter(unit=unit, outcome='planned').exists()
    assert '"mtu" of interface' in left(planned)['vm', unit]
    apply(planned)
    interface.refresh_from_db()
    assert interface.mtu == 1400


def test_single_fields_that_were_edited_since_are_left(pve, endpoint, sync):
    sync(endpoint)
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    machine = VirtualMachine.objects.get(pk=Binding.objects.get(kind='vm', key=f'qemu/{vmid}').object_id)
    name = machine.name
    pve.rename(vmid, 'renamed')
    pve.set_config(vmid, cores=7)
    run = sync(endpoint)
    VirtualMachine.objects.filter(pk=machine.pk).update(vcpus=9)
    planned = revert(run)
    change = planned.changes.get(kind='vm', outcome='planned')
    assert {field['name']: field['kept'] for field in change.fields if field['name'] in ('name', 'vcpus')} == {
        'name': False, 'vcpus': True,
    }  # fmt: skip
    assert 'vcpus: changed since the run.' in change.reason
    apply(planned)
    machine.refresh_from_db()
    assert (machine.name, machine.vcpus) == (name, 9)
    # As before the run: the sync gives it the name again, and resets the fact that a user has edited.
    assert {'name', 'vcpus'} <= {field['name'] for field in sync(endpoint, 'preview').changes.get(kind='vm').fields}


def test_an_adopted_machine_keeps_all_that_its_user_has_entered(pve, endpoint, sync):
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    sync(endpoint)
    binding = Binding.objects.get(kind='vm', key=f'qemu/{vmid}')
    own = binding.object
    Binding.objects.filter(unit=binding.unit).delete()
    VirtualMachine.objects.exclude(pk=own.pk).delete()
    Binding.objects.exclude(object_id=own.pk, kind='vm').filter(kind='vm').delete()
    VMInterface.objects.filter(virtual_machine=own).delete()
    VirtualDisk.objects.filter(virtual_machine=own).delete()
    own.refresh_from_db()
    own.memory, own.description, own.comments = 1, 'Mine', 'Do not touch'
    own.custom_field_data['vm_last_sync'] = None
    own.save()
    before = contents()
    run = sync(endpoint, vmids=[vmid])
    assert run.changes.filter(action='adopt', kind='vm').count() == 1, list(run.changes.values_list('kind', 'action'))
    own.refresh_from_db()
    assert own.memory != 1
    planned = revert(run)
    assert not left(planned)
    assert planned.changes.get(kind='vm').action == 'release'
    done = apply(planned)
    assert done.status == 'completed', list(done.changes.values_list('key', 'outcome', 'message'))
    own.refresh_from_db()
    assert (own.memory, own.description, own.comments) == (1, 'Mine', 'Do not touch')
    assert contents() == before
    assert not Binding.objects.filter(unit=binding.unit).exists()


def test_a_nic_that_a_run_deleted_is_created_again(pve, endpoint, sync):
    sync(endpoint)
    vmid = next(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu' and 'net0' in guest.config)
    interface = Binding.objects.get(kind='interface', key=f'qemu/{vmid}/net0').object
    was = row_of(interface)
    macs = list(MACAddress.objects.filter(vminterface=interface).values_list('mac_address', flat=True))
    pve.remove_nic(vmid, 'net0')
    run = sync(endpoint)
    assert run.changes.filter(action='delete', kind='interface').count() == 1
    planned = revert(run)
    done = apply(planned)
    assert done.status == 'completed', list(done.changes.values_list('key', 'outcome', 'message'))
    again = Binding.objects.get(kind='interface', key=f'qemu/{vmid}/net0')
    assert again.created_by_sync
    now = row_of(again.object)
    # NetBox gives each object a new number.
    for each in (was, now):
        each.pop('created')
        assert each.pop('primary_mac_address')
    assert now == was
    assert list(MACAddress.objects.filter(vminterface=again.object).values_list('mac_address', flat=True)) == macs
    assert again.object.primary_mac_address.mac_address == macs[0]


def test_a_deletion_without_an_entry_in_the_change_log_is_left(pve, endpoint, sync):
    sync(endpoint)
    vmid = next(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu' and 'net0' in guest.config)
    pve.remove_nic(vmid, 'net0')
    run = sync(endpoint)
    ObjectChange.objects.filter(request_id=run.request_id).delete()
    assert 'no entry of the deletion' in left(revert(run))['interface', f'qemu/{vmid}/net0']


def test_only_a_run_that_has_written_is_reverted_and_only_once(pve, endpoint, sync):
    preview = sync(endpoint, 'preview')
    first = sync(endpoint)
    unchanged = sync(endpoint)
    for run in (preview, unchanged):
        with pytest.raises(PlanNotApplicableError, match='nothing to revert'):
            revert(run)
    planned = revert(first)
    with pytest.raises(PlanNotApplicableError, match='nothing to revert'):
        revert(planned)
    done = apply(planned)
    with pytest.raises(PlanNotApplicableError, match=f'Run {done.pk} has reverted this run already'):
        revert(first)
    with pytest.raises(PlanNotApplicableError, match='has reverted another one'):
        revert(done)


def test_a_part_of_a_revert_is_applied(pve, endpoint, sync):
    first = sync(endpoint)
    planned = revert(first)
    unit = Binding.objects.filter(kind='vm').values_list('unit', flat=True).first()
    run = apply(planned, units=[unit])
    assert run.status == 'completed', list(run.changes.values_list('key', 'outcome', 'message'))
    assert not Binding.objects.filter(unit=unit).exists()
    assert Cluster.objects.exists()
    guest = endpoint.guests.get(vmid=unit.partition('/')[2])
    assert (guest.state, guest.virtual_machine) == ('new', None)
    assert 'A run was reverted' in guest.reason
    rest = apply(planned)
    assert rest.status == 'completed'
    assert not VirtualMachine.objects.exists()
    assert not Cluster.objects.exists()


def test_no_revert_is_planned_while_a_run_is_in_progress(endpoint, sync):
    first = sync(endpoint)
    SyncRun.objects.create(endpoint=endpoint, mode='sync')
    with pytest.raises(AlreadyRunningError):
        revert(first)


def test_a_sync_after_the_plan_of_a_revert_makes_it_obsolete(pve, endpoint, sync):
    planned = revert(sync(endpoint))
    pve.rename(next(iter(pve.cluster.guests.values())).vmid, 'renamed')
    later = sync(endpoint)
    with pytest.raises(PlanNotApplicableError, match=f'Run {later.pk} has changed NetBox since'):
        apply(planned)


def test_edits_between_plan_and_application_are_left(endpoint, sync):
    planned = revert(sync(endpoint))
    filled, edited = VirtualMachine.objects.all()[:2]
    filled.comments = 'Mine'
    filled.save()
    edited.memory = 77
    edited.save()
    run = apply(planned)
    assert set(VirtualMachine.objects.all()) == {filled, edited}
    assert filled.interfaces.count() + edited.interfaces.count() == VMInterface.objects.count()
    reasons = run.changes.filter(kind='vm', outcome='outdated').values_list('message', flat=True)
    assert {'comments' in reason or 'memory' in reason for reason in reasons} == {True}, set(reasons)


def test_addresses_that_a_user_had_entered_before_are_released_and_stay(pve, endpoint, sync):
    """They are primary addresses of what the run has created, which NetBox would delete along with that."""
    sync(endpoint, 'preview')
    address = next(found['address'] for found in entered_addresses(endpoint))
    mine = IPAddress.objects.create(address=address, description='Mine')
    before = contents()
    first = sync(endpoint)
    assert first.changes.get(kind='ip', action='adopt').object == mine
    mine.refresh_from_db()
    assert mine.assigned_object is not None
    planned = revert(first)
    assert not left(planned), left(planned)
    # Deleted anyway, by a user who has noticed that it is empty afterwards.
    ProxmoxEndpoint.objects.update(cluster=None)
    run = apply(planned)
    assert run.status == 'completed', list(run.changes.values_list('key', 'outcome', 'message'))
    assert contents() == before


@pytest.mark.parametrize('is_managed', [True, False])
def test_an_address_that_became_the_primary_one_of_a_machine_is_released_unless_the_machine_keeps_it(
    standin, make_endpoint, sync, is_managed
):
    pve = standin(nodes=1, vms=1, containers=0, templates=0, running=1, agent=1, ipv6=0, multi_nic=0, seed=3)
    endpoint = make_endpoint(pve)
    (vmid,) = (guest.vmid for guest in pve.cluster.guests.values())
    pve.set_addresses(vmid, 'net0')
    sync(endpoint)
    mine = IPAddress.objects.create(address='10.99.0.7/24', description='Mine')
    pve.set_addresses(vmid, 'net0', '10.99.0.7/24')
    run = sync(endpoint)
    machine = VirtualMachine.objects.get()
    assert machine.primary_ip4 == mine, list(run.changes.values_list('kind', 'action', 'key'))
    planned = revert(run)
    assert not left(planned), left(planned)
    Binding.objects.filter(kind='vm').update(unmanaged=not is_managed)
    done = apply(planned)
    machine.refresh_from_db()
    mine.refresh_from_db()
    assert mine.description == 'Mine'
    assert (machine.primary_ip4 is None, mine.assigned_object is None) == (is_managed, is_managed)
    assert done.changes.exclude(outcome='applied').exists() != is_managed


def entered_addresses(endpoint) -> list[dict]:
    """The addresses that a sync would create, primary ones first."""
    changes = endpoint.runs.get().changes.filter(kind='ip', action='create')
    primary = {
        str(field['want'].get('key'))
        for change in endpoint.runs.get().changes.filter(kind='vm')
        for field in change.fields
        if field['name'] == 'primary_ip4'
    }
    return [{field['name']: field['want'] for field in change.fields} for change in changes if change.key in primary]


def test_a_restored_value_can_be_kept_so_that_the_next_sync_does_not_write_it_again(pve, endpoint, sync):
    sync(endpoint)
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    binding = Binding.objects.get(kind='vm', key=f'qemu/{vmid}')
    was = binding.object.vcpus
    pve.set_config(vmid, cores=7)
    apply(revert(sync(endpoint)))
    assert VirtualMachine.objects.get(pk=binding.object_id).vcpus == was
    decide_field(binding, 'vcpus', 'keep')
    assert 'vcpus' not in {
        field['name']
        for change in sync(endpoint).changes.filter(kind='vm')
        for field in change.fields
        if not field['kept']
    }
    assert VirtualMachine.objects.get(pk=binding.object_id).vcpus == was
    # Until Proxmox VE has another value.
    pve.set_config(vmid, cores=5)
    sync(endpoint)
    assert VirtualMachine.objects.get(pk=binding.object_id).vcpus not in (was, 7)


def test_the_statements_of_a_plan_do_not_depend_on_the_number_of_objects(standin, make_endpoint, sync):
    numbers = []
    for vms in (2, 12):
        pve = standin(nodes=1, vms=vms, containers=0, running=1, agent=1, seed=vms, name=f'cluster-{vms}')
        run = sync(make_endpoint(pve, name=f'Lab {vms}'))
        with CaptureQueriesContext(connection) as statements:
            assert len(reversal_of(run).changes) > 3 * vms
        numbers.append(len(statements))
    # A kind that one of the clusters lacks takes none.
    assert abs(numbers[0] - numbers[1]) < 8, numbers
    assert max(numbers) < 60
