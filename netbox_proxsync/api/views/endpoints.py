"""Endpoints, and their connection, host keys, runs and pauses."""

from typing import Any, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from netbox.api.authentication import TokenSyncPermission
from netbox.api.viewsets import NetBoxModelViewSet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from ... import filtersets
from ...branching import InBranchError
from ...choices import RunModeChoices
from ...crypto import SecretError
from ...endpoints import acknowledgments, connection, host_keys
from ...endpoints.sensitive_requests import carries_secrets
from ...forms.fields import NOT_IN_BACKGROUND
from ...jobs import SyncJob
from ...models import ProxmoxEndpoint
from ...proxmox.errors import ProxmoxError
from ...wording import worded
from .. import serializers
from ..permissions import TokenConfirmPermission
from ..responses import conflict_response, start_response

__all__ = ('NOT_PERMITTED', 'ProxmoxEndpointViewSet')

NOT_PERMITTED = {
    'change': gettext_lazy('This user does not have permission to change this endpoint.'),
    'sync': gettext_lazy('This user does not have permission to sync this endpoint.'),
}


class ProxmoxEndpointViewSet(NetBoxModelViewSet):
    queryset = ProxmoxEndpoint.objects.with_sync_status().with_last_sync().select_related('last_run__endpoint')
    serializer_class = serializers.ProxmoxEndpointSerializer
    filterset_class = filtersets.ProxmoxEndpointFilterSet

    def _enqueue_bulk_job(self, request: Request, action: str, payload: list[Any], **kwargs: Any) -> Response:
        # NetBox calls this for each request that is to be processed in the background.
        if carries_secrets(payload):
            raise ValidationError({'detail': str(NOT_IN_BACKGROUND)})
        return cast(Response, super()._enqueue_bulk_job(request, action, payload, **kwargs))

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('preview', 'sync', 'test', 'ssh_host_keys', 'acknowledge', 'withdraw_acknowledgment'):
            return [TokenSyncPermission()]
        if self.action == 'confirm_ssh_host_keys':
            return [TokenConfirmPermission()]
        return cast(list[BasePermission], super().get_permissions())

    @extend_schema(
        request=serializers.LimitSerializer,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def preview(self, request: Request, pk: int) -> Response:
        """
        Enqueue a run that finds out what a sync would change, of all guests or of given ones.
        """
        return self._start_run(request, pk, RunModeChoices.PREVIEW)

    @extend_schema(
        request=serializers.LimitSerializer,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def sync(self, request: Request, pk: int) -> Response:
        """
        Enqueue a run that syncs NetBox with the endpoint, all guests or given ones.
        """
        return self._start_run(request, pk, RunModeChoices.SYNC)

    @extend_schema(request=None, responses={200: serializers.ConnectionReportSerializer})
    @action(detail=True, methods=['post'])
    def test(self, request: Request, pk: int) -> Response:
        """
        Try the connection of the endpoint.
        """
        report = connection.test(self._get_endpoint(request, pk))
        return Response(serializers.ConnectionReportSerializer(report).data)

    @extend_schema(request=serializers.FaultSerializer, responses={204: None, 409: serializers.RefusalSerializer})
    @action(detail=True, methods=['post'])
    def acknowledge(self, request: Request, pk: int) -> Response:
        """
        Acknowledge a fault of Proxmox VE's configuration. It is not reported as a warning until it changes.
        """
        endpoint, fault = self._get_fault(request, pk)
        try:
            acknowledgments.acknowledge(endpoint, *fault, request.user)
        except (acknowledgments.NotAFaultError, InBranchError) as error:
            return conflict_response(worded(error))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=serializers.FaultSerializer, responses={204: None, 409: serializers.RefusalSerializer})
    @action(detail=True, methods=['post'], url_path='withdraw-acknowledgment')
    def withdraw_acknowledgment(self, request: Request, pk: int) -> Response:
        """
        Let an acknowledged fault be a warning again.
        """
        endpoint, fault = self._get_fault(request, pk)
        try:
            acknowledgments.withdraw(endpoint, *fault)
        except InBranchError as error:
            return conflict_response(worded(error))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={200: serializers.NodeKeySerializer(many=True)})
    @action(detail=True, methods=['post'], url_path='ssh-host-keys', pagination_class=None, filterset_class=None)
    def ssh_host_keys(self, request: Request, pk: int) -> Response:
        """
        Request the SSH host keys that the nodes present now, so that a user can compare them.
        """
        endpoint = self._get_endpoint(request, pk)
        serializers.EmptySerializer(data=request.data).is_valid(raise_exception=True)
        try:
            keys = host_keys.offered_keys(endpoint)
        except (ProxmoxError, SecretError) as error:
            return Response({'detail': worded(error)}, status=status.HTTP_502_BAD_GATEWAY)
        return Response(serializers.NodeKeySerializer(keys, many=True).data)

    @extend_schema(
        request=serializers.ConfirmedKeysSerializer,
        responses={200: serializers.PinnedKeysSerializer, 409: serializers.RefusalSerializer},
    )
    @action(detail=True, methods=['post'], url_path='confirm-ssh-host-keys')
    def confirm_ssh_host_keys(self, request: Request, pk: int) -> Response:
        """
        Pin SSH host keys that the nodes have presented and a user has compared. Each replaces the pinned keys of its
        host.
        """
        endpoint = self._get_endpoint(request, pk)
        self._get_endpoint(request, pk, 'change')
        confirmed = serializers.ConfirmedKeysSerializer(data=request.data)
        confirmed.is_valid(raise_exception=True)
        try:
            endpoint = host_keys.confirm(endpoint, confirmed.validated_data['keys'])
        except InBranchError as error:
            return Response({'detail': worded(error)}, status=status.HTTP_409_CONFLICT)
        except DjangoValidationError as error:
            raise ValidationError({'keys': error.messages}) from None
        return Response(serializers.PinnedKeysSerializer(endpoint).data)

    def _get_fault(self, request: Request, pk: int) -> tuple[ProxmoxEndpoint, tuple[str, str]]:
        endpoint = self._get_endpoint(request, pk)
        fault = serializers.FaultSerializer(data=request.data)
        fault.is_valid(raise_exception=True)
        return endpoint, (fault.validated_data['subject'], fault.validated_data['message'])

    def _get_endpoint(self, request: Request, pk: int, permission: str = 'sync') -> ProxmoxEndpoint:
        endpoint = get_object_or_404(ProxmoxEndpoint, pk=pk)
        if not request.user.has_perm(f'netbox_proxsync.{permission}_proxmoxendpoint', obj=endpoint):
            if not request.user.has_perm('netbox_proxsync.view_proxmoxendpoint', obj=endpoint):
                # The response must not reveal that the endpoint exists.
                raise Http404
            raise PermissionDenied(NOT_PERMITTED[permission])
        return endpoint

    def _start_run(self, request: Request, pk: int, mode: str) -> Response:
        endpoint = self._get_endpoint(request, pk)
        limit = serializers.LimitSerializer(data=request.data)
        limit.is_valid(raise_exception=True)
        vmids = limit.validated_data.get('vmids')
        return start_response(
            request, endpoint, lambda: SyncJob.enqueue_run(endpoint, user=request.user, mode=mode, vmids=vmids)
        )
