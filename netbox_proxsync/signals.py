"""Receivers of signals: after an endpoint is saved, and before it is deleted."""

from typing import Any

from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from .models import ProxmoxEndpoint
from .models.former_endpoints import _store_bindings
from .proxmox.messages import Message
from .runs.cancellation import withdraw

__all__ = ('keep_bindings', 'withdraw_queued_runs')


@receiver(post_save, sender=ProxmoxEndpoint)
def withdraw_queued_runs(instance: ProxmoxEndpoint, raw: bool = False, **kwargs: Any) -> None:
    """Cancel the queued runs of an endpoint that is disabled."""
    if not instance.enabled and not raw:
        withdraw(instance, Message('The endpoint was disabled.'))


@receiver(pre_delete, sender=ProxmoxEndpoint)
def keep_bindings(instance: ProxmoxEndpoint, using: str, **kwargs: Any) -> None:
    """Querysets delete endpoints without calling their `delete()`."""
    _store_bindings(instance, using)
