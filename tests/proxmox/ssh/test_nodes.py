"""All nodes of a cluster over SSH: their hardware, their host keys, and the lines of the connection test."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Timer

import pytest

from netbox_proxsync.proxmox.check import ConnectionReport, check
from netbox_proxsync.proxmox.errors import AuthenticationError, CanceledError, ProxmoxError
from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.http.client import ProxmoxClient
from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.proxmox.ssh.cluster_keys import fetch_host_keys
from netbox_proxsync.proxmox.ssh.errors import InvalidSSHSettingsError, SSHTimeoutError, WrongNodeError
from netbox_proxsync.proxmox.ssh.nodes import NodeVisits
from netbox_proxsync.proxmox.ssh.settings import SSHSettings

from ..reading import connection, is_unknown, messages, read
from .outputs import BONDED, BONDED_FACTS, DELL
from .servers import DMI, LINKS, NIC_FACTS, Node, prints, private_key, serving_node

PASSWORD = 'secret'
ADDRESSES = {'pve1': '127.0.0.11', 'pve2': '127.0.0.12'}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


@contextmanager
def servers_of(pve) -> Iterator[dict[str, Node]]:
    """An SSH server for each node of the stand-in, all on the same port: {name: server}."""
    with ExitStack() as running:
        servers: dict[str, Node] = {}
        for name, address in ADDRESSES.items():
            pve.cluster.nodes[name].address = address
            server = Node(
                user='netbox',
                password=PASSWORD,
                host=address,
                port=servers['pve1'].port if servers else 0,
                host_keys=(private_key('ed25519', len(servers) + 11),),
                answers={
                    LINKS: prints(BONDED),
                    NIC_FACTS: prints(BONDED_FACTS, status=2),
                    DMI: prints(f'/proc/sys/kernel/hostname:{name}\n{DELL}'),
                },
            )
            servers[name] = running.enter_context(serving_node(server))
        pve.cluster.changed()
        yield servers


@pytest.fixture
def cluster(standin):
    """A stand-in, and the SSH servers of its nodes."""
    pve = standin(nodes=2, vms=1, containers=1, seed=1)
    with servers_of(pve) as servers:
        yield pve, servers


def settings(servers: dict[str, Node], *pinned: str) -> SSHSettings:
    names = pinned or tuple(servers)
    lines = tuple(servers[name].host_key.line for name in names)
    return SSHSettings(user='netbox', password=PASSWORD, port=servers['pve1'].port, host_keys=lines, timeout=10)


def hardware(pve, ssh) -> dict[str, object]:
    return {node.name: node.hardware for node in read(pve, options={'ssh': ssh}).nodes}


class TestHardware:
    def test_each_node_is_read_at_its_own_address(self, cluster):
        pve, servers = cluster
        inventory = read(pve, options={'ssh': settings(servers)})
        assert [(node.hardware.serial, len(node.hardware.nics)) for node in inventory.nodes] == [('7XK2M93', 3)] * 2
        assert [server.attempts for server in servers.values()] == [[('password', 'netbox', PASSWORD)]] * 2
        assert inventory.warnings == ()

    def test_without_settings_no_node_is_contacted(self, cluster):
        pve, servers = cluster
        assert hardware(pve, None) == {'pve1': None, 'pve2': None}
        assert [server.attempts for server in servers.values()] == [[], []]

    def test_invalid_settings_are_one_notice(self, cluster):
        pve, _ = cluster
        inventory = read(pve, options={'ssh': Unreadable('No key.')})
        assert [node.hardware for node in inventory.nodes] == [Unreadable('No key.')] * 2
        assert [(notice.subject, notice.message) for notice in inventory.warnings] == [('SSH', 'No key.')]

    def test_a_node_without_a_pinned_key_costs_only_its_own_hardware(self, cluster):
        pve, servers = cluster
        inventory = read(pve, options={'ssh': settings(servers, 'pve1')})
        assert inventory.nodes[0].hardware.serial == '7XK2M93'
        assert is_unknown(inventory.nodes[1].hardware, 'No SSH host key is pinned')
        assert [notice.subject for notice in inventory.warnings] == ['node/pve2']
        assert servers['pve2'].attempts == []

    def test_the_hardware_of_another_machine_is_not_used(self, cluster):
        pve, servers = cluster
        servers['pve2'].answers[DMI] = prints(f'/proc/sys/kernel/hostname:proxy\n{DELL}')
        assert is_unknown(hardware(pve, settings(servers))['pve2'], 'its name is proxy')

    def test_an_offline_node_is_reported_only_as_offline(self, cluster):
        pve, servers = cluster
        pve.node_offline('pve2')
        inventory = read(pve, options={'ssh': settings(servers)})
        assert inventory.nodes[1].hardware == Unreadable('Node pve2 is offline.')
        assert 'SSH' not in messages(inventory)
        assert servers['pve2'].attempts == []

    @pytest.mark.parametrize('address', ['', None])
    def test_a_node_without_an_address_is_not_guessed_at(self, cluster, address):
        pve, servers = cluster
        pve.cluster.nodes['pve2'].address = address
        pve.cluster.changed()
        inventory = read(pve, options={'ssh': settings(servers)})
        assert inventory.nodes[0].hardware.serial == '7XK2M93'
        assert is_unknown(inventory.nodes[1].hardware, 'does not report the address of node pve2')
        assert 'Grant the token Sys.Audit on /.' in messages(inventory)

    def test_a_stand_alone_host_is_read_where_the_api_answers(self, standin):
        pve = standin(nodes=1, vms=1, containers=0, standalone=True, addresses=('127.0.0.99',))
        answers = {LINKS: prints(BONDED), NIC_FACTS: prints(BONDED_FACTS, status=2), DMI: prints(DELL)}
        with serving_node(Node(user='netbox', password=PASSWORD, answers=answers)) as server:
            assert hardware(pve, settings({'pve1': server}))['pve1'].serial == '7XK2M93'


class TestVisits:
    @pytest.fixture
    def client(self, standin):
        with ProxmoxClient(connection(standin(nodes=1), concurrency=1)) as client:
            yield client

    def test_an_error_is_the_result_of_its_node(self, client):
        error = WrongNodeError('another machine')

        def visit(name: str, address: str, deadline: float) -> str:
            if name == 'pve2':
                raise error
            return f'{name} at {address}'

        visits = NodeVisits(client, {**ADDRESSES, 'pve3': Unreadable('offline')}, visit, limit=20)
        assert visits.results() == {'pve1': 'pve1 at 127.0.0.11', 'pve2': error}

    def test_nodes_that_are_not_done_in_time(self, client):
        """One hangs, and the other waits for its turn."""
        end = Event()
        visits = NodeVisits(client, ADDRESSES, lambda *_: end.wait(20), limit=0.3)
        begin = time.monotonic()
        results = visits.results()
        end.set()
        assert time.monotonic() - begin < 5
        assert {type(result) for result in results.values()} == {SSHTimeoutError}
        assert 'Node pve1 could not be read within the 0.3 seconds' in results['pve1'].message

    def test_after_the_deadline_no_node_is_visited(self, client):
        visited = []
        visits = NodeVisits(client, ADDRESSES, lambda *values: visited.append(values), limit=0)
        assert {type(result) for result in visits.results().values()} == {SSHTimeoutError}
        for thread in threading.enumerate():
            if thread.name.startswith('ssh'):
                thread.join(5)
        assert visited == []

    def test_canceling_ends_the_wait(self, client):
        end = Event()
        visits = NodeVisits(client, ADDRESSES, lambda *_: end.wait(20), limit=20)
        Timer(0.1, client.cancel).start()
        begin = time.monotonic()
        with pytest.raises(CanceledError):
            visits.results()
        end.set()
        assert time.monotonic() - begin < 5


class TestHostKeys:
    def keys(self, pve, servers, *pinned: str, **changes):
        port = servers['pve1'].port
        return {key.node: key for key in fetch_host_keys(connection(pve, **changes), port, pinned, 10)}

    def test_pinned_new_and_changed(self, cluster):
        pve, servers = cluster
        own = servers['pve1'].host_key
        found = self.keys(pve, servers, own.line)
        assert (found['pve1'].status, found['pve2'].status) == ('pinned', 'new')
        assert (found['pve1'].address, found['pve1'].line, found['pve1'].type) == ('127.0.0.11', own.line, own.type)
        assert found['pve1'].fingerprint == own.fingerprint_sha256
        assert found['pve1'].command == 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'
        other = f'[127.0.0.12]:{servers["pve1"].port} {own.type} {own.base64}'
        assert self.keys(pve, servers, other)['pve2'].status == 'changed'
        assert [server.attempts for server in servers.values()] == [[], []]

    def test_nodes_that_show_none(self, cluster):
        pve, servers = cluster
        pve.cluster.nodes['pve1'].address = '127.0.0.13'  # nothing listens there
        pve.cluster.changed()
        pve.node_offline('pve2')
        found = self.keys(pve, servers)
        assert (found['pve1'].status, found['pve1'].address) == ('', '127.0.0.13')
        assert 'refused the connection' in found['pve1'].error
        assert found['pve1'].remedy
        assert (found['pve2'].status, found['pve2'].error) == ('', 'Node pve2 is offline.')

    def test_without_the_status_of_the_cluster_no_address_is_known(self, cluster):
        pve, servers = cluster
        pve.fail('/cluster/status', 500, 'got timeout')
        assert all('does not report the address' in key.error for key in self.keys(pve, servers).values())

    def test_a_token_that_is_refused_meanwhile(self, cluster):
        pve, servers = cluster
        pve.fail('/cluster/status', 401, 'No ticket')
        with pytest.raises(AuthenticationError):
            self.keys(pve, servers)

    @pytest.mark.parametrize('path', ['/cluster/resources', '/cluster/status'])
    def test_nodes_that_are_not_listed_readably(self, cluster, path):
        pve, servers = cluster
        pve.fail(path, 200, 'OK', body={'data': 'x'})
        with pytest.raises(ProxmoxError, match='returned an invalid list of nodes'):
            self.keys(pve, servers)

    def test_invalid_pins(self, cluster):
        pve, servers = cluster
        with pytest.raises(InvalidSSHSettingsError):
            self.keys(pve, servers, 'nonsense')
        assert pve.log == []


class TestConnectionTest:
    def lines(self, report: ConnectionReport) -> dict[str, tuple[bool, str]]:
        assert not [line for line in report.checks if line.label.startswith('SSH') and line.required]
        return {line.label: (line.ok, line.detail) for line in report.checks if line.label.startswith('SSH')}

    def test_a_line_for_each_node(self, cluster):
        pve, servers = cluster
        report = check(connection(pve), ssh=settings(servers))
        works = (True, 'works: Dell Inc. PowerEdge R740, 3 physical NICs')
        assert self.lines(report) == {'SSH to pve1': works, 'SSH to pve2': works}
        assert report.ok

    def test_failed_ssh_checks_are_not_required(self, cluster):
        pve, servers = cluster
        servers['pve1'].password = 'another'
        pve.node_offline('pve2')
        report = check(connection(pve), ssh=settings(servers))
        found = self.lines(report)
        assert found['SSH to pve2'] == (False, 'Node pve2 is offline.')
        assert found['SSH to pve1'][0] is False
        assert 'rejected the password of netbox' in found['SSH to pve1'][1]
        assert next(line.remedy for line in report.checks if line.label == 'SSH to pve1')
        assert report.ok

    def test_a_node_that_reports_half_of_it(self, cluster):
        pve, servers = cluster
        servers['pve1'].answers |= {LINKS: prints('', 'no', 1), DMI: prints('/proc/sys/kernel/hostname:pve1\n')}
        assert self.lines(check(connection(pve), ssh=settings(servers)))['SSH to pve1'] == (
            True,
            'works: The command "ip" failed on the node (exit status 1). no',
        )

    def test_invalid_settings(self, cluster):
        pve, _ = cluster
        report = check(connection(pve), ssh=Unreadable('No key.'))
        assert self.lines(report) == {'SSH': (False, 'No key.')}
        assert report.ok
