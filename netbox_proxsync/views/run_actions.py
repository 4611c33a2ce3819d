"""Buttons for the stored plan of a run: apply it, or accept it although it was refused."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.views import register_model_view

from ..choices import ChangeActionChoices
from ..jobs import AlreadyRunningError, SyncJob
from ..models import ProxmoxGuest, SyncRun
from ..models.users import AnyUser
from ..runs.maintenance import InMaintenanceError
from ..runs.stored_plans import (
    CLUSTER_UNIT,
    REUSED_STATUSES,
    PlanNotApplicableError,
    StoredPlan,
    check_appliable,
    may_apply,
    open_parts,
)

__all__ = ('SyncRunAcceptView', 'SyncRunApplyView')


PARTS_PER_PAGE = 100


class PlanView(BaseObjectView, ABC):
    """Shows the effect of a stored plan in numbers (GET), and starts the run that applies it (POST)."""

    template_name = 'netbox_proxsync/plan_apply.html'

    queryset = SyncRun.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncrun'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = get_object_or_404(self.queryset, pk=pk)
        if not may_apply(request.user, source):
            raise PermissionDenied
        try:
            context = self.get_context(request, source)
        except PlanNotApplicableError as error:
            messages.warning(request, str(error))
            return redirect(source.get_absolute_url())
        return render(request, self.template_name, {'object': source, **context})

    def get_context(self, request: HttpRequest, source: SyncRun) -> dict[str, Any]:
        """Raise PlanNotApplicableError if the plan cannot be applied."""
        check_appliable(source)
        return {'numbers': change_numbers(StoredPlan(source).counts)}

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = get_object_or_404(self.queryset, pk=pk)
        if not may_apply(request.user, source):
            raise PermissionDenied
        try:
            run = self.start(request, source)
        except AlreadyRunningError as error:
            messages.warning(request, str(error))
            return redirect(error.run.get_absolute_url())
        except (PlanNotApplicableError, InMaintenanceError) as error:
            messages.error(request, str(error))
            return redirect(source.get_absolute_url())
        messages.success(request, _('The plan of run {source} is queued to be applied.').format(source=source.pk))
        return redirect(run.get_absolute_url())

    @abstractmethod
    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        """Enqueue a run that applies the plan of `source`, or a part of it."""


@register_model_view(SyncRun, 'accept')
class SyncRunAcceptView(PlanView):
    """Applies the whole plan of a refused run."""

    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        if not source.refusal:
            raise PlanNotApplicableError(_('This run was not refused.'))
        return SyncJob.enqueue_plan(source, request.user)


@register_model_view(SyncRun, 'apply')
class SyncRunApplyView(PlanView):
    """Applies the plan of a preview, or only the selected guests and nodes."""

    def get_context(self, request: HttpRequest, source: SyncRun) -> dict[str, Any]:
        parts = open_parts(source)
        chosen = request.GET.get('q', '').strip()
        names = names_of(source, request.user)
        hidden = source.hidden_units(request.user, [part.unit for part in parts])
        parts = [part for part in parts if part.unit not in hidden]
        if chosen:
            parts = [part for part in parts if chosen.lower() in f'{part.unit} {names.get(part.unit, "")}'.lower()]
        page = Paginator(parts, PARTS_PER_PAGE).get_page(request.GET.get('page'))
        rows = [(part, names.get(part.unit, ''), labelled(part.actions)) for part in page]
        plan = StoredPlan(source)
        return {
            'whole': not source.applied_by.filter(status__in=REUSED_STATUSES).exists(),
            'numbers': change_numbers(plan.counts),
            'hidden': len(hidden),
            'shared': plan.rows().filter(unit=CLUSTER_UNIT).exclude(action__in=ChangeActionChoices.OPEN).count(),
            'q': chosen,
            'page': page,
            'rows': rows,
        }

    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        if source.refusal:
            raise PlanNotApplicableError(_('This run was refused. It can only be approved as a whole.'))
        if request.POST.get('part') == 'all':
            return SyncJob.enqueue_plan(source, request.user)
        if units := request.POST.getlist('units'):
            return SyncJob.enqueue_plan(source, request.user, units)
        raise PlanNotApplicableError(_('Nothing was selected, so nothing was applied.'))


def names_of(source: SyncRun, user: AnyUser) -> dict[str, str]:
    """The names of the guests that the user may view, by unit."""
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint=source.endpoint_id)
    return {f'{kind}/{vmid}': name for kind, vmid, name in guests.order_by().values_list('type', 'vmid', 'name')}


def change_numbers(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The numbers of changes by action: those that will be written, removals first, and those that will not."""
    by_action: Counter[str] = Counter()
    for actions in counts.values():
        by_action.update(actions)
    conflicts = by_action.pop(ChangeActionChoices.CONFLICT, 0)
    candidates = by_action.pop(ChangeActionChoices.CANDIDATE, 0)
    return {
        'actions': labelled(by_action),
        'total': by_action.total(),
        'conflicts': conflicts,
        'candidates': candidates,
    }


def labelled(actions: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Tuples of label, color and number, removals first."""
    order = [ChangeActionChoices.DELETE, ChangeActionChoices.RETIRE]
    labels = dict(ChangeActionChoices)
    names = sorted(actions, key=lambda action: (action not in order, action))
    return [(labels[action], ChangeActionChoices.colors[action], actions[action]) for action in names]
