"""The responses of actions that start or cancel runs, or cannot be executed."""

from collections.abc import Callable
from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ..jobs import AlreadyRunningError
from ..models import ProxmoxEndpoint, SyncRun
from ..runs.maintenance import InMaintenanceError
from ..runs.stored_plans import PlanNotApplicableError
from ..ui.revert_state import next_sync_notice
from ..wording import worded
from . import serializers

__all__ = ('conflict_response', 'run_data', 'start_response')


def start_response(request: Request, endpoint: ProxmoxEndpoint, start: Callable[[], SyncRun]) -> Response:
    """The response to a request that starts a run. For a revert, `detail` says what the next automatic sync does."""
    if not endpoint.enabled:
        return conflict_response(_('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
    try:
        run = start()
    except AlreadyRunningError as error:
        running = serializers.NestedSyncRunSerializer(error.run, context={'request': request}).data
        return conflict_response(worded(error), run=running)
    except (PlanNotApplicableError, InMaintenanceError) as error:
        return conflict_response(worded(error))
    notice = next_sync_notice(run)
    detail = {'detail': notice} if notice else {}
    return Response(run_data(run, request) | detail, status=status.HTTP_202_ACCEPTED)


def conflict_response(detail: str, **more: object) -> Response:
    return Response({'detail': detail, **more}, status=status.HTTP_409_CONFLICT)


def run_data(run: SyncRun, request: Request) -> dict[str, Any]:
    """A run for the user who started or canceled it; brief if the user may not view it."""
    nested = not request.user.has_perm('netbox_proxsync.view_syncrun', obj=run)
    return cast(dict[str, Any], serializers.SyncRunSerializer(run, nested=nested, context={'request': request}).data)
