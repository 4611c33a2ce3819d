"""What the list of guests claims when a run did not end well, or ended long ago: nothing that was not seen."""

from contextlib import suppress

import pytest
from django.db import OperationalError, connection
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest
from netbox_proxsync.sync.cluster_identity import ClusterIdentity

from ..scenarios.synced import Stage, after_first_sync
from ..scenarios.test_harm import Crash
from ..scenarios.test_sync import SMALL, back, delete_guest, running_vm, vmids
from .test_guests import guest_of, states

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL)


def read_at(endpoint):
    return ProxmoxEndpoint.objects.get(pk=endpoint.pk).guests_read


def last_seen(endpoint) -> set:
    return {guest.last_seen for guest in ProxmoxGuest.objects.filter(endpoint_id=endpoint.pk)}


def rows(endpoint) -> list[dict]:
    return list(endpoint.guests.order_by('pk').values())


def test_a_run_that_reads_nothing_leaves_what_was_seen_with_its_moment(pve, endpoint, sync):
    first = sync(endpoint)
    before = rows(endpoint)
    pve.stop(running_vm(pve))
    for glob in ('/cluster/resources', '/version'):
        pve.fail(glob, status=500)
        assert sync(endpoint).status == 'failed'
    assert rows(endpoint) == before
    assert last_seen(endpoint) == {first.started}
    pve.heal()
    last = sync(endpoint)
    assert last_seen(endpoint) == {last.started}
    assert last.started > first.started


def test_a_guest_that_is_missing_says_when_it_was_seen_and_not_that_it_runs(pve, endpoint, sync):
    vmid = running_vm(pve)
    sync(endpoint)
    seen = sync(endpoint, mode='preview')
    guest = delete_guest(pve, vmid)
    for _run in range(2):
        later = sync(endpoint)
        row = guest_of(endpoint, vmid)
        assert (row.state, row.status, row.last_seen) == ('missing', '', seen.started)
    assert guest_of(endpoint, vmids(pve, 'qemu')[0]).last_seen == later.started
    back(pve, guest)
    again = sync(endpoint)
    row = guest_of(endpoint, vmid)
    assert (row.state, row.status, row.seen_until, row.last_seen) == ('in-sync', 'running', None, again.started)


def test_guests_that_a_token_no_longer_sees_are_unknown_since_they_were_seen(pve, endpoint, sync):
    seen = sync(endpoint)
    pve.revoke('VM.Audit', path='/')
    sync(endpoint)
    assert states(endpoint) == {'unknown'}
    assert (last_seen(endpoint), {guest.status for guest in endpoint.guests.all()}) == ({seen.started}, {'running'})


@after_first_sync
def test_a_bound_guest_that_no_run_has_listed_was_seen_when_it_was_bound(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.delete(vmid)
    guest_of(endpoint, vmid).delete()
    sync(endpoint)
    row = guest_of(endpoint, vmid)
    assert (row.state, row.name) == ('missing', '')
    assert row.last_seen == endpoint.bindings.get(kind='vm', key=row.key).first_seen


@pytest.mark.parametrize(('units', 'number'), [(1, 120), (1, 200), (2, 75), (2, 90)])
def test_a_crash_while_it_writes_leaves_true_rows(pve, endpoint, sync, monkeypatch, units, number):
    monkeypatch.setattr('netbox_proxsync.ledger.writer.UNITS_PER_TRANSACTION', units)
    # One guest is written object by object, two are created together.
    monkeypatch.setattr('netbox_proxsync.ledger.writer.CREATED_PER_TRANSACTION', units)
    # The connection is only said to be lost: with it, the transaction of this test would end.
    monkeypatch.setattr('netbox_proxsync.jobs.sync.reconnect', lambda: None)
    crash = Crash(number)
    with connection.execute_wrapper(crash), suppress(OperationalError):
        sync(endpoint)
    assert endpoint.runs.get().status == 'failed'
    assert {guest.vmid for guest in endpoint.guests.all()} == {guest.vmid for guest in pve.cluster.guests.values()}
    for guest in endpoint.guests.all():
        made = VirtualMachine.objects.filter(custom_field_data__vmid=guest.vmid).first()
        assert (guest.state, guest.virtual_machine) == (('in-sync', made) if made else ('new', None))
    assert states(endpoint) == {'in-sync', 'new'}
    assert sync(endpoint).status == 'completed'
    assert states(endpoint) == {'in-sync'}


def test_an_applied_preview_brings_in_sync_what_it_wrote_and_no_other(pve, endpoint, sync):
    preview = sync(endpoint, mode='preview')
    one, *others = vmids(pve, 'qemu')
    assert SyncJob.enqueue_plan(preview, None, [f'qemu/{one}'], immediate=True).status == 'completed'
    row = guest_of(endpoint, one)
    assert (row.state, row.virtual_machine, row.last_seen) == (
        'in-sync', VirtualMachine.objects.get(), preview.started
    )  # fmt: skip
    assert {guest_of(endpoint, vmid).state for vmid in others} == {'new'}
    assert SyncJob.enqueue_plan(preview, None, [f'qemu/{others[0]}'], immediate=True).status == 'completed'
    assert guest_of(endpoint, others[0]).state == 'in-sync'


def test_an_applied_plan_does_not_judge_guests_that_were_read_again_since(pve, endpoint, sync):
    vmid = running_vm(pve)
    preview = sync(endpoint, mode='preview')
    pve.rename(vmid, 'renamed')
    sync(endpoint, mode='preview')
    assert SyncJob.enqueue_plan(preview, None, immediate=True).status == 'completed'
    assert states(endpoint) == {'unknown'}
    row = guest_of(endpoint, vmid)
    assert row.virtual_machine.name != row.name == 'renamed'
    assert 'before the guests were last read' in row.reason
    sync(endpoint, mode='preview')
    assert guest_of(endpoint, vmid).state == 'changed'
    assert endpoint.guests.filter(state='in-sync').count() == 5


@after_first_sync
def test_guests_that_a_plan_retires_stay_missing_and_those_it_deletes_go(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.delete(vmid)
    preview = sync(endpoint, mode='preview')
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert guest_of(endpoint, vmid).state == 'missing'
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(missing_guests='delete', grace_days=0)
    SyncJob.enqueue_plan(sync(endpoint, mode='preview'), None, immediate=True)
    assert not VirtualMachine.objects.filter(custom_field_data__vmid=vmid).exists()
    assert not ProxmoxGuest.objects.filter(vmid=vmid).exists()


@after_first_sync
def test_a_guest_whose_configuration_was_not_read_remains_unknown_when_the_rest_is_applied(pve, endpoint, sync):
    vmid = running_vm(pve)
    pve.stop(vmid)
    pve.fail(f'/nodes/*/qemu/{vmid}/config', status=500)
    preview = sync(endpoint, mode='preview')
    assert preview.changes.filter(unit=f'qemu/{vmid}').exists()
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert VirtualMachine.objects.get(custom_field_data__vmid=vmid).status == 'offline'
    assert guest_of(endpoint, vmid).state == 'unknown'


@after_first_sync
def test_an_endpoint_that_leads_elsewhere_keeps_the_list_of_its_guests(pve, endpoint, sync):
    before, moment = rows(endpoint), read_at(endpoint)
    before_that = ClusterIdentity(name='elsewhere', nodes=frozenset({'node1'}), authority='AB:CD')
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(cluster_identity=before_that.as_json())
    pve.delete(running_vm(pve))
    run = sync(endpoint)
    assert (run.status, 'leads to another' in run.error) == ('refused', True)
    assert (rows(endpoint), read_at(endpoint)) == (before, moment)
