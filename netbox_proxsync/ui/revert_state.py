"""Whether the page of a run offers to revert it."""

from typing import Any

from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..runs.reverting import check_revertible
from ..runs.stored_plans import PlanNotApplicableError

__all__ = ('after_revert', 'is_revertible', 'may_revert')


def may_revert(user: AnyUser, run: SyncRun) -> bool:
    """Whether a user may plan the revert of a run: with the permission to sync the endpoint."""
    return bool(user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint))


def is_revertible(run: SyncRun) -> bool:
    """Whether the run can be reverted."""
    try:
        check_revertible(run)
    except PlanNotApplicableError:
        return False
    return True


def after_revert(endpoint: ProxmoxEndpoint) -> dict[str, Any]:
    """What happens to an endpoint after a revert, as the context of `inc/after_revert.html`."""
    starts = [at for at in (endpoint.next_sync, endpoint.next_quick) if at]
    return {
        'endpoint': endpoint,
        'has_schedule': bool(endpoint.sync_interval or endpoint.quick_interval),
        'next_start': min(starts) if starts else None,
    }
