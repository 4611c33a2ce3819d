"""The person whose request is being answered."""

from django.contrib.auth.models import AbstractBaseUser
from netbox.context import current_request

from ..ledger.tracking import SERVICE_USER

__all__ = ('current_user',)


def current_user() -> AbstractBaseUser | None:
    """None: no person made a request, as in a management command, in `nbshell` or in a run by the schedule."""
    user = getattr(current_request.get(), 'user', None)
    by_itself = user is not None and user.username == SERVICE_USER and not user.is_active
    return None if by_itself else user
