"""
Where the stored secrets of an endpoint are sent.

A stored secret goes only where it went when somebody entered it. Otherwise, who may change an endpoint could point it
at a host of their own and receive its secrets. So a change of what decides where a secret goes, or how the host there
proves who it is, takes the secret again.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ..fields import column
from ..proxmox.errors import InvalidConnectionError
from ..proxmox.hosts import Host

if TYPE_CHECKING:
    from . import ProxmoxEndpoint

__all__ = ('DESTINATION_FIELDS', 'SECRET_FIELDS', 'SSH_SECRETS', 'changed_destinations', 'check_destinations')

API_SECRETS = ('token_secret',)
SSH_SECRETS = ('ssh_password', 'ssh_private_key', 'ssh_passphrase')
SECRET_FIELDS = (*API_SECRETS, *SSH_SECRETS)

# Fields that determine where secrets are sent. The hosts report the addresses of the nodes to which SSH connects.
API_DESTINATION = ('hosts', 'tls_mode', 'ca_certificate', 'fingerprint')
SSH_DESTINATION = ('hosts', 'ssh_user', 'ssh_port', 'ssh_host_keys')
DESTINATION_FIELDS = tuple(dict.fromkeys((*API_DESTINATION, *SSH_DESTINATION)))


def check_destinations(
    endpoint: 'ProxmoxEndpoint', stored: 'ProxmoxEndpoint', written: Collection[str] | None = None
) -> dict[str, ValidationError]:
    """
    Which secrets have to be entered again before an endpoint may be saved, by their fields.

    Args:
        stored: The same endpoint as the database holds it.
        written: The fields that are going to be written; None: all of them.
    """
    changed = changed_destinations(endpoint, stored)
    if written is not None:
        # A fingerprint belongs to a host by its place, so writing the hosts changes what is pinned for each.
        written = {*written, *(['fingerprint'] if 'hosts' in written else ())}
        changed &= written
    sides: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(API_SECRETS, API_DESTINATION)]
    if endpoint.ssh_user:  # otherwise SSH is not used; and to use it again is a change of its user
        sides.append((SSH_SECRETS, SSH_DESTINATION))
    errors = {}
    for secrets, destination in sides:
        names = [name for name in destination if name in changed]
        for secret in secrets if names else ():
            given = getattr(endpoint, secret).entered and (written is None or secret in written)
            if getattr(stored, secret) and not given:
                errors[secret] = enter_again(endpoint, secret, names)
    return errors


def enter_again(endpoint: 'ProxmoxEndpoint', secret: str, changed: Collection[str]) -> ValidationError:
    def label(name: str) -> str:
        return str(column(type(endpoint), name).verbose_name)

    text = (
        _('Enter the {secret} again, because this changes: {changed}. NetBox sends a stored secret only where it was '
          'meant to go when it was entered.')
        if secret in API_SECRETS
        else _('Enter the {secret} again or remove it, because this changes: {changed}. NetBox sends a stored secret '
               'only where it was meant to go when it was entered.')
    )  # fmt: skip
    return ValidationError(
        text.format(secret=label(secret), changed=', '.join(map(label, changed))), code='secret_needed'
    )


def changed_destinations(endpoint: 'ProxmoxEndpoint', stored: 'ProxmoxEndpoint') -> set[str]:
    """What has changed of `DESTINATION_FIELDS`. To trust fewer hosts or keys than before is no change."""
    single = ('tls_mode', 'ssh_user', 'ssh_port')
    changed = {name for name in single if getattr(endpoint, name) != getattr(stored, name)}
    if endpoint.ca_certificate.strip() != stored.ca_certificate.strip():
        changed.add('ca_certificate')
    if not lines(endpoint.ssh_host_keys) <= lines(stored.ssh_host_keys):
        changed.add('ssh_host_keys')
    proved, proved_before = proved_hosts(endpoint), proved_hosts(stored)
    hosts_before = {host for host, _pin in proved_before}
    if {host for host, _pin in proved} - hosts_before:
        changed.add('hosts')
    if {(host, pin) for host, pin in proved if host in hosts_before} - proved_before:
        changed.add('fingerprint')
    return changed


def lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip()}


def proved_hosts(endpoint: 'ProxmoxEndpoint') -> set[tuple[str, str]]:
    """The hosts with the fingerprint that is pinned for each."""
    hosts = [normal_host(host) for host in endpoint.hosts or ()]
    pins = [pin.strip() for pin in endpoint.fingerprint.split(',')]
    if len(pins) != len(hosts):
        # One for all of them; other numbers are refused.
        pins = [endpoint.fingerprint.strip()] * len(hosts)
    return set(zip(hosts, pins, strict=True))


def normal_host(text: str) -> str:
    try:
        return str(Host.parse(text)).lower()
    except InvalidConnectionError:
        return text
