"""The life of a run: opened once at a time for an endpoint, recorded while it goes, closed, found dead, pruned."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from itertools import batched
from time import monotonic
from typing import Any

import django_rq
from core.choices import JobStatusChoices
from core.models import Job
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django_pg_utils import advisory_lock
from netbox.plugins import get_plugin_config
from rq.job import JobStatus

from ..choices import ChangeOutcomeChoices, EndpointStatusChoices, RunModeChoices, RunStatusChoices
from ..events import announce
from ..ledger.database import retried
from ..ledger.writer import Result
from ..models import PlannedBinding, ProxmoxEndpoint, SyncChange, SyncRun
from ..models.branch_states import still_needed
from ..proxmox.inventory import Inventory
from ..proxmox.token_history import Sight
from ..sync.changes import Plan
from ..sync.cluster_state import state_of
from ..sync.serialization import binding_as_json, fields_as_json
from ..sync.values import encode, encode_all
from .notifications import notify
from .stored_plans import StoredPlan

__all__ = ('RunRecorder', 'close', 'end_dead_jobs', 'end_left_jobs', 'endpoint_lock', 'find_dead', 'prune')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# 'prxs': the first half of the advisory locks' keys; the second is the endpoint's id.
LOCK_CLASS = 0x70727873
# A run's job reaches the queue a moment after the run is committed.
QUEUE_GRACE = timedelta(minutes=1)
# From when it was made until it has ended, for a job that takes seconds.
JOB_GRACE = timedelta(minutes=10)
WAITING_IN_QUEUE = (JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED)
SECONDS_BETWEEN_SAVES = 1
LABEL_LENGTH = 200
ROWS_AT_ONCE = 1000


def endpoint_lock(endpoint_id: int):
    """
    A context manager that yields whether it got the lock under which an endpoint's runs work, one at a time.

    The lock belongs to the database session, so it goes with a killed worker.
    """
    return advisory_lock((LOCK_CLASS, endpoint_id), wait=False)


class RunRecorder:
    """Keeps a run's row while it goes, and writes its changes' rows."""

    def __init__(self, run: SyncRun):
        self.run = run
        self.position = 0
        self.changes = 0
        self.saved_at = 0.0

    def save(self, **values: Any):
        for name, value in values.items():
            setattr(self.run, name, value)
        retried(lambda: SyncRun.objects.filter(pk=self.run.pk).update(**values), _('recording the run'))
        self.saved_at = monotonic()

    def start(self) -> bool:
        """Whether it was still waiting. If not, it was cancelled meanwhile."""
        begun = {'status': RunStatusChoices.RUNNING, 'started': timezone.now()}
        queued = SyncRun.objects.filter(pk=self.run.pk, status=RunStatusChoices.QUEUED)
        if not retried(lambda: queued.update(**begun), _('recording the run')):
            return False
        self.run.status, self.run.started = begun['status'], begun['started']
        retried(partial(set_endpoint_status, self.run, EndpointStatusChoices.SYNCING), _('updating the endpoint'))
        return True

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase of the run ('collect', 'plan', 'apply', 'record'), timed in seconds, which add up."""
        started = monotonic() - self.run.timings.get(name, 0)
        self.save(phase=name)
        try:
            yield
        finally:
            self.save(timings={**self.run.timings, name: round(monotonic() - started, 3)})

    def progress(self, done: int, total: int):
        """How far the present phase is. Saved at most once a second."""
        if monotonic() - self.saved_at >= SECONDS_BETWEEN_SAVES:
            self.save(phase=f'{self.run.phase.partition(" ")[0]} {done}/{total}')

    def called(self, calls: int):
        self.save(calls=calls)

    def collected(self, inventory: Inventory):
        self.save(
            guests=len(inventory.guests),
            messages=[
                {'level': 'warning', 'subject': notice.subject, 'message': notice.message, 'remedy': notice.remedy}
                for notice in inventory.warnings
            ],
        )
        self.found(inventory)
        if inventory.sight:
            self.remember(inventory.sight)

    def found(self, inventory: Inventory):
        """How the cluster is, where that differs from what is known of it."""
        endpoint = self.run.endpoint
        state = state_of(inventory, endpoint.cluster_state, self.run.started or timezone.now())
        if (endpoint.pve_version, endpoint.cluster_state) != (inventory.version, state):
            self.update_endpoint(pve_version=inventory.version, cluster_state=state)

    def remember(self, sight: Sight):
        """What the token sees, unless the endpoint has another one by now."""
        endpoint = self.run.endpoint
        seen = endpoint.memory.followed_by(sight, timezone.localdate().isoformat()).data
        if seen != endpoint.seen and not endpoint.has_new_token():
            self.update_endpoint(seen=seen)

    def update_endpoint(self, **values: Any):
        # By update(): the state of an endpoint is no matter for its change log.
        endpoint = ProxmoxEndpoint.objects.filter(pk=self.run.endpoint_id)
        retried(lambda: endpoint.update(**values), _('updating the endpoint'))

    def warn(self, subject: str, message: str, remedy: str = '', is_fault: bool = False):
        """`is_fault`: of Proxmox VE's own configuration; not a warning if a user has acknowledged it."""
        entry = {'level': 'warning', 'subject': subject, 'message': message, 'remedy': remedy}
        if is_fault:
            entry['fault'] = True
            entry['level'] = 'info' if self.run.endpoint.acknowledgment_of(entry) else 'warning'
        self.save(messages=[*self.run.messages, entry])

    def planned(self, plan: Plan):
        """Store a plan that is not applied, row by row, so that it can be applied as it is."""
        shared = [[encode(value), pointer.pk] for value, pointer in plan.shared.items()]
        self.save(counts=plan.counts, refusal=plan.refusal, shared_objects=shared)
        for changes in batched(plan.changes, ROWS_AT_ONCE):
            self.store([Result(change, ChangeOutcomeChoices.PLANNED) for change in changes])
        for rows in batched(planned_bindings(self.run, plan), ROWS_AT_ONCE):
            retried(partial(PlannedBinding.objects.bulk_create, rows), _('recording the run'))

    def applying(self, plan: Plan | StoredPlan):
        self.save(counts=plan.counts)
        self.changes = sum(sum(actions.values()) for actions in plan.counts.values())

    def applied(self, results: list[Result]):
        self.store(results)
        self.progress(self.position, self.changes)

    def store(self, results: list[Result]):
        rows = [change_row(self.run, self.position + offset, result) for offset, result in enumerate(results)]
        retried(partial(SyncChange.objects.bulk_create, rows, batch_size=ROWS_AT_ONCE), _('recording the run'))
        self.position += len(rows)


def change_row(run: SyncRun, position: int, result: Result) -> SyncChange:
    change = result.change
    object_type = object_id = None
    if pointer := result.pointer or change.pointer:
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        object_id = pointer.pk
    return SyncChange(
        run=run,
        position=position,
        unit=change.unit,
        kind=change.kind,
        key=change.key,
        action=str(change.action),
        outcome=result.outcome,
        object_type=object_type,
        object_id=object_id,
        label=change.label[:LABEL_LENGTH],
        fields=fields_as_json(change),
        # Only a plan that waits to be applied needs it.
        binding=binding_as_json(change) if result.outcome == ChangeOutcomeChoices.PLANNED else None,
        reason=change.reason,
        message=result.message,
    )


def planned_bindings(run: SyncRun, plan: Plan) -> Iterator[PlannedBinding]:
    for pk, values in plan.refreshed.items():
        yield PlannedBinding(run=run, binding_id=pk, values=encode_all(values))
    for pk, (key, unit) in plan.rekeyed.items():
        yield PlannedBinding(run=run, binding_id=pk, key=key, unit=unit)
    for pk in plan.forgotten:
        yield PlannedBinding(run=run, binding_id=pk, forget=True)


def set_endpoint_status(run: SyncRun, status: str):
    # By update(): the state of an endpoint is no matter for its change log.
    ProxmoxEndpoint.objects.filter(pk=run.endpoint_id).update(status=status)


def close(run: SyncRun, status: str, error: str = ''):
    """End a run, give its endpoint the status of the last run in main, and let those know who wait for it."""
    retried(partial(end, run, status, error), _('recording the run'))
    announce(run)
    try:
        notify(run)
    except DatabaseError:
        # The run has ended as it has, whoever could not be told.
        logger.exception(f'Nobody was notified of the end of run {run.pk}')


def end(run: SyncRun, status: str, error: str):
    SyncRun.objects.filter(pk=run.pk).update(status=status, error=error, completed=timezone.now(), phase='')
    endpoint = ProxmoxEndpoint.objects.filter(pk=run.endpoint_id)
    if run.branch_id:
        # It tells nothing of how main stands.
        last = SyncRun.objects.filter(pk__in=endpoint.values('last_run')).first()
        endpoint.update(status=last.status if last else EndpointStatusChoices.NEW)
    else:
        endpoint.update(status=status, last_run=run.pk)
    run.refresh_from_db()


def active_runs(endpoint: ProxmoxEndpoint | None = None) -> QuerySet[SyncRun]:
    runs = SyncRun.objects.exclude(status__in=RunStatusChoices.FINISHED)
    return runs.filter(endpoint=endpoint) if endpoint else runs


def find_dead(runs: QuerySet[SyncRun]) -> list[SyncRun]:
    """Close the runs that nobody works on any more, and their jobs, and return them."""
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
        if run.job is not None:
            end_job(run.job, run.error)
    return dead


def end_job(job: Job, why: str):
    """Give a job an end that its worker has not given it."""
    if job.status not in JobStatusChoices.TERMINAL_STATE_CHOICES:
        job.terminate(status=JobStatusChoices.STATUS_FAILED, error=why)


def end_left_jobs(jobs: QuerySet[Job]):
    """Give an end to jobs of runs that have ended long ago: their worker died just before it would have done so."""
    ended = SyncRun.objects.filter(completed__lt=timezone.now() - JOB_GRACE, status__in=RunStatusChoices.FINISHED)
    left = jobs.exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES)
    for job in left.filter(pk__in=ended.order_by().values('job')):
        end_job(job, _('The worker that carried it out has died, or the queue was emptied.'))


def is_dead(run: SyncRun) -> bool:
    if run.status in RunStatusChoices.WORKING:
        # Whoever works on it holds the lock.
        with endpoint_lock(run.endpoint_id) as acquired:
            return acquired
    if run.created > timezone.now() - QUEUE_GRACE:
        return False
    if run.job is None or run.job.status in JobStatusChoices.TERMINAL_STATE_CHOICES:
        return True
    return django_rq.get_queue(run.job.queue_name or 'default').fetch_job(str(run.job.job_id)) is None


def end_dead_jobs(jobs: QuerySet[Job]):
    """Give an end to jobs whose task has left the queue without one; they take seconds."""
    for job in jobs.exclude(status__in=JobStatusChoices.TERMINAL_STATE_CHOICES):
        task = django_rq.get_queue(job.queue_name or 'default').fetch_job(str(job.job_id))
        status = task and task.get_status()
        started_lately = status == JobStatus.STARTED and job.created > timezone.now() - JOB_GRACE
        if status not in WAITING_IN_QUEUE and not started_lately:
            why = _('The worker that carried it out has died, or the queue was emptied.')
            jobs.filter(pk=job.pk).update(status=JobStatusChoices.STATUS_FAILED, error=why, completed=timezone.now())


def prune(endpoint: ProxmoxEndpoint):
    """
    Delete the runs of an endpoint that are beyond the number or the age that the settings keep, but for those that have
    written into a branch that is still there: by them its bindings are found when it is merged or reverted.
    """
    finished = SyncRun.objects.filter(endpoint=endpoint, status__in=RunStatusChoices.FINISHED)
    kept = get_plugin_config('netbox_proxsync', 'runs_to_keep')
    oldest = timezone.now() - timedelta(days=get_plugin_config('netbox_proxsync', 'run_retention_days'))
    newest = list(finished.order_by('-created').values_list('pk', flat=True)[:kept])
    # The last run stays, whatever its age: the endpoint shows it.
    endpoint.refresh_from_db(fields=['last_run'])
    old = finished.filter(~Q(pk__in=newest) | Q(created__lt=oldest)).exclude(pk=endpoint.last_run_id)
    old = old.exclude(~Q(mode=RunModeChoices.PREVIEW), branch_id__in=still_needed(endpoint))
    # Without signals, of which nobody needs any: one statement instead of one row at a time.
    changes = SyncChange.objects.filter(run__in=list(old))
    changes._raw_delete(changes.db)
    planned = PlannedBinding.objects.filter(run__in=list(old)).order_by()
    planned._raw_delete(planned.db)
    old.delete()
