"""The page on which a part of a stored plan is selected: its guests and nodes, filters, and numbers of changes."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.http import QueryDict
from utilities.paginator import EnhancedPage, EnhancedPaginator

from ..choices import ChangeActionChoices, ChangeOutcomeChoices, KindChoices
from ..models import ProxmoxGuest, SyncChange, SyncRun
from ..models.users import AnyUser
from ..runs.plan_selection import CLUSTER_UNIT, Selection
from ..runs.stored_plans import StoredPlan
from ..sync.kinds import KINDS
from .run_changes import link_objects
from .unit_rows import UnitRow, link_units, severity

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('PlanParts', 'Removals')

# At most, by name, on one page.
REMOVALS_SHOWN = 1000

type Numbers = Counter[tuple[str, str]]


@dataclass(frozen=True)
class Removals:
    """
    The objects that a part of a plan removes.

    Attributes:
        changes: Those that the user may view, the first `REMOVALS_SHOWN`.
        number: The number of all of them.
        digest: Identifies them, so that only what was displayed can be confirmed.
    """

    changes: list[SyncChange]
    number: int
    digest: str

    @classmethod
    def of(cls, source: SyncRun, user: AnyUser, selection: Selection) -> 'Removals':
        """The objects that a part of the plan of a run removes."""
        plan = StoredPlan(source, selection, policy=source.endpoint.write_policy)
        rows = plan.rows().order_by().filter(action__in=ChangeActionChoices.REMOVING)
        pks = sorted(rows.values_list('pk', flat=True))
        viewable = SyncChange.objects.restrict(user, 'view').filter(pk__in=pks).order_by('position')
        changes = list(viewable.prefetch_related('object')[:REMOVALS_SHOWN])
        link_objects(source, changes)
        changes.sort(key=lambda change: severity(change.action))
        return cls(changes, len(pks), sha256(json.dumps(pks).encode()).hexdigest())

    @property
    def more(self) -> int:
        """The number of those that are not listed."""
        return self.number - len(self.changes)


class PlanParts:
    """
    What of a plan remains to be applied, and what a user has selected of it.

    Args:
        source: The run that has made the plan.
        data: The filters (`q`, `action`, `kind`), the selected units on the displayed page (`pk`) and on others
            (`selection`), `_all` to select all that the filters match, `clear`, and the `actions` to apply.
    """

    def __init__(self, source: SyncRun, user: AnyUser, data: QueryDict) -> None:
        self.source = source
        self.user = user
        self.data = data
        self.numbers: dict[str, Numbers] = {}
        self.plan = StoredPlan(source, policy=source.endpoint.write_policy)
        rows = self.plan.rows().order_by().values_list('unit', 'kind', 'action').annotate(Count('pk'))
        for unit, kind, action, number in rows:
            self.numbers.setdefault(unit, Counter())[kind, action] = number

    @cached_property
    def names(self) -> dict[str, str]:
        """The names of the guests that the user may view, by unit."""
        guests = ProxmoxGuest.objects.restrict(self.user, 'view').filter(endpoint=self.source.endpoint_id)
        return {f'{kind}/{vmid}': name for kind, vmid, name in guests.order_by().values_list('type', 'vmid', 'name')}

    @cached_property
    def hidden(self) -> set[str]:
        """The units that the user may not view."""
        return self.source.hidden_units(self.user, [unit for unit in self.numbers if self.written(unit)])

    @cached_property
    def rows(self) -> list[UnitRow]:
        """The guests and nodes that can be selected, by severity."""
        found = []
        for unit, numbers in self.numbers.items():
            if unit != CLUSTER_UNIT and unit not in self.hidden and self.written(unit):
                actions: Counter[str] = Counter()
                for (_kind, action), number in numbers.items():
                    actions[action] += number
                found.append(UnitRow(unit, actions, self.names.get(unit, '')))
        return sorted(found, key=lambda row: row.order)

    @cached_property
    def matching(self) -> list[UnitRow]:
        """The rows that the filters leave."""
        term, action, kind = (self.data.get(name, '').strip() for name in ('q', 'action', 'kind'))
        return [
            row
            for row in self.rows
            if (not term or term.lower() in f'{row.unit} {row.name}'.lower())
            and (not action or action in row.actions)
            and (not kind or any(kind == found for found, _action in self.numbers[row.unit]))
        ]

    @cached_property
    def chosen(self) -> set[str]:
        """The units that the request names, also those that the plan does not have or that the user may not view."""
        if 'clear' in self.data:
            return set()
        chosen = {*stored_selection(self.data.get('selection', '')), *self.data.getlist('pk')}
        if '_all' in self.data:
            chosen.update(row.unit for row in self.matching)
        return chosen

    @cached_property
    def selected(self) -> set[str]:
        """The selected units, on all pages."""
        return self.chosen.intersection(row.unit for row in self.rows)

    @property
    def choices(self) -> list[tuple[str, 'StrOrPromise', int, bool]]:
        """The actions of the plan: value, label, number of changes, and whether they are to be applied."""
        labels, numbers = dict(ChangeActionChoices), by_action(self.whole)
        chosen = self.actions
        return [
            (action, labels[action], numbers[action], chosen is None or action in chosen)
            for action in sorted(numbers, key=severity)
        ]

    @cached_property
    def actions(self) -> list[str] | None:
        """The actions to apply; None: all."""
        # Browsers do not send boxes that are not ticked.
        if 'actions_shown' not in self.data:
            return None
        possible = by_action(self.whole)
        chosen = [action for action in self.data.getlist('actions') if action in possible]
        return None if len(chosen) == len(possible) else chosen

    def written(self, unit: str) -> int:
        """The number of changes of a unit that can be applied."""
        return sum(
            number for (_kind, action), number in self.numbers[unit].items() if action not in ChangeActionChoices.OPEN
        )

    @cached_property
    def whole(self) -> Numbers:
        """The number of remaining changes that can be applied, by kind and action."""
        return total(self.numbers.values())

    def totals(self) -> list[tuple['StrOrPromise', str, list[int]]]:
        """Rows of a table: a label, a color for actions, and the numbers of the plan, the selection and the others."""
        chosen = total(self.numbers[unit] for unit in self.selected)
        others = self.whole - chosen
        # The cluster belongs to both: all other objects need it.
        chosen += total([self.numbers.get(CLUSTER_UNIT, Counter())])
        limited = [self.whole, limit(chosen, self.actions), limit(others, self.actions)]
        actions, kinds = [by_action(numbers) for numbers in limited], [by_kind(numbers) for numbers in limited]
        labels = dict(ChangeActionChoices)
        order = [name for name in KINDS if name in kinds[0]]
        return [
            *(
                (labels[action], ChangeActionChoices.colors[action], [numbers[action] for numbers in actions])
                for action in sorted(actions[0], key=severity)
            ),
            *((KindChoices.label(kind), '', [numbers[kind] for numbers in kinds]) for kind in order),
        ]

    @property
    def withheld(self) -> int:
        """The number of remaining changes that the write policy of the endpoint withholds."""
        return self.plan.planned().order_by().filter(self.plan.withheld_by_policy()).count()

    @property
    def rejected(self) -> int:
        """The number of changes that NetBox has rejected when the plan was made."""
        return self.source.changes.filter(outcome=ChangeOutcomeChoices.REJECTED).order_by().count()

    @property
    def conflicts(self) -> int:
        """The number of changes that require a decision."""
        return sum(
            number
            for numbers in self.numbers.values()
            for (_kind, action), number in numbers.items()
            if action in ChangeActionChoices.OPEN
        )

    def page(self, number: Any, size: int) -> EnhancedPage:
        """A page of the rows that the filters leave, with links."""
        page = EnhancedPaginator(self.matching, size).get_page(number)
        link_units(self.source, self.user, page.object_list)
        return page

    def off_page(self, page: EnhancedPage) -> str:
        """The selected units that a page does not show, as `selection` takes them."""
        shown = {row.unit for row in page.object_list}
        return json.dumps(sorted(self.selected - shown))


def stored_selection(text: str) -> list[str]:
    """The units of a hidden field; none if a browser sends something else."""
    try:
        units = json.loads(text or '[]')
    except ValueError:
        return []
    return [unit for unit in units if isinstance(unit, str)] if isinstance(units, list) else []


def total(numbers: Iterable[Numbers]) -> Numbers:
    """The sum of numbers, without changes that require a decision."""
    found: Numbers = Counter()
    for each in numbers:
        found.update({entry: number for entry, number in each.items() if entry[1] not in ChangeActionChoices.OPEN})
    return found


def limit(numbers: Numbers, actions: list[str] | None) -> Numbers:
    """The numbers of some actions; None: of all."""
    if actions is None:
        return numbers
    return Counter({entry: number for entry, number in numbers.items() if entry[1] in actions})


def by_action(numbers: Numbers) -> Counter[str]:
    """The numbers by action."""
    found: Counter[str] = Counter()
    for (_kind, action), number in numbers.items():
        found[action] += number
    return found


def by_kind(numbers: Numbers) -> Counter[str]:
    """The numbers by kind."""
    found: Counter[str] = Counter()
    for (kind, _action), number in numbers.items():
        found[kind] += number
    return found
