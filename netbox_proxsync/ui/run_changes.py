"""The changes of a run for its page: grouped by guest and node, paginated and filtered."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from django.db.models import Case, CharField, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Concat
from utilities.paginator import EnhancedPage, EnhancedPaginator

from ..branching.links import object_urls
from ..choices import ChangeActionChoices, ChangeOutcomeChoices
from ..filtersets import SyncChangeFilterSet
from ..models import ProxmoxGuest, SyncChange, SyncRun
from ..models.users import AnyUser
from ..runs.stored_plans import has_plan
from .resolutions import add_resolutions
from .unit_rows import NAMED_KINDS, UnitRow, badges, link_units, severity, unit_rows

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('FILTERS', 'ChangePage', 'UnitChanges', 'changes_of', 'link_objects', 'open_changes', 'unsuccessful')

FILTERS = ('kind', 'action', 'outcome', 'guest', 'q', 'hide')
# A page with at most so many changes shows all of them; otherwise, guests and nodes are unfolded one by one.
UNFOLDED = 25
# The changes of one guest or node that are loaded at once.
UNIT_CHANGES = 100
# Counting beyond this would read every change of the run.
COUNTED = 1000
OPEN_CHANGES = 5


def changes_of(run: SyncRun, user: AnyUser, query: Mapping[str, str]) -> QuerySet[SyncChange]:
    """
    The changes of a run that the user may view, ordered by unit and within it in the order of the run.

    Args:
        query: The filters, see `FILTERS`: `guest` is a part of the name or key of a guest or node, `q` a text in the
            label, key, reason or message of a change, `hide` an action to leave out, `unit` the key of a guest or node.
    """
    changes = SyncChange.objects.restrict(user, 'view').filter(run=run)
    chosen = {name: [query[name]] for name in ('kind', 'action', 'outcome') if query.get(name)}
    found = SyncChangeFilterSet({**chosen, 'q': query.get('q', '')}, changes).qs.order_by('unit', 'position')
    if hidden := query.get('hide'):
        found = found.exclude(action=hidden.replace('\0', ''))
    if 'unit' in query:
        found = found.filter(unit=query['unit'].replace('\0', ''))
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
class UnitChanges:
    """
    Some changes of one guest or node.

    Attributes:
        start: The number of the changes before these.
        after: The number of the changes up to and including these; None if these are the last ones.
    """

    changes: list[SyncChange]
    start: int = 0
    after: int | None = None

    @classmethod
    def of(cls, run: SyncRun, user: AnyUser, changes: QuerySet[SyncChange], start: int) -> Self:
        """A part of the changes, the most severe first."""
        found = list(by_severity(changes).prefetch_related('object')[start : start + UNIT_CHANGES + 1])
        shown = found[:UNIT_CHANGES]
        link_objects(run, shown)
        add_resolutions(shown, user)
        return cls(shown, start, start + UNIT_CHANGES if len(found) > UNIT_CHANGES else None)


def by_severity(changes: QuerySet[SyncChange]) -> QuerySet[SyncChange]:
    """Changes with the most severe first, and otherwise in the order of the run."""
    ranks = [When(action=action, then=rank) for rank, action in enumerate(ChangeActionChoices.BY_SEVERITY)]
    last = len(ChangeActionChoices.BY_SEVERITY)
    return changes.order_by(Case(*ranks, default=last, output_field=IntegerField()), 'position')


@dataclass(frozen=True)
class ChangePage:
    """
    A page of the guests and nodes with changes, by severity.

    Attributes:
        totals: Action, label, color, and number of changes on all pages.
        number: The number of changes on all pages.
    """

    page: EnhancedPage
    totals: list[tuple[str, 'StrOrPromise', str, int]]
    number: int

    @classmethod
    def of(cls, run: SyncRun, user: AnyUser, query: Mapping[str, str], size: int) -> Self:
        """
        Args:
            query: As for `changes_of`, and the number of the `page`.
        """
        changes = changes_of(run, user, query)
        rows = unit_rows(changes)
        page = EnhancedPaginator(rows, size).get_page(query.get('page'))
        link_units(run, user, page.object_list)
        if sum(row.number for row in page.object_list) <= UNFOLDED:
            unfold(run, user, changes, page.object_list)
        numbers: Counter[str] = Counter()
        for row in rows:
            numbers.update(row.actions)
        order = sorted(numbers, key=severity)
        totals = [(action, *badge) for action, badge in zip(order, badges(numbers), strict=True)]
        return cls(page, totals, numbers.total())


def unfold(run: SyncRun, user: AnyUser, changes: QuerySet[SyncChange], rows: list[UnitRow]) -> None:
    """Load the changes of all rows, which are few."""
    by_unit = {row.unit: row for row in rows}
    found = list(by_severity(changes.filter(unit__in=by_unit)).prefetch_related('object')) if rows else []
    link_objects(run, found)
    add_resolutions(found, user)
    for change in found:
        by_unit[change.unit].changes.append(change)


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
    """The number of changes that were not made, or are not part of a stored plan, by outcome, at most `COUNTED`."""
    changes = SyncChange.objects.restrict(user, 'view').filter(run=run).order_by()
    written = (ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.OUTDATED)
    outcomes = (ChangeOutcomeChoices.REJECTED, ChangeOutcomeChoices.LEFT) if has_plan(run) else written
    numbers = {outcome: changes.filter(outcome=outcome)[:COUNTED].count() for outcome in outcomes}
    return {outcome: number for outcome, number in numbers.items() if number}
