from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
from netbox.graphql.scalars import BigInt
from netbox.graphql.types import BaseObjectType, PrimaryObjectType, register_type
from strawberry.scalars import JSON
from strawberry.types import Info

from .. import models
from ..models.endpoint_settings import Use, names_of
from ..models.sync_status import last_sync, sync_status
from ..models.visibility import HiddenUnits
from .fields import resolved_field
from .filters import *

if TYPE_CHECKING:
    from core.graphql.types import ContentType
    from dcim.graphql.types import DeviceRoleType, DeviceTypeType, PlatformType, SiteType
    from extras.graphql.types import TagType
    from ipam.graphql.types import VLANGroupType, VRFType
    from tenancy.graphql.types import TenantType
    from users.graphql.types import UserType
    from virtualization.graphql.types import ClusterGroupType, ClusterType, ClusterTypeType, VirtualMachineType

__all__ = (
    'ProxSyncBindingType',
    'ProxSyncChangeType',
    'ProxSyncDecisionType',
    'ProxSyncEndpointType',
    'ProxSyncGuestType',
    'ProxSyncMappingRuleType',
    'ProxSyncRunType',
)


@register_type(
    models.ProxmoxEndpoint,
    # By name, so that a new field of the model is not exposed by accident.
    fields=[
        'id', *names_of(Use.GRAPHQL), 'status', 'last_run', 'guests_read', 'pve_version', 'description', 'comments',
        'created', 'last_updated', 'runs', 'bindings', 'guests', 'mapping_rules',
    ],
    filters=ProxSyncEndpointFilter,
    pagination=True,
)  # fmt: skip
class ProxSyncEndpointType(PrimaryObjectType):
    @resolved_field(annotate={'sync_status': sync_status()})
    def sync_status(self) -> str:
        """Whether NetBox matches Proxmox VE, in main."""
        return cast(str, self.sync_status)

    @resolved_field(annotate={'last_sync': last_sync()})
    def last_sync(self) -> datetime | None:
        """Time of the last sync of all guests."""
        return cast(datetime | None, self.last_sync)

    hosts: list[str]
    include_guests: list[str]
    exclude_guests: list[str]
    ignored_interfaces: list[str]
    ignored_prefixes: list[str]
    sync_windows: list[str]
    cluster: Annotated['ClusterType', strawberry.lazy('virtualization.graphql.types')] | None
    cluster_type: Annotated['ClusterTypeType', strawberry.lazy('virtualization.graphql.types')] | None
    cluster_group: Annotated['ClusterGroupType', strawberry.lazy('virtualization.graphql.types')] | None
    site: Annotated['SiteType', strawberry.lazy('dcim.graphql.types')] | None
    tenant: Annotated['TenantType', strawberry.lazy('tenancy.graphql.types')] | None
    guest_role: Annotated['DeviceRoleType', strawberry.lazy('dcim.graphql.types')] | None
    node_role: Annotated['DeviceRoleType', strawberry.lazy('dcim.graphql.types')] | None
    node_device_type: Annotated['DeviceTypeType', strawberry.lazy('dcim.graphql.types')] | None
    vrf: Annotated['VRFType', strawberry.lazy('ipam.graphql.types')] | None
    vlan_group: Annotated['VLANGroupType', strawberry.lazy('ipam.graphql.types')] | None
    last_run: Annotated['ProxSyncRunType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    runs: list[Annotated['ProxSyncRunType', strawberry.lazy('netbox_proxsync.graphql.types')]]
    bindings: list[Annotated['ProxSyncBindingType', strawberry.lazy('netbox_proxsync.graphql.types')]]
    guests: list[Annotated['ProxSyncGuestType', strawberry.lazy('netbox_proxsync.graphql.types')]]
    mapping_rules: list[Annotated['ProxSyncMappingRuleType', strawberry.lazy('netbox_proxsync.graphql.types')]]


@register_type(
    models.MappingRule,
    fields='__all__',
    filters=ProxSyncMappingRuleFilter,
    pagination=True,
)
class ProxSyncMappingRuleType(PrimaryObjectType):
    guest_tags: list[str]
    pools: list[str]
    nodes: list[str]
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    role: Annotated['DeviceRoleType', strawberry.lazy('dcim.graphql.types')] | None
    tenant: Annotated['TenantType', strawberry.lazy('tenancy.graphql.types')] | None
    platform: Annotated['PlatformType', strawberry.lazy('dcim.graphql.types')] | None
    vrf: Annotated['VRFType', strawberry.lazy('ipam.graphql.types')] | None
    vlan_group: Annotated['VLANGroupType', strawberry.lazy('ipam.graphql.types')] | None
    extra_tags: list[Annotated['TagType', strawberry.lazy('extras.graphql.types')]]


@register_type(
    models.SyncRun,
    # Jobs are not part of NetBox's schema. The identity of a cluster contains the names of nodes that may be hidden.
    exclude=['job', 'planned_bindings', 'applied_by', 'reverted_by', 'shared_objects', 'cluster_identity'],
    filters=ProxSyncRunFilter,
    pagination=True,
)
class ProxSyncRunType(BaseObjectType):
    # None for users who may not view the endpoint.
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    user: Annotated['UserType', strawberry.lazy('users.graphql.types')] | None
    applies: Annotated['ProxSyncRunType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    reverts: Annotated['ProxSyncRunType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    vmids: list[int] | None
    actions: list[str] | None

    @resolved_field(
        only=['messages', 'endpoint_id', 'endpoint__acknowledged_faults', 'endpoint__cluster_state'],
        select_related=['endpoint'],
    )
    def messages(self, info: Info) -> JSON:
        return cast(JSON, self.messages_shown(HiddenUnits.of_request(info.context.request)))

    @resolved_field(only=['units', 'endpoint_id'])
    def units(self, info: Info) -> JSON | None:
        return cast(JSON | None, self.units_for(info.context.request.user))

    changes: list[Annotated['ProxSyncChangeType', strawberry.lazy('netbox_proxsync.graphql.types')]]


@register_type(
    models.SyncChange,
    fields='__all__',
    filters=ProxSyncChangeFilter,
    pagination=True,
)
class ProxSyncChangeType(BaseObjectType):
    # None for users who may not view the run.
    run: Annotated['ProxSyncRunType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    object_type: Annotated['ContentType', strawberry.lazy('core.graphql.types')] | None
    object_id: BigInt | None


@register_type(
    models.Binding,
    fields='__all__',
    filters=ProxSyncBindingFilter,
    pagination=True,
)
class ProxSyncBindingType(BaseObjectType):
    # None for users who may not view the endpoint.
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    object_type: Annotated['ContentType', strawberry.lazy('core.graphql.types')]
    object_id: BigInt


@register_type(
    models.Decision,
    fields='__all__',
    filters=ProxSyncDecisionFilter,
    pagination=True,
)
class ProxSyncDecisionType(BaseObjectType):
    # None for users who may not view the endpoint.
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    object_type: Annotated['ContentType', strawberry.lazy('core.graphql.types')] | None
    object_id: BigInt | None
    user: Annotated['UserType', strawberry.lazy('users.graphql.types')] | None


@register_type(
    models.ProxmoxGuest,
    exclude=['row_fingerprint'],
    filters=ProxSyncGuestFilter,
    pagination=True,
)
class ProxSyncGuestType(BaseObjectType):
    # None for users who may not view the endpoint.
    endpoint: Annotated['ProxSyncEndpointType', strawberry.lazy('netbox_proxsync.graphql.types')] | None
    tags: list[str]
    virtual_machine: Annotated['VirtualMachineType', strawberry.lazy('virtualization.graphql.types')] | None

    @resolved_field(only=['seen_until', 'endpoint__guests_read'], select_related=['endpoint'])
    def last_seen(self) -> datetime | None:
        return cast(datetime | None, self.last_seen)

    @resolved_field(only=['candidate_ids'])
    def candidate_ids(self, info: Info) -> list[BigInt]:
        """Of the virtual machines that may be this guest and that the user may view."""
        return [machine.pk for machine in self.candidates(info.context.request.user)]

    @resolved_field(only=['reason', 'reason_source', 'state'])
    def reason(self) -> str:
        return cast(str, self.visible_reason)

    @resolved_field(only=['reason', 'reason_source', 'state'])
    def reason_source(self) -> JSON | None:
        return cast(JSON | None, self.visible_reason.source)
