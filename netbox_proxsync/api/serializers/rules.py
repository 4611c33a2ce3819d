"""Mapping rules."""

from dcim.api.serializers import DeviceRoleSerializer, PlatformSerializer
from extras.api.serializers import TagSerializer
from extras.models import Tag
from ipam.api.serializers import VLANGroupSerializer, VRFSerializer
from netbox.api.fields import ChoiceField, SerializedPKRelatedField
from netbox.api.serializers import PrimaryModelSerializer
from rest_framework import serializers
from tenancy.api.serializers import TenantSerializer

from ...choices import GuestTypeChoices, PatternTypeChoices, TagMatchChoices
from ...fields import column
from ...models import MappingRule
from .endpoints import ProxmoxEndpointSerializer

__all__ = ('MappingRuleSerializer',)


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
