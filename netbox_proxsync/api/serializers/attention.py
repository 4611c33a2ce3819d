"""What requires a user."""

from typing import Any

from netbox.api.fields import ChoiceField
from netbox.api.gfk_fields import GFKSerializerField
from rest_framework import serializers

from ...choices import AttentionChoices
from .endpoints import NestedSyncRunSerializer, ProxmoxEndpointSerializer
from .guests import ProxmoxGuestSerializer
from .runs import SyncChangeSerializer

__all__ = ('AttentionFilterSerializer', 'AttentionSerializer')


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
