"""Runs that are limited to given guests, through the real job against a stand-in Proxmox VE."""

import pytest
from core.models import ObjectChange
from dcim.models import Device, Site
from django.db import transaction
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxGuest
from tests.scenarios.rounds import content

from ..ledger.test_guests import guest_of
from ..scenarios.synced import Stage, after_first_sync
from ..scenarios.test_sync import SMALL, running_vm, vm_of, written

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL, {'change_limit': 100})


@pytest.fixture
def one(pve) -> int:
    return running_vm(pve)


def others(endpoint, *chosen: int) -> dict:
    """All that NetBox and the list of guests hold of the guests that were not chosen, and of the cluster."""
    units = set(endpoint.bindings.values_list('unit', flat=True)) - {f'qemu/{vmid}' for vmid in chosen}
    return {
        'objects': content(endpoint, units),
        'bindings': list(endpoint.bindings.filter(unit__in=units).order_by('pk').values()),
        'guests': list(ProxmoxGuest.objects.filter(endpoint=endpoint).exclude(vmid__in=chosen).values()),
    }


def everything_changes(pve, but: int):
    """Something about every guest: a name, tags, a NIC; one is deleted, one is new."""
    found = sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.vmid != but)
    for vmid in found:
        pve.rename(vmid, f'renamed-{vmid}')
        pve.set_tags(vmid, 'changed')
        pve.add_nic(vmid, 'net5')
    pve.delete(found[0])
    pve.create(vmid=990, name='new', node='pve1')


def test_the_first_run_may_be_for_one_guest_and_reads_no_other(pve, endpoint, sync, one):
    run = sync(endpoint, vmids=[one])
    assert (run.status, run.vmids, run.error) == ('completed', [one], '')
    assert [vm.custom_field_data['vmid'] for vm in VirtualMachine.objects.all()] == [one]
    assert [(guest.vmid, guest.state) for guest in endpoint.guests.all()] == [(one, 'in-sync')]
    read = {call.path.split('/')[4] for call in pve.log if call.path.endswith('/config')}
    assert read == {str(one)}
    assert str(run).startswith(f'Sync of Lab ({one}), ')


def test_the_second_of_two_changes_nothing(endpoint, sync, one):
    sync(endpoint, vmids=[one])
    logged = ObjectChange.objects.count()
    assert written(sync(endpoint, vmids=[one])) == []
    assert ObjectChange.objects.count() == logged


@after_first_sync
def test_whatever_happened_to_the_others_they_are_unchanged(pve, endpoint, sync, one):
    everything_changes(pve, but=one)
    pve.rename(one, 'chosen')
    before = others(endpoint, one)
    for mode in ('preview', 'sync'):
        run = sync(endpoint, mode=mode, vmids=[one])
        assert run.status == 'completed', run.error
        assert set(run.changes.values_list('unit', flat=True)) == {f'qemu/{one}'}
        assert others(endpoint, one) == before
    assert vm_of(endpoint, one).name == 'chosen'
    assert written(sync(endpoint, vmids=[one])) == []


@after_first_sync
def test_a_limited_run_before_a_full_one_ends_where_the_full_one_alone_does(pve, endpoint, sync, one):
    everything_changes(pve, but=one)
    pve.rename(one, 'chosen')
    with transaction.atomic():
        assert sync(endpoint).status == 'completed'
        alone = content(endpoint)
        transaction.set_rollback(True)
    assert content(endpoint) != alone
    assert sync(endpoint, vmids=[one, 990]).status == 'completed'
    assert sync(endpoint).status == 'completed'
    assert content(endpoint) == alone
    assert written(sync(endpoint)) == []


@after_first_sync
def test_a_guest_that_is_missing_is_retired_and_no_other(pve, endpoint, sync, one):
    pve.delete(one)
    also_missing = min(guest.vmid for guest in pve.cluster.guests.values())
    pve.delete(also_missing)
    run = sync(endpoint, vmids=[one])
    assert written(run) == [('vm', 'retire')]
    assert vm_of(endpoint, one).status == 'decommissioning'
    assert vm_of(endpoint, also_missing).status != 'decommissioning'
    assert (guest_of(endpoint, one).state, guest_of(endpoint, also_missing).state) == ('missing', 'in-sync')
    assert [message['message'] for message in run.messages if message['subject'] == str(one)] == [
        f'Proxmox VE has no guest {one}.'
    ]


def test_a_guest_that_does_not_exist_fails_the_run_and_one_of_several_is_reported(endpoint, sync, one, admin_client):
    run = sync(endpoint, vmids=[999])
    assert (run.status, run.error) == ('failed', 'Proxmox VE has none of these guests: 999.')
    page = admin_client.get(run.get_absolute_url()).content.decode()
    assert 'Proxmox VE has none of these guests: 999.' in page
    many = sync(endpoint, vmids=range(1000, 11000))
    assert many.error == 'Proxmox VE has none of these guests: 1000, 1001, 1002, 1003 and 9996 more.'
    run = sync(endpoint, vmids=[999, one])
    assert run.status == 'completed'
    assert [message['message'] for message in run.messages if message['subject'] == '999'] == [
        'Proxmox VE has no guest 999.'
    ]


@after_first_sync
def test_a_token_that_sees_no_guest_any_more_retires_none(pve, endpoint, sync, one):
    pve.revoke('VM.Audit')
    run = sync(endpoint, vmids=[one])
    assert written(run) == []
    assert vm_of(endpoint, one).status == 'active'
    assert guest_of(endpoint, one).state == 'unknown'


def test_the_limit_on_removals_counts_what_the_endpoint_holds(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, change_limit=20)
    sync(endpoint)
    chosen = sorted(guest.vmid for guest in pve.cluster.guests.values())[:5]
    for vmid in chosen:
        pve.delete(vmid)
    run = sync(endpoint, vmids=chosen)
    assert run.status == 'refused'
    assert '5 retired (of 6)' in run.error
    assert SyncJob.enqueue_plan(run, None, immediate=True).status == 'completed'
    assert VirtualMachine.objects.filter(status='decommissioning').count() == 5


@after_first_sync
def test_a_limited_preview_can_be_applied(pve, endpoint, sync, one):
    pve.rename(one, 'chosen')
    preview = sync(endpoint, mode='preview', vmids=[one])
    assert guest_of(endpoint, one).state == 'changed'
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert vm_of(endpoint, one).name == 'chosen'
    assert guest_of(endpoint, one).state == 'in-sync'


@after_first_sync
def test_a_plan_that_is_older_than_a_limited_look_at_its_guests_reports_nothing_of_them(pve, endpoint, sync, one):
    pve.rename(one, 'chosen')
    for older, newer in ((None, [one]), ([one], [one])):
        plan = sync(endpoint, mode='preview', vmids=older)
        sync(endpoint, mode='preview', vmids=newer)
        applied = SyncJob.enqueue_plan(plan, None, immediate=True)
        assert applied.status == 'completed', applied.error
        assert guest_of(endpoint, one).state == 'unknown'
        pve.rename(one, 'chosen-again')


@after_first_sync
def test_a_limited_run_says_nothing_of_when_the_others_were_seen(pve, endpoint, sync, one):
    endpoint.refresh_from_db()
    seen = endpoint.guests_read
    before = {guest.vmid: guest.last_seen for guest in endpoint.guests.select_related('endpoint')}
    sync(endpoint, vmids=[one])
    endpoint.refresh_from_db()
    assert endpoint.guests_read == seen
    assert {guest.vmid: guest.last_seen for guest in endpoint.guests.select_related('endpoint')} == before


def test_nodes_are_read_for_their_identity_and_are_unchanged(pve, make_endpoint, sync, one):
    site = Site.objects.create(name='Berlin', slug='berlin')
    endpoint = make_endpoint(pve, site=site)
    sync(endpoint, vmids=[one])
    assert not Device.objects.exists()
    assert vm_of(endpoint, one).device is None
    sync(endpoint)
    node = 'pve2' if pve.cluster.guest(one).node == 'pve1' else 'pve1'
    pve.migrate(one, node)
    Device.objects.update(serial='by hand')
    run = sync(endpoint, vmids=[one])
    assert set(run.changes.values_list('unit', flat=True)) == {f'qemu/{one}'}
    assert vm_of(endpoint, one).device.name == node


@after_first_sync
def test_an_ignored_guest_is_left_unchanged_and_the_run_reports_this(pve, endpoint, sync, one):
    ProxmoxGuest.objects.filter(vmid=one).update(ignored=True)
    pve.rename(one, 'renamed')
    run = sync(endpoint, vmids=[one])
    assert (run.status, written(run)) == ('completed', [])
    (reported,) = (message for message in run.messages if message['subject'] == f'qemu/{one}')
    assert 'Excluded from synchronization by a user' in reported['message']
