"""Reverting what a run has written: planned as a preview, applied by the user, only where nothing has changed since."""

import pytest
from core.models import ObjectChange
from dcim.models import Device, Interface, MACAddress, Site
from django.apps import apps
from ipam.models import IPAddress
from virtualization.models import Cluster, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.jobs import AlreadyRunningError, SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint, SyncRun
from netbox_proxsync.runs.stored_plans import PlanNotApplicableError

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
        (model.__name__, instance.pk): row_of(instance) for model in WRITTEN for instance in model.objects.order_by('pk')
    }


def bound(endpoint) -> dict:
    """The bindings as the next sync reads them."""
    rows = Binding.objects.filter(endpoint=endpoint)
    return {(row.kind, row.key): (row.object_id, row.values, row.created_by_sync) for row in rows}


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
    # It is only planned. So much requires approval.
    assert contents() != before
    assert planned.refusal.startswith('This revert would delete')
    done = apply(planned)
    assert (done.mode, done.status) == ('apply', 'completed'), list(done.changes.values_list('key', 'outcome', 'message'))
    assert contents() == before
    assert not Binding.objects.filter(endpoint=endpoint).exists()
    endpoint.refresh_from_db()
    assert endpoint.cluster is None
    assert ObjectChange.objects.filter(request_id=done.request_id).first().message.startswith(
        f'Revert of run {first.pk} of '
    )
    # The next sync finds what the first one found.
    again = sync(endpoint)
    assert again.status == 'completed'
    assert again.counts == first.counts


def test_a_day_of_changes_is_reverted(pve, endpoint, sync):
    sync(endpoint)
    before, bindings = contents(), bound(endpoint)
    guests = sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    pve.rename(guests[0], 'renamed')
    pve.delete(guests[1])
    pve.set_config(guests[2], memory='8192', cores=7, tags='blue;green')
    run = sync(endpoint)
    assert run.changes.filter(outcome='applied').count() >= 3
    expected = sync_preview_counts(run)
    planned = revert(run)
    assert (planned.status, planned.error) == ('completed', '')
    assert not left(planned)
    done = apply(planned)
    assert done.status == 'completed', list(done.changes.values_list('key', 'outcome', 'message'))
    assert contents() == before
    assert bound(endpoint) == bindings
    assert sync(endpoint, 'preview').counts == expected


def sync_preview_counts(run: SyncRun) -> dict:
    return run.counts
