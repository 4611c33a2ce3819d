"""Decisions about guests and bound objects: to ignore them, to stop managing them, and to revoke that."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..choices import RunModeChoices, RunStatusChoices
from ..models import Binding, FormerBinding, ProxmoxEndpoint, ProxmoxGuest, SyncRun
from ..models.deletion import delete_unread
from ..sync.guest_states import IGNORED, REOPENED, GuestState
from ..wording import columns_of

__all__ = (
    'SyncInProgressError',
    'ignore',
    'manage_again',
    'stop_ignoring',
    'stop_managing',
    'stop_managing_object',
    'stop_managing_objects',
)


class SyncInProgressError(Exception):
    """A sync of the endpoint is running, which might write the objects again."""

    def __init__(self, endpoint: ProxmoxEndpoint) -> None:
        super().__init__(
            _('A sync of {endpoint} is in progress. Try again when it has ended.').format(endpoint=endpoint)
        )


def ignore(guests: Collection[ProxmoxGuest]) -> int:
    """
    Ignore guests from now on: they are not synced, and their objects in NetBox are not changed.

    Returns:
        The number of guests that were not ignored before.
    """
    return set_guests_ignored(guests, ignored=True, standing=IGNORED)


def stop_ignoring(guests: Collection[ProxmoxGuest]) -> int:
    """
    Sync guests again from the next run on. Their objects in NetBox are adopted.

    Returns:
        The number of guests that were ignored.
    """
    return set_guests_ignored(guests, ignored=False, standing=REOPENED)


def stop_managing(guests: Collection[ProxmoxGuest]) -> int:
    """
    Stop managing the virtual machines of guests and all their parts: their bindings are deleted, and the guests are
    ignored, so that no run adopts the objects again.

    Returns:
        The number of guests.

    Raises:
        SyncInProgressError: Nothing was done.
    """
    refuse_in_branch()
    with transaction.atomic():
        units: dict[int, list[str]] = {}
        for guest in guests:
            units.setdefault(guest.endpoint_id, []).append(guest.key)
        for endpoint in ProxmoxEndpoint.objects.filter(pk__in=units):
            refuse_during_sync(endpoint)
        ignore(guests)
        for endpoint_id, keys in units.items():
            # Parts that were unmanaged one by one remain so if the guest is synced again.
            managed = Q(endpoint_id=endpoint_id, unit__in=keys, unmanaged=False)
            forget_kept(Binding.objects.filter(managed))
            delete_unread(Binding, managed, Binding.objects.db)
    return len(guests)


def forget_kept(bindings: QuerySet[Binding]) -> None:
    """Forget that a sync for a deleted endpoint has created these objects, so that they belong to users."""
    for object_type in bindings.order_by().values_list('object_type', flat=True).distinct():
        objects = bindings.filter(object_type=object_type).order_by().values_list('object_id', flat=True)
        FormerBinding.objects.filter(object_type=object_type, object_id__in=list(objects)).delete()


def stop_managing_object(binding: Binding) -> None:
    """
    Stop managing one object: no run changes, deletes or recreates it. Its binding remains and records that.

    Raises:
        SyncInProgressError: Nothing was done.
    """
    stop_managing_objects([binding])


def stop_managing_objects(bindings: Collection[Binding]) -> None:
    """
    Stop managing several objects.

    Raises:
        SyncInProgressError: Nothing was done.
    """
    refuse_in_branch()
    for endpoint in {binding.endpoint for binding in bindings}:
        refuse_during_sync(endpoint)
    Binding.objects.filter(pk__in=[binding.pk for binding in bindings]).update(unmanaged=True)


def manage_again(binding: Binding) -> None:
    """Manage an object again from the next run on: facts that were edited meanwhile are reset."""
    refuse_in_branch()
    Binding.objects.filter(pk=binding.pk).update(unmanaged=False)


def set_guests_ignored(guests: Collection[ProxmoxGuest], ignored: bool, standing: GuestState) -> int:
    refuse_in_branch()
    rows = ProxmoxGuest.objects.filter(pk__in=[guest.pk for guest in guests]).exclude(ignored=ignored)
    return rows.update(ignored=ignored, state=str(standing.state), **columns_of(reason=standing.reason))


def refuse_during_sync(endpoint: ProxmoxEndpoint) -> None:
    """
    Raises:
        SyncInProgressError: A sync is running, which binds again what it has planned to write. A queued sync has no
            plan yet.
    """
    syncs = SyncRun.objects.filter(endpoint=endpoint, branch_id='').exclude(mode__in=RunModeChoices.PLANNING)
    if syncs.filter(status__in=RunStatusChoices.WORKING).exists():
        raise SyncInProgressError(endpoint)
