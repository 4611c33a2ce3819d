import json
from functools import partial

import pytest
from core.models import Job
from django.core.management import CommandError, call_command
from django.db.models.signals import post_save
from virtualization.models import VirtualMachine

from netbox_proxsync.management.commands.proxsync_sync import Command
from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

from ..cases import run_command

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(standin, make_endpoint):
    return make_endpoint(standin(nodes=1, vms=2, containers=1, seed=2))


command = partial(run_command, 'proxsync_sync')


def test_preview_reports_that_changes_are_pending_and_writes_nothing(endpoint):
    status, text = command('Lab', '--preview')
    assert status == 2
    assert 'create   vm' in text
    assert not VirtualMachine.objects.exists()


def test_sync_writes_and_then_there_is_nothing_to_do(endpoint):
    assert command('Lab')[0] == 0
    assert VirtualMachine.objects.count() == 3
    status, text = command('Lab', '--preview')
    assert status == 0
    assert ', 0 changes,' in text


def test_an_endpoint_may_be_named_by_its_id(endpoint):
    assert command(str(endpoint.pk), '--preview')[0] == 2


def test_json_is_one_line_for_each_change_and_one_for_the_run(endpoint):
    status, text = command('Lab', '--preview', '--json')
    *changes, last = [json.loads(line) for line in text.splitlines() if line.startswith('{')]
    assert (status, last['result']['status'], last['result']['mode']) == (2, 'completed', 'preview')
    assert {line['change']['action'] for line in changes} == {'create'}
    assert {line['endpoint'] for line in [*changes, last]} == {'Lab'}
    assert last['result']['counts']['vm'] == {'create': 3}
    assert endpoint.token_secret.reveal() not in text


def test_all_endpoints_one_of_which_cannot_be_reached(endpoint, standin, make_endpoint):
    other = make_endpoint(standin(nodes=1, vms=1, containers=0, seed=9, name='other'), name='Other')
    make_endpoint(standin(nodes=1, vms=1, containers=0, seed=10), name='Off', enabled=False)
    gone = make_endpoint(standin(nodes=1, vms=1, containers=0, seed=11), name='Gone', token_secret='wrong')
    assert command('--all')[0] == 1
    assert {run.endpoint.name: run.status for run in SyncRun.objects.all()} == {
        'Lab': 'completed', 'Other': 'completed', 'Gone': 'failed',
    }  # fmt: skip
    gone.delete()
    command('Lab', 'Other', '--preview')
    assert other.runs.count() == 2


@pytest.mark.parametrize(
    'arguments',
    [
        (), ('--all', 'Lab'), ('--all', '--accept', '1'), ('Lab', 'Lab', '--accept', '1'), ('--all', '--vmid', '100'),
        ('Lab', '--vmid', '100', '--accept', '1'), ('Lab', '--vmid', 'web'), ('Lab', '--vmid', '7'),
        ('Lab', '--vmid', '-100'),
        ('Lab', '--vmid', '1000000000'), ('Lab', '--accept', 'last'), ('Lab', '--nonsense'),
        ('Lab', *(f'--vmid={vmid}' for vmid in range(100, 10_101))),
    ],
)  # fmt: skip
def test_contradictory_arguments_are_rejected(endpoint, arguments):
    with pytest.raises(CommandError) as caught:
        call_command('proxsync_sync', *arguments)
    assert caught.value.returncode == 1
    assert not endpoint.runs.exists()


def test_given_guests_only(endpoint):
    vmid = 100
    assert command('Lab', '--vmid', str(vmid))[0] == 0
    assert [vm.custom_field_data['vmid'] for vm in VirtualMachine.objects.all()] == [vmid]
    assert SyncRun.objects.get().vmids == [vmid]


def test_a_guest_that_proxmox_does_not_have(endpoint):
    status, text = command('Lab', '--vmid', '999', '--json')
    assert status == 1
    result = json.loads(text.splitlines()[-1])['result']
    assert (result['status'], result['error']) == ('failed', 'Proxmox VE has none of these guests: 999.')


def test_invalid_arguments_do_not_have_the_exit_status_of_pending_changes(endpoint, capsys):
    for arguments in (['--nonsense'], ['Lab', '--vmid', 'web'], ['Lab', '--preview', '--accept', '1']):
        with pytest.raises(SystemExit) as stop:
            Command().run_from_argv(['netbox', 'proxsync_sync', *arguments])
        assert stop.value.code == 1
    assert '"web" is not a VM ID (100 to 999999999).' in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        Command().run_from_argv(['netbox', 'proxsync_sync', '--help'])
    assert stop.value.code == 0


def test_an_endpoint_that_is_deleted_while_it_waits_for_its_turn(endpoint, standin, make_endpoint):
    make_endpoint(standin(nodes=1, vms=1, containers=0, seed=9, name='other'), name='Other')

    def delete(**kwargs: object):
        ProxmoxEndpoint.objects.filter(name='Other').delete()

    post_save.connect(delete, sender=Job)
    try:
        status, text = command('Lab', 'Other')
    finally:
        post_save.disconnect(delete, sender=Job)
    assert (status, SyncRun.objects.get().status) == (1, 'completed')
    assert 'Other: The endpoint was deleted.' in text


def test_a_refused_run_is_let_through(endpoint, standin, make_endpoint):
    pve = standin(nodes=1, vms=12, containers=0, templates=0, seed=5, name='big')
    make_endpoint(pve, name='Big')
    assert command('Big')[0] == 0
    for guest in list(pve.cluster.guests.values())[:8]:
        pve.delete(guest.vmid)
    assert command('Big')[0] == 1
    refused = SyncRun.objects.get(status='refused')
    with pytest.raises(CommandError, match=f'The last one is {refused.pk}'):
        call_command('proxsync_sync', 'Big', '--accept', '999999')
    assert command('Big', '--accept', str(refused.pk))[0] == 0
    assert VirtualMachine.objects.filter(status='decommissioning').count() == 8


def test_a_disabled_endpoint_is_not_synced(endpoint):
    endpoint.enabled = False
    endpoint.save()
    with pytest.raises(CommandError, match='disabled'):
        call_command('proxsync_sync', 'Lab')
    assert not endpoint.runs.exists()


def test_an_unknown_endpoint_is_reported_with_those_that_there_are(endpoint):
    with pytest.raises(CommandError, match='There are: "Lab"') as caught:
        call_command('proxsync_sync', 'Nonsense')
    assert caught.value.returncode == 1


def test_without_netbox_branching_there_are_no_branches(endpoint):
    with pytest.raises(CommandError, match='There are no branches: netbox-branching is not installed'):
        command('Lab', '--branch', 'Review')
    assert not SyncRun.objects.exists()
