"""What users decide, and the decisions that are stored."""

from collections.abc import Callable
from typing import Any, cast

from drf_spectacular.utils import extend_schema
from netbox.api.serializers import BaseModelSerializer
from netbox.api.viewsets import NetBoxReadOnlyModelViewSet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from ... import decisions, filtersets
from ...branching import InBranchError
from ...models import Decision
from ...wording import worded
from .. import serializers
from ..permissions import DecisionPermission
from ..prefetches import BOUND_OBJECTS
from ..responses import conflict_response
from .endpoints import NOT_PERMITTED

__all__ = ('DECISION_REFUSALS', 'DecisionViewSet', 'StoredDecisionViewSet', 'decision')

DECISION_REFUSALS = (decisions.DecisionError, decisions.SyncInProgressError, InBranchError)


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
