"""What workers do that die, and several at a time: real processes, killed by SIGKILL."""

from collections.abc import Callable

import django_rq
import pytest
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxGuest, SyncRun

from .test_cancelling import PATIENCE, Person, make, numbers_given, until


@pytest.fixture
def lab(worker, standin) -> Callable:
    def build(**spec):
        pve = standin(**spec)
        return pve, make(f'{pve.host}:{pve.port}', token_id=pve.token_id, token_secret=pve.token_secret)

    return build


def forget_other_jobs():
    """NetBox's jobs for its search index, behind which the next run would wait."""
    django_rq.get_queue('default').empty()


def assert_whole(pve):
    """Every machine that is there has all its parts."""
    for vm in VirtualMachine.objects.all():
        config = pve.cluster.guest(vm.custom_field_data['vmid']).config
        assert vm.interfaces.count() == len([key for key in config if key.startswith('net')])
        assert vm.virtualdisks.exists()


def test_a_worker_killed_while_it_reads_does_not_block_the_next_run(worker, lab):
    pve, endpoint = lab(nodes=1, vms=3, containers=0, templates=0)
    person = Person()
    pve.hang('/nodes/*/config')
    run = person.sync(endpoint)
    pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    worker.kill()
    pve.heal()
    worker.start()
    again = person.sync(endpoint)
    assert again != run
    assert person.wait(again).status == 'completed'
    run.refresh_from_db()
    assert (run.status, 'has died' in run.error) == ('failed', True)
    assert VirtualMachine.objects.count() == 3


def test_a_worker_killed_while_it_writes_leaves_whole_machines_and_the_next_run_does_the_rest(worker, lab):
    pve, endpoint = lab(nodes=2, vms=70, containers=0, templates=0)
    person = Person()
    run = person.sync(endpoint)
    # Fifty units, the cluster among them, share a transaction: the second one is under way.
    until(lambda: VirtualMachine.objects.count() >= 49 and numbers_given(VirtualMachine) >= 52)
    worker.kill()
    assert VirtualMachine.objects.count() == 49
    assert_whole(pve)
    # What the list of guests says is what was committed with them.
    assert ProxmoxGuest.objects.filter(state='in-sync', virtual_machine__isnull=False).count() == 49
    assert ProxmoxGuest.objects.filter(state='new', virtual_machine=None).count() == 21
    forget_other_jobs()
    worker.start()
    again = person.wait(person.sync(endpoint))
    assert again.status == 'completed'
    run.refresh_from_db()
    assert run.status == 'failed'
    assert VirtualMachine.objects.count() == 70
    assert Binding.objects.filter(kind='vm').count() == 70
    assert_whole(pve)
    forget_other_jobs()
    last = person.wait(person.sync(endpoint))
    assert (last.status, last.changes.count()) == ('completed', 0)


def test_two_workers_never_work_on_one_endpoint(worker, lab):
    pve, endpoint = lab(nodes=1, vms=3, containers=0, templates=0)
    worker.start()
    person = Person()
    pve.hang('/nodes/*/config')
    run = person.sync(endpoint)
    pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    # Pressed again, it shows the run that is going on.
    assert person.sync(endpoint) == run
    assert SyncRun.objects.count() == 1
    # And a job that has come into the queue all the same does nothing.
    second = SyncRun.objects.create(endpoint=endpoint, mode='sync')
    SyncJob.enqueue(instance=endpoint, run_id=second.pk)
    until(lambda: SyncRun.objects.get(pk=second.pk).finished)
    second.refresh_from_db()
    assert (second.status, second.error) == ('failed', 'Another run of this endpoint is going on.')
    assert not VirtualMachine.objects.exists()
    pve.heal()
    assert person.wait(run).status == 'completed'
    assert VirtualMachine.objects.count() == 3
