"""Records a run while it is carried out: its row, its changes, and the state of its endpoint."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import batched
from threading import Lock
from time import monotonic
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from django.utils.translation import override

from ..choices import ChangeOutcomeChoices, EndpointStatusChoices, RunStatusChoices, WritePolicyChoices
from ..ledger.database import DatabaseBusyError, retried
from ..ledger.writer import Result
from ..models import PlannedBinding, ProxmoxEndpoint, SyncChange, SyncRun
from ..proxmox.inventory import Inventory, Notice
from ..proxmox.messages import EMPTY, Message, as_is, counted
from ..proxmox.token_history import TokenView
from ..sync.changes import Change, Plan
from ..sync.cluster_state import state_of
from ..sync.serialization import binding_as_json, fields_as_json
from ..sync.values import encode, encode_all
from ..wording import columns_of
from .log import RunLog
from .stored_plans import StoredPlan

__all__ = ('WITHHELD', 'RunRecorder')


LABEL_LENGTH = 200
ROWS_AT_ONCE = 1000
WITHHELD = Message('Withheld by the write policy of the endpoint.')


class RunRecorder:
    """
    Updates the row of a run while it is carried out, writes the rows of its changes, and logs its phases.

    What is saved is written by `flush`, which the thread that watches for cancellation calls once a second, and at the
    end of the run, with its status. So the number of statements does not depend on what the run does.

    Args:
        log: None: only the log of the worker is written.

    Attributes:
        position: The number of changes that are recorded, which is the position of the next one.
        saved: The columns of the run that were saved since it has started.
        saved_of_endpoint: The columns of the endpoint that the end of the run writes.
    """

    def __init__(self, run: SyncRun, log: RunLog | None = None) -> None:
        self.run = run
        self.log = log or RunLog(run)
        self.position = 0
        self.changes = 0
        self.saved: dict[str, Any] = {}
        self.saved_of_endpoint: dict[str, Any] = {}
        self._unwritten: dict[str, Any] = {}
        self._lock = Lock()

    def save(self, **values: Any) -> None:
        """Set columns of the run. They are written later."""
        for name, value in values.items():
            setattr(self.run, name, value)
        with self._lock:
            self.saved |= values
            self._unwritten |= values

    def flush(self) -> None:
        """Write the columns that were saved since the last call."""
        with self._lock:
            values, self._unwritten = self._unwritten, {}
        if values:
            SyncRun.objects.filter(pk=self.run.pk).update(**values)

    def start(self) -> bool:
        """Mark a queued run as running; False if it is not queued any more, because it was canceled."""
        started = timezone.now()
        queued = SyncRun.objects.filter(pk=self.run.pk, status=RunStatusChoices.QUEUED)
        if not retried(
            lambda: queued.update(status=RunStatusChoices.RUNNING, started=started), Message('recording the run')
        ):
            return False
        self.run.status, self.run.started = RunStatusChoices.RUNNING, started
        retried(partial(set_endpoint_status, self.run, EndpointStatusChoices.SYNCING), Message('updating the endpoint'))
        return True

    @contextmanager
    def phase(self, name: str) -> Iterator[Counter[str]]:
        """
        Record and log a phase of the run: 'collect', 'plan', 'validate', 'apply' or 'record'.

        Its seconds are added to those of an earlier phase of that name. Yields the counts that are logged at its end.
        """
        started, earlier = monotonic(), self.run.timings.get(name, 0)
        self.save(phase=name)
        counts: Counter[str] = Counter()
        try:
            yield counts
        except BaseException:
            self.log.phase_failed(name, monotonic() - started)
            raise
        else:
            self.log.phase(name, counts, monotonic() - started)
        finally:
            self.save(timings={**self.run.timings, name: round(earlier + monotonic() - started, 3)})

    def progress(self, done: int, total: int) -> None:
        """Record how much of the present phase is done."""
        self.save(phase=f'{self.run.phase.partition(" ")[0]} {done}/{total}')

    def called(self, calls: int) -> None:
        """Record the number of API calls."""
        self.save(calls=calls)

    def collected(self, inventory: Inventory) -> None:
        """Record what was read: guests, warnings, the state of the cluster, and what the token may see."""
        self.save(
            guests=len(inventory.guests),
            messages=[{'level': 'warning', **notice.as_json()} for notice in inventory.warnings],
        )
        self.found(inventory)
        if inventory.token_view:
            self.remember(inventory.token_view)

    def found(self, inventory: Inventory) -> None:
        """Update the state of the cluster, if it differs from the stored one."""
        endpoint = self.run.endpoint
        state = state_of(inventory, endpoint.cluster_state, self.run.started or timezone.now())
        if (endpoint.pve_version, endpoint.cluster_state) != (inventory.version, state):
            self.update_endpoint(pve_version=inventory.version, cluster_state=state)

    def remember(self, token_view: TokenView) -> None:
        """What the token can see, unless the endpoint has another token now."""
        endpoint = self.run.endpoint
        history = endpoint.known_token_history.updated_with(token_view, timezone.localdate().isoformat()).data
        if history != endpoint.token_history and not endpoint.has_new_token():
            self.update_endpoint(token_history=history)

    def update_endpoint(self, **values: Any) -> None:
        """Update columns of the endpoint without an entry in the change log."""
        endpoint = ProxmoxEndpoint.objects.filter(pk=self.run.endpoint_id)
        retried(lambda: endpoint.update(**values), Message('updating the endpoint'))

    def warn(self, subject: str, message: Message, remedy: Message = EMPTY, is_fault: bool = False) -> None:
        """
        Record a warning.

        Args:
            is_fault: It is about a fault in the configuration of Proxmox VE, which users can acknowledge. An
                acknowledged fault is not a warning.
        """
        notice = Notice(subject=subject, message=message, remedy=remedy)
        entry = {'level': 'warning', **notice.as_json()}
        if is_fault:
            entry['fault'] = True
            entry['level'] = 'info' if self.run.endpoint.acknowledgment_of(entry) else 'warning'
        self.save(messages=[*self.run.messages, entry])

    def attempt(self, work: Callable[[], None], doing: Message) -> None:
        """Do something that the next run does as well if the database does not allow it now; then it is a warning."""
        try:
            retried(work, doing)
        except DatabaseBusyError as error:
            self.warn('database', as_is(str(error)))

    def planned(self, plan: Plan) -> None:
        """Store a plan that is not applied, so that it can be applied later."""
        shared = [[encode(value), pointer.pk] for value, pointer in plan.shared.items()]
        self.save(counts=plan.counts, **columns_of(refusal=plan.refusal), shared_objects=shared)
        for changes in batched(plan.changes, ROWS_AT_ONCE):
            self.store([Result(change, ChangeOutcomeChoices.PLANNED) for change in changes])
        for rows in batched(planned_bindings(self.run, plan), ROWS_AT_ONCE):
            retried(partial(PlannedBinding.objects.bulk_create, rows), Message('recording the run'))

    def applying(self, plan: Plan | StoredPlan) -> None:
        """Record the counts of a plan that is about to be applied."""
        self.save(counts=plan.counts)
        self.changes = sum(sum(actions.values()) for actions in plan.counts.values())

    def applied(self, results: list[Result]) -> None:
        """Record the results of changes."""
        self.store(results)
        self.progress(self.position, self.changes)

    def withheld(self, number: int, endpoint: ProxmoxEndpoint) -> None:
        """Report how many changes the write policy of the endpoint withholds, as information."""
        if not number:
            return
        notice = Notice(
            subject='write policy',
            message=counted(
                '{number} change is withheld by the write policy "{policy}".',
                '{number} changes are withheld by the write policy "{policy}".',
                number,
                policy=label_of_policy(endpoint.write_policy),
            ),
            remedy=Message('Change the write policy of the endpoint to write them.'),
        )
        self.save(messages=[*self.run.messages, {'level': 'info', **notice.as_json()}])

    def store_withheld(self, changes: Sequence[Change]) -> None:
        """Write the rows of changes that the write policy withholds."""
        for batch in batched(changes, ROWS_AT_ONCE):
            self.store([Result(change, ChangeOutcomeChoices.WITHHELD, message=WITHHELD) for change in batch])

    def store_rejected(self, rejections: Iterable[tuple[Change, Message]]) -> None:
        """Write the rows of changes that NetBox rejects, with the reasons. They are no part of the stored plan."""
        for batch in batched(rejections, ROWS_AT_ONCE):
            self.store([Result(change, ChangeOutcomeChoices.REJECTED, message) for change, message in batch])

    def store_left(self, left: Iterable[tuple[Change, Message]]) -> None:
        """Write the rows of changes that cannot be reverted, with the reasons. They are no part of the stored plan."""
        self.store([Result(change, ChangeOutcomeChoices.LEFT, message) for change, message in left])

    def store(self, results: list[Result]) -> None:
        """Write the rows of changes."""
        rows = [change_row(self.run, self.position + offset, result) for offset, result in enumerate(results)]
        retried(partial(SyncChange.objects.bulk_create, rows, batch_size=ROWS_AT_ONCE), Message('recording the run'))
        self.position += len(rows)


def label_of_policy(policy: str) -> Message:
    """The label of a write policy."""
    labels = dict(WritePolicyChoices)
    with override('en'):
        return Message(str(labels.get(policy, policy)))


def change_row(run: SyncRun, position: int, result: Result) -> SyncChange:
    """The row of a change."""
    change = result.change
    object_type = object_id = None
    if pointer := result.pointer or change.pointer:
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        object_id = pointer.pk
    return SyncChange(
        run=run,
        position=position,
        unit=change.unit,
        kind=change.kind,
        key=change.key,
        action=str(change.action),
        outcome=result.outcome,
        object_type=object_type,
        object_id=object_id,
        label=change.label[:LABEL_LENGTH],
        fields=fields_as_json(change),
        # Only needed for a plan that is applied later.
        binding=binding_as_json(change) if result.outcome == ChangeOutcomeChoices.PLANNED else None,
        **columns_of(reason=change.reason, message=result.message),
    )


def planned_bindings(run: SyncRun, plan: Plan) -> Iterator[PlannedBinding]:
    """The rows of the bindings that a plan changes without a change of their objects."""
    for pk, values in plan.refreshed.items():
        yield PlannedBinding(run=run, binding_id=pk, values=encode_all(values))
    for pk, (key, unit) in plan.rekeyed.items():
        yield PlannedBinding(run=run, binding_id=pk, key=key, unit=unit)
    for pk in plan.forgotten:
        yield PlannedBinding(run=run, binding_id=pk, forget=True)


def set_endpoint_status(run: SyncRun, status: str) -> None:
    """Set the status of the endpoint of a run, without an entry in the change log."""
    ProxmoxEndpoint.objects.filter(pk=run.endpoint_id).update(status=status)
