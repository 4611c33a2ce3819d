"""Cancels runs: a request to cancel is written to the row of the run, which its worker watches."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Self

from django.core.exceptions import PermissionDenied
from django.db import Error, connections
from django.http import Http404
from django.shortcuts import get_object_or_404

from ..choices import RunStatusChoices
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..proxmox.errors import CanceledError
from ..proxmox.messages import Message
from ..wording import columns_of
from .lifecycle import close, find_dead

__all__ = (
    'CancelWatch',
    'RunEndedError',
    'cancel',
    'run_to_cancel',
    'withdraw',
)

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

SECONDS_BETWEEN_CHECKS = 1
# Seconds for which a run that has ended waits for a check in progress.
SECONDS_TO_WAIT = 5


class RunEndedError(Exception):
    """A run has ended, so it cannot be canceled: `run`."""

    def __init__(self, run: SyncRun) -> None:
        super().__init__(Message('This run has ended ({status}).', status=run.get_status_display().lower()))
        self.run = run


def cancel(run: SyncRun, user: AnyUser) -> SyncRun:
    """
    Cancel a run. To repeat it changes nothing.

    A queued run ends at once, and its job is deleted. A run that is being carried out stops within some seconds.

    Raises:
        RunEndedError: It has ended already, or its worker was found dead.
    """
    find_dead(SyncRun.objects.active().filter(pk=run.pk))
    why = Message('Canceled by {user}.', user=user)
    if not unqueue(run, why):
        running = SyncRun.objects.filter(pk=run.pk, status=RunStatusChoices.RUNNING)
        running.update(status=RunStatusChoices.CANCELING, **columns_of(error=why))
        run.refresh_from_db()
    if run.status not in (RunStatusChoices.CANCELING, RunStatusChoices.CANCELED):
        raise RunEndedError(run)
    return run


def withdraw(endpoint: ProxmoxEndpoint, why: Message) -> None:
    """Cancel the queued runs of an endpoint. A run that is being carried out continues."""
    for run in endpoint.runs.active().filter(status=RunStatusChoices.QUEUED).select_related('endpoint', 'job'):
        unqueue(run, why)


def unqueue(run: SyncRun, why: Message) -> bool:
    """Cancel a run if it is queued; returns whether it was."""
    # By one UPDATE and without a lock: a run that writes may lock the row of the endpoint for long.
    queued = SyncRun.objects.filter(pk=run.pk, status=RunStatusChoices.QUEUED)
    if not queued.update(status=RunStatusChoices.CANCELING):
        return False
    close(run, RunStatusChoices.CANCELED, why)
    if run.job is not None:
        # Removes it from the queue as well. A worker that has just taken it finds the run canceled.
        run.job.delete()
    return True


class CancelWatch:
    """
    Checks once a second, in a thread with its own database connection, whether a run was canceled.

    To be used as a context manager around the work.

    Args:
        each_second: Called in that thread before each check but the first one.
    """

    def __init__(self, run: SyncRun, each_second: Callable[[], None] | None = None) -> None:
        self._run_id = run.pk
        self._each_second = each_second
        self._was_found = False
        self._canceled = Event()
        self._over = Event()
        self._lock = Lock()
        self._calls: list[Callable[[], None]] = []
        self._thread = Thread(target=self._watch, name=f'cancel-watch-{run.pk}', daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join(SECONDS_TO_WAIT)

    def canceled(self) -> bool:
        """Whether the run was canceled."""
        return self._canceled.is_set()

    def check(self) -> None:
        """Raises CanceledError if it was."""
        if self._canceled.is_set():
            raise CanceledError(Message('The run was canceled.'))

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Within, call `call` from the watching thread when the run is canceled, or now if it was already."""
        with self._lock:
            self._calls.append(call)
            late = self._canceled.is_set()
        if late:
            call()
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)

    def _watch(self) -> None:
        try:
            # The first check is made at once, so that the run is found before it can be deleted.
            while not self._is_canceling():
                if self._over.wait(SECONDS_BETWEEN_CHECKS):
                    return
                self._report()
            self._tell()
        finally:
            # The connections of this thread.
            connections.close_all()

    def _report(self) -> None:
        if self._each_second is None:
            return
        try:
            self._each_second()
        except Error:
            # The end of the run records everything.
            logger.warning(f'The progress of run {self._run_id} could not be recorded', exc_info=True)
            connections.close_all()

    def _is_canceling(self) -> bool:
        try:
            status = SyncRun.objects.filter(pk=self._run_id).values_list('status', flat=True).first()
        except Error:
            # The run itself will report the same error. The next check uses a new connection.
            logger.warning(f'Whether run {self._run_id} was canceled cannot be determined at present', exc_info=True)
            connections.close_all()
            return False
        if status is None:
            # The run was deleted, perhaps with its endpoint; or it was created in a transaction that is still open.
            return self._was_found
        self._was_found = True
        return bool(status == RunStatusChoices.CANCELING)

    def _tell(self) -> None:
        with self._lock:
            self._canceled.set()
            calls = list(self._calls)
        for call in calls:
            call()


def run_to_cancel(user: AnyUser, pk: int, denied: str = '') -> SyncRun:
    """
    A run that a user may cancel, with the permission to sync its endpoint.

    Args:
        denied: The message for users who may only view the run.

    Raises:
        Http404: There is none, or the user may not view it.
        PermissionDenied: The user may view it, but not cancel it.
    """
    run: SyncRun = get_object_or_404(SyncRun.objects.select_related('endpoint'), pk=pk)
    if user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint):
        return run
    if user.has_perm('netbox_proxsync.view_syncrun', run):
        raise PermissionDenied(denied)
    raise Http404
