"""The event types of this plugin: how syncs have ended."""

import logging
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override
from extras.events import EventContext, flush_events
from netbox.events import (
    EVENT_TYPE_KIND_DANGER,
    EVENT_TYPE_KIND_SUCCESS,
    EVENT_TYPE_KIND_WARNING,
    EventType,
)

from .choices import ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from .models import SyncRun
from .models.run_reasons import reason_of

__all__ = ('announce', 'event_type_of', 'register')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# Not lazy, as NetBox's own: `EventType.__str__` returns the text.
COMPLETED = EventType('proxsync_completed', _('Proxmox VE sync completed'), EVENT_TYPE_KIND_SUCCESS)
CONFLICTS = EventType('proxsync_conflicts', _('Proxmox VE sync completed with conflicts'), EVENT_TYPE_KIND_WARNING)
ERRORS = EventType('proxsync_errors', _('Proxmox VE sync completed with errors'), EVENT_TYPE_KIND_WARNING)
FAILED = EventType('proxsync_failed', _('Proxmox VE sync failed'), EVENT_TYPE_KIND_DANGER)
REFUSED = EventType('proxsync_refused', _('Proxmox VE sync refused'), EVENT_TYPE_KIND_WARNING)
EVENT_TYPES = (COMPLETED, CONFLICTS, ERRORS, FAILED, REFUSED)


def register() -> None:
    """Register the event types with NetBox."""
    for event_type in EVENT_TYPES:
        event_type.register()


def announce(run: SyncRun) -> None:
    """
    Send the event of the end of a run after the transaction commits; none for previews, which change nothing, and quick
    runs without changes.
    """
    changed_nothing = run.mode == RunModeChoices.QUICK and run.status == RunStatusChoices.COMPLETED and not run.counts
    if run.mode not in RunModeChoices.PLANNING and run.status != RunStatusChoices.CANCELED and not changed_nothing:
        transaction.on_commit(lambda: send(run))


def send(run: SyncRun) -> None:
    """Send the event of the end of a run to event rules."""
    data = payload(run)
    event = EventContext(
        object_type=ContentType.objects.get_for_model(run.endpoint),
        object_id=run.endpoint_id,
        object=run.endpoint,
        event_type=event_type_of(run.status, data['run']).name,
        data=data,
        user=run.user,
        snapshots=None,
    )
    try:
        flush_events([event])
    except Exception:
        # A failing event rule does not change how the run has ended.
        logger.exception(f'The event rules for the end of run {run.pk} failed')


def event_type_of(status: str, data: dict[str, Any]) -> EventType:
    """
    The event type of a run.

    Args:
        data: The run as in `payload`.
    """
    if status == RunStatusChoices.COMPLETED:
        return CONFLICTS if data['conflicts'] or data['candidates'] or data['not_written'] else COMPLETED
    if status == RunStatusChoices.ERRORS:
        return ERRORS
    return REFUSED if status == RunStatusChoices.REFUSED else FAILED


def not_written(run: SyncRun) -> int:
    """The number of changes that were not written because NetBox refused them or was edited meanwhile."""
    if not run.total_changes:
        return 0
    bad = (ChangeOutcomeChoices.FAILED, ChangeOutcomeChoices.OUTDATED)
    number: int = run.changes.filter(outcome__in=bad).count()
    return number


def stored_reason_of(run: SyncRun) -> str:
    """Why the run has not simply succeeded, in English, as `error` and `refusal` are."""
    with override('en'):
        return reason_of(run, run.changes.all())


def payload(run: SyncRun) -> dict[str, Any]:
    """
    The data for webhooks and conditions. It has the name of the endpoint, not its settings.

    `id` and `display` are those of the endpoint, because notifications need them.
    """
    return {
        'id': run.endpoint_id,
        'display': str(run.endpoint),
        'name': run.endpoint.name,
        'url': reverse('plugins:netbox_proxsync:proxmoxendpoint', args=[run.endpoint_id]),
        'cluster': str(run.endpoint.cluster) if run.endpoint.cluster else None,
        'run': {
            'id': run.pk,
            'url': run.get_absolute_url(),
            'mode': run.mode,
            'status': run.status,
            'branch': run.branch or None,
            'branch_id': run.branch_id or None,
            'user': run.user.get_username() if run.user else None,
            'started': run.started and run.started.isoformat(),
            'completed': run.completed and run.completed.isoformat(),
            'duration': run.duration and run.duration.total_seconds(),
            'vmids': run.vmids,
            'guests': run.guests,
            'calls': run.calls,
            'counts': run.counts,
            'conflicts': run.conflicts,
            'candidates': run.candidates,
            'not_written': not_written(run),
            'error': run.error,
            'refusal': run.refusal,
            'reason': stored_reason_of(run),
            'request_id': str(run.request_id),
        },
    }
