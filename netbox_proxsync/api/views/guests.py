"""Guests."""

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from ... import decisions, filtersets
from ...choices import DecisionChoices
from ...models import ProxmoxGuest
from ...sync.kind_names import GUEST
from .. import serializers
from ..bulk_decisions import BulkLinkViewSet
from .decisions import DecisionViewSet, decision

__all__ = ('ProxmoxGuestViewSet',)


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
