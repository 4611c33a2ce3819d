"""
The destinations of the stored secrets of an endpoint.

A stored secret is sent only to the destination for which it was entered. Otherwise, a user who may change an endpoint
could enter a host of their own and receive its secrets. Changes of the destination, or of how the host there is
verified, therefore require that the secret is entered again.
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
    The secrets that must be entered again before an endpoint can be saved, as errors by field.

    Args:
        stored: The same endpoint as stored in the database.
        written: The fields that will be written; None: all fields.
    """
    changed = changed_destinations(endpoint, stored)
    if written is not None:
        # Fingerprints belong to hosts by position, so a change of the hosts changes what is pinned for each of them.
        written = {*written, *(['fingerprint'] if 'hosts' in written else ())}
        changed &= written
    sides: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(API_SECRETS, API_DESTINATION)]
    if endpoint.ssh_user:  # without a user, SSH is not used, and a new user is a change
        sides.append((SSH_SECRETS, SSH_DESTINATION))
    errors = {}
    for secrets, destination in sides:
        names = [name for name in destination if name in changed]
        for secret in secrets if names else ():
            given = getattr(endpoint, secret).entered and (written is None or secret in written)
            if getattr(stored, secret) and not given:
                errors[secret] = secret_needed_error(endpoint, secret, names)
    return errors


def secret_needed_error(endpoint: 'ProxmoxEndpoint', secret: str, changed: Collection[str]) -> ValidationError:
    def label(name: str) -> str:
        return str(column(type(endpoint), name).verbose_name)

    text = (
        _('Enter the {secret} again, because this changes: {changed}. NetBox sends a stored secret only to the '
          'destination for which it was entered.')
        if secret in API_SECRETS
        else _('Enter the {secret} again or remove it, because this changes: {changed}. NetBox sends a stored '
               'secret only to the destination for which it was entered.')
    )  # fmt: skip
    return ValidationError(
        text.format(secret=label(secret), changed=', '.join(map(label, changed))), code='secret_needed'
    )


def changed_destinations(endpoint: 'ProxmoxEndpoint', stored: 'ProxmoxEndpoint') -> set[str]:
    """The names of `DESTINATION_FIELDS` that differ. Fewer trusted hosts or keys than before are no change."""
    single = ('tls_mode', 'ssh_user', 'ssh_port')
    changed = {name for name in single if getattr(endpoint, name) != getattr(stored, name)}
    if endpoint.ca_certificate.strip() != stored.ca_certificate.strip():
        changed.add('ca_certificate')
    if not lines(endpoint.ssh_host_keys) <= lines(stored.ssh_host_keys):
        changed.add('ssh_host_keys')
    verified, verified_before = verified_hosts(endpoint), verified_hosts(stored)
    hosts_before = {host for host, _pin in verified_before}
    if {host for host, _pin in verified} - hosts_before:
        changed.add('hosts')
    if {(host, pin) for host, pin in verified if host in hosts_before} - verified_before:
        changed.add('fingerprint')
    return changed


def lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip()}


def verified_hosts(endpoint: 'ProxmoxEndpoint') -> set[tuple[str, str]]:
    """The hosts, each with its pinned fingerprint."""
    hosts = [normalized_host(host) for host in endpoint.hosts or ()]
    pins = [pin.strip() for pin in endpoint.fingerprint.split(',')]
    if len(pins) != len(hosts):
        # One fingerprint for all hosts; the validation rejects other numbers.
        pins = [endpoint.fingerprint.strip()] * len(hosts)
    return set(zip(hosts, pins, strict=True))


def normalized_host(text: str) -> str:
    try:
        return str(Host.parse(text)).lower()
    except InvalidConnectionError:
        return text
