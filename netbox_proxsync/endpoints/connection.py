"""The connection to Proxmox VE by the settings of an endpoint."""

import traceback
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_network

from django.db import Error as DatabaseError
from netbox.constants import CENSOR_TOKEN
from netbox.plugins import get_plugin_config
from requests.utils import select_proxy
from rq.timeouts import BaseTimeoutException
from utilities.proxy import resolve_proxies

from ..crypto import SecretError
from ..models import ProxmoxEndpoint
from ..proxmox.check import ConnectionReport, check
from ..proxmox.connections import ContactPolicy
from ..proxmox.errors import ProxmoxError
from ..proxmox.hosts import Host
from ..proxmox.http.client import Connection
from ..proxmox.http.tls import TLSMode, fetch_fingerprint
from ..proxmox.messages import EMPTY, Message, as_is
from ..proxmox.parsers.address_filters import AddressFilters
from ..proxmox.readers.options import CollectOptions
from ..proxmox.readings import Reading, Unreadable
from ..proxmox.ssh.errors import InvalidSSHSettingsError
from ..proxmox.ssh.settings import TIMEOUT, SSHSettings
from .netbox_checks import demand_checks, field_checks

__all__ = (
    'OfferedCertificate', 'UnexpectedError', 'connection_of', 'fetch_fingerprints', 'options_of', 'secrets_hidden',
    'ssh_settings_of', 'test', 'try_connection',
)  # fmt: skip

# Seconds: a user waits for the form.
FETCH_TIMEOUT = 10
FETCHES_AT_A_TIME = 8


class UnexpectedError(Exception):
    """An unexpected exception of a library or of this plugin during requests to Proxmox VE or its nodes."""


@contextmanager
def secrets_hidden(endpoint: ProxmoxEndpoint) -> Iterator[None]:
    """
    Replace unexpected exceptions in code that uses the secrets of an endpoint, so that they do not expose the variables
    of the functions in which they were raised. Those hold secrets, and Django's debug page, error mails and services
    such as Sentry show them.

    Raises:
        UnexpectedError: Instead of that exception; with its type, message and traceback as text.
    """
    try:
        yield
        return
    except (ProxmoxError, SecretError, DatabaseError, BaseTimeoutException):
        raise
    except Exception as error:  # noqa: BLE001 - any exception may expose secrets
        failure = UnexpectedError(as_is(_without_secrets(f'{type(error).__name__}: {error}', endpoint)))
        # Lines of code, without values.
        failure.add_note(''.join(traceback.format_tb(error.__traceback__)))
    # Outside of the except clause, so that the original exception is not its context.
    raise failure


def _without_secrets(text: str, endpoint: ProxmoxEndpoint) -> str:
    """A text with the secrets of an endpoint replaced."""
    for secret in endpoint.secrets.values():
        with suppress(SecretError):
            for part in {secret.reveal(), *secret.reveal().splitlines()} - {''}:
                text = text.replace(part, CENSOR_TOKEN)
    return text


@dataclass(frozen=True, slots=True)
class OfferedCertificate:
    """The fingerprint of the certificate that a host presents, or why there is none."""

    host: str
    fingerprint: str = ''
    error: Message = EMPTY


def connection_of(endpoint: ProxmoxEndpoint) -> Connection:
    """
    The connection to an endpoint.

    Raises:
        SecretError: The token's secret cannot be decrypted.
    """
    hosts = tuple(endpoint.hosts)
    return Connection(
        hosts=hosts,
        token_id=endpoint.token_id,
        token_secret=endpoint.token_secret.reveal(),
        tls_mode=TLSMode(endpoint.tls_mode),
        ca_certificate=endpoint.ca_certificate,
        fingerprint=endpoint.fingerprint,
        timeout=endpoint.timeout,
        run_timeout=get_plugin_config('netbox_proxsync', 'job_timeout'),
        concurrency=endpoint.concurrency,
        proxies=proxies_for(hosts, endpoint),
        policy=contact_policy(),
    )


def contact_policy() -> ContactPolicy:
    """The addresses that may be contacted, by the settings of the plugin."""
    allowed, denied = (get_plugin_config('netbox_proxsync', f'{which}_networks') for which in ('allowed', 'denied'))
    return ContactPolicy.parse(allowed, denied)


def proxies_for(hosts: Iterable[str], endpoint: ProxmoxEndpoint | None = None) -> dict[str, str]:
    """
    The proxies for hosts, as `requests` takes them. NetBox's proxy routers may choose another one for each host.

    If it is the same for all hosts, it is used as well for members of the cluster that are found later.
    """
    found = {host: _proxy_of(host, endpoint) for host in hosts}
    if len(set(found.values())) == 1:
        return {'https': proxy} if (proxy := found.popitem()[1]) else {}
    return {f'https://{Host.parse(host).name.lower()}': proxy for host, proxy in found.items() if proxy}


def _proxy_of(host: str, endpoint: ProxmoxEndpoint | None) -> str | None:
    url = f'https://{host}'
    return select_proxy(url, resolve_proxies(url=url, context={'client': endpoint}))


def ssh_settings_of(endpoint: ProxmoxEndpoint) -> Reading[SSHSettings | None]:
    """The settings for SSH to the nodes; None if it is not used. An invalid setting does not fail the run."""
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
    except (SecretError, InvalidSSHSettingsError) as error:
        return Unreadable(as_is(str(error)))


def options_of(endpoint: ProxmoxEndpoint, vmids: Collection[int] | None = None) -> CollectOptions:
    """
    What to read of an endpoint.

    Args:
        vmids: The guests that a run is for; None: all guests, and the nodes.
    """
    # Without a site, nodes cannot be devices.
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
        # SSH is used for details of nodes only.
        ssh=ssh_settings_of(endpoint) if nodes and vmids is None else None,
    )


def test(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """
    Test an endpoint (which need not be saved) without reading its guests, and check this NetBox for settings that keep
    runs from writing.
    """
    report = try_connection(endpoint)
    return replace(report, checks=(*report.checks, *field_checks(), *demand_checks()))


def try_connection(endpoint: ProxmoxEndpoint) -> ConnectionReport:
    """Test the connection to an endpoint (which need not be saved) without reading its guests."""
    with secrets_hidden(endpoint):
        try:
            connection = connection_of(endpoint)
        except SecretError as error:
            return ConnectionReport(connected=False, error=as_is(str(error)))
        return check(connection, endpoint.valid_token_history, ssh_settings_of(endpoint))


def fetch_fingerprints(hosts: list[str], timeout: float) -> list[OfferedCertificate]:
    """
    The certificates that hosts present now, for a user to compare. Nothing is verified, and no secret is sent.

    Args:
        timeout: Seconds for each host, at most ten.
    """
    # Not in the threads: proxy routers of third parties may not be thread-safe.
    behind_proxy = {host: bool(proxies_for([host])) for host in hosts}
    limit, policy = min(timeout, FETCH_TIMEOUT), contact_policy()

    def fetch(host: str) -> OfferedCertificate:
        if behind_proxy[host]:
            return OfferedCertificate(
                host, error=Message('NetBox reaches this host through a proxy. Read the fingerprint on the node.')
            )
        try:
            return OfferedCertificate(host, fetch_fingerprint(host, limit, policy))
        except ProxmoxError as error:
            return OfferedCertificate(host, error=as_is(str(error)))

    with ThreadPoolExecutor(FETCHES_AT_A_TIME) as pool:
        return list(pool.map(fetch, hosts))
