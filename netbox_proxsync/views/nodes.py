from typing import Any

from dcim.models import Device
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from netbox.views import generic
from utilities.views import ViewTab, register_model_view

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..object_actions import ENDPOINT_ACTIONS
from ..sync.cluster_state import ClusterState
from ..sync.mapping.nodes import node_key
from ..ui.cluster_state import state_visible_to
from ..ui.endpoint_panels import SOON
from ..ui.guest_panels import shown_size

__all__ = ('ProxmoxEndpointNodesView',)


@register_model_view(ProxmoxEndpoint, 'nodes')
class ProxmoxEndpointNodesView(generic.ObjectView):
    """The nodes as of the last run, with their devices in NetBox."""

    queryset = ProxmoxEndpoint.objects.all()
    template_name = 'netbox_proxsync/endpoint_nodes.html'
    actions = ENDPOINT_ACTIONS
    tab = ViewTab(
        label=_('Nodes'),
        badge=lambda endpoint: len(ClusterState.parse(endpoint.cluster_state).nodes),
        permission='netbox_proxsync.view_proxmoxendpoint',
        weight=495,
    )

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxEndpoint) -> dict[str, Any]:
        whole = ClusterState.parse(instance.cluster_state)
        state = state_visible_to(request.user, instance, whole)
        guests = ProxmoxGuest.objects.restrict(request.user, 'view').filter(endpoint=instance)
        numbers = dict(guests.order_by().values_list('node').annotate(Count('pk')))
        devices = devices_of(instance, request)
        now = timezone.now()
        rows = [
            {
                'node': node,
                'device': devices.get(node_key(node.name)),
                'memory': shown_size(node.memory),
                'guests': numbers.get(node.name, 0),
                'days_left': (node.expires - now).days if node.expires else None,
            }
            for node in state.nodes
        ]
        return {'rows': rows, 'hidden': len(whole.nodes) - len(state.nodes), 'soon': SOON}


def devices_of(endpoint: ProxmoxEndpoint, request: HttpRequest) -> dict[str, Device]:
    """The devices that the user may view, by the key of the node."""
    bindings = Binding.objects.filter(endpoint=endpoint, kind='device').order_by()
    keys = dict(bindings.values_list('object_id', 'key'))
    return {keys[device.pk]: device for device in Device.objects.restrict(request.user, 'view').filter(pk__in=keys)}
