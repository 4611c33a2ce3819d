"""Runs and their changes."""

from typing import cast

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from netbox.api.viewsets import NetBoxReadOnlyModelViewSet
from netbox.api.viewsets.mixins import BulkDestroyModelMixin
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.mixins import DestroyModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from ... import decisions, filtersets
from ...choices import DecisionChoices
from ...jobs import SyncJob
from ...models import SyncChange, SyncRun
from ...runs.cancellation import RunEndedError, cancel, run_to_cancel
from ...runs.stored_plans import may_apply
from ...ui.revert_state import may_revert
from ...wording import worded
from .. import serializers
from ..bulk_decisions import BulkResolveViewSet
from ..permissions import DecisionPermission, EndpointSyncPermission, ViewedObjectPermission
from ..prefetches import BOUND_OBJECTS
from ..responses import conflict_response, run_data, start_response
from .decisions import DECISION_REFUSALS
from .endpoints import NOT_PERMITTED

__all__ = ('SyncChangeViewSet', 'SyncRunViewSet')


class SyncRunViewSet(BulkDestroyModelMixin, DestroyModelMixin, NetBoxReadOnlyModelViewSet):
    """
    Runs come from endpoints; they can be read, applied, reverted, canceled and deleted.
    """

    queryset = SyncRun.objects.all()
    serializer_class = serializers.SyncRunSerializer
    filterset_class = filtersets.SyncRunFilterSet

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('accept', 'apply', 'revert'):
            return [ViewedObjectPermission()]
        if self.action == 'cancel':
            return [EndpointSyncPermission()]
        return cast(list[BasePermission], super().get_permissions())

    @extend_schema(
        request=serializers.ApplySerializer,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def accept(self, request: Request, pk: int) -> Response:
        """
        Approve a refused run: apply its plan, or a part of it, exactly as it was stored. Each change is applied once.
        """
        source = self._get_run(request, pk)
        if not source.refusal:
            serializers.ApplySerializer(data=request.data).is_valid(raise_exception=True)
            return conflict_response(_('This run was not refused.'))
        return self._apply_plan(request, source)

    @extend_schema(
        request=serializers.ApplySerializer,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def apply(self, request: Request, pk: int) -> Response:
        """
        Apply the plan of a preview, or a part of it, exactly as it was stored. What other runs have applied of it is
        left out.
        """
        return self._apply_plan(request, self._get_run(request, pk))

    def _apply_plan(self, request: Request, source: SyncRun) -> Response:
        chosen = serializers.ApplySerializer(data=request.data)
        chosen.is_valid(raise_exception=True)
        part = chosen.validated_data
        return start_response(request, source.endpoint, lambda: SyncJob.enqueue_plan(source, request.user, **part))

    def _get_run(self, request: Request, pk: int) -> SyncRun:
        runs = SyncRun.objects.restrict(request.user, 'view').select_related('endpoint')
        run = get_object_or_404(runs, pk=pk)
        if not may_apply(request.user, run):
            raise PermissionDenied(_('This user does not have permission to apply this plan.'))
        return cast(SyncRun, run)

    @extend_schema(
        request=None,
        responses={202: serializers.SyncRunSerializer, 409: serializers.AlreadyRunningSerializer},
    )
    @action(detail=True, methods=['post'])
    def revert(self, request: Request, pk: int) -> Response:
        """
        Enqueue a run that plans how to undo what this run has written. Its plan is applied like that of a preview.
        """
        runs = SyncRun.objects.restrict(request.user, 'view').select_related('endpoint', 'applies')
        source = get_object_or_404(runs, pk=pk)
        if not may_revert(request.user, source):
            raise PermissionDenied(NOT_PERMITTED['sync'])
        serializers.EmptySerializer(data=request.data).is_valid(raise_exception=True)
        return start_response(request, source.endpoint, lambda: SyncJob.enqueue_revert(source, request.user))

    @extend_schema(
        request=None,
        responses={
            200: serializers.SyncRunSerializer,
            202: serializers.SyncRunSerializer,
            409: serializers.RunEndedSerializer,
        },
    )
    @action(detail=True, methods=['post'])
    def cancel(self, request: Request, pk: int) -> Response:
        """
        Cancel a run: 200 when it is canceled, 202 while its worker stops, 409 when it has ended otherwise.
        """
        run = run_to_cancel(request.user, pk, str(NOT_PERMITTED['sync']))
        try:
            run = cancel(run, request.user)
        except RunEndedError as error:
            return Response({'detail': worded(error)}, status=status.HTTP_409_CONFLICT)
        code = status.HTTP_200_OK if run.finished else status.HTTP_202_ACCEPTED
        return Response(run_data(run, request), status=code)


class SyncChangeViewSet(BulkResolveViewSet):
    queryset = SyncChange.objects.all()
    serializer_class = serializers.SyncChangeSerializer
    field_prefetches = BOUND_OBJECTS
    filterset_class = filtersets.SyncChangeFilterSet

    def get_permissions(self) -> list[BasePermission]:
        if self.action in ('resolve', 'bulk_resolve'):
            return [DecisionPermission()]
        return cast(list[BasePermission], super().get_permissions())

    @extend_schema(
        request=serializers.ResolveSerializer,
        responses={200: serializers.DecisionSerializer, 409: serializers.RefusalSerializer},
    )
    @action(detail=True, methods=['post'])
    def resolve(self, request: Request, pk: int) -> Response:
        """
        Decide about a conflict or candidate. Later runs honor the decision until it is revoked.
        """
        changes = SyncChange.objects.restrict(request.user, 'view').select_related('run__endpoint')
        change = get_object_or_404(changes, pk=pk)
        endpoint = change.run.endpoint
        if not request.user.has_perm('netbox_proxsync.sync_proxmoxendpoint', obj=endpoint):
            raise PermissionDenied(NOT_PERMITTED['sync'])
        given = serializers.ResolveSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        chosen = given.validated_data
        choice, name = chosen['choice'], chosen.get('name', '')
        # The object of the change is no VRF.
        default = None if choice == DecisionChoices.VRF else change.object_id
        try:
            instance = decisions.named_object(change.kind, choice, chosen.get('object_id', default), request.user)
            made = decisions.decide(endpoint, change.kind, change.key, choice, request.user, instance, name)
        except DECISION_REFUSALS as error:
            return conflict_response(worded(error))
        return Response(serializers.DecisionSerializer(made, context={'request': request}).data)
