"""The effects of a sync on NetBox, case by case, through the real job against a stand-in Proxmox VE."""

from dataclasses import replace
from uuid import UUID

import pytest
from core.models import ObjectChange
from dcim.models import Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from extras.models import JournalEntry, Tag
from ipam.models import VRF, IPAddress, Prefix
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding

from .synced import Stage, after_first_sync

pytestmark = pytest.mark.django_db

SMALL = {'nodes': 2, 'vms': 4, 'containers': 2, 'running': 1, 'agent': 1, 'seed': 3}


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL)


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return next(binding.object for binding in endpoint.bindings.filter(kind='vm') if binding.key.endswith(f'/{vmid}'))


def running_vm(pve) -> int:
    """The VM ID of a running QEMU guest with an address."""
    return next(vmid for vmid in vmids(pve, 'qemu') if pve.cluster.guest(vmid).status == 'running')


def vmids(pve, guest_type: str) -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def delete_guest(pve, vmid: int):
    """Deletes a guest and returns it, so that it can come back."""
    guest = pve.cluster.guest(vmid)
    pve.delete(vmid)
    return guest


def back(pve, guest, **values):
    """Brings a deleted guest back, perhaps as another one."""
    guest = replace(guest, **values)
    with pve.cluster.lock:
        pve.cluster.guests[guest.id] = guest
        pve.cluster.changed()


def written(run) -> list[tuple[str, str]]:
    return [(change.kind, change.action) for change in run.changes.all()]


def test_a_run_shows_as_one_thing_in_the_change_log(endpoint, sync):
    run = sync(endpoint)
    logged = ObjectChange.objects.filter(request_id=run.request_id)
    assert isinstance(run.request_id, UUID)
    assert logged.count() > 20
    assert ObjectChange.objects.count() == logged.count()
    assert set(logged.values_list('user_name', flat=True)) == {'proxsync'}
    assert {change.message for change in logged if change.changed_object_type.model == 'virtualmachine'} == {
        f'Proxmox VE sync of Lab, run {run.pk}'
    }


@after_first_sync
def test_the_service_user_cannot_log_in(endpoint, client):
    from users.models import User

    user = User.objects.get(username='proxsync')
    assert not user.is_active
    assert not user.has_usable_password()


@after_first_sync
def test_a_rename_changes_only_the_name(pve, endpoint, sync):
    vmid = running_vm(pve)
    before = vm_of(endpoint, vmid)
    pve.rename(vmid, 'renamed')
    run = sync(endpoint)
    assert written(run) == [('vm', 'update')]
    assert [field['name'] for field in run.changes.get().fields] == ['name']
    after = vm_of(endpoint, vmid)
    assert (after.pk, after.name) == (before.pk, 'renamed')


@after_first_sync
def test_a_name_that_a_user_chose_is_retained(pve, endpoint, sync):
    vmid = running_vm(pve)
    VirtualMachine.objects.filter(pk=vm_of(endpoint, vmid).pk).update(name='By hand')
    pve.rename(vmid, 'renamed')
    sync(endpoint)
    assert vm_of(endpoint, vmid).name == 'By hand'


@after_first_sync
def test_a_fact_that_was_edited_is_set_back_and_reported(pve, endpoint, sync):
    vm = vm_of(endpoint, running_vm(pve))
    memory = vm.memory
    VirtualMachine.objects.filter(pk=vm.pk).update(memory=1)
    run = sync(endpoint)
    vm.refresh_from_db()
    assert vm.memory == memory
    field = run.changes.get().fields[0]
    assert (field['name'], field['now'], field['want'], field['drift']) == ('memory', 1, memory, True)


@after_first_sync
def test_a_stopped_guest_keeps_its_addresses(pve, endpoint, sync):
    vm = vm_of(endpoint, running_vm(pve))
    addresses = set(IPAddress.objects.values_list('pk', flat=True))
    primary = vm.primary_ip4_id
    assert primary
    pve.stop(running_vm(pve))
    sync(endpoint)
    vm.refresh_from_db()
    assert (vm.status, vm.primary_ip4_id) == ('offline', primary)
    assert set(IPAddress.objects.values_list('pk', flat=True)) == addresses


@after_first_sync
def test_a_silent_agent_takes_no_address_away(pve, endpoint, sync):
    pve.agent_silent(running_vm(pve))
    run = sync(endpoint)
    assert written(run) == []


@after_first_sync
def test_a_resized_disk_changes_the_disk_and_the_sum(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    disk = vm.virtualdisks.first()
    others = vm.disk - disk.size
    pve.resize(vmid, disk.name, '777G')
    run = sync(endpoint)
    assert run.status == 'completed'
    vm.refresh_from_db()
    disk.refresh_from_db()
    assert disk.size == 777 * 1024
    assert vm.disk == others + disk.size


@after_first_sync
def test_an_added_and_a_removed_nic(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    pve.add_nic(vmid, 'net7', mac='BC:24:11:77:77:77')
    sync(endpoint)
    interface = vm.interfaces.get(name='net7')
    assert str(interface.primary_mac_address.mac_address) == 'BC:24:11:77:77:77'
    pve.remove_nic(vmid, 'net7')
    run = sync(endpoint)
    assert sorted(written(run)) == [('interface', 'delete'), ('mac', 'delete')]
    assert not vm.interfaces.filter(name='net7').exists()
    assert not MACAddress.objects.filter(mac_address='BC:24:11:77:77:77').exists()


@after_first_sync
def test_a_removed_nic_with_a_users_address_is_retained_and_reported(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.add_nic(vmid, 'net7', mac='BC:24:11:77:77:77')
    sync(endpoint)
    interface = vm_of(endpoint, vmid).interfaces.get(name='net7')
    mine = IPAddress.objects.create(address='192.0.2.77/24', assigned_object=interface)
    pve.remove_nic(vmid, 'net7')
    run = sync(endpoint)
    conflict = run.changes.get(action='conflict')
    assert '192.0.2.77/24' in conflict.reason
    mine.refresh_from_db()
    assert mine.assigned_object == interface


@after_first_sync
def test_a_removed_disk_is_deleted_and_a_users_disk_is_retained(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    pve.add_disk(vmid, 'scsi9', size='5G')
    sync(endpoint)
    mine = VirtualDisk.objects.create(virtual_machine=vm, name='backup', size=1000)
    pve.remove_disk(vmid, 'scsi9')
    run = sync(endpoint)
    assert ('disk', 'delete') in written(run)
    assert set(vm.virtualdisks.values_list('name', flat=True)) >= {mine.name}
    assert 'scsi9' not in set(vm.virtualdisks.values_list('name', flat=True))


def test_tags_are_merged(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.set_tags(vmid, 'one', 'two')
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    vm.tags.add(Tag.objects.create(name='Mine', slug='mine'))
    pve.set_tags(vmid, 'two', 'three.four+five')
    sync(endpoint)
    assert set(vm.tags.values_list('name', flat=True)) == {'Mine', 'two', 'three.four+five'}
    # What is no longer used stays: tags are shared with the rest of NetBox.
    assert Tag.objects.filter(name='one').exists()


@after_first_sync
def test_a_deleted_guest_is_retired_with_all_it_has_and_revived_as_it_was(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    parts = (vm.interfaces.count(), vm.virtualdisks.count(), IPAddress.objects.count(), vm.primary_ip4_id)
    guest = delete_guest(pve, vmid)
    run = sync(endpoint)
    assert written(run) == [('vm', 'retire')]
    vm.refresh_from_db()
    assert (vm.status, vm.custom_field_data['vm_status']) == ('decommissioning', 'Deleted')
    assert (vm.interfaces.count(), vm.virtualdisks.count(), IPAddress.objects.count(), vm.primary_ip4_id) == parts
    assert Binding.objects.get(kind='vm', object_id=vm.pk).missing_since
    back(pve, guest)
    run = sync(endpoint)
    assert written(run) == [('vm', 'revive')]
    vm.refresh_from_db()
    assert (vm.status, vm.custom_field_data['vm_status']) == ('active', 'Deployed')
    assert not Binding.objects.get(kind='vm', object_id=vm.pk).missing_since
    assert VirtualMachine.objects.count() == 6


@after_first_sync
def test_a_token_that_lost_its_rights_retires_nothing(pve, endpoint, sync):
    pve.revoke('VM.Audit', path='/')
    run = sync(endpoint)
    assert run.status == 'completed'
    assert written(run) == []
    assert any('VM.Audit' in message['message'] for message in run.messages)
    assert not VirtualMachine.objects.filter(status='decommissioning').exists()


@after_first_sync
def test_an_offline_node_changes_none_of_its_guests(pve, endpoint, sync):
    before = list(VirtualMachine.objects.order_by('pk').values('pk', 'status', 'name', 'memory', 'primary_ip4'))
    for phase in ('stale', 'unknown'):
        pve.node_offline('pve2', phase=phase)
        run = sync(endpoint)
        assert (run.status, written(run)) == ('completed', []), phase
    assert list(VirtualMachine.objects.order_by('pk').values('pk', 'status', 'name', 'memory', 'primary_ip4')) == before


def test_a_run_that_would_retire_most_guests_is_refused_before_it_writes(standin, make_endpoint, sync):
    pve = standin(**(SMALL | {'vms': 12}))
    endpoint = make_endpoint(pve)
    sync(endpoint)
    for vmid in vmids(pve, 'qemu')[:6]:
        pve.delete(vmid)
    logged = ObjectChange.objects.count()
    run = sync(endpoint)
    endpoint.refresh_from_db()
    assert (run.status, endpoint.status) == ('refused', 'refused')
    assert '6 retired' in run.error
    assert ObjectChange.objects.count() == logged
    assert run.changes.filter(action='retire', outcome='planned').count() == 6


@after_first_sync
def test_an_address_of_a_switch_is_never_taken_away(pve, endpoint, sync):
    vmid = running_vm(pve)
    vm = vm_of(endpoint, vmid)
    claimed = vm.primary_ip4.address
    site = Site.objects.create(name='Site', slug='site')
    vm.primary_ip4.delete()
    Binding.objects.filter(kind='ip', unit=f'qemu/{vmid}').delete()
    device = Device.objects.create(
        name='switch',
        site=site,
        role=DeviceRole.objects.create(name='Switch', slug='switch'),
        device_type=DeviceType.objects.create(
            manufacturer=Manufacturer.objects.create(name='Acme', slug='acme'), model='S', slug='s'
        ),
    )
    port = Interface.objects.create(device=device, name='vlan1', type='virtual')
    held = IPAddress.objects.create(address=claimed, assigned_object=port)
    run = sync(endpoint)
    conflict = run.changes.get(action='conflict')
    assert '"vlan1" of "switch"' in conflict.reason
    held.refresh_from_db()
    assert held.assigned_object == port
    vm.refresh_from_db()
    assert vm.primary_ip4 is None


@after_first_sync
def test_an_address_moves_from_a_retired_guest_though_it_was_its_primary_one(pve, endpoint, sync):
    vmid = running_vm(pve)
    old = vm_of(endpoint, vmid)
    address = old.primary_ip4
    guest = delete_guest(pve, vmid)
    sync(endpoint)
    # Another machine: with the same SMBIOS UUID, it would be the retired one, and have its record again.
    other = {'name': 'successor', 'smbios1': 'uuid=6a0f3c1e-0000-4000-8000-000000007777'}
    back(pve, guest, vmid=7777, config={**guest.config, **other})
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'outcome', 'message'))
    new = vm_of(endpoint, 7777)
    address.refresh_from_db()
    assert address.assigned_object.virtual_machine == new
    assert new.primary_ip4 == address
    old.refresh_from_db()
    assert old.primary_ip4 is None


@after_first_sync
def test_a_primary_address_that_a_user_chose_is_retained(pve, endpoint, sync):
    vm = vm_of(endpoint, running_vm(pve))
    chosen = IPAddress.objects.create(address='192.0.2.5/24', assigned_object=vm.interfaces.first())
    VirtualMachine.objects.filter(pk=vm.pk).update(primary_ip4=chosen)
    assert written(sync(endpoint)) == []
    vm.refresh_from_db()
    assert vm.primary_ip4 == chosen


def test_a_curated_netbox_is_adopted_without_a_double(pve, make_endpoint, sync):
    """As ProxSyncBox leaves it: the cluster's name, the custom field `vmid`, interfaces, MACs, addresses, disks."""
    first = make_endpoint(pve)
    sync(first)
    counts = {model: model.objects.count() for model in (Cluster, VirtualMachine, VMInterface, MACAddress, IPAddress)}
    vm = vm_of(first, running_vm(pve))
    VirtualMachine.objects.filter(pk=vm.pk).update(name='Mine', comments='Written by hand')
    first.bindings.all().delete()
    first.cluster = None
    first.save()
    run = sync(first)
    assert {action for _kind, action in written(run)} <= {'adopt'}
    assert {model: model.objects.count() for model in counts} == counts
    vm.refresh_from_db()
    assert (vm.name, vm.comments) == ('Mine', 'Written by hand')
    assert not first.bindings.filter(created_by_sync=True).exists()
    assert written(sync(first)) == []


def test_rejected_changes_are_reported_and_all_others_are_written(pve, endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualdisk': [{'size': {'max': 1}}]}
    run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    failed = run.changes.filter(outcome='failed')
    assert set(failed.values_list('kind', flat=True)) == {'disk'}
    assert all('size' in change.message for change in failed)
    assert VirtualMachine.objects.count() == 6
    assert not VirtualDisk.objects.exists()


def test_addresses_take_prefix_length_and_vrf_from_netboxs_prefixes(pve, endpoint, sync):
    vrf = VRF.objects.create(name='Blue')
    Prefix.objects.create(prefix='0.0.0.0/1', vrf=vrf)
    Prefix.objects.create(prefix='128.0.0.0/1', vrf=vrf)
    sync(endpoint)
    found = IPAddress.objects.filter(address__family=4)
    assert found.exists()
    assert set(found.values_list('vrf', flat=True)) == {vrf.pk}


@after_first_sync
@pytest.mark.parametrize('has_own_cluster', [False, True])
def test_two_endpoints_of_one_cluster_are_refused_with_a_clear_message(
    pve, endpoint, make_endpoint, sync, has_own_cluster
):
    kind = ClusterType.objects.get()
    chosen = Cluster.objects.create(name='Another', type=kind) if has_own_cluster else None
    second = make_endpoint(pve, name='Second', cluster=chosen)
    logged = ObjectChange.objects.count()
    run = sync(second)
    assert (run.status, run.refusal) == ('refused', '')
    assert f'Another endpoint (ID {endpoint.pk}) leads to the same Proxmox VE' in run.error
    assert not run.changes.exists()
    assert (VirtualMachine.objects.count(), ObjectChange.objects.count()) == (6, logged)
    endpoint.enabled = False
    endpoint.save()
    assert 'managed by another endpoint' in sync(second).changes.filter(action='conflict').first().reason


@after_first_sync
def test_a_cluster_of_the_same_name_is_taken(pve, endpoint):
    cluster = Cluster.objects.get()
    assert cluster.type == ClusterType.objects.get(name='Proxmox VE')
    endpoint.refresh_from_db()
    assert endpoint.cluster == cluster


def test_guests_with_data_of_users_are_not_deleted_after_the_grace_period(pve, endpoint, sync):
    endpoint.missing_guests = 'delete'
    endpoint.grace_days = 0
    endpoint.save()
    sync(endpoint)
    first, second = vmids(pve, 'qemu')[:2]
    keep, lose = vm_of(endpoint, first), vm_of(endpoint, second)
    JournalEntry.objects.create(assigned_object=keep, comments='Do not lose this')
    pve.delete(first)
    pve.delete(second)
    sync(endpoint)
    run = sync(endpoint)
    assert VirtualMachine.objects.filter(pk=keep.pk).exists()
    assert not VirtualMachine.objects.filter(pk=lose.pk).exists()
    assert 'journal entry' in run.changes.get(action='conflict').reason


def test_a_cluster_that_a_user_created_is_not_moved_to_another_site(pve, make_endpoint, sync):
    cluster_type = ClusterType.objects.create(name='Ours', slug='ours')
    cluster = Cluster.objects.create(name=pve.cluster.name, type=cluster_type)
    here, there = (Site.objects.create(name=name, slug=name) for name in ('here', 'there'))
    placed = VirtualMachine.objects.create(name='placed', cluster=cluster, site=there)
    endpoint = make_endpoint(pve, site=here)
    sync(endpoint)
    cluster.refresh_from_db()
    placed.refresh_from_db()
    endpoint.refresh_from_db()
    assert (endpoint.cluster, cluster.type, cluster.scope, placed.site) == (cluster, cluster_type, None, there)
    assert written(sync(endpoint)) == []


def test_a_cluster_that_is_created_gets_the_endpoints_placement(pve, make_endpoint, sync):
    site = Site.objects.create(name='here', slug='here')
    endpoint = make_endpoint(pve, site=site)
    sync(endpoint)
    assert Cluster.objects.get().scope == site
    assert set(VirtualMachine.objects.values_list('site', flat=True)) == {site.pk}
    assert written(sync(endpoint)) == []


def test_retired_guests_cost_no_queries_for_ever(standin, make_endpoint, sync):
    pve = standin(**(SMALL | {'vms': 8}))
    endpoint = make_endpoint(pve, change_limit=100)
    sync(endpoint)
    numbers = []
    for vmid in vmids(pve, 'qemu')[:6]:
        pve.delete(vmid)
        sync(endpoint)
        if len(vmids(pve, 'qemu')) in (6, 2):
            with CaptureQueriesContext(connection) as queries:
                assert written(sync(endpoint)) == []
            numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_only_one_run_at_a_time(pve, endpoint, sync):
    from netbox_proxsync.jobs import AlreadyRunningError, SyncJob

    queued = SyncJob.enqueue_run(endpoint, None)
    with pytest.raises(AlreadyRunningError) as caught:
        sync(endpoint)
    assert caught.value.run == queued


def test_calls_to_proxmox_are_one_or_two_for_each_guest(pve, endpoint, sync):
    pve.clear_log()
    run = sync(endpoint)
    calls = [entry.path for entry in pve.log]
    assert run.calls == len(calls)
    per_guest = [path for path in calls if '/qemu/' in path or '/lxc/' in path]
    assert len([path for path in per_guest if path.endswith('/config')]) == 6
    assert len(per_guest) <= 12


def test_the_guests_own_names_of_interfaces_stay_while_it_is_silent_or_off(pve, endpoint, sync):
    endpoint.interface_naming = 'guest'
    endpoint.save()
    vmid = running_vm(pve)
    sync(endpoint)
    named = {interface.pk: interface.name for interface in vm_of(endpoint, vmid).interfaces.all()}
    assert named
    assert not any(name.startswith('net') for name in named.values())
    pve.agent_silent(vmid)
    assert written(sync(endpoint)) == []
    pve.stop(vmid)
    assert written(sync(endpoint)) == [('vm', 'update')]
    assert {interface.pk: interface.name for interface in vm_of(endpoint, vmid).interfaces.all()} == named
    # Of a guest that never reported any, Proxmox VE's key stands in.
    off = next(number for number in vmids(pve, 'qemu') if number != vmid)
    pve.stop(off)
    pve.create(name='never-reported')
    sync(endpoint)
    assert [nic.name for nic in VirtualMachine.objects.get(name='never-reported').interfaces.all()] == ['net0']
