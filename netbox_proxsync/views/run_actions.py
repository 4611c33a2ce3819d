"""Buttons for the stored plan of a run: apply it or a part of it, or approve it although it was refused."""

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.paginator import get_paginate_count
from utilities.views import register_model_view

from ..choices import ChangeActionChoices, RunModeChoices
from ..jobs import AlreadyRunningError, SyncJob
from ..models import SyncRun
from ..runs.maintenance import InMaintenanceError
from ..runs.stored_plans import PlanNotApplicableError, check_appliable, may_apply, select
from ..ui.plan_parts import PlanParts, Removals
from ..ui.plan_state import PlanState
from ..ui.revert_state import after_revert
from ..ui.run_panels import choices_of
from ..wording import worded

__all__ = ('SyncRunAcceptView', 'SyncRunApplyView')

# What the buttons of the page apply.
ALL, SELECTED, UNSELECTED = 'all', 'selected', 'unselected'


class PlanView(BaseObjectView):
    """
    Shows what of a stored plan remains (GET), keeps track of what is selected of it (POST), and starts the run that
    applies it (POST with `part`).
    """

    template_name = 'netbox_proxsync/plan_apply.html'

    queryset = SyncRun.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncrun'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.respond(request, pk, request.GET)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.respond(request, pk, request.POST)

    def respond(self, request: HttpRequest, pk: int, data: QueryDict) -> HttpResponse:
        """The page, a part of it, or the run that was started."""
        source = get_object_or_404(self.queryset, pk=pk)
        if not may_apply(request.user, source):
            raise PermissionDenied
        try:
            self.check(source)
            if request.method == 'POST' and data.get('part') in (ALL, SELECTED, UNSELECTED):
                return self.apply(request, source)
            return self.show(request, source, data)
        except AlreadyRunningError as error:
            messages.warning(request, worded(error))
            return redirect(error.run.get_absolute_url())
        except (PlanNotApplicableError, InMaintenanceError) as error:
            messages.error(request, worded(error))
            return redirect(source.get_absolute_url())

    def check(self, source: SyncRun) -> None:
        """Raise PlanNotApplicableError if nothing of the plan can be applied on this page."""
        check_appliable(source)

    def show(self, request: HttpRequest, source: SyncRun, data: QueryDict) -> HttpResponse:
        """The page, or with `totals` only the numbers of changes."""
        parts = PlanParts(source, request.user, data)
        if 'totals' in data:
            return render(request, 'netbox_proxsync/inc/plan_totals.html', {'totals': parts.totals()})
        page = parts.page(data.get('page'), get_paginate_count(request))
        state = PlanState.of(source, request.user)
        context = {
            'object': source,
            'parts': parts,
            'page': page,
            'selection': parts.off_page(page),
            'totals': parts.totals(),
            'hidden': len(parts.hidden),
            'choices': [choice for choice in choices_of(source) if choice[0] in ('kind', 'action')],
            'chosen': {name: data.get(name, '') for name in ('q', 'kind', 'action')},
            'applied': state.applied if state else [],
            'is_rest': bool(state and state.is_rest),
            **(after_revert(source.endpoint) if source.mode == RunModeChoices.REVERT else {}),
        }
        return render(request, self.template_name, context)

    def apply(self, request: HttpRequest, source: SyncRun) -> HttpResponse:
        """Start a run for the chosen part; first let the user confirm what the plan of a refused run removes."""
        parts = PlanParts(source, request.user, request.POST)
        part = request.POST['part']
        chosen: dict[str, Any] = {'actions': parts.actions}
        if part != ALL:
            # Without exceptions, it is the whole plan.
            chosen['units' if part == SELECTED else 'except_units'] = sorted(parts.chosen)
        if source.refusal:
            selection = select(source, request.user, **chosen)
            removals = Removals.of(source, request.user, selection)
            if removals.number and request.POST.get('confirm') != removals.digest:
                return self.ask(request, source, parts, part, removals)
        run = SyncJob.enqueue_plan(source, request.user, **chosen)
        messages.success(request, _('The plan of run {source} is queued to be applied.').format(source=source.pk))
        return redirect(run.get_absolute_url())

    def ask(
        self, request: HttpRequest, source: SyncRun, parts: PlanParts, part: str, removals: Removals
    ) -> HttpResponse:
        """The page on which the user confirms removals."""
        labels = dict(ChangeActionChoices)
        context = {
            'object': source,
            'part': part,
            'selection': json.dumps(sorted(parts.chosen)),
            'actions': parts.actions,
            'action_labels': [labels[action] for action in parts.actions or ()],
            'removals': removals,
        }
        return render(request, 'netbox_proxsync/plan_confirm.html', context)


@register_model_view(SyncRun, 'accept')
class SyncRunAcceptView(PlanView):
    """Applies the plan of a refused run, or a part of it."""

    def check(self, source: SyncRun) -> None:
        """As the base class; other runs have another page."""
        if not source.refusal:
            raise PlanNotApplicableError(_('This run was not refused.'))
        super().check(source)


@register_model_view(SyncRun, 'apply')
class SyncRunApplyView(PlanView):
    """Applies the plan of a preview, or a part of it."""

    def check(self, source: SyncRun) -> None:
        """As the base class; refused runs have another page."""
        if source.refusal:
            raise PlanNotApplicableError(_('This run was refused. Approve it instead.'))
        super().check(source)
