"""The change limit: how many objects a run can remove without approval; through the real job against a stand-in."""

from datetime import timedelta

import pytest
from django.utils import timezone
from virtualization.models import VirtualDisk, VirtualMachine

from netbox_proxsync.jobs import SyncJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=12, containers=0, templates=0, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


def vmids(pve) -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values())


def let_through(run):
    return SyncJob.enqueue_plan(run, None, immediate=True)


def test_a_refused_run_states_the_numbers_and_the_remedy(pve, endpoint, sync):
    sync(endpoint)
    for vmid in vmids(pve)[:6]:
        pve.delete(vmid)
    run = sync(endpoint)
    assert run.status == 'refused'
    assert 'virtual machines: 6 retired (of 12)' in run.error
    assert 'check the hosts of the endpoint and the privileges of its token' in run.error
    assert 'approve this run.' in run.error
    assert VirtualMachine.objects.filter(status='decommissioning').count() == 0


def test_the_deletion_of_many_retired_guests_requires_approval(pve, endpoint, sync):
    sync(endpoint)
    for vmid in vmids(pve)[:5]:
        pve.delete(vmid)
    let_through(sync(endpoint))
    endpoint.missing_guests, endpoint.grace_days = 'delete', 30
    endpoint.save()
    missing = endpoint.bindings.filter(missing_since__isnull=False)
    missing.update(missing_since=timezone.now() - timedelta(days=31))
    run = sync(endpoint)
    assert run.status == 'refused'
    assert 'Changes beyond the limit: virtual machines: 5 deleted (of 12).' in run.error
    assert VirtualMachine.objects.count() == 12
    assert let_through(run).status == 'completed'
    assert VirtualMachine.objects.count() == 7


def test_deletions_and_retirements_below_the_limit_are_no_danger_together(pve, endpoint, sync):
    sync(endpoint)
    for vmid in vmids(pve)[:4]:
        pve.delete(vmid)
    assert sync(endpoint).status == 'completed'
    endpoint.missing_guests, endpoint.grace_days = 'delete', 0
    endpoint.save()
    for vmid in vmids(pve)[:4]:
        pve.delete(vmid)
    run = sync(endpoint)
    assert (run.status, run.counts['vm']) == ('completed', {'delete': 4, 'retire': 4})


def test_a_storage_that_takes_half_of_the_disks_away_is_refused(pve, endpoint, sync):
    for vmid in vmids(pve):
        pve.add_disk(vmid, 'sata4')
    sync(endpoint)
    disks = VirtualDisk.objects.count()
    by_hand = VirtualDisk.objects.filter(name='sata4').order_by('pk')[:3]
    endpoint.bindings.filter(kind='disk', object_id__in=[disk.pk for disk in by_hand]).update(created_by_sync=False)
    for vmid in vmids(pve):
        pve.remove_disk(vmid, 'sata4')
    run = sync(endpoint)
    assert run.status == 'refused'
    assert f'virtual disks: 9 deleted, 3 released (of {disks})' in run.error
    assert VirtualDisk.objects.count() == disks


def test_a_limit_of_a_hundred_percent_stops_nothing(pve, endpoint, sync):
    endpoint.change_limit, endpoint.missing_guests, endpoint.grace_days = 100, 'delete', 0
    endpoint.save()
    sync(endpoint)
    for vmid in vmids(pve):
        pve.delete(vmid)
    assert [sync(endpoint).status for _run in range(2)] == ['completed'] * 2
    assert not VirtualMachine.objects.exists()
