"""An endpoint's settings as a connection to Proxmox VE."""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network

from django.utils.translation import gettext as _
from netbox.plugins import get_plugin_config
from requests.utils import select_proxy
from utilities.proxy import resolve_proxies

from .crypto import SecretError
from .models import ProxmoxEndpoint
from .proxmox.check import ConnectionReport, check
from .proxmox.client import Connection
from .proxmox.errors import ProxmoxError
from .proxmox.hosts import Host
from .proxmox.options import CollectOptions
from .proxmox.readings import Reading, Unknown
from .proxmox.ssh_errors import InvalidSSHSettings
from .proxmox.ssh_settings import TIMEOUT, SSHSettings
from .proxmox.tls import fetch_fingerprint
from .proxmox.usable import AddressFilters

__all__ = ('SeenCertificate', 'connection_of', 'fetch_fingerprints', 'options_of', 'ssh_settings_of', 'test')

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
        proxies=proxies_for(hosts, endpoint),
    )


def proxies_for(hosts: Iterable[str], endpoint: ProxmoxEndpoint | None = None) -> dict[str, str]:
    """
    The proxies of the hosts as requests takes them. NetBox's routers may decide otherwise for each of them.

    Where they do not, what they say counts for the members of the cluster as well that are learned later.
    """
    found = {host: _proxy_of(host, endpoint) for host in hosts}
    if len(set(found.values())) == 1:
        return {'https': proxy} if (proxy := found.popitem()[1]) else {}
    return {f'https://{Host.parse(host).name.lower()}': proxy for host, proxy in found.items() if proxy}


def _proxy_of(host: str, endpoint: ProxmoxEndpoint | None) -> str | None:
    url = f'https://{host}'
    return select_proxy(url, resolve_proxies(url=url, context={'client': endpoint}))


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


def options_of(endpoint: ProxmoxEndpoint, vmids: Collection[int] | None = None) -> CollectOptions:
    """
    What to read of an endpoint.

    Args:
        vmids: The guests that a run is for; None: all guests, and the nodes.
    """
    # Without a site they cannot become devices.
    nodes = endpoint.sync_nodes and endpoint.site_id is not None
    return CollectOptions(
        os_info=endpoint.read_os_info,
        host_names=endpoint.read_host_names,
        nodes=nodes,
        filters=AddressFilters(
            interfaces=tuple(endpoint.ignored_interfaces),
            prefixes=tuple(ip_network(prefix) for prefix in endpoint.ignored_prefixes),
            limit=endpoint.address_limit,
        ),
        vms=endpoint.sync_vms,
        containers=endpoint.sync_containers,
        only=None if vmids is None else frozenset(vmids),
        # What only SSH tells is about the nodes themselves.
        ssh=ssh_settings_of(endpoint) if nodes and vmids is None else None,
    )


def test(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """Try an endpoint (which need not be saved) without reading its guests."""
    try:
        connection = connection_of(endpoint)
    except SecretError as error:
        return ConnectionReport(ok=False, error=str(error))
    return check(connection, endpoint.memory, ssh_settings_of(endpoint))


def fetch_fingerprints(hosts: list[str], timeout: float) -> list[SeenCertificate]:
    """
    What each of the hosts shows now, for a person to compare. Nothing is verified and nothing is sent to them.

    Args:
        timeout: Seconds for each, up to ten.
    """
    # Not in the threads: a router for proxies may be anybody's code.
    behind_proxy = {host: bool(proxies_for([host])) for host in hosts}
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
