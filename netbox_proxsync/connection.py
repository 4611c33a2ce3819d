"""An endpoint's settings as a connection to Proxmox VE."""

from netbox.plugins import get_plugin_config
from utilities.proxy import resolve_proxies

from .crypto import SecretError
from .models import ProxmoxEndpoint
from .proxmox.check import ConnectionReport, check
from .proxmox.client import Connection

__all__ = ('connection_of', 'test')


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


def test(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """Try an endpoint (which need not be saved) without reading its guests."""
    try:
        connection = connection_of(endpoint)
    except SecretError as error:
        return ConnectionReport(ok=False, error=str(error))
    return check(connection, endpoint.memory)
