"""
What requires a user, over all endpoints: endpoints whose last run failed, plans that wait, conflicts, candidates, and
faults of Proxmox VE. As far as the user may view it: of endpoints that are hidden from the user, nothing counts.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dcim.models import Device
from django.db.models import Exists, F, Min, OuterRef, QuerySet, Subquery, Value
from django.db.models.fields import CharField
from django.db.models.functions import Cast, Concat
from django.db.models.lookups import In
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import (
    AttentionChoices,
    ChangeActionChoices,
    GuestTypeChoices,
    KindChoices,
    RunStatusChoices,
    SyncStatusChoices,
    color_of,
)
from ..models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.runs import unit_key
from ..models.sync_status import plan_of
from ..models.users import AnyUser
from ..models.visibility import hidden_units_of
from ..proxmox.messages import from_json, joined
from ..sync.kind_names import DEVICE
from ..wording import worded
from .resolutions import READ, READING, add_resolutions, visible_objects

__all__ = ('ACKNOWLEDGE', 'AttentionRow', 'attention', 'complete', 'single_candidates')

ORDER = {question: rank for rank, (question, *_rest) in enumerate(AttentionChoices)}
# Faults are acknowledged; that is no decision about an object.
ACKNOWLEDGE = 'acknowledge'
# The endings of a last run that require attention by themselves.
FAILED = (RunStatusChoices.FAILED, RunStatusChoices.ERRORS)


@dataclass
class AttentionRow:
    """
    One thing that requires a user.

    Attributes:
        pk: Identifies the row: 'change-12', 'run-3', 'endpoint-1', or 'fault-1-' and a digest.
        question: One of `AttentionChoices`.
        kind, key, unit: Of the object of a conflict or candidate; of a fault, `unit` is its subject.
        since: When it was first reported.
        run: The run that has reported it, if the user may view it.
        change_id: Of a conflict or candidate.
        object_type_id, object_id: The object that causes the conflict, or the candidate.
        message: Of a fault, as the run has recorded it.
        change, guest, device, object: What the page links to, as far as the user may view it; set by `complete`.
        may_act: Whether the user may use the buttons of the row; set by `complete`.
    """

    pk: str
    question: str
    endpoint: ProxmoxEndpoint
    label: str
    reason: str
    since: datetime | None
    kind: str = ''
    key: str = ''
    unit: str = ''
    position: int = 0
    run: SyncRun | None = None
    run_id: int | None = None
    change_id: int | None = None
    object_type_id: int | None = None
    object_id: int | None = None
    message: dict[str, Any] = field(default_factory=dict)
    change: SyncChange | None = None
    guest: ProxmoxGuest | None = None
    device: Device | None = None
    object: Any = None
    may_act: bool = False

    def __str__(self) -> str:
        return f'{self.get_question_display()}: {self.label}'

    def get_question_display(self) -> str:
        return str(dict(AttentionChoices).get(self.question, self.question))

    def get_question_color(self) -> str | None:
        return color_of(AttentionChoices, self.question)

    @property
    def kind_label(self) -> str:
        """The label of the kind of the object; '' if the row is about none."""
        return KindChoices.label(self.kind) if self.kind else ''

    @property
    def identity(self) -> tuple[int, str, str]:
        """The object in Proxmox VE that the row is about: endpoint (pk), kind and key."""
        return self.endpoint.pk, self.kind, self.key

    @property
    def order(self) -> tuple[int, str, list[tuple[int, str]], int]:
        """The key by which rows are sorted, unless the user has chosen another order."""
        return ORDER[self.question], self.endpoint.name, unit_key(self.unit), self.position

    @property
    def choices(self) -> list[str]:
        """The decisions that the user can make: of `DecisionChoices`, 'ignore_guest', or 'acknowledge'."""
        if self.change is not None:
            found = getattr(self.change, 'resolutions', None)
            return list(dict.fromkeys(button.choice for button in found.buttons)) if found else []
        return [ACKNOWLEDGE] if self.may_act and self.question == AttentionChoices.FAULT else []

    @property
    def plan_url(self) -> str:
        """The page on which the plan is reviewed."""
        if self.run is None:
            return ''
        if self.question == AttentionChoices.BLOCKED and self.may_act:
            return reverse('plugins:netbox_proxsync:syncrun_accept', args=[self.run.pk])
        return self.run.get_absolute_url()

    def matches(self, term: str) -> bool:
        """Whether a search finds the row."""
        texts = (self.label, self.key, self.unit, self.reason, self.endpoint.name)
        return any(term in text.lower() for text in texts)


def attention(
    user: AnyUser,
    endpoints: Collection[int] | None = None,
    questions: Collection[str] | None = None,
    term: str = '',
) -> list[AttentionRow]:
    """
    What requires a user, the most urgent first, with a number of queries that does not depend on the number of rows.

    Args:
        endpoints: Only of these (pk); None: of all that the user may view.
        questions: Only these of `AttentionChoices`; None: all.
        term: Only rows with this text in the name, key or reason, or in the name of the endpoint.
    """
    found = viewed_endpoints(user, endpoints)
    wanted = set(questions) if questions else set(ORDER)
    runs = viewed_runs(user, found)
    rows = [
        *failures(found, runs),
        *plans(found, runs),
        *(faults(found, runs, user) if AttentionChoices.FAULT in wanted else ()),
        *(open_questions(found, user) if wanted & set(ChangeActionChoices.OPEN) else ()),
    ]
    term = term.strip().lower()
    rows = [row for row in rows if row.question in wanted and (not term or row.matches(term))]
    return sorted(rows, key=lambda row: row.order)


def viewed_endpoints(user: AnyUser, chosen: Collection[int] | None) -> dict[int, Any]:
    """The endpoints with their sync status, the run of their waiting plan, and the last run that has read them."""
    latest = reading_runs().filter(endpoint=OuterRef('pk'), vmids__isnull=True).order_by('-created', '-pk')
    rows = ProxmoxEndpoint.objects.restrict(user, 'view').with_sync_status()
    rows = rows.annotate(plan=plan_of(), latest=Subquery(latest.values('pk')[:1])).order_by()
    if chosen is not None:
        rows = rows.filter(pk__in=chosen)
    return {endpoint.pk: endpoint for endpoint in rows}


def reading_runs() -> QuerySet[SyncRun]:
    """The runs in main that have read Proxmox VE and compared."""
    return SyncRun.objects.filter(branch_id='', mode__in=READING, status__in=READ)


def viewed_runs(user: AnyUser, endpoints: dict[int, Any]) -> dict[int, Any]:
    """The runs of these endpoints that the rows are about, as far as the user may view them."""
    pks = {pk for each in endpoints.values() for pk in (each.plan, each.latest, each.last_run_id) if pk}
    if not pks:
        return {}
    applied = Exists(SyncRun.objects.filter(applies=OuterRef('pk')))
    runs = SyncRun.objects.restrict(user, 'view').filter(pk__in=pks).annotate(is_applied=applied).order_by()
    found = {run.pk: run for run in runs}
    for run in found.values():
        run.endpoint = endpoints[run.endpoint_id]
    return found


def failures(endpoints: dict[int, Any], runs: dict[int, Any]) -> Iterable[AttentionRow]:
    """The endpoints whose last run has failed or could not write everything. Disabled endpoints are left out."""
    for endpoint in endpoints.values():
        run = runs.get(endpoint.last_run_id)
        status = run.status if run and not run.branch_id else ''
        # A run that was stopped without a plan: there is nothing to approve.
        is_stopped = status == RunStatusChoices.REFUSED and endpoint.plan != endpoint.last_run_id
        is_unreachable = endpoint.sync_status == SyncStatusChoices.UNREACHABLE
        if not endpoint.enabled or not (is_unreachable or is_stopped or status in FAILED):
            continue
        yield AttentionRow(
            f'endpoint-{endpoint.pk}',
            AttentionChoices.ENDPOINT,
            endpoint,
            endpoint.name,
            (run.shown_error if run else '') or _('The last run could not read Proxmox VE.'),
            run.completed if run else None,
            run=run,
        )


def plans(endpoints: dict[int, Any], runs: dict[int, Any]) -> Iterable[AttentionRow]:
    """The plans that wait to be approved or applied."""
    for endpoint in endpoints.values():
        if run := runs.get(endpoint.plan):
            is_blocked = bool(run.refusal)
            yield AttentionRow(
                f'run-{run.pk}',
                AttentionChoices.BLOCKED if is_blocked else AttentionChoices.PREVIEW,
                endpoint,
                str(run),
                run.shown_refusal if is_blocked else size_of(run),
                run.completed or run.created,
                run=run,
            )


def size_of(run: Any) -> str:
    """What of a plan waits, in words."""
    if run.is_applied:
        return _('A part of its changes waits to be applied.')
    number = run.total_changes - run.conflicts - run.candidates
    return ngettext('{number} change waits to be applied.', '{number} changes wait to be applied.', number).format(
        number=number
    )


def faults(endpoints: dict[int, Any], runs: dict[int, Any], user: AnyUser) -> Iterable[AttentionRow]:
    """The faults that the last full runs have reported and that no user has acknowledged."""
    latest = [runs[each.latest] for each in endpoints.values() if each.latest in runs]
    reporting = [run for run in latest if any(message.get('fault') for message in run.messages)]
    hidden = hidden_units_of(user, {run.endpoint_id: run.subjects for run in reporting})
    for run in reporting:
        for message in run.messages_without(hidden[run.endpoint_id]):
            if message.get('fault') and not message['acknowledged']:
                yield AttentionRow(
                    fault_pk(run.endpoint_id, message['subject'], message['message']),
                    AttentionChoices.FAULT,
                    run.endpoint,
                    message['subject'],
                    worded(joined((from_json(message, 'message'), from_json(message, 'remedy')))),
                    run.completed or run.created,
                    unit=message['subject'],
                    run=run,
                    message=message,
                )


def fault_pk(endpoint: int, subject: str, message: str) -> str:
    digest = hashlib.sha256(f'{subject}\0{message}'.encode()).hexdigest()[:16]
    return f'fault-{endpoint}-{digest}'


def open_questions(endpoints: dict[int, Any], user: AnyUser) -> Iterable[AttentionRow]:
    """The conflicts and candidates of the last run that has read their guest or node, unless they are answered."""
    latest = {each.latest for each in endpoints.values() if each.latest}
    newest = newest_limited_runs(endpoints)
    changes = SyncChange.objects.restrict(user, 'view').filter(
        run__in=latest | set(newest.values()), action__in=ChangeActionChoices.OPEN
    )
    columns = (
        'pk', 'run', 'run__endpoint', 'run__created', 'position', 'action', 'kind', 'key', 'unit', 'label', 'reason',
        'reason_source', 'object_type', 'object_id',
    )  # fmt: skip
    for row in unanswered(changes, endpoints).order_by().values_list(*columns):
        pk, run, endpoint, created, position, action, kind, key, unit, label, *reason, object_type, object_id = row
        if run != newest.get((endpoint, vmid_of(unit)), endpoints[endpoint].latest):
            continue
        yield AttentionRow(
            f'change-{pk}',
            action,
            endpoints[endpoint],
            label or key,
            worded(*reason),
            created,
            kind=kind,
            key=key,
            unit=unit,
            position=position,
            run_id=run,
            change_id=pk,
            object_type_id=object_type,
            object_id=object_id,
        )


def vmid_of(unit: str) -> int | None:
    """The VM ID of a guest; None for a node or the cluster."""
    kind, _slash, vmid = unit.partition('/')
    return int(vmid) if kind in GuestTypeChoices.values() and vmid.isdecimal() else None


def newest_limited_runs(endpoints: dict[int, Any]) -> dict[tuple[int, int | None], int]:
    """The newest run (pk) of each guest that was limited to it after the last full run, by endpoint and VM ID."""
    full = reading_runs().filter(endpoint=OuterRef('endpoint'), vmids__isnull=True, pk__gt=OuterRef('pk'))
    limited = reading_runs().filter(~Exists(full), endpoint__in=endpoints, vmids__isnull=False).order_by('pk')
    rows = limited.values_list('pk', 'endpoint', 'vmids')
    return {(endpoint, vmid): pk for pk, endpoint, vmids in rows for vmid in vmids or ()}


def unanswered(changes: QuerySet[SyncChange], endpoints: Collection[int]) -> QuerySet[SyncChange]:
    """
    Without the changes about which users have decided: by a decision, by an object that is not managed, or by a guest
    that is ignored.
    """
    of_change = identity('run__endpoint', 'kind', 'key')
    for rows in (
        Decision.objects.filter(endpoint__in=endpoints),
        Binding.objects.filter(endpoint__in=endpoints, unmanaged=True),
    ):
        names = rows.order_by().values_list(identity('endpoint', 'kind', 'key'))
        changes = changes.exclude(In(of_change, names.query))
    ignored = ProxmoxGuest.objects.filter(endpoint__in=endpoints, ignored=True).order_by()
    units = ignored.values_list(Concat(Cast('endpoint', CharField()), Value(':'), 'type', Value('/'), as_text('vmid')))
    return changes.exclude(In(identity('run__endpoint', 'unit'), units.query))


def as_text(name: str) -> Cast:
    return Cast(name, CharField())


def identity(endpoint: str, *names: str) -> Concat:
    """An expression for a text that identifies an object among all endpoints."""
    parts = [part for name in names for part in (Value(':'), F(name))]
    return Concat(as_text(endpoint), *parts, output_field=CharField())


def single_candidates(rows: Iterable[AttentionRow]) -> list[AttentionRow]:
    """The candidates among these rows that are the only ones of their guest or node, also if others are not given."""
    candidates = [row for row in rows if row.question == AttentionChoices.CANDIDATE]
    reported = SyncChange.objects.filter(
        run__in={row.run_id for row in candidates},
        unit__in={row.unit for row in candidates},
        action=ChangeActionChoices.CANDIDATE,
    )
    numbers = Counter(reported.order_by().values_list('run', 'kind', 'key'))
    return [row for row in candidates if numbers[row.run_id, row.kind, row.key] == 1]


# The rows of a page


def complete(rows: Sequence[AttentionRow], user: AnyUser) -> None:
    """Load what a page shows of some rows, with a number of queries that does not depend on their number."""
    add_changes(rows, user)
    add_machines(rows, user)
    endpoints = {row.endpoint.pk for row in rows}
    permitted = {}
    for action in ('sync', 'accept'):
        found = ProxmoxEndpoint.objects.restrict(user, action).filter(pk__in=endpoints).order_by()
        permitted[action] = set(found.values_list('pk', flat=True))
    for row in rows:
        action = 'accept' if row.question == AttentionChoices.BLOCKED else 'sync'
        row.may_act = row.endpoint.pk in permitted[action]


def add_changes(rows: Sequence[AttentionRow], user: AnyUser) -> None:
    """Load the conflicts and candidates with their buttons, and since when runs have reported them."""
    of_change = {row.change_id: row for row in rows if row.change_id}
    if not of_change:
        return
    found = SyncChange.objects.filter(pk__in=of_change).select_related('run__endpoint').prefetch_related('object')
    changes = list(found.order_by())
    add_resolutions(changes, user)
    objects = visible_objects(changes, user)
    since = first_reported(of_change.values())
    for change in changes:
        row = of_change[change.pk]
        row.change, row.object = change, objects.get(change.pk)
        row.since = since.get((*row.identity, row.question), row.since)
    viewed = SyncRun.objects.restrict(user, 'view').filter(pk__in={row.run_id for row in of_change.values()})
    runs = viewed.order_by().in_bulk()
    for row in of_change.values():
        if row.run_id in runs:
            row.run = runs[row.run_id]
            row.run.endpoint = row.endpoint


def first_reported(rows: Collection[AttentionRow]) -> dict[tuple[int, str, str, str], datetime]:
    """When the first run that is retained has reported them, by endpoint, kind, key and action."""
    runs = reading_runs().filter(endpoint__in={row.endpoint.pk for row in rows}).exclude(counts={}).order_by()
    changes = SyncChange.objects.filter(
        run__in=runs.values('pk'), unit__in={row.unit for row in rows}, key__in={row.key for row in rows}
    )
    names = ('run__endpoint', 'kind', 'key', 'action')
    found = changes.filter(action__in=ChangeActionChoices.OPEN).order_by().values_list(*names)
    return {(*key,): created for *key, created in found.annotate(Min('run__created'))}


def add_machines(rows: Iterable[AttentionRow], user: AnyUser) -> None:
    """Load the guests and devices that the rows are about, as far as the user may view them."""
    by_unit: dict[tuple[int, str], list[AttentionRow]] = {}
    for row in rows:
        if row.unit:
            by_unit.setdefault((row.endpoint.pk, row.unit), []).append(row)
    endpoints = {endpoint for endpoint, _unit in by_unit}
    vmids = {vmid for _endpoint, unit in by_unit if (vmid := vmid_of(unit)) is not None}
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint__in=endpoints, vmid__in=vmids).order_by()
    for guest in guests.only('endpoint', 'type', 'vmid', 'name', 'state'):
        for row in by_unit.get((guest.endpoint_id, guest.key), ()):
            row.guest = guest
    units = {unit for _endpoint, unit in by_unit if unit.startswith('node/')}
    bound = Binding.objects.filter(endpoint__in=endpoints, kind=DEVICE, key__in=units).order_by()
    devices = {pk: (endpoint, key) for pk, endpoint, key in bound.values_list('object_id', 'endpoint', 'key')}
    for device in Device.objects.restrict(user, 'view').filter(pk__in=devices).order_by().only('pk', 'name'):
        for row in by_unit.get(devices[device.pk], ()):
            row.device = device
