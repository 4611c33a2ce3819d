"""Bindings and decisions."""

from netbox.api.fields import ChoiceField, ContentTypeField
from netbox.api.gfk_fields import GFKSerializerField
from netbox.api.serializers import BaseModelSerializer
from users.api.serializers import UserSerializer

from ...choices import DecisionChoices
from ...models import Binding, Decision
from .endpoints import ProxmoxEndpointSerializer

__all__ = ('BindingSerializer', 'DecisionSerializer')


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
