"""Records a run while it is carried out: its row, its changes, and the state of its endpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import batched
from time import monotonic
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import ChangeOutcomeChoices, EndpointStatusChoices, RunStatusChoices
from ..ledger.database import DatabaseBusy, retried
from ..ledger.writer import Result
from ..models import PlannedBinding, ProxmoxEndpoint, SyncChange, SyncRun
from ..proxmox.inventory import Inventory
from ..proxmox.token_history import TokenView
from ..sync.changes import Plan
from ..sync.cluster_state import state_of
from ..sync.serialization import binding_as_json, fields_as_json
from ..sync.values import encode, encode_all
from .stored_plans import StoredPlan

__all__ = ('RunRecorder',)


SECONDS_BETWEEN_SAVES = 1
LABEL_LENGTH = 200
ROWS_AT_ONCE = 1000


class RunRecorder:
    """Keeps a run's row while it goes, and writes its changes' rows."""

    def __init__(self, run: SyncRun) -> None:
        self.run = run
        self.position = 0
        self.changes = 0
        self.saved_at = 0.0

    def save(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.run, name, value)
        retried(lambda: SyncRun.objects.filter(pk=self.run.pk).update(**values), _('recording the run'))
        self.saved_at = monotonic()

    def start(self) -> bool:
        """Whether it was still waiting. If not, it was cancelled meanwhile."""
        started = timezone.now()
        queued = SyncRun.objects.filter(pk=self.run.pk, status=RunStatusChoices.QUEUED)
        if not retried(lambda: queued.update(status=RunStatusChoices.RUNNING, started=started), _('recording the run')):
            return False
        self.run.status, self.run.started = RunStatusChoices.RUNNING, started
        retried(partial(set_endpoint_status, self.run, EndpointStatusChoices.SYNCING), _('updating the endpoint'))
        return True

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase of the run ('collect', 'plan', 'apply', 'record'), timed in seconds, which add up."""
        started = monotonic() - self.run.timings.get(name, 0)
        self.save(phase=name)
        try:
            yield
        finally:
            self.save(timings={**self.run.timings, name: round(monotonic() - started, 3)})

    def progress(self, done: int, total: int) -> None:
        """How far the present phase is. Saved at most once a second."""
        if monotonic() - self.saved_at >= SECONDS_BETWEEN_SAVES:
            self.save(phase=f'{self.run.phase.partition(" ")[0]} {done}/{total}')

    def called(self, calls: int) -> None:
        self.save(calls=calls)

    def collected(self, inventory: Inventory) -> None:
        self.save(
            guests=len(inventory.guests),
            messages=[
                {'level': 'warning', 'subject': notice.subject, 'message': notice.message, 'remedy': notice.remedy}
                for notice in inventory.warnings
            ],
        )
        self.found(inventory)
        if inventory.token_view:
            self.remember(inventory.token_view)

    def found(self, inventory: Inventory) -> None:
        """How the cluster is, where that differs from what is known of it."""
        endpoint = self.run.endpoint
        state = state_of(inventory, endpoint.cluster_state, self.run.started or timezone.now())
        if (endpoint.pve_version, endpoint.cluster_state) != (inventory.version, state):
            self.update_endpoint(pve_version=inventory.version, cluster_state=state)

    def remember(self, token_view: TokenView) -> None:
        """What the token sees, unless the endpoint has another one by now."""
        endpoint = self.run.endpoint
        history = endpoint.valid_token_history.updated_with(token_view, timezone.localdate().isoformat()).data
        if history != endpoint.token_history and not endpoint.has_new_token():
            self.update_endpoint(token_history=history)

    def update_endpoint(self, **values: Any) -> None:
        # By update(): the state of an endpoint is no matter for its change log.
        endpoint = ProxmoxEndpoint.objects.filter(pk=self.run.endpoint_id)
        retried(lambda: endpoint.update(**values), _('updating the endpoint'))

    def warn(self, subject: str, message: str, remedy: str = '', is_fault: bool = False) -> None:
        """`is_fault`: of Proxmox VE's own configuration; not a warning if a user has acknowledged it."""
        entry: dict[str, Any] = {'level': 'warning', 'subject': subject, 'message': message, 'remedy': remedy}
        if is_fault:
            entry['fault'] = True
            entry['level'] = 'info' if self.run.endpoint.acknowledgment_of(entry) else 'warning'
        self.save(messages=[*self.run.messages, entry])

    def attempt(self, work: Callable[[], None], doing: str) -> None:
        """Do something that the next run does as well if the database does not allow it now; then it is a warning."""
        try:
            retried(work, doing)
        except DatabaseBusy as error:
            self.warn('database', str(error))

    def planned(self, plan: Plan) -> None:
        """Store a plan that is not applied, row by row, so that it can be applied as it is."""
        shared = [[encode(value), pointer.pk] for value, pointer in plan.shared.items()]
        self.save(counts=plan.counts, refusal=plan.refusal, shared_objects=shared)
        for changes in batched(plan.changes, ROWS_AT_ONCE):
            self.store([Result(change, ChangeOutcomeChoices.PLANNED) for change in changes])
        for rows in batched(planned_bindings(self.run, plan), ROWS_AT_ONCE):
            retried(partial(PlannedBinding.objects.bulk_create, rows), _('recording the run'))

    def applying(self, plan: Plan | StoredPlan) -> None:
        self.save(counts=plan.counts)
        self.changes = sum(sum(actions.values()) for actions in plan.counts.values())

    def applied(self, results: list[Result]) -> None:
        self.store(results)
        self.progress(self.position, self.changes)

    def store(self, results: list[Result]) -> None:
        rows = [change_row(self.run, self.position + offset, result) for offset, result in enumerate(results)]
        retried(partial(SyncChange.objects.bulk_create, rows, batch_size=ROWS_AT_ONCE), _('recording the run'))
        self.position += len(rows)


def change_row(run: SyncRun, position: int, result: Result) -> SyncChange:
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
        # Only a plan that waits to be applied needs it.
        binding=binding_as_json(change) if result.outcome == ChangeOutcomeChoices.PLANNED else None,
        reason=change.reason,
        message=result.message,
    )


def planned_bindings(run: SyncRun, plan: Plan) -> Iterator[PlannedBinding]:
    for pk, values in plan.refreshed.items():
        yield PlannedBinding(run=run, binding_id=pk, values=encode_all(values))
    for pk, (key, unit) in plan.rekeyed.items():
        yield PlannedBinding(run=run, binding_id=pk, key=key, unit=unit)
    for pk in plan.forgotten:
        yield PlannedBinding(run=run, binding_id=pk, forget=True)


def set_endpoint_status(run: SyncRun, status: str) -> None:
    # By update(): the state of an endpoint is no matter for its change log.
    ProxmoxEndpoint.objects.filter(pk=run.endpoint_id).update(status=status)
