"""Many decisions by one request, as NetBox's bulk operations: all of them, or none with the reason for each object."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from netbox.api.viewsets import NetBoxReadOnlyModelViewSet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ListSerializer

from .. import decisions
from ..branching import InBranchError
from ..choices import DecisionChoices
from ..models import Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..models.runs import MAX_LIMIT
from ..models.users import AnyUser
from ..sync.kind_names import GUEST
from . import serializers
from .responses import conflict_response

__all__ = ('BulkLinkViewSet', 'BulkResolveViewSet')

# As in NetBox's own bulk operations.
OF_NO_FIELD = '__all__'
RESPONSES = {400: serializers.BulkRefusalSerializer, 409: serializers.BulkRefusalSerializer}


@dataclass(frozen=True)
class Wanted:
    """
    An entry of a request.

    Attributes:
        pk: Of the change or guest that the entry names.
        object_id: Of the object to link, of the address to move, or of its VRF; None: none is named.
        name: Of the object that is created under another name.
    """

    pk: int
    endpoint: ProxmoxEndpoint
    kind: str
    key: str
    choice: str
    object_id: int | None
    name: str = ''


class BulkResolveViewSet(NetBoxReadOnlyModelViewSet):
    """Decisions about several changes."""

    @extend_schema(
        operation_id='plugins_proxsync_changes_bulk_resolve',
        request=serializers.ResolveOneSerializer(many=True),
        responses={200: serializers.DecisionSerializer(many=True), **RESPONSES},
    )
    @action(detail=False, methods=['post'], url_path='resolve', pagination_class=None, filterset_class=None)
    def bulk_resolve(self, request: Request) -> Response:
        """
        Decide about several conflicts and candidates. If one decision is refused, none is stored.
        """
        given = valid_entries(request, serializers.ResolveOneSerializer)
        changes = SyncChange.objects.restrict(request.user, 'view').select_related('run__endpoint')
        found = changes.order_by().in_bulk([entry['id'] for entry in given])
        if response := not_found(given, found):
            return response
        wanted = []
        for entry in given:
            change = found[entry['id']]
            choice, name = entry['choice'], entry.get('name', '')
            # The object of the change is no VRF.
            object_id = entry.get('object_id', None if choice == DecisionChoices.VRF else change.object_id)
            wanted.append(Wanted(change.pk, change.run.endpoint, change.kind, change.key, choice, object_id, name))

        def stored(made: Sequence[Decision]) -> Any:
            return serializers.DecisionSerializer(made, many=True, context=context(request))

        return respond(request, wanted, stored)


class BulkLinkViewSet(NetBoxReadOnlyModelViewSet):
    """Links of several guests."""

    @extend_schema(
        operation_id='plugins_proxsync_guests_bulk_link',
        request=serializers.LinkOneSerializer(many=True),
        responses={200: serializers.ProxmoxGuestSerializer(many=True), **RESPONSES},
    )
    @action(detail=False, methods=['post'], url_path='link', pagination_class=None, filterset_class=None)
    def bulk_link(self, request: Request) -> Response:
        """
        Link several guests to existing virtual machines, which the next run adopts. If one is refused, none is linked.
        """
        given = valid_entries(request, serializers.LinkOneSerializer)
        guests = ProxmoxGuest.objects.restrict(request.user, 'view').select_related('endpoint')
        found = guests.order_by().in_bulk([entry['id'] for entry in given])
        if response := not_found(given, found):
            return response
        wanted = []
        for entry in given:
            guest = found[entry['id']]
            machine = entry['virtual_machine']
            wanted.append(Wanted(guest.pk, guest.endpoint, GUEST, guest.key, DecisionChoices.LINK, machine))

        def linked(made: Sequence[Decision]) -> Any:
            rows = ProxmoxGuest.objects.filter(pk__in=found).select_related('endpoint', 'virtual_machine').in_bulk()
            guests = [rows[each.pk] for each in wanted]
            return serializers.ProxmoxGuestSerializer(guests, many=True, context=context(request))

        return respond(request, wanted, linked)


def context(request: Request) -> dict[str, Request]:
    return {'request': request}


def valid_entries(request: Request, serializer: Any) -> list[dict[str, Any]]:
    """
    The entries of a request.

    Raises:
        ValidationError: The body is no list of such entries.
    """
    given: ListSerializer[Any] = serializer(data=request.data, many=True, allow_empty=False, max_length=MAX_LIMIT)
    given.is_valid(raise_exception=True)
    return cast(list[dict[str, Any]], given.validated_data)


def not_found(given: Sequence[Mapping[str, Any]], found: Mapping[int, object]) -> Response | None:
    """The response if the request names an object twice, or one that the user may not view; None if it does not."""
    numbers = Counter(entry['id'] for entry in given)
    errors = []
    for pk, number in numbers.items():
        if pk not in found:
            errors.append({'id': pk, 'errors': {'id': [_('The object does not exist.')]}})
        elif number > 1:
            errors.append({'id': pk, 'errors': {'id': [_('The object is listed several times.')]}})
    return refusal(errors, len(given), status.HTTP_400_BAD_REQUEST) if errors else None


def refusal(errors: Sequence[object], total: int, code: int) -> Response:
    detail = _('{failed} of {total} decisions were rejected, so none was stored.').format(
        failed=len(errors), total=total
    )
    return Response({'detail': detail, 'errors': errors}, status=code)


def respond(request: Request, wanted: Sequence[Wanted], serialize: Any) -> Response:
    """Make all decisions, or none."""
    try:
        with transaction.atomic():
            made, refused = make(wanted, request.user)
            if refused:
                transaction.set_rollback(True)
    except (decisions.DecisionError, decisions.SyncInProgressError, InBranchError) as error:
        return conflict_response(str(error))
    if refused:
        errors = [{'id': each.pk, 'errors': {OF_NO_FIELD: [refused[each]]}} for each in wanted if each in refused]
        return refusal(errors, len(wanted), status.HTTP_409_CONFLICT)
    return Response(serialize([made[each] for each in wanted]).data)


def make(wanted: Sequence[Wanted], user: AnyUser) -> tuple[dict[Wanted, Decision], dict[Wanted, str]]:
    """Make decisions, and return them and the reasons why the others are refused."""
    rows = ProxmoxEndpoint.objects.restrict(user, 'sync').filter(pk__in={each.endpoint.pk for each in wanted})
    permitted = set(rows.order_by().values_list('pk', flat=True))
    instances = named_objects(wanted, user)
    made: dict[Wanted, Decision] = {}
    refused: dict[Wanted, str] = {}
    questions: dict[str, dict[decisions.Question, Wanted]] = {}
    seen: set[tuple[int, str, str]] = set()
    for each in wanted:
        identity = (each.endpoint.pk, each.kind, each.key)
        if each.endpoint.pk not in permitted:
            refused[each] = _('This user does not have permission to sync this endpoint.')
        elif identity in seen:
            refused[each] = _('Another entry decides about the same object.')
        elif each.choice not in decisions.choices_for(each.kind):
            refused[each] = decisions.not_possible()
        elif each in instances and instances[each] is None:
            refused[each] = _('No object that you have permission to view has the ID {pk}.').format(pk=each.object_id)
        else:
            question = decisions.Question(each.endpoint, each.kind, each.key, instances.get(each), each.name)
            questions.setdefault(each.choice, {})[question] = each
        seen.add(identity)
    for choice, chosen in questions.items():
        stored, reasons = decisions.decide_all(list(chosen), choice, user)
        refused |= {chosen[question]: reason for question, reason in reasons.items()}
        by_identity = {(row.endpoint_id, row.kind, row.key): row for row in stored}
        for each in chosen.values():
            if each not in refused:
                made[each] = by_identity[each.endpoint.pk, each.kind, each.key]
    return made, refused


def named_objects(wanted: Iterable[Wanted], user: AnyUser) -> dict[Wanted, Any]:
    """The objects that the decisions need and name; None for those that the user may not view."""
    by_model: dict[Any, dict[Wanted, int]] = {}
    for each in wanted:
        model: Any = decisions.named_model(each.kind, each.choice)
        if model is not None and not (each.object_id is None and each.choice == DecisionChoices.MOVE):
            by_model.setdefault(model, {})[each] = each.object_id or 0
    found: dict[Wanted, Any] = {}
    for model, pks in by_model.items():
        instances = model.objects.restrict(user, 'view').order_by().in_bulk(set(pks.values()))
        found |= {each: instances.get(pk) for each, pk in pks.items()}
    return found
