"""Guests."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema_field
from netbox.api.fields import ChoiceField
from netbox.api.serializers import BaseModelSerializer
from rest_framework import serializers
from virtualization.api.serializers import VirtualMachineSerializer

from ...choices import GuestStateChoices, GuestTypeChoices
from ...models import ProxmoxGuest
from .endpoints import ProxmoxEndpointSerializer

__all__ = ('ProxmoxGuestSerializer',)


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
