"""The background jobs: one run of one endpoint, the look for changed guests before a quick run, and the schedule."""

import logging
from collections.abc import Collection
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Never, cast

from core.choices import JobIntervalChoices, JobNotificationChoices, JobStatusChoices
from core.exceptions import JobFailed
from core.models import Job
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django_pg_utils import advisory_lock
from netbox.constants import ADVISORY_LOCK_KEYS
from netbox.jobs import JobRunner, system_job
from netbox.models.features import batch_delete_jobs
from netbox.plugins import get_plugin_config
from rq.timeouts import JobTimeoutException

from . import branching
from .choices import EndpointStatusChoices, RunModeChoices, RunStatusChoices
from .crypto import SecretError
from .endpoints.schedule import start_due, start_due_quick_runs
from .ledger.database import DatabaseBusyError, explain, reconnect, retried
from .ledger.query_cache import query_cached, query_uncached
from .models import ProxmoxEndpoint, SyncRun
from .models.runs import unit_key
from .models.users import AnyUser
from .proxmox.errors import CanceledError, ProxmoxError
from .proxmox.inventory import GuestType
from .proxmox.messages import Message, as_is
from .runs.cancellation import CancelWatch
from .runs.execution import PLACEMENT, execute
from .runs.garbage import older_objects_left_out
from .runs.lifecycle import close, end_dead_jobs, end_leftover_jobs, endpoint_lock, find_dead, prune
from .runs.log import RunLog, numbers
from .runs.maintenance import InMaintenanceError, refuse_in_maintenance
from .runs.quick import Changed, QuickExecution, find_changed
from .runs.recorder import RunRecorder
from .runs.reverting import check_revertible
from .runs.stored_plans import check_appliable, select

if TYPE_CHECKING:
    from users.models import User

__all__ = ('AlreadyRunningError', 'EndpointDeletedError', 'QuickJob', 'ScheduleJob', 'SyncJob', 'quick_run')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# Finished jobs of the schedule and of quick runs, by status: those of the last hour.
JOBS_KEPT = 60
# What every run needs, loaded with its row.
WITH_RUN = ('user', 'applies', 'reverts', 'endpoint', *(f'endpoint__{name}' for name in PLACEMENT))
GUEST_UNITS = tuple(f'{guest_type}/' for guest_type in GuestType)


class AlreadyRunningError(Exception):
    """An endpoint has a run that is queued or running: `run`."""

    def __init__(self, run: SyncRun) -> None:
        super().__init__(Message('{endpoint} has a run that is not finished yet.', endpoint=run.endpoint))
        self.run = run


class EndpointDeletedError(Http404):
    """The endpoint was deleted since it was looked up; pages and the API respond as for other missing objects."""

    def __init__(self) -> None:
        super().__init__(Message('The endpoint was deleted.'))


def sorted_vmids(vmids: Collection[int] | None) -> list[int] | None:
    """VM IDs as they are stored and displayed: sorted and without duplicates."""
    return None if vmids is None else sorted(set(vmids))


class EndpointJob(JobRunner):
    """A job about one endpoint."""

    @classmethod
    def handle(cls, job: Job, *args: Any, **kwargs: Any) -> None:
        """As NetBox does; the job of an endpoint that was deleted meanwhile is deleted as well."""
        with query_cached():
            super().handle(job, *args, **kwargs)
        # A job with data has recorded the end of its run a moment ago, so its endpoint exists.
        if job.data is None and not ProxmoxEndpoint.objects.filter(pk=job.object_id).exists():
            # The row was deleted with the endpoint, and ending the job has inserted it again.
            Job.objects.filter(pk=job.pk).delete()


class SyncJob(EndpointJob):
    """One preview or sync of one endpoint."""

    # None: the run has not been started.
    log: RunLog | None = None

    class Meta:
        name = 'Proxmox VE sync'

    @classmethod
    def enqueue_run(
        cls,
        endpoint: ProxmoxEndpoint,
        user: AnyUser | None,
        mode: str = RunModeChoices.SYNC,
        immediate: bool = False,
        vmids: Collection[int] | None = None,
        **values: Any,
    ) -> SyncRun:
        """
        Create a run of an endpoint in the active branch, and enqueue its job.

        Args:
            user: The user who starts it; None: the schedule or a command does.
            vmids: The guests that the run is for; None: all, and the cluster and its nodes.
            immediate: Carry it out now, in this process, instead.
            values: More columns of the run.

        Raises:
            AlreadyRunningError: The endpoint has a run that is queued or running.
            EndpointDeletedError: The endpoint was deleted.
            InMaintenanceError: NetBox is in maintenance mode.
        """
        refuse_in_maintenance()
        # Before the lock as well: a run that writes may lock the row of the endpoint for long.
        cls.refuse_second(endpoint)
        with transaction.atomic():
            # If two users start a run at once, the second one waits here, and finds the run of the first one.
            if not ProxmoxEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint.pk).first():
                raise EndpointDeletedError
            cls.refuse_second(endpoint)
            branch = branching.active()
            run = SyncRun.objects.create(
                endpoint=endpoint,
                # Permissions are checked before, so this is not an anonymous user.
                user=cast('User | None', user),
                mode=mode,
                vmids=sorted_vmids(vmids),
                branch_id=branch.schema_id,
                branch=branch.name,
                **values,
            )
            ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(status=EndpointStatusChoices.QUEUED)
        job = cls.enqueue(
            instance=endpoint,
            user=user,
            immediate=immediate,
            # NetBox's default of five minutes is too short for a first sync of a large cluster.
            job_timeout=get_plugin_config('netbox_proxsync', 'job_timeout'),
            # `runs.notifications` notifies users of the end of the run.
            notifications=JobNotificationChoices.NOTIFICATION_NEVER,
            run_id=run.pk,
        )
        SyncRun.objects.filter(pk=run.pk).update(job=job)
        run.refresh_from_db()
        return run

    @classmethod
    def enqueue_plan(
        cls,
        source: SyncRun,
        user: AnyUser | None,
        units: Collection[str] | None = None,
        immediate: bool = False,
        *,
        except_units: Collection[str] | None = None,
        actions: Collection[str] | None = None,
    ) -> SyncRun:
        """
        Create a run that applies the plan of an earlier one, and enqueue its job.

        Args:
            source: The run that has made the plan.
            units, except_units, actions: The part of the plan, as for `select`; None: all of it that remains.

        Raises:
            AlreadyRunningError: The endpoint has a run that is queued or running.
            EndpointDeletedError: The endpoint was deleted.
            InMaintenanceError: NetBox is in maintenance mode.
            PlanNotApplicableError: The plan was applied already, or is too old; or it has no such part, as far as the
                user may view it.
        """
        check_appliable(source)
        selection = select(source, user, units, except_units, actions)
        check_appliable(source, selection)
        return cls.enqueue_run(
            source.endpoint,
            user,
            mode=RunModeChoices.APPLY,
            immediate=immediate,
            applies=source,
            units=None if selection.units is None else sorted(selection.units, key=unit_key),
            actions=None if selection.actions is None else sorted(selection.actions),
        )

    @classmethod
    def enqueue_revert(cls, source: SyncRun, user: AnyUser | None, immediate: bool = False) -> SyncRun:
        """
        Create a run that plans how to undo an earlier one, and enqueue its job. Its plan can be applied like a preview.

        Raises:
            AlreadyRunningError: The endpoint has a run that is queued or running.
            EndpointDeletedError: The endpoint was deleted.
            InMaintenanceError: NetBox is in maintenance mode.
            PlanNotApplicableError: The run cannot be reverted.
        """
        check_revertible(source)
        return cls.enqueue_run(source.endpoint, user, mode=RunModeChoices.REVERT, immediate=immediate, reverts=source)

    @staticmethod
    def refuse_second(endpoint: ProxmoxEndpoint) -> None:
        """
        Raises:
            AlreadyRunningError: The endpoint has a run that is queued or running.
        """
        find_dead(endpoint.runs.active())
        if run := endpoint.runs.active().first():
            raise AlreadyRunningError(run)

    def run(self, run_id: int, **kwargs: Any) -> None:
        """Carry out a run, unless it was canceled, its endpoint is disabled, or NetBox is in maintenance mode."""
        runs = SyncRun.objects.select_related(*WITH_RUN).filter(pk=run_id)
        run = retried(runs.first, Message('reading runs'))
        if run is not None and run.status == RunStatusChoices.CANCELED:
            self.logger.info(run.error)
            return
        if run is None or run.status in RunStatusChoices.FINISHED:
            self.fail(Message('The run of this job was deleted, or ended without it.'))
        if not run.endpoint.enabled:
            close(run, RunStatusChoices.CANCELED, Message('The endpoint is disabled.'))
            self.logger.info(run.error)
            return
        try:
            # Previews as well: they write their plan and the list of guests.
            refuse_in_maintenance()
        except InMaintenanceError as problem:
            close(run, RunStatusChoices.CANCELED, as_is(str(problem)))
            self.logger.info(run.error)
            return
        with endpoint_lock(run.endpoint_id) as acquired:
            if not acquired:
                close(run, RunStatusChoices.FAILED, Message('Another run of this endpoint is in progress.'))
                self.fail(run.error)
            self.carry_out(run)
        try:
            retried(partial(prune, run.endpoint), Message('deleting old runs'))
        except DatabaseBusyError as problem:
            # The end of the next run does it.
            self.logger.warning(str(problem))

    def carry_out(self, run: SyncRun) -> None:
        """Carry out a run and close it, however it ends. It must hold the lock of the endpoint."""
        self.log = RunLog(run, self.job)
        recorder = RunRecorder(run, self.log)
        if not recorder.start():
            return
        self.log.info(f'{run.get_mode_display()} started')

        def end(status: str, error: Message) -> None:
            close(run, status, error, recorder.saved, recorder.saved_of_endpoint)

        try:
            with query_uncached(), CancelWatch(run, recorder.flush) as watch, branching.within(run.branch_id):
                steps = QuickExecution if run.mode == RunModeChoices.QUICK else None
                with older_objects_left_out():
                    ending = execute(run, recorder, watch, steps)
        except CanceledError:
            if not SyncRun.objects.filter(pk=run.pk).exists():
                self.fail(Message('The run was deleted while it was in progress.'))
            run.refresh_from_db(fields=['error', 'error_source'])
            end(RunStatusChoices.CANCELED, run.error_message)
            self.report(run)
            # NetBox's jobs have no status for a job that a user has canceled.
            self.fail(run.error)
        except (ProxmoxError, SecretError, branching.BranchUnusableError, DatabaseBusyError) as problem:
            end(RunStatusChoices.FAILED, as_is(str(problem)))
            self.report(run)
            self.fail(str(problem))
        except JobTimeoutException:
            close(
                run,
                RunStatusChoices.FAILED,
                Message('The run took longer than the plugin setting "job_timeout" allows.'),
                recorder.saved,
            )
            self.log.error(run.error)
            raise
        except (DatabaseError, InterfaceError) as problem:
            logger.exception(f'Run {run.pk} was ended by the database')
            reconnect()
            end(RunStatusChoices.FAILED, explain(problem))
            self.report(run)
            self.fail(run.error)
        except Exception as problem:
            end(RunStatusChoices.FAILED, as_is(f'{type(problem).__name__}: {problem}'))
            self.log.error(run.error)
            raise
        end(ending.status, ending.reason)
        self.report(run)
        if ending.status == RunStatusChoices.FAILED:
            self.fail(ending.reason)
        log = self.log.info if ending.status == RunStatusChoices.COMPLETED else self.log.warning
        log(f'{run.get_status_display()}. {ending.reason}'.strip())

    def report(self, run: SyncRun) -> None:
        """
        Fill the data and the log of the job, which NetBox's page of the job shows.

        Users who may view jobs may not be allowed to view every guest, so warnings about single guests are on the page
        of the run only.
        """
        run_log = self.log or RunLog(run, self.job)
        of_guests = [message for message in run.messages if message['subject'].startswith(GUEST_UNITS)]
        for message in run.messages:
            if message not in of_guests:
                log = run_log.info if message['level'] == 'info' else run_log.warning
                log(f'{message["subject"]}: {message["message"]} {message["remedy"]}'.strip())
        if of_guests:
            run_log.warning(f'{len(of_guests)} more about single guests, on the page of run {run.pk}')
        for kind, actions in run.counts.items():
            run_log.info(f'{kind}: {numbers(actions)}')
        self.job.data = {
            'run': run.pk,
            'endpoint': str(run.endpoint),
            'branch': run.branch,
            'mode': run.mode,
            'status': run.status,
            'counts': run.counts,
            'timings': run.timings,
            'calls': run.calls,
            'error': run.error,
        }

    def fail(self, message: str) -> Never:
        """End the job as failed."""
        (self.log or self.logger).error(message)
        self.job.error = message
        raise JobFailed(message)


def quick_run(endpoint: ProxmoxEndpoint, immediate: bool = False) -> tuple[Changed, SyncRun | None]:
    """
    Look at the list of guests of an endpoint, and enqueue a run for the guests whose entry has changed.

    Args:
        immediate: Carry out the run now, in this process, instead.

    Returns:
        What was found, and the run; None: there is nothing to synchronize.

    Raises:
        AlreadyRunningError: The endpoint has a run that is queued or running.
        EndpointDeletedError: The endpoint was deleted.
        InMaintenanceError: NetBox is in maintenance mode.
        ProxmoxError, SecretError: The list could not be read.
    """
    refuse_in_maintenance()
    SyncJob.refuse_second(endpoint)
    found = find_changed(endpoint)
    if not found.vmids:
        return found, None
    return found, SyncJob.enqueue_run(
        endpoint, user=None, mode=RunModeChoices.QUICK, immediate=immediate, vmids=found.vmids
    )


class QuickJob(EndpointJob):
    """
    Looks at the list of guests of one endpoint. Only if guests have changed, a run is created: most looks find nothing,
    and users who start a sync meanwhile do not have to wait.
    """

    class Meta:
        name = 'Proxmox VE quick run'

    @classmethod
    def enqueue_look(cls, endpoint: ProxmoxEndpoint) -> Job | None:
        """Enqueue the job, unless that of the previous slot has not ended yet, because all workers are busy."""
        if cls.get_jobs(endpoint).exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES).exists():
            return None
        job: Job = cls.enqueue(instance=endpoint, notifications=JobNotificationChoices.NOTIFICATION_NEVER)
        return job

    def run(self, **kwargs: Any) -> None:
        """Look at the list. Problems are logged only: the next sync reports them."""
        endpoint = ProxmoxEndpoint.objects.filter(pk=self.job.object_id, enabled=True).first()
        if endpoint is None:
            self.logger.info(Message('The endpoint is disabled.'))
            return
        try:
            found, run = quick_run(endpoint)
        except (AlreadyRunningError, EndpointDeletedError, InMaintenanceError) as error:
            self.logger.info(str(error))
        except (ProxmoxError, SecretError) as error:
            self.logger.warning(str(error))
        else:
            self.logger.info(found.reason or f'Changed guests: {len(found.vmids)} of {found.guests}')
            if run is not None:
                self.logger.info(f'Run {run.pk} is queued')


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
