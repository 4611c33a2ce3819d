"""What requires a user, over all endpoints."""

from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from netbox.api.pagination import NetBoxPagination
from netbox.api.viewsets import BaseViewSet
from rest_framework.request import Request
from rest_framework.response import Response

from ..models import ProxmoxEndpoint
from ..ui.attention import attention, complete
from . import serializers

__all__ = ('AttentionViewSet',)


class RowPagination(NetBoxPagination):
    """Pages by offset. The rows have no number by which a cursor could find them."""

    def get_start(self, request: Request) -> None:
        return None

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        return [parameter for parameter in parameters if parameter['name'] != self.start_query_param]


class AttentionViewSet(BaseViewSet):
    # Requires the permission to view endpoints, and lists rows of those that the user may view.
    queryset = ProxmoxEndpoint.objects.all()
    serializer_class = serializers.AttentionSerializer
    pagination_class = RowPagination
    filter_backends = ()

    def get_queryset(self) -> QuerySet[ProxmoxEndpoint]:
        # For the permissions only: the rows are no objects of a model.
        return self.queryset

    @extend_schema(
        parameters=[serializers.AttentionFilterSerializer],
        responses={200: serializers.AttentionSerializer(many=True)},
    )
    def list(self, request: Request) -> Response:
        """
        List what requires a user: failed and refused runs, conflicts, candidates, faults, and previews that wait.
        """
        given = serializers.AttentionFilterSerializer(data=request.query_params)
        given.is_valid(raise_exception=True)
        chosen, endpoints = given.validated_data, None
        if chosen.get('endpoint_id') or chosen.get('endpoint'):
            named = ProxmoxEndpoint.objects.filter(name__in=chosen.get('endpoint', [])).order_by()
            endpoints = {*chosen.get('endpoint_id', []), *named.values_list('pk', flat=True)}
        rows = self.paginate_queryset(attention(request.user, endpoints, chosen.get('question'), chosen.get('q', '')))
        complete(rows, request.user)
        serializer = serializers.AttentionSerializer(rows, many=True, context={'request': request})
        return cast(Response, self.get_paginated_response(serializer.data))
