"""What actions return."""

from typing import Any

from rest_framework import serializers

from .endpoints import NestedSyncRunSerializer

__all__ = (
    'AlreadyRunningSerializer',
    'BulkRefusalSerializer',
    'ConfirmedKeysSerializer',
    'ConnectionReportSerializer',
    'EntryRefusalSerializer',
    'PinnedKeysSerializer',
    'RefusalSerializer',
    'RunEndedSerializer',
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


class EntryRefusalSerializer(serializers.Serializer[Any]):
    """Why one of several decisions was refused."""

    id = serializers.IntegerField()
    # An attribute of a serializer has this name; DRF removes declared fields from the class.
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))  # type: ignore[assignment]


class BulkRefusalSerializer(serializers.Serializer[Any]):
    """Why none of several decisions was stored."""

    detail = serializers.CharField()
    errors = EntryRefusalSerializer(many=True, required=False)  # type: ignore[assignment]


class AlreadyRunningSerializer(serializers.Serializer[Any]):
    """Why no run was started, and which one is under way."""

    detail = serializers.CharField()
    run = NestedSyncRunSerializer()


class RunEndedSerializer(serializers.Serializer[Any]):
    """Why a run cannot be canceled."""

    detail = serializers.CharField()


class ConfirmedKeysSerializer(serializers.Serializer[Any]):
    """SSH host keys that a user has compared."""

    keys = serializers.ListField(
        child=serializers.CharField(max_length=5000), allow_empty=False, help_text='Lines "host key-type key"'
    )


class PinnedKeysSerializer(serializers.Serializer[Any]):
    ssh_host_keys = serializers.CharField()
