"""What buttons that start a run have in common."""

from typing import Any, cast

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..branching import active, active_schema, in_branch
from ..models import ProxmoxEndpoint, SyncRun

__all__ = (
    'SYNC_ENDPOINT',
    'active_run_of',
    'branch_context',
    'obstacle_to_runs',
)

SYNC_ENDPOINT = 'netbox_proxsync.sync_proxmoxendpoint'
ACTIVE_RUN = '_proxsync_active_run'


def branch_context(label: Any) -> dict[str, str]:
    """The context of a button that starts a run: the branch it will write to, and a label with it unless it is main."""
    if not in_branch():
        return {'place': active_schema()}
    return {
        'place': active_schema(),
        'label': _('{action} into branch {branch}').format(action=label, branch=active().name),
    }


def active_run_of(endpoint: ProxmoxEndpoint) -> SyncRun | None:
    """The run of an endpoint that is queued or in progress. It is loaded once for each instance, for all buttons."""
    if not hasattr(endpoint, ACTIVE_RUN):
        setattr(endpoint, ACTIVE_RUN, endpoint.runs.active().select_related('endpoint').first())
    return cast(SyncRun | None, getattr(endpoint, ACTIVE_RUN))


def obstacle_to_runs(endpoint: ProxmoxEndpoint) -> str:
    """Why no run can be started now; '' if one can."""
    if not endpoint.enabled:
        return gettext('The endpoint is disabled')
    return gettext('A run is in progress') if active_run_of(endpoint) else ''
