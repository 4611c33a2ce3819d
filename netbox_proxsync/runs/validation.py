"""Validates a plan with NetBox before it is stored: what of it can be applied."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from django.db import OperationalError
from django.utils import timezone

from ..choices import ChangeOutcomeChoices, RunModeChoices
from ..ledger.database import is_lost, reason_of, retried
from ..ledger.objects import ObjectWriter
from ..ledger.results import Result
from ..ledger.trial import Trial
from ..models import SyncRun
from ..models.users import service_user
from ..proxmox.messages import Message, counted
from ..sync.changes import Action, Change, Plan
from ..sync.kind_names import CLUSTER, DEVICE
from ..sync.rejected import divided
from .application import REFUSED_REMEDY, Tally
from .cancellation import CancelWatch
from .recorder import RunRecorder

__all__ = ('Rejection', 'Validation')

# NetBox refuses to write them, or another object that they need.
REJECTED = (ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.SKIPPED)
# The kinds without whose objects guests cannot exist.
HOLDING_GUESTS = (CLUSTER, DEVICE)


@dataclass(frozen=True)
class Rejection:
    """A change, or the part of a change, that NetBox rejects, and the reason for display."""

    change: Change
    message: Message


@dataclass
class Validation:
    """
    Finds what NetBox rejects of a plan, by a trial, which leaves NetBox unchanged.

    Args:
        writer: Writes the single objects of the plan.

    Attributes:
        rejections: What it rejects, after `validated`.
        outdated: What users have changed since the objects were read, or what the plan must leave because other objects
            depend on it.
    """

    run: SyncRun
    recorder: RunRecorder
    watch: CancelWatch
    writer: type[ObjectWriter] = ObjectWriter
    rejections: list[Rejection] = field(default_factory=list)
    outdated: list[Rejection] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def validated(self, plan: Plan) -> Plan:
        """
        The plan without what NetBox rejects.

        Raises:
            CanceledError: The run was canceled.
            OperationalError, InterfaceError, JobTimeoutException, BranchUnusableError, DatabaseBusyError: As for
                `Trial`.
        """
        if all(change.action.is_open for change in plan.changes):
            return plan
        with self.recorder.phase('validate') as counts:
            counts['changes'] = len(plan.changes)
            found = self.tried(plan)
            # Others may rely on a rejected change: it would have given up its name.
            while found is not plan and any(gives_up_name(entry.change) for entry in self.rejections):
                plan = found
                found = self.tried(plan)
            counts['rejected'] = len(self.rejections)
        self.recorder.log.refusals(self.tally.failed)
        for plural, text in self.tally.repeated_failures():
            self.recorder.warn(plural, text, REFUSED_REMEDY)
        return found

    def tried(self, plan: Plan) -> Plan:
        """Try a plan: the plan itself if NetBox accepts it, or else without what it rejects."""
        trial = Trial(
            partial(retried, self.object_writer, Message('reading bindings')),
            lambda: self.run.user or retried(service_user, Message('reading users')),
            self.run.request_id,
            self.watch.canceled,
            lambda done: self.recorder.progress(done, len(plan.changes)),
        )
        try:
            trial.run(plan)
        except OperationalError as error:
            if is_lost(error):
                raise
            self.warn_of_untried(reason_of(error))
        self.watch.check()
        if trial.untried:
            self.warn_of_untried(
                counted(
                    'the database was busy while {number} guest or node was validated',
                    'the database was busy while {number} guests and nodes were validated',
                    len(trial.untried),
                )
            )
        by_change = {id(result.change): result for result in trial.results if self.leaves_out(result, trial)}
        if not by_change:
            return plan
        self.tally.add(result for result in by_change.values() if result.outcome != ChangeOutcomeChoices.OUTDATED)
        return replace(plan, changes=tuple(self.accepted(plan.changes, by_change)))

    def object_writer(self) -> ObjectWriter:
        """What writes the objects, as for a sync that has made the plan."""
        return self.writer(self.run.endpoint, '', timezone.now(), self.run.started)

    def accepted(self, changes: Iterable[Change], results: dict[int, Result]) -> Iterable[Change]:
        """What NetBox accepts of changes. The rest is added to the rejections."""
        for change in changes:
            result = results.get(id(change))
            if result is None:
                yield change
                continue
            if result.outcome == ChangeOutcomeChoices.OUTDATED:
                self.outdated.append(Rejection(change, result.message))
                continue
            rest, rejected = None, change
            if result.pointer and (result.unwritten or result.lacking):
                rest, rejected = divided(change, result.unwritten, result.lacking)
                assert rejected.fields, 'The loop of `validated` ends because each trial has fewer fields.'
            self.rejections.append(Rejection(rejected, result.message))
            if rest:
                yield rest

    def leaves_out(self, result: Result, trial: Trial) -> bool:
        """Whether a change does not become part of the plan, at least in part."""
        if self.run.mode != RunModeChoices.REVERT:
            return is_rejected(result, trial)
        if trial.is_divided and result.change.action is Action.DELETE and result.change.kind in HOLDING_GUESTS:
            # NetBox refuses to delete what has guests, whose deletion was rolled back with an earlier transaction.
            return False
        return result.outcome == ChangeOutcomeChoices.OUTDATED or is_rejected(result, trial)

    def warn_of_untried(self, reason: Message) -> None:
        """Warn that NetBox may still reject some changes."""
        message = Message(
            'The plan was not validated completely: {reason}. NetBox may reject changes when it is applied.',
            reason=reason,
        )
        self.recorder.warn('plan', message, Message('Run the preview again.'))


def is_rejected(result: Result, trial: Trial) -> bool:
    """Whether NetBox rejects a change, at least in part."""
    if result.change.action.is_open or result.outcome not in REJECTED:
        return False
    # What it needs may only not have been tried.
    return result.outcome == ChangeOutcomeChoices.FAILED or not trial.untried


def gives_up_name(change: Change) -> bool:
    """Whether other objects may get the name of the object of a change, as `Displacement.expect` finds."""
    return change.pointer is not None and (
        change.action.removes_object or any(each.name == 'name' for each in change.writes)
    )
