"""The SSH host keys of the nodes of an endpoint: as the nodes offer them, and as users confirm them."""

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
from ..wording import worded
from .connection import connection_of, secrets_hidden

__all__ = ('confirm', 'offered_keys')

# Seconds for which offered keys can be confirmed.
CONFIRM_WITHIN = 3600


def offered_keys(endpoint: ProxmoxEndpoint) -> list[NodeKey]:
    """
    The key that each node offers now. These keys can be confirmed for an hour.

    Raises:
        ProxmoxError: The list of nodes could not be read.
        SecretError: The token's secret cannot be decrypted.
    """
    timeout = min(endpoint.timeout, TIMEOUT)
    with secrets_hidden(endpoint):
        keys = fetch_host_keys(connection_of(endpoint), endpoint.ssh_port, endpoint.ssh_host_keys.splitlines(), timeout)
    cache.set(offered_keys_cache_key(endpoint), [key.line for key in keys if key.line], CONFIRM_WITHIN)
    return keys


def offered_keys_cache_key(endpoint: ProxmoxEndpoint) -> str:
    """The key in the cache for the keys that nodes have offered, for the present settings of the endpoint."""
    settings = (
        endpoint.pk, endpoint.hosts, endpoint.tls_mode, endpoint.ca_certificate, endpoint.fingerprint, endpoint.ssh_port
    )  # fmt: skip
    return f'netbox_proxsync-shown-keys-{sha256(repr(settings).encode()).hexdigest()}'


def confirm(endpoint: ProxmoxEndpoint, lines: Sequence[str]) -> ProxmoxEndpoint:
    """
    Pin keys exactly as they were offered, even if the hosts offer other keys now. Each replaces the pinned keys of
    its host.

    The stored SSH secrets remain, so only keys are accepted that nodes of this endpoint have offered to NetBox. Other
    keys can be entered in the form of the endpoint, together with the SSH secrets.

    Raises:
        InBranchError: A branch is active; nothing was done.
        ValidationError: A line is not 'host key-type key', or no node has offered it.
    """
    refuse_in_branch()
    with transaction.atomic():
        endpoint = ProxmoxEndpoint.objects.select_for_update(of=('self',)).get(pk=endpoint.pk)
        try:
            host_keys = with_confirmed(endpoint.ssh_host_keys, lines)
        except InvalidSSHSettingsError as error:
            raise ValidationError(worded(error)) from None
        offered = cache.get(offered_keys_cache_key(endpoint), ())
        if any(line not in offered for line in lines):
            raise ValidationError(
                _(
                    'The nodes did not present all of these keys within the last hour. Open the page "SSH Host '
                    'Keys" again.'
                )
            )
        if host_keys != endpoint.ssh_host_keys:
            endpoint.snapshot()
            endpoint.ssh_host_keys = host_keys
            endpoint.save(keep_secrets=True)
    return endpoint
