"""Bindings."""

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from ... import decisions, filtersets
from ...choices import FieldDecisionChoices
from ...models import Binding
from .. import serializers
from ..permissions import ViewedObjectPermission
from ..prefetches import BOUND_OBJECTS
from .decisions import DecisionViewSet, decision

__all__ = ('BindingViewSet',)


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
