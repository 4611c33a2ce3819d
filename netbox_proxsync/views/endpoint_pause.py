"""Pauses the automatic syncs of an endpoint until a given time, and resumes them."""

from datetime import datetime

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.exceptions import AbortRequest
from utilities.views import register_model_view

from ..forms import PauseForm
from ..models import ProxmoxEndpoint

__all__ = ('ProxmoxEndpointPauseView', 'ProxmoxEndpointResumeView', 'pause')


def pause(request: HttpRequest, endpoint: ProxmoxEndpoint, until: datetime | None) -> None:
    """
    Pause the automatic syncs of an endpoint, or resume them, with an entry in its change log, and report the result.

    Args:
        until: None: they are resumed.
    """
    endpoint.refresh_from_db()
    endpoint.snapshot()
    endpoint.paused_until = until
    try:
        with transaction.atomic():
            endpoint.full_clean()
            endpoint.save()
    except ValidationError as error:
        messages.error(request, ' '.join(error.messages))
    except AbortRequest as error:
        messages.error(request, error.message)
    else:
        if until is None:
            message = _('{endpoint} is no longer paused.').format(endpoint=endpoint)
        else:
            time = f'{timezone.localtime(until):%Y-%m-%d %H:%M}'
            message = _('{endpoint} is paused until {time}.').format(endpoint=endpoint, time=time)
        messages.success(request, message)


class ChangePauseView(BaseObjectView):
    """Requires the permission to change the endpoint, as its form does."""

    queryset = ProxmoxEndpoint.objects.all()

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.change_proxmoxendpoint'


@register_model_view(ProxmoxEndpoint, 'pause')
class ProxmoxEndpointPauseView(ChangePauseView):
    """Asks for a time (GET), and pauses the endpoint until then (POST)."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.ask(request, get_object_or_404(self.queryset, pk=pk), PauseForm())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        endpoint, form = get_object_or_404(self.queryset, pk=pk), PauseForm(request.POST)
        if not form.is_valid():
            return self.ask(request, endpoint, form)
        pause(request, endpoint, form.cleaned_data['paused_until'])
        return redirect(endpoint.get_absolute_url())

    def ask(self, request: HttpRequest, endpoint: ProxmoxEndpoint, form: PauseForm) -> HttpResponse:
        return render(request, 'netbox_proxsync/endpoint_pause.html', {'object': endpoint, 'form': form})


@register_model_view(ProxmoxEndpoint, 'resume')
class ProxmoxEndpointResumeView(ChangePauseView):
    """Ends the pause of an endpoint."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        endpoint = get_object_or_404(self.queryset, pk=pk)
        pause(request, endpoint, None)
        return redirect(endpoint.get_absolute_url())
