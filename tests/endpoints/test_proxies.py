"""NetBox's settings for proxies, through a real one."""

import re
import socket
from contextlib import suppress
from threading import Thread

import pytest

from netbox_proxsync.endpoints.connection import connection_of

from ..proxmox.servers import closed_port, serving

pytestmark = pytest.mark.django_db

# Known to nobody but the proxy.
NAME = 'pve1.example.com'


def tunnel(server, connection) -> None:
    """Connects to the port that is asked for, on this machine, whatever the host is called."""
    asked = re.match(rb'CONNECT [^ ]+:(\d+) ', server.request(connection))
    connection.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
    with socket.create_connection(('127.0.0.1', int(asked[1])), 5) as upstream:
        back = Thread(target=relay, args=(upstream, connection), daemon=True)
        back.start()
        relay(connection, upstream)
        back.join(5)


def relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy():
    with serving(tunnel) as server:
        yield server


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=2, containers=1)


class Router:
    """Sends to the proxy what has a name, and says for whom it was asked."""

    proxy = ''
    asked: list = []

    def route(self, url=None, protocol=None, context=None):
        self.asked.append(context['client'])
        return {'https': self.proxy} if NAME in url else None


def test_http_proxies(pve, proxy, make_endpoint, sync, settings):
    settings.HTTP_PROXIES = {'https': f'http://user:hunter2@{proxy.host}'}
    endpoint = make_endpoint(pve, hosts=[f'{NAME}:{pve.port}'])
    run = sync(endpoint)
    assert (run.status, run.guests) == ('completed', 3)
    assert len(pve.log) == run.calls
    for request in proxy.received:
        assert request.startswith(f'CONNECT {NAME}:{pve.port} HTTP/1.'.encode())
        assert b'Proxy-Authorization: Basic ' in request
        assert b'PVEAPIToken' not in request
    # Connections through it are kept as others are.
    assert 1 <= len(proxy.received) <= endpoint.concurrency


def test_a_proxy_for_other_protocols_is_none_for_this(pve, make_endpoint, sync, settings):
    settings.HTTP_PROXIES = {'http': f'http://127.0.0.1:{closed_port()}'}
    assert sync(make_endpoint(pve)).status == 'completed'


def test_proxy_routers_decide_for_each_host(pve, proxy, make_endpoint, sync, settings):
    Router.proxy, Router.asked = f'http://{proxy.host}', []
    settings.PROXY_ROUTERS = [Router]
    endpoint = make_endpoint(pve, hosts=[f'127.0.0.1:{closed_port()}', f'{NAME}:{pve.port}'])
    assert sync(endpoint).status == 'completed'
    assert proxy.received
    assert set(Router.asked) == {endpoint}
    assert connection_of(endpoint).proxies == {f'https://{NAME}': Router.proxy}
    # The other way round: the first by the proxy, which finds nobody, the second directly.
    requests = len(proxy.received)
    endpoint.hosts = [f'{NAME}:{closed_port()}', f'127.0.0.1:{pve.port}']
    endpoint.token_secret = pve.token_secret
    endpoint.save()
    assert sync(endpoint).status == 'completed'
    assert len(proxy.received) > requests


def test_a_proxy_that_is_down_is_reported_without_its_password(pve, make_endpoint, sync, settings):
    settings.HTTP_PROXIES = {'https': f'http://user:hunter2@127.0.0.1:{closed_port()}'}
    run = sync(make_endpoint(pve, hosts=[f'{NAME}:{pve.port}']))
    assert run.status == 'failed'
    assert 'proxy' in run.error
    assert 'HTTP_PROXIES' in run.error
    assert 'hunter2' not in run.error
    assert 'hunter2' not in str(run.job.log_entries)


def test_a_proxy_address_that_is_none(pve, make_endpoint, sync, settings):
    settings.HTTP_PROXIES = {'https': 'ftp://proxy.example.com'}
    run = sync(make_endpoint(pve))
    assert (run.status, 'proxy' in run.error) == ('failed', True)
