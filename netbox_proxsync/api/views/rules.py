"""Mapping rules."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import MappingRule
from .. import serializers

__all__ = ('MappingRuleViewSet',)


class MappingRuleViewSet(NetBoxModelViewSet):
    queryset = MappingRule.objects.all()
    serializer_class = serializers.MappingRuleSerializer
    filterset_class = filtersets.MappingRuleFilterSet
