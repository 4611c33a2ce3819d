"""An endpoint's settings as a connection to Proxmox VE."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.utils.translation import gettext as _
from netbox.plugins import get_plugin_config
from utilities.proxy import resolve_proxies

from .crypto import SecretError
from .models import ProxmoxEndpoint
from .proxmox.check import ConnectionReport, check
from .proxmox.client import Connection
from .proxmox.errors import ProxmoxError
from .proxmox.tls import fetch_fingerprint

__all__ = ('SeenCertificate', 'connection_of', 'fetch_fingerprints', 'test')

# Nobody looks at a form for longer.
FETCH_TIMEOUT = 10
FETCHES_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """The fingerprint of the certificate that a host shows, or why there is none."""

    host: str
    fingerprint: str = ''
    error: str = ''


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


def fetch_fingerprints(hosts: list[str], timeout: float) -> list[SeenCertificate]:
    """
    What each of the hosts shows now, for a person to compare. Nothing is verified and nothing is sent to them.

    Args:
        timeout: Seconds for each, up to ten.
    """
    # Not in the threads: a router for proxies may be anybody's code.
    behind_proxy = {host: bool(resolve_proxies(url=f'https://{host}')) for host in hosts}
    limit = min(timeout, FETCH_TIMEOUT)

    def fetch(host: str) -> SeenCertificate:
        if behind_proxy[host]:
            return SeenCertificate(host, error=_('NetBox reaches it through a proxy. Look it up on the node.'))
        try:
            return SeenCertificate(host, fetch_fingerprint(host, limit))
        except ProxmoxError as error:
            return SeenCertificate(host, error=str(error))

    with ThreadPoolExecutor(FETCHES_AT_A_TIME) as pool:
        return list(pool.map(fetch, hosts))
