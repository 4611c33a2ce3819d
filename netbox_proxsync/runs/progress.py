"""The progress of a run that has not ended, computed from its row."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..choices import RunStatusChoices
from ..models import SyncRun

__all__ = ('PHASES', 'Progress')

PHASES = {
    'collect': _('Reading Proxmox VE'),
    'plan': _('Comparing with NetBox'),
    'validate': _('Validating with NetBox'),
    'apply': _('Writing to NetBox'),
    'record': _('Recording the guests'),
}
# As `RunRecorder.progress` writes it.
PHASE = re.compile(r'(\S+)(?: (\d+)/(\d+))?')
# The first seconds of a phase are no basis for an estimate.
SECONDS_BEFORE_ESTIMATE = 3


@dataclass(frozen=True)
class Progress:
    """
    The progress of a run.

    Attributes:
        label: The display name of the current phase.
        step: Its number among the phases, from 1; None while it is not known.
        done, total: Units of the present phase; None if it has none.
        remaining: The estimated time until the end of the present phase; None if there is no estimate yet.
    """

    label: str
    step: int | None = None
    done: int | None = None
    total: int | None = None
    remaining: timedelta | None = None

    @classmethod
    def of(cls, run: SyncRun, now: datetime) -> Self:
        """The progress of a run at a given time."""
        if run.status == RunStatusChoices.QUEUED:
            return cls(str(_('Waiting for a worker')))
        found = PHASE.fullmatch(run.phase)
        name, done, total = found.groups() if found else (run.phase, None, None)
        label = str(PHASES.get(name, _('Starting')))
        skipped = 'apply' if 'validate' in (name, *run.timings) else 'validate'
        order = [phase for phase in PHASES if phase != skipped]
        step = order.index(name) + 1 if name in order else None
        if run.status == RunStatusChoices.CANCELING:
            label, step = str(_('Stopping')), None
        if done is None or total is None or not int(total):
            return cls(label, step)
        # Phases follow one another, so the phases with a timing are over.
        elapsed = now - run.started - timedelta(seconds=sum(run.timings.values())) if run.started else timedelta()
        is_done = min(int(done), int(total))
        return cls(label, step, is_done, int(total), remaining(elapsed, is_done, int(total)))

    @property
    def percent(self) -> int | None:
        """How much of the present phase is done, in percent; None if that is not known."""
        return None if self.done is None or self.total is None else 100 * self.done // self.total

    @property
    def steps(self) -> int:
        """The number of phases: a run validates a plan that it stores, or applies it."""
        return len(PHASES) - 1

    @property
    def remaining_text(self) -> str:
        """The estimated time, as precise as it is; '' if there is none."""
        if self.remaining is None:
            return ''
        minutes = round(self.remaining.total_seconds() / 60)
        if not minutes:
            return gettext('less than a minute left in this step')
        text = ngettext('about {number} minute left in this step', 'about {number} minutes left in this step', minutes)
        return text.format(number=minutes)

    @property
    def text(self) -> str:
        """For screen readers, in steps of ten percent, so that they do not announce every poll."""
        return self.label if self.percent is None else f'{self.label}: {self.percent // 10 * 10}%'


def remaining(elapsed: timedelta, done: int, total: int) -> timedelta | None:
    """The estimated time until the end of a phase, by its pace until now."""
    if not done or elapsed.total_seconds() < SECONDS_BEFORE_ESTIMATE:
        return None
    return timedelta(seconds=round(elapsed.total_seconds() * (total - done) / done))
