"""The session with Proxmox VE: order of hosts, retries, timeouts and error messages, with real servers."""

import json
import logging
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from netbox_proxsync.proxmox.connections import AddressNotAllowedError, ContactPolicy
from netbox_proxsync.proxmox.errors import (
    APIError,
    AuthenticationError,
    CallTimeoutError,
    CanceledError,
    ConnectionBrokenError,
    HostUnreachableError,
    InvalidConnectionError,
    InvalidResponseError,
    NodeUnreachableError,
    NotProxmoxError,
    PermissionDeniedError,
    ProxmoxError,
    RunTimeoutError,
    TLSError,
    VersionTooOldError,
)
from netbox_proxsync.proxmox.hosts import Host
from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.infrastructure import HostCertificate

from ..reading import THIS_MACHINE
from ..servers import (
    VERSION,
    answering,
    closed_port,
    full,
    in_turn,
    response,
    serving,
    silent,
    speaking_http,
    speaking_ssh,
    trickling,
)

SECRET = '0a1b2c3d-dead-beef-cafe-000000000001'


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """What is tried again, and how often, is tested; waiting for it is not."""
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


@pytest.fixture
def connect(leaf):
    def build(*hosts: str, **settings: object) -> ProxmoxClient:
        values = {'tls_mode': 'fingerprint', 'fingerprint': leaf.fingerprint, 'timeout': 5, 'policy': THIS_MACHINE}
        values |= settings
        return ProxmoxClient(Connection(hosts=hosts, token_id='netbox@pve!sync', token_secret=SECRET, **values))

    return build


def fails[E: ProxmoxError](kind: type[E], call: Callable[[], object]) -> E:
    """The error of a call; the remedy is part of every one that a user can do something about."""
    with pytest.raises(ProxmoxError) as caught:
        call()
    assert type(caught.value) is kind, str(caught.value)
    assert str(caught.value).startswith(caught.value.message)
    return caught.value


class TestRequests:
    def test_the_token_and_the_path_reach_the_server(self, connect, context):
        with serving(answering(b'{"data":{"memory":"2048"}}'), context) as server, connect(server.host) as client:
            assert client.get('nodes', 'pve1', 'qemu', 100, 'config', current=1) == {'memory': '2048'}
            head = server.received[0].decode()
        assert head.startswith('GET /api2/json/nodes/pve1/qemu/100/config?current=1 HTTP/1.1\r\n')
        assert f'Authorization: PVEAPIToken=netbox@pve!sync={SECRET}\r\n' in head
        assert client.calls == 1

    def test_parts_of_a_path_are_quoted(self, connect, context):
        with serving(answering(), context) as server, connect(server.host) as client:
            client.get('storage', 'a/b?c#d e', 'ü')
            assert server.received[0].startswith(b'GET /api2/json/storage/a%2Fb%3Fc%23d%20e/%C3%BC HTTP')

    def test_other_keys_of_an_answer_are_ignored(self, connect, context):
        answer = answering(b'{"data":[],"changes":"--- interfaces"}')
        with serving(answer, context) as server, connect(server.host) as client:
            assert client.get('nodes', 'pve1', 'network') == []
            whole = client.get_document('nodes', 'pve1', 'network')
        assert whole == {'data': [], 'changes': '--- interfaces'}

    def test_there_is_no_way_to_write(self):
        public = {name for name in dir(ProxmoxClient) if not name.startswith('_')}
        assert public == {
            'add_members', 'calls', 'cancel', 'certificate', 'ended', 'failed_hosts', 'get', 'get_document',
            'raise_if_canceled', 'host', 'version',
        }  # fmt: skip

    def test_connections_are_reused_and_never_more_than_the_concurrency(self, connect, context):
        with serving(answering(), context) as server, connect(server.host, concurrency=3) as client:
            with ThreadPoolExecutor(12) as pool:
                list(pool.map(lambda _: client.get('version'), range(60)))
            assert len(server.received) == client.calls == 60
            assert server.connections <= 3

    def test_the_environment_of_the_process_changes_nothing(self, connect, context, monkeypatch, tmp_path):
        monkeypatch.setenv('HTTPS_PROXY', f'http://127.0.0.1:{closed_port()}')
        (tmp_path / 'netrc').write_text('machine 127.0.0.1 login somebody password else\n')
        monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
        with serving(answering(), context) as server, connect(server.host) as client:
            assert client.version().text == '9.2.11'
            assert SECRET.encode() in server.received[0]

    def test_a_proxy_that_does_not_connect(self, connect, context):
        proxy = f'http://user:hunter2@127.0.0.1:{closed_port()}'
        with serving(answering(), context) as server, connect(server.host, proxies={'https': proxy}) as client:
            error = fails(HostUnreachableError, client.version)
            assert server.connections == 0
        assert 'proxy' in error.message
        assert 'hunter2' not in str(error)
        assert 'hunter2' not in repr(client.connection)

    def test_a_proxy_that_connects(self, connect, context):
        def tunnel(proxy, connection):
            proxy.request(connection)
            connection.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
            answering()(proxy, context.wrap_socket(connection, server_side=True))

        with (
            serving(tunnel) as proxy,
            connect('pve1.example.com', proxies={'https': f'http://{proxy.host}'}) as client,
        ):
            assert client.version().text == '9.2.11'
            assert proxy.received[0].startswith(b'CONNECT pve1.example.com:8006 ')
            assert SECRET.encode() not in proxy.received[0]
            assert SECRET.encode() in proxy.received[1]

    def test_another_certificate_behind_a_proxy_is_not_fetched_directly(self, connect, context):
        def tunnel(proxy, connection):
            proxy.request(connection)
            connection.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
            context.wrap_socket(connection, server_side=True)

        with (
            serving(tunnel) as proxy,
            connect('pve1.example.com', proxies={'https': f'http://{proxy.host}'}, fingerprint='AB' * 32) as client,
        ):
            error = fails(TLSError, client.version)
            assert proxy.connections == 1
        assert error.fingerprint is None
        assert error.message == 'The certificate of pve1.example.com:8006 does not have the pinned fingerprint.'

    def test_a_proxy_that_may_not_be_contacted(self, connect):
        policy = ContactPolicy.parse(['127.0.0.9/32'], [])
        with (
            serving(answering()) as proxy,
            connect('127.0.0.9', proxies={'https': f'http://{proxy.host}'}, policy=policy) as client,
        ):
            error = fails(AddressNotAllowedError, client.version)
            assert proxy.connections == 0
        assert error.message.startswith(
            'The proxy for 127.0.0.9 cannot be used. NetBox is not allowed to contact 127.0.0.1:'
        )

    def test_the_certificate_is_known_from_the_first_connection_on(self, connect, context, leaf):
        with serving(answering(), context) as server, connect(server.host) as client:
            assert client.certificate is None
            client.version()
            assert client.certificate == HostCertificate(
                host=server.host, expires=int(leaf.certificate.not_valid_after_utc.timestamp())
            )


class TestAnswers:
    @pytest.mark.parametrize(
        ('status', 'body', 'kind', 'words'),
        [
            ('401 Authentication failed!', b'', AuthenticationError, 'does not accept the API token netbox@pve!sync'),
            (
                '403 Permission check failed',
                b'{"data":null,"message":"Permission check failed (/vms/100, VM.Audit)\\n"}',
                PermissionDeniedError,
                'lacks VM.Audit on /vms/100',
            ),
            (
                '403 Permission check failed (/, Sys.Audit|Sys.Modify)',
                b'{"data":null}',
                PermissionDeniedError,
                'lacks Sys.Audit|Sys.Modify on /',
            ),
            ('403 Permission check failed', b'{"data":null}', PermissionDeniedError, 'Permission check failed'),
            ('400 Parameter verification failed.', b'{"errors":{"type":"no"},"data":null}', APIError, 'type: no'),
            ("501 Method 'GET /nodes/pve1/x' not implemented", b'{"data":null}', APIError, 'not implemented'),
            ('500 got timeout', b'{"data":null,"message":"got timeout\\n"}', APIError, 'got timeout'),
            ('301 Moved Permanently', b'', APIError, 'Moved Permanently'),
            ('200 OK', b'<html>Please log in</html>', InvalidResponseError, 'returned an invalid response'),
            ('200 OK', b'', InvalidResponseError, 'returned an invalid response'),
            ('200 OK', b'[]', InvalidResponseError, 'returned an invalid response'),
            ('200 OK', b'{"error":1}', InvalidResponseError, 'returned an invalid response'),
            ('200 OK', b'{"data":' + b'[' * 100_000, InvalidResponseError, 'returned an invalid response'),
        ],
    )
    def test_each_refusal_once_and_in_words(self, connect, context, status, body, kind, words):
        with serving(answering(body, status), context) as server, connect(server.host) as client:
            error = fails(kind, lambda: client.get('nodes', 'pve1', 'x'))
            assert words in error.message
            assert server.host in error.message or kind is PermissionDeniedError
            assert len(server.received) == 1

    def test_the_error_names_the_privilege_and_its_path(self, connect, context):
        body = b'{"data":null,"message":"Permission check failed (/vms/100, VM.GuestAgent.Audit|VM.Monitor)\\n"}'
        with serving(answering(body, '403 no'), context) as server, connect(server.host) as client:
            error = fails(PermissionDeniedError, lambda: client.get('x'))
        assert (error.path, error.privilege) == ('/vms/100', 'VM.GuestAgent.Audit|VM.Monitor')

    def test_a_guest_that_is_not_there(self, connect, context):
        status = "500 Configuration file 'nodes/pve1/qemu-server/110.conf' does not exist"
        with serving(answering(b'{"data":null}', status), context) as server, connect(server.host) as client:
            assert fails(APIError, lambda: client.get('x')).guest_not_there

    def test_a_redirect_is_not_followed(self, connect, context):
        with (
            serving(answering(), context) as other,
            serving(
                answering(b'', '302 Found', f'Location: https://{other.host}/api2/json/version\r\n'), context
            ) as server,
            connect(server.host) as client,
        ):
            fails(NotProxmoxError, client.version)
            assert other.received == []

    @pytest.mark.parametrize(
        ('body', 'status', 'kind'),
        [
            (b'<html>It works!</html>', '200 OK', NotProxmoxError),
            (b'<html>It works!</html>', '404 Not Found', NotProxmoxError),
            (b'{"data":{"hello":"world"}}', '200 OK', NotProxmoxError),
            (b'{"data":null}', '200 OK', NotProxmoxError),
            (b'{"data":{"version":"six"}}', '200 OK', NotProxmoxError),
            (b'{"data":{"version":"6.4-15"}}', '200 OK', VersionTooOldError),
        ],
    )
    def test_hosts_that_are_not_a_supported_proxmox_ve(self, connect, context, body, status, kind):
        with serving(answering(body, status), context) as server, connect(server.host) as client:
            error = fails(kind, client.version)
        assert server.host in error.message
        assert error.remedy

    @pytest.mark.parametrize(
        ('text', 'numbers'),
        [('9.2.11', (9, 2)), ('8.4.21', (8, 4)), ('7.4-20', (7, 4)), ('9.0.0~11', (9, 0)), ('10.1', (10, 1))],
    )
    def test_versions(self, connect, context, text, numbers):
        body = json.dumps({'data': {'version': text}}).encode()
        with serving(answering(body), context) as server, connect(server.host) as client:
            version = client.version()
        assert (version.text, version.major, version.minor) == (text, *numbers)


class TestRetries:
    BAD_GATEWAY = response(b'', '502 Bad Gateway')

    @pytest.mark.parametrize(
        'transient',
        [
            response(b'', '502 Bad Gateway'),
            response(b'', '503 Service Unavailable'),
            response(b'', '504 Gateway Timeout'),
            response(b'', '595 No route to host'),
            response(b'', '596 Connection timed out'),
            None,
        ],
        ids=['502', '503', '504', '595', '596', 'broken connection'],
    )
    def test_temporary_failures_are_retried(self, connect, context, transient):
        good = response(VERSION)
        with serving(in_turn(good, transient, transient, good), context) as server, connect(server.host) as client:
            client.version()
            assert client.get('nodes', 'pve2', 'version')['version'] == '9.2.11'
            assert len(server.received) == client.calls == 4

    @pytest.mark.parametrize(
        ('lasting', 'kind'),
        [
            (response(b'', '503 Service Unavailable'), APIError),
            (response(b'', '595 No route to host'), NodeUnreachableError),
            (None, ConnectionBrokenError),
        ],
    )
    def test_but_three_times_at_most(self, connect, context, lasting, kind):
        with serving(in_turn(response(VERSION), lasting), context) as server, connect(server.host) as client:
            client.version()
            error = fails(kind, lambda: client.get('nodes', 'pve2', 'version'))
            assert len(server.received) == 4
        if kind is NodeUnreachableError:
            assert error.node == 'pve2'
            assert 'pve2' in error.message

    def test_codes_that_do_not_pass(self, connect, context):
        with serving(answering(b'', '599 Garbled URL'), context) as server, connect(server.host) as client:
            fails(NodeUnreachableError, lambda: client.get('nodes', 'pve2', 'version'))
            assert len(server.received) == 1

    def test_pauses_grow_and_differ(self, connect, context, monkeypatch):
        monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.1)
        with serving(answering(b'', '503 Busy'), context) as server, connect(server.host) as client:
            begin = time.monotonic()
            fails(APIError, lambda: client.get('x'))
        assert 0.05 + 0.1 <= time.monotonic() - begin < 3


class TestHosts:
    def test_the_next_host_is_tried(self, connect, context):
        with serving(answering(), context) as server:
            with connect(f'127.0.0.1:{closed_port()}', 'no-such-host.invalid', server.host) as client:
                assert client.version().text == '9.2.11'
                assert client.host == server.host
                client.get('version')
            assert len(server.received) == 2

    def test_a_host_that_dies_meanwhile(self, connect, context):
        with (
            serving(answering(), context) as second,
            serving(answering(), context) as first,
            connect(first.host, second.host) as client,
        ):
            client.version()
            assert client.host == first.host
            first.stop()
            client.get('version')
            assert client.host == second.host

    def test_a_wrong_token_is_not_taken_to_the_next_host(self, connect, context):
        with (
            serving(answering(b'', '401 Authentication failed!'), context) as first,
            serving(answering(), context) as second,
            connect(first.host, second.host) as client,
        ):
            fails(AuthenticationError, client.version)
            assert len(first.received) == 1
            assert second.connections == 0

    def test_none_can_be_used(self, connect):
        port = closed_port()
        with connect(f'127.0.0.1:{port}', 'no-such-host.invalid') as client:
            error = fails(HostUnreachableError, client.version)
        assert f'127.0.0.1:{port} refused the connection' in error.message
        assert 'no-such-host.invalid cannot be resolved' in error.message
        assert client.calls == 0

    def test_each_host_with_its_fingerprint(self, connect, leaf, context):
        pins = f'{"AB" * 32}\n{leaf.fingerprint}'
        with serving(answering(), context) as first, serving(answering(), context) as second:
            with connect(first.host, second.host, fingerprint=pins) as client:
                client.version()
            assert (first.received, len(second.received)) == ([], 1)
        with pytest.raises(InvalidConnectionError, match='2 fingerprints are given for 1 hosts'):
            connect('pve1', fingerprint=pins)

    @pytest.mark.parametrize(
        ('mode', 'fingerprint', 'reached'),
        [
            ('fingerprint', 'right', True),
            ('fingerprint', 'wrong', False),
            ('fingerprint', None, False),
            ('ca', None, True),
            ('off', 'right', False),
        ],
    )
    def test_members_are_trusted_only_with_proof(self, connect, context, ca, leaf, mode, fingerprint, reached):
        """The member listens where the given host has: Proxmox VE's port is the same on all nodes."""
        pin = {'right': leaf.fingerprint, 'wrong': 'AB' * 32, None: None}[fingerprint]
        with serving(answering(), context) as member:
            with connect(f'no-such-host.invalid:{member.port}', tls_mode=mode, ca_certificate=ca.pem) as client:
                client.add_members({'127.0.0.1': pin, 'not an address': pin})
                if reached:
                    assert client.version().text == '9.2.11'
                else:
                    fails(HostUnreachableError, client.version)
            assert len(member.received) == int(reached)

    def test_a_member_that_is_a_host_already_is_tried_once(self, connect, leaf):
        port = closed_port()
        with connect(f'127.0.0.1:{port}') as client:
            client.add_members({'127.0.0.1': leaf.fingerprint})
            assert fails(HostUnreachableError, client.version).message == f'127.0.0.1:{port} refused the connection.'

    @pytest.mark.parametrize('name', [f'{"x" * 64}.example.com', 'pve1..example.com'])
    def test_a_name_that_cannot_be(self, connect, name):
        with connect(name) as client:
            assert fails(HostUnreachableError, client.version).message == f'The name {name} cannot be resolved.'

    def test_a_network_that_cannot_be_reached(self, connect):
        with connect('127.255.255.255') as client:  # the broadcast address of this machine
            assert '127.255.255.255:8006 cannot be reached' in fails(HostUnreachableError, client.version).message

    def test_a_host_that_accepts_no_connection(self, connect):
        with full() as port, connect(f'127.0.0.1:{port}', timeout=0.3) as client:
            assert 'did not answer within 0.3 seconds' in fails(HostUnreachableError, client.version).message

    @pytest.mark.parametrize(
        ('text', 'shown'),
        [
            ('pve1', 'pve1:8006'),
            (' pve1.example.com:443 ', 'pve1.example.com:443'),
            ('10.0.0.1', '10.0.0.1:8006'),
            ('[2001:db8::1]:8007', '[2001:db8::1]:8007'),
            ('[2001:db8::1]', '[2001:db8::1]:8006'),
            ('2001:DB8::1', '[2001:db8::1]:8006'),
        ],
    )
    def test_ways_to_write_a_host(self, text, shown):
        assert str(Host.parse(text)) == shown

    @pytest.mark.parametrize(
        'text', ['', 'https://pve1:8006', 'pve1:', 'pve1:0', 'pve1:99999', 'a b', '[pve1]:1', 'u@h']
    )
    def test_invalid_hosts(self, text, connect):
        with pytest.raises(InvalidConnectionError):
            connect(text)

    @pytest.mark.parametrize(
        'settings',
        [{'token_id': 'netbox'}, {'token_id': 'netbox@pve'}, {'token_secret': ''}, {'token_secret': f'{SECRET}\n'}],
    )
    def test_a_token_that_cannot_be(self, settings):
        values = {'token_id': 'netbox@pve!sync', 'token_secret': SECRET} | settings
        with pytest.raises(InvalidConnectionError) as caught:
            ProxmoxClient(Connection(hosts=('pve1',), **values))
        assert SECRET not in str(caught.value)

    def test_no_host(self, connect):
        with pytest.raises(InvalidConnectionError, match='No host'):
            connect()


class TestWhatIsNoProxmox:
    @pytest.mark.parametrize('handle', [speaking_ssh, speaking_http], ids=['SSH', 'plain HTTP'])
    def test_another_protocol(self, connect, handle):
        with serving(handle) as server, connect(server.host) as client:
            error = fails(NotProxmoxError, client.version)
            assert 'does not speak TLS' in error.message
            assert 'port' in error.remedy
            assert SECRET.encode() not in b''.join(server.received)

    def test_a_closed_port(self, connect):
        with connect(f'127.0.0.1:{closed_port()}') as client:
            error = fails(HostUnreachableError, client.version)
        assert 'refused the connection' in error.message
        assert 'pveproxy' in error.remedy

    def test_an_unknown_name(self, connect):
        with connect('no-such-host.invalid') as client:
            begin = time.monotonic()
            error = fails(HostUnreachableError, client.version)
        assert 'no-such-host.invalid cannot be resolved' in error.message
        assert time.monotonic() - begin < 3

    def test_a_host_that_closes_the_connection(self, connect):
        with serving(lambda server, connection: None) as server, connect(server.host) as client:
            assert fails(HostUnreachableError, client.version).remedy

    def test_a_host_that_does_not_answer(self, connect):
        with serving(silent) as server, connect(server.host, timeout=0.3) as client:
            assert 'did not answer within 0.3 seconds' in fails(HostUnreachableError, client.version).message


class TestTime:
    def test_a_call_that_is_never_answered(self, connect, context):
        def handle(server, connection):
            server.request(connection)
            connection.sendall(response(VERSION))
            silent(server, connection)

        with serving(handle, context) as server, connect(server.host, timeout=0.4) as client:
            client.version()
            begin = time.monotonic()
            error = fails(CallTimeoutError, lambda: client.get('nodes', 'pve1', 'qemu', 100, 'agent', 'get-osinfo'))
            assert 0.3 < time.monotonic() - begin < 2
        assert '/nodes/pve1/qemu/100/agent/get-osinfo within 0.4 seconds' in error.message

    def test_an_answer_that_trickles_in(self, connect, context):
        def handle(server, connection):
            server.request(connection)
            connection.sendall(response(VERSION))
            trickling(server, connection)

        with serving(handle, context) as server, connect(server.host, timeout=0.5) as client:
            client.version()
            begin = time.monotonic()
            fails(CallTimeoutError, lambda: client.get('x'))
            assert time.monotonic() - begin < 2

    def test_canceling_ends_calls_that_wait(self, connect, context):
        errors = []

        def call():
            try:
                client.get('x')
            except ProxmoxError as error:
                errors.append(error)

        with serving(silent, context) as server, connect(server.host, timeout=30) as client:
            threads = [Thread(target=call) for _ in range(3)]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 10
            while len(server.received) < 3:
                assert time.monotonic() < deadline
            begin = time.monotonic()
            client.cancel()
            for thread in threads:
                thread.join(5)
            assert time.monotonic() - begin < 2
            assert [type(error) for error in errors] == [CanceledError] * 3
            fails(CanceledError, lambda: client.get('x'))
            assert len(server.received) == 3

    def test_canceling_ends_a_handshake_and_a_proxy_that_hang(self, connect):
        for proxied in (False, True):
            with serving(silent) as server:
                proxies = {'https': f'http://{server.host}'} if proxied else {}
                host = 'pve1.example.com' if proxied else server.host
                with connect(host, timeout=30, proxies=proxies) as client:
                    waiting = Thread(target=lambda client=client: fails(CanceledError, lambda: client.get('x')))
                    waiting.start()
                    deadline = time.monotonic() + 10
                    while not server.connections:
                        assert time.monotonic() < deadline
                    client.cancel()
                    waiting.join(3)
                    assert not waiting.is_alive()

    def test_canceling_ends_pauses(self, connect, context, monkeypatch):
        monkeypatch.setattr(client_module, 'FIRST_PAUSE', 30)
        with serving(answering(b'', '503 Busy'), context) as server, connect(server.host) as client:
            waiting = Thread(target=lambda: fails(CanceledError, lambda: client.get('x')))
            waiting.start()
            deadline = time.monotonic() + 10
            while not server.received:
                assert time.monotonic() < deadline
            client.cancel()
            waiting.join(5)
            assert not waiting.is_alive()

    def test_a_run_ends_in_time(self, connect, context):
        with serving(silent, context) as server, connect(server.host, timeout=30, run_timeout=0.4) as client:
            begin = time.monotonic()
            error = fails(RunTimeoutError, lambda: client.get('x'))
            assert time.monotonic() - begin < 3
            assert '0.4 seconds' in error.message
            fails(RunTimeoutError, lambda: client.get('x'))

    def test_a_closed_client_has_no_open_sockets(self, connect, context):
        with serving(answering(), context) as server, connect(server.host) as client:
            client.version()
            sockets = list(client.sockets._open)
            assert any(sock.fileno() > 0 for sock in sockets)
        assert all(sock.fileno() == -1 for sock in sockets)

    def test_a_closed_client_remains_closed(self, connect, context):
        with serving(answering(), context) as server, connect(server.host) as client:
            client.version()
        fails(CanceledError, lambda: client.get('x'))


class TestSecrecy:
    """The secret is in the request's header, and the HTTP library's exceptions hold the request."""

    HANDLES = {
        'refused': answering(b'', '401 Authentication failed!'),
        'HTML': answering(b'<html>'),
        'failed': answering(b'', '500 got timeout'),
        'broken': in_turn(None),
        'silent': silent,
        'not gzip': answering(b'{}', headers='Content-Encoding: gzip\r\n'),
    }

    @pytest.mark.parametrize('handle', HANDLES.values(), ids=HANDLES.keys())
    def test_the_secret_is_in_no_exception_and_in_no_log(self, connect, context, handle, caplog):
        caplog.set_level(logging.DEBUG)
        with serving(handle, context) as server, connect(server.host, timeout=0.5) as client:
            with pytest.raises(ProxmoxError) as caught:
                client.get('version')
            error = caught.value
        assert SECRET not in ''.join(traceback.format_exception(error))
        assert SECRET not in caplog.text
        chain = error
        while chain:
            assert isinstance(chain, ProxmoxError), repr(chain)
            assert SECRET not in repr(vars(chain))
            assert SECRET not in repr(chain.args)
            chain = chain.__cause__ or chain.__context__

    def test_nor_when_no_host_can_be_reached(self, connect):
        with connect(f'127.0.0.1:{closed_port()}') as client:
            error = fails(HostUnreachableError, client.version)
        assert error.__cause__ is None
        assert error.__context__ is None

    def test_nor_in_the_settings(self, connect):
        client = connect('pve1')
        assert SECRET not in repr(client.connection)
        assert SECRET not in str(client.connection)
        assert SECRET not in repr(client)
