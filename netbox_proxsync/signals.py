"""What follows when an endpoint is saved."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils.translation import gettext as _

from .cancelling import withdraw
from .models import ProxmoxEndpoint

__all__ = ('withdraw_queued_runs',)


@receiver(post_save, sender=ProxmoxEndpoint)
def withdraw_queued_runs(instance: ProxmoxEndpoint, raw: bool = False, **kwargs: Any):
    if not instance.enabled and not raw:
        withdraw(instance, _('The endpoint was disabled.'))
