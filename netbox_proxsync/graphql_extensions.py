"""The Proxmox side of NetBox's own types in GraphQL: of virtual machines, devices and clusters."""

from typing import TYPE_CHECKING, Annotated

import strawberry
import strawberry_django
from strawberry.types import Info
from utilities.querysets import RestrictedPrefetch

from .models import ProxmoxEndpoint, ProxmoxGuest
from .node_bindings import node_of

if TYPE_CHECKING:
    from .graphql.types import ProxSyncBindingType, ProxSyncEndpointType, ProxSyncGuestType

__all__ = ('type_extensions',)


def of_user(relation: str, queryset: object) -> object:
    """What the user may view of a relation, for all objects of an answer by one query."""
    return lambda info: RestrictedPrefetch(relation, info.context.request.user, 'view', queryset=queryset)


@strawberry.type
class VirtualMachineExtension:
    models = ['virtualization.virtualmachine']

    @strawberry_django.field(
        description='The guest in Proxmox that the virtual machine is kept true to',
        prefetch_related=of_user('proxsync_guests', ProxmoxGuest.objects.all()),
    )
    def proxsync_guest(
        self,
    ) -> Annotated['ProxSyncGuestType', strawberry.lazy('netbox_proxsync.graphql.types')] | None:
        return next(iter(self.proxsync_guests.all()), None)


@strawberry.type
class ClusterExtension:
    models = ['virtualization.cluster']

    @strawberry_django.field(
        description='The Proxmox endpoints that are synced with the cluster',
        prefetch_related=of_user('proxsync_endpoints', ProxmoxEndpoint.objects.all()),
    )
    def proxsync_endpoints(
        self,
    ) -> list[Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')]]:
        return self.proxsync_endpoints.all()


@strawberry.type
class ProxSyncNodeType:
    """A node of a Proxmox cluster, as a device stands for it."""

    binding: Annotated['ProxSyncBindingType', strawberry.lazy('netbox_proxsync.graphql.types')]
    # None for who may not see the endpoint.
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    node: str
    state: str


@strawberry.type
class DeviceExtension:
    models = ['dcim.device']

    @strawberry_django.field(description='The node of a Proxmox cluster that the device is kept true to', only=['pk'])
    def proxsync_node(self, info: Info) -> ProxSyncNodeType | None:
        node = node_of(self.pk, info.context.request)
        return node and ProxSyncNodeType(
            binding=node.binding, endpoint=node.endpoint, node=node.name, state=node.state
        )


type_extensions = [ClusterExtension, DeviceExtension, VirtualMachineExtension]
