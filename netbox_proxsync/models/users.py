"""Who acts: the person of a request, or the service user."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from netbox.context import current_request

__all__ = ('SERVICE_USER', 'current_user', 'service_user')

# Runs that no person started act as this user.
SERVICE_USER = 'proxsync'


def service_user() -> AbstractBaseUser:
    """The user of runs that no person started. It cannot log in."""
    model = get_user_model()
    user, created = model.objects.get_or_create(username=SERVICE_USER, defaults={'is_active': False})
    if created:
        user.set_unusable_password()
        user.save()
    return user


def current_user() -> AbstractBaseUser | None:
    """None: no person made a request, as in a management command, in `nbshell` or in a run by the schedule."""
    user = getattr(current_request.get(), 'user', None)
    by_itself = user is not None and user.username == SERVICE_USER and not user.is_active
    return None if by_itself else user
