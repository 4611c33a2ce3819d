"""Buttons for decisions about guests, one or many at once."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from netbox.object_actions import ObjectAction
from netbox.views.generic.base import BaseMultiObjectView, BaseObjectView
from netbox.views.generic.mixins import ActionsMixin
from utilities.views import GetReturnURLMixin, register_model_view
from virtualization.models import VirtualMachine

from .. import decisions, filtersets
from ..branching import InBranchError
from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..models.users import AnyUser
from ..object_actions import SYNC_ENDPOINT, DecisionAction
from ..wording import worded

__all__ = (
    'GuestDecisionButtonsMixin',
    'ProxmoxGuestBulkIgnoreView',
    'ProxmoxGuestBulkStopIgnoringView',
    'ProxmoxGuestBulkStopManagingView',
    'ProxmoxGuestIgnoreView',
    'ProxmoxGuestStopIgnoringView',
    'ProxmoxGuestStopManagingView',
)


class GuestDecisionButtonsMixin(ActionsMixin):
    """Mixin for pages with guests that hides the buttons from users who may not sync an endpoint."""

    def get_permitted_actions(self, user: AnyUser, model: type[Model] | None = None) -> list[ObjectAction]:
        permitted = super().get_permitted_actions(user, model)
        if user.has_perm(SYNC_ENDPOINT):
            return cast(list[ObjectAction], permitted)
        return [action for action in permitted if not issubclass(action, DecisionAction)]


class GuestDecisionMixin(ABC):
    """Mixin for views that apply a decision about guests."""

    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        try:
            messages.success(request, self.apply_decision(guests))
        except (decisions.SyncInProgressError, InBranchError) as error:
            messages.error(request, worded(error))
        return redirect(return_url)

    @abstractmethod
    def apply_decision(self, guests: Collection[ProxmoxGuest]) -> str:
        """Apply the decision, and return the message for the user."""


class IgnoreGuestsMixin(GuestDecisionMixin):
    def apply_decision(self, guests: Collection[ProxmoxGuest]) -> str:
        number = decisions.ignore(guests)
        return ngettext('{number} guest is ignored now.', '{number} guests are ignored now.', number).format(
            number=number
        )


class StopIgnoringGuestsMixin(GuestDecisionMixin):
    def apply_decision(self, guests: Collection[ProxmoxGuest]) -> str:
        number = decisions.stop_ignoring(guests)
        return ngettext(
            '{number} guest is no longer ignored. The next run compares it.',
            '{number} guests are no longer ignored. The next run compares them.',
            number,
        ).format(number=number)


class StopManagingGuestsMixin(GuestDecisionMixin):
    """Asks for a confirmation that lists the virtual machines."""

    # More rows would not be read.
    LISTED = 100

    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        if request.POST.get('_confirm'):
            return super().act(request, guests, return_url)
        rows: Any = VirtualMachine.objects.restrict(request.user, 'view').select_related('cluster')
        listed = guests[: self.LISTED]
        machines = rows.in_bulk([guest.virtual_machine_id for guest in listed if guest.virtual_machine_id])
        return render(
            request,
            'netbox_proxsync/confirm_decision.html',
            {
                'title': _('Stop Managing'),
                'explanation': _(
                    'No run changes these virtual machines, their interfaces, disks and addresses any longer. They '
                    'remain in NetBox, and the guests are ignored until you choose Manage Again. Objects that are '
                    'managed again are not deleted if the guest is deleted in Proxmox VE.'
                ),
                'headings': [_('Guest'), _('Virtual machine'), _('Cluster')],
                'rows': [
                    (guest, machine or '', (machine and machine.cluster) or '')
                    for guest in listed
                    for machine in [machines.get(guest.virtual_machine_id)]
                ],
                'more': len(guests) - len(listed),
                'pks': [guest.pk for guest in guests],
                'button': _('Stop Managing'),
                'color': 'danger',
                'return_url': return_url,
            },
        )

    def apply_decision(self, guests: Collection[ProxmoxGuest]) -> str:
        number = decisions.stop_managing(guests)
        return ngettext(
            '{number} guest is no longer managed. Its NetBox objects are retained.',
            '{number} guests are no longer managed. Their NetBox objects are retained.',
            number,
        ).format(number=number)


class GuestActionView(GetReturnURLMixin, BaseObjectView, ABC):
    """An action on one guest. Accepts POST only; GET redirects to the guest."""

    queryset = ProxmoxGuest.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_proxmoxguest'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        guest = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm(SYNC_ENDPOINT, guest.endpoint):
            raise PermissionDenied
        return self.act(request, [guest], self.get_return_url(request, guest))

    @abstractmethod
    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        """Act on what the request names, and respond."""


class BulkGuestActionView(GetReturnURLMixin, BaseMultiObjectView, ABC):
    """An action on the guests that were selected in a list, or on all guests that match its filter."""

    queryset = ProxmoxGuest.objects.select_related('endpoint').defer('details')
    filterset = filtersets.ProxmoxGuestFilterSet

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_proxmoxguest'

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect(self.get_return_url(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(SYNC_ENDPOINT):
            raise PermissionDenied
        selected = self.selected(request)
        allowed = list(selected.filter(endpoint__in=ProxmoxEndpoint.objects.restrict(request.user, 'sync').order_by()))
        if len(allowed) < selected.count():
            messages.warning(
                request, _('Guests of endpoints that you do not have permission to sync were not changed.')
            )
        if allowed:
            return self.act(request, allowed, self.get_return_url(request))
        messages.warning(request, _('No guest was selected.'))
        return redirect(self.get_return_url(request))

    @abstractmethod
    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        """Act on what the request names, and respond."""

    def selected(self, request: HttpRequest) -> QuerySet[ProxmoxGuest]:
        if request.POST.get('_all'):
            return cast(QuerySet[ProxmoxGuest], self.filterset(request.GET, self.queryset).qs)
        return self.queryset.filter(pk__in=[pk for pk in request.POST.getlist('pk') if pk.isdecimal()])


@register_model_view(ProxmoxGuest, 'ignore')
class ProxmoxGuestIgnoreView(IgnoreGuestsMixin, GuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'stop_ignoring', path='stop-ignoring')
class ProxmoxGuestStopIgnoringView(StopIgnoringGuestsMixin, GuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'stop_managing', path='stop-managing')
class ProxmoxGuestStopManagingView(StopManagingGuestsMixin, GuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'bulk_ignore', path='ignore', detail=False)
class ProxmoxGuestBulkIgnoreView(IgnoreGuestsMixin, BulkGuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'bulk_stop_ignoring', path='stop-ignoring', detail=False)
class ProxmoxGuestBulkStopIgnoringView(StopIgnoringGuestsMixin, BulkGuestActionView):
    pass


@register_model_view(ProxmoxGuest, 'bulk_stop_managing', path='stop-managing', detail=False)
class ProxmoxGuestBulkStopManagingView(StopManagingGuestsMixin, BulkGuestActionView):
    pass
