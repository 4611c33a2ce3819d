"""Whether a user may decide about an object of NetBox."""

from typing import Any

from django.utils.translation import gettext as _
from ipam.models import VRF

from ..models.users import AnyUser
from .questions import DecisionError

__all__ = ('may', 'not_permitted', 'viewed_vrf')


def may(user: AnyUser, instance: Any, *actions: str) -> bool:
    """Whether a user has permissions for an object."""
    found: Any = type(instance)
    return all(found.objects.restrict(user, action).filter(pk=instance.pk).exists() for action in actions)


def not_permitted(instance: Any) -> str:
    """Without the name of the object: the user may not be allowed to view it."""
    name = type(instance)._meta.verbose_name
    return _('You do not have permission to view and change this {type}.').format(type=name)


def viewed_vrf(instance: Any, user: AnyUser) -> VRF:
    """
    The VRF in which an IP address is created.

    Raises:
        DecisionError: It is none, or the user may not view it.
    """
    if not isinstance(instance, VRF) or not may(user, instance, 'view'):
        raise DecisionError(_('Choose a VRF that you have permission to view.'))
    return instance
