"""
NetBox's notifications of the end of a run: for the user who has started it; if no user has (the schedule, the command)
and it was not successful, for the users who have subscribed to its endpoint.
"""

from collections.abc import Iterable

from core.events import JOB_COMPLETED, JOB_ERRORED, JOB_FAILED
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from extras.models import Notification, Subscription

from ..choices import RunModeChoices, RunStatusChoices
from ..models import SyncRun
from ..models.users import AnyUser

__all__ = ('notify',)

EVENTS = {
    RunStatusChoices.COMPLETED: JOB_COMPLETED,
    RunStatusChoices.ERRORS: JOB_FAILED,
    RunStatusChoices.REFUSED: JOB_FAILED,
    RunStatusChoices.CANCELED: JOB_FAILED,
    RunStatusChoices.FAILED: JOB_ERRORED,
}
UNSUCCESSFUL = (RunStatusChoices.ERRORS, RunStatusChoices.REFUSED, RunStatusChoices.FAILED)


def notify(run: SyncRun) -> None:
    """Notify users of the end of a run. NetBox's own notification, for the job, would not name the run."""
    for user in recipients(run):
        if shown := page_for(user, run):
            # NetBox stores one for each user and object: the latest of an endpoint.
            of_object = {'object_type': ContentType.objects.get_for_model(shown), 'object_id': shown.pk}
            Notification.objects.filter(user=user, **of_object).delete()
            Notification.objects.create(user=user, event_type=EVENTS[run.status], **of_object)


def recipients(run: SyncRun) -> Iterable[AnyUser]:
    if run.user is not None:
        return [run.user]
    if run.status not in UNSUCCESSFUL or repeats_failure(run):
        return []
    endpoint = ContentType.objects.get_for_model(run.endpoint)
    subscriptions = Subscription.objects.filter(object_type=endpoint, object_id=run.endpoint_id, user__is_active=True)
    return [subscription.user for subscription in subscriptions.select_related('user').order_by('pk')]


def repeats_failure(run: SyncRun) -> bool:
    """Whether the previous quick run has ended in the same way: they may be as frequent as one per minute."""
    if run.mode != RunModeChoices.QUICK:
        return False
    previous = run.endpoint.runs.filter(mode=RunModeChoices.QUICK, pk__lt=run.pk).order_by('-pk').first()
    return previous is not None and previous.status == run.status


def page_for(user: AnyUser, run: SyncRun) -> Model | None:
    """The object to which the notification links; None: the user may view neither the run nor its endpoint."""
    if user.has_perm('netbox_proxsync.view_syncrun', run):
        return run
    return run.endpoint if user.has_perm('netbox_proxsync.view_proxmoxendpoint', run.endpoint) else None
