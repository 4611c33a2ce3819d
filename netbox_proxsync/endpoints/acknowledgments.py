"""
Acknowledged faults in the configuration of Proxmox VE: they are not warnings until they change.

A fault is identified by its subject and its message. Acknowledgments are stored on the endpoint, with user and time.
While a branch is active, each function raises InBranchError and does nothing: decisions are made in main.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser

__all__ = ('NotAFaultError', 'acknowledge', 'drop_corrected', 'withdraw')


type Entries = list[Mapping[str, Any]]


class NotAFaultError(ValueError):
    """No run of the endpoint has reported such a fault."""


def acknowledge(endpoint: ProxmoxEndpoint, subject: str, message: str, user: AnyUser) -> None:
    """
    Acknowledge a fault.

    Raises:
        NotAFaultError: No run of the endpoint has reported it.
    """
    refuse_in_branch()
    reported = [{'subject': subject, 'message': message, 'fault': True}]
    if not SyncRun.objects.filter(endpoint=endpoint, messages__contains=reported).exists():
        raise NotAFaultError(_('No run of this endpoint has reported this fault.'))
    entry = {
        'subject': subject,
        'message': message,
        'user': user.get_username(),
        'time': timezone.now().isoformat(),
    }
    change(endpoint, lambda entries: [*without(entries, subject, message), entry])


def withdraw(endpoint: ProxmoxEndpoint, subject: str, message: str) -> None:
    """Revoke the acknowledgment of a fault, so that it is a warning again."""
    refuse_in_branch()
    change(endpoint, lambda entries: without(entries, subject, message))


def drop_corrected(endpoint: ProxmoxEndpoint, faults: Collection[tuple[str, str]], read: Collection[str]) -> None:
    """
    Delete the acknowledgments of faults that were corrected, so that they are warnings if they occur again.

    Args:
        faults: The present faults, as (subject, message).
        read: The subjects that could be read.
    """
    corrected = [
        entry
        for entry in endpoint.acknowledged_faults
        if entry['subject'] in read and (entry['subject'], entry['message']) not in faults
    ]
    if corrected:
        change(endpoint, lambda entries: [entry for entry in entries if entry not in corrected])


def without(entries: Iterable[Mapping[str, Any]], subject: str, message: str) -> Entries:
    """The acknowledgments without that of a fault."""
    return [entry for entry in entries if (entry['subject'], entry['message']) != (subject, message)]


def change(endpoint: ProxmoxEndpoint, edit: Callable[[Entries], Entries]) -> None:
    """Change the acknowledgments of an endpoint."""
    with transaction.atomic():
        locked = ProxmoxEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        endpoint.acknowledged_faults = edit(locked.acknowledged_faults)
        # By update(): acknowledgments are not recorded in the change log.
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(acknowledged_faults=endpoint.acknowledged_faults)
