from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View
from netbox.models.deletion import CountOnly
from netbox.object_actions import BulkDelete, BulkExport
from netbox.ui.breadcrumbs import Breadcrumb, object_view_url
from netbox.ui.layout import Column, Layout, Row
from netbox.ui.panels import PluginContentPanel
from netbox.views import generic
from utilities.views import ConditionalLoginRequiredMixin, register_model_view

from .. import filtersets, forms, tables
from ..models import SyncRun
from ..models.users import AnyUser
from ..object_actions import ApplyPlan, CancelRun, DeleteRun, RevertRun
from ..runs.cancellation import RunEndedError, cancel, run_to_cancel
from ..ui import panels, run_panels
from ..ui.plan_state import PlanState
from ..ui.revert_state import is_revertible, may_revert
from ..ui.run_changes import UnitChanges, changes_of
from ..wording import worded
from .empty_states import EmptyListMixin
from .endpoints import dependent_counts
from .run_progress import progress_context

__all__ = (
    'SyncRunBulkDeleteView',
    'SyncRunCancelView',
    'SyncRunDeleteView',
    'SyncRunListView',
    'SyncRunProgressView',
    'SyncRunUnitView',
    'SyncRunView',
)

# Larger numbers are no positions of changes.
POSITION_DIGITS = 9


@register_model_view(SyncRun, 'list', path='', detail=False)
class SyncRunListView(EmptyListMixin, generic.ObjectListView):
    queryset = SyncRun.objects.all()
    filterset = filtersets.SyncRunFilterSet
    filterset_form = forms.SyncRunFilterForm
    table = tables.SyncRunTable
    actions = (BulkExport, BulkDelete)
    empty_text = gettext_lazy('No run has been started yet. A preview of an endpoint changes nothing.')
    empty_icon = 'sync'


@register_model_view(SyncRun)
class SyncRunView(generic.ObjectView):
    queryset = SyncRun.objects.select_related('endpoint', 'job', 'user', 'applies', 'reverts')
    actions = (ApplyPlan, RevertRun, CancelRun, DeleteRun)
    layout = Layout(
        Row(
            Column(run_panels.RunMessagesPanel(), run_panels.RunPlanPanel()),
        ),
        Row(
            Column(panels.RunPanel(), PluginContentPanel('left_page')),
            Column(run_panels.RunCountsPanel(), run_panels.RunTimesPanel(), PluginContentPanel('right_page')),
        ),
        Row(
            Column(run_panels.ChangesPanel(), PluginContentPanel('full_width_page')),
        ),
        breadcrumbs=[
            Breadcrumb('endpoint', url=object_view_url('plugins:netbox_proxsync:proxmoxendpoint_runs')),
        ],
    )

    def get_extra_context(self, request: HttpRequest, instance: SyncRun) -> dict[str, Any]:
        if not instance.finished:
            return progress_context(instance)
        revertible = may_revert(request.user, instance) and is_revertible(instance)
        return {'plan': PlanState.of(instance, request.user), 'revertible': revertible}


@register_model_view(SyncRun, 'unit')
class SyncRunUnitView(generic.ObjectView):
    """The changes of one guest or node (`unit`) that the filters leave, loaded when its row is unfolded."""

    queryset = SyncRun.objects.select_related('endpoint')

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        run = self.get_object(**kwargs)
        if not request.user.has_perm('netbox_proxsync.view_syncchange'):
            raise PermissionDenied
        after = request.GET.get('after', '')
        start = int(after) if after.isdecimal() and len(after) <= POSITION_DIGITS else 0
        query = {'unit': '', **request.GET.dict()}
        group = UnitChanges.of(run, request.user, changes_of(run, request.user, query), start)
        return render(request, 'netbox_proxsync/unit_changes.html', {'object': run, 'group': group})


@register_model_view(SyncRun, 'progress')
class SyncRunProgressView(generic.ObjectView):
    """The part of a run's page, or of its endpoint's page (`brief`), that changes while the run is in progress."""

    queryset = SyncRun.objects.select_related('endpoint', 'job', 'user')

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        run = self.get_object(**kwargs)
        if run.finished:
            # The run has finished: reload the whole page, which now has its changes.
            return HttpResponse(headers={'HX-Refresh': 'true'})
        context = progress_context(run, brief='brief' in request.GET)
        news = context['progress'].text != request.GET.get('announced')
        return render(request, 'netbox_proxsync/run_progress.html', {**context, 'object': run, 'news': news})


@register_model_view(SyncRun, 'cancel')
class SyncRunCancelView(ConditionalLoginRequiredMixin, View):
    """Cancels a run. Requires the permission to sync its endpoint."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        # A login redirects here with GET.
        return redirect(run_url(request.user, run_to_cancel(request.user, pk)))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = run_to_cancel(request.user, pk)
        try:
            run = cancel(run, request.user)
        except RunEndedError as error:
            messages.warning(request, worded(error))
        else:
            text = _('{run} is canceled.') if run.finished else _('{run} stops within seconds.')
            messages.success(request, text.format(run=run))
        return redirect(run_url(request.user, run))


@register_model_view(SyncRun, 'delete')
class SyncRunDeleteView(generic.ObjectDeleteView):
    queryset = SyncRun.objects.all()

    def _get_dependent_objects(self, obj: SyncRun) -> dict[type[Model], CountOnly]:
        return dependent_counts(obj.changes.all())


@register_model_view(SyncRun, 'bulk_delete', path='delete', detail=False)
class SyncRunBulkDeleteView(generic.BulkDeleteView):
    queryset = SyncRun.objects.all()
    filterset = filtersets.SyncRunFilterSet
    table = tables.SyncRunTable


def run_url(user: AnyUser, run: SyncRun) -> str:
    """The URL at which the user can follow a run: of the run, or else of its endpoint."""
    shown = run if user.has_perm('netbox_proxsync.view_syncrun', run) else run.endpoint
    return shown.get_absolute_url()
