"""The schedule: when endpoints are due, and what the system job starts."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import django_rq
import pytest
from core.models import Job, ObjectChange
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from virtualization.models import VirtualMachine

from netbox_proxsync.endpoints.schedule import next_slot, too_late
from netbox_proxsync.jobs import ScheduleJob, SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

from ..cases import make_endpoint, make_run

INTERVALS = st.sampled_from((1, 60, 720, 1440, 10080, 43200))
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


class TestSlots:
    @given(st.integers(1, 10**9), INTERVALS, MOMENTS)
    def test_syncs_start_once_in_every_interval_at_the_same_time(self, endpoint_id, interval, now):
        first = next_slot(endpoint_id, interval, now)
        assert now < first <= now + timedelta(minutes=interval)
        assert next_slot(endpoint_id, interval, first) - first == timedelta(minutes=interval)
        assert next_slot(endpoint_id, interval, first - timedelta(seconds=1)) == first

    @pytest.mark.parametrize('interval', [60, 1440, 10080])
    def test_endpoints_do_not_all_start_at_once(self, interval):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        minutes = {int((next_slot(pk, interval, now) - now).total_seconds() // 60) for pk in range(1, 31)}
        assert len(minutes) > 20

    def test_a_missed_quick_run_is_omitted(self):
        slot = datetime(2026, 1, 1, tzinfo=UTC)
        assert not too_late(slot, 60, slot + timedelta(minutes=59))
        assert too_late(slot, 60, slot + timedelta(minutes=60))
        # A worker that was busy for some minutes.
        assert not too_late(slot, 1, slot + timedelta(minutes=9))
        assert too_late(slot, 1, slot + timedelta(minutes=10))


def due(endpoint: ProxmoxEndpoint, ago: timedelta = timedelta(seconds=1)) -> datetime:
    slot = timezone.now() - ago
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(next_sync=slot)
    return slot


def tick() -> list[str]:
    """The system job, and its log."""
    return [entry['message'] for entry in ScheduleJob.enqueue(immediate=True).log_entries]


@pytest.mark.django_db
def test_finished_jobs_of_the_schedule_are_deleted_after_an_hour(queue):
    def finished(status: str, name: str = 'Proxmox VE sync schedule') -> Job:
        return Job.objects.create(name=name, status=status, job_id=uuid4(), queue_name='default')

    completed = [finished('completed') for _minute in range(70)]
    errored = [finished('errored') for _minute in range(3)]
    other = [finished('completed', 'Something else') for _minute in range(70)]
    tick()
    left = {*Job.objects.values_list('pk', flat=True)}
    assert {job.pk for job in (*completed[-60:], *errored, *other)} <= left
    assert not {job.pk for job in completed[:10]} & left


@pytest.fixture
def queue():
    queue = django_rq.get_queue('default')
    queue.empty()
    yield queue
    queue.empty()


@pytest.mark.django_db
class TestStarting:
    @pytest.fixture
    def endpoint(self):
        return make_endpoint(sync_interval=60)

    def test_a_new_schedule_waits_for_its_first_slot(self, endpoint):
        before = timezone.now()
        assert tick() == []
        endpoint.refresh_from_db()
        assert endpoint.next_sync == next_slot(endpoint.pk, 60, before)
        assert not endpoint.runs.exists()

    def test_a_due_sync_is_queued_once_with_its_time_limit(self, endpoint, queue, django_capture_on_commit_callbacks):
        due(endpoint)
        with django_capture_on_commit_callbacks(execute=True):
            assert len(tick()) == 1
        run = endpoint.runs.get()
        assert (run.mode, run.status, run.user) == ('sync', 'queued', None)
        assert queue.fetch_job(str(run.job.job_id)).timeout == 7200
        endpoint.refresh_from_db()
        assert timezone.now() < endpoint.next_sync <= timezone.now() + timedelta(minutes=60)
        assert tick() == []
        assert endpoint.runs.count() == 1

    def test_an_endpoint_that_is_busy_is_left_out(self, endpoint):
        run = make_run(endpoint, status='queued', started=None, completed=None)
        due(endpoint)
        assert 'left out' in tick()[0]
        assert list(endpoint.runs.all()) == [run]
        endpoint.refresh_from_db()
        assert endpoint.next_sync > timezone.now()

    def test_one_that_is_disabled_or_has_no_interval_is_not_synced(self, endpoint):
        endpoint.enabled = False
        endpoint.save()
        other = make_endpoint('Other')
        due(endpoint)
        due(other)
        assert tick() == []
        assert not SyncRun.objects.exists()

    def test_missed_turns_are_omitted(self, endpoint):
        due(endpoint, ago=timedelta(days=2))
        assert 'waits for its next turn' in tick()[0]
        endpoint.refresh_from_db()
        assert endpoint.next_sync > timezone.now()
        assert not endpoint.runs.exists()

    def test_who_changes_the_interval_or_enables_it_again_starts_again(self, endpoint):
        tick()
        endpoint.refresh_from_db()
        endpoint.sync_interval = 1440
        endpoint.save()
        assert ProxmoxEndpoint.objects.get().next_sync is None
        tick()
        assert ProxmoxEndpoint.objects.get().next_sync == next_slot(endpoint.pk, 1440, timezone.now())
        for enabled in (False, True):
            endpoint.enabled = enabled
            endpoint.save()
        assert ProxmoxEndpoint.objects.get().next_sync is None

    def test_other_edits_leave_it_alone_even_from_an_old_page(self, endpoint):
        slot = due(endpoint)
        endpoint.description = 'edited'
        endpoint.save()
        assert ProxmoxEndpoint.objects.get().next_sync == slot

    def test_it_writes_nothing_to_the_change_log(self, endpoint):
        tick()
        due(endpoint)
        tick()
        assert not ObjectChange.objects.exists()


@pytest.mark.django_db
class TestScheduleItself:
    def test_a_worker_that_starts_finds_one_that_waits(self, queue, django_capture_on_commit_callbacks):
        for _start in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                ScheduleJob.enqueue_once(interval=1)
        assert ScheduleJob.get_jobs().count() == 1

    def test_the_schedule_continues_after_a_worker_was_killed(self, queue, django_capture_on_commit_callbacks):
        running = Job.objects.create(
            name=ScheduleJob.name, interval=1, status='running', job_id='0d0e1a5c-53c5-4a55-a1a6-6f2b0f8a9c01'
        )
        lost = Job.objects.create(
            name=ScheduleJob.name, interval=1, status='scheduled', job_id='0d0e1a5c-53c5-4a55-a1a6-6f2b0f8a9c02'
        )
        with django_capture_on_commit_callbacks(execute=True):
            job = ScheduleJob.enqueue_once(interval=1)
        assert queue.fetch_job(str(job.job_id))
        for dead in (running, lost):
            dead.refresh_from_db()
            assert (dead.status, 'terminated unexpectedly' in dead.error) == ('failed', True)

    def test_the_next_job_is_scheduled_before_the_work_starts(
        self, queue, monkeypatch, django_capture_on_commit_callbacks
    ):
        """As a worker that is killed in the middle of it."""

        def killed(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr('netbox_proxsync.jobs.schedule.start_due', killed)
        job = Job.objects.create(
            name=ScheduleJob.name, interval=1, status='running', job_id='0d0e1a5c-53c5-4a55-a1a6-6f2b0f8a9c03'
        )
        with pytest.raises(KeyboardInterrupt):
            ScheduleJob(job).run()
        successor = ScheduleJob.waiting().get()
        assert timedelta(seconds=50) < successor.scheduled - timezone.now() <= timedelta(minutes=1)


@pytest.mark.django_db
class TestLeavingNothingBehind:
    @pytest.fixture
    def queued(self, queue, standin, make_endpoint, django_capture_on_commit_callbacks):
        endpoint = make_endpoint(standin(nodes=1, vms=1, containers=0, templates=0), sync_interval=60)
        due(endpoint)
        with django_capture_on_commit_callbacks(execute=True):
            tick()
        return endpoint.runs.get()

    def test_deleting_an_endpoint_takes_its_job_out_of_the_queue(
        self, queued, queue, django_capture_on_commit_callbacks
    ):
        task = str(queued.job.job_id)
        with django_capture_on_commit_callbacks(execute=True):
            queued.endpoint.delete()
        assert not Job.objects.exclude(name=ScheduleJob.name).exists()
        assert task not in queue.job_ids

    def test_a_task_that_a_worker_has_taken_already_brings_no_job_back(self, queued):
        job = queued.job
        queued.endpoint.delete()
        SyncJob.handle(job, run_id=queued.pk)
        assert not Job.objects.filter(pk=job.pk).exists()
        assert not VirtualMachine.objects.exists()

    def test_disabling_an_endpoint_cancels_what_is_queued(self, queued, queue, django_capture_on_commit_callbacks):
        task = str(queued.job.job_id)
        endpoint = ProxmoxEndpoint.objects.get()
        endpoint.enabled = False
        with django_capture_on_commit_callbacks(execute=True):
            endpoint.save()
        queued.refresh_from_db()
        assert (queued.status, queued.error, queued.job) == ('canceled', 'The endpoint was disabled.', None)
        assert task not in queue.job_ids

    def test_a_run_that_starts_after_its_endpoint_was_disabled_does_nothing(self, queued):
        ProxmoxEndpoint.objects.update(enabled=False)
        SyncJob.handle(queued.job, run_id=queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.error) == ('canceled', 'The endpoint is disabled.')
        assert not VirtualMachine.objects.exists()


@pytest.mark.django_db
def test_the_schedule_lets_no_refused_plan_through(standin, make_endpoint, sync):
    pve = standin(nodes=1, vms=12, containers=0, templates=0)
    endpoint = make_endpoint(pve, sync_interval=60)
    assert sync(endpoint).status == 'completed'
    for guest in list(pve.cluster.guests.values())[:8]:
        pve.delete(guest.vmid)
    for _time in range(2):
        due(endpoint)
        tick()
        run = endpoint.runs.get(status='queued')
        SyncJob.handle(run.job, run_id=run.pk)
        run.refresh_from_db()
        assert run.status == 'refused'
    assert not VirtualMachine.objects.filter(status='decommissioning').exists()
