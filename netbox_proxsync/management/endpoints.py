"""Lookup of endpoints for arguments on the command line."""

from typing import cast

from django.core.management.base import CommandError

from netbox_proxsync.models import ProxmoxEndpoint

__all__ = ('find_endpoint',)


def find_endpoint(name: str) -> ProxmoxEndpoint:
    """
    The endpoint with a name, or else with an ID.

    Raises:
        CommandError: There is no such endpoint. The message lists the names of all endpoints.
    """
    found = ProxmoxEndpoint.objects.filter(name=name).first()
    if found is None and name.isdecimal():
        found = ProxmoxEndpoint.objects.filter(pk=name).first()
    if found is None:
        known = ', '.join(f'"{known}"' for known in ProxmoxEndpoint.objects.values_list('name', flat=True))
        raise CommandError(f'There is no endpoint "{name}". There are: {known or "none"}.', returncode=1)
    return cast(ProxmoxEndpoint, found)
