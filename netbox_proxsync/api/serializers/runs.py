"""Runs and their changes."""

from typing import Any

from core.api.serializers import JobSerializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from netbox.api.fields import ChoiceField, ContentTypeField
from netbox.api.gfk_fields import GFKSerializerField
from netbox.api.serializers import BaseModelSerializer
from rest_framework import serializers
from users.api.serializers import UserSerializer

from ...choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from ...models import SyncChange, SyncRun
from ...models.visibility import HiddenUnits
from .endpoints import NestedSyncRunSerializer, ProxmoxEndpointSerializer

__all__ = ('SyncChangeSerializer', 'SyncRunSerializer')


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
