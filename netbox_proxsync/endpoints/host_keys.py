"""The SSH host keys of an endpoint's nodes: as the nodes show them, and as a person confirms them."""

from collections.abc import Sequence
from hashlib import sha256

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..models import ProxmoxEndpoint
from ..proxmox.ssh.cluster_keys import NodeKey, fetch_host_keys
from ..proxmox.ssh.errors import InvalidSSHSettingsError
from ..proxmox.ssh.keys import with_confirmed
from ..proxmox.ssh.settings import TIMEOUT
from .connection import connection_of, secrets_hidden

__all__ = ('confirm', 'offered_keys')

# Seconds for which the keys that the nodes have shown can be confirmed.
CONFIRM_WITHIN = 3600


def offered_keys(endpoint: ProxmoxEndpoint) -> list[NodeKey]:
    """
    What each node shows now.

    Raises:
        ProxmoxError: Proxmox does not tell its nodes.
        SecretError: The token's secret cannot be decrypted.
    """
    timeout = min(endpoint.timeout, TIMEOUT)
    with secrets_hidden(endpoint):
        keys = fetch_host_keys(connection_of(endpoint), endpoint.ssh_port, endpoint.ssh_host_keys.splitlines(), timeout)
    cache.set(shown_keys_name(endpoint), [key.line for key in keys if key.line], CONFIRM_WITHIN)
    return keys


def shown_keys_name(endpoint: ProxmoxEndpoint) -> str:
    """Under which name the cache holds the keys that the nodes have shown, as the endpoint is set up now."""
    settings = (
        endpoint.pk, endpoint.hosts, endpoint.tls_mode, endpoint.ca_certificate, endpoint.fingerprint, endpoint.ssh_port
    )  # fmt: skip
    return f'netbox_proxsync-shown-keys-{sha256(repr(settings).encode()).hexdigest()}'


def confirm(endpoint: ProxmoxEndpoint, lines: Sequence[str]) -> ProxmoxEndpoint:
    """
    Pin keys: exactly these, as they were shown, whatever the hosts show by now. Each replaces what was pinned for its
    host.

    The stored SSH secrets stay, so only keys are taken that nodes of this endpoint have shown to NetBox itself. Other
    keys can be set with the other settings, together with the SSH secrets.

    Raises:
        InBranch: A branch is active; nothing was done.
        ValidationError: A line is not 'host key-type key', or no node has shown it.
    """
    refuse_in_branch()
    with transaction.atomic():
        endpoint = ProxmoxEndpoint.objects.select_for_update(of=('self',)).get(pk=endpoint.pk)
        try:
            host_keys = with_confirmed(endpoint.ssh_host_keys, lines)
        except InvalidSSHSettingsError as error:
            raise ValidationError(str(error)) from None
        shown = cache.get(shown_keys_name(endpoint), ())
        if any(line not in shown for line in lines):
            raise ValidationError(
                _('Not all of these keys were shown by the nodes within the last hour. Let NetBox show the keys again.')
            )
        if host_keys != endpoint.ssh_host_keys:
            endpoint.snapshot()
            endpoint.ssh_host_keys = host_keys
            endpoint.save(keep_secrets=True)
    return endpoint
