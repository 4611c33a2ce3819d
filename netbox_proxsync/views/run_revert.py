"""Reverts a run: explains what that does, and starts the run that plans it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.views import register_model_view

from ..forms import RevertForm
from ..jobs import AlreadyRunningError, SyncJob
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..runs.maintenance import InMaintenanceError
from ..runs.reverting import check_revertible
from ..runs.stored_plans import PlanNotApplicableError
from ..ui.revert_state import after_revert, may_revert
from ..wording import worded
from .endpoint_pause import pause
from .runs import run_url

__all__ = ('SyncRunRevertView',)


@register_model_view(SyncRun, 'revert')
class SyncRunRevertView(BaseObjectView):
    """Asks (GET), and starts the run that plans the revert, and pauses the endpoint if the user wants it (POST)."""

    queryset = SyncRun.objects.select_related('endpoint', 'applies')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncrun'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.respond(request, pk, RevertForm())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.respond(request, pk, RevertForm(request.POST))

    def respond(self, request: HttpRequest, pk: int, form: RevertForm) -> HttpResponse:
        """The page, or the run that was started."""
        source = get_object_or_404(self.queryset, pk=pk)
        endpoint = source.endpoint
        if not may_revert(request.user, source):
            raise PermissionDenied
        if not endpoint.enabled:
            messages.error(request, _('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
            return redirect(source.get_absolute_url())
        pauses = may_pause(request.user, endpoint)
        try:
            check_revertible(source)
            if request.method != 'POST' or (pauses and not form.is_valid()):
                return render(
                    request, 'netbox_proxsync/run_revert.html', page_context(source, form if pauses else None)
                )
            run = SyncJob.enqueue_revert(source, request.user)
        except AlreadyRunningError as error:
            messages.warning(request, worded(error))
            return redirect(run_url(request.user, error.run))
        except (PlanNotApplicableError, InMaintenanceError) as error:
            messages.error(request, worded(error))
            return redirect(source.get_absolute_url())
        messages.success(request, _('The revert of run {source} is queued to be planned.').format(source=source.pk))
        if pauses and form.cleaned_data['pause']:
            pause(request, endpoint, form.cleaned_data['paused_until'])
        return redirect(run.get_absolute_url())


def may_pause(user: AnyUser, endpoint: ProxmoxEndpoint) -> bool:
    """Whether the page proposes to pause the endpoint: it has a schedule, which is not paused already."""
    has_schedule = bool(endpoint.sync_interval or endpoint.quick_interval)
    permitted = bool(user.has_perm('netbox_proxsync.change_proxmoxendpoint', endpoint))
    return has_schedule and permitted and not endpoint.is_paused


def page_context(source: SyncRun, form: RevertForm | None) -> dict[str, Any]:
    """The context of the page; without a form if the endpoint has no schedule, or the user may not pause it."""
    return {'object': source, 'form': form, **after_revert(source.endpoint)}
