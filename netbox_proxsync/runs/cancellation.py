"""Cancelling a run: a person asks for it by the run's row, and the worker that carries it out watches that row."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Self

from django.core.exceptions import PermissionDenied
from django.db import Error, connections
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from ..choices import RunStatusChoices
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..proxmox.errors import CancelledError
from .lifecycle import close, find_dead

__all__ = (
    'CancelWatch',
    'RunEnded',
    'cancel',
    'run_to_cancel',
    'withdraw',
)

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

SECONDS_BETWEEN_LOOKS = 1
# How long a run that is over waits for a look that is under way.
PATIENCE = 5


class RunEnded(Exception):
    """A run that has ended cannot be cancelled any more: `run`."""

    def __init__(self, run: SyncRun) -> None:
        super().__init__(_('This run has ended ({status}).').format(status=run.get_status_display().lower()))
        self.run = run


def cancel(run: SyncRun, user: AnyUser) -> SyncRun:
    """
    Cancel a run. Doing so again does nothing.

    One that is queued ends at once and never starts; its job is deleted. One that is being carried out is told to stop,
    which takes some seconds.

    Raises:
        RunEnded: It has ended in another way, or its worker was found dead.
    """
    find_dead(SyncRun.objects.active().filter(pk=run.pk))
    why = _('Cancelled by {user}.').format(user=user)
    if not unqueue(run, why):
        running = SyncRun.objects.filter(pk=run.pk, status=RunStatusChoices.RUNNING)
        running.update(status=RunStatusChoices.CANCELLING, error=why)
        run.refresh_from_db()
    if run.status not in (RunStatusChoices.CANCELLING, RunStatusChoices.CANCELLED):
        raise RunEnded(run)
    return run


def withdraw(endpoint: ProxmoxEndpoint, why: str) -> None:
    """Cancel what is queued of an endpoint. A run that is being carried out goes on."""
    for run in endpoint.runs.active().filter(status=RunStatusChoices.QUEUED).select_related('endpoint', 'job'):
        unqueue(run, why)


def unqueue(run: SyncRun, why: str) -> bool:
    """Cancel a run that is queued; whether it was."""
    # By what is so at that moment, and without a lock: a run that writes may hold the endpoint's row for long.
    queued = SyncRun.objects.filter(pk=run.pk, status=RunStatusChoices.QUEUED)
    if not queued.update(status=RunStatusChoices.CANCELLING):
        return False
    close(run, RunStatusChoices.CANCELLED, why)
    if run.job is not None:
        # Takes it from the queue as well. A worker that has just taken it finds the run cancelled.
        run.job.delete()
    return True


class CancelWatch:
    """
    Looks once a second, from a thread with a database connection of its own, whether the run was cancelled.

    Use it as a context manager around the work.
    """

    def __init__(self, run: SyncRun) -> None:
        self._run_id = run.pk
        self._seen = False
        self._cancelled = Event()
        self._over = Event()
        self._lock = Lock()
        self._calls: list[Callable[[], None]] = []
        self._thread = Thread(target=self._watch, name=f'cancel-watch-{run.pk}', daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises CancelledError if it was."""
        if self._cancelled.is_set():
            raise CancelledError(_('The run was cancelled.'))

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Within, `call` is called from the watching thread when the run is cancelled; now, if it was already."""
        with self._lock:
            self._calls.append(call)
            late = self._cancelled.is_set()
        if late:
            call()
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)

    def _watch(self) -> None:
        try:
            # The first look is at once, to have seen the run before anybody can delete it.
            while not self._asked():
                if self._over.wait(SECONDS_BETWEEN_LOOKS):
                    return
            self._tell()
        finally:
            # Those of this thread only.
            connections.close_all()

    def _asked(self) -> bool:
        try:
            status = SyncRun.objects.filter(pk=self._run_id).values_list('status', flat=True).first()
        except Error:
            # The work itself will meet the same trouble, and say so. Look again with a new connection.
            logger.warning(f'Whether run {self._run_id} was cancelled cannot be told at present', exc_info=True)
            connections.close_all()
            return False
        if status is None:
            # It was deleted, with its endpoint perhaps; or begun in a transaction that is still open.
            return self._seen
        self._seen = True
        return bool(status == RunStatusChoices.CANCELLING)

    def _tell(self) -> None:
        with self._lock:
            self._cancelled.set()
            calls = list(self._calls)
        for call in calls:
            call()


def run_to_cancel(user: AnyUser, pk: int, denied: str = '') -> SyncRun:
    """
    A run that a person may cancel: whoever may sync its endpoint.

    Args:
        denied: What to say to who may only view it.

    Raises:
        Http404: There is none, as far as the person may know.
        PermissionDenied
    """
    run: SyncRun = get_object_or_404(SyncRun.objects.select_related('endpoint'), pk=pk)
    if user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint):
        return run
    if user.has_perm('netbox_proxsync.view_syncrun', run):
        raise PermissionDenied(denied)
    raise Http404
