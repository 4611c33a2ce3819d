"""What workers do that die, and several at a time: real processes, killed by SIGKILL."""

from collections.abc import Callable

import django_rq
import pytest
from core.models import Job
from django.utils import timezone
from rq import Worker
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import ScheduleJob, SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncRun
from netbox_proxsync.runs.lifecycle import is_dead

from ..conftest import Workers
from .test_cancellation import PATIENCE, Administrator, make, numbers_given, until


@pytest.fixture
def lab(worker, standin) -> Callable:
    def build(**spec):
        pve = standin(**spec)
        return pve, make(f'{pve.host}:{pve.port}', token_id=pve.token_id, token_secret=pve.token_secret)

    return build


def forget_other_jobs():
    """NetBox's jobs for its search index, behind which the next run would wait."""
    django_rq.get_queue('default').empty()


def kill(worker: Workers, run: SyncRun):
    """Kill the workers, and wait for PostgreSQL to notice, which ends their session and with it the lock of the run."""
    worker.kill()
    run.refresh_from_db()
    until(lambda: is_dead(run))


def assert_whole(pve):
    """Every machine that is there has all its parts."""
    for vm in VirtualMachine.objects.all():
        config = pve.cluster.guest(vm.custom_field_data['vmid']).config
        assert vm.interfaces.count() == len([key for key in config if key.startswith('net')])
        assert vm.virtualdisks.exists()


def test_a_worker_killed_while_it_reads_does_not_block_the_next_run(worker, lab):
    pve, endpoint = lab(nodes=1, vms=3, containers=0, templates=0)
    administrator = Administrator()
    pve.hang('/nodes/*/config')
    run = administrator.sync(endpoint)
    pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    kill(worker, run)
    pve.heal()
    worker.start()
    again = administrator.sync(endpoint)
    assert again != run
    assert administrator.wait(again).status == 'completed'
    run.refresh_from_db()
    assert (run.status, 'terminated unexpectedly' in run.error) == ('failed', True)
    # NetBox's own list of jobs says so, too.
    assert (run.job.status, run.job.error) == ('failed', run.error)
    assert run.job.completed
    assert VirtualMachine.objects.count() == 3


def test_a_worker_killed_while_it_writes_leaves_whole_machines_and_the_next_run_does_the_rest(worker, lab):
    pve, endpoint = lab(nodes=2, vms=400, running=0, containers=0, templates=0)
    administrator = Administrator()
    run = administrator.sync(endpoint)
    # Two hundred units, the cluster among them, share a transaction: the second one is under way.
    until(lambda: VirtualMachine.objects.count() >= 199 and numbers_given(VirtualMachine) > 199)
    kill(worker, run)
    assert VirtualMachine.objects.count() == 199
    assert_whole(pve)
    # What the list of guests says is what was committed with them.
    assert ProxmoxGuest.objects.filter(state='in-sync', virtual_machine__isnull=False).count() == 199
    assert ProxmoxGuest.objects.filter(state='new', virtual_machine=None).count() == 201
    forget_other_jobs()
    worker.start()
    again = administrator.wait(administrator.sync(endpoint))
    assert again.status == 'completed'
    run.refresh_from_db()
    assert run.status == 'failed'
    assert VirtualMachine.objects.count() == 400
    assert Binding.objects.filter(kind='vm').count() == 400
    assert_whole(pve)
    forget_other_jobs()
    last = administrator.wait(administrator.sync(endpoint))
    assert (last.status, last.changes.count()) == ('completed', 0)


def test_two_workers_never_work_on_one_endpoint(worker, lab):
    pve, endpoint = lab(nodes=1, vms=3, containers=0, templates=0)
    worker.start()
    administrator = Administrator()
    pve.hang('/nodes/*/config')
    run = administrator.sync(endpoint)
    pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    # Pressed again, it shows the run that is going on.
    assert administrator.sync(endpoint) == run
    assert SyncRun.objects.count() == 1
    # And a job that has come into the queue all the same does nothing.
    second = SyncRun.objects.create(endpoint=endpoint, mode='sync')
    SyncJob.enqueue(instance=endpoint, run_id=second.pk)
    until(lambda: SyncRun.objects.get(pk=second.pk).finished)
    second.refresh_from_db()
    assert (second.status, second.error) == ('failed', 'Another run of this endpoint is in progress.')
    assert not VirtualMachine.objects.exists()
    pve.heal()
    assert administrator.wait(run).status == 'completed'
    assert VirtualMachine.objects.count() == 3


def test_the_schedule_runs_several_endpoints_on_several_workers_one_of_which_is_killed(worker, standin):
    """Each endpoint is synced by one worker, at the same time; the killed one's is taken up again at its next turn."""
    labs = {}
    for number in range(3):
        pve = standin(nodes=1, vms=3, running=0, containers=0, templates=0, name=f'lab{number}', seed=number + 1)
        # No addresses: the same ones would be in all three, and the runs would race for them.
        for guest in pve.cluster.guests.values():
            guest.config.pop('ipconfig0', None)
        pve.hang('/nodes/*/config')
        token = {'token_id': pve.token_id, 'token_secret': pve.token_secret}
        labs[make(f'{pve.host}:{pve.port}', name=f'Lab {number}', sync_interval=60, **token)] = pve
    worker.start()
    worker.start()
    tick(*labs)
    for pve in labs.values():
        pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    runs = list(SyncRun.objects.order_by('pk'))
    assert sorted(run.endpoint.name for run in runs) == ['Lab 0', 'Lab 1', 'Lab 2']
    assert all(run.user is None for run in runs)
    carriers = {worker_of(run, worker): run for run in runs}
    assert set(carriers) == {'worker-0', 'worker-1', 'worker-2'}
    lost = carriers['worker-2']
    worker.kill('worker-2')
    for pve in labs.values():
        pve.heal()
    until(lambda: SyncRun.objects.filter(status='completed').count() == 2)
    assert VirtualMachine.objects.count() == 6
    tick(lost.endpoint)
    until(lambda: lost.endpoint.runs.filter(status='completed').exists())
    lost.refresh_from_db()
    assert (lost.status, 'terminated unexpectedly' in lost.error) == ('failed', True)
    assert VirtualMachine.objects.count() == 9
    assert SyncRun.objects.count() == 4


def test_deleting_an_endpoint_stops_its_run_and_leaves_no_job(worker, lab):
    pve, endpoint = lab(nodes=1, vms=3, containers=0, templates=0)
    pve.hang('/nodes/*/config')
    run = Administrator().sync(endpoint)
    pve.wait_for('/nodes/*/config', timeout=PATIENCE)
    task = str(run.job.job_id)
    endpoint.delete()
    until(lambda: django_rq.get_queue('default').fetch_job(task).is_finished)
    assert not Job.objects.filter(name=SyncJob.name).exists()
    assert not VirtualMachine.objects.exists()


def tick(*endpoints: ProxmoxEndpoint):
    """The turn of these endpoints comes, and the schedule looks."""
    ProxmoxEndpoint.objects.filter(pk__in=[endpoint.pk for endpoint in endpoints]).update(next_sync=timezone.now())
    ScheduleJob.enqueue()


def worker_of(run: SyncRun, workers: Workers) -> str:
    """The name of the worker that carries out a run."""
    tasks = {rq.pid: rq.get_current_job_id() for rq in Worker.all(django_rq.get_connection('default'))}
    return next(name for name in workers.names if tasks.get(workers.pid(name)) == str(run.job.job_id))
