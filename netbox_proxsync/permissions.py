"""Who may apply a stored plan."""

from django.contrib.auth.models import AbstractBaseUser

from .models import SyncRun

__all__ = ('may_apply',)


def may_apply(user: AbstractBaseUser, run: SyncRun) -> bool:
    """
    Whether a person may apply the plan of a run: whoever may sync the endpoint; if the plan was refused, whoever may
    let refused runs through.
    """
    action = 'accept' if run.refusal else 'sync'
    return user.has_perm(f'netbox_proxsync.{action}_proxmoxendpoint', run.endpoint)
