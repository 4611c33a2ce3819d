"""
A node that was learned from Proxmox VE, a node over SSH, a host whose fingerprint is fetched, a proxy and the
hosts behind it: nothing is contacted outside the networks that the plugin's settings allow, and the error names the
setting.

The recorded cluster has its nodes in 10.77.0.0/24. Tests and the demo may contact loopback addresses only, by
tests/stack/configuration.py, and tests/stack/loopback.py notices whatever else is tried, in all of their processes.
"""

import re
import socket
import subprocess
import sys
import threading

import django_rq
import pytest
from dcim.models import Site
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.endpoints.connection import test as check_connection
from netbox_proxsync.endpoints.host_keys import offered_keys
from tests.stack import loopback, netbox

from ..proxmox.servers import answering, serving
from ..proxmox.ssh.servers import pem, private_key
from ..runs.test_cancellation import Administrator, until
from ..scenarios.synced import pin
from .test_proxies import relay, tunnel

RECORDED = 'pve-9.2.11-cluster'
NODES = ('10.77.0.11', '10.77.0.12', '10.77.0.13')
SETTING = "allowed_networks in PLUGINS_CONFIG['netbox_proxsync']"


@pytest.fixture
def deny(settings):
    """Denies a network besides."""

    def change(*networks: str):
        plugin = settings.PLUGINS_CONFIG['netbox_proxsync']
        settings.PLUGINS_CONFIG = {'netbox_proxsync': {**plugin, 'denied_networks': list(networks)}}

    return change


@pytest.fixture
def admin(db):
    client = Client()
    client.force_login(User.objects.create_superuser('root', 'root@example.com', 'x'))
    return client


def with_ssh(pve, make, **values):
    """An endpoint whose nodes are asked over SSH, with a key pinned for each."""
    key = private_key('ed25519')
    return make(
        pve,
        site=Site.objects.create(name='Berlin', slug='berlin'),
        ssh_user='netbox',
        ssh_private_key=pem('ed25519'),
        ssh_host_keys='\n'.join(f'{address} {key.get_name()} {key.get_base64()}' for address in NODES),
        **values,
    )


def run_python(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', script], env=environment, capture_output=True, text=True, check=False)


class TestTheGuard:
    """Nothing in the tests depends on the plugin for this."""

    def test_a_connection_of_this_process_is_noticed(self):
        for address in ('10.77.0.12', '::ffff:10.77.0.12'):
            with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET) as sock:
                with pytest.raises(PermissionError):
                    sock.connect((address, 8006))
                with pytest.raises(PermissionError):
                    sock.connect_ex((address, 8006))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(PermissionError):
            sock.sendto(b'?', ('10.77.0.12', 53))
        told = loopback.reported()
        assert told.count('10.77.0.12') == 5

    def test_no_name_is_looked_up(self):
        for look_up in (socket.gethostbyname, lambda name: socket.getaddrinfo(name, 1), socket.gethostbyaddr):
            with pytest.raises(OSError, match=r'known|host'):
                look_up('netbox.dev')

    def test_loopback_is_this_machine(self):
        assert all(map(loopback.local, ('127.0.0.1', '127.9.9.9', '::1', '127.1', '0x7f000001', '::ffff:127.0.0.1')))
        assert not any(map(loopback.local, ('128.0.0.1', '10.77.0.12', '0.0.0.0', '::', '2130706432.1', '167772161')))

    @pytest.mark.parametrize(
        'begin',
        ['import tests.stack.configuration', 'from tests.stack import loopback; loopback.keep()'],
        ids=['NetBox', 'others'],
    )
    def test_a_process_that_is_started_is_kept_here_as_well(self, begin):
        script = f'{begin}\nimport os, socket\nif os.fork(): os.wait()\nsocket.create_connection(("10.77.0.13", 22), 1)'
        assert 'PermissionError' in run_python(script, netbox.environment()).stderr
        assert loopback.reported().count('10.77.0.13') == 2

    def test_the_demo_and_its_processes(self, monkeypatch):
        """The main database's NetBox, as `make demo` and `make up` start it. They have no report to write to."""
        monkeypatch.delenv(loopback.REPORT)
        script = (
            'import tests.stack.configuration as it, socket\nprint(it.PLUGINS_CONFIG)\n'
            'socket.create_connection(("10.77.0.13", 22), 1)'
        )
        environment = netbox.environment()
        assert environment['PROXSYNC_STACK_DATABASE'] == netbox.MAIN
        result = run_python(script, environment)
        assert "'allowed_networks': ['127.0.0.0/8', '::1/128']" in result.stdout
        assert 'socket.connect 10.77.0.13' in result.stderr

    def test_only_a_demo_with_a_real_proxmox_may_contact_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(netbox, 'WEB', tmp_path / 'web.json')
        for written, switch in (({}, '1'), ({'real': False}, '1'), ({'real': True}, '0')):
            netbox.write_json(netbox.WEB, written)
            assert netbox.variables()[loopback.SWITCH] == switch
            # Never tests.
            assert netbox.variables('test_proxsync_1', 1)[loopback.SWITCH] == '1'


class TestWorkers:
    def test_a_connection_of_a_worker_is_noticed(self, worker):
        job = django_rq.get_queue('default').enqueue(socket.create_connection, ('10.77.0.12', 8006), 1)
        until(lambda: job.get_status(refresh=True).value in ('failed', 'finished'))
        assert 'PermissionError' in job.latest_result().exc_string
        assert '10.77.0.12' in loopback.reported()

    def test_a_run_of_a_worker_contacts_no_node_of_a_recorded_cluster(self, worker, standin):
        administrator = Administrator()
        run = administrator.wait(administrator.sync(with_ssh(standin(RECORDED), pin)))
        assert run.status == 'completed'
        assert sum(SETTING in message['message'] for message in run.messages) == 3


@pytest.mark.django_db
class TestSSH:
    def test_no_node_of_a_recorded_cluster_is_contacted(self, standin, make_endpoint, sync):
        run = sync(with_ssh(standin(RECORDED), make_endpoint))
        assert run.status == 'completed'
        told = {row['subject']: row for row in run.messages if 'NetBox is not allowed to contact' in row['message']}
        assert set(told) == {'node/pve1', 'node/pve2', 'node/pve3'}
        assert told['node/pve2']['message'] == (
            f'NetBox is not allowed to contact 10.77.0.12:22: 10.77.0.12 is in none of the {SETTING}.'
        )
        assert told['node/pve2']['remedy'] == (f'If NetBox should contact this address, add its network to {SETTING}.')

    def test_the_connection_test_says_so_for_each_node(self, standin, make_endpoint):
        report = check_connection(with_ssh(standin(RECORDED), make_endpoint))
        assert report.ok
        checks = {check.label: f'{check.detail} {check.remedy}' for check in report.checks if not check.ok}
        for number, address in enumerate(NODES, 1):
            assert f'is not allowed to contact {address}:22' in checks[f'SSH to pve{number}']
            assert SETTING in checks[f'SSH to pve{number}']

    def test_host_keys_are_not_fetched(self, standin, make_endpoint, admin):
        rows = offered_keys(with_ssh(standin(RECORDED), make_endpoint))
        assert [SETTING in f'{row.error} {row.remedy}' and row.address in row.error for row in rows] == [True] * 3

    def test_a_single_host_is_asked_where_its_api_is(self, standin, make_endpoint, sync, deny):
        """Its own address in the cluster's status is another one."""
        run = sync(with_ssh(standin('pve-8.4.21-solo'), make_endpoint, ssh_port=1))
        assert not any('is not allowed to contact' in message['message'] for message in run.messages)
        assert any('127.0.0.1:1' in message['message'] for message in run.messages)


@pytest.mark.django_db
class TestMembers:
    def test_members_that_were_learned_are_not_contacted_when_the_host_goes_away(self, standin, make_endpoint, sync):
        pve = standin(RECORDED)
        endpoint = make_endpoint(pve, concurrency=1)
        pve.before('/nodes/*/config', lambda: threading.Thread(target=pve.close).start())
        run = sync(endpoint)
        assert run.status == 'failed'
        assert f'127.0.0.1:{pve.port}' in run.error
        for address in NODES:
            refusal = f'NetBox is not allowed to contact {address}:{pve.port}: {address} is in none of the {SETTING}.'
            assert refusal in run.error

    @pytest.mark.parametrize('name', ['127.0.0.2', '127.2', '2130706434', '[::ffff:127.0.0.2]'])
    def test_a_host_of_the_endpoint(self, name, standin, make_endpoint, sync, deny, tmp_path):
        deny('127.0.0.2/32')
        pve = standin(nodes=1, vms=1, containers=1)
        with serving(answering(), address=('127.0.0.2', 0)) as other:
            run = sync(make_endpoint(pve, hosts=[f'{name}:{other.port}']))
            assert other.connections == 0
        assert run.status == 'failed'
        assert '127.0.0.2' in run.error
        assert "127.0.0.2/32, which is one of the denied_networks in PLUGINS_CONFIG['netbox_proxsync']" in run.error

    def test_the_next_host_is_tried(self, standin, make_endpoint, sync):
        pve = standin(nodes=1, vms=1, containers=1)
        run = sync(make_endpoint(pve, hosts=['169.254.169.254', f'127.0.0.1:{pve.port}']))
        assert run.status == 'completed'


class TestFingerprints:
    def test_they_are_not_fetched_from_elsewhere(self, admin, deny):
        deny('127.0.0.2/32')
        with serving(answering(), address=('127.0.0.2', 0)) as other:
            hosts = ['10.77.0.12', '169.254.169.254', f'127.0.0.2:{other.port}', f'2130706434:{other.port}']
            url = reverse('plugins:netbox_proxsync:proxmoxendpoint_fingerprints')
            response = admin.post(url, {'hosts': '\n'.join(hosts), 'timeout': '3'})
            assert other.connections == 0
        text = response.content.decode()
        assert text.count('is not allowed to contact') >= 4
        assert 'allowed_networks' in text
        assert 'denied_networks' in text


@pytest.mark.django_db
class TestProxies:
    def test_a_proxy_elsewhere_is_not_contacted(self, standin, make_endpoint, sync, settings):
        settings.HTTP_PROXIES = {'https': 'http://user:hunter2@10.77.0.1:3128'}
        run = sync(make_endpoint(standin(nodes=1, vms=1, containers=1)))
        assert run.status == 'failed'
        assert 'The proxy for 127.0.0.1 cannot be used. NetBox is not allowed to contact 10.77.0.1:3128' in run.error
        assert SETTING in run.error
        assert 'hunter2' not in run.error

    @pytest.mark.parametrize('host', ['10.77.0.12', '169.254.169.254', '2852039166', '[64:ff9b::a9fe:a9fe]'])
    def test_a_proxy_is_not_asked_to_contact_what_is_not_allowed(self, host, standin, make_endpoint, sync, settings):
        with serving(tunnel) as proxy:
            settings.HTTP_PROXIES = {'https': f'http://{proxy.host}'}
            pve = standin(nodes=1, vms=1, containers=1)
            run = sync(make_endpoint(pve, hosts=[f'{host}:{pve.port}']))
            assert proxy.connections == 0
        assert run.status == 'failed'
        assert 'NetBox is not allowed to contact' in run.error
        assert '_networks in PLUGINS_CONFIG' in run.error

    def test_the_certificate_behind_a_proxy_is_not_fetched_around_it(self, standin, make_endpoint, sync, settings):
        """A wrong fingerprint made NetBox connect to the host directly, to show the right one."""
        pve = standin(nodes=1, vms=1, containers=1)
        asked = []

        def elsewhere(server, connection):
            asked.append(re.match(rb'CONNECT [^ ]+ ', server.request(connection))[0])
            connection.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
            with socket.create_connection(('127.0.0.1', pve.port), 5) as upstream:
                back = threading.Thread(target=relay, args=(upstream, connection), daemon=True)
                back.start()
                relay(connection, upstream)
                back.join(5)

        with serving(elsewhere) as proxy, serving(answering(), address=('127.0.0.2', 0)) as direct:
            settings.HTTP_PROXIES = {'https': f'http://{proxy.host}'}
            run = sync(make_endpoint(pve, hosts=[f'127.0.0.2:{direct.port}'], fingerprint='AA:' * 31 + 'AA'))
            assert direct.connections == 0
        assert asked
        assert 'does not have the pinned fingerprint.' in run.error
