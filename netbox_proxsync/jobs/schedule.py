"""The background job that starts scheduled syncs and quick runs."""

from datetime import timedelta
from typing import Any

from core.choices import JobIntervalChoices, JobStatusChoices
from core.models import Job
from django.db.models import QuerySet
from django.utils import timezone
from django_pg_utils import advisory_lock
from netbox.constants import ADVISORY_LOCK_KEYS
from netbox.jobs import JobRunner, system_job
from netbox.models.features import batch_delete_jobs

from ..endpoints.schedule import start_due, start_due_quick_runs
from ..models import ProxmoxEndpoint, SyncRun
from ..runs.lifecycle import end_dead_jobs, end_leftover_jobs, find_dead
from ..runs.maintenance import InMaintenanceError, refuse_in_maintenance
from .quick import QuickJob
from .sync import AlreadyRunningError, EndpointDeletedError, SyncJob

__all__ = ('ScheduleJob',)

# Finished jobs of the schedule and of quick runs, by status: those of the last hour.
JOBS_KEPT = 60


@system_job(interval=JobIntervalChoices.INTERVAL_MINUTELY)
class ScheduleJob(JobRunner):
    """
    Ends runs whose worker has died, so that their endpoints are not busy for ever, and starts syncs and quick runs that
    are due.
    """

    class Meta:
        name = 'Proxmox VE sync schedule'

    @classmethod
    def enqueue_once(cls, interval: int, **kwargs: Any) -> Job:
        """
        Enqueue the job of the schedule unless one is waiting, as NetBox does when a worker starts.

        Jobs of killed workers are ended first: NetBox would take them for enqueued, and the schedule would stop.
        """
        with advisory_lock(ADVISORY_LOCK_KEYS['job-schedules']):
            end_dead_jobs(cls.get_jobs())
            return cls.waiting().first() or cls.enqueue(interval=interval, **kwargs)

    @classmethod
    def waiting(cls) -> QuerySet[Job]:
        """The jobs of the schedule that are waiting to run."""
        # Not running ones, which enqueue the next one themselves.
        jobs: QuerySet[Job] = cls.get_jobs().filter(
            interval__isnull=False, status__in=(JobStatusChoices.STATUS_PENDING, JobStatusChoices.STATUS_SCHEDULED)
        )
        return jobs

    def run(self, **kwargs: Any) -> None:
        """End dead runs, and start the syncs and quick runs that are due."""
        if self.job.interval:
            # Before the work, not after it as NetBox does: if the worker is killed, the schedule continues.
            self.enqueue_next(self.job.interval)
        try:
            refuse_in_maintenance()
        except InMaintenanceError as problem:
            self.logger.info(str(problem))
            return
        end_leftover_jobs(SyncJob.get_jobs())
        for run in find_dead(SyncRun.objects.active()):
            self.logger.warning(f'{run.endpoint}: run {run.pk} had died')
        end_dead_jobs(QuickJob.get_jobs())
        # Syncs first: an endpoint whose sync was started has no quick run.
        start_due(timezone.now(), self.start, self.missed)
        start_due_quick_runs(timezone.now(), self.start_quick_run)
        self.delete_old_jobs()

    def delete_old_jobs(self) -> None:
        """Keep NetBox's list of jobs short: every minute adds one of the schedule, and those of quick runs."""
        for jobs in (self.get_jobs(), QuickJob.get_jobs()):
            for status in JobStatusChoices.TERMINAL_STATE_CHOICES:
                ended = jobs.filter(status=status)
                kept = list(ended.order_by('-pk').values_list('pk', flat=True)[:JOBS_KEPT])
                batch_delete_jobs(ended.exclude(pk__in=kept))

    def enqueue_next(self, interval: int) -> None:
        """Enqueue the next job of the schedule; `interval` is in minutes."""
        with advisory_lock(ADVISORY_LOCK_KEYS['job-schedules']):
            if not self.waiting().exists():
                self.enqueue(schedule_at=timezone.now() + timedelta(minutes=interval), interval=interval)

    def start(self, endpoint: ProxmoxEndpoint) -> None:
        """Start a sync that is due."""
        try:
            run = SyncJob.enqueue_run(endpoint, user=None)
            self.logger.info(f'{endpoint}: run {run.pk} is queued')
        except AlreadyRunningError as error:
            self.logger.info(f'{endpoint}: left out, run {error.run.pk} is not finished yet')
        except EndpointDeletedError as error:
            self.logger.info(f'{endpoint}: left out. {error}')

    def missed(self, endpoint: ProxmoxEndpoint) -> None:
        """Log a sync that was missed."""
        self.logger.warning(f'{endpoint}: no worker was there when it was due; it waits for its next turn')

    def start_quick_run(self, endpoint: ProxmoxEndpoint) -> None:
        """Start a quick run that is due."""
        if QuickJob.enqueue_look(endpoint) is None:
            self.logger.info(f'{endpoint}: quick run left out, the previous one has not ended yet')
