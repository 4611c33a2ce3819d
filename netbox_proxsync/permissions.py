"""Who may apply a stored plan."""

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404

from .models import SyncRun

__all__ = ('may_apply', 'run_to_cancel')


def may_apply(user: AbstractBaseUser, run: SyncRun) -> bool:
    """
    Whether a person may apply the plan of a run: whoever may sync the endpoint; if the plan was refused, whoever may
    let refused runs through.
    """
    action = 'accept' if run.refusal else 'sync'
    return user.has_perm(f'netbox_proxsync.{action}_proxmoxendpoint', run.endpoint)


def run_to_cancel(user: AbstractBaseUser, pk: int, denied: str = '') -> SyncRun:
    """
    A run that a person may cancel: whoever may sync its endpoint.

    Args:
        denied: What to say to who may only view it.

    Raises:
        Http404: There is none, as far as the person may know.
        PermissionDenied
    """
    run = get_object_or_404(SyncRun.objects.select_related('endpoint'), pk=pk)
    if user.has_perm('netbox_proxsync.sync_proxmoxendpoint', run.endpoint):
        return run
    if user.has_perm('netbox_proxsync.view_syncrun', run):
        raise PermissionDenied(denied)
    raise Http404
