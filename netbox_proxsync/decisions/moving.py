"""Decisions to move an IP address to another interface."""

from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.utils.translation import gettext as _
from ipam.models import IPAddress

from ..models import Binding, ProxmoxEndpoint
from ..models.users import AnyUser
from .permitted import may, not_permitted
from .questions import DecisionError

__all__ = ('holder_of',)


def holder_of(endpoint: ProxmoxEndpoint, key: str, instance: Any, user: AnyUser) -> Model | None:
    """
    The interface from which an IP address is moved; None if it is not assigned.

    Raises:
        DecisionError: The address must not be moved.
    """
    host = key.rpartition('/')[2]
    if instance is None:
        found = list(IPAddress.objects.filter(address__net_host=host, assigned_object_id__isnull=False)[:2])
        if len(found) > 1:
            raise DecisionError(
                _('NetBox has several assigned records of {host}. Name the one to move.').format(host=host)
            )
        instance = next(iter(found), None)
    if instance is None:
        return None
    if not isinstance(instance, IPAddress) or str(instance.address.ip) != host:
        raise DecisionError(_('The object must be a record of the IP address {host}.').format(host=host))
    holder: Any = instance.assigned_object
    if not may(user, instance, 'view', 'change') or (holder is not None and not may(user, holder, 'view')):
        raise DecisionError(not_permitted(instance))
    bound = Binding.objects.filter(
        object_type=ContentType.objects.get_for_model(IPAddress), object_id=instance.pk
    ).first()
    if bound and (bound.endpoint_id != endpoint.pk or bound.unmanaged):
        if bound.unmanaged:
            raise DecisionError(_('{host} is unmanaged. Manage it again, or move it in NetBox.').format(host=host))
        raise DecisionError(_('{host} is managed by another endpoint. Stop managing it there first.').format(host=host))
    return holder  # type: ignore[no-any-return]
