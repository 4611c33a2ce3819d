"""Previews and syncs of selected guests: one run for each endpoint, limited to them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from utilities.views import register_model_view

from ..branching import BranchUnusableError, check_active_schema
from ..choices import RunModeChoices
from ..jobs import AlreadyRunningError, SyncJob
from ..models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from ..runs.maintenance import InMaintenanceError
from ..wording import worded
from .guest_actions import BulkGuestActionView, GuestActionView

__all__ = (
    'ProxmoxGuestBulkPreviewView',
    'ProxmoxGuestBulkSyncView',
    'ProxmoxGuestPreviewView',
    'ProxmoxGuestSyncView',
)


class StartRunMixin:
    mode = ''

    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        try:
            check_active_schema(request.POST.get('place') or request.POST.get(f'_bulk_{self.mode}') or None)
        except BranchUnusableError as error:
            messages.error(request, worded(error))
            return redirect(return_url)
        chosen: dict[ProxmoxEndpoint, list[int]] = {}
        for guest in guests:
            if not guest.ignored:
                chosen.setdefault(guest.endpoint, []).append(guest.vmid)
        if ignored := len(guests) - sum(map(len, chosen.values())):
            text = ngettext('{number} ignored guest was skipped.', '{number} ignored guests were skipped.', ignored)
            messages.warning(request, text.format(number=ignored))
        runs = [run for endpoint, vmids in chosen.items() if (run := self.start(request, endpoint, vmids))]
        if len(runs) == 1 and request.user.has_perm('netbox_proxsync.view_syncrun', runs[0]):
            return_url = runs[0].get_absolute_url()
        return redirect(return_url)

    def start(self, request: HttpRequest, endpoint: ProxmoxEndpoint, vmids: list[int]) -> SyncRun | None:
        """Start a run, and return it or the one that is already in progress; None if none can be started."""
        if not endpoint.enabled:
            messages.error(request, _('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
            return None
        try:
            run = SyncJob.enqueue_run(endpoint, user=request.user, mode=self.mode, vmids=vmids)
        except AlreadyRunningError as error:
            messages.warning(request, worded(error))
            return error.run
        except InMaintenanceError as error:
            messages.error(request, worded(error))
            return None
        text = ngettext(
            '{mode} of {number} guest of {endpoint} is queued.',
            '{mode} of {number} guests of {endpoint} is queued.',
            len(vmids),
        )
        mode = run.get_mode_display()
        messages.success(request, text.format(mode=mode, number=len(vmids), endpoint=endpoint))
        return run


class PreviewRunMixin(StartRunMixin):
    mode = RunModeChoices.PREVIEW


class SyncRunMixin(StartRunMixin):
    mode = RunModeChoices.SYNC


@register_model_view(ProxmoxGuest, 'preview')
class ProxmoxGuestPreviewView(PreviewRunMixin, GuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'sync')
class ProxmoxGuestSyncView(SyncRunMixin, GuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'bulk_preview', path='preview', detail=False)
class ProxmoxGuestBulkPreviewView(PreviewRunMixin, BulkGuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'bulk_sync', path='sync', detail=False)
class ProxmoxGuestBulkSyncView(SyncRunMixin, BulkGuestActionView):
    pass
