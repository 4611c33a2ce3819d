"""Links a virtual machine or device of NetBox to the guest or node that it is, from the page of the object."""

from collections.abc import Sequence
from typing import Any

from dcim.models import Device
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.views import GetReturnURLMixin, register_model_view
from virtualization.models import VirtualMachine

from .. import decisions, forms
from ..choices import DecisionChoices
from ..models import ProxmoxEndpoint
from ..sync.kind_names import DEVICE, GUEST
from ..ui.machine_links import endpoints_for, linkable_guests, linkable_nodes, suggested
from .decisions import REFUSALS, explanation_of_link

__all__ = ('DeviceLinkView', 'VirtualMachineLinkView')


class MachineLinkView(GetReturnURLMixin, BaseObjectView):
    """Suggests guests or nodes, and stores the link to the one that the user chooses."""

    template_name = 'netbox_proxsync/link_machine.html'
    kind = ''

    def get_required_permission(self) -> str:
        meta = self.queryset.model._meta
        return f'{meta.app_label}.view_{meta.model_name}'

    def form_of(self, request: HttpRequest, endpoints: Sequence[ProxmoxEndpoint], data: Any = None) -> Any:
        """The form, which offers guests or nodes that are not bound."""
        if self.kind == GUEST:
            return forms.LinkGuestForm(linkable_guests(endpoints, request.user), data)
        return forms.LinkNodeForm(linkable_nodes(endpoints, request.user), data)

    def endpoints(self, request: HttpRequest, instance: Any) -> Sequence[ProxmoxEndpoint]:
        """The endpoints to which the object may belong. Without one, the user may not decide."""
        endpoints = endpoints_for(instance, request.user)
        if not endpoints:
            raise PermissionDenied
        return endpoints

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        instance = get_object_or_404(self.queryset, pk=pk)
        endpoints = self.endpoints(request, instance)
        return self.show(request, instance, endpoints, self.form_of(request, endpoints))

    def show(
        self, request: HttpRequest, instance: Any, endpoints: Sequence[ProxmoxEndpoint], form: Any
    ) -> HttpResponse:
        title = _('Link {name} to a Guest') if self.kind == GUEST else _('Link {name} to a Node')
        context = {
            'object': instance,
            'title': title.format(name=instance),
            'explanation': explanation_of_link(),
            'form': form,
            'suggestions': suggested(instance, endpoints, request.user),
            'return_url': self.get_return_url(request, instance),
        }
        return render(request, self.template_name, context)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        instance = get_object_or_404(self.queryset, pk=pk)
        endpoints = self.endpoints(request, instance)
        form = self.form_of(request, endpoints, request.POST)
        if not form.is_valid():
            return self.show(request, instance, endpoints, form)
        chosen = form.cleaned_data['target']
        try:
            decisions.decide(chosen.endpoint, self.kind, chosen.key, DecisionChoices.LINK, request.user, instance)
        except REFUSALS as error:
            form.add_error('target', str(error))
            return self.show(request, instance, endpoints, form)
        messages.success(request, _('The decision was stored. The next run applies it.'))
        return redirect(self.get_return_url(request, instance))


@register_model_view(VirtualMachine, 'proxmox_link', path='proxmox-link')
class VirtualMachineLinkView(MachineLinkView):
    queryset = VirtualMachine.objects.all()
    kind = GUEST


@register_model_view(Device, 'proxmox_link', path='proxmox-link')
class DeviceLinkView(MachineLinkView):
    queryset = Device.objects.all()
    kind = DEVICE
