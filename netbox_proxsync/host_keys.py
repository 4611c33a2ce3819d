"""The SSH host keys of an endpoint's nodes: as the nodes show them, and as a person confirms them."""

from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from .branching import refuse_in_branch
from .connection import connection_of
from .models import ProxmoxEndpoint
from .proxmox.ssh_errors import InvalidSSHSettings
from .proxmox.ssh_host_keys import NodeKey, see_host_keys
from .proxmox.ssh_keys import with_confirmed
from .proxmox.ssh_settings import TIMEOUT

__all__ = ('confirm', 'seen')


def seen(endpoint: ProxmoxEndpoint) -> list[NodeKey]:
    """
    What each node shows now.

    Raises:
        ProxmoxError: Proxmox does not tell its nodes.
        SecretError: The token's secret cannot be decrypted.
    """
    timeout = min(endpoint.timeout, TIMEOUT)
    return see_host_keys(connection_of(endpoint), endpoint.ssh_port, endpoint.ssh_host_keys.splitlines(), timeout)


def confirm(endpoint: ProxmoxEndpoint, lines: Sequence[str]) -> ProxmoxEndpoint:
    """
    Pin keys: exactly these, as they were shown, whatever the hosts show by now. Each replaces what was pinned for its
    host.

    Raises:
        InBranch: A branch is active; nothing was done.
        ValidationError: A line is not 'host key-type key'.
    """
    refuse_in_branch()
    with transaction.atomic():
        endpoint = ProxmoxEndpoint.objects.select_for_update(of=('self',)).get(pk=endpoint.pk)
        try:
            host_keys = with_confirmed(endpoint.ssh_host_keys, lines)
        except InvalidSSHSettings as error:
            raise ValidationError(str(error)) from None
        if host_keys != endpoint.ssh_host_keys:
            endpoint.snapshot()
            endpoint.ssh_host_keys = host_keys
            endpoint.save()
    return endpoint
