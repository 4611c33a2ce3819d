"""Which node of which endpoint a device stands for, as far as a user may know."""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from ..models import Binding, ProxmoxEndpoint
from ..models.visibility import hidden_units
from ..sync.cluster_state import ClusterState
from ..sync.mapping.nodes import node_key

__all__ = ('BoundNode', 'node_of', 'state_seen_by')

CACHE = '_proxsync_nodes'


@dataclass(frozen=True, slots=True)
class BoundNode:
    """
    Attributes:
        endpoint: None for who may not see it.
        state: 'in-sync', 'missing' from Proxmox, or 'unmanaged': a person has taken the device over.
    """

    binding: Binding
    endpoint: ProxmoxEndpoint | None

    @property
    def name(self) -> str:
        return self.binding.key.partition('/')[2]

    @property
    def state(self) -> str:
        if self.binding.unmanaged:
            return 'unmanaged'
        return 'missing' if self.binding.missing_since else 'in-sync'


def node_of(device_id: int, request: HttpRequest) -> BoundNode | None:
    """All of them are looked up once for a request: there are a few for each endpoint, and lists ask for many."""
    if not hasattr(request, CACHE):
        setattr(request, CACHE, all_nodes(request))
    return getattr(request, CACHE).get(device_id)


def all_nodes(request: HttpRequest) -> dict[int, BoundNode]:
    devices = ContentType.objects.get_by_natural_key('dcim', 'device')
    endpoints = ProxmoxEndpoint.objects.restrict(request.user, 'view').in_bulk()
    bindings = Binding.objects.restrict(request.user, 'view').filter(object_type=devices)
    return {binding.object_id: BoundNode(binding, endpoints.get(binding.endpoint_id)) for binding in bindings}


def state_seen_by(user: AbstractBaseUser, endpoint: ProxmoxEndpoint, state: ClusterState) -> ClusterState:
    """What a person may know of a cluster: nothing of a node whose device they may not view."""
    hidden = hidden_units(user, endpoint.pk, [node_key(node.name) for node in state.nodes])
    names = [node.name for node in state.nodes if node_key(node.name) in hidden]
    return state.without(names) if names else state
