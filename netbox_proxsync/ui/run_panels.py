"""The panels on the page of a run: first what requires attention, then numbers, times, and the changes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from netbox.ui import panels
from utilities.paginator import get_paginate_count

from ..branching import link
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, KindChoices, RunModeChoices, RunStatusChoices
from ..choices import choices_of as choice_set_items
from ..models.users import AnyUser
from ..runs.progress import PHASES
from ..sync.kinds import KINDS
from .run_changes import FILTERS, ChangePage, open_changes, unsuccessful

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('ChangesPanel', 'RunCountsPanel', 'RunMessagesPanel', 'RunTimesPanel')

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
            # The changes of a preview have no outcome yet.
            unwritten = {} if run.mode == RunModeChoices.PREVIEW else unsuccessful(run, user)
        return {
            **context,
            'conflicts': conflicts,
            'candidates': candidates,
            'unsuccessful': unwritten,
            'more': run.conflicts - len(conflicts),
            'more_candidates': run.candidates - len(candidates),
            'notices': run.messages_for(user),
            'may_acknowledge': user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint),
        }


class RunCountsPanel(panels.ObjectPanel):
    """The number of changes by kind and action, and a link to NetBox's change log of the run."""

    title = _('Changes by kind')
    template_name = 'netbox_proxsync/panels/run_counts.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        # Until the changes are counted, it is not known whether there are any.
        return bool(context['object'].finished or context['object'].counts)

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        run, user = context['object'], context['request'].user
        counts = run.counts
        labels = {
            action: label
            for action, label in choice_set_items(ChangeActionChoices)
            if any(action in by for by in counts.values())
        }
        return {
            **context,
            'actions_seen': [(action, label, ChangeActionChoices.colors[action]) for action, label in labels.items()],
            'rows': [
                (kind, KindChoices.label(kind), [(action, counts[kind].get(action)) for action in labels])
                for kind in kinds_in_order(counts)
            ],
            'change_log': change_log_of(run, user),
        }


def change_log_of(run: Any, user: AnyUser) -> str:
    """The URL of NetBox's change log of a run; '' if the run has none, or the user may not view it."""
    wrote = run.mode != RunModeChoices.PREVIEW and run.status != RunStatusChoices.REFUSED
    if not wrote or not user.has_perm('core.view_objectchange'):
        return ''
    url = reverse('core:objectchange_list', query={'request_id': run.request_id})
    # After a merge, the change log of main has the changes of the branch.
    return link(url, run.branch_id) or link(url, '')


class RunTimesPanel(panels.ObjectPanel):
    """The duration of each phase."""

    title = _('Time by phase')
    template_name = 'netbox_proxsync/panels/run_times.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        return bool(context['object'].timings)

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        timings = context['object'].timings
        whole = sum(timings.values()) or 1
        # JSON objects in PostgreSQL do not preserve the order of keys.
        order = [*(phase for phase in PHASES if phase in timings), *(phase for phase in timings if phase not in PHASES)]
        return {
            **context,
            'rows': [(PHASES.get(name, name), timings[name], round(100 * timings[name] / whole)) for name in order],
        }


class ChangesPanel(panels.ObjectPanel):
    """One page of the changes of a run, grouped by guest and node, and filtered by the query parameters."""

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
        return {**context, 'chosen': chosen, 'choices': choices_of(run), 'page': page}


def choices_of(run: Any) -> list[tuple[str, 'StrOrPromise', list[tuple[str, 'StrOrPromise']]]]:
    """The filters for the changes of a run: tuples of parameter, label, and choices as (value, label)."""
    actions = {action for by_action in run.counts.values() for action in by_action}
    choices: list[tuple[str, StrOrPromise, list[tuple[str, StrOrPromise]]]] = [
        ('kind', _('Kind'), [(kind, KindChoices.label(kind)) for kind in kinds_in_order(run.counts)]),
        ('action', _('Action'), [choice for choice in choice_set_items(ChangeActionChoices) if choice[0] in actions]),
    ]
    if run.mode != RunModeChoices.PREVIEW:
        choices.append(('outcome', _('Outcome'), choice_set_items(ChangeOutcomeChoices)))
    return choices


def kinds_in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds in the order in which a run writes them; kinds of other releases are last."""
    order = list(KINDS)
    return sorted(kinds, key=lambda kind: (order.index(kind) if kind in order else len(order), kind))
