from django.core.exceptions import ValidationError as DjangoValidationError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from netbox.api.authentication import TokenPermissions, TokenSyncPermission
from netbox.api.viewsets import NetBoxModelViewSet, NetBoxReadOnlyModelViewSet
from netbox.api.viewsets.mixins import BulkDestroyModelMixin
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.mixins import DestroyModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import APIRootView

from .. import connection, filtersets, host_keys
from ..choices import RunModeChoices
from ..crypto import SecretError
from ..jobs import AlreadyRunning, SyncJob
from ..models import Binding, ProxmoxEndpoint, SyncChange, SyncRun
from ..proxmox.errors import ProxmoxError
from . import serializers


class ProxSyncRootView(APIRootView):
    """
    Proxmox Sync API root view
    """

    def get_view_name(self) -> str:
        return 'Proxmox Sync'


class TokenChangePermission(TokenPermissions):
    """Whoever may change an endpoint may look at its nodes' SSH host keys, and confirm them."""

    perms_map = {
        **TokenPermissions.perms_map,
        'GET': ['%(app_label)s.change_%(model_name)s'],
        'POST': ['%(app_label)s.change_%(model_name)s'],
    }


class ProxmoxEndpointViewSet(NetBoxModelViewSet):
    queryset = ProxmoxEndpoint.objects.all()
    serializer_class = serializers.ProxmoxEndpointSerializer
    filterset_class = filtersets.ProxmoxEndpointFilterSet

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('preview', 'sync', 'test'):
            return [TokenSyncPermission()]
        if self.action in ('ssh_host_keys', 'confirm_ssh_host_keys'):
            return [TokenChangePermission()]
        return super().get_permissions()

    @extend_schema(
        request=None,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def preview(self, request: Request, pk: int) -> Response:
        """
        Enqueue a run that finds out what a sync would change.
        """
        return self._start_run(request, pk, RunModeChoices.PREVIEW)

    @extend_schema(
        request=None,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def sync(self, request: Request, pk: int) -> Response:
        """
        Enqueue a run that syncs NetBox with the endpoint.
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

    @extend_schema(responses={200: serializers.NodeKeySerializer(many=True)})
    @action(detail=True, methods=['get'], url_path='ssh-host-keys', pagination_class=None, filterset_class=None)
    def ssh_host_keys(self, request: Request, pk: int) -> Response:
        """
        The SSH host keys that the nodes show now, for a person to compare.
        """
        endpoint = self._get_endpoint(request, pk, 'change')
        try:
            keys = host_keys.seen(endpoint)
        except (ProxmoxError, SecretError) as error:
            return Response({'detail': str(error)}, status=status.HTTP_502_BAD_GATEWAY)
        return Response(serializers.NodeKeySerializer(keys, many=True).data)

    @extend_schema(
        request=serializers.ConfirmedKeysSerializer, responses={200: serializers.PinnedKeysSerializer}
    )
    @ssh_host_keys.mapping.post
    def confirm_ssh_host_keys(self, request: Request, pk: int) -> Response:
        """
        Pin SSH host keys that a person has compared; each replaces what was pinned for its host.
        """
        endpoint = self._get_endpoint(request, pk, 'change')
        confirmed = serializers.ConfirmedKeysSerializer(data=request.data)
        confirmed.is_valid(raise_exception=True)
        try:
            endpoint = host_keys.confirm(endpoint, confirmed.validated_data['keys'])
        except DjangoValidationError as error:
            raise ValidationError({'keys': error.messages}) from None
        return Response(serializers.PinnedKeysSerializer(endpoint).data)

    def _get_endpoint(self, request: Request, pk: int, permission: str = 'sync') -> ProxmoxEndpoint:
        endpoint = get_object_or_404(ProxmoxEndpoint, pk=pk)
        if not request.user.has_perm(f'netbox_proxsync.{permission}_proxmoxendpoint', obj=endpoint):
            raise PermissionDenied(
                _('This user does not have permission to {permission} this endpoint.').format(permission=permission)
            )
        return endpoint

    def _start_run(self, request: Request, pk: int, mode: str) -> Response:
        endpoint = self._get_endpoint(request, pk)
        if not endpoint.enabled:
            return Response(
                {'detail': _('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint)},
                status=status.HTTP_409_CONFLICT,
            )
        context = {'request': request}
        try:
            run = SyncJob.enqueue_run(endpoint, user=request.user, mode=mode)
        except AlreadyRunning as error:
            running = serializers.NestedSyncRunSerializer(error.run, context=context).data
            return Response({'detail': str(error), 'run': running}, status=status.HTTP_409_CONFLICT)
        # Who may start a run may not always read what it found.
        nested = not request.user.has_perm('netbox_proxsync.view_syncrun', obj=run)
        serializer = serializers.SyncRunSerializer(run, nested=nested, context=context)
        return Response(serializer.data, status=status.HTTP_202_ACCEPTED)


class SyncRunViewSet(BulkDestroyModelMixin, DestroyModelMixin, NetBoxReadOnlyModelViewSet):
    """
    Runs come from endpoints; they can be read and deleted.
    """

    queryset = SyncRun.objects.all()
    serializer_class = serializers.SyncRunSerializer
    filterset_class = filtersets.SyncRunFilterSet


class SyncChangeViewSet(NetBoxReadOnlyModelViewSet):
    queryset = SyncChange.objects.all()
    serializer_class = serializers.SyncChangeSerializer
    filterset_class = filtersets.SyncChangeFilterSet


class BindingViewSet(NetBoxReadOnlyModelViewSet):
    queryset = Binding.objects.all()
    serializer_class = serializers.BindingSerializer
    filterset_class = filtersets.BindingFilterSet
