"""
A retired machine that a user uses again is not deleted when its grace period is over, and a retirement that was lost
is done again.

Tried besides the status: the custom field alone; both; an edit between a preview and its application; a setting that
ignores what marks a machine as retired; a guest that comes back; a first grace period that is over already. That a
reverted branch loses a retirement is in tests/companions/test_reverting.py.
"""

import pytest
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab(standin, make_endpoint, sync):
    """A cluster of which one guest is missing and retired, and an endpoint that deletes such guests at once."""
    pve = standin(nodes=1, vms=2, containers=0, templates=0, seed=3)
    endpoint = make_endpoint(pve, missing_guests='retire', grace_days=0)
    assert sync(endpoint).status == 'completed'
    vmid = next(iter(pve.cluster.guests.values())).vmid
    key = f'qemu/{vmid}'
    machine = Binding.objects.get(kind='vm', key=key).object
    before = dict(Binding.objects.get(kind='vm', key=key).values)
    pve.delete(vmid)
    assert sync(endpoint).counts['vm'] == {'retire': 1}
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(missing_guests='delete')
    return endpoint, machine, key, before


def edit(machine: VirtualMachine, **values):
    """As a user does it."""
    machine.refresh_from_db()
    for name, value in values.items():
        if name.startswith('cf_'):
            machine.custom_field_data[name[3:]] = value
        else:
            setattr(machine, name, value)
    machine.full_clean()
    machine.save()


EDITS = ({'status': 'active'}, {'cf_vm_status': 'Deployed'}, {'status': 'planned', 'cf_vm_status': None})


def test_a_retired_machine_is_deleted_when_its_time_is_over(lab, sync):
    endpoint, machine, _key, _before = lab
    assert sync(endpoint).counts['vm'] == {'delete': 1}
    assert not VirtualMachine.objects.filter(pk=machine.pk).exists()


@pytest.mark.parametrize('values', EDITS, ids=str)
def test_a_machine_that_a_user_uses_again_is_not_deleted(lab, sync, values):
    endpoint, machine, key, _before = lab
    edit(machine, **values)
    seen = VirtualMachine.objects.filter(pk=machine.pk).values().get()
    for _ in range(2):
        run = sync(endpoint)
        (change,) = run.changes.filter(kind='vm')
        assert (change.action, change.key) == ('conflict', key)
        assert 'no longer marked as retired' in change.reason
        assert VirtualMachine.objects.filter(pk=machine.pk).values().get() == seen
    # Marked again, it is deleted.
    edit(machine, status='decommissioning', cf_vm_status='Deleted')
    assert sync(endpoint).counts['vm'] == {'delete': 1}


@pytest.mark.parametrize('values', EDITS, ids=str)
def test_an_older_plan_does_not_change_a_retired_guest_either(lab, sync, values):
    endpoint, machine, _key, _before = lab
    preview = sync(endpoint, 'preview')
    assert preview.counts['vm'] == {'delete': 1}
    edit(machine, **values)
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    (change,) = run.changes.filter(kind='vm')
    assert change.outcome == 'outdated'
    assert 'no longer marked as retired' in change.message
    assert VirtualMachine.objects.filter(pk=machine.pk).exists()


def test_endpoints_that_do_not_mark_retired_guests_do_not_change_them_either(standin, make_endpoint, sync):
    pve = standin(nodes=1, vms=2, containers=0, templates=0, seed=3)
    policy = {'vm.status': 'ignored', 'vm.cf_vm_status': 'ignored'}
    endpoint = make_endpoint(pve, missing_guests='delete', grace_days=0, field_policy=policy)
    sync(endpoint)
    vmid = next(iter(pve.cluster.guests.values())).vmid
    pve.delete(vmid)
    sync(endpoint)
    run = sync(endpoint)
    assert run.counts['vm'] == {'conflict': 1}
    assert VirtualMachine.objects.count() == 2


def test_a_machine_that_comes_back_is_revived_whatever_was_edited(standin, make_endpoint, sync):
    pve = standin(nodes=1, vms=2, containers=0, templates=0, seed=3)
    endpoint = make_endpoint(pve, missing_guests='retire', grace_days=0)
    sync(endpoint)
    key, guest = next(iter(pve.cluster.guests.items()))
    pve.delete(guest.vmid)
    sync(endpoint)
    machine = Binding.objects.get(kind='vm', key=f'qemu/{guest.vmid}').object
    edit(machine, status='planned')
    pve.cluster.guests[key] = guest
    pve.cluster.changed()
    assert sync(endpoint).counts['vm'] == {'revive': 1}
    bound = Binding.objects.get(kind='vm', key=f'qemu/{guest.vmid}')
    assert bound.missing_since is None
    assert bound.object.status in ('active', 'offline')
    assert sync(endpoint).counts == {}


@pytest.mark.parametrize('missing_guests', ['delete', 'retire'])
def test_a_retirement_that_was_lost_is_done_again(lab, sync, missing_guests):
    """The machine and its values are unchanged, and it is still missing: no user has edited it."""
    endpoint, machine, key, before = lab
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(missing_guests=missing_guests, grace_days=1)
    edit(machine, status='active', cf_vm_status='Deployed')
    bound = Binding.objects.get(kind='vm', key=key)
    Binding.objects.filter(pk=bound.pk).update(
        values={**bound.values, 'status': before['status'], 'cf_vm_status': before['cf_vm_status']}
    )
    # The machine may be one that was off.
    edit(machine, status=before['status'] if isinstance(before['status'], str) else 'active')
    assert sync(endpoint).counts['vm'] == {'retire': 1}
    machine.refresh_from_db()
    assert (machine.status, machine.custom_field_data['vm_status']) == ('decommissioning', 'Deleted')
    again = Binding.objects.get(kind='vm', key=key)
    # Its time begins again.
    assert again.missing_since > bound.missing_since
    assert sync(endpoint).counts == {}
