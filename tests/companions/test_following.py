"""What is synced already is changed in a branch, in main, or in both."""

from netbox_branching.models import ChangeDiff
from virtualization.models import VirtualMachine

from netbox_proxsync.decisions import ignore, manage_again, stop_ignoring, stop_managing, stop_managing_object
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxGuest

from .lab import Lab, edit, rows


def test_changes_follow_and_what_a_user_did_in_main_meanwhile_is_a_conflict(synced: Lab):
    lab, pve = synced, synced.pve
    branch = lab.branch('Changes')
    gone, renamed, edited = sorted(guest.vmid for guest in pve.cluster.guests.values())[:3]
    pve.rename(renamed, 'renamed')
    pve.rename(edited, 'by-proxmox')
    pve.delete(gone)
    before = rows()
    run = lab.sync(branch)
    assert run.counts['vm'] == {'update': 2, 'retire': 1}
    assert rows() == before
    machine = lab.machine(edited)
    edit(lab.admin, machine, name='by-a-person')
    diff = ChangeDiff.objects.get(branch=branch, object_id=machine.pk, object_type__model='virtualmachine')
    assert 'name' in diff.conflicts
    assert not ChangeDiff.objects.get(branch=branch, object_id=lab.machine(renamed).pk).conflicts

    branch.merge(lab.admin)
    assert [lab.machine(vmid).name for vmid in (renamed, edited)] == ['renamed', 'by-proxmox']
    assert Binding.objects.get(kind='vm', unit=lab.unit(gone)).missing_since
    assert ProxmoxGuest.objects.get(vmid=gone).seen_until
    lab.assert_nothing_left()


def test_a_branch_sync_copies_bindings_of_later_runs_in_main(synced: Lab):
    lab, pve = synced, synced.pve
    branch = lab.branch('Behind')
    one, other = sorted(guest.vmid for guest in pve.cluster.guests.values())[:2]
    pve.rename(one, 'later')
    lab.sync()
    with lab.active(branch):
        assert VirtualMachine.objects.get(pk=lab.machine(one).pk).name != 'later'
    branch.sync(lab.admin)
    lab.assert_nothing_left(branch)
    pve.rename(one, 'still-later')
    pve.rename(other, 'also')
    assert lab.sync(branch).counts == {'vm': {'update': 2}}
    branch.merge(lab.admin)
    lab.assert_nothing_left()


def test_a_reverted_edit_is_written_again(synced: Lab):
    lab, pve = synced, synced.pve
    vmid = max(guest.vmid for guest in pve.cluster.guests.values())
    before = lab.machine(vmid).name
    branch = lab.branch('Reverted')
    pve.rename(vmid, 'new-name')
    lab.sync(branch)
    branch.merge(lab.admin)
    assert lab.machine(vmid).name == 'new-name'
    branch.revert(lab.admin)
    assert lab.machine(vmid).name == before
    assert lab.sync().counts == {'vm': {'update': 1}}
    assert lab.machine(vmid).name == 'new-name'


def test_objects_unmanaged_in_main_are_left_unchanged_by_the_next_run_in_a_branch(synced: Lab):
    """Also where netbox-branching has nothing to sync: a decision alone is no change to it."""
    lab, pve = synced, synced.pve
    branch = lab.branch('Decided')
    one, other = sorted(guest.vmid for guest in lab.guest_rows().filter(seen_until=None))[:2]
    names = {vmid: lab.machine(vmid).name for vmid in (one, other)}
    bound = {vmid: Binding.objects.get(kind='vm', unit=lab.unit(vmid)) for vmid in (one, other)}
    machine = bound[other].object
    stop_managing_object(bound[one])
    stop_managing(ProxmoxGuest.objects.filter(vmid=other))
    pve.create(name='of-no-interest')
    lab.preview()
    ignore(ProxmoxGuest.objects.filter(name='of-no-interest'))
    branch.sync(lab.admin)
    for vmid in (one, other):
        pve.rename(vmid, f'not-wanted-{vmid}')
    run = lab.sync(branch)
    assert (run.status, run.error, run.counts.get('vm')) == ('completed', '', None)
    with lab.active(branch):
        assert Binding.objects.get(pk=bound[one].pk).unmanaged
        assert not Binding.objects.filter(unit=lab.unit(other)).exists()
    manage_again(bound[one])
    plan = lab.preview(branch)
    assert plan.counts == {'vm': {'update': 1}}
    # Also when it was decided after a plan was made.
    stop_managing_object(bound[one])
    with lab.active(branch):
        applied = SyncJob.enqueue_plan(plan, lab.admin, immediate=True)
    assert applied.changes.get().message == 'The object was set to unmanaged by a user.'
    manage_again(bound[one])
    assert lab.sync(branch).counts == plan.counts
    branch.merge(lab.admin)
    machine.refresh_from_db()
    assert (lab.machine(one).name, machine.name) == (f'not-wanted-{one}', names[other])
    stop_ignoring(ProxmoxGuest.objects.filter(ignored=True))
    lab.sync()
    lab.assert_nothing_left()
