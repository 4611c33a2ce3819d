"""Fields with data from Proxmox VE for NetBox's own GraphQL types: virtual machines, devices and clusters."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
import strawberry_django
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from strawberry.types import Info

from .graphql.fields import resolved_field
from .models import Binding, ProxmoxEndpoint

if TYPE_CHECKING:
    from .graphql.types import ProxSyncEndpointType, ProxSyncGuestType

__all__ = ('type_extensions',)


@strawberry.type
class VirtualMachineExtension:
    """
    A relation instead of a resolver: NetBox then checks the permissions for nested objects as well, and needs no query
    for each row.
    """

    models = ['virtualization.virtualmachine']

    proxsync_guests: list[Annotated['ProxSyncGuestType', strawberry.lazy('netbox_proxsync.graphql.types')]] = (
        strawberry_django.field(description='The Proxmox VE guest with which the virtual machine is synchronized')
    )


@strawberry.type
class ClusterExtension:
    models = ['virtualization.cluster']

    proxsync_endpoints: list[Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')]] = (
        strawberry_django.field(description='The Proxmox VE endpoints that are synchronized with the cluster')
    )


@strawberry.type
class ProxSyncNodeType:
    """A node of a Proxmox VE cluster and its device. The endpoint is null for users who may not view it."""

    endpoint_id: strawberry.ID | None
    endpoint_name: str | None
    node: str
    state: str


@strawberry.type
class DeviceExtension:
    models = ['dcim.device']

    if TYPE_CHECKING:
        pk: int  # an extension is resolved on an instance of the model

    @resolved_field(description='The Proxmox VE node with which the device is synchronized', only=['pk'])
    def proxsync_node(self, info: Info) -> ProxSyncNodeType | None:
        node = node_of(self.pk, info.context.request)
        if node is None:
            return None
        return ProxSyncNodeType(
            endpoint_id=strawberry.ID(str(node.endpoint.pk)) if node.endpoint else None,
            endpoint_name=node.endpoint.name if node.endpoint else None,
            node=node.name,
            state=node.state,
        )


type_extensions = [ClusterExtension, DeviceExtension, VirtualMachineExtension]


CACHE = '_proxsync_nodes'


@dataclass(frozen=True, slots=True)
class BoundNode:
    """
    Attributes:
        endpoint: None if the user may not view it.
        state: 'in-sync', 'missing' (from Proxmox VE), or 'unmanaged' (a user has stopped managing it).
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
    """The node of a device. All nodes are loaded once for each request, because lists ask for many of them."""
    if not hasattr(request, CACHE):
        setattr(request, CACHE, all_nodes(request))
    return cast(BoundNode | None, getattr(request, CACHE).get(device_id))


def all_nodes(request: HttpRequest) -> dict[int, BoundNode]:
    devices = ContentType.objects.get_by_natural_key('dcim', 'device')
    endpoints = ProxmoxEndpoint.objects.restrict(request.user, 'view').in_bulk()
    bindings = Binding.objects.restrict(request.user, 'view').filter(object_type=devices)
    return {binding.object_id: BoundNode(binding, endpoints.get(binding.endpoint_id)) for binding in bindings}
