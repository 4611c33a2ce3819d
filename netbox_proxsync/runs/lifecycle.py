"""The life cycle of runs: one at a time for each endpoint; closed, found dead, pruned."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any

import django_rq
from core.choices import JobStatusChoices
from core.models import Job
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_pg_utils import advisory_lock
from netbox.plugins import get_plugin_config
from rq.job import JobStatus

from ..choices import EndpointStatusChoices, RunModeChoices, RunStatusChoices
from ..events import announce
from ..ledger.database import retried
from ..models import ProxmoxEndpoint, SyncRun
from ..models.branch_states import still_needed
from ..proxmox.messages import EMPTY, Message
from ..wording import columns_of
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


def close(
    run: SyncRun,
    status: str,
    error: Message = EMPTY,
    values: Mapping[str, Any] | None = None,
    endpoint_values: Mapping[str, Any] | None = None,
) -> None:
    """
    End a run, set the status of its endpoint to that of the last run in main, and send event and notifications.

    Args:
        values: Further columns of the run.
        endpoint_values: Further columns of its endpoint.
    """
    ended = {**(values or {}), 'status': status, **columns_of(error=error), 'phase': ''}
    retried(partial(end, run, ended, endpoint_values or {}), Message('recording the run'))
    announce(run)
    try:
        notify(run)
    except DatabaseError:
        # A failing notification does not change how the run has ended.
        logger.exception(f'No user was notified of the end of run {run.pk}')


def end(run: SyncRun, values: Mapping[str, Any], endpoint_values: Mapping[str, Any]) -> None:
    """
    Record the end of a run.

    Raises:
        SyncRun.DoesNotExist: The run was deleted.
    """
    values = {**values, 'completed': timezone.now()}
    if not SyncRun.objects.filter(pk=run.pk).update(**values):
        raise SyncRun.DoesNotExist(Message('The run was deleted while it was in progress.'))
    for name, value in values.items():
        setattr(run, name, value)
    endpoint, status = ProxmoxEndpoint.objects.filter(pk=run.endpoint_id), values['status']
    is_quiet = run.mode == RunModeChoices.QUICK and status in (RunStatusChoices.COMPLETED, RunStatusChoices.CANCELED)
    last = SyncRun.objects.filter(pk__in=endpoint.values('last_run')).first() if run.branch_id or is_quiet else None
    if run.branch_id or (last and last.mode != RunModeChoices.QUICK):
        # A run in a branch does not change the status of main, and a quick run without problems not that of the last
        # full run.
        endpoint.update(status=last.status if last else EndpointStatusChoices.NEW)
    else:
        endpoint.update(status=status, last_run=run.pk, **endpoint_values)
    if run.total_changes:
        # Its endpoint may have another cluster now.
        run.refresh_from_db()


def find_dead(runs: QuerySet[SyncRun]) -> list[SyncRun]:
    """Close runs whose worker has died, and their jobs, and return them."""
    dead = [run for run in runs.select_related('job') if is_dead(run)]
    for run in dead:
        close(
            run,
            RunStatusChoices.FAILED,
            Message(
                'The worker that executed this run terminated unexpectedly, or the job was deleted. Guests that '
                'were written before are complete. The next run writes the others.'
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
        end_job(job, Message('The worker that executed the run terminated unexpectedly, or the queue was emptied.'))


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
            why = Message('The worker that executed the run terminated unexpectedly, or the queue was emptied.')
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
    rows = list(finished.order_by('-created').values_list('pk', 'created', 'mode', 'status', 'counts'))
    groups: dict[tuple[bool, bool], list[int]] = {}
    for pk, _created, mode, status, counts in rows:
        is_quick = mode == RunModeChoices.QUICK
        groups.setdefault((is_quick, is_quick and status == RunStatusChoices.COMPLETED and not counts), []).append(pk)
    newest = [
        pk
        for (is_quick, is_unchanged), pks in groups.items()
        for pk in pks[: min(kept, UNCHANGED_QUICK_RUNS_KEPT if is_unchanged else QUICK_RUNS_KEPT) if is_quick else kept]
    ]
    if len(rows) == len(newest) and all(created >= oldest for _pk, created, *_rest in rows):
        return
    # The last run is displayed with the endpoint, so it is not deleted.
    endpoint.refresh_from_db(fields=['last_run'])
    old = finished.filter(~Q(pk__in=newest) | Q(created__lt=oldest)).exclude(pk=endpoint.last_run_id)
    old = old.exclude(~Q(mode__in=RunModeChoices.PLANNING), branch_id__in=still_needed(endpoint))
    old.delete()
