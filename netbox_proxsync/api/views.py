from collections.abc import Callable

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from netbox.api.authentication import TokenPermissions, TokenSyncPermission
from netbox.api.viewsets import NetBoxModelViewSet, NetBoxReadOnlyModelViewSet
from netbox.api.viewsets.mixins import BulkDestroyModelMixin
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.mixins import DestroyModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import APIRootView

from .. import connection, filtersets
from ..choices import RunModeChoices
from ..jobs import AlreadyRunning, SyncJob
from ..models import Binding, ProxmoxEndpoint, SyncChange, SyncRun
from ..permissions import may_apply
from ..stored_plans import NotAppliable
from . import serializers


class ProxSyncRootView(APIRootView):
    """
    Proxmox Sync API root view
    """

    def get_view_name(self) -> str:
        return 'Proxmox Sync'


class ProxmoxEndpointViewSet(NetBoxModelViewSet):
    queryset = ProxmoxEndpoint.objects.all()
    serializer_class = serializers.ProxmoxEndpointSerializer
    filterset_class = filtersets.ProxmoxEndpointFilterSet

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('preview', 'sync', 'test'):
            return [TokenSyncPermission()]
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

    def _get_endpoint(self, request: Request, pk: int) -> ProxmoxEndpoint:
        endpoint = get_object_or_404(ProxmoxEndpoint, pk=pk)
        if not request.user.has_perm('netbox_proxsync.sync_proxmoxendpoint', obj=endpoint):
            raise PermissionDenied(_('This user does not have permission to sync this endpoint.'))
        return endpoint

    def _start_run(self, request: Request, pk: int, mode: str) -> Response:
        endpoint = self._get_endpoint(request, pk)
        return started(request, endpoint, lambda: SyncJob.enqueue_run(endpoint, user=request.user, mode=mode))


def started(request: Request, endpoint: ProxmoxEndpoint, start: Callable[[], SyncRun]) -> Response:
    """The answer to who starts a run."""
    if not endpoint.enabled:
        return refused(_('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
    context = {'request': request}
    try:
        run = start()
    except AlreadyRunning as error:
        running = serializers.NestedSyncRunSerializer(error.run, context=context).data
        return refused(str(error), run=running)
    except NotAppliable as error:
        return refused(str(error))
    # Who may start a run may not always read what it found.
    nested = not request.user.has_perm('netbox_proxsync.view_syncrun', obj=run)
    serializer = serializers.SyncRunSerializer(run, nested=nested, context=context)
    return Response(serializer.data, status=status.HTTP_202_ACCEPTED)


def refused(detail: str, **more: object) -> Response:
    return Response({'detail': detail, **more}, status=status.HTTP_409_CONFLICT)


class ViewedRunPermission(TokenPermissions):
    """For actions on a run: to see it; what more they take depends on its endpoint."""

    perms_map = {
        **TokenPermissions.perms_map,
        'POST': ['%(app_label)s.view_%(model_name)s'],
    }


class SyncRunViewSet(BulkDestroyModelMixin, DestroyModelMixin, NetBoxReadOnlyModelViewSet):
    """
    Runs come from endpoints; they can be read and deleted.
    """

    queryset = SyncRun.objects.all()
    serializer_class = serializers.SyncRunSerializer
    filterset_class = filtersets.SyncRunFilterSet

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('accept', 'apply'):
            return [ViewedRunPermission()]
        return super().get_permissions()

    @extend_schema(
        request=None,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def accept(self, request: Request, pk: int) -> Response:
        """
        Let the plan of a refused run through, exactly as it was stored, once.
        """
        source = self._get_run(request, pk)
        if not source.refusal:
            return refused(_('This run was not refused.'))
        return started(request, source.endpoint, lambda: SyncJob.enqueue_plan(source, request.user))

    @extend_schema(
        request=serializers.ApplySerializer,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def apply(self, request: Request, pk: int) -> Response:
        """
        Apply the plan of a preview, or some units of it, exactly as it was stored.
        """
        source = self._get_run(request, pk)
        chosen = serializers.ApplySerializer(data=request.data)
        chosen.is_valid(raise_exception=True)
        units = chosen.validated_data.get('units')
        return started(request, source.endpoint, lambda: SyncJob.enqueue_plan(source, request.user, units))

    def _get_run(self, request: Request, pk: int) -> SyncRun:
        runs = SyncRun.objects.restrict(request.user, 'view').select_related('endpoint')
        run = get_object_or_404(runs, pk=pk)
        if not may_apply(request.user, run):
            raise PermissionDenied(_('This user does not have permission to apply this plan.'))
        return run


class SyncChangeViewSet(NetBoxReadOnlyModelViewSet):
    queryset = SyncChange.objects.all()
    serializer_class = serializers.SyncChangeSerializer
    filterset_class = filtersets.SyncChangeFilterSet


class BindingViewSet(NetBoxReadOnlyModelViewSet):
    queryset = Binding.objects.all()
    serializer_class = serializers.BindingSerializer
    filterset_class = filtersets.BindingFilterSet
