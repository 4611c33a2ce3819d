"""
Machines that return or move to another cluster, through the real job: they keep their records.

The docstring of tests/sync/test_returns.py lists the inputs of that class that were tried. Here: the real writer and
stored plans, two endpoints in both orders, copies that live in two clusters, other sites and devices, records that no
endpoint keeps in clusters with and without an endpoint, containers, and decisions of users.
"""

import pytest
from dcim.models import MACAddress, Site
from django.contrib.contenttypes.models import ContentType
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_proxsync.decisions import ignore
from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest
from tests.pve.interfaces import mac_of

from ..ledger.test_candidates import UUID, apply, by_hand, give_mac, reported
from ..ledger.test_guests import guest_of

pytestmark = pytest.mark.django_db

# The stand-in creates all machines at the same moment.
CREATED_LATER = {'meta': 'creation-qemu=10.1.2,ctime=1790000999'}
# It gives a new guest the first MAC address that is free, which a deleted one had.
OTHER_NIC = {'net0': 'name=eth0,bridge=vmbr0,hwaddr=02:00:00:00:00:77,type=veth'}
OTHER = UUID.replace('0000', '2222', 1)


def moved(source, vmid: int, target, new: int | None = None):
    """Take a guest out of a cluster, as a backup that is restored, or a migration to another cluster, does."""
    with source.cluster.lock:
        guest = source.cluster.guest(vmid)
        source.delete(vmid)
    restore(target, guest, new or vmid)


def restore(target, guest, vmid: int):
    target.create(vmid=vmid, type=guest.type, node=target.cluster.local)
    with target.cluster.lock:
        target.cluster.guest(vmid).config = dict(guest.config)
        target.cluster.changed()


def records() -> dict[str, str]:
    return dict(VirtualMachine.objects.values_list('name', 'cluster__name'))


def machine_of(endpoint, vmid: int) -> VirtualMachine | None:
    row = endpoint.bindings.filter(kind='vm', key__endswith=f'/{vmid}').first()
    return row and row.object


@pytest.fixture
def pve(standin):
    pve = standin(nodes=1, vms=3, containers=1, templates=0, seed=3, name='one')
    pve.create(vmid=300, name='web', running=True, config={'smbios1': f'uuid={UUID}'})
    pve.create(vmid=301, type='lxc', name='dns')
    return pve


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve, name='One', change_limit=100)


@pytest.mark.parametrize('vmid', [300, 301])
@pytest.mark.parametrize('stored', [False, True])
def test_a_machine_that_returns_is_no_third_record(pve, endpoint, sync, vmid, stored):
    """Case 29: destroyed, its VM ID used by another machine, and restored from a backup."""
    sync(endpoint)
    vm = machine_of(endpoint, vmid)
    vm.comments = 'By hand'
    vm.save()
    backup = pve.cluster.guest(vmid)
    pve.reuse(vmid, name='occupant', config=CREATED_LATER if vmid == 300 else OTHER_NIC)
    sync(endpoint)
    vm.refresh_from_db()
    assert (vm.status, endpoint.bindings.get(kind='vm', object_id=vm.pk).key[-6:]) == ('decommissioning', f'/{vmid}#1')
    count = VirtualMachine.objects.count()
    restore(pve, backup, 400)
    run = sync(endpoint, mode='preview') if stored else sync(endpoint)
    assert [row[0] for row in reported(run, 400)] == ['revive']
    if stored:
        assert guest_of(endpoint, 400).virtual_machine == vm
        run = apply(run, [f'{backup.type}/400'])
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'action', 'message'))
    vm.refresh_from_db()
    assert (vm.cf['vmid'], vm.cf['vm_status'], vm.comments) == (400, 'Deployed', 'By hand')
    assert vm.status != 'decommissioning'
    assert (machine_of(endpoint, 400), VirtualMachine.objects.count()) == (vm, count)
    assert machine_of(endpoint, vmid).name == 'occupant'
    assert not sync(endpoint).changes.exists()


def test_machines_that_exchange_their_vm_ids_keep_their_records_from_a_stored_plan_too(pve, endpoint, sync):
    pve.create(vmid=302, name='db', config=CREATED_LATER)
    sync(endpoint)
    before = machine_of(endpoint, 300), machine_of(endpoint, 302)
    one, two = pve.cluster.guest(300), pve.cluster.guest(302)
    for vmid in (300, 302):
        pve.delete(vmid)
    restore(pve, one, 302)
    restore(pve, two, 300)
    run = apply(sync(endpoint, mode='preview'))
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'action', 'message'))
    assert (machine_of(endpoint, 302), machine_of(endpoint, 300)) == before
    assert not sync(endpoint).changes.exists()


# From another cluster


@pytest.fixture
def other(standin):
    return standin(nodes=1, vms=2, containers=0, templates=0, seed=4, name='two')


@pytest.fixture
def second(other, make_endpoint):
    return make_endpoint(other, name='Two', change_limit=100)


@pytest.mark.parametrize('vmid', [300, 301])
@pytest.mark.parametrize('stored', [False, True])
def test_a_machine_that_moves_to_another_cluster_keeps_its_record(pve, endpoint, other, second, sync, vmid, stored):
    for each in (endpoint, second):
        sync(each)
    vm = machine_of(endpoint, vmid)
    parts = set(vm.interfaces.values_list('pk', flat=True)), set(vm.virtualdisks.values_list('pk', flat=True))
    vm.comments = 'By hand'
    vm.save()
    made = endpoint.bindings.get(kind='vm', object_id=vm.pk).created_by_sync
    moved(pve, vmid, other, 500)
    sync(endpoint)
    run = sync(second, mode='preview') if stored else sync(second)
    if stored:
        assert machine_of(endpoint, vmid) == vm
        run = apply(run)
    assert [row[:2] for row in reported(run, 500)] == [('revive', 'applied')]
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'action', 'message'))
    vm.refresh_from_db()
    assert (vm.cluster.name, vm.cf['vmid'], vm.comments) == ('two', 500, 'By hand')
    assert (set(vm.interfaces.values_list('pk', flat=True)), set(vm.virtualdisks.values_list('pk', flat=True))) == parts
    bound = second.bindings.get(kind='vm', object_id=vm.pk)
    assert (bound.created_by_sync, bound.missing_since, endpoint.bindings.filter(unit=bound.unit).exists()) == (
        made, None, False,
    )  # fmt: skip
    assert not ProxmoxGuest.objects.filter(endpoint=endpoint, vmid=vmid).exists()
    assert not sync(second).changes.exists()
    assert not sync(endpoint).changes.exists()


def test_a_machine_that_moves_to_a_cluster_at_another_site_gets_the_site_of_that_cluster(
    pve, other, make_endpoint, sync
):
    sites = [Site.objects.create(name=name, slug=name) for name in ('east', 'west')]
    one = make_endpoint(pve, name='One', site=sites[0], change_limit=100)
    two = make_endpoint(other, name='Two', site=sites[1], sync_nodes=False, change_limit=100)
    for each in (one, two):
        sync(each)
    vm = machine_of(one, 300)
    assert (vm.site, vm.device.name) == (sites[0], pve.cluster.local)
    moved(pve, 300, other)
    sync(one)
    run = sync(two)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'action', 'message'))
    vm.refresh_from_db()
    assert (vm.cluster.name, vm.site, vm.device) == ('two', sites[1], None)
    vm.full_clean()


def test_a_copy_takes_nothing_from_a_machine_that_lives_in_another_cluster(pve, endpoint, other, second, sync):
    """A restored backup with the same UUID and MAC addresses, while the original is there."""
    for each in (endpoint, second):
        sync(each)
    vm = machine_of(endpoint, 300)
    restore(other, pve.cluster.guest(300), 300)
    for each in (second, endpoint, second):
        sync(each)
    assert (machine_of(endpoint, 300), machine_of(second, 300) == vm) == (vm, False)
    vm.refresh_from_db()
    assert vm.cluster.name == 'one'


def test_an_ignored_guest_and_unmanaged_objects_do_not_move(pve, endpoint, other, second, sync):
    for each in (endpoint, second):
        sync(each)
    vm, dns = machine_of(endpoint, 300), machine_of(endpoint, 301)
    for vmid in (300, 301):
        moved(pve, vmid, other)
    sync(endpoint)
    ignore([guest_of(endpoint, 300)])
    Binding.objects.filter(object_type=ContentType.objects.get_for_model(VirtualMachine), object_id=dns.pk).update(
        unmanaged=True
    )
    sync(second)
    assert machine_of(second, 300) != vm
    assert machine_of(second, 301) != dns
    vm.refresh_from_db()
    assert vm.cluster.name == 'one'


def test_a_plan_moves_no_machine_that_has_come_back_since(pve, endpoint, other, second, sync):
    for each in (endpoint, second):
        sync(each)
    vm, guest = machine_of(endpoint, 300), pve.cluster.guest(300)
    moved(pve, 300, other)
    sync(endpoint)
    preview = sync(second, mode='preview')
    restore(pve, guest, 300)
    sync(endpoint)
    run = apply(preview)
    assert [row[:2] for row in reported(run)] == [('revive', 'outdated')]
    vm.refresh_from_db()
    assert (machine_of(endpoint, 300), vm.cluster.name, vm.status) == (vm, 'one', 'offline')


@pytest.fixture
def unmanaged(db) -> Cluster:
    """A cluster that no endpoint is synced with."""
    return Cluster.objects.create(name='old', type=ClusterType.objects.create(name='VMware', slug='vmware'))


def test_an_unbound_machine_elsewhere_with_the_uuid_is_a_candidate_for_moving(pve, endpoint, unmanaged, sync):
    vm = by_hand(unmanaged, name='webserver', serial=UUID.upper(), comments='By hand')
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    guest = guest_of(endpoint, 300)
    assert (guest.state, guest.candidate_ids) == ('candidate', [vm.pk])
    assert 'of the cluster "old" may be this guest' in guest.reason
    endpoint.refresh_from_db()
    # "Move it to this endpoint's cluster."
    vm.cluster = endpoint.cluster
    vm.full_clean()
    vm.save()
    assert reported(sync(endpoint)) == [('adopt', 'applied', vm)]
    vm.refresh_from_db()
    assert (vm.comments, vm.name) == ('By hand', 'webserver')


@pytest.mark.parametrize('name', ['dns', 'DNS'])
def test_a_container_elsewhere_needs_its_name_and_all_its_mac_addresses(pve, endpoint, unmanaged, sync, name):
    mac = mac_of(pve.cluster.guest(301).config['net0'])
    vm = by_hand(unmanaged, name=name)
    give_mac(vm, mac)
    assert reported(sync(endpoint), 301) == [('candidate', 'skipped', vm)]
    assert MACAddress.objects.filter(mac_address=mac).count() == 1


def test_a_similar_machine_in_another_cluster_is_another_machine(pve, endpoint, unmanaged, sync):
    mac, dns = (mac_of(pve.cluster.guest(vmid).config['net0']) for vmid in (300, 301))
    by_hand(unmanaged, name='web')  # the name alone
    by_hand(unmanaged, name='b', serial=OTHER, macs=[mac])  # another UUID
    by_hand(unmanaged, name='c', macs=[dns])  # a container of another name
    by_hand(unmanaged, name='d', macs=[mac, '02:00:00:00:00:99'])  # other MAC addresses beside it
    sync(endpoint)
    assert guest_of(endpoint, 300).state == guest_of(endpoint, 301).state == 'in-sync'


def test_the_living_machine_of_another_endpoint_is_no_candidate(pve, endpoint, other, second, sync):
    sync(endpoint)
    restore(other, pve.cluster.guest(300), 300)
    sync(second)
    assert guest_of(second, 300).state == 'in-sync'
    assert ProxmoxEndpoint.objects.count() == 2
