"""Previews and syncs of the endpoints that were selected in a list."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from netbox.views.generic.base import BaseMultiObjectView
from utilities.views import GetReturnURLMixin, register_model_view

from .. import filtersets
from ..branching import BranchUnusableError, check_active_schema
from ..choices import RunModeChoices
from ..jobs import AlreadyRunningError, SyncJob
from ..models import ProxmoxEndpoint
from ..runs.maintenance import InMaintenanceError
from ..wording import worded

__all__ = ('ProxmoxEndpointBulkPreviewView', 'ProxmoxEndpointBulkSyncView')


class BulkRunView(GetReturnURLMixin, BaseMultiObjectView):
    """Starts a run of each selected endpoint, or of all that match the filter of the list."""

    queryset = ProxmoxEndpoint.objects.all()
    filterset = filtersets.ProxmoxEndpointFilterSet
    mode = ''

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.sync_proxmoxendpoint'

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect(self.get_return_url(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            check_active_schema(request.POST.get(f'_bulk_{self.mode}') or None)
            started = [endpoint for endpoint in self.selected(request) if self.start(request, endpoint)]
        except (BranchUnusableError, InMaintenanceError) as error:
            messages.error(request, worded(error))
            return redirect(self.get_return_url(request))
        if started:
            text = ngettext(
                '{mode} of {number} endpoint is queued.', '{mode} of {number} endpoints is queued.', len(started)
            )
            messages.success(request, text.format(mode=dict(RunModeChoices)[self.mode], number=len(started)))
        return redirect(self.get_return_url(request))

    def selected(self, request: HttpRequest) -> list[ProxmoxEndpoint]:
        # The permission to sync has restricted the query set to the endpoints that the user may sync.
        if request.POST.get('_all'):
            viewable = ProxmoxEndpoint.objects.restrict(request.user, 'view')
            found = self.filterset(request.GET, self.queryset.filter(pk__in=viewable), request=request).qs
        else:
            found = self.queryset.filter(pk__in=[pk for pk in request.POST.getlist('pk') if pk.isdecimal()])
        endpoints = list(found)
        if not endpoints:
            messages.warning(request, _('No endpoint was selected.'))
        return endpoints

    def start(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> bool:
        """Start a run; False if none can be started."""
        if not endpoint.enabled:
            messages.warning(request, _('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
            return False
        try:
            SyncJob.enqueue_run(endpoint, user=request.user, mode=self.mode)
        except AlreadyRunningError as error:
            messages.warning(request, worded(error))
            return False
        return True


@register_model_view(ProxmoxEndpoint, 'bulk_preview', path='preview', detail=False)
class ProxmoxEndpointBulkPreviewView(BulkRunView):
    mode = RunModeChoices.PREVIEW


@register_model_view(ProxmoxEndpoint, 'bulk_sync', path='sync', detail=False)
class ProxmoxEndpointBulkSyncView(BulkRunView):
    mode = RunModeChoices.SYNC
