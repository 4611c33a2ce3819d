"""Applies a plan to NetBox. Only this code writes NetBox's objects for a sync."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from typing import Protocol
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from rq.timeouts import JobTimeoutException
from utilities.exceptions import AbortRequest

from .. import branching
from ..choices import ChangeOutcomeChoices
from ..models.users import AnyUser
from ..proxmox.messages import Message, as_is, joined
from ..sync.changes import Action, Change
from ..sync.values import Pointer, Shared, Value, encode_all
from .binding_keys import rekey
from .bindings import delete_bindings, store_values
from .bulk.writer import BulkWriter, kind_of_created
from .database import ATTEMPTS, DatabaseBusyError, is_lost, pause, reason_of, retried
from .errors import OutdatedError, UnresolvedError
from .objects import ObjectWriter
from .results import Result, combined, explain
from .tracking import EventsNotSentError, savepoint, tracking, transaction

__all__ = ('AnyPlan', 'Result', 'Writer', 'units_of')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# NetBox queues a job for its search index with every commit, and a long transaction holds locks that users wait for.
UNITS_PER_TRANSACTION = 50
# Guests and nodes that are created together take less time, and lock nothing that users wait for.
CREATED_PER_TRANSACTION = 200
# For fewer objects, that takes as many statements as creating them one by one.
FEWEST_TOGETHER = 10

# What NetBox, its validators and its database raise for a single object.
REFUSALS = (ValidationError, AbortRequest, ProtectedError, RestrictedError, DatabaseError)
# These concern the whole transaction: the database is busy, the connection or the branch is lost, or the job has
# exceeded its time limit.
OF_TRANSACTION = (OperationalError, InterfaceError, JobTimeoutException, branching.BranchUnusableError)


class AnyPlan(Protocol):
    """The parts of a plan that a writer needs, whether the plan was made just now (`Plan`) or stored (`StoredPlan`)."""

    @property
    def changes(self) -> Iterable[Change]:
        """As `Plan.changes`."""

    @property
    def refreshed(self) -> Mapping[int, Mapping[str, Value]]:
        """As `Plan.refreshed`."""

    @property
    def forgotten(self) -> tuple[int, ...]:
        """As `Plan.forgotten`."""

    @property
    def rekeyed(self) -> Mapping[int, tuple[str, str]]:
        """As `Plan.rekeyed`."""

    @property
    def shared(self) -> Mapping[Shared, Pointer]:
        """As `Plan.shared`."""


class Writer:
    """
    Applies plans.

    A transaction that fails because of concurrent transactions (a deadlock, a locked row, ...) is repeated. If it fails
    each time, its units are written one by one, so that only those fail that cannot be written.

    Args:
        objects: Writes the single objects.
        user, request_id: For the entries of the change log.
        record: Called within each transaction with its results, so that the record of the run commits with it.
        stopped: Whether the run was canceled. Called before each unit.
        quiet: Whether event rules are not notified of what is written.
        reverting: Takes the units of a transaction and returns a context manager around it, which undoes what `record`
            has noted in memory if it fails.
        record_failed: As `record`, for units that could not be written. It must not need their rows.
        warn: Called with a subject and a message, for a warning of the run.
    """

    def __init__(
        self,
        objects: ObjectWriter,
        user: AnyUser,
        request_id: UUID,
        record: Callable[[list[Result]], None],
        stopped: Callable[[], bool] = lambda: False,
        quiet: bool = False,
        reverting: Callable[[list[str]], AbstractContextManager[None]] = lambda units: nullcontext(),
        record_failed: Callable[[list[Result]], None] | None = None,
        warn: Callable[[str, Message], None] = lambda subject, message: None,
    ) -> None:
        self.objects = objects
        self.user = user
        self.request_id = request_id
        self.record = record
        self.stopped = stopped
        # Whether anything of the current unit was written.
        self.has_written = False
        self.quiet = quiet
        self.bulk = BulkWriter(objects, quiet)
        self.reverting = reverting
        self.record_failed = record_failed or record
        self.warn = warn
        # The units of the current transaction that were not written because the run was stopped.
        self.unwritten: list[list[Change]] = []

    def apply(self, plan: AnyPlan) -> None:
        """
        Apply a plan, unit by unit. A change that NetBox refuses is recorded, and the next one is written. If the run is
        stopped, the units that were written remain, and the others are recorded as not written.

        Raises:
            OperationalError, InterfaceError, JobTimeoutException, BranchUnusableError: What was committed before
                remains, as complete units.
            DatabaseBusyError: Likewise; results could not be recorded.
        """
        self.begin(plan)
        units = units_of(plan)
        while units and not self.stopped():
            units.extendleft(reversed(self.write_group(list(self.next_group(units)))))
        if units:
            unwritten = [Result(change, ChangeOutcomeChoices.CANCELED) for change in chain.from_iterable(units)]
            retried(partial(self.commit, unwritten), Message('recording the run'))
            return
        self.keep_bindings(plan)

    def begin(self, plan: AnyPlan) -> None:
        """Write what the changes of a plan rely on: the new keys of bindings, and shared objects found by name."""
        if rekeyed := plan.rekeyed:
            retried(partial(rekey, self.objects.endpoint, rekeyed), Message('renaming bindings'))
            retried(self.objects.load, Message('reading bindings'))
        if shared := plan.shared:
            # First: the objects that are written next refer to them.
            retried(partial(self.objects.remember_shared, shared), Message('remembering shared objects'))
        retried(lambda: self.objects.expect(plan.changes), Message('reading bindings'))

    def next_group(self, units: deque[list[Change]]) -> Iterator[list[Change]]:
        """Take the units of the next transaction. Only some of them are written object by object."""
        one_by_one = 0
        for _number in range(CREATED_PER_TRANSACTION):
            if units and not self.created_together(units[0]):
                one_by_one += 1
            if not units or one_by_one > UNITS_PER_TRANSACTION:
                return
            yield units.popleft()

    def created_together(self, changes: list[Change]) -> str:
        """The kind of a unit that may be created together with others of that kind; '' for other units."""
        kind = kind_of_created(changes)
        return kind if kind and self.bulk.is_usable(kind) else ''

    def write_group(self, units: list[list[Change]]) -> list[list[Change]]:
        """
        Write units in one transaction, or one by one if that fails each time.

        Returns:
            Those that were not written because the run was stopped.
        """
        try:
            return self.write_together(units)
        except DatabaseBusyError as error:
            if len(units) == 1:
                self.give_up(units[0], as_is(str(error)))
                return []
        for number, unit in enumerate(units):
            if self.stopped():
                return units[number:]
            if unwritten := self.write_group([unit]):
                return [*unwritten, *units[number + 1 :]]
        return []

    def write_together(self, units: list[list[Change]]) -> list[list[Change]]:
        """
        Write units in one transaction, which is repeated if it fails because of concurrent transactions.

        Returns:
            Those that were not written because the run was stopped.

        Raises:
            DatabaseBusyError: The transaction failed each time. Nothing of it was written.
        """
        try:
            with tracking(self.user, self.request_id, self.quiet):
                return self.attempts(units)
        except EventsNotSentError as error:
            logger.exception(f'Event rules were not notified of changes to {units[0][0].unit} and others')
            message = Message(
                'Some events could not be sent: {reason}. The written changes are retained.',
                reason=reason_of(error.__cause__ or error),
            )
            self.warn('events', message)
            return self.unwritten

    def attempts(self, units: list[list[Change]]) -> list[list[Change]]:
        """Try to write units in one transaction, up to `ATTEMPTS` times."""
        names = [changes[0].unit for changes in units]
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                pause(attempt - 1)
                # Users may have made decisions about guests meanwhile.
                retried(self.objects.load, Message('reading bindings'))
            try:
                self.objects.begin_transaction()
                with self.objects.journal.reverting(), self.reverting(names), transaction():
                    results, self.unwritten = self.write_units(units)
                    self.record(results)
            except DatabaseError as error:
                # Also at the commit, when foreign keys are checked: a referenced object was deleted meanwhile.
                if is_lost(error):
                    raise
                failure = error
                logger.warning(f'Attempt {attempt} to write {len(units)} units failed: {reason_of(error)}')
            else:
                self.objects.journal.forget()
                return self.unwritten
        raise DatabaseBusyError(reason_of(failure)) from failure

    def write_units(self, units: list[list[Change]]) -> tuple[list[Result], list[list[Change]]]:
        """The results, and the units that were not written because the run was stopped."""
        results: list[Result] = []
        unwritten: list[list[Change]] = []
        # Nodes before guests, which refer to them.
        for kind, group in groupby(units, key=self.created_together):
            found = list(group)
            goes_on = not unwritten and not self.stopped()
            is_worth_it = sum(map(len, found)) >= FEWEST_TOGETHER
            created = self.bulk.write(found) if kind and goes_on and is_worth_it else {}
            for changes in found:
                if changes[0].unit in created:
                    results += created[changes[0].unit]
                elif unwritten or self.stopped():
                    unwritten.append(changes)
                else:
                    results += self.apply_unit(changes)
        return results, unwritten

    def give_up(self, changes: list[Change], reason: Message) -> None:
        """Record that a unit could not be written because the database was busy."""
        message = Message('{name} was not written: {reason}. Run the sync again.', name=name_of(changes), reason=reason)
        results = [
            Result(change, ChangeOutcomeChoices.SKIPPED)
            if change.action is Action.CONFLICT
            else Result(change, ChangeOutcomeChoices.FAILED, message)
            for change in changes
        ]
        try:
            retried(partial(self.commit, results), Message('recording the run'))
        except DatabaseBusyError:
            # The transaction that has locked the rows of the object may have locked that of the guest, too.
            retried(partial(self.commit, results, record=self.record_failed), Message('recording the run'))

    def commit(self, results: list[Result], record: Callable[[list[Result]], None] | None = None) -> None:
        """Record results in a transaction of their own."""
        with self.reverting([result.change.unit for result in results]), branching.atomic():
            (record or self.record)(results)

    def keep_bindings(self, plan: AnyPlan) -> None:
        """Update bindings of objects that need no write, and delete those of objects that are gone."""
        refreshed = {pk: encode_all(values) for pk, values in plan.refreshed.items()}
        try:
            retried(partial(store_values, refreshed), Message('updating bindings'))
        except DatabaseBusyError:
            for pk, values in refreshed.items():
                self.attempt_binding(partial(store_values, {pk: values}))
        self.attempt_binding(partial(delete_bindings, plan.forgotten))

    def attempt_binding(self, work: Callable[[], None]) -> None:
        """Update bindings; a warning if the database does not allow it now."""
        try:
            retried(work, Message('updating bindings'))
        except DatabaseBusyError as error:
            self.warn('bindings', joined((error, Message('The next run updates them.'))))

    def apply_unit(self, changes: list[Change]) -> list[Result]:
        """
        Write one root object with its parts: first what Proxmox VE has, then the fields that point to objects of the
        same unit, then what is gone.

        Returns:
            The results, in the order of the changes.
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
                results[index] = combined(result, self.write_late(result.change, late))
        for index, change in enumerate(changes):
            if change.action.removes_object:
                results[index] = self.attempt(change, self.write)
        if self.has_written:
            # The stamp of the root object is the time of the last change of any of its parts.
            self.attempt(changes[0], self.objects.stamp_unit)
        return [results[index] for index in range(len(changes))]

    def write(self, change: Change) -> list[str]:
        """Write a change, but for its late fields; the fields that were not written because they were edited."""
        self.objects.check(change)
        match change.action:
            case Action.CREATE:
                self.objects.create(change)
                return []
            case Action.RELEASE:
                return self.objects.release(change)
            case Action.DELETE:
                self.objects.delete(change)
                return []
            case _:
                return self.objects.update(change)

    def write_late(self, change: Change, names: list[str]) -> Result:
        """Write the late fields of a change: all at once, and one by one if NetBox refuses that."""
        whole = self.attempt(change, partial(self.objects.write_late, names=names))
        if whole.outcome != ChangeOutcomeChoices.FAILED or whole.pointer or len(names) == 1:
            return whole if whole.pointer else replace(whole, unwritten=frozenset(names))
        result, pending = whole, set(names)
        for name in names:
            one = self.attempt(change, partial(self.objects.write_late, names=[name], pending=pending - {name}))
            if one.pointer:
                pending.discard(name)
            result = one if result is whole else combined(result, one)
        return replace(result, unwritten=frozenset(pending))

    def attempt(self, change: Change, write: Callable[[Change], list[str] | None]) -> Result:
        """
        Try a write within a savepoint.

        Args:
            write: Returns the fields that were not written because they were edited.
        """
        try:
            refused = self.objects.begin_change(change)
            with self.objects.journal.reverting(), savepoint():
                outdated = write(change) or []
        except OF_TRANSACTION:
            raise
        except OutdatedError as error:
            return Result(change, ChangeOutcomeChoices.OUTDATED, as_is(str(error)))
        except UnresolvedError as error:
            return Result(change, ChangeOutcomeChoices.SKIPPED, as_is(str(error)))
        except REFUSALS as error:
            return Result(change, ChangeOutcomeChoices.FAILED, explain(error))
        except Exception as error:
            # A bug in this plugin must not keep the other objects from being written.
            logger.exception(f'Writing {change.kind} {change.key} failed')
            return Result(change, ChangeOutcomeChoices.FAILED, as_is(f'{type(error).__name__}: {error}'))
        self.has_written |= self.objects.has_written
        if outdated:
            message = Message(
                'Not written, because they were edited in NetBox since the plan was created: {names}.',
                names=joined(outdated, ', '),
            )
            return Result(change, ChangeOutcomeChoices.OUTDATED, message)
        pointer = self.objects.written_object(change)
        if limited := self.objects.unassignable_tags:
            message = Message(
                'Written without these tags, which are limited to other object types since the plan was created: '
                '{tags}.',
                tags=joined(sorted(tag.label for tag in limited), ', '),
            )
            return Result(change, ChangeOutcomeChoices.OUTDATED, message, pointer)
        if refused:
            message = joined(
                (Message('{field}: {reason}', field=name, reason=explain(error)) for name, error in refused.items()),
                '; ',
            )
            return Result(change, ChangeOutcomeChoices.FAILED, message, pointer, lacking=self.objects.lacking(change))
        return Result(change, ChangeOutcomeChoices.APPLIED, pointer=pointer)


def units_of(plan: AnyPlan) -> deque[list[Change]]:
    """The changes of a plan, by unit. A unit with removals occurs twice, because removals are written last."""
    return deque(list(changes) for _unit, changes in groupby(plan.changes, key=lambda change: change.unit))


def name_of(changes: list[Change]) -> Message:
    """The display name of a unit."""
    root = changes[0]
    if not root.unit:
        return as_is(root.label) if root.label else Message('The cluster')
    return as_is(f'{root.label} ({root.unit})' if root.label and root.key == root.unit else root.unit)
