"""The state of the plan of a run, for the page of the run: its button, its obstacle, and the runs that applied it."""

from dataclasses import dataclass
from typing import Self

from django.urls import reverse
from django.utils.translation import gettext as _

from ..choices import RunModeChoices
from ..models import SyncRun
from ..models.users import AnyUser
from ..runs.stored_plans import PlanNotApplicableError, check_appliable, has_plan, may_apply, open_rows
from ..wording import worded

__all__ = ('PlanState',)


@dataclass(frozen=True)
class PlanState:
    """
    The state of a stored plan.

    Attributes:
        source: The run that has made the plan.
        obstacle: Why nothing of it can be applied; '' if it can.
        permitted: Whether the user may apply it.
        applied: The runs that have applied the plan or parts of it, as far as the user may view them.
        is_rest: Whether parts of it were applied.
        remaining: The number of changes that remain.
        url: The page on which it is applied.
    """

    source: SyncRun
    obstacle: str
    permitted: bool
    applied: list[SyncRun]
    is_rest: bool
    remaining: int
    is_refused: bool
    url: str

    @classmethod
    def of(cls, run: SyncRun, user: AnyUser) -> Self | None:
        """
        The state of the plan of a run, or of the plan that it has applied; None if nothing is to be said about it.
        """
        if run.mode == RunModeChoices.APPLY:
            viewable = SyncRun.objects.restrict(user, 'view').select_related('endpoint')
            source = viewable.filter(pk=run.applies_id).first()
            state = cls.of_source(source, user) if source else None
            return state if state and not state.obstacle else None
        return cls.of_source(run, user)

    @classmethod
    def of_source(cls, run: SyncRun, user: AnyUser) -> Self | None:
        """The state of the plan of a run; None if the run has none that could be applied."""
        if not (has_plan(run) and run.total_changes):
            return None
        obstacle = ''
        try:
            check_appliable(run)
        except PlanNotApplicableError as error:
            obstacle = worded(error)
        is_rest = run.applied_by.exists()
        return cls(
            source=run,
            obstacle=obstacle,
            permitted=may_apply(user, run),
            applied=list(SyncRun.objects.restrict(user, 'view').filter(applies=run).order_by('pk')) if is_rest else [],
            is_rest=is_rest,
            remaining=open_rows(run).count() if is_rest and not obstacle else 0,
            is_refused=bool(run.refusal),
            url=reverse(f'plugins:netbox_proxsync:syncrun_{"accept" if run.refusal else "apply"}', args=[run.pk]),
        )

    @property
    def label(self) -> str:
        """The text of the button."""
        if self.is_rest:
            return _('Apply the Rest')
        if self.is_refused:
            return _('Review and Approve')
        return _('Apply Revert') if self.source.mode == RunModeChoices.REVERT else _('Apply Preview')
