"""Buttons for decisions about a single bound object."""

from abc import ABC, abstractmethod

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view

from .. import decisions
from ..branching import InBranchError
from ..models import Binding
from ..object_actions import SYNC_ENDPOINT

__all__ = (
    'BindingManageAgainView',
    'BindingStopManagingView',
)


class BindingDecisionView(GetReturnURLMixin, BaseObjectView, ABC):
    """Applies a decision about one binding. Accepts POST only; GET redirects to the binding."""

    queryset = Binding.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_binding'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        binding = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm(SYNC_ENDPOINT, binding.endpoint):
            raise PermissionDenied
        return self.act(request, binding)

    def act(self, request: HttpRequest, binding: Binding) -> HttpResponse:
        """Apply the decision, and respond."""
        try:
            messages.success(request, self.apply_decision(binding))
        except (decisions.SyncInProgressError, InBranchError) as error:
            messages.error(request, str(error))
        return redirect(self.get_return_url(request, binding))

    @abstractmethod
    def apply_decision(self, binding: Binding) -> str:
        """Apply the decision, and return the message for the user."""


@register_model_view(Binding, 'stop_managing', path='stop-managing')
class BindingStopManagingView(BindingDecisionView):
    """Asks for a confirmation that names the object."""

    def act(self, request: HttpRequest, binding: Binding) -> HttpResponse:
        if request.POST.get('_confirm'):
            return super().act(request, binding)
        instance = binding.object
        is_shown = instance is not None and request.user.has_perm(get_permission_for_model(instance, 'view'), instance)
        return render(
            request,
            'netbox_proxsync/confirm_decision.html',
            {
                'title': _('Stop Managing'),
                'explanation': _(
                    'No run changes this object any longer, and none creates it again after you have deleted it. Other '
                    'objects of the guest or node are still synchronized. Manage Again on the page of the binding '
                    'revokes this.'
                ),
                'headings': [_('Object type'), _('Object'), _('Key')],
                'rows': [(binding.kind_label, instance if is_shown else '', binding.key)],
                'button': _('Stop Managing'),
                'color': 'danger',
                'return_url': self.get_return_url(request, binding),
            },
        )

    def apply_decision(self, binding: Binding) -> str:
        decisions.stop_managing_object(binding)
        return _('The object is no longer managed by the Proxmox VE plugin.')


@register_model_view(Binding, 'manage_again', path='manage-again')
class BindingManageAgainView(BindingDecisionView):
    def apply_decision(self, binding: Binding) -> str:
        decisions.manage_again(binding)
        return _('The object will be synchronized again by the next run.')
