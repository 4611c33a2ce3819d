"""An endpoint's settings as a connection to Proxmox VE."""

from utilities.proxy import resolve_proxies

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
        concurrency=endpoint.concurrency,
        proxies=resolve_proxies(url=f'https://{hosts[0]}', context={'client': endpoint}) or {},
    )


def test(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """Try an endpoint (which need not be saved) without reading its guests."""
    return check(connection_of(endpoint))
