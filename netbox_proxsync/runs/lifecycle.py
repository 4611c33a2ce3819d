"""The life cycle of runs: one at a time for each endpoint; closed, found dead, pruned."""

import logging
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial

import django_rq
from core.choices import JobStatusChoices
from core.models import Job
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django_pg_utils import advisory_lock
from netbox.plugins import get_plugin_config
from rq.job import JobStatus

from ..choices import EndpointStatusChoices, RunModeChoices, RunStatusChoices
from ..events import announce
from ..ledger.database import retried
from ..models import PlannedBinding, ProxmoxEndpoint, SyncChange, SyncRun
from ..models.branch_states import still_needed
from .log import RunLog
from .notifications import notify

__all__ = (
    'close',
    'end_dead_jobs',
    'end_leftover_jobs',
    'endpoint_lock',
    'find_dead',
    'prune',
)

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# 'prxs': the first half of the advisory locks' keys; the second is the endpoint's id.
LOCK_CLASS = 0x70727873
# The job of a run is enqueued shortly after the run is committed.
QUEUE_GRACE = timedelta(minutes=1)
# Of the quick runs of an endpoint, which may be as frequent as one per minute: those with changes, and those without.
QUICK_RUNS_KEPT = 20
UNCHANGED_QUICK_RUNS_KEPT = 1
# From the creation of a job until its end, for jobs that take seconds.
JOB_GRACE = timedelta(minutes=10)
WAITING_IN_QUEUE = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED)


def endpoint_lock(endpoint_id: int) -> AbstractContextManager[bool]:
    """
    A context manager that tries to lock an endpoint for a run, and yields whether it has got the lock.

    The lock belongs to the database session, so it is released if the worker is killed.
    """
    lock: AbstractContextManager[bool] = advisory_lock((LOCK_CLASS, endpoint_id), wait=False)
    return lock


def close(run: SyncRun, status: str, error: str = '') -> None:
    """End a run, set the status of its endpoint to that of the last run in main, and send event and notifications."""
    retried(partial(end, run, status, error), _('recording the run'))
    announce(run)
    try:
        notify(run)
    except DatabaseError:
        # A failing notification does not change how the run has ended.
        logger.exception(f'No user was notified of the end of run {run.pk}')


def end(run: SyncRun, status: str, error: str) -> None:
    """Record the end of a run."""
    SyncRun.objects.filter(pk=run.pk).update(status=status, error=error, completed=timezone.now(), phase='')
    endpoint = ProxmoxEndpoint.objects.filter(pk=run.endpoint_id)
    is_quiet = run.mode == RunModeChoices.QUICK and status in (RunStatusChoices.COMPLETED, RunStatusChoices.CANCELLED)
    last = SyncRun.objects.filter(pk__in=endpoint.values('last_run')).first() if run.branch_id or is_quiet else None
    if run.branch_id or (last and last.mode != RunModeChoices.QUICK):
        # A run in a branch does not change the status of main, and a quick run without problems not that of the last
        # full run.
        endpoint.update(status=last.status if last else EndpointStatusChoices.NEW)
    else:
        endpoint.update(status=status, last_run=run.pk)
    run.refresh_from_db()


def find_dead(runs: QuerySet[SyncRun]) -> list[SyncRun]:
    """Close runs whose worker has died, and their jobs, and return them."""
    dead = [run for run in runs.select_related('job') if is_dead(run)]
    for run in dead:
        close(
            run,
            RunStatusChoices.FAILED,
            _(
                'The worker that carried out this run has died, or its job was deleted. Guests that it had written are '
                'whole; the next run does the rest.'
            ),
        )
        RunLog(run).error(run.error)
        if run.job is not None:
            end_job(run.job, run.error)
    return dead


def end_job(job: Job, why: str) -> None:
    """End a job as failed, unless it has ended."""
    if job.status not in JobStatusChoices.TERMINAL_STATE_CHOICES:
        job.terminate(status=JobStatusChoices.STATUS_FAILED, error=why)


def end_leftover_jobs(jobs: QuerySet[Job]) -> None:
    """End the jobs of runs that have ended long ago: their worker died just before it would have done so."""
    ended = SyncRun.objects.filter(completed__lt=timezone.now() - JOB_GRACE, status__in=RunStatusChoices.FINISHED)
    open_jobs = jobs.exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES)
    for job in open_jobs.filter(pk__in=ended.order_by().values('job')):
        end_job(job, _('The worker that carried it out has died, or the queue was emptied.'))


def is_dead(run: SyncRun) -> bool:
    """Whether no worker carries out a run, or will."""
    if run.status in RunStatusChoices.WORKING:
        # Its worker would hold the lock.
        with endpoint_lock(run.endpoint_id) as acquired:
            return acquired
    if run.created > timezone.now() - QUEUE_GRACE:
        return False
    if run.job is None or run.job.status in JobStatusChoices.TERMINAL_STATE_CHOICES:
        return True
    return django_rq.get_queue(run.job.queue_name or 'default').fetch_job(str(run.job.job_id)) is None


def end_dead_jobs(jobs: QuerySet[Job]) -> None:
    """End jobs that take seconds and whose task is not in the queue any more."""
    for job in jobs.exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES):
        task = django_rq.get_queue(job.queue_name or 'default').fetch_job(str(job.job_id))
        status = task and task.get_status()
        started_lately = status == JobStatus.STARTED and job.created > timezone.now() - JOB_GRACE
        if status not in WAITING_IN_QUEUE and not started_lately:
            why = _('The worker that carried it out has died, or the queue was emptied.')
            jobs.filter(pk=job.pk).update(status=JobStatusChoices.STATUS_FAILED, error=why, completed=timezone.now())


def prune(endpoint: ProxmoxEndpoint) -> None:
    """
    Delete the runs of an endpoint that exceed the number or the age in the settings of the plugin. Of quick runs, only
    the last few are retained.

    Runs that have written into a branch that still exists are not deleted: a merge or a revert of it needs them.
    """
    finished = SyncRun.objects.filter(endpoint=endpoint, status__in=RunStatusChoices.FINISHED)
    kept = get_plugin_config('netbox_proxsync', 'runs_to_keep')
    oldest = timezone.now() - timedelta(days=get_plugin_config('netbox_proxsync', 'run_retention_days'))
    is_quick = Q(mode=RunModeChoices.QUICK)
    unchanged = Q(status=RunStatusChoices.COMPLETED, counts={})
    groups = (
        (~is_quick, kept),
        (is_quick & ~unchanged, min(kept, QUICK_RUNS_KEPT)),
        (is_quick & unchanged, UNCHANGED_QUICK_RUNS_KEPT),
    )
    newest = [pk for group, number in groups for pk in newest_of(finished.filter(group), number)]
    # The last run is displayed with the endpoint, so it is not deleted.
    endpoint.refresh_from_db(fields=['last_run'])
    old = finished.filter(~Q(pk__in=newest) | Q(created__lt=oldest)).exclude(pk=endpoint.last_run_id)
    old = old.exclude(~Q(mode=RunModeChoices.PREVIEW), branch_id__in=still_needed(endpoint))
    # Without signals, which nothing receives: one statement instead of one for each row.
    changes = SyncChange.objects.filter(run__in=list(old))
    changes._raw_delete(changes.db)
    planned = PlannedBinding.objects.filter(run__in=list(old)).order_by()
    planned._raw_delete(planned.db)
    old.delete()


def newest_of(runs: QuerySet[SyncRun], number: int) -> list[int]:
    """The newest runs (pk)."""
    return list(runs.order_by('-created').values_list('pk', flat=True)[:number])
