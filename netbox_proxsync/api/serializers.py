from typing import Any, cast

from core.api.serializers import JobSerializer
from dcim.api.serializers import DeviceRoleSerializer, DeviceTypeSerializer, PlatformSerializer, SiteSerializer
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from extras.api.serializers import TagSerializer
from extras.models import Tag
from ipam.api.serializers import VLANGroupSerializer, VRFSerializer
from netbox.api.fields import ChoiceField, ContentTypeField, SerializedPKRelatedField
from netbox.api.gfk_fields import GFKSerializerField
from netbox.api.serializers import BaseModelSerializer, PrimaryModelSerializer
from rest_framework import serializers
from tenancy.api.serializers import TenantSerializer
from users.api.serializers import UserSerializer
from virtualization.api.serializers import (
    ClusterGroupSerializer,
    ClusterSerializer,
    ClusterTypeSerializer,
    VirtualMachineSerializer,
)

from ..choices import (
    AttentionChoices,
    ChangeActionChoices,
    ChangeOutcomeChoices,
    DecisionChoices,
    EndpointStatusChoices,
    FieldDecisionChoices,
    GuestStateChoices,
    GuestTypeChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    PatternTypeChoices,
    RunModeChoices,
    RunStatusChoices,
    SyncStatusChoices,
    TagMatchChoices,
    TLSModeChoices,
    WritePolicyChoices,
    choices_of,
)
from ..fields import column
from ..models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.endpoint_settings import Use, names_of
from ..models.rules import MAX_VMID, MIN_VMID
from ..models.runs import MAX_LIMIT
from ..models.visibility import HiddenUnits

__all__ = (
    'AttentionFilterSerializer',
    'AttentionSerializer',
    'BindingSerializer',
    'BulkRefusalSerializer',
    'ConfirmedKeysSerializer',
    'ConnectionReportSerializer',
    'DecisionSerializer',
    'FaultSerializer',
    'LimitSerializer',
    'LinkOneSerializer',
    'LinkSerializer',
    'MappingRuleSerializer',
    'NodeKeySerializer',
    'PinnedKeysSerializer',
    'ProxmoxEndpointSerializer',
    'ProxmoxGuestSerializer',
    'ResolveOneSerializer',
    'ResolveSerializer',
    'RunEndedSerializer',
    'SyncChangeSerializer',
    'SyncRunSerializer',
)


class NestedSyncRunSerializer(BaseModelSerializer):
    """The last run of an endpoint; `SyncRunSerializer` in turn shows the endpoint."""

    status = ChoiceField(choices=RunStatusChoices, read_only=True)

    class Meta:
        model = SyncRun
        fields = ('id', 'url', 'display_url', 'display', 'mode', 'status', 'created', 'completed')
        read_only_fields = fields


def secret(name: str) -> serializers.CharField:
    """A field for a secret. A missing value keeps the stored secret, an empty text removes it."""
    return serializers.CharField(
        write_only=True,
        required=False,
        allow_blank=True,
        style={'input_type': 'password'},
        help_text=column(ProxmoxEndpoint, name).help_text,
    )


class ProxmoxEndpointSerializer(PrimaryModelSerializer):
    hosts = serializers.ListField(
        child=serializers.CharField(max_length=255),
        allow_empty=False,
        help_text=ProxmoxEndpoint._meta.get_field('hosts').help_text,
    )
    token_secret = serializers.CharField(
        write_only=True,
        style={'input_type': 'password'},
        help_text=ProxmoxEndpoint._meta.get_field('token_secret').help_text,
    )
    tls_mode = ChoiceField(choices=TLSModeChoices, required=False)
    ssh_password = secret('ssh_password')
    ssh_private_key = secret('ssh_private_key')
    ssh_passphrase = secret('ssh_passphrase')
    cluster = ClusterSerializer(nested=True, required=False, allow_null=True, default=None)
    cluster_type = ClusterTypeSerializer(nested=True, required=False, allow_null=True, default=None)
    cluster_group = ClusterGroupSerializer(nested=True, required=False, allow_null=True, default=None)
    site = SiteSerializer(nested=True, required=False, allow_null=True, default=None)
    tenant = TenantSerializer(nested=True, required=False, allow_null=True, default=None)
    guest_role = DeviceRoleSerializer(nested=True, required=False, allow_null=True, default=None)
    node_role = DeviceRoleSerializer(nested=True, required=False, allow_null=True, default=None)
    node_device_type = DeviceTypeSerializer(nested=True, required=False, allow_null=True, default=None)
    vrf = VRFSerializer(nested=True, required=False, allow_null=True, default=None)
    vlan_group = VLANGroupSerializer(nested=True, required=False, allow_null=True, default=None)
    interface_naming = ChoiceField(choices=InterfaceNamingChoices, required=False)
    missing_guests = ChoiceField(choices=MissingGuestsChoices, required=False)
    missing_addresses = ChoiceField(choices=MissingAddressesChoices, required=False)
    object_events = ChoiceField(choices=ObjectEventsChoices, required=False)
    write_policy = ChoiceField(choices=WritePolicyChoices, required=False)
    field_policy = serializers.JSONField(required=False)
    status = ChoiceField(choices=EndpointStatusChoices, read_only=True, help_text='The outcome of the last run')
    sync_status = ChoiceField(
        choices=SyncStatusChoices, read_only=True, help_text='Whether NetBox matches Proxmox VE, in main'
    )
    last_sync = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text='Time of the last sync of all guests'
    )
    last_run = NestedSyncRunSerializer(read_only=True, allow_null=True)

    class Meta:
        model = ProxmoxEndpoint
        fields = (
            'id', 'url', 'display_url', 'display', *names_of(Use.REST), 'status', 'sync_status', 'last_sync',
            'last_run', 'guests_read', 'pve_version', 'description', 'owner', 'comments', 'tags', 'custom_fields',
            'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'description')
        # The fields that the clean() method of the model normalizes.
        model_clean_fields = (
            'hosts', 'token_id', 'token_secret', 'ca_certificate', 'fingerprint', 'include_guests', 'exclude_guests',
            'ignored_interfaces', 'ignored_prefixes', 'sync_windows', 'ssh_user', 'ssh_passphrase', 'ssh_host_keys',
            'field_policy',
        )  # fmt: skip


def words(name: str) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=255),
        required=False,
        help_text=column(MappingRule, name).help_text,
    )


class MappingRuleSerializer(PrimaryModelSerializer):
    endpoint = ProxmoxEndpointSerializer(nested=True, required=False, allow_null=True, default=None)
    guest_type = ChoiceField(choices=GuestTypeChoices, required=False, allow_blank=True)
    pattern_type = ChoiceField(choices=PatternTypeChoices, required=False)
    guest_tags = words('guest_tags')
    tag_match = ChoiceField(choices=TagMatchChoices, required=False)
    pools = words('pools')
    nodes = words('nodes')
    role = DeviceRoleSerializer(nested=True, required=False, allow_null=True, default=None)
    tenant = TenantSerializer(nested=True, required=False, allow_null=True, default=None)
    platform = PlatformSerializer(nested=True, required=False, allow_null=True, default=None)
    vrf = VRFSerializer(nested=True, required=False, allow_null=True, default=None)
    vlan_group = VLANGroupSerializer(nested=True, required=False, allow_null=True, default=None)
    extra_tags = SerializedPKRelatedField(
        queryset=Tag.objects.all(),
        serializer=TagSerializer,
        nested=True,
        required=False,
        many=True,
        help_text=MappingRule._meta.get_field('extra_tags').help_text,
    )

    class Meta:
        model = MappingRule
        fields = (
            'id', 'url', 'display_url', 'display', 'name', 'weight', 'enabled', 'endpoint', 'guest_type',
            'name_pattern', 'pattern_type', 'guest_tags', 'tag_match', 'pools', 'nodes', 'vmid_min', 'vmid_max',
            'template', 'skip', 'role', 'tenant', 'platform', 'vrf', 'vlan_group', 'extra_tags', 'description', 'owner',
            'comments', 'tags', 'custom_fields', 'created', 'last_updated',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'name', 'weight', 'description')
        # The fields that the clean() method of the model normalizes.
        model_clean_fields = ('name_pattern', 'guest_tags', 'pools', 'nodes')


class SyncRunSerializer(BaseModelSerializer):
    endpoint = ProxmoxEndpointSerializer(nested=True, read_only=True)
    applies = NestedSyncRunSerializer(read_only=True, allow_null=True)
    reverts = NestedSyncRunSerializer(read_only=True, allow_null=True)
    job = JobSerializer(nested=True, read_only=True, allow_null=True)
    user = UserSerializer(nested=True, read_only=True, allow_null=True)
    mode = ChoiceField(choices=RunModeChoices, read_only=True)
    status = ChoiceField(choices=RunStatusChoices, read_only=True)
    duration = serializers.SerializerMethodField(help_text='Seconds')
    messages = serializers.SerializerMethodField(
        help_text='Excludes messages about objects that you do not have permission to view'
    )
    units = serializers.SerializerMethodField(
        help_text='The part of the plan that this run applies, without hidden objects. null: the whole plan'
    )

    class Meta:
        model = SyncRun
        fields = (
            'id', 'url', 'display_url', 'display', 'endpoint', 'branch', 'branch_id', 'mode', 'status', 'user', 'job',
            'request_id', 'created', 'started', 'completed', 'duration', 'phase', 'timings', 'counts', 'calls',
            'guests', 'messages', 'error', 'error_source', 'refusal', 'refusal_source', 'applies', 'reverts', 'units',
            'actions', 'vmids',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'mode', 'status', 'created')
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_messages(self, run: SyncRun) -> list[dict[str, Any]]:
        return run.messages_shown(HiddenUnits.of_request(self.context['request']))

    @extend_schema_field(serializers.ListField(child=serializers.CharField(), allow_null=True))
    def get_units(self, run: SyncRun) -> list[str] | None:
        return run.units_for(self.context['request'].user)

    @extend_schema_field(OpenApiTypes.FLOAT)
    def get_duration(self, run: SyncRun) -> float | None:
        return None if run.duration is None else round(run.duration.total_seconds(), 3)


class SyncChangeSerializer(BaseModelSerializer):
    run = SyncRunSerializer(nested=True, read_only=True)
    action = ChoiceField(choices=ChangeActionChoices, read_only=True)
    outcome = ChoiceField(choices=ChangeOutcomeChoices, read_only=True)
    object_type = ContentTypeField(read_only=True, allow_null=True)
    object = GFKSerializerField(read_only=True, allow_missing_serializer=True)

    class Meta:
        model = SyncChange
        fields = (
            'id', 'url', 'display_url', 'display', 'run', 'position', 'unit', 'kind', 'key', 'action', 'outcome',
            'object_type', 'object_id', 'object', 'label', 'fields', 'reason', 'reason_source', 'message',
            'message_source',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'key', 'action', 'outcome')
        read_only_fields = fields


class BindingSerializer(BaseModelSerializer):
    endpoint = ProxmoxEndpointSerializer(nested=True, read_only=True)
    object_type = ContentTypeField(read_only=True)
    object = GFKSerializerField(read_only=True, allow_missing_serializer=True)

    class Meta:
        model = Binding
        fields = (
            'id', 'url', 'display_url', 'display', 'endpoint', 'kind', 'key', 'unit', 'object_type', 'object_id',
            'object', 'values', 'proxmox_values', 'kept_values', 'created_by_sync', 'unmanaged', 'first_seen',
            'missing_since',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'key')
        read_only_fields = fields


class DecisionSerializer(BaseModelSerializer):
    endpoint = ProxmoxEndpointSerializer(nested=True, read_only=True)
    choice = ChoiceField(choices=DecisionChoices, read_only=True)
    object_type = ContentTypeField(read_only=True, allow_null=True)
    object = GFKSerializerField(read_only=True, allow_missing_serializer=True)
    user = UserSerializer(nested=True, read_only=True, allow_null=True)

    class Meta:
        model = Decision
        fields = (
            'id', 'url', 'display_url', 'display', 'endpoint', 'kind', 'key', 'unit', 'choice', 'object_type',
            'object_id', 'object', 'name', 'user', 'created',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'kind', 'key', 'choice')
        read_only_fields = fields


class ProxmoxGuestSerializer(BaseModelSerializer):
    endpoint = ProxmoxEndpointSerializer(nested=True, read_only=True)
    type = ChoiceField(choices=GuestTypeChoices, read_only=True)
    tags = serializers.ListField(child=serializers.CharField(), read_only=True)
    state = ChoiceField(choices=GuestStateChoices, read_only=True)
    reason = serializers.CharField(source='visible_reason', read_only=True)
    reason_source = serializers.JSONField(source='visible_reason.source', read_only=True, allow_null=True)
    virtual_machine = VirtualMachineSerializer(nested=True, read_only=True, allow_null=True)
    candidates = serializers.SerializerMethodField()
    last_seen = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = ProxmoxGuest
        fields = (
            'id', 'url', 'display_url', 'display', 'endpoint', 'type', 'vmid', 'name', 'node', 'status', 'tags',
            'template', 'state', 'reason', 'reason_source', 'ignored', 'virtual_machine', 'candidates', 'last_seen',
            'known_until', 'details',
        )  # fmt: skip
        brief_fields = ('id', 'url', 'display', 'type', 'vmid', 'name', 'state')
        read_only_fields = fields

    @extend_schema_field(VirtualMachineSerializer(nested=True, many=True))
    def get_candidates(self, guest: ProxmoxGuest) -> list[dict[str, Any]]:
        machines = guest.candidates(self.context['request'].user)
        return cast(
            list[dict[str, Any]], VirtualMachineSerializer(machines, nested=True, many=True, context=self.context).data
        )


class RefusalSerializer(serializers.Serializer[Any]):
    """Why nothing was done."""

    detail = serializers.CharField()


class CheckSerializer(serializers.Serializer[Any]):
    """One line of a connection test."""

    # These fields have the names of attributes of a serializer; DRF removes declared fields from the class.
    label = serializers.CharField()  # type: ignore[assignment]
    ok = serializers.BooleanField()
    required = serializers.BooleanField()  # type: ignore[assignment]
    detail = serializers.CharField()
    remedy = serializers.CharField()


class ConnectionReportSerializer(serializers.Serializer[Any]):
    """What a connection test found."""

    ok = serializers.BooleanField(help_text='Proxmox VE answers and no required check failed')
    connected = serializers.BooleanField(help_text='Proxmox VE answers and accepts the token')
    host = serializers.CharField()
    version = serializers.CharField()
    cluster_name = serializers.CharField(allow_null=True)
    nodes_online = serializers.IntegerField(allow_null=True)
    nodes_total = serializers.IntegerField(allow_null=True)
    quorate = serializers.BooleanField(allow_null=True)
    fingerprint = serializers.CharField(allow_null=True)
    error = serializers.CharField()
    remedy = serializers.CharField()
    checks = CheckSerializer(many=True)


class StrictSerializer(serializers.Serializer[Any]):
    """What an action takes. A word that is misspelled must not let it do all that it can."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if unknown := sorted(set(data) - set(self.fields)):
            raise serializers.ValidationError({name: [_('This field does not exist.')] for name in unknown})
        return cast(dict[str, Any], values)


class LinkSerializer(StrictSerializer):
    """The virtual machine that a guest is."""

    virtual_machine = serializers.IntegerField(min_value=1)


class FieldDecisionSerializer(StrictSerializer):
    """A decision about a field that differs between NetBox and Proxmox VE."""

    field = serializers.CharField(max_length=100, help_text='The name of the field, as in the values of the binding')
    choice = serializers.ChoiceField(choices=FieldDecisionChoices.CHOICES)


class ResolveSerializer(StrictSerializer):
    """A decision about what a run could not decide."""

    choice = serializers.ChoiceField(choices=DecisionChoices.CHOICES)
    object_id = serializers.IntegerField(
        min_value=1,
        required=False,
        help_text='ID of the object to link, the IP address to move, or its VRF. Default: the object of the change',
    )
    name = serializers.CharField(
        required=False, max_length=64, help_text='The name of the object that is created under another name'
    )


class LinkOneSerializer(LinkSerializer):
    """A guest, and the virtual machine that it is."""

    id = serializers.IntegerField(min_value=1, help_text='The guest')


class ResolveOneSerializer(ResolveSerializer):
    """A change, and a decision about what the run could not decide."""

    id = serializers.IntegerField(min_value=1, help_text='The sync change')


class EntryRefusalSerializer(serializers.Serializer[Any]):
    """Why one of several decisions was refused."""

    id = serializers.IntegerField()
    # An attribute of a serializer has this name; DRF removes declared fields from the class.
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))  # type: ignore[assignment]


class BulkRefusalSerializer(serializers.Serializer[Any]):
    """Why none of several decisions was stored."""

    detail = serializers.CharField()
    errors = EntryRefusalSerializer(many=True, required=False)  # type: ignore[assignment]


class AttentionFilterSerializer(serializers.Serializer[Any]):
    """Which rows to list."""

    q = serializers.CharField(required=False, allow_blank=True, help_text='A part of a name, key or reason')
    endpoint_id = serializers.ListField(child=serializers.IntegerField(), required=False)
    endpoint = serializers.ListField(child=serializers.CharField(), required=False, help_text='The names of endpoints')
    question = serializers.ListField(
        child=serializers.ChoiceField(choices=AttentionChoices.CHOICES), required=False, help_text='The types of rows'
    )


class AttentionSerializer(serializers.Serializer[Any]):
    """Something that requires a user."""

    id = serializers.CharField(source='pk', help_text='Identifies the row until a user decides')
    display = serializers.CharField(source='__str__')
    question = ChoiceField(choices=AttentionChoices)
    endpoint = ProxmoxEndpointSerializer(nested=True)
    # An attribute of a serializer has this name; DRF removes declared fields from the class.
    label = serializers.CharField(help_text='The name of the object, or the subject of a fault')  # type: ignore[assignment]
    kind = serializers.CharField()
    key = serializers.CharField()
    reason = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    run = NestedSyncRunSerializer(allow_null=True)
    change = SyncChangeSerializer(nested=True, allow_null=True)
    guest = ProxmoxGuestSerializer(nested=True, allow_null=True)
    object = GFKSerializerField(
        allow_missing_serializer=True, help_text='The object that causes the conflict, or the candidate'
    )
    choices = serializers.ListField(
        child=serializers.CharField(), help_text='The possible decisions of this user, see `changes/{id}/resolve/`'
    )


class FaultSerializer(StrictSerializer):
    """A fault of Proxmox VE's configuration, as a run has reported it."""

    subject = serializers.CharField()
    message = serializers.CharField(trim_whitespace=False)


class EmptySerializer(StrictSerializer):
    """For an action that takes nothing."""


class ApplySerializer(StrictSerializer):
    """Which part of a plan to apply."""

    units = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='Guests and nodes of the plan, such as "qemu/100". Default: all',
    )
    except_units = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='All guests and nodes of the plan except these',
    )
    actions = serializers.ListField(
        child=serializers.ChoiceField(
            choices=[choice for choice in choices_of(ChangeActionChoices) if choice[0] not in ChangeActionChoices.OPEN]
        ),
        required=False,
        allow_null=True,
        allow_empty=False,
        help_text='Only changes with these actions. Default: all',
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Only one of the two lists of units may be given."""
        if attrs.get('units') is not None and attrs.get('except_units') is not None:
            raise serializers.ValidationError({'except_units': [_('Name either units or except_units.')]})
        return attrs


class LimitSerializer(StrictSerializer):
    """Which guests a run is for."""

    vmids = serializers.ListField(
        child=serializers.IntegerField(min_value=MIN_VMID, max_value=MAX_VMID),
        required=False,
        allow_null=True,
        allow_empty=False,
        max_length=MAX_LIMIT,
        help_text='VM IDs of the guests to which the run is limited. Default: all guests, and the cluster',
    )


class AlreadyRunningSerializer(serializers.Serializer[Any]):
    """Why no run was started, and which one is under way."""

    detail = serializers.CharField()
    run = NestedSyncRunSerializer()


class RunEndedSerializer(serializers.Serializer[Any]):
    """Why a run cannot be canceled."""

    detail = serializers.CharField()


class NodeKeySerializer(serializers.Serializer[Any]):
    """The SSH host key that a node shows now."""

    node = serializers.CharField()
    address = serializers.CharField()
    status = serializers.CharField(help_text='pinned, new or changed; empty if the node presents no key')
    type = serializers.CharField()
    fingerprint = serializers.CharField()
    line = serializers.CharField(help_text='The line to pin')
    command = serializers.CharField(help_text='Command that displays the fingerprint on the console of the node')
    error = serializers.CharField()
    remedy = serializers.CharField()


class ConfirmedKeysSerializer(serializers.Serializer[Any]):
    """SSH host keys that a user has compared."""

    keys = serializers.ListField(
        child=serializers.CharField(max_length=5000), allow_empty=False, help_text='Lines "host key-type key"'
    )


class PinnedKeysSerializer(serializers.Serializer[Any]):
    ssh_host_keys = serializers.CharField()
