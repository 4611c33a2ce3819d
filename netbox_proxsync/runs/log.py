"""The log of a run, for operators."""

import logging
from collections import Counter
from collections.abc import Mapping

from core.models import Job

from ..models import SyncRun
from ..sync.kinds import KINDS

__all__ = ('RunLog', 'numbers')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# Distinct reasons of refusals in the log of the worker.
REASONS_LOGGED = 10
# The actions about which a user has to decide, as they are logged.
OPEN_ACTIONS = {'conflict': 'conflicts', 'candidate': 'candidates'}


class RunLog:
    """
    Logs what a run does, in the log of its job, which NetBox shows, and in the log of the worker.

    The number of lines does not depend on the number of guests. In the log of the job, no line names a single guest or
    node: users who may view jobs may not be allowed to view every guest.

    Args:
        job: NetBox's job; None: only the log of the worker is written.
    """

    def __init__(self, run: SyncRun, job: Job | None = None) -> None:
        self.run = run
        self.job = job

    def info(self, text: str) -> None:
        """Log what was done."""
        self._log(logging.INFO, text)

    def warning(self, text: str) -> None:
        """Log what users should look at."""
        self._log(logging.WARNING, text)

    def error(self, text: str) -> None:
        """Log what failed."""
        self._log(logging.ERROR, text)

    def phase(self, name: str, counts: Mapping[str, int], seconds: float) -> None:
        """Log the end of a phase: 'collect: guests 12, calls 40 (1.234 s)'."""
        self.info(f'{name}: {numbers(counts)} ({seconds:.3f} s)' if counts else f'{name}: {seconds:.3f} s')

    def phase_failed(self, name: str, seconds: float) -> None:
        """Log that a phase did not come to its end. The reason is logged at the end of the run."""
        self.warning(f'{name}: not finished ({seconds:.3f} s)')

    def open_changes(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """
        Log the conflicts and candidates of a plan: 'conflicts: vm 2, ip 1'.

        Args:
            counts: As `Plan.counts`.
        """
        for action, plural in OPEN_ACTIONS.items():
            if by_kind := {kind: actions[action] for kind, actions in counts.items() if actions.get(action)}:
                self.warning(f'{plural}: {numbers(by_kind)}')

    def refusals(self, failed: Counter[tuple[str, str]]) -> None:
        """
        Log what NetBox has refused: 'refused by NetBox: vm 3'. The log of the worker has the reasons as well.

        Args:
            failed: The number of changes by kind and reason.
        """
        by_kind: Counter[str] = Counter()
        for (kind, _reason), number in failed.items():
            by_kind[kind] += number
        if by_kind:
            self.error(f'refused by NetBox: {numbers(by_kind)}')
        for (kind, reason), number in failed.most_common(REASONS_LOGGED):
            plural = KINDS[kind].plural if kind in KINDS else kind
            self._log_worker(logging.ERROR, f'NetBox refused {number} changes of {plural}: {reason}')
        if (more := len(failed) - REASONS_LOGGED) > 0:
            self._log_worker(logging.ERROR, f'NetBox refused changes for {more} more reasons')

    def _log(self, level: int, text: str) -> None:
        self._log_worker(level, text)
        if self.job is not None:
            self.job.log(logger.makeRecord(logger.name, level, __file__, 0, text, (), None))

    def _log_worker(self, level: int, text: str) -> None:
        branch = f' in branch "{self.run.branch}"' if self.run.branch_id else ''
        # One line each: texts may quote what Proxmox VE or NetBox has reported.
        logger.log(level, '%s', ' '.join(f'Run {self.run.pk} of {self.run.endpoint}{branch}: {text}'.splitlines()))


def numbers(counts: Mapping[str, int]) -> str:
    """Counts by name, as they are logged: 'vm 2, ip 1'."""
    return ', '.join(f'{name} {number}' for name, number in counts.items())
