"""The background job of a run: one preview, sync, application of a plan or revert of one endpoint."""

import logging
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Never, cast

from core.choices import JobNotificationChoices
from core.exceptions import JobFailed
from django.db import DatabaseError, InterfaceError, transaction
from django.http import Http404
from netbox.plugins import get_plugin_config
from rq.timeouts import JobTimeoutException

from .. import branching
from ..choices import EndpointStatusChoices, RunModeChoices, RunStatusChoices
from ..crypto import SecretError
from ..ledger.database import DatabaseBusyError, explain, reconnect, retried
from ..ledger.query_cache import query_uncached
from ..models import ProxmoxEndpoint, SyncRun
from ..models.runs import unit_key
from ..models.users import AnyUser
from ..proxmox.errors import CanceledError, ProxmoxError
from ..proxmox.inventory import GuestType
from ..proxmox.messages import Message, as_is
from ..runs.cancellation import CancelWatch
from ..runs.execution import PLACEMENT, execute
from ..runs.garbage import older_objects_left_out
from ..runs.lifecycle import close, endpoint_lock, find_dead, prune
from ..runs.log import RunLog, numbers
from ..runs.maintenance import InMaintenanceError, refuse_in_maintenance
from ..runs.quick import QuickExecution
from ..runs.recorder import RunRecorder
from ..runs.reverting import check_revertible
from ..runs.stored_plans import check_appliable, select
from .base import EndpointJob

if TYPE_CHECKING:
    from users.models import User

__all__ = ('AlreadyRunningError', 'EndpointDeletedError', 'SyncJob')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

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
