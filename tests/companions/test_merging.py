"""A first sync goes into a branch, and the branch is merged, reverted, or thrown away."""

import pytest
from core.models import ObjectChange
from django.core.management import call_command
from utilities.exceptions import AbortTransaction
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.models import Binding, BranchState, SyncRun
from netbox_proxsync.runs.lifecycle import prune

from .lab import Lab, rows


@pytest.mark.parametrize('strategy', ['iterative', 'squash'])
def test_a_merged_first_sync_is_as_if_it_had_been_done_in_main(lab: Lab, strategy):
    with lab.tried():
        direct = lab.sync()
        wanted, guests = lab.content(), lab.guests()
        assert {'cluster', 'device', 'node_interface', 'vm', 'interface', 'mac', 'ip', 'disk'} == {*direct.counts}
        assert any(values.get('tags') for values in wanted.values())
        assert any(values.get('untagged_vlan') for values in wanted.values())
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
    lab.assert_nothing_left()
    # All of a run is one thing in main's change log as well.
    made = ObjectChange.objects.filter(request_id=run.request_id, action='create')
    assert made.filter(changed_object_type__model='virtualmachine').count() == run.counts['vm']['create']


def test_a_reverted_merge_leaves_nothing_that_the_next_run_would_take_for_an_edit(little: Lab):
    lab = little
    branch, before = lab.branch(), rows()
    lab.sync(branch)
    branch.merge(lab.admin)
    # Only tried, or failed.
    with pytest.raises(AbortTransaction):
        branch.revert(lab.admin, commit=False)
    assert lab.sync().counts == {}
    lab.endpoint.refresh_from_db()
    assert lab.endpoint.cluster == Cluster.objects.get()
    branch.refresh_from_db()
    branch.revert(lab.admin)
    assert not VirtualMachine.objects.exists()
    assert not Binding.objects.exists()
    lab.endpoint.refresh_from_db()
    assert lab.endpoint.cluster is None
    assert before['virtualization_cluster'] == []
    branch.refresh_from_db()
    lab.assert_nothing_left(branch)
    # Merged again, it is all there again.
    branch.merge(lab.admin)
    lab.assert_nothing_left()


def test_only_the_runs_of_a_deleted_branch_are_retained(little: Lab):
    lab = little
    branch, before = lab.branch(), rows()
    run = lab.sync(branch)
    branch.archive(lab.admin)
    assert rows() == before
    assert not BranchState.objects.exists()
    run.refresh_from_db()
    assert (run.branch, run.status) == ('Review', 'completed')
    assert lab.sync().counts == run.counts


def test_the_command_copies_bindings_that_could_not_be_copied(little: Lab, capsys):
    lab = little
    branch = lab.branch()
    lab.sync(branch)
    branch.merge(lab.admin)
    # As if it had not gone well.
    Binding.objects.all().delete()
    BranchState.objects.update(bindings_merged=None)
    with pytest.raises(SystemExit):
        call_command('proxsync_check')
    assert 'Review' in capsys.readouterr().out
    with pytest.raises(SystemExit):  # no worker is there
        call_command('proxsync_check', repair=True)
    assert 'bindings of the branch' in capsys.readouterr().out
    lab.assert_nothing_left()


def test_runs_stay_as_long_as_a_merge_or_revert_of_their_branch_needs_them(little: Lab, settings):
    """Also one for given guests of a known cluster, which remembers no more of the endpoint than that it has run."""
    plugin = settings.PLUGINS_CONFIG['netbox_proxsync']
    settings.PLUGINS_CONFIG = settings.PLUGINS_CONFIG | {'netbox_proxsync': {**plugin, 'runs_to_keep': 1}}
    lab = little
    vmid = next(guest.vmid for guest in lab.pve.cluster.guests.values())
    lab.sync(vmids=[vmid])
    branch = lab.branch()
    lab.pve.rename(vmid, 'renamed')
    seen, run = (lab.sync(branch, mode, vmids=[vmid]) for mode in ('preview', 'sync'))
    assert run.counts == {'vm': {'update': 1}}
    last = lab.preview()
    assert set(lab.endpoint.runs.all()) == {run, last}
    assert not SyncRun.objects.filter(pk=seen.pk).exists()
    branch.merge(lab.admin)
    assert Binding.objects.get(kind='vm').values['name'] == 'renamed'
    lab.assert_nothing_left()
    branch.archive(lab.admin)
    prune(lab.endpoint)
    assert not SyncRun.objects.filter(pk=run.pk).exists()
