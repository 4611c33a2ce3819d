"""
What people decide about guests and bound objects: to ignore them, to stop managing them, and to take that back.

All of it raises InBranch, and does nothing, while a branch is active: decisions are main's, and are not in the change
log by which a branch is merged.
"""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from .branching import refuse_in_branch
from .choices import RunModeChoices, RunStatusChoices
from .models import Binding, FormerBinding, ProxmoxEndpoint, ProxmoxGuest, SyncRun
from .models.deletion import delete_unread
from .sync.guest_states import IGNORED, REOPENED, GuestState

__all__ = ('SyncGoingOn', 'ignore', 'manage_again', 'stop_ignoring', 'stop_managing', 'stop_managing_object')


class SyncGoingOn(Exception):
    """A sync of the endpoint is under way, which would write again what is being let go of."""

    def __init__(self, endpoint: ProxmoxEndpoint) -> None:
        super().__init__(_('A sync of {endpoint} is going on. Try again when it has ended.').format(endpoint=endpoint))


def ignore(guests: Collection[ProxmoxGuest]) -> int:
    """
    Leave guests alone from now on: they are not synced, and what NetBox has of them stays as it is.

    Returns:
        How many were not ignored before.
    """
    return decide(guests, ignored=True, standing=IGNORED)


def stop_ignoring(guests: Collection[ProxmoxGuest]) -> int:
    """
    Let the next run sync guests again. What NetBox has of them is adopted.

    Returns:
        How many were ignored.
    """
    return decide(guests, ignored=False, standing=REOPENED)


def stop_managing(guests: Collection[ProxmoxGuest]) -> int:
    """
    Give the virtual machines of guests, with all their parts, to the people: nothing of them is bound any more, and the
    guests are ignored, so that no run adopts them again.

    Returns:
        How many guests were let go of.

    Raises:
        SyncGoingOn: Nothing was done.
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
            # What was taken over by itself stays a person's, should the guest be synced again.
            managed = Q(endpoint_id=endpoint_id, unit__in=keys, unmanaged=False)
            forget_kept(Binding.objects.filter(managed))
            delete_unread(Binding, managed, Binding.objects.db)
    return len(guests)


def forget_kept(bindings: QuerySet[Binding]) -> None:
    """What deleted endpoints have created of these objects is the users' from now on."""
    for object_type in bindings.order_by().values_list('object_type', flat=True).distinct():
        objects = bindings.filter(object_type=object_type).order_by().values_list('object_id', flat=True)
        FormerBinding.objects.filter(object_type=object_type, object_id__in=list(objects)).delete()


def stop_managing_object(binding: Binding) -> None:
    """
    Give one object to the people: no run changes, deletes or makes it again. Its binding stays, to remember that.

    Raises:
        SyncGoingOn: Nothing was done.
    """
    refuse_in_branch()
    refuse_during_sync(binding.endpoint)
    Binding.objects.filter(pk=binding.pk).update(unmanaged=True)


def manage_again(binding: Binding) -> None:
    """Let the next run keep the object again: facts that were edited meanwhile are set back."""
    refuse_in_branch()
    Binding.objects.filter(pk=binding.pk).update(unmanaged=False)


def decide(guests: Collection[ProxmoxGuest], ignored: bool, standing: GuestState) -> int:
    refuse_in_branch()
    rows = ProxmoxGuest.objects.filter(pk__in=[guest.pk for guest in guests]).exclude(ignored=ignored)
    return rows.update(ignored=ignored, state=str(standing.state), reason=standing.reason)


def refuse_during_sync(endpoint: ProxmoxEndpoint) -> None:
    """A sync that has begun binds again what it has planned to write. A queued one has planned nothing yet."""
    syncs = SyncRun.objects.filter(endpoint=endpoint, branch_id='').exclude(mode=RunModeChoices.PREVIEW)
    if syncs.filter(status__in=RunStatusChoices.WORKING).exists():
        raise SyncGoingOn(endpoint)
