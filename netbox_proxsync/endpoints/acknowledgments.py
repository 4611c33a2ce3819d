"""
Faults of Proxmox VE's own configuration that users have acknowledged: they are no longer warnings until they change.

A fault is identified by its subject and its message. An acknowledgment is kept with its user and time, on the endpoint.
All of it raises InBranch, and does nothing, while a branch is active: decisions are main's.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser

__all__ = ('NotAFault', 'acknowledge', 'drop_corrected', 'withdraw')


type Entries = list[Mapping[str, Any]]


class NotAFault(ValueError):
    """What was to be acknowledged is not a fault that a run of the endpoint has reported."""


def acknowledge(endpoint: ProxmoxEndpoint, subject: str, message: str, user: AnyUser) -> None:
    """
    Raises:
        NotAFault: No run of the endpoint has reported it.
    """
    refuse_in_branch()
    reported = [{'subject': subject, 'message': message, 'fault': True}]
    if not SyncRun.objects.filter(endpoint=endpoint, messages__contains=reported).exists():
        raise NotAFault(_('No run of this endpoint has reported this fault.'))
    entry = {
        'subject': subject,
        'message': message,
        'user': user.get_username(),
        'time': timezone.now().isoformat(),
    }
    change(endpoint, lambda entries: [*without(entries, subject, message), entry])


def withdraw(endpoint: ProxmoxEndpoint, subject: str, message: str) -> None:
    """Let a fault be a warning again."""
    refuse_in_branch()
    change(endpoint, lambda entries: without(entries, subject, message))


def drop_corrected(endpoint: ProxmoxEndpoint, faults: Collection[tuple[str, str]], read: Collection[str]) -> None:
    """
    Forget the acknowledgments of faults that are no longer there, so that they are warnings if they come back.

    Args:
        faults: (subject, message) of those that are there.
        read: The subjects that could be read.
    """
    corrected = [
        entry
        for entry in endpoint.acknowledged_faults
        if entry['subject'] in read and (entry['subject'], entry['message']) not in faults
    ]
    if corrected:
        change(endpoint, lambda entries: [entry for entry in entries if entry not in corrected])


def without(entries: Iterable[Mapping[str, Any]], subject: str, message: str) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if (entry['subject'], entry['message']) != (subject, message)]


def change(endpoint: ProxmoxEndpoint, edit: Callable[[Entries], Entries]) -> None:
    """Change the acknowledgments of an endpoint."""
    with transaction.atomic():
        locked = ProxmoxEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        endpoint.acknowledged_faults = edit(locked.acknowledged_faults)
        # As what runs write: no matter for the change log.
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(acknowledged_faults=endpoint.acknowledged_faults)
