"""
NetBox's notifications of the end of a run: for the user who has started it; if no user has (the schedule, the command)
and it was not successful, for the users who have subscribed to its endpoint.
"""

from collections.abc import Iterable

from core.events import JOB_COMPLETED, JOB_ERRORED, JOB_FAILED
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils.text import Truncator
from django.utils.translation import override
from extras.models import Notification, Subscription
from users.models import User

from ..choices import RunModeChoices, RunStatusChoices
from ..models import SyncChange, SyncRun
from ..models.run_reasons import reason_of

__all__ = ('notify',)

EVENTS = {
    RunStatusChoices.COMPLETED: JOB_COMPLETED,
    RunStatusChoices.ERRORS: JOB_FAILED,
    RunStatusChoices.REFUSED: JOB_FAILED,
    RunStatusChoices.CANCELED: JOB_FAILED,
    RunStatusChoices.FAILED: JOB_ERRORED,
}
# extras.Notification.object_repr
REPR_LENGTH = 200
UNSUCCESSFUL = (RunStatusChoices.ERRORS, RunStatusChoices.REFUSED, RunStatusChoices.FAILED)


def notify(run: SyncRun) -> None:
    """Notify users of the end of a run. NetBox's own notification, for the job, would not name the run."""
    for user in recipients(run):
        if shown := page_for(user, run):
            # NetBox stores one for each user and object: the latest of an endpoint.
            of_object = {'object_type': ContentType.objects.get_for_model(shown), 'object_id': shown.pk}
            Notification.objects.filter(user=user, **of_object).delete()
            entry = Notification(
                user=user, event_type=EVENTS[run.status], object_repr=text_for(user, shown, run), **of_object
            )
            # save() would replace the text by that of the object alone.
            Notification.objects.bulk_create([entry])


def text_for(user: User, shown: Model, run: SyncRun) -> str:
    """What NetBox displays of a notification, in the language of the user: why the run has not simply succeeded."""
    with override(user.config.get('locale.language') or settings.LANGUAGE_CODE):
        # Without permission to view runs, a user does not read what they report either.
        changes = SyncChange.objects.restrict(user, 'view').filter(run=run)
        reason = reason_of(run, changes) if shown == run else ''
        text = f'{run.endpoint}: {reason}' if reason else str(shown)
        return Truncator(text).chars(REPR_LENGTH)


def recipients(run: SyncRun) -> Iterable[User]:
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


def page_for(user: User, run: SyncRun) -> Model | None:
    """The object to which the notification links; None: the user may view neither the run nor its endpoint."""
    if user.has_perm('netbox_proxsync.view_syncrun', run):
        return run
    return run.endpoint if user.has_perm('netbox_proxsync.view_proxmoxendpoint', run.endpoint) else None
