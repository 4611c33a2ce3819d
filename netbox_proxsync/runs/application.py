"""Applies a plan, records the result of each change, and sums the results up."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from django.utils import timezone

from ..choices import ChangeOutcomeChoices, ObjectEventsChoices, RunModeChoices, RunStatusChoices
from ..ledger.database import retried
from ..ledger.guests import GuestStateRecorder
from ..ledger.objects import ObjectWriter
from ..ledger.revert_objects import RevertObjectWriter
from ..ledger.writer import Result, Writer
from ..models import SyncRun
from ..models.users import service_user
from ..proxmox.messages import Message, counted
from ..sync.changes import Plan
from ..sync.guest_states import Pending
from ..sync.kinds import KINDS
from .cancellation import CancelWatch
from .endings import Ending
from .recorder import RunRecorder
from .stored_plans import StoredPlan

__all__ = ('Application', 'is_quiet')

# core.ObjectChange.message
MESSAGE_LENGTH = 200
REFUSED_REMEDY = Message(
    'Check the custom validators, the custom fields and the objects in the message. The next run tries it again.'
)


@dataclass
class Tally:
    """
    What has become of the changes of a plan.

    Attributes:
        applied: The number of changes that were written, at least in part.
        failed: What NetBox has refused, by kind and message, with the number of changes.
    """

    applied: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, results: Iterable[Result]) -> None:
        """Count results."""
        for result in results:
            is_failed = result.outcome == ChangeOutcomeChoices.FAILED
            if is_failed:
                self.failed[result.change.kind, result.message] += 1
            if result.outcome == ChangeOutcomeChoices.APPLIED or (is_failed and result.pointer):
                self.applied += 1

    @property
    def ending(self) -> Ending:
        """How the run ends."""
        if not self.failed:
            return Ending(RunStatusChoices.COMPLETED)
        # Without the reasons: they may name machines that not everybody may view.
        number = sum(self.failed.values())
        if self.applied:
            text = counted('{number} change could not be written.', '{number} changes could not be written.', number)
            return Ending(RunStatusChoices.ERRORS, text)
        text = counted(
            'Nothing was written: the only change failed.',
            'Nothing was written: all {number} changes failed.',
            number,
        )
        return Ending(RunStatusChoices.FAILED, text)

    def repeated_failures(self) -> Iterator[tuple[str, Message]]:
        """What was refused more than once for the same reason: the plural of the kind, and a message."""
        for (kind, _message), number in self.failed.most_common():
            if number > 1:
                plural = KINDS[kind].plural if kind in KINDS else kind
                # Without the reason: it may name machines that not every reader of the run may view.
                yield (
                    plural,
                    Message(
                        'NetBox rejected {number} changes for the same reason ({objects}). See these changes.',
                        number=number,
                        objects=plural,
                    ),
                )


class Application:
    """
    Applies the plan of a run.

    Args:
        guests: Records the state of the guests as their changes are written.

    Attributes:
        stopped: Whether the run was canceled before all of the plan was written.
    """

    def __init__(self, run: SyncRun, recorder: RunRecorder, watch: CancelWatch, guests: GuestStateRecorder) -> None:
        self.run = run
        self.recorder = recorder
        self.watch = watch
        self.guests = guests
        self.tally = Tally()
        self.stopped = False

    def apply(self, plan: Plan | StoredPlan) -> Ending:
        """
        Write a plan to NetBox.

        Returns:
            How the run ends, unless it was stopped.

        Raises:
            DatabaseBusyError, OperationalError, InterfaceError, JobTimeoutException, BranchUnusableError: As
                `Writer.apply`.
        """
        with self.recorder.phase('apply') as counts:
            self.recorder.applying(plan)
            if not (isinstance(plan, Plan) and plan.is_empty):
                self.writer().apply(plan)
            counts.update(changes=self.recorder.changes, applied=self.tally.applied, failed=self.tally.failed.total())
        self.recorder.log.refusals(self.tally.failed)
        for plural, text in self.tally.repeated_failures():
            self.recorder.warn(plural, text, REFUSED_REMEDY)
        self.stopped = self.watch.canceled()
        return self.tally.ending

    def writer(self) -> Writer:
        """What writes the plan, as the user of the run."""
        run = self.run
        origin = f' (plan of run {run.applies_id})' if run.applies_id else ''
        is_revert = run.applies is not None and run.applies.mode == RunModeChoices.REVERT
        what = f'Revert of run {run.applies.reverts_id}' if run.applies and is_revert else 'Proxmox VE sync'
        message = f'{what} of {run.endpoint}, run {run.pk}{origin}'
        planned = (run.applies or run).started
        make = partial(
            RevertObjectWriter if is_revert else ObjectWriter,
            run.endpoint,
            message[:MESSAGE_LENGTH],
            timezone.now(),
            planned,
        )
        return Writer(
            retried(make, Message('reading bindings')),
            run.user or retried(service_user, Message('reading users')),
            run.request_id,
            self.record,
            self.watch.canceled,
            quiet=retried(partial(is_quiet, run), Message('reading runs')),
            reverting=self.reverting,
            record_failed=self.record_changes,
            warn=self.recorder.warn,
        )

    def record(self, results: list[Result]) -> None:
        """Record results and the state of their guests, within the transaction that has written them."""
        self.record_changes(results)
        self.guests.record_units({result.change.unit for result in results})

    def record_changes(self, results: list[Result]) -> None:
        """Record results without the rows of their guests, which may be locked."""
        self.recorder.applied(results)
        self.tally.add(results)
        for result in results:
            self.guests.standings.set_outcome(result.change, pending_of(result))

    @contextmanager
    def reverting(self, units: list[str]) -> Iterator[None]:
        """Around a transaction: if it fails, undo what was recorded in memory for these units."""
        position, put_back = self.recorder.position, self.guests.standings.savepoint(units)
        applied_before, failed_before = self.tally.applied, self.tally.failed.copy()
        try:
            yield
        except BaseException:
            self.recorder.position = position
            put_back()
            self.tally.applied, self.tally.failed = applied_before, failed_before
            raise


def is_quiet(run: SyncRun) -> bool:
    """Whether the endpoint's setting keeps event rules from being notified of the objects that this run writes."""
    match run.endpoint.object_events:
        case ObjectEventsChoices.NEVER:
            return True
        case ObjectEventsChoices.LATER:
            # Runs for some guests, tried out before, are not the first sync of the cluster.
            whole = run.endpoint.runs.filter(
                vmids__isnull=True, units__isnull=True, actions__isnull=True, branch_id__in=('', run.branch_id)
            )
            synced = whole.exclude(mode__in=RunModeChoices.PLANNING).filter(status__in=RunStatusChoices.DONE)
            return not synced.exists()
    return False


def pending_of(result: Result) -> Pending | None:
    """What of a change is not in NetBox after it was tried; None: all of it is."""
    match result.outcome:
        case ChangeOutcomeChoices.APPLIED:
            return None
        case ChangeOutcomeChoices.OUTDATED:
            return Pending(result.change, note=result.message)
        case ChangeOutcomeChoices.CANCELED:
            return Pending(result.change, note=Message('The run was canceled before this change.'))
        case _:
            return Pending(result.change, failure=result.message)
