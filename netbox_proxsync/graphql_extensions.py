"""The Proxmox side of NetBox's own types in GraphQL: of virtual machines, devices and clusters."""

from typing import TYPE_CHECKING, Annotated

import strawberry
import strawberry_django
from strawberry.types import Info

from .ui.cluster_state import node_of

if TYPE_CHECKING:
    from .graphql.types import ProxSyncEndpointType, ProxSyncGuestType

__all__ = ('type_extensions',)


@strawberry.type
class VirtualMachineExtension:
    """
    As a relation, not by a function of ours: so NetBox asks for the permissions on what is nested in it as well, and
    needs no query for each row.
    """

    models = ['virtualization.virtualmachine']

    proxsync_guests: list[Annotated['ProxSyncGuestType', strawberry.lazy('netbox_proxsync.graphql.types')]] = (
        strawberry_django.field(description='The guest in Proxmox that the virtual machine is kept true to')
    )


@strawberry.type
class ClusterExtension:
    models = ['virtualization.cluster']

    proxsync_endpoints: list[Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')]] = (
        strawberry_django.field(description='The Proxmox endpoints that are synced with the cluster')
    )


@strawberry.type
class ProxSyncNodeType:
    """A node of a Proxmox cluster, as a device stands for it. Of the endpoint nothing, for who may not see it."""

    endpoint_id: strawberry.ID | None
    endpoint_name: str | None
    node: str
    state: str


@strawberry.type
class DeviceExtension:
    models = ['dcim.device']

    @strawberry_django.field(description='The node of a Proxmox cluster that the device is kept true to', only=['pk'])
    def proxsync_node(self, info: Info) -> ProxSyncNodeType | None:
        node = node_of(self.pk, info.context.request)
        return node and ProxSyncNodeType(
            endpoint_id=node.endpoint and strawberry.ID(str(node.endpoint.pk)),
            endpoint_name=node.endpoint and node.endpoint.name,
            node=node.name,
            state=node.state,
        )


type_extensions = [ClusterExtension, DeviceExtension, VirtualMachineExtension]
