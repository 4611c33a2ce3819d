from collections.abc import Callable
from typing import Any, cast

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from netbox.api.authentication import TokenSyncPermission
from netbox.api.serializers import BaseModelSerializer
from netbox.api.viewsets import NetBoxModelViewSet, NetBoxReadOnlyModelViewSet
from netbox.api.viewsets.mixins import BulkDestroyModelMixin
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.mixins import DestroyModelMixin
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import APIRootView

from .. import decisions, filtersets
from ..branching import InBranchError
from ..choices import DecisionChoices, FieldDecisionChoices, RunModeChoices
from ..crypto import SecretError
from ..endpoints import acknowledgments, connection, host_keys
from ..endpoints.sensitive_requests import carries_secrets
from ..forms.fields import NOT_IN_BACKGROUND
from ..jobs import SyncJob
from ..models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..proxmox.errors import ProxmoxError
from ..runs.cancellation import RunEndedError, cancel, run_to_cancel
from ..runs.stored_plans import may_apply
from ..sync.kind_names import GUEST
from ..ui.revert_state import may_revert
from ..wording import worded
from . import serializers
from .bulk_decisions import BulkLinkViewSet, BulkResolveViewSet
from .permissions import DecisionPermission, EndpointSyncPermission, TokenConfirmPermission, ViewedObjectPermission
from .prefetches import BOUND_OBJECTS
from .responses import conflict_response, run_data, start_response

NOT_PERMITTED = {
    'change': gettext_lazy('This user does not have permission to change this endpoint.'),
    'sync': gettext_lazy('This user does not have permission to sync this endpoint.'),
}


DECISION_REFUSALS = (decisions.DecisionError, decisions.SyncInProgressError, InBranchError)


class ProxSyncRootView(APIRootView):
    """
    Proxmox VE API root view
    """

    def get_view_name(self) -> str:
        return 'Proxmox VE'


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


class MappingRuleViewSet(NetBoxModelViewSet):
    queryset = MappingRule.objects.all()
    serializer_class = serializers.MappingRuleSerializer
    filterset_class = filtersets.MappingRuleFilterSet


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


class DecisionViewSet(NetBoxReadOnlyModelViewSet):
    """Read-only objects with decisions, for users who may view the object and may sync its endpoint."""

    decisions: tuple[str, ...] = ()

    def get_permissions(self) -> list[BasePermission]:
        if self.action in self.decisions:
            return [DecisionPermission()]
        return cast(list[BasePermission], super().get_permissions())

    def _apply_decision(
        self, request: Request, pk: int, decide: Callable[[Any], object], permission: str = 'sync'
    ) -> Response:
        found = self.queryset.model.objects.restrict(request.user, 'view').select_related('endpoint')
        instance = get_object_or_404(found, pk=pk)
        if not request.user.has_perm(f'netbox_proxsync.{permission}_proxmoxendpoint', obj=instance.endpoint):
            raise PermissionDenied(NOT_PERMITTED[permission])
        try:
            decide(instance)
        except DECISION_REFUSALS as error:
            return conflict_response(worded(error))
        instance.refresh_from_db()
        return Response(self.serializer_class(instance, context={'request': request}).data)


def decision[F: Callable[..., Response]](serializer: type[BaseModelSerializer], path: str) -> Callable[[F], F]:
    """Decorator for an action that applies a decision, and responds with the changed object."""

    def decorate(method: F) -> F:
        documented = extend_schema(request=None, responses={200: serializer, 409: serializers.RefusalSerializer})
        return cast(F, documented(action(detail=True, methods=['post'], url_path=path)(method)))

    return decorate


class BindingViewSet(DecisionViewSet):
    queryset = Binding.objects.all()
    serializer_class = serializers.BindingSerializer
    field_prefetches = BOUND_OBJECTS
    filterset_class = filtersets.BindingFilterSet
    decisions = ('stop_managing', 'manage_again', 'decide_field')

    def get_permissions(self) -> list[BasePermission]:
        # An exception for all objects of a type requires another permission: see below.
        return [ViewedObjectPermission()] if self.action == 'decide_field' else super().get_permissions()

    @decision(serializers.BindingSerializer, 'stop-managing')
    def stop_managing(self, request: Request, pk: int) -> Response:
        """
        Stop synchronizing the object.
        """
        return self._apply_decision(request, pk, decisions.stop_managing_object)

    @decision(serializers.BindingSerializer, 'manage-again')
    def manage_again(self, request: Request, pk: int) -> Response:
        """
        Synchronize the object again.
        """
        return self._apply_decision(request, pk, decisions.manage_again)

    @extend_schema(
        request=serializers.FieldDecisionSerializer,
        responses={200: serializers.BindingSerializer, 409: serializers.RefusalSerializer},
    )
    @action(detail=True, methods=['post'], url_path='decide-field')
    def decide_field(self, request: Request, pk: int) -> Response:
        """
        Decide which value of a field applies from the next sync on.
        """
        given = serializers.FieldDecisionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        field, choice = given.validated_data['field'], given.validated_data['choice']
        permission = 'change' if choice == FieldDecisionChoices.ALWAYS else 'sync'

        def decide(binding: Binding) -> None:
            if decisions.field_spec(binding, field) is None:
                raise ValidationError({'field': [_('This field does not exist.')]})
            decisions.decide_field(binding, field, choice)

        return self._apply_decision(request, pk, decide, permission)


class StoredDecisionViewSet(DecisionViewSet):
    queryset = Decision.objects.all()
    serializer_class = serializers.DecisionSerializer
    field_prefetches = BOUND_OBJECTS
    filterset_class = filtersets.DecisionFilterSet
    decisions = ('revoke',)

    @extend_schema(request=None, responses={204: None, 409: serializers.RefusalSerializer})
    @action(detail=True, methods=['post'])
    def revoke(self, request: Request, pk: int) -> Response:
        """
        Revoke the decision: the next run raises the question again.
        """
        found = Decision.objects.restrict(request.user, 'view').select_related('endpoint')
        instance = get_object_or_404(found, pk=pk)
        if not request.user.has_perm('netbox_proxsync.sync_proxmoxendpoint', obj=instance.endpoint):
            raise PermissionDenied(NOT_PERMITTED['sync'])
        try:
            decisions.revoke([instance])
        except DECISION_REFUSALS as error:
            return conflict_response(worded(error))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProxmoxGuestViewSet(BulkLinkViewSet, DecisionViewSet):
    queryset = ProxmoxGuest.objects.all()
    serializer_class = serializers.ProxmoxGuestSerializer
    filterset_class = filtersets.ProxmoxGuestFilterSet
    decisions = ('ignore', 'stop_ignoring', 'stop_managing', 'link', 'bulk_link')

    @extend_schema(
        request=serializers.LinkSerializer,
        responses={200: serializers.ProxmoxGuestSerializer, 409: serializers.RefusalSerializer},
    )
    @action(detail=True, methods=['post'])
    def link(self, request: Request, pk: int) -> Response:
        """
        Link the guest to an existing virtual machine, which the next run adopts.
        """
        given = serializers.LinkSerializer(data=request.data)
        given.is_valid(raise_exception=True)

        def decide(guest: ProxmoxGuest) -> None:
            choice, user = DecisionChoices.LINK, request.user
            machine = decisions.named_object(GUEST, choice, given.validated_data['virtual_machine'], user)
            decisions.decide(guest.endpoint, GUEST, guest.key, choice, user, machine)

        return self._apply_decision(request, pk, decide)

    @decision(serializers.ProxmoxGuestSerializer, 'ignore')
    def ignore(self, request: Request, pk: int) -> Response:
        """
        Exclude the guest from synchronization. Its NetBox objects are left unchanged.
        """
        return self._apply_decision(request, pk, lambda guest: decisions.ignore([guest]))

    @decision(serializers.ProxmoxGuestSerializer, 'stop-ignoring')
    def stop_ignoring(self, request: Request, pk: int) -> Response:
        """
        Let the next run sync the guest again.
        """
        return self._apply_decision(request, pk, lambda guest: decisions.stop_ignoring([guest]))

    @decision(serializers.ProxmoxGuestSerializer, 'stop-managing')
    def stop_managing(self, request: Request, pk: int) -> Response:
        """
        Stop managing the guest's virtual machine with all its parts, and ignore the guest.
        """
        return self._apply_decision(request, pk, lambda guest: decisions.stop_managing([guest]))
