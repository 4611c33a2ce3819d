"""Whether a run can be reverted by a user, and what happens after a revert."""

from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import RunModeChoices
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..runs.reverting import check_revertible
from ..runs.stored_plans import PlanNotApplicableError

__all__ = ('after_revert', 'is_revertible', 'may_revert', 'next_sync_notice')


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


def next_sync_notice(run: SyncRun) -> str:
    """
    What the next automatic sync does to values that a run reverts, or plans to revert, and how to prevent it, for
    clients that do not see the page of the revert; '' if it is no such run, or the endpoint has no automatic syncs.
    """
    endpoint, source = run.endpoint, run.applies or run
    if source.mode != RunModeChoices.REVERT or not (endpoint.sync_interval or endpoint.quick_interval):
        return ''
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    if endpoint.is_paused:
        text = _(
            'Automatic syncs of {endpoint} are paused until {time}; the next one writes the reverted values again, '
            'unless you remove the reason before.'
        )
        time = f'{timezone.localtime(endpoint.paused_until):%Y-%m-%d %H:%M}'
        return text.format(endpoint=endpoint, time=time)
    text = _(
        'The next automatic sync of {endpoint} writes the reverted values again: to prevent it, pause the endpoint on '
        'its page, or set "paused_until" with PATCH {url}.'
    )
    return text.format(endpoint=endpoint, url=url)
