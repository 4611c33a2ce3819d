"""The conflicts and candidates that no user has answered."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.db.models.fields import CharField
from django.db.models.functions import Cast, Concat
from django.db.models.lookups import In

from ...choices import AttentionChoices, ChangeActionChoices, GuestTypeChoices
from ...models import Binding, Decision, ProxmoxGuest, SyncChange
from ...models.users import AnyUser
from ...wording import worded
from .rows import AttentionRow
from .runs import reading_runs

__all__ = ('open_questions', 'single_candidates', 'vmid_of')


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
