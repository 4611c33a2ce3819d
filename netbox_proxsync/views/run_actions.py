"""What a person does with the stored plan of a run by a button: apply it, or let it through though it was refused."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.views import register_model_view

from ..jobs import AlreadyRunning, SyncJob
from ..models import SyncRun
from ..permissions import may_apply
from ..stored_plans import NotAppliable

__all__ = ('SyncRunAcceptView', 'SyncRunApplyView')


class PlanView(BaseObjectView):
    """Starts a run that applies the plan of another one, by POST only."""

    queryset = SyncRun.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncrun'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = get_object_or_404(self.queryset, pk=pk)
        if not may_apply(request.user, source):
            raise PermissionDenied
        try:
            run = self.start(request, source)
        except AlreadyRunning as error:
            messages.warning(request, str(error))
            return redirect(error.run.get_absolute_url())
        except NotAppliable as error:
            messages.error(request, str(error))
            return redirect(source.get_absolute_url())
        messages.success(request, _('The plan of run {source} is queued to be applied.').format(source=source.pk))
        return redirect(run.get_absolute_url())

    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        raise NotImplementedError


@register_model_view(SyncRun, 'accept')
class SyncRunAcceptView(PlanView):
    """Lets the whole plan of a refused run through."""

    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        if not source.refusal:
            raise NotAppliable(_('This run was not refused.'))
        return SyncJob.enqueue_plan(source, request.user)


@register_model_view(SyncRun, 'apply')
class SyncRunApplyView(PlanView):
    """Applies the plan of a preview, or the units of it that were chosen."""

    def start(self, request: HttpRequest, source: SyncRun) -> SyncRun:
        return SyncJob.enqueue_plan(source, request.user, request.POST.getlist('units') or None)
