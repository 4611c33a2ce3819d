"""Harm that a sync must not do, by the name of the harm; through the real job against a stand-in Proxmox VE."""

from datetime import timedelta

import pytest
from dcim.models import Device, Site
from django.db import OperationalError, connection
from extras.models import JournalEntry
from ipam.models import VRF, IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import ProxmoxEndpoint
from tests.pve import ClusterSpec, StandIn
from tests.pve.estate import certificates_of
from tests.pve.generate import generate
from tests.pve.guests import unknown_row
from tests.pve.state import Cluster

from .synced import Stage, after_first_sync

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def stage():
    spec = {'nodes': 2, 'vms': 4, 'containers': 2, 'running': 1, 'agent': 1, 'multi_nic': 1, 'templates': 0, 'seed': 3}
    return Stage(spec)


def vmids(pve, guest_type: str) -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return next(row.object for row in endpoint.bindings.filter(kind='vm') if row.key.endswith(f'/{vmid}'))


def everything() -> list[dict]:
    models = (VirtualMachine, VMInterface, IPAddress, VirtualDisk)
    return [row for model in models for row in model.objects.order_by('pk').values()]


def written(run) -> list[tuple[str, str, str]]:
    return list(run.changes.values_list('kind', 'action', 'outcome'))


@after_first_sync
def test_a_cluster_without_quorum_changes_nothing(pve, endpoint, sync):
    before = everything()
    pve.quorum(False)
    run = sync(endpoint)
    assert (run.status, written(run)) == ('completed', [])
    assert everything() == before


@after_first_sync
def test_a_stuck_pvestatd_that_lists_all_guests_as_unknown_without_names_changes_nothing(pve, endpoint, sync):
    before = everything()
    with pve.cluster.lock:
        for guest in pve.cluster.guests.values():
            guest.rows['resources'] = unknown_row(guest)
        pve.cluster.changed()
    run = sync(endpoint)
    assert run.status == 'completed'
    assert not VirtualMachine.objects.filter(status='decommissioning').exists()
    assert everything() == before


@pytest.mark.parametrize('notes', ['First\nSecond\n\nFourth', 'First\r\nSecond', 'Old\rMac'])
def test_line_breaks_of_netboxs_form_do_not_count_as_an_edit(pve, endpoint, sync, notes):
    vmid = vmids(pve, 'qemu')[0]
    pve.set_config(vmid, description=notes)
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    # What a browser sends of a text that nobody has touched.
    as_sent = vm.comments.replace('\n', '\r\n')
    assert as_sent.count('\r\n') == len(notes.splitlines()) - 1
    VirtualMachine.objects.filter(pk=vm.pk).update(comments=as_sent)
    assert not sync(endpoint).changes.exists()
    pve.set_config(vmid, description='First\nChanged in Proxmox VE')
    sync(endpoint)
    assert vm_of(endpoint, vmid).comments == 'First\nChanged in Proxmox VE'


def test_removed_tags_and_notes_are_cleared_and_those_of_users_are_retained(pve, endpoint, sync):
    mine, theirs = vmids(pve, 'qemu')[:2]
    for vmid in (mine, theirs):
        pve.set_tags(vmid, 'one')
        pve.set_config(vmid, description='Notes')
    sync(endpoint)
    VirtualMachine.objects.filter(pk=vm_of(endpoint, mine).pk).update(comments='By hand')
    for vmid in (mine, theirs):
        pve.set_tags(vmid)
        pve.delete_config(vmid, 'description')
    sync(endpoint)
    assert vm_of(endpoint, mine).comments == 'By hand'
    assert (vm_of(endpoint, theirs).comments, vm_of(endpoint, theirs).tags.count()) == ('', 0)


def test_two_guests_that_swap_their_names_keep_their_records(pve, endpoint, sync):
    one, two = vmids(pve, 'qemu')[:2]
    pve.rename(one, 'left')
    pve.rename(two, 'right')
    sync(endpoint)
    keys = vm_of(endpoint, one).pk, vm_of(endpoint, two).pk
    pve.rename(one, 'right')
    pve.rename(two, 'left')
    run = sync(endpoint)
    assert written(run) == [('vm', 'update', 'applied')] * 2
    assert [VirtualMachine.objects.get(pk=key).name for key in keys] == ['right', 'left']
    assert written(sync(endpoint)) == []


def test_two_nics_of_a_container_that_swap_their_names_keep_their_interfaces(pve, endpoint, sync):
    vmid = vmids(pve, 'lxc')[0]
    config = pve.cluster.guest(vmid).config
    if 'net1' not in config:
        pve.add_nic(vmid, 'net1')
    sync(endpoint)
    before = {interface.name: interface.pk for interface in vm_of(endpoint, vmid).interfaces.all()}
    config = dict(pve.cluster.guest(vmid).config)
    names = {key: dict(part.split('=', 1) for part in config[key].split(','))['name'] for key in ('net0', 'net1')}
    pve.set_config(
        vmid,
        net0=config['net0'].replace(f'name={names["net0"]}', f'name={names["net1"]}'),
        net1=config['net1'].replace(f'name={names["net1"]}', f'name={names["net0"]}'),
    )
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    after = {interface.name: interface.pk for interface in vm_of(endpoint, vmid).interfaces.all()}
    assert after == {**before, names['net0']: before[names['net1']], names['net1']: before[names['net0']]}
    assert written(sync(endpoint)) == []


@after_first_sync
def test_a_reused_vmid_does_not_mix_two_machines(pve, endpoint, sync):
    vmid = vmids(pve, 'qemu')[0]
    old = vm_of(endpoint, vmid)
    parts = old.interfaces.count(), old.virtualdisks.count()
    pve.reuse(vmid, name='successor')
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    new = vm_of(endpoint, vmid)
    old.refresh_from_db()
    assert (new.name, new.pk == old.pk) == ('successor', False)
    assert (old.status, old.interfaces.count(), old.virtualdisks.count()) == ('decommissioning', *parts)
    assert written(sync(endpoint)) == []


def test_a_machine_and_a_container_of_one_name_are_two(pve, endpoint, sync):
    machine, container = vmids(pve, 'qemu')[0], vmids(pve, 'lxc')[0]
    pve.rename(machine, 'twin')
    pve.rename(container, 'Twin')
    sync(endpoint)
    names = {vm_of(endpoint, machine).name, vm_of(endpoint, container).name}
    assert names in ({'twin', f'Twin ({container})'}, {f'twin ({machine})', 'Twin'})
    assert written(sync(endpoint)) == []


def test_machines_of_one_name_and_vmid_in_two_clusters_are_two(standin, make_endpoint, sync):
    endpoints = []
    for seed, name in enumerate(('east', 'west'), 3):
        pve = standin(nodes=1, vms=3, containers=0, templates=0, seed=seed, name=name)
        for vmid in vmids(pve, 'qemu'):
            pve.rename(vmid, f'web{vmid}')
        endpoints.append(make_endpoint(pve, name=name, vrf=VRF.objects.create(name=name)))
    for endpoint in endpoints * 2:
        assert sync(endpoint).status == 'completed'
    assert sorted(VirtualMachine.objects.values_list('cluster__name', 'name')) == [
        (cluster, f'web{vmid}') for cluster in ('east', 'west') for vmid in (100, 101, 102)
    ]
    assert written(sync(endpoints[0])) == written(sync(endpoints[1])) == []


SECRET = '6a0f3c1e-0000-4000-8000-000000000000'


def host_of(node: str | None) -> Cluster:
    """The cluster of two nodes; or one of them alone, as it was before pve2 joined the cluster that pve1 had made."""
    cluster = generate(ClusterSpec(nodes=2, vms=8, containers=0, templates=0, seed=3, name='joined'), SECRET)
    if node:
        cluster.name, cluster.local = None, node
        cluster.nodes = {node: cluster.nodes[node]}
        cluster.nodes[node].nodeid = 0
        cluster.guests = {key: guest for key, guest in cluster.guests.items() if guest.node == node}
    if node == 'pve2':
        # Who joins gets the cluster's authority in place of its own.
        rows = certificates_of(cluster, cluster.nodes[node])
        own = next(row for row in rows if row['filename'] == 'pve-root-ca.pem')
        own['fingerprint'] = ':'.join(['02'] * 32)
        cluster.nodes[node].certificates = rows
    return cluster


@pytest.mark.parametrize('with_nodes', [False, True])
@pytest.mark.parametrize('first', ['pve1', 'pve2'])
def test_two_hosts_that_join_one_cluster_double_no_machine(make_endpoint, sync, first, with_nodes):
    second = {'pve1': 'pve2', 'pve2': 'pve1'}[first]
    site = Site.objects.create(name='Berlin', slug='berlin') if with_nodes else None
    endpoints = {}
    for node in (first, second):
        with StandIn(host_of(node), token_secret=SECRET) as pve:
            endpoints[node] = make_endpoint(pve, name=node, site=site)
            assert sync(endpoints[node]).status == 'completed'
    assert VirtualMachine.objects.count() == 8
    keys = machines_and_devices()
    with StandIn(host_of(None), token_secret=SECRET) as pve:
        for endpoint in endpoints.values():
            endpoint.refresh_from_db()
            endpoint.hosts, endpoint.fingerprint = [f'{pve.host}:{pve.port}'], pve.fingerprint
            endpoint.token_secret = SECRET
            endpoint.save()
            run = sync(endpoint)
            assert (run.status, 'leads to the same Proxmox VE' in run.error) == ('refused', True)
            # Whoever may view the run may not be allowed to view the other endpoint.
            assert not [name for name in endpoints if f'"{name}"' in run.error]
            assert any(f'(ID {other.pk})' in run.error for other in endpoints.values() if other != endpoint)
        assert machines_and_devices() == keys
        # As docs/ownership.md says: the endpoint of the host that made the cluster stays.
        remaining, other = endpoints['pve1'], endpoints['pve2'].cluster
        endpoints['pve2'].delete()
        for model in (Device, VirtualMachine):
            for moved in model.objects.filter(cluster=other):
                moved.cluster = remaining.cluster
                moved.full_clean()
                moved.save()
        run = sync(remaining)
        assert run.status == 'completed'
        assert machines_and_devices() == keys
        assert not run.changes.filter(action='conflict').exists()
        assert remaining.bindings.filter(kind='vm').count() == 8
        assert written(sync(remaining)) == []


def machines_and_devices() -> tuple[set[int], set[int]]:
    return tuple(set(model.objects.values_list('pk', flat=True)) for model in (VirtualMachine, Device))


def test_a_disk_that_moves_to_another_bus_keeps_the_sum(pve, endpoint, sync):
    vmid = vmids(pve, 'qemu')[0]
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    size, disk = vm.disk, vm.virtualdisks.first().name
    pve.set_config(vmid, sata5=pve.cluster.guest(vmid).config[disk])
    pve.delete_config(vmid, disk)
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    vm.refresh_from_db()
    assert vm.disk == size
    assert vm.virtualdisks.filter(name='sata5').exists()


@after_first_sync
def test_an_object_deleted_manually_is_created_again(pve, endpoint, sync):
    vm = vm_of(endpoint, vmids(pve, 'qemu')[0])
    parts = vm.interfaces.count(), vm.virtualdisks.count()
    vm.delete()
    sync(endpoint)
    again = vm_of(endpoint, vmids(pve, 'qemu')[0])
    assert (again.interfaces.count(), again.virtualdisks.count()) == parts
    assert written(sync(endpoint)) == []


def test_objects_with_data_of_users_are_not_deleted(pve, endpoint, sync):
    endpoint.missing_guests, endpoint.grace_days = 'delete', 0
    endpoint.save()
    sync(endpoint)
    edited, described, plain = vmids(pve, 'qemu')[:3]
    VirtualMachine.objects.filter(pk=(renamed := vm_of(endpoint, edited)).pk).update(name='By hand')
    interface = vm_of(endpoint, described).interfaces.first()
    VMInterface.objects.filter(pk=interface.pk).update(description='To the firewall')
    lost = vm_of(endpoint, plain)
    for vmid in (edited, described, plain):
        pve.delete(vmid)
    sync(endpoint)
    run = sync(endpoint)
    reasons = {change.unit: change.reason for change in run.changes.filter(action='conflict')}
    assert '"name" of virtual machine "By hand"' in reasons[f'qemu/{edited}']
    assert '"description" of interface' in reasons[f'qemu/{described}']
    assert VirtualMachine.objects.filter(pk=renamed.pk).exists()
    assert VMInterface.objects.filter(pk=interface.pk).exists()
    assert not VirtualMachine.objects.filter(pk=lost.pk).exists()


@pytest.mark.parametrize('policy', ['delete', 'unassign', 'leave'])
def test_missing_addresses_follow_the_policy_of_the_endpoint(pve, endpoint, sync, policy):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(
        missing_addresses=policy, missing_address_reads=1, change_limit=100
    )
    sync(endpoint)
    vmid = vmids(pve, 'qemu')[0]
    vm = vm_of(endpoint, vmid)
    lost = vm.primary_ip4
    with pve.cluster.lock:
        guest = pve.cluster.guest(vmid)
        for key in [key for key in guest.config if key.startswith('ipconfig')]:
            del guest.config[key]
        guest.touch()
        pve.cluster.changed()
    for key in [key for key in pve.cluster.guest(vmid).config if key.startswith('net')]:
        pve.set_addresses(vmid, key)
    sync(endpoint)
    vm.refresh_from_db()
    found = IPAddress.objects.filter(pk=lost.pk).first()
    assert (found is None) is (policy == 'delete')
    if policy == 'unassign':
        assert (found.assigned_object, vm.primary_ip4) == (None, None)
    if policy == 'leave':
        assert vm.primary_ip4 == found
    assert written(sync(endpoint)) == []


def test_an_ignored_field_is_left_and_taken_up_again(pve, endpoint, sync):
    endpoint.field_policy = {'vm.memory': 'ignored', 'vm.tags': 'ignored'}
    endpoint.full_clean()
    endpoint.save()
    vmid = vmids(pve, 'qemu')[0]
    pve.set_tags(vmid, 'one')
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    assert (vm.memory, vm.tags.count()) == (None, 0)
    endpoint.refresh_from_db()
    endpoint.field_policy = {}
    endpoint.save()
    sync(endpoint)
    vm.refresh_from_db()
    assert vm.memory
    assert vm.tags.count() == 1


class Crash:
    """The connection goes at the n-th statement that writes."""

    def __init__(self, number: int):
        self.left = number

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith(('INSERT', 'UPDATE', 'DELETE')) and 'netbox_proxsync_syncrun' not in sql:
            self.left -= 1
            if self.left == 0:
                raise OperationalError('server closed the connection unexpectedly')
        return execute(sql, params, many, context)


@pytest.mark.parametrize(
    ('units', 'number'), [(1, 25), (1, 60), (1, 110), (1, 170), (1, 210), (2, 25), (2, 60), (2, 70), (2, 80)]
)
def test_a_crash_at_any_statement_leaves_whole_guests_and_the_next_run_does_the_rest(
    pve, endpoint, sync, units, number, monkeypatch
):
    monkeypatch.setattr('netbox_proxsync.ledger.writer.UNITS_PER_TRANSACTION', units)
    # One guest has too few objects to be created in bulk, two have enough.
    monkeypatch.setattr('netbox_proxsync.ledger.writer.CREATED_PER_TRANSACTION', units)
    # The connection is only said to be lost: with it, the transaction of this test would end. For connections that are
    # really lost, see tests/ledger/test_database.py.
    monkeypatch.setattr('netbox_proxsync.jobs.sync.reconnect', lambda: None)
    crash = Crash(number)
    with connection.execute_wrapper(crash):
        try:
            run = sync(endpoint)
        except OperationalError:
            run = endpoint.runs.first()
    assert crash.left <= 0, 'The run has fewer statements.'
    run.refresh_from_db()
    assert run.status == 'failed'
    for vm in VirtualMachine.objects.all():
        config = pve.cluster.guest(vm.custom_field_data['vmid']).config
        assert vm.interfaces.count() == len([key for key in config if key.startswith('net')])
        assert vm.virtualdisks.exists()
    assert sync(endpoint).status == 'completed'
    assert VirtualMachine.objects.count() == 6
    assert written(sync(endpoint)) == []


def test_an_ipv4_address_of_a_container_on_auto_is_not_refused_as_slaac(pve, endpoint, sync):
    vmid = vmids(pve, 'lxc')[0]
    parts = dict(part.split('=', 1) for part in pve.cluster.guest(vmid).config['net0'].split(','))
    net0 = ','.join(f'{name}={value}' for name, value in (parts | {'ip': 'auto', 'ip6': 'auto'}).items())
    pve.set_config(vmid, net0=net0)
    pve.set_status(vmid, 'running')
    pve.set_addresses(vmid, 'net0', '192.0.2.77/24', '2001:db8::77/64')
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'reason', 'message'))
    found = {str(ip.address): ip.status for ip in IPAddress.objects.filter(address__startswith='192.0.2.77')}
    found |= {str(ip.address): ip.status for ip in IPAddress.objects.filter(address__startswith='2001:db8::77')}
    assert found == {'192.0.2.77/24': 'active', '2001:db8::77/64': 'slaac'}
    assert written(sync(endpoint)) == []


def lose_addresses(pve, vmid: int, key: str = 'net0', *left: str):
    """The guest is asked, and has no address any more but those that are left."""
    with pve.cluster.lock:
        guest = pve.cluster.guest(vmid)
        for name in [name for name in guest.config if name.startswith('ipconfig')]:
            del guest.config[name]
        guest.touch()
        pve.cluster.changed()
    pve.set_addresses(vmid, key, *left)


@pytest.mark.parametrize('policy', ['delete', 'unassign'])
def test_an_address_that_a_user_chose_as_primary_is_retained_when_the_guest_loses_it(pve, endpoint, sync, policy):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(
        missing_addresses=policy, missing_address_reads=1, change_limit=100
    )
    vmid = next(vmid for vmid in vmids(pve, 'qemu') if pve.cluster.guest(vmid).status == 'running')
    lose_addresses(pve, vmid, 'net0', '192.0.2.10/24', '192.0.2.20/24')
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    (chosen,) = vm.interfaces.get(name='net0').ip_addresses.exclude(pk=vm.primary_ip4.pk)
    VirtualMachine.objects.filter(pk=vm.pk).update(primary_ip4=chosen)
    host = str(chosen.address.ip)
    lose_addresses(pve, vmid, 'net0', '192.0.2.10/24' if host == '192.0.2.20' else '192.0.2.20/24')
    for _again in range(2):
        run = sync(endpoint)
        (change,) = run.changes.all()
        assert (change.action, change.object) == ('conflict', chosen)
        assert (
            f'a user chose the address as the primary IPv4 address of qemu/{vmid}, so it is left unchanged'
            in change.reason
        )
    vm.refresh_from_db()
    chosen.refresh_from_db()
    assert (vm.primary_ip4, chosen.assigned_object) == (chosen, vm.interfaces.get(name='net0'))
    # Once another one is chosen, it goes as any other.
    VirtualMachine.objects.filter(pk=vm.pk).update(primary_ip4=None)
    sync(endpoint)
    found = IPAddress.objects.filter(pk=chosen.pk).first()
    assert found is None if policy == 'delete' else found.assigned_object is None


def test_a_nic_goes_not_with_the_address_on_it_that_a_user_chose_as_primary(pve, endpoint, sync):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(change_limit=100)
    vmid = next(vmid for vmid in vmids(pve, 'qemu') if pve.cluster.guest(vmid).status == 'running')
    pve.add_nic(vmid, 'net5')
    lose_addresses(pve, vmid, 'net0', '192.0.2.10/24')
    pve.set_addresses(vmid, 'net5', '192.0.2.20/24')
    sync(endpoint)
    vm = vm_of(endpoint, vmid)
    chosen = vm.interfaces.get(name='net5').ip_addresses.get()
    VirtualMachine.objects.filter(pk=vm.pk).update(primary_ip4=chosen)
    pve.remove_nic(vmid, 'net5')
    run = sync(endpoint)
    assert not run.changes.filter(outcome='failed').exists(), list(run.changes.values('key', 'message'))
    assert {change.kind for change in run.changes.filter(action='conflict')} >= {'ip', 'interface'}
    vm.refresh_from_db()
    assert (vm.primary_ip4, vm.interfaces.filter(name='net5').exists()) == (chosen, True)


def test_an_address_that_the_endpoint_leaves_unchanged_does_not_go_with_its_nic(pve, endpoint, sync):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(missing_addresses='leave', missing_address_reads=1)
    vmid = next(vmid for vmid in vmids(pve, 'qemu') if pve.cluster.guest(vmid).status == 'running')
    pve.add_nic(vmid, 'net5')
    pve.set_addresses(vmid, 'net5', '192.0.2.20/24')
    sync(endpoint)
    interface = vm_of(endpoint, vmid).interfaces.get(name='net5')
    held = interface.ip_addresses.get()
    pve.remove_nic(vmid, 'net5')
    (change,) = sync(endpoint).changes.filter(kind='interface')
    assert (change.action, change.object) == ('conflict', interface)
    assert 'IP address "192.0.2.20/24"' in change.reason
    assert IPAddress.objects.get(pk=held.pk).assigned_object == interface


def days_pass(endpoint, days: int):
    """All that is missing has been so for longer."""
    for binding in endpoint.bindings.filter(missing_since__isnull=False):
        binding.missing_since -= timedelta(days=days)
        binding.save()


def test_only_objects_without_data_of_users_are_deleted_after_the_grace_period(pve, endpoint, sync):
    endpoint.missing_guests, endpoint.grace_days = 'delete', 30
    endpoint.save()
    sync(endpoint)
    plain, noted, returns = vmids(pve, 'qemu')[:3]
    ours, carries, back = (vm_of(endpoint, vmid) for vmid in (plain, noted, returns))
    JournalEntry.objects.create(assigned_object=carries, comments='Keep until the audit')
    guest = pve.cluster.guest(returns)
    for vmid in (plain, noted, returns):
        pve.delete(vmid)
    sync(endpoint)
    days_pass(endpoint, 29)
    assert written(sync(endpoint)) == []
    with pve.cluster.lock:
        pve.cluster.guests[guest.id] = guest
        pve.cluster.changed()
    sync(endpoint)
    pve.delete(returns)
    sync(endpoint)
    days_pass(endpoint, 2)
    run = sync(endpoint)
    assert not VirtualMachine.objects.filter(pk=ours.pk).exists()
    # It came back meanwhile, so its time began again.
    assert VirtualMachine.objects.get(pk=back.pk).status == 'decommissioning'
    (conflict,) = run.changes.filter(action='conflict')
    assert (conflict.object, 'journal entry' in conflict.reason) == (carries, True)


@after_first_sync
def test_without_the_word_for_it_a_retired_guest_is_never_deleted(pve, endpoint, sync):
    vmid = vmids(pve, 'qemu')[0]
    vm = vm_of(endpoint, vmid)
    pve.delete(vmid)
    sync(endpoint)
    days_pass(endpoint, 5000)
    assert written(sync(endpoint)) == []
    assert VirtualMachine.objects.get(pk=vm.pk).status == 'decommissioning'


@after_first_sync
def test_a_vmid_given_away_again_after_its_machine_was_retired_is_another_machine(pve, endpoint, sync):
    vmid = vmids(pve, 'qemu')[0]
    old = vm_of(endpoint, vmid)
    VirtualMachine.objects.filter(pk=old.pk).update(comments='Was the mail server')
    pve.delete(vmid)
    sync(endpoint)
    pve.create(vmid=vmid, name='successor')
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    new = vm_of(endpoint, vmid)
    old.refresh_from_db()
    assert (new.name, new.pk == old.pk, new.comments) == ('successor', False, '')
    assert (old.status, old.comments) == ('decommissioning', 'Was the mail server')
    assert written(sync(endpoint)) == []
