"""The panels on the page of a run: first what requires attention, then numbers, times, and the changes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from netbox.ui import panels
from utilities.paginator import get_paginate_count

from ..branching import link
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, KindChoices, RunModeChoices
from ..choices import choices_of as choice_set_items
from ..models import SyncRun
from ..models.users import AnyUser
from ..runs.progress import PHASES
from ..runs.stored_plans import has_plan
from ..sync.kinds import KINDS
from .durations import shown_duration
from .revert_state import after_revert
from .run_changes import FILTERS, ChangePage, open_changes, unsuccessful
from .unit_rows import badges, severity

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('ChangesPanel', 'RunCountsPanel', 'RunMessagesPanel', 'RunPlanPanel', 'RunTimesPanel', 'choices_of')

VIEW_CHANGES = 'netbox_proxsync.view_syncchange'


class RunMessagesPanel(panels.ObjectPanel):
    """What requires attention: errors, unreadable parts, conflicts, and changes that were not made."""

    title = _('Messages')
    template_name = 'netbox_proxsync/panels/run_messages.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        run = context['object']
        return bool(run.error or run.messages or run.conflicts or run.candidates or context['unsuccessful'])

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        run, user = context['object'], context['request'].user
        conflicts, candidates, unwritten = [], [], {}
        # While the run is in progress, the page loads this every two seconds.
        if run.finished and user.has_perm(VIEW_CHANGES):
            conflicts = open_changes(run, user, ChangeActionChoices.CONFLICT) if run.conflicts else []
            candidates = open_changes(run, user, ChangeActionChoices.CANDIDATE) if run.candidates else []
            unwritten = unsuccessful(run, user)
        return {
            **context,
            'conflicts': conflicts,
            'candidates': candidates,
            'unsuccessful': unwritten,
            'more': run.conflicts - len(conflicts),
            'more_candidates': run.candidates - len(candidates),
            'notices': run.notices_for(user),
            'may_acknowledge': user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint),
        }


class RunPlanPanel(panels.ObjectPanel):
    """Whether the plan of a run can be applied, and which runs have applied it. The page provides the context."""

    title = _('Plan')
    template_name = 'netbox_proxsync/panels/run_plan.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        return context.get('plan') is not None

    def get_context(self, context: Any) -> dict[str, Any]:
        plan = context.get('plan')
        after = after_revert(plan.source.endpoint) if plan and plan.source.mode == RunModeChoices.REVERT else {}
        return {**super().get_context(context), 'plan': plan, **after}


class RunCountsPanel(panels.ObjectPanel):
    """The number of changes by kind and action, their outcomes, and a link to NetBox's change log of the run."""

    title = _('Changes by Object Type')
    template_name = 'netbox_proxsync/panels/run_counts.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        # Until the changes are counted, it is not known whether there are any.
        return bool(context['object'].finished or context['object'].counts)

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        run, user = context['object'], context['request'].user
        results = results_of(run) if run.finished and run.wrote else []
        matrix = matrix_of(run.counts)
        if results:
            matrix['sums'] = [sum(row.planned for row in results)] + [
                sum(row.outcomes[column][1] for row in results) for column in range(len(results[0].outcomes))
            ]
        # A plan without changes may only lack those that NetBox rejects.
        is_rejected = has_plan(run) and not run.counts and ChangeOutcomeChoices.REJECTED in unsuccessful(run, user)
        return {
            **context,
            **matrix,
            'results': results,
            'is_rejected': is_rejected,
            'change_log': change_log_of(run, user),
        }


def matrix_of(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The numbers of planned changes by kind and action, with their sums."""
    seen: Counter[str] = Counter()
    for actions in counts.values():
        seen.update(actions)
    order = sorted(seen, key=severity)
    shown = zip(order, badges(seen), strict=True)
    return {
        'actions_seen': [(action, label, color) for action, (label, color, _number) in shown],
        'rows': [
            (
                kind,
                KindChoices.label(kind),
                [(action, by_action.get(action)) for action in order],
                sum(by_action.values()),
            )
            for kind, by_action in ((kind, counts[kind]) for kind in kinds_in_order(counts))
        ],
        'sums': [*((action, seen[action]) for action in order), ('', seen.total())],
    }


@dataclass(frozen=True)
class ResultRow:
    """
    What became of the changes of one kind and action.

    Attributes:
        outcomes: What to filter by, and the number: written, skipped, failed, not written.
    """

    kind: str
    action: str
    planned: int
    outcomes: list[tuple[str, int]]

    @property
    def kind_label(self) -> Any:
        """The name of the kind for display."""
        return KindChoices.label(self.kind)

    @property
    def action_label(self) -> Any:
        """The name of the action for display."""
        return dict(ChangeActionChoices).get(self.action, self.action)

    @property
    def color(self) -> str:
        """The color of the action."""
        return cast(str, ChangeActionChoices.colors.get(self.action, 'gray'))


def results_of(run: SyncRun) -> list[ResultRow]:
    """What became of the planned changes of a run, by kind and action."""
    recorded: dict[tuple[str, str], Counter[str]] = {}
    numbers = run.changes.order_by().values_list('kind', 'action', 'outcome').annotate(Count('pk'))
    for kind, action, outcome, number in numbers:
        recorded.setdefault((kind, action), Counter())[outcome] += number
    rows = []
    for kind in kinds_in_order(run.counts):
        for action in sorted(run.counts[kind], key=severity):
            planned, found = run.counts[kind][action], recorded.get((kind, action), Counter())
            written, failed = found[ChangeOutcomeChoices.APPLIED], found[ChangeOutcomeChoices.FAILED]
            skipped = found[ChangeOutcomeChoices.SKIPPED] + found[ChangeOutcomeChoices.OUTDATED]
            outcomes = [
                (ChangeOutcomeChoices.APPLIED, written),
                ('', skipped),
                (ChangeOutcomeChoices.FAILED, failed),
                # If the worker died, these changes are not recorded.
                ('', max(planned - written - skipped - failed, 0)),
            ]
            rows.append(ResultRow(kind, action, planned, outcomes))
    return rows


def change_log_of(run: Any, user: AnyUser) -> str:
    """The URL of NetBox's change log of a run; '' if the run has none, or the user may not view it."""
    if not run.wrote or not user.has_perm('core.view_objectchange'):
        return ''
    url = reverse('core:objectchange_list', query={'request_id': run.request_id})
    # After a merge, the change log of main has the changes of the branch.
    return link(url, run.branch_id) or link(url, '')


class RunTimesPanel(panels.ObjectPanel):
    """The duration of each phase."""

    title = _('Time by Phase')
    template_name = 'netbox_proxsync/panels/run_times.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        return bool(context['object'].timings)

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        timings = context['object'].timings
        whole = sum(timings.values())
        # JSON objects in PostgreSQL do not preserve the order of keys.
        order = [*(phase for phase in PHASES if phase in timings), *(phase for phase in timings if phase not in PHASES)]
        return {
            **context,
            'rows': [
                (PHASES.get(name, name), shown_duration(timings[name]), round(100 * timings[name] / (whole or 1)))
                for name in order
            ],
            # Bars for fractions of a second would only show the noise of the machine.
            'shows_bars': whole >= 1,
        }


class ChangesPanel(panels.ObjectPanel):
    """One page of the guests and nodes with changes, by severity, filtered by the query parameters. Each unfolds."""

    title = _('Changes')
    template_name = 'netbox_proxsync/panels/changes.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        return cast(bool, context['request'].user.has_perm(VIEW_CHANGES))

    def render(self, context: Any) -> str:
        # Users without the permission cause no query.
        return super().render(context) if self.should_render(context) else ''

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        run, request = context['object'], context['request']
        chosen = {name: request.GET[name] for name in FILTERS if request.GET.get(name)}
        page = ChangePage.of(run, request.user, request.GET, get_paginate_count(request))
        has_creates = any(ChangeActionChoices.CREATE in actions for actions in run.counts.values())
        return {**context, 'chosen': chosen, 'choices': choices_of(run), 'page': page, 'has_creates': has_creates}


def choices_of(run: Any) -> list[tuple[str, 'StrOrPromise', list[tuple[str, 'StrOrPromise']]]]:
    """The filters for the changes of a run: tuples of parameter, label, and choices as (value, label)."""
    actions = {action for by_action in run.counts.values() for action in by_action}
    choices: list[tuple[str, StrOrPromise, list[tuple[str, StrOrPromise]]]] = [
        ('kind', _('Object type'), [(kind, KindChoices.label(kind)) for kind in kinds_in_order(run.counts)]),
        ('action', _('Action'), [choice for choice in choice_set_items(ChangeActionChoices) if choice[0] in actions]),
    ]
    outcomes = choice_set_items(ChangeOutcomeChoices)
    if run.mode in RunModeChoices.PLANNING:
        # All changes are planned, unless some are left out.
        if not run.changes.filter(outcome__in=ChangeOutcomeChoices.LEFT_OUT).exists():
            return choices
        outcomes = [choice for choice in outcomes if choice[0] in ChangeOutcomeChoices.OF_PREVIEWS]
    choices.append(('outcome', _('Outcome'), outcomes))
    return choices


def kinds_in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds in the order in which a run writes them; kinds of other releases are last."""
    order = list(KINDS)
    return sorted(kinds, key=lambda kind: (order.index(kind) if kind in order else len(order), kind))
