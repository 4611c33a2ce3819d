from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import BulkExport
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.ui.layout import Column, Layout, Row
from netbox.ui.panels import ObjectsTablePanel, PluginContentPanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, tables
from ..models import ProxmoxGuest
from ..object_actions import BULK_GUEST_ACTIONS, GUEST_ACTIONS
from ..ui import guest_panels, resolutions, rule_panels
from ..ui.bound_objects import web_url
from .empty_states import EmptyListMixin
from .guest_actions import GuestDecisionButtonsMixin

__all__ = (
    'ProxmoxGuestListView',
    'ProxmoxGuestView',
)

# What belongs to a guest among an endpoint's bindings and changes.
GUEST_FILTERS = {
    'endpoint_id': lambda context: context['object'].endpoint_id,
    'unit': lambda context: context['object'].key,
}


@register_model_view(ProxmoxGuest, 'list', path='', detail=False)
class ProxmoxGuestListView(EmptyListMixin, GuestDecisionButtonsMixin, generic.ObjectListView):
    queryset = ProxmoxGuest.objects.prefetch_related('endpoint').defer('details')
    filterset = filtersets.ProxmoxGuestFilterSet
    filterset_form = forms.ProxmoxGuestFilterForm
    table = tables.ProxmoxGuestTable
    actions = (BulkExport, *BULK_GUEST_ACTIONS)
    empty_text = _('No guest has been read yet. A preview of an endpoint reads Proxmox VE and changes nothing.')
    empty_icon = 'monitor-multiple'


@register_model_view(ProxmoxGuest)
class ProxmoxGuestView(GuestDecisionButtonsMixin, generic.ObjectView):
    queryset = ProxmoxGuest.objects.select_related('endpoint', 'virtual_machine')
    template_name = 'netbox_proxsync/plain_object.html'
    actions = GUEST_ACTIONS
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
            Column(
                ObjectsTablePanel(
                    model='netbox_proxsync.SyncChange',
                    title=_('Recent changes'),
                    filters=GUEST_FILTERS,
                    include_columns=['run'],
                    exclude_columns=['position', 'key'],
                ),
                ObjectsTablePanel(
                    model='netbox_proxsync.Binding',
                    filters=GUEST_FILTERS,
                    exclude_columns=['endpoint'],
                ),
                PluginContentPanel('full_width_page'),
            ),
        ),
        breadcrumbs=[
            Breadcrumb('endpoint'),
        ],
    )

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxGuest) -> dict[str, Any]:
        # The address names a host of the endpoint.
        is_shown = request.user.has_perm('netbox_proxsync.view_proxmoxendpoint', instance.endpoint)
        return {'web_url': web_url(instance.endpoint, instance.key) if is_shown else ''}
