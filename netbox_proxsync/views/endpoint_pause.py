"""Pauses the automatic syncs of an endpoint until a given time, and resumes them."""

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

__all__ = ('ProxmoxEndpointPauseView', 'ProxmoxEndpointResumeView')


class ChangePauseView(BaseObjectView):
    """Requires the permission to change the endpoint, as its form does."""

    queryset = ProxmoxEndpoint.objects.all()

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.change_proxmoxendpoint'

    def save(self, request: HttpRequest, endpoint: ProxmoxEndpoint, message: str) -> HttpResponse:
        """Save the endpoint with its change log, and respond."""
        try:
            with transaction.atomic():
                endpoint.full_clean()
                endpoint.save()
        except ValidationError as error:
            messages.error(request, ' '.join(error.messages))
        except AbortRequest as error:
            messages.error(request, error.message)
        else:
            messages.success(request, message)
        return redirect(endpoint.get_absolute_url())


@register_model_view(ProxmoxEndpoint, 'pause')
class ProxmoxEndpointPauseView(ChangePauseView):
    """Asks for a time (GET), and pauses the endpoint until then (POST)."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.ask(request, get_object_or_404(self.queryset, pk=pk), PauseForm())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        endpoint, form = get_object_or_404(self.queryset, pk=pk), PauseForm(request.POST)
        if not form.is_valid():
            return self.ask(request, endpoint, form)
        endpoint.snapshot()
        endpoint.paused_until = form.cleaned_data['paused_until']
        until = f'{timezone.localtime(endpoint.paused_until):%Y-%m-%d %H:%M}'
        return self.save(
            request, endpoint, _('{endpoint} is paused until {time}.').format(endpoint=endpoint, time=until)
        )

    def ask(self, request: HttpRequest, endpoint: ProxmoxEndpoint, form: PauseForm) -> HttpResponse:
        return render(request, 'netbox_proxsync/endpoint_pause.html', {'object': endpoint, 'form': form})


@register_model_view(ProxmoxEndpoint, 'resume')
class ProxmoxEndpointResumeView(ChangePauseView):
    """Ends the pause of an endpoint."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        endpoint = get_object_or_404(self.queryset, pk=pk)
        endpoint.snapshot()
        endpoint.paused_until = None
        return self.save(request, endpoint, _('{endpoint} is no longer paused.').format(endpoint=endpoint))
