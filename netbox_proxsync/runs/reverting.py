"""A run that plans how to undo what an earlier run has written, and stores that plan like a preview."""

from functools import partial
from itertools import batched

from django.db.models import Q, QuerySet

from .. import branching
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from ..ledger.bindings import load_bindings
from ..ledger.database import retried
from ..ledger.revert_objects import RevertObjectWriter
from ..ledger.written_objects import created_shared_objects, load_written
from ..models import SyncChange, SyncRun
from ..proxmox.messages import Message, as_is, counted, joined
from ..sync.changes import Change, Plan
from ..sync.reverting import Left, Reversal, invert
from ..sync.safety import why_unsafe_revert
from .cancellation import CancelWatch
from .endings import Ending
from .recorder import ROWS_AT_ONCE, RunRecorder
from .stored_plans import PlanNotApplicableError, change_of
from .validation import Validation

__all__ = ('check_revertible', 'plan_revert', 'written_rows')

# What these runs have written can be undone.
WRITING_MODES = (*RunModeChoices.SYNCING, RunModeChoices.APPLY)

# So many shared objects are named in one message.
NAMES_SHOWN = 50


def written_rows(run: SyncRun) -> QuerySet[SyncChange]:
    """The changes of a run that were written, at least in part, in no order."""
    in_part = Q(outcome__in=(ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.OUTDATED), object_id__isnull=False)
    rows = run.changes.filter(in_part | Q(outcome=ChangeOutcomeChoices.APPLIED))
    return rows.exclude(action__in=ChangeActionChoices.OPEN).order_by()


def check_revertible(run: SyncRun) -> None:
    """
    Check that a run can be reverted.

    Raises:
        PlanNotApplicableError: It cannot. The message is for users: the reason.
    """
    if run.branch_id or branching.in_branch():
        raise PlanNotApplicableError(
            Message('Runs in a branch cannot be reverted. Leave the branch to revert a run in main.')
            if not run.branch_id
            else Message('This run wrote into a branch. Revert or discard the branch instead.')
        )
    if not run.finished:
        raise PlanNotApplicableError(Message('The run is not finished yet.'))
    if run.mode not in WRITING_MODES:
        raise PlanNotApplicableError(Message('The run has not changed NetBox, so there is nothing to revert.'))
    if run.applies is not None and run.applies.mode == RunModeChoices.REVERT:
        raise PlanNotApplicableError(
            Message('This run has reverted another one. A sync writes the values of Proxmox VE again.')
        )
    whole = SyncRun.objects.filter(applies__reverts=run, units__isnull=True, status__in=RunStatusChoices.DONE)
    if by := whole.filter(actions__isnull=True).order_by('pk').first():
        raise PlanNotApplicableError(Message('Run {other} has reverted this run already.', other=by.pk))
    if not written_rows(run).exists():
        raise PlanNotApplicableError(Message('The run has not changed NetBox, so there is nothing to revert.'))


def plan_revert(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> Ending:
    """
    Plan how to undo a run, let NetBox validate the plan, and store it.

    Raises:
        CanceledError, DatabaseBusyError, OperationalError, InterfaceError, JobTimeoutException: As for other runs.
    """
    source = run.reverts
    if source is None:
        return Ending(RunStatusChoices.FAILED, Message('The run to revert was deleted.'))
    try:
        retried(partial(check_revertible, source), Message('reading runs'))
    except PlanNotApplicableError as error:
        return Ending(RunStatusChoices.FAILED, as_is(str(error)))
    with recorder.phase('plan') as counts:
        reversal = retried(partial(reversal_of, source), Message('reading the objects of NetBox'))
        counts['changes'] = len(reversal.changes)
    watch.check()
    plan = Plan(changes=reversal.changes)
    recorder.log.open_changes(plan.counts)
    validation = Validation(run, recorder, watch, RevertObjectWriter)
    plan = validation.validated(plan)
    bindings = retried(partial(load_bindings, run.endpoint), Message('reading bindings'))
    refusal = why_unsafe_revert(plan.changes, bindings, run.endpoint.change_limit)
    recorder.planned(Plan(changes=plan.changes, refusal=refusal))
    recorder.store_rejected((each.change, each.message) for each in validation.rejections)
    left = [*reversal.left, *(Left(each.change, each.message) for each in validation.outdated)]
    for batch in batched(left, ROWS_AT_ONCE):
        recorder.store_left([(each.change, each.reason) for each in batch])
    report(recorder, left, refusal)
    retained = retried(
        partial(created_shared_objects, run.endpoint, source.request_id), Message('reading the objects of NetBox')
    )
    report_retained(recorder, retained)
    return Ending(RunStatusChoices.COMPLETED)


def report(recorder: RunRecorder, left: list[Left], refusal: Message) -> None:
    """Record what the plan leaves out, and why it requires approval."""
    if left:
        text = counted(
            '{number} change of the run cannot be reverted and is left unchanged.',
            '{number} changes of the run cannot be reverted and are left unchanged.',
            len(left),
        )
        recorder.warn('plan', text, Message('The reasons are at these changes.'))
    if refusal:
        recorder.warn('plan', refusal)


def report_retained(recorder: RunRecorder, names: list[str]) -> None:
    """
    Record which shared objects remain that the run has created.

    Args:
        names: Of the objects, for display.
    """
    if not names:
        return
    shown = joined(names[:NAMES_SHOWN], ', ')
    if len(names) > NAMES_SHOWN:
        shown = Message('{names} and {number} more', names=shown, number=len(names) - NAMES_SHOWN)
    recorder.warn(
        'plan',
        Message(
            'The run created these objects, which a revert retains, because others may use them: {names}.', names=shown
        ),
        Message('Delete those in NetBox that are no longer used.'),
    )


def reversal_of(source: SyncRun) -> Reversal:
    """What undoes a run, according to its changes and to what NetBox contains now."""
    changes: list[Change] = [change_of(row) for row in written_rows(source).order_by('position').iterator()]
    written = load_written(source.endpoint, changes, source.request_id)
    return invert(written.changes, written.present)
