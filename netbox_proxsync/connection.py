"""An endpoint's settings as a connection to Proxmox VE."""

from netbox.plugins import get_plugin_config
from utilities.proxy import resolve_proxies

from .crypto import SecretError
from .models import ProxmoxEndpoint
from .proxmox.check import ConnectionReport, check
from .proxmox.client import Connection
from .proxmox.readings import Reading, Unknown
from .proxmox.ssh_errors import InvalidSSHSettings
from .proxmox.ssh_settings import TIMEOUT, SSHSettings

__all__ = ('connection_of', 'ssh_settings_of', 'test')


def connection_of(endpoint: ProxmoxEndpoint) -> Connection:
    """
    How to reach an endpoint.

    Raises:
        SecretError: The token's secret cannot be decrypted.
    """
    hosts = tuple(endpoint.hosts)
    return Connection(
        hosts=hosts,
        token_id=endpoint.token_id,
        token_secret=endpoint.token_secret.reveal(),
        tls_mode=endpoint.tls_mode,
        ca_certificate=endpoint.ca_certificate,
        fingerprint=endpoint.fingerprint,
        timeout=endpoint.timeout,
        run_timeout=get_plugin_config('netbox_proxsync', 'job_timeout'),
        concurrency=endpoint.concurrency,
        proxies=resolve_proxies(url=f'https://{hosts[0]}', context={'client': endpoint}) or {},
    )


def ssh_settings_of(endpoint: ProxmoxEndpoint) -> Reading[SSHSettings | None]:
    """How to ask the nodes over SSH; None if that is not wanted. Never a reason to give up a whole run."""
    if not endpoint.ssh_user:
        return None
    try:
        return SSHSettings(
            user=endpoint.ssh_user,
            port=endpoint.ssh_port,
            password=endpoint.ssh_password.reveal() or None,
            private_key=endpoint.ssh_private_key.reveal() or None,
            passphrase=endpoint.ssh_passphrase.reveal() or None,
            host_keys=tuple(endpoint.ssh_host_keys.splitlines()),
            timeout=min(endpoint.timeout, TIMEOUT),
        )
    except (SecretError, InvalidSSHSettings) as error:
        return Unknown(str(error))


def test(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """Try an endpoint (which need not be saved) without reading its guests."""
    try:
        connection = connection_of(endpoint)
    except SecretError as error:
        return ConnectionReport(ok=False, error=str(error))
    return check(connection, ssh_settings_of(endpoint))
