"""Buttons for decisions about a single bound object."""

from abc import ABC, abstractmethod

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from netbox.views.generic.base import BaseObjectView
from utilities.permissions import get_permission_for_model
from utilities.views import GetReturnURLMixin, register_model_view

from .. import decisions
from ..branching import InBranchError
from ..choices import FieldDecisionChoices, FieldOwnerChoices
from ..models import Binding
from ..models.field_display import labels_of
from ..object_actions import SYNC_ENDPOINT
from ..sync.kinds import KINDS, Owner
from ..wording import worded

__all__ = (
    'BindingFieldView',
    'BindingManageAgainView',
    'BindingStopManagingView',
)

CHANGE_ENDPOINT = 'netbox_proxsync.change_proxmoxendpoint'
REFUSALS = (decisions.DecisionError, decisions.SyncInProgressError, InBranchError)
DONE = {
    FieldDecisionChoices.PROXMOX: gettext_lazy('The next sync writes the value of Proxmox VE.'),
    FieldDecisionChoices.KEEP: gettext_lazy('The value in NetBox is kept until the value in Proxmox VE changes.'),
    FieldDecisionChoices.ALWAYS: gettext_lazy('The field policy of the endpoint was changed.'),
}


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
            messages.error(request, worded(error))
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


@register_model_view(Binding, 'field')
class BindingFieldView(GetReturnURLMixin, BaseObjectView):
    """Decides which value of a field applies (POST). An exception for all objects of a type is confirmed (GET)."""

    queryset = Binding.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_binding'

    def binding_of(self, request: HttpRequest, pk: int, choice: str) -> Binding:
        binding: Binding = get_object_or_404(self.queryset, pk=pk)
        required = CHANGE_ENDPOINT if choice == FieldDecisionChoices.ALWAYS else SYNC_ENDPOINT
        if not request.user.has_perm(required, binding.endpoint):
            raise PermissionDenied
        return binding

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        binding, name = self.binding_of(request, pk, FieldDecisionChoices.ALWAYS), request.GET.get('field', '')
        spec = decisions.field_spec(binding, name)
        if spec is None or binding.object is None:
            return redirect(binding.get_absolute_url())
        owner = FieldOwnerChoices.IGNORED if spec.owner is Owner.SET else FieldOwnerChoices.EDITORIAL
        label = labels_of(KINDS[binding.kind]).get(name, name)
        explanation = _(
            'This applies to the field "{field}" of all objects of the type "{kind}" of this endpoint, from the next '
            'sync on. New source of truth: {owner}'
        )
        context = {
            'title': _('Always keep {field}').format(field=label),
            'explanation': explanation.format(
                field=label, kind=binding.kind_label, owner=dict(FieldOwnerChoices)[owner]
            ),
            'line': f'{binding.kind}.{name} = {owner}',
            'action': request.path,
            'field': name,
            'return_url': self.get_return_url(request, binding),
        }
        return render(request, 'netbox_proxsync/confirm_field_policy.html', context)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        choice, name = request.POST.get('choice', ''), request.POST.get('field', '')
        binding = self.binding_of(request, pk, choice)
        try:
            decisions.decide_field(binding, name, choice)
        except REFUSALS as error:
            messages.error(request, str(error))
        else:
            messages.success(request, str(DONE[choice]))
        return redirect(self.get_return_url(request, binding))
