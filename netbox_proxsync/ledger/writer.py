"""Plan -> NetBox. The only code that writes NetBox's objects on behalf of a sync."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from typing import Protocol
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.utils.translation import gettext as _
from rq.timeouts import JobTimeoutException
from utilities.exceptions import AbortRequest

from .. import branching
from ..choices import ChangeOutcomeChoices
from ..models import Binding
from ..models.users import AnyUser
from ..sync.changes import Action, Change
from ..sync.values import Pointer, Shared, Value, encode_all
from .binding_keys import rekey
from .database import ATTEMPTS, DatabaseBusy, is_lost, pause, reason_of, retried
from .objects import ObjectWriter, Outdated, Unresolved
from .tracking import EventsNotSent, savepoint, tracking, transaction

__all__ = ('Result', 'Writer')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# NetBox queues a job for its search index with every commit, and a long transaction holds locks that people wait for.
UNITS_PER_TRANSACTION = 50

# What NetBox, its rules and its database say about one object.
REFUSALS = (ValidationError, AbortRequest, ProtectedError, RestrictedError, DatabaseError)
# They concern the whole transaction: the database cannot do it now, the connection or the branch is gone, or the job
# has taken too long.
OF_TRANSACTION = (OperationalError, InterfaceError, JobTimeoutException, branching.BranchUnusable)


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of a change.

    Attributes:
        outcome: One of `ChangeOutcomeChoices`.
        message: Why, if it was not applied whole.
        pointer: The object that was written; None if there is none (any more).
    """

    change: Change
    outcome: str
    message: str = ''
    pointer: Pointer | None = None


class AnyPlan(Protocol):
    """What a plan must tell, whether it was made just now or stored."""

    changes: Iterable[Change]
    refreshed: Mapping[int, Mapping[str, Value]]
    forgotten: tuple[int, ...]
    rekeyed: Mapping[int, tuple[str, str]]
    shared: Mapping[Shared, Pointer]


class Writer:
    """
    Applies plans.

    A transaction that the database does not carry out because of what others do at the same time (a deadlock, a locked
    row, ...) is repeated. If that does not help, its units are written one by one, and only those fail that cannot be
    written.

    Args:
        objects: Writes the single objects.
        user, request_id: Whose the entries of the change log are, and what ties them together.
        record: Called within each transaction with what it has done, so that the record of the run commits with it.
        stopped: Whether the run was cancelled. Asked before each unit.
        quiet: Whether event rules are not to hear of what is written.
        reverting: Takes some units; a context around each transaction, which takes back what `record` has noted in
            memory if it fails.
        record_failed: `record`, for units that could not be written. It must not need their rows.
        warn: Called with a subject and a message, for what people should know besides.
    """

    def __init__(
        self,
        objects: ObjectWriter,
        user: AnyUser,
        request_id: UUID,
        record: Callable[[list[Result]], None],
        stopped: Callable[[], bool] = lambda: False,
        quiet: bool = False,
        reverting: Callable[[list[str]], AbstractContextManager[None]] = nullcontext,
        record_failed: Callable[[list[Result]], None] | None = None,
        warn: Callable[[str, str], None] = lambda subject, message: None,
    ) -> None:
        self.objects = objects
        self.user = user
        self.request_id = request_id
        self.record = record
        self.stopped = stopped
        # Whether anything of the unit in hand was written.
        self.has_written = False
        self.quiet = quiet
        self.reverting = reverting
        self.record_failed = record_failed or record
        self.warn = warn

    def apply(self, plan: AnyPlan) -> None:
        """
        Apply a plan, unit by unit. A change that NetBox refuses is recorded, and the rest goes on. When it is stopped,
        what was written stays, as whole units, and the rest is recorded as not written.

        Raises:
            OperationalError, InterfaceError, JobTimeoutException, BranchUnusable: What was committed before stays, as
                whole units.
            DatabaseBusy: Likewise; not even that could be recorded.
        """
        if rekeyed := plan.rekeyed:
            retried(partial(rekey, self.objects.endpoint, rekeyed), _('renaming bindings'))
            retried(self.objects.load, _('reading bindings'))
        if shared := plan.shared:
            # First: the objects that are written next refer to them.
            retried(partial(self.remember_shared, shared), _('remembering shared objects'))
        self.objects.aside.expect(plan.changes)
        units = deque(list(changes) for _unit, changes in groupby(plan.changes, key=lambda change: change.unit))
        while units and not self.stopped():
            group = [units.popleft() for _number in range(min(UNITS_PER_TRANSACTION, len(units)))]
            units.extendleft(reversed(self.write_group(group)))
        if units:
            left = [Result(change, ChangeOutcomeChoices.CANCELLED) for change in chain.from_iterable(units)]
            retried(partial(self.commit, left), _('recording the run'))
            return
        self.keep_bindings(plan)

    def remember_shared(self, shared: Mapping[Shared, Pointer]) -> None:
        with branching.atomic():
            self.objects.shared_objects.remember(shared)

    def write_group(self, units: list[list[Change]]) -> list[list[Change]]:
        """
        Write units in one transaction, or one by one if the database does not carry that out.

        Returns:
            Those that were left because the run was stopped.
        """
        try:
            return self.write_together(units)
        except DatabaseBusy as error:
            if len(units) == 1:
                self.give_up(units[0], str(error))
                return []
        for number, unit in enumerate(units):
            if self.stopped():
                return units[number:]
            if left := self.write_group([unit]):
                return [*left, *units[number + 1 :]]
        return []

    def write_together(self, units: list[list[Change]]) -> list[list[Change]]:
        """
        Write units in one transaction, which is repeated if the database does not carry it out.

        Returns:
            Those that were left because the run was stopped.

        Raises:
            DatabaseBusy: The transaction failed each time. Nothing of it was written.
        """
        try:
            with tracking(self.user, self.request_id, self.quiet):
                return self.attempts(units)
        except EventsNotSent as error:
            logger.exception(f'Event rules were not told what {units[0][0].unit} and others became')
            message = _('Some events could not be sent, because {reason}. What was written stays.')
            self.warn('events', message.format(reason=reason_of(error.__cause__)))
            return self.left

    def attempts(self, units: list[list[Change]]) -> list[list[Change]]:
        names = [changes[0].unit for changes in units]
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                pause(attempt - 1)
                # People may have decided about guests meanwhile.
                retried(self.objects.load, _('reading bindings'))
            try:
                self.objects.newcomers.forget()
                with self.objects.journal.reverting(), self.reverting(names), transaction():
                    results, self.left = self.write_units(units)
                    self.record(results)
            except DatabaseError as error:
                # Also at the commit, when foreign keys are checked: what an object needs was deleted meanwhile.
                if is_lost(error):
                    raise
                failure = error
                logger.warning(f'Attempt {attempt} to write {len(units)} units failed: {reason_of(error)}')
            else:
                self.objects.journal.forget()
                return self.left
        raise DatabaseBusy(reason_of(failure)) from failure

    def write_units(self, units: list[list[Change]]) -> tuple[list[Result], list[list[Change]]]:
        """What was done, and the units that were left because the run was stopped."""
        results: list[Result] = []
        for number, changes in enumerate(units):
            if self.stopped():
                return results, units[number:]
            results += self.apply_unit(changes)
        return results, []

    def give_up(self, changes: list[Change], reason: str) -> None:
        """Record that the database did not let a unit be written."""
        message = _('{name} was not written, because {reason}. Run the sync again.').format(
            name=name_of(changes), reason=reason
        )
        results = [
            Result(change, ChangeOutcomeChoices.SKIPPED)
            if change.action is Action.CONFLICT
            else Result(change, ChangeOutcomeChoices.FAILED, message)
            for change in changes
        ]
        try:
            retried(partial(self.commit, results), _('recording the run'))
        except DatabaseBusy:
            # Whoever holds the rows of the object may hold that of the guest, too.
            retried(partial(self.commit, results, record=self.record_failed), _('recording the run'))

    def commit(self, results: list[Result], record: Callable[[list[Result]], None] | None = None) -> None:
        """Record results in a transaction of their own."""
        with self.reverting([result.change.unit for result in results]), branching.atomic():
            (record or self.record)(results)

    def keep_bindings(self, plan: AnyPlan) -> None:
        """Remember what is in NetBox already, and forget what is gone."""
        refreshed = {pk: encode_all(values) for pk, values in plan.refreshed.items()}
        try:
            retried(partial(refresh, refreshed), _('updating bindings'))
        except DatabaseBusy:
            for pk, values in refreshed.items():
                self.attempt_binding(partial(refresh, {pk: values}))
        self.attempt_binding(partial(forget, plan.forgotten))

    def attempt_binding(self, work: Callable[[], None]) -> None:
        try:
            retried(work, _('updating bindings'))
        except DatabaseBusy as error:
            self.warn('bindings', _('{error} Nothing is lost: the next run does it.').format(error=error))

    def apply_unit(self, changes: list[Change]) -> list[Result]:
        """
        Write one root object with its parts: first what is there, then what points from the root to its parts, then
        what is gone.
        """
        self.has_written = False
        results: dict[int, Result] = {}
        for index, change in enumerate(changes):
            if change.action.is_open:
                results[index] = Result(change, ChangeOutcomeChoices.SKIPPED)
            elif not change.action.removes_object:
                results[index] = self.attempt(change, self.write)
        for index, result in list(results.items()):
            late = [field.name for field in result.change.writes if field.deferred]
            if late and result.pointer:
                results[index] = merge(result, self.write_late(result.change, late))
        for index, change in enumerate(changes):
            if change.action.removes_object:
                results[index] = self.attempt(change, self.write)
        if self.has_written:
            # The root bears the moment of the last change of any of its parts.
            self.attempt(changes[0], self.objects.stamp_unit)
        return [results[index] for index in range(len(changes))]

    def write(self, change: Change) -> list[str] | None:
        self.objects.check(change)
        self.objects.aside.leaving.discard(change.pointer)
        match change.action:
            case Action.CREATE:
                return self.objects.create(change)
            case Action.RELEASE:
                return self.objects.release(change)
            case Action.DELETE:
                return self.objects.delete(change)
            case _:
                return self.objects.update(change)

    def write_late(self, change: Change, names: list[str]) -> Result:
        """Write what points from an object to others: all at once, and one by one if NetBox refuses that."""
        whole = self.attempt(change, partial(self.objects.write_late, names=names))
        if whole.outcome != ChangeOutcomeChoices.FAILED or whole.pointer or len(names) == 1:
            return whole
        result, left = None, set(names)
        for name in names:
            one = self.attempt(change, partial(self.objects.write_late, names=[name], left=left - {name}))
            if one.pointer:
                left.discard(name)
            result = merge(result, one) if result else one
        return result

    def attempt(self, change: Change, write: Callable[[Change], list[str] | None]) -> Result:
        """Try a write within a savepoint."""
        self.objects.has_written = False
        try:
            refused = self.objects.make_shared(change)
            with self.objects.journal.reverting(), savepoint():
                outdated = write(change) or []
        except OF_TRANSACTION:
            raise
        except Outdated as error:
            return Result(change, ChangeOutcomeChoices.OUTDATED, str(error))
        except Unresolved as error:
            return Result(change, ChangeOutcomeChoices.SKIPPED, str(error))
        except REFUSALS as error:
            return Result(change, ChangeOutcomeChoices.FAILED, explain(error))
        except Exception as error:
            # A bug of ours. It must not keep the other objects from being written.
            logger.exception(f'Writing {change.kind} {change.key} failed')
            return Result(change, ChangeOutcomeChoices.FAILED, f'{type(error).__name__}: {error}')
        self.has_written |= self.objects.has_written
        if outdated:
            message = _('Left as they are, because they were edited in NetBox since the plan was made: {names}.')
            return Result(change, ChangeOutcomeChoices.OUTDATED, message.format(names=', '.join(outdated)))
        pointer = self.objects.pointers.get((change.kind, change.key))
        if limited := self.objects.unassignable:
            message = _(
                'Written without these tags, which are limited to other object types since the plan was made: {tags}.'
            )
            tags = ', '.join(sorted(tag.label for tag in limited))
            return Result(change, ChangeOutcomeChoices.OUTDATED, message.format(tags=tags), pointer)
        if refused:
            left = '; '.join(f'{name}: {explain(error)}' for name, error in refused.items())
            return Result(change, ChangeOutcomeChoices.FAILED, left, pointer)
        return Result(change, ChangeOutcomeChoices.APPLIED, pointer=pointer)


def refresh(bindings: Mapping[int, Mapping[str, object]]) -> None:
    with branching.atomic():
        for pk, values in bindings.items():
            Binding.objects.filter(pk=pk).update(values=values)


def forget(bindings: Iterable[int]) -> None:
    with branching.atomic():
        Binding.objects.filter(pk__in=bindings).delete()


def name_of(changes: list[Change]) -> str:
    """What a unit is called, for people."""
    root = changes[0]
    if not root.unit:
        return root.label or _('The cluster')
    return f'{root.label} ({root.unit})' if root.label and root.key == root.unit else root.unit


def merge(first: Result, second: Result) -> Result:
    """Of two parts of one change: written whole only if both were; an object that is there, if either wrote it."""
    worse = first if second.outcome == ChangeOutcomeChoices.APPLIED else second
    messages = '; '.join(dict.fromkeys(filter(None, (first.message, second.message))))
    return replace(worse, message=messages, pointer=first.pointer or second.pointer)


def explain(error: Exception) -> str:
    """What NetBox said, for people."""
    if isinstance(error, ValidationError):
        return '; '.join(messages_of(error))
    if isinstance(error, ProtectedError | RestrictedError):
        objects = getattr(error, 'protected_objects', None) or getattr(error, 'restricted_objects', ())
        names = ', '.join(sorted(str(instance) for instance in objects)[:5])
        return _('NetBox keeps it from being deleted, because these depend on it: {names}').format(names=names)
    # A database error's second line quotes the statement's values.
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def messages_of(error: ValidationError) -> Iterator[str]:
    if not hasattr(error, 'error_dict'):
        yield from error.messages
        return
    for name, messages in error.message_dict.items():
        prefix = '' if name == '__all__' else f'{name}: '
        yield from (f'{prefix}{message}' for message in messages)
