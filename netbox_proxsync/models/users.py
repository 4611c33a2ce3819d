"""The user who acts: the user of a request, or the service user."""

from typing import cast

from django.contrib.auth.models import AnonymousUser
from netbox.context import current_request
from users.models import User

__all__ = ('SERVICE_USER', 'AnyUser', 'current_user', 'service_user')

# The user of a request: anonymous if NetBox can be viewed without a login.
type AnyUser = User | AnonymousUser

# Runs that no user started act as this user.
SERVICE_USER = 'proxsync'


def service_user() -> User:
    """The user of runs that no user started. It cannot log in."""
    user, created = User.objects.get_or_create(username=SERVICE_USER, defaults={'is_active': False})
    if created:
        user.set_unusable_password()
        user.save()
    return cast(User, user)


def current_user() -> AnyUser | None:
    """The user of the current request; None in management commands, in `nbshell` and in scheduled runs."""
    user = getattr(current_request.get(), 'user', None)
    by_itself = user is not None and user.username == SERVICE_USER and not user.is_active
    return None if by_itself else user
