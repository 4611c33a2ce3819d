"""Runs whose worker has died, and runs that are old."""

from datetime import timedelta
from uuid import uuid4

import pytest
from core.models import Job
from django.db import connections
from django.utils import timezone

from netbox_proxsync.jobs import AlreadyRunningError, ScheduleJob, SyncJob
from netbox_proxsync.models import SyncChange, SyncRun
from netbox_proxsync.runs.lifecycle import LOCK_CLASS, prune

from ..cases import make_change, make_endpoint, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(standin, make_endpoint):
    return make_endpoint(standin(nodes=1, vms=1, containers=0, seed=4))


@pytest.fixture
def working(endpoint):
    """Another worker holds the endpoint's lock, in a database session of its own."""
    session = connections['default'].copy()
    with session.cursor() as cursor:
        cursor.execute('SELECT pg_advisory_lock(%s, %s)', [LOCK_CLASS, endpoint.pk])
    yield session
    session.close()


def test_a_run_whose_worker_has_died_does_not_block_the_next_one(endpoint, sync):
    dead = make_run(endpoint, status='running', completed=None)
    assert sync(endpoint).status == 'completed'
    dead.refresh_from_db()
    assert dead.status == 'failed'
    assert 'terminated unexpectedly' in dead.error
    assert dead.completed


def test_that_a_worker_has_died_is_in_the_log_of_the_one_that_finds_it(endpoint, sync, caplog):
    dead = make_run(endpoint, status='running', completed=None)
    sync(endpoint)
    dead.refresh_from_db()
    logged = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert logged.count(('ERROR', f'Run {dead.pk} of {endpoint}: {dead.error}')) == 1


def test_a_run_that_is_being_worked_on_is_waited_for(endpoint, sync, working):
    running = make_run(endpoint, status='running', completed=None)
    with pytest.raises(AlreadyRunningError) as caught:
        sync(endpoint)
    assert caught.value.run == running
    running.refresh_from_db()
    assert running.status == 'running'


def test_a_job_that_finds_the_lock_taken_ends_and_reports_this(endpoint, sync, working):
    run = sync(endpoint)
    assert run.status == 'failed'
    assert 'Another run' in run.error


def test_a_queued_run_whose_job_was_deleted_is_dead_after_a_while(endpoint, sync):
    lost = make_run(endpoint, status='queued', started=None, completed=None)
    with pytest.raises(AlreadyRunningError):
        sync(endpoint)
    SyncRun.objects.filter(pk=lost.pk).update(created=timezone.now() - timedelta(minutes=5))
    assert sync(endpoint).status == 'completed'


def test_the_system_job_ends_dead_runs_and_frees_their_endpoint(endpoint):
    dead = make_run(endpoint, status='running', completed=None)
    type(endpoint).objects.update(status='syncing')
    ScheduleJob.enqueue(immediate=True)
    dead.refresh_from_db()
    endpoint.refresh_from_db()
    assert (dead.status, endpoint.status) == ('failed', 'failed')


def test_the_job_has_its_own_time_limit(endpoint, django_capture_on_commit_callbacks):
    import django_rq

    with django_capture_on_commit_callbacks(execute=True):
        run = SyncJob.enqueue_run(endpoint, None)
    queued = django_rq.get_queue('default').fetch_job(str(run.job.job_id))
    try:
        assert queued.timeout == 7200
    finally:
        queued.delete()


def test_a_job_without_its_run_fails_and_does_nothing(endpoint):
    job = SyncJob.enqueue(instance=endpoint, immediate=True, run_id=0)
    assert (Job.objects.get(pk=job.pk).status, SyncRun.objects.count()) == ('failed', 0)


def test_old_runs_go_and_the_last_one_is_retained(settings):
    plugin = settings.PLUGINS_CONFIG['netbox_proxsync']
    settings.PLUGINS_CONFIG = {'netbox_proxsync': {**plugin, 'runs_to_keep': 3, 'run_retention_days': 10}}
    endpoint = make_endpoint()
    runs = [make_run(endpoint) for _number in range(5)]
    for run in runs:
        make_change(run, 0)
    now = timezone.now()
    for age, run in enumerate(reversed(runs)):
        SyncRun.objects.filter(pk=run.pk).update(created=now - timedelta(days=6 * age))
    endpoint.last_run = runs[-1]
    endpoint.save()
    prune(endpoint)
    assert set(SyncRun.objects.all()) == set(runs[-2:])
    assert SyncChange.objects.count() == 2
    SyncRun.objects.update(created=now - timedelta(days=999))
    prune(endpoint)
    assert list(SyncRun.objects.all()) == [runs[-1]]


def job_of(run: SyncRun, **values: object) -> Job:
    job = Job.objects.create(
        name=SyncJob.name, job_id=uuid4(), status='running', started=timezone.now() - timedelta(hours=1), **values
    )
    SyncRun.objects.filter(pk=run.pk).update(job=job)
    return job


def test_the_job_of_a_run_whose_worker_has_died_ends_with_it(endpoint):
    run = make_run(endpoint, status='running', completed=None)
    job = job_of(run)
    ScheduleJob.enqueue(immediate=True)
    run.refresh_from_db()
    job.refresh_from_db()
    assert (job.status, job.error) == ('failed', run.error)
    assert job.completed
    assert job.execution_time


def test_a_job_that_was_left_when_its_run_had_ended_ends(endpoint):
    """Its worker was killed in between; or it was left by a version that did not end jobs."""
    old, lately = timezone.now() - timedelta(hours=1), timezone.now()
    left = job_of(make_run(endpoint, completed=old))
    at_work = job_of(make_run(endpoint, completed=lately))
    other = Job.objects.create(name='Other', job_id=uuid4(), status='running')
    ScheduleJob.enqueue(immediate=True)
    for job in (left, at_work, other):
        job.refresh_from_db()
    assert (left.status, 'terminated unexpectedly' in left.error) == ('failed', True)
    assert (at_work.status, other.status) == ('running', 'running')


def test_the_job_of_a_run_that_has_ended_well_is_unchanged(endpoint, sync):
    run = sync(endpoint)
    SyncRun.objects.filter(pk=run.pk).update(completed=timezone.now() - timedelta(hours=1))
    ScheduleJob.enqueue(immediate=True)
    assert Job.objects.get(pk=run.job_id).status == 'completed'
