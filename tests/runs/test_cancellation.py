"""Canceling a run: while it waits in the queue, and in every phase of it, carried out by a real worker process."""

import time
from collections.abc import Callable, Iterator

import django_rq
import pytest
from core.models import Job
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from users.models import User
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.ledger.settings import load_settings
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from netbox_proxsync.proxmox.errors import CanceledError
from netbox_proxsync.runs.cancellation import CancelWatch
from netbox_proxsync.runs.execution import Execution
from netbox_proxsync.runs.recorder import RunRecorder

from ..cases import make_run
from ..proxmox.servers import serving, silent

# A look each second, and what a busy machine needs besides: alone, it takes one, and up to three while it writes.
SECONDS_TO_STOP = 8
PATIENCE = 120


def until[T](found: Callable[[], T], seconds: float = PATIENCE) -> T:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def numbers_given(model: type[Model]) -> int:
    """How many rows were made so far, also by a transaction that is under way: sequences know none."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT last_value FROM {model._meta.db_table}_id_seq')
        return cursor.fetchone()[0]


class Administrator:
    """A user with a browser."""

    def __init__(self):
        self.client = Client()
        self.client.force_login(User.objects.create_superuser('alice'))

    def sync(self, endpoint: ProxmoxEndpoint) -> SyncRun:
        self.client.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_sync', args=[endpoint.pk]))
        return endpoint.runs.first()

    def cancel(self, run: SyncRun) -> float:
        """Seconds from the click until the run has ended."""
        begin = time.monotonic()
        response = self.client.post(reverse('plugins:netbox_proxsync:syncrun_cancel', args=[run.pk]))
        assert response.status_code == 302
        self.wait(run)
        return time.monotonic() - begin

    def wait(self, run: SyncRun) -> SyncRun:
        until(lambda: SyncRun.objects.get(pk=run.pk).finished)
        run.refresh_from_db()
        # The job ends after its run.
        until(lambda: run.job is None or Job.objects.get(pk=run.job_id).completed)
        return run


def make(host: str, **values) -> ProxmoxEndpoint:
    defaults = {
        'name': 'Lab',
        'hosts': [host],
        'token_id': 'netbox@pve!proxsync',
        'token_secret': 'x',
        'tls_mode': 'off',
    }
    return ProxmoxEndpoint.objects.create(**(defaults | values))


@pytest.fixture
def lab(worker, standin) -> Iterator[Callable]:
    def build(**spec):
        pve = standin(**spec)
        return pve, make(f'{pve.host}:{pve.port}', token_id=pve.token_id, token_secret=pve.token_secret)

    return build


def assert_canceled(run: SyncRun) -> None:
    assert (run.status, run.error) == ('canceled', 'Canceled by alice.')
    assert run.completed
    endpoint = ProxmoxEndpoint.objects.get()
    assert (endpoint.status, endpoint.last_run) == ('canceled', run)
    job = Job.objects.get(pk=run.job_id)
    assert (job.status, job.data['status']) == ('failed', 'canceled')


class TestRunning:
    def test_while_it_waits_for_proxmox_and_the_next_run_works(self, lab):
        pve, endpoint = lab(nodes=1, vms=12, containers=0, templates=0)
        administrator = Administrator()
        for glob in ('/version', '/cluster/resources', '/nodes/*/config'):
            pve.clear_log()
            pve.hang(glob)
            run = administrator.sync(endpoint)
            pve.wait_for(glob, timeout=PATIENCE)
            assert administrator.cancel(run) < SECONDS_TO_STOP
            pve.heal()
            run.refresh_from_db()
            assert_canceled(run)
            assert not run.changes.exists()
        assert not VirtualMachine.objects.exists()
        assert administrator.wait(administrator.sync(endpoint)).status == 'completed'
        assert VirtualMachine.objects.count() == 12
        assert ProxmoxEndpoint.objects.get().status == 'completed'

    def test_while_it_connects(self, worker):
        """The host takes the connection and does not speak."""
        with serving(silent) as server:
            endpoint = make(server.host, timeout=600)
            administrator = Administrator()
            run = administrator.sync(endpoint)
            until(lambda: server.connections)
            seconds = administrator.cancel(run)
        assert seconds < SECONDS_TO_STOP
        run.refresh_from_db()
        assert_canceled(run)

    def test_while_it_writes(self, lab):
        # More than are created in one transaction.
        _pve, endpoint = lab(nodes=2, vms=250, running=0, containers=0, templates=0)
        administrator = Administrator()
        run = administrator.sync(endpoint)
        until(lambda: numbers_given(VirtualMachine) >= 3)
        seconds = administrator.cancel(run)
        assert seconds < SECONDS_TO_STOP
        run.refresh_from_db()
        assert_canceled(run)
        planned = sum(number for actions in run.counts.values() for number in actions.values())
        outcomes = {outcome: set() for outcome in ('applied', 'canceled')}
        for change in run.changes.all():
            outcomes[change.outcome].add(change.unit)
        # Every change is reported of, and every guest is whole or not there.
        assert run.changes.count() == planned
        assert outcomes['applied']
        assert outcomes['canceled']
        assert not outcomes['applied'] & outcomes['canceled']
        assert VirtualMachine.objects.count() == run.changes.filter(kind='vm', outcome='applied').count()
        assert VMInterface.objects.count() == run.changes.filter(kind='interface', outcome='applied').count()
        guests = {guest.key: guest for guest in ProxmoxGuest.objects.all()}
        assert len(guests) == 250
        for key, guest in guests.items():
            if key in outcomes['applied']:
                assert (guest.state, guest.virtual_machine is None) == ('in-sync', False)
            else:
                assert (guest.state, guest.reason) == ('new', 'The run was canceled before this change.')
        # NetBox's jobs for its search index, behind which the next run would wait.
        django_rq.get_queue('default').empty()
        again = administrator.wait(administrator.sync(endpoint))
        assert again.status == 'completed'
        assert VirtualMachine.objects.count() == 250
        assert set(again.changes.filter(kind='vm', action='create').values_list('unit', flat=True)) == {
            unit for unit in outcomes['canceled'] if unit.startswith('qemu/')
        }


@pytest.mark.django_db
def test_while_it_plans(standin, make_endpoint):
    run = make_run(make_endpoint(standin(nodes=1, vms=1, containers=0)), status='running', completed=None)
    watch = CancelWatch(run)
    execution = Execution(run, RunRecorder(run), watch)
    inventory, settings = execution.collect(), load_settings(run.endpoint)
    desired = execution.map(inventory, settings)
    loaded = execution.load(desired, settings)
    execution.compare(desired, loaded, settings)
    watch._tell()
    for step in (
        lambda: execution.map(inventory, settings),
        lambda: execution.load(desired, settings),
        lambda: execution.compare(desired, loaded, settings),
    ):
        with pytest.raises(CanceledError):
            step()


@pytest.mark.django_db
def test_the_watcher_has_a_connection_of_its_own_and_leaves_none(standin, make_endpoint):
    def connections() -> int:
        with connection.cursor() as cursor:
            cursor.execute('SELECT pg_stat_clear_snapshot()')  # else a transaction sees the same for ever
            cursor.execute('SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()')
            return cursor.fetchone()[0]

    run = make_run(make_endpoint(standin(nodes=1, vms=0, containers=0)), status='running', completed=None)
    before = connections()
    with CancelWatch(run) as watch:
        until(lambda: connections() == before + 1)
        assert not watch.canceled()
    until(lambda: connections() == before)


@pytest.mark.django_db
class TestQueued:
    @pytest.fixture
    def endpoint(self, standin, make_endpoint):
        return make_endpoint(standin(nodes=1, vms=1, containers=0))

    @pytest.fixture
    def administrator(self):
        return Administrator()

    def test_it_never_starts_and_its_job_goes(self, endpoint, administrator, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            run = SyncJob.enqueue_run(endpoint, None)
        queue = django_rq.get_queue('default')
        task = str(run.job.job_id)
        assert task in queue.job_ids
        administrator.cancel(run)
        assert task not in queue.job_ids
        assert not Job.objects.exists()
        run.refresh_from_db()
        endpoint.refresh_from_db()
        assert (run.status, run.started, run.error) == ('canceled', None, 'Canceled by alice.')
        assert (endpoint.status, endpoint.last_run) == ('canceled', run)

    def test_a_worker_that_has_just_taken_it_finds_it_canceled(self, endpoint, administrator):
        run = make_run(endpoint, status='queued', started=None, completed=None)
        administrator.cancel(run)
        SyncJob.enqueue(instance=endpoint, immediate=True, run_id=run.pk)
        run.refresh_from_db()
        assert (run.status, run.started) == ('canceled', None)
        assert not VirtualMachine.objects.exists()

    def test_the_next_run_works(self, endpoint, administrator, sync):
        administrator.cancel(make_run(endpoint, status='queued', started=None, completed=None))
        assert sync(endpoint).status == 'completed'
        endpoint.refresh_from_db()
        assert endpoint.status == 'completed'
