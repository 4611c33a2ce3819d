"""How far a run is that has not ended, worked out from its row."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.utils.translation import gettext_lazy as _

from ..choices import RunStatusChoices
from ..models import SyncRun

__all__ = ('PHASES', 'Progress')

PHASES = {
    'collect': _('Reading Proxmox'),
    'plan': _('Comparing with NetBox'),
    'apply': _('Writing to NetBox'),
    'record': _('Recording the guests'),
}
# As `RunRecorder.progress` writes it.
PHASE = re.compile(r'(\S+)(?: (\d+)/(\d+))?')
# The first moments of a phase tell little of the rest.
SECONDS_BEFORE_ESTIMATE = 3


@dataclass(frozen=True)
class Progress:
    """
    How far a run is.

    Attributes:
        label: What it does at present, for people.
        done, total: What of the present phase is done; None where that is not counted.
        remaining: Of the present phase, by its pace so far; None while that cannot be told.
    """

    label: str
    done: int | None = None
    total: int | None = None
    remaining: timedelta | None = None

    @classmethod
    def of(cls, run: SyncRun, now: datetime) -> Self:
        if run.status == RunStatusChoices.QUEUED:
            return cls(_('Waiting for a worker'))
        found = PHASE.fullmatch(run.phase)
        name, done, total = found.groups() if found else (run.phase, None, None)
        label = PHASES.get(name, _('Starting'))
        if run.status == RunStatusChoices.CANCELLING:
            label = _('Stopping')
        if not total or not int(total):
            return cls(label)
        # Phases follow one another, so those that are timed have gone before the present one.
        elapsed = now - run.started - timedelta(seconds=sum(run.timings.values())) if run.started else timedelta()
        done, total = min(int(done), int(total)), int(total)
        return cls(label, done, total, remaining(elapsed, done, total))

    @property
    def percent(self) -> int | None:
        return None if self.total is None else 100 * self.done // self.total

    @property
    def told(self) -> str:
        """What a screen reader is told, in steps of ten per cent: not every poll is worth a word."""
        return str(self.label) if self.percent is None else f'{self.label}: {self.percent // 10 * 10} %'


def remaining(elapsed: timedelta, done: int, total: int) -> timedelta | None:
    if not done or elapsed.total_seconds() < SECONDS_BEFORE_ESTIMATE:
        return None
    return timedelta(seconds=round(elapsed.total_seconds() * (total - done) / done))
