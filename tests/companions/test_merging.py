"""A cluster is synced into a branch, and the branch is merged, synced from main, reverted, or thrown away."""

import pytest
from core.models import ObjectChange
from netbox_branching.models import ChangeDiff
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.ledger.tracking import tracked_transaction
from netbox_proxsync.models import Binding, BranchState, ProxmoxGuest

from .lab import Lab, rows


def assert_nothing_left(lab: Lab, branch=None):
    preview = lab.preview(branch)
    assert (preview.status, preview.counts, preview.error) == ('completed', {}, '')


def edit(user, instance, **values):
    """As a person does it in a form."""
    from uuid import uuid4

    with tracked_transaction(user, uuid4()):
        instance.snapshot()
        for name, value in values.items():
            setattr(instance, name, value)
        instance.full_clean()
        instance.save()


@pytest.mark.parametrize('strategy', ['iterative', 'squash'])
def test_a_merged_first_sync_is_as_if_it_had_been_done_in_main(lab: Lab, strategy):
    with lab.tried():
        direct = lab.sync()
        wanted, guests = lab.content(), lab.guests()
    branch, before = lab.branch(merge_strategy=strategy), rows()
    run = lab.sync(branch)
    assert (run.status, run.error, run.counts) == ('completed', '', direct.counts)
    assert (run.branch, run.branch_id) == ('Review', branch.schema_id)
    assert not run.changes.exclude(outcome='applied').exists()
    assert lab.content(branch) == wanted
    again = lab.sync(branch)
    assert (again.status, again.counts) == ('completed', {})
    assert rows() == before

    branch.merge(lab.admin)
    assert lab.content() == wanted
    assert lab.guests() == guests
    lab.endpoint.refresh_from_db()
    assert lab.endpoint.cluster == Cluster.objects.get()
    assert lab.endpoint.guests_read == again.started
    assert lab.endpoint.cluster_identity == run.cluster_identity
    assert_nothing_left(lab)
    # All of a run is one thing in main's change log as well.
    made = ObjectChange.objects.filter(request_id=run.request_id, action='create')
    assert made.filter(changed_object_type__model='virtualmachine').count() == run.counts['vm']['create']


def test_changes_follow_and_what_a_person_did_in_main_meanwhile_is_a_conflict(synced: Lab):
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
    assert_nothing_left(lab)


def test_what_main_has_synced_since_follows_into_the_branch(synced: Lab):
    lab, pve = synced, synced.pve
    branch = lab.branch('Behind')
    one, other = sorted(guest.vmid for guest in pve.cluster.guests.values())[:2]
    pve.rename(one, 'later')
    lab.sync()
    with lab.active(branch):
        assert VirtualMachine.objects.get(pk=lab.machine(one).pk).name != 'later'
    branch.sync(lab.admin)
    assert_nothing_left(lab, branch)
    pve.rename(one, 'still-later')
    pve.rename(other, 'also')
    assert lab.sync(branch).counts == {'vm': {'update': 2}}
    branch.merge(lab.admin)
    assert_nothing_left(lab)


def test_a_reverted_merge_leaves_nothing_that_the_next_run_would_take_for_an_edit(lab: Lab):
    branch, before = lab.branch(), rows()
    lab.sync(branch)
    branch.merge(lab.admin)
    branch.revert(lab.admin)
    assert not VirtualMachine.objects.exists()
    assert not Binding.objects.exists()
    lab.endpoint.refresh_from_db()
    assert lab.endpoint.cluster is None
    assert before['virtualization_cluster'] == []
    branch.refresh_from_db()
    assert_nothing_left(lab, branch)
    # Merged again, it is all there again.
    branch.merge(lab.admin)
    assert_nothing_left(lab)


def test_a_reverted_edit_is_made_again(synced: Lab):
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


def test_of_a_branch_that_is_thrown_away_nothing_stays_but_its_runs(lab: Lab):
    branch, before = lab.branch(), rows()
    run = lab.sync(branch)
    branch.archive(lab.admin)
    assert rows() == before
    assert not BranchState.objects.exists()
    run.refresh_from_db()
    assert (run.branch, run.status) == ('Review', 'completed')
    assert lab.sync().counts == run.counts


def test_a_failed_carrying_is_made_good_by_the_command(lab: Lab, capsys):
    from django.core.management import call_command

    branch = lab.branch()
    lab.sync(branch)
    branch.merge(lab.admin)
    # As if it had not gone well.
    Binding.objects.all().delete()
    BranchState.objects.update(carried=None)
    with pytest.raises(SystemExit):
        call_command('proxsync_check')
    assert 'Review' in capsys.readouterr().out
    with pytest.raises(SystemExit):  # no worker is there
        call_command('proxsync_check', repair=True)
    assert 'bindings of the branch' in capsys.readouterr().out
    assert_nothing_left(lab)
