"""Endpoints."""

from dcim.api.serializers import DeviceRoleSerializer, DeviceTypeSerializer, SiteSerializer
from ipam.api.serializers import VLANGroupSerializer, VRFSerializer
from netbox.api.fields import ChoiceField
from netbox.api.serializers import BaseModelSerializer, PrimaryModelSerializer
from rest_framework import serializers
from tenancy.api.serializers import TenantSerializer
from virtualization.api.serializers import ClusterGroupSerializer, ClusterSerializer, ClusterTypeSerializer

from ...choices import (
    EndpointStatusChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    RunStatusChoices,
    SyncStatusChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from ...fields import column
from ...models import ProxmoxEndpoint, SyncRun
from ...models.endpoint_settings import Use, names_of

__all__ = ('NestedSyncRunSerializer', 'ProxmoxEndpointSerializer')


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
