"""What becomes of each guest's row, and of what users decide about guests, through the real job."""

import pytest
from core.models import ObjectChange
from django.db import connection
from django.test.utils import CaptureQueriesContext
from extras.models import CachedValue
from ipam.models import IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.decisions import (
    SyncInProgressError,
    ignore,
    manage_again,
    stop_ignoring,
    stop_managing,
    stop_managing_object,
)
from netbox_proxsync.models import Binding, ProxmoxGuest

from ..cases import make_run
from ..scenarios.synced import Stage, after_first_sync
from ..scenarios.test_sync import SMALL, back, delete_guest, running_vm, vm_of, vmids, written

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL)


def guest_of(endpoint, vmid: int) -> ProxmoxGuest:
    return ProxmoxGuest.objects.get(endpoint=endpoint, vmid=vmid)


def states(endpoint) -> set[str]:
    return set(endpoint.guests.values_list('state', flat=True))


def netbox() -> dict:
    """All that NetBox holds of guests, without what notes the moment of a change."""
    return {
        model: list(model.objects.order_by('pk').values())
        for model in (VirtualMachine, VMInterface, VirtualDisk, IPAddress)
    }


def writes(queries) -> list[str]:
    return [
        query['sql']
        for query in queries.captured_queries
        if 'netbox_proxsync_proxmoxguest' in query['sql'] and not query['sql'].startswith(('SELECT', 'DECLARE'))
    ]


def test_a_preview_of_an_empty_netbox_shows_every_guest_as_new(pve, endpoint, sync):
    sync(endpoint, mode='preview')
    assert states(endpoint) == {'new'}
    assert endpoint.guests.count() == 6
    assert not VirtualMachine.objects.exists()
    assert not endpoint.guests.exclude(virtual_machine=None).exists()


@after_first_sync
def test_a_sync_brings_every_guest_in_sync_with_its_virtual_machine(pve, endpoint):
    assert states(endpoint) == {'in-sync'}
    for guest in endpoint.guests.all():
        assert guest.virtual_machine == vm_of(endpoint, guest.vmid)
        assert guest.node == pve.cluster.guest(guest.vmid).node
        assert guest.status == pve.cluster.guest(guest.vmid).status


@after_first_sync
def test_a_run_without_a_change_writes_no_row_preview_and_sync_alike(pve, endpoint, sync):
    for mode in ('sync', 'preview'):
        with CaptureQueriesContext(connection) as queries:
            sync(endpoint, mode=mode)
        assert writes(queries) == []


@after_first_sync
def test_only_what_differs_is_written(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.rename(vmid, 'renamed')
    with CaptureQueriesContext(connection) as queries:
        sync(endpoint)
    # As it was read, when the virtual machine was written, and its new fingerprint for quick runs.
    statements = writes(queries)
    assert len(statements) == 3
    assert all('renamed' in statement for statement in statements)
    assert not any(guest.name in ''.join(statements) for guest in endpoint.guests.exclude(vmid=vmid))
    assert CachedValue.objects.filter(value='renamed', object_id=guest_of(endpoint, vmid).pk).exists()


@after_first_sync
def test_a_preview_shows_what_a_sync_would_change(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.rename(vmid, 'renamed')
    sync(endpoint, mode='preview')
    guest = guest_of(endpoint, vmid)
    assert (guest.state, guest.name) == ('changed', 'renamed')
    assert endpoint.guests.filter(state='in-sync').count() == 5


def test_the_details_tell_nics_addresses_disks_and_what_was_ignored(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.set_addresses(vmid, 'net0', '192.0.2.9/24')
    sync(endpoint)
    guest = guest_of(endpoint, vmid)
    nic = guest.detail('nics')[0]
    assert nic['key'] == 'net0'
    assert [address['address'] for address in nic['addresses'] if address['source'] == 'guest agent'] == [
        '192.0.2.9/24'
    ]
    assert any('link-local' in ignored['reason'].lower() for ignored in nic['ignored'])
    disk = guest.detail('disks')[0]
    assert disk['storage']
    assert disk['size'] > 0


def test_unread_data_is_reported_with_the_reason(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.agent_silent(vmid)
    sync(endpoint)
    guest = guest_of(endpoint, vmid)
    assert guest.state == 'in-sync'
    (unread,) = [entry for entry in guest.detail('unread') if entry['part'] == 'running']
    assert unread['of'] == 'net0'
    assert 'agent' in unread['reason']


def test_a_key_that_is_not_understood_is_named_and_its_value_is_nowhere(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.set_config(vmid, **{'novel-option': 'hunter2'})
    sync(endpoint)
    guest = guest_of(endpoint, vmid)
    assert 'novel-option' in guest.detail('unknown_keys')
    assert 'hunter2' not in str(ProxmoxGuest.objects.values())


@after_first_sync
def test_a_guest_of_a_lost_node_is_unknown_and_keeps_its_virtual_machine(pve, endpoint, sync):
    pve.node_offline('pve2')
    sync(endpoint)
    lost = endpoint.guests.filter(node='pve2')
    assert lost.exists()
    assert set(lost.values_list('state', flat=True)) == {'unknown'}
    assert all('pve2' in guest.reason for guest in lost)
    assert not lost.filter(virtual_machine=None).exists()


@after_first_sync
def test_a_deleted_guest_is_missing_as_long_as_it_is_bound(pve, endpoint, sync):
    vmid = running_vm(pve)
    name = guest_of(endpoint, vmid).name
    pve.delete(vmid)
    sync(endpoint)
    guest = guest_of(endpoint, vmid)
    assert (guest.state, guest.name) == ('missing', name)
    assert guest.virtual_machine
    assert guest.detail('nics')


def test_a_guest_that_was_never_bound_is_removed_with_its_search_entries(pve, endpoint, sync):
    vmid = running_vm(pve)
    sync(endpoint, mode='preview')
    pk = guest_of(endpoint, vmid).pk
    assert CachedValue.objects.filter(object_type__model='proxmoxguest', object_id=pk).exists()
    pve.delete(vmid)
    sync(endpoint, mode='preview')
    assert not ProxmoxGuest.objects.filter(pk=pk).exists()
    assert not CachedValue.objects.filter(object_type__model='proxmoxguest', object_id=pk).exists()


def test_a_list_that_may_be_incomplete_prunes_nothing(pve, endpoint, sync):
    sync(endpoint, mode='preview')
    pve.revoke('VM.Audit', path='/')
    sync(endpoint, mode='preview')
    assert endpoint.guests.count() == 6
    assert states(endpoint) == {'unknown'}


def test_guests_excluded_by_the_endpoint_are_skipped_with_the_reason(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, sync_containers=False)
    sync(endpoint)
    skipped = endpoint.guests.filter(type='lxc')
    assert skipped.count() == 2
    assert {(guest.state, guest.reason) for guest in skipped} == {('skipped', 'The endpoint does not sync containers.')}


@after_first_sync
def test_a_conflict_is_reported_with_its_reason(pve, endpoint, make_endpoint, sync):
    endpoint.enabled = False
    endpoint.save()
    second = make_endpoint(pve, name='Second')
    sync(second)
    assert states(second) == {'conflict'}
    assert all(f'another endpoint (ID {endpoint.pk})' in guest.reason for guest in second.guests.all())


def test_a_guest_that_netbox_rejects_is_a_conflict(pve, endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualdisk': [{'size': {'max': 1}}]}
    sync(endpoint)
    assert states(endpoint) == {'conflict'}
    assert all('size' in guest.reason for guest in endpoint.guests.all())


def test_the_grace_period_is_not_held_up_by_the_guests_own_row(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, missing_guests='delete', grace_days=0)
    sync(endpoint)
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    pve.delete(vmid)
    sync(endpoint)
    sync(endpoint)
    assert not VirtualMachine.objects.filter(pk=vm.pk).exists()
    assert not endpoint.guests.filter(vmid=vmid).exists()


@after_first_sync
def test_an_ignored_guest_that_changes_changes_nothing(pve, endpoint, sync):
    vmid = running_vm(pve)
    assert ignore([guest_of(endpoint, vmid)]) == 1
    before = netbox()
    pve.rename(vmid, 'renamed')
    pve.add_nic(vmid, 'net7')
    pve.set_addresses(vmid, 'net0', '192.0.2.99/24')
    for mode in ('preview', 'sync'):
        assert written(sync(endpoint, mode=mode)) == []
    assert netbox() == before
    guest = guest_of(endpoint, vmid)
    assert (guest.state, guest.name, guest.ignored) == ('ignored', 'renamed', True)
    assert guest.virtual_machine


@after_first_sync
def test_an_ignored_guest_that_is_deleted_is_not_retired_and_remains_ignored(pve, endpoint, sync):
    vmid = running_vm(pve)
    ignore([guest_of(endpoint, vmid)])
    before = netbox()
    deleted = delete_guest(pve, vmid)
    assert written(sync(endpoint)) == []
    assert netbox() == before
    assert guest_of(endpoint, vmid).state == 'ignored'
    back(pve, deleted)
    assert written(sync(endpoint)) == []
    assert netbox() == before


def test_a_guest_that_is_ignored_before_the_first_sync_is_not_created(pve, endpoint, sync):
    sync(endpoint, mode='preview')
    vmid = running_vm(pve)
    ignore([guest_of(endpoint, vmid)])
    sync(endpoint)
    assert VirtualMachine.objects.count() == 5
    assert guest_of(endpoint, vmid).state == 'ignored'


@after_first_sync
def test_after_stop_managing_a_run_adopts_reports_and_changes_nothing(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    assert stop_managing([guest_of(endpoint, vmid)]) == 1
    assert not Binding.objects.filter(unit=f'qemu/{vmid}').exists()
    before, logged = netbox(), ObjectChange.objects.count()
    pve.rename(vmid, 'renamed')
    assert written(sync(endpoint)) == []
    assert (netbox(), ObjectChange.objects.count()) == (before, logged)
    assert not Binding.objects.filter(unit=f'qemu/{vmid}').exists()
    guest = guest_of(endpoint, vmid)
    assert (guest.state, guest.virtual_machine) == ('ignored', vm)


@after_first_sync
def test_after_stop_ignoring_the_guest_is_adopted_again_without_a_double(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    counts = {model: len(rows) for model, rows in netbox().items()}
    stop_managing([guest_of(endpoint, vmid)])
    sync(endpoint)
    assert stop_ignoring([guest_of(endpoint, vmid)]) == 1
    assert guest_of(endpoint, vmid).state == 'unknown'
    run = sync(endpoint)
    assert {action for _kind, action in written(run)} == {'adopt'}
    assert {model: len(rows) for model, rows in netbox().items()} == counts
    assert vm_of(endpoint, vmid) == vm
    assert guest_of(endpoint, vmid).state == 'in-sync'
    assert written(sync(endpoint)) == []


@after_first_sync
def test_no_other_guest_adopts_the_machine_of_one_that_is_no_longer_managed(pve, endpoint, sync):
    """A container gets the id of a virtual machine that is a user's now."""
    vmid = vmids(pve, 'qemu')[0]
    vm = vm_of(endpoint, vmid)
    stop_managing([guest_of(endpoint, vmid)])
    pve.delete(vmid)
    pve.create(vmid, type='lxc', name='other')
    sync(endpoint)
    assert vm_of(endpoint, vmid) != vm
    vm.refresh_from_db()
    assert vm.name != 'other'


@after_first_sync
@pytest.mark.parametrize('mode', ['sync', 'apply'])
def test_stop_managing_waits_for_a_run_that_writes(pve, endpoint, mode):
    make_run(endpoint, mode=mode, status='running', completed=None)
    guest = guest_of(endpoint, running_vm(pve))
    with pytest.raises(SyncInProgressError, match='Lab'):
        stop_managing([guest])
    assert Binding.objects.filter(unit=guest.key).exists()
    guest.refresh_from_db()
    assert not guest.ignored


@after_first_sync
def test_a_disk_that_is_a_users_is_left_changed_or_missing(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.add_disk(vmid, 'scsi9', size='5G')
    sync(endpoint)
    disk = vm_of(endpoint, vmid).virtualdisks.get(name='scsi9')
    stop_managing_object(Binding.objects.get(key=f'qemu/{vmid}/scsi9'))
    VirtualDisk.objects.filter(pk=disk.pk).update(size=1, name='Mine')
    pve.resize(vmid, 'scsi9', '9G')
    assert written(sync(endpoint)) == []
    pve.remove_disk(vmid, 'scsi9')
    assert written(sync(endpoint)) == []
    disk.refresh_from_db()
    assert (disk.size, disk.name) == (1, 'Mine')


@after_first_sync
def test_a_users_disk_stays_a_users_when_its_guest_is_let_go_of_and_synced_again(pve, endpoint, sync):
    guest = guest_of(endpoint, running_vm(pve))
    binding = Binding.objects.filter(kind='disk', unit=guest.key).first()
    stop_managing_object(binding)
    VirtualDisk.objects.filter(pk=binding.object_id).update(size=1)
    stop_managing([guest])
    assert not guest.is_bound
    stop_ignoring([guest])
    sync(endpoint)
    assert VirtualDisk.objects.get(pk=binding.object_id).size == 1
    assert guest_of(endpoint, guest.vmid).state == 'in-sync'


@after_first_sync
def test_a_disk_that_a_user_deleted_is_not_created_again(pve, endpoint, sync):
    binding = Binding.objects.filter(kind='disk').first()
    stop_managing_object(binding)
    binding.object.delete()
    assert written(sync(endpoint)) == []
    assert not VirtualDisk.objects.filter(pk=binding.object_id).exists()


@after_first_sync
def test_an_interface_that_a_user_deleted_takes_its_parts_along(pve, endpoint, sync):
    vmid = running_vm(pve)
    binding = Binding.objects.get(key=f'qemu/{vmid}/net0', kind='interface')
    stop_managing_object(binding)
    vm_of(endpoint, vmid).interfaces.get(pk=binding.object_id).delete()
    addresses = IPAddress.objects.count()
    sync(endpoint)
    assert written(sync(endpoint)) == []
    assert IPAddress.objects.count() == addresses
    assert not IPAddress.objects.filter(assigned_object_id=None).exists()


@after_first_sync
def test_facts_are_reset_after_an_object_is_managed_again(pve, endpoint, sync):
    binding = Binding.objects.filter(kind='disk').first()
    size = binding.object.size
    stop_managing_object(binding)
    VirtualDisk.objects.filter(pk=binding.object_id).update(size=1)
    sync(endpoint)
    manage_again(binding)
    assert ('disk', 'update') in written(sync(endpoint))
    assert VirtualDisk.objects.get(pk=binding.object_id).size == size


def test_a_machine_with_a_users_disk_is_not_deleted(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, missing_guests='delete', grace_days=0)
    sync(endpoint)
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    disk = vm.virtualdisks.first()
    stop_managing_object(Binding.objects.get(kind='disk', object_id=disk.pk))
    pve.delete(vmid)
    sync(endpoint)
    run = sync(endpoint)
    assert 'virtual disk' in run.changes.get(action='conflict').reason
    assert VirtualDisk.objects.filter(pk=disk.pk).exists()
    assert guest_of(endpoint, vmid).state == 'conflict'


def test_recording_costs_as_many_queries_for_many_guests_as_for_few(standin, make_endpoint, sync):
    numbers = []
    for name, vms in (('first', 3), ('small', 3), ('large', 30)):
        endpoint = make_endpoint(standin(**(SMALL | {'vms': vms}), name=name), name=name)
        with CaptureQueriesContext(connection) as queries:
            sync(endpoint, mode='preview')
        # The validation of the preview takes others.
        numbers.append(sum(ProxmoxGuest._meta.db_table in query['sql'] for query in queries))
    assert numbers[1] == numbers[2]
    assert numbers[1] > 0
