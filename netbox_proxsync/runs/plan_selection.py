"""Parts of a stored plan: which of its changes are to be applied, and which other runs have applied already."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Self

from django.db.models import Exists, OuterRef, Q

from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunStatusChoices
from ..models import SyncChange, SyncRun

__all__ = ('CLUSTER_UNIT', 'Selection', 'covered', 'runs_applying')

# The statuses of runs that have applied a plan or are about to.
REUSED_STATUSES = (RunStatusChoices.QUEUED, *RunStatusChoices.WORKING, *RunStatusChoices.DONE)
# The unit of the cluster, which all other objects need.
CLUSTER_UNIT = ''
# The outcomes of changes that need not be applied again after their run was canceled or has failed.
SETTLED = (ChangeOutcomeChoices.APPLIED, ChangeOutcomeChoices.OUTDATED)


@dataclass(frozen=True)
class Selection:
    """
    A part of a stored plan.

    Attributes:
        units: Only the changes of these guests and nodes, and of the cluster unless it is deleted; None: all.
        actions: Only the changes with these actions; None: all.
    """

    units: frozenset[str] | None = None
    actions: frozenset[str] | None = None

    @classmethod
    def of(cls, units: Iterable[str] | None, actions: Iterable[str] | None = None) -> Self:
        """The selection of some units and actions; None: all."""
        return cls(None if units is None else frozenset(units), None if actions is None else frozenset(actions))

    @property
    def in_units(self) -> Q:
        """A condition for the changes of the units."""
        if self.units is None:
            return Q()
        # All need the cluster. A revert deletes it after all others.
        cluster = Q(unit=CLUSTER_UNIT) & ~Q(action=ChangeActionChoices.DELETE)
        return Q(unit__in=self.units - {CLUSTER_UNIT}) | cluster

    @property
    def condition(self) -> Q:
        """A condition for the changes of the selection."""
        return self.in_units if self.actions is None else self.in_units & Q(action__in=self.actions)


def runs_applying(source: SyncRun, by: SyncRun | None = None) -> Iterator[SyncRun]:
    """The runs that apply or have applied a plan, except `by`, the latest one first."""
    runs = source.applied_by.order_by('-pk')
    return (runs.exclude(pk=by.pk) if by else runs).iterator()


def covered(source: SyncRun, by: SyncRun | None = None) -> Q | None:
    """
    A condition for the changes of a plan that other runs than `by` have applied or are about to; None: no run has.

    A run that has ended regularly has tried all of its part. Of a run that was canceled or has failed, only the
    changes that it has recorded count.
    """
    conditions = []
    for run in runs_applying(source, by):
        if run.status in REUSED_STATUSES:
            conditions.append(Selection.of(run.units, run.actions).condition or Q(pk__isnull=False))
        else:
            recorded = {name: OuterRef(name) for name in ('unit', 'kind', 'key', 'action')}
            conditions.append(Q(Exists(SyncChange.objects.filter(run=run.pk, outcome__in=SETTLED, **recorded))))
    return reduce(or_, conditions) if conditions else None
