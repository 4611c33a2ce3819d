"""The changes of a run for its page: grouped by guest and node, paginated and filtered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Self, cast

from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _

from ..branching.links import object_urls
from ..choices import ChangeOutcomeChoices
from ..filtersets import SyncChangeFilterSet
from ..models import ProxmoxGuest, SyncChange, SyncRun
from ..models.users import AnyUser
from .resolutions import add_resolutions

__all__ = ('FILTERS', 'ChangeGroup', 'ChangePage', 'changes_of', 'open_changes', 'unsuccessful')

FILTERS = ('kind', 'action', 'outcome', 'guest', 'q')
# Kinds whose objects have the name of their guest or node.
NAMED_KINDS = ('vm', 'device')
# Counting beyond this would read every change of the run.
COUNTED = 1000
OPEN_CHANGES = 5
# Numbers with one more digit may not fit the column.
POSITION_DIGITS = 9


def changes_of(run: SyncRun, user: AnyUser, query: Mapping[str, str]) -> QuerySet[SyncChange]:
    """
    The changes of a run that the user may view, ordered by unit and within it in the order of the run.

    Args:
        query: The filters, see `FILTERS`: `guest` is a part of the name or key of a guest or node, `q` a text in the
            label, key, reason or message of a change.
    """
    changes = SyncChange.objects.restrict(user, 'view').filter(run=run)
    chosen = {name: [query[name]] for name in ('kind', 'action', 'outcome') if query.get(name)}
    found = SyncChangeFilterSet({**chosen, 'q': query.get('q', '')}, changes).qs.order_by('unit', 'position')
    # PostgreSQL rejects NUL, and no name contains it.
    if term := query.get('guest', '').replace('\0', '').strip():
        found = found.filter(guest_filter(run, user, term))
    return cast(QuerySet[SyncChange], found)


def guest_filter(run: SyncRun, user: AnyUser, term: str) -> Q:
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint=run.endpoint_id, name__icontains=term)
    units = guests.order_by().values_list(Concat(F('type'), Value('/'), Cast('vmid', CharField())))
    renamed = SyncChange.objects.filter(run=run, kind__in=NAMED_KINDS, label__icontains=term).order_by()
    return Q(unit__icontains=term) | Q(unit__in=units) | Q(unit__in=renamed.values('unit'))


@dataclass(frozen=True)
class ChangeGroup:
    """
    The changes of one guest or node on a page.

    Attributes:
        guest: None for a node, the cluster, and a guest that does not exist any more or that the user may not view.
    """

    unit: str
    guest: ProxmoxGuest | None
    changes: list[SyncChange]

    @property
    def title(self) -> str:
        if self.guest:
            return self.guest.name or self.unit
        kind, _slash, name = self.unit.partition('/')
        if kind == 'node':
            return _('Node {name}').format(name=name)
        if not self.unit:
            return _('The cluster itself')
        return next((change.label for change in self.changes if change.kind in NAMED_KINDS), '') or self.unit


@dataclass(frozen=True)
class ChangePage:
    """
    A page of changes, found by keyset pagination, so that the last page is as fast as the first.

    Attributes:
        before, after: The positions at which the previous page ends and the next page begins; None if there is none.
        number: The number of changes on all pages; None: more than `COUNTED`.
    """

    groups: list[ChangeGroup]
    before: int | None
    after: int | None
    number: int | None

    @classmethod
    def of(cls, run: SyncRun, user: AnyUser, query: Mapping[str, str], size: int) -> Self:
        """
        Args:
            query: As for `changes_of`, and `after` or `before`: the position at which another page ends or begins.
        """
        changes = changes_of(run, user, query)
        rows, before, after = cls.rows(changes, run, query, size)
        link_objects(run, rows)
        add_resolutions(rows, user)
        number = len(rows)
        elsewhere = before is not None or after is not None
        if elsewhere or (not rows and ('before' in query or 'after' in query)):
            # In this order, PostgreSQL reads them from an index.
            number = changes[: COUNTED + 1].count()
        return cls(groups_of(run, user, rows), before, after, number if number <= COUNTED else None)

    @staticmethod
    def rows(
        changes: QuerySet[SyncChange], run: SyncRun, query: Mapping[str, str], size: int
    ) -> tuple[list[SyncChange], int | None, int | None]:
        """The rows of the page, and its `before` and `after`."""
        changes = changes.prefetch_related('object')
        backwards = 'before' in query
        edge = change_at(run, query.get('before') or query.get('after') or '')
        if edge and backwards:
            earlier = changes.filter(unit__lte=edge.unit).exclude(unit=edge.unit, position__gte=edge.position)
            rows = list(earlier.reverse()[: size + 1])
            more, rows = len(rows) > size, rows[:size][::-1]
            return rows, rows[0].position if more else None, rows[-1].position if rows else None
        if edge:
            changes = changes.filter(unit__gte=edge.unit).exclude(unit=edge.unit, position__lte=edge.position)
        rows = list(changes[: size + 1])
        more, rows = len(rows) > size, rows[:size]
        return rows, rows[0].position if edge and rows else None, rows[-1].position if more else None


def change_at(run: SyncRun, position: str) -> SyncChange | None:
    """The change at a position from the query; None if there is none."""
    if not position.isdecimal() or len(position) > POSITION_DIGITS:
        return None
    return SyncChange.objects.filter(run=run, position=int(position)).only('unit', 'position').first()


def groups_of(run: SyncRun, user: AnyUser, rows: list[SyncChange]) -> list[ChangeGroup]:
    guests = guests_of(run, user, {row.unit for row in rows})
    return [ChangeGroup(unit, guests.get(unit), list(changes)) for unit, changes in groupby(rows, lambda row: row.unit)]


def guests_of(run: SyncRun, user: AnyUser, units: Iterable[str]) -> dict[str, ProxmoxGuest]:
    """The guests that the user may view, by unit."""
    vmids = {int(vmid) for unit in units if (vmid := unit.partition('/')[2]).isdecimal()}
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint=run.endpoint_id, vmid__in=vmids)
    return {guest.key: guest for guest in guests.order_by().only('type', 'vmid', 'name')}


def open_changes(run: SyncRun, user: AnyUser, action: str) -> list[SyncChange]:
    """The first conflicts or candidates that the user may view."""
    changes = SyncChange.objects.restrict(user, 'view').filter(run=run, action=action)
    return list(changes.order_by('position').prefetch_related('object')[:OPEN_CHANGES])


def link_objects(run: SyncRun, changes: list[SyncChange]) -> None:
    """Set the URLs of the objects with few queries; otherwise each change of a run in a branch looks up its own."""
    urls = object_urls(run.branch_id, changes) if run.branch_id else None
    for change in changes:
        change.run = run
        if urls is not None:
            change.object_url = urls.get(change.pk, '')


def unsuccessful(run: SyncRun, user: AnyUser) -> dict[str, int]:
    """The number of changes that were not made, by outcome, at most `COUNTED`."""
    changes = SyncChange.objects.restrict(user, 'view').filter(run=run).order_by()
    numbers = {
        outcome: changes.filter(outcome=outcome)[:COUNTED].count()
        for outcome in (ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.OUTDATED)
    }
    return {outcome: number for outcome, number in numbers.items() if number}
