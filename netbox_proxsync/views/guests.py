from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import BulkExport
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.ui.layout import Column, Layout, Row
from netbox.ui.panels import PluginContentPanel
from netbox.views import generic
from utilities.views import ViewTab, register_model_view

from .. import filtersets, forms, tables
from ..models import Binding, ProxmoxGuest, SyncChange
from ..object_actions import BULK_GUEST_ACTIONS, GUEST_ACTIONS
from ..ui import guest_panels, resolutions, rule_panels
from ..ui.bound_objects import web_url
from .empty_states import EmptyListMixin
from .guest_actions import GuestDecisionButtonsMixin

__all__ = (
    'ProxmoxGuestBindingsView',
    'ProxmoxGuestChangesView',
    'ProxmoxGuestListView',
    'ProxmoxGuestView',
)


class GuestPageMixin(GuestDecisionButtonsMixin):
    """What the page of a guest and its tabs have in common: the buttons."""

    queryset = ProxmoxGuest.objects.select_related('endpoint', 'virtual_machine')
    actions = GUEST_ACTIONS

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxGuest) -> dict[str, Any]:
        # The address names a host of the endpoint.
        is_shown = request.user.has_perm('netbox_proxsync.view_proxmoxendpoint', instance.endpoint)
        return {'web_url': web_url(instance.endpoint, instance.key) if is_shown else ''}


@register_model_view(ProxmoxGuest, 'list', path='', detail=False)
class ProxmoxGuestListView(EmptyListMixin, GuestDecisionButtonsMixin, generic.ObjectListView):
    queryset = ProxmoxGuest.objects.by_attention().prefetch_related('endpoint').defer('details')
    filterset = filtersets.ProxmoxGuestFilterSet
    filterset_form = forms.ProxmoxGuestFilterForm
    table = tables.ProxmoxGuestTable
    actions = (BulkExport, *BULK_GUEST_ACTIONS)
    empty_text = _('No guest has been read yet. A preview of an endpoint reads Proxmox VE and changes nothing.')
    empty_icon = 'monitor-multiple'


@register_model_view(ProxmoxGuest)
class ProxmoxGuestView(GuestPageMixin, generic.ObjectView):
    layout = Layout(
        Row(
            Column(guest_panels.GuestPanel(), PluginContentPanel('left_page')),
            Column(
                guest_panels.GuestStatePanel(),
                resolutions.GuestQuestionsPanel(),
                guest_panels.CandidatesPanel(),
                guest_panels.UnreadPanel(),
                rule_panels.GuestRulesPanel(),
                PluginContentPanel('right_page'),
            ),
        ),
        Row(
            Column(guest_panels.NicsPanel()),
        ),
        Row(
            Column(guest_panels.DisksPanel()),
            Column(guest_panels.IgnoredAddressesPanel()),
        ),
        Row(
            Column(PluginContentPanel('full_width_page')),
        ),
        breadcrumbs=[
            Breadcrumb('endpoint'),
        ],
    )


class GuestTabView(GuestPageMixin, generic.ObjectChildrenView):
    """A tab with what belongs to a guest among the rows of its endpoint."""

    def get_table(self, *args: Any, **kwargs: Any) -> Any:
        table = super().get_table(*args, **kwargs)
        table.columns.hide('endpoint')
        return table


@register_model_view(ProxmoxGuest, 'changes')
class ProxmoxGuestChangesView(GuestTabView):
    """The changes of all runs to the objects of a guest, the newest first."""

    child_model = SyncChange
    table = tables.SyncChangeTable
    filterset = filtersets.SyncChangeFilterSet
    tab = ViewTab(
        label=_('Changes'),
        permission='netbox_proxsync.view_syncchange',
        weight=500,
    )

    def get_children(self, request: HttpRequest, parent: ProxmoxGuest) -> QuerySet[SyncChange]:
        changes = SyncChange.objects.restrict(request.user, 'view')
        return changes.filter(run__endpoint=parent.endpoint_id, unit=parent.key).prefetch_related('run__endpoint')


@register_model_view(ProxmoxGuest, 'bindings')
class ProxmoxGuestBindingsView(GuestTabView):
    """The NetBox objects of a guest."""

    child_model = Binding
    table = tables.BindingTable
    filterset = filtersets.BindingFilterSet
    tab = ViewTab(
        label=_('Bindings'),
        badge=lambda guest: Binding.objects.filter(endpoint=guest.endpoint_id, unit=guest.key).count(),
        permission='netbox_proxsync.view_binding',
        weight=510,
    )

    def get_children(self, request: HttpRequest, parent: ProxmoxGuest) -> QuerySet[Binding]:
        bindings = Binding.objects.restrict(request.user, 'view')
        return bindings.filter(endpoint=parent.endpoint_id, unit=parent.key)
