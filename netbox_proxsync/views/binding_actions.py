"""Buttons for decisions about a single bound object."""

from abc import ABC, abstractmethod

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.views import GetReturnURLMixin, register_model_view

from .. import decisions
from ..branching import InBranchError
from ..models import Binding
from ..object_actions import SYNC_ENDPOINT
from ..wording import worded

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
        try:
            messages.success(request, self.apply_decision(binding))
        except (decisions.SyncInProgressError, InBranchError) as error:
            messages.error(request, worded(error))
        return redirect(self.get_return_url(request, binding))

    @abstractmethod
    def apply_decision(self, binding: Binding) -> str:
        """Apply the decision, and return the message for the user."""


@register_model_view(Binding, 'stop_managing', path='stop-managing')
class BindingStopManagingView(BindingDecisionView):
    def apply_decision(self, binding: Binding) -> str:
        decisions.stop_managing_object(binding)
        return _('The object is no longer managed by the Proxmox VE plugin.')


@register_model_view(Binding, 'manage_again', path='manage-again')
class BindingManageAgainView(BindingDecisionView):
    def apply_decision(self, binding: Binding) -> str:
        decisions.manage_again(binding)
        return _('The object will be synchronized again by the next run.')
