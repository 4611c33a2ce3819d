"""Reading nodes over SSH, from real SSH servers: who is spoken to, who is let in, and what may take how long."""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Timer, active_count

import paramiko
import pytest

from netbox_proxsync.proxmox.connections import ContactPolicy
from netbox_proxsync.proxmox.errors import ProxmoxError
from netbox_proxsync.proxmox.http.transport import Sockets
from netbox_proxsync.proxmox.inventory import Unreadable, known
from netbox_proxsync.proxmox.ssh import hardware
from netbox_proxsync.proxmox.ssh.errors import (
    HostKeyChangedError,
    HostKeyNotPinnedError,
    InvalidSSHSettingsError,
    SSHAddressNotAllowedError,
    SSHAuthenticationError,
    SSHCommandRefusedError,
    SSHError,
    SSHOutputTooLargeError,
    SSHTimeoutError,
    SSHUnreachableError,
    WrongNodeError,
)
from netbox_proxsync.proxmox.ssh.hardware import COMMANDS, NodeHardware, SSHSettings
from netbox_proxsync.proxmox.ssh.host_key import HostKey
from netbox_proxsync.proxmox.ssh.known_hosts import KeyStatus, fetch_host_key

from ..servers import closed_port, full, serving, silent, speaking_http
from .outputs import BONDED, BONDED_FACTS, DELL, DELL_UNPRIVILEGED, SINGLE, SINGLE_FACTS
from .servers import (
    DMI,
    LINKS,
    NIC_FACTS,
    Node,
    breaks,
    complains_without_end,
    is_killed,
    never_ends,
    pem,
    prints,
    prints_without_end,
    private_key,
    serving_node,
    serving_openssh,
    this_user,
)

PASSWORD = 'Tr0ub4dor&3-pässword'
PASSPHRASE = 'correct horse battery'
BONDED_NODE = {LINKS: prints(BONDED), NIC_FACTS: prints(BONDED_FACTS, status=2), DMI: prints(DELL)}


@pytest.fixture
def node():
    """A node that lets root in by password and answers everything."""
    with serving_node(Node(password=PASSWORD, answers=dict(BONDED_NODE))) as node:
        yield node


def connection(node: Node, **settings: object) -> SSHSettings:
    defaults = {'user': 'root', 'host_keys': (node.host_key.line,), 'timeout': 20}
    if 'private_key' not in settings:
        defaults['password'] = PASSWORD
    return SSHSettings(port=node.port, **{**defaults, **settings})


def read_hardware(settings: SSHSettings) -> NodeHardware:
    return hardware.read_hardware('127.0.0.1', settings)


def offered_key(host: str, port: int, timeout: float) -> HostKey:
    return fetch_host_key(host, port, timeout=timeout).key


def failure(kind: type[SSHError], node: Node, **settings: object) -> SSHError:
    with pytest.raises(kind) as caught:
        read_hardware(connection(node, **settings))
    assert isinstance(caught.value, ProxmoxError)
    assert caught.value.remedy
    assert not caught.value.fatal
    assert PASSWORD not in str(caught.value)
    return caught.value


# What is read


def test_everything_of_a_node_by_password(node):
    hardware = read_hardware(connection(node))
    assert (hardware.manufacturer, hardware.product, hardware.serial) == ('Dell Inc.', 'PowerEdge R740', '7XK2M93')
    assert [(nic.name, nic.permanent_mac, nic.speed_mbps) for nic in hardware.nics] == [
        ('eno1', 'A0:36:9F:12:34:56', 10000),
        ('eno2', 'A0:36:9F:12:34:58', 10000),
        ('enp3s0', '00:1B:21:AA:BB:CC', None),
    ]
    assert {nic.mac for nic in hardware.nics[:2]} == {'A0:36:9F:12:34:56'}
    assert node.attempts == [('password', 'root', PASSWORD)]
    assert tuple(node.ran) == COMMANDS
    assert node.terminals == 0


@pytest.mark.parametrize(
    ('kind', 'form', 'passphrase'),
    [
        ('ed25519', 'OpenSSH', ''),
        ('ed25519', 'OpenSSH', PASSPHRASE),
        ('ed25519', 'PKCS8', PASSPHRASE),
        ('ecdsa', 'OpenSSH', ''),
        ('ecdsa', 'TraditionalOpenSSL', ''),
        ('rsa', 'OpenSSH', PASSPHRASE),
        ('rsa', 'TraditionalOpenSSL', PASSPHRASE),
        ('rsa', 'PKCS8', ''),
    ],
)
def test_login_by_key(kind, form, passphrase):
    key = private_key(kind, 1)
    with serving_node(Node(authorized=key, user='netbox', answers=BONDED_NODE)) as node:
        text = pem(kind, 1, passphrase, form).replace('\n', '\r\n')  # as a browser sends it
        hardware = read_hardware(connection(node, user='netbox', private_key=text, passphrase=passphrase or None))
    assert len(hardware.nics) == 3
    # The only key that was offered is the one that was given: none of an agent's, none of the user's own files.
    assert set(node.attempts) == {('publickey', 'netbox', key.fingerprint)}


def test_password_where_only_a_prompt_is_allowed():
    settings = {'methods': 'keyboard-interactive', 'password': PASSWORD, 'answers': BONDED_NODE}
    with serving_node(Node(**settings)) as node:
        assert len(read_hardware(connection(node)).nics) == 3
    assert node.attempts[-1] == ('response', 'root', PASSWORD)


def test_ordinary_users_cannot_read_the_serial_number():
    answers = {LINKS: prints(SINGLE), NIC_FACTS: prints(SINGLE_FACTS), DMI: prints(DELL_UNPRIVILEGED, status=2)}
    with serving_node(Node(user='netbox', password=PASSWORD, answers=answers)) as node:
        hardware = read_hardware(connection(node, user='netbox'))
    assert hardware.manufacturer == 'Dell Inc.'
    assert hardware.product == 'PowerEdge R740'
    assert hardware.serial == Unreadable('Only root may read the serial number, not netbox.')
    assert hardware.nics[0].permanent_mac == '3C:EC:EF:01:02:03'


@pytest.mark.parametrize(
    ('answer', 'reason'),
    [
        (prints('', 'bash: line 1: ip: command not found\n', 127), 'The node has no command "ip". bash: line 1'),
        (prints('[{"ifindex":1,"ifname":"lo","fl'), 'returned an invalid list of network interfaces'),
        (prints('<html>' * 1000), 'returned an invalid list of network interfaces'),
        (prints(SINGLE, 'Dump was interrupted and may be inconsistent.\n', 1), 'Dump was interrupted'),
        (is_killed, 'was terminated on the node before it completed'),
    ],
)
def test_only_unreadable_hardware_is_unknown(node, answer, reason):
    node.answers[LINKS] = answer
    hardware = read_hardware(connection(node))
    assert not known(hardware.nics)
    assert reason in hardware.nics.reason
    assert hardware.serial == '7XK2M93'


def test_unread_speeds_are_not_missing_speeds(node):
    node.answers[NIC_FACTS] = is_killed
    node.answers[DMI] = prints('', 'sh: 1: grep: not found\n', 127)
    hardware = read_hardware(connection(node))
    assert [known(nic.speed_mbps) for nic in hardware.nics] == [False] * 3
    assert hardware.nics[1].permanent_mac == 'A0:36:9F:12:34:58'
    assert hardware.manufacturer == Unreadable('The node has no command "grep". sh: 1: grep: not found')


# Who is spoken to


def test_the_key_that_is_fetched_is_the_one_to_pin(node):
    key = offered_key('127.0.0.1', node.port, 20)
    assert key == node.host_key
    assert key.line == f'[127.0.0.1]:{node.port} ssh-ed25519 {key.base64}'
    assert key.fingerprint_sha256 == node.host_keys[0].fingerprint
    assert node.attempts == []
    for pin in (key.line, key.fingerprint_sha256, f'127.0.0.1 {key.type} {key.base64} root@pve1'):
        assert known(read_hardware(connection(node, host_keys=('# pve1', '', pin))).nics)


def test_nothing_is_sent_to_a_host_whose_key_is_not_pinned(node):
    other = private_key('ed25519', 7)
    for pins in ((), ('# none yet',), (f'pve9.example.com ssh-ed25519 {other.get_base64()}',)):
        error = failure(HostKeyNotPinnedError, node, host_keys=pins)
        assert node.host_key.fingerprint_sha256 in error.message
        assert error.key == node.host_key
        assert 'ssh_host_ed25519_key.pub' in error.remedy
    assert node.attempts == []


@pytest.mark.parametrize('form', ['{type} {base64}', '127.0.0.1 {type} {base64}', '{fingerprint}'])
def test_nothing_is_sent_to_a_host_with_another_key(node, form):
    other = private_key('ed25519', 7)
    pin = form.format(type=other.get_name(), base64=other.get_base64(), fingerprint=other.fingerprint)
    error = failure(HostKeyChangedError, node, host_keys=(pin,))
    assert error.key == node.host_key
    assert error.key.fingerprint_sha256 in error.message
    assert node.attempts == []
    failure(HostKeyChangedError, node, host_keys=(pin,), private_key=pem('rsa', 1))
    assert node.attempts == []


def test_the_pin_of_another_host_does_not_count(node):
    key = node.host_key
    failure(HostKeyNotPinnedError, node, host_keys=(f'[127.0.0.1]:{node.port + 1} {key.type} {key.base64}',))
    failure(HostKeyNotPinnedError, node, host_keys=(f'127.0.0.2 {key.fingerprint_sha256}',))
    assert node.attempts == []


@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa', 'rsa'])
@pytest.mark.parametrize('whole', [True, False])
def test_any_of_the_keys_of_a_host_can_be_the_pinned_one(kind, whole):
    keys = tuple(private_key(other) for other in ('ed25519', 'ecdsa', 'rsa'))
    with serving_node(Node(host_keys=keys, password=PASSWORD, answers=BONDED_NODE)) as node:
        key = private_key(kind)
        pin = f'{key.get_name()} {key.get_base64()}' if whole else key.fingerprint
        assert known(read_hardware(connection(node, host_keys=(pin,))).nics)
        assert len(node.attempts) == 1


def test_a_key_is_pinned_new_or_changed(node):
    def status(*pins: str) -> KeyStatus:
        settings = connection(node, host_keys=pins)
        seen = fetch_host_key('127.0.0.1', node.port, settings.pins, timeout=20)
        assert seen.key == node.host_key
        return seen.status

    other = private_key('ed25519', 7)
    assert status() is KeyStatus.NEW
    assert status(f'10.9.9.9 ssh-ed25519 {other.get_base64()}') is KeyStatus.NEW
    assert status(node.host_key.line) is KeyStatus.PINNED
    assert status(f'127.0.0.1 ssh-ed25519 {other.get_base64()}') is KeyStatus.CHANGED
    assert node.attempts == []


def test_another_machine_at_the_address_of_a_node_is_not_taken_for_it(node):
    node.answers[DMI] = prints(f'/proc/sys/kernel/hostname:proxy.example.com\n{DELL}')
    settings = connection(node)
    with pytest.raises(WrongNodeError, match='is not node pve1: its name is proxy'):
        hardware.read_hardware('127.0.0.1', settings, node='pve1')
    assert hardware.read_hardware('127.0.0.1', settings, node='Proxy').serial == '7XK2M93'


# Who is let in


def test_wrong_password(node):
    error = failure(SSHAuthenticationError, node, password='wrong')
    assert 'rejected the password of root' in error.message
    assert 'PermitRootLogin' in error.remedy
    assert node.ran == []


def test_key_that_is_not_authorized(node):
    error = failure(SSHAuthenticationError, node, private_key=pem('ed25519', 2))
    assert 'rejected the private key of root' in error.message
    assert 'authorized_keys' in error.remedy


def test_method_that_is_not_allowed(node):
    node.methods = 'publickey'
    assert 'Allowed methods: publickey.' in failure(SSHAuthenticationError, node).message


def test_a_second_factor_cannot_be_given(node):
    node.second_factor = True
    assert 'requires further authentication of root' in failure(SSHAuthenticationError, node).message


def test_commands_that_are_refused(node):
    node.answers.clear()
    assert 'does not let this user run commands' in failure(SSHCommandRefusedError, node).message


@pytest.mark.parametrize(
    ('answer', 'words'),
    [
        (prints('This account is currently not available.\n', status=1), 'This account is currently not available.'),
        (prints('', 'Only backups may be \x1b[31mmade\x07 here.\nBye\n', 0), 'Only backups may be  [31mmade  here.'),
        (prints(''), 'cannot run the commands.'),
    ],
)
def test_a_restricted_account_is_reported(node, answer, words):
    node.answers = dict.fromkeys(COMMANDS, answer)
    error = failure(SSHCommandRefusedError, node)
    assert error.message.endswith(words)
    assert LINKS in error.remedy


def test_greetings_of_login_scripts_do_not_matter(node):
    node.answers = {
        command: prints('Welcome to [pve1]!\n\n' + text)
        for command, text in ((LINKS, SINGLE), (NIC_FACTS, SINGLE_FACTS), (DMI, DELL))
    }
    hardware = read_hardware(connection(node))
    assert (hardware.serial, hardware.nics[0].speed_mbps) == ('7XK2M93', 1000)


# How long it may take, and how much


def elapsed(kind: type[SSHError], node: Node, **settings: object) -> tuple[SSHError, float]:
    start = time.monotonic()
    error = failure(kind, node, **settings)
    return error, time.monotonic() - start


@pytest.mark.parametrize('answer', [never_ends, complains_without_end])
def test_a_command_that_never_ends(node, answer):
    node.answers[NIC_FACTS] = answer
    error, seconds = elapsed(SSHTimeoutError, node, timeout=2)
    assert NIC_FACTS in error.message
    assert seconds < 7


def test_a_command_that_prints_without_end(node):
    node.answers[DMI] = prints_without_end
    error = failure(SSHOutputTooLargeError, node, timeout=60)
    assert '16 MiB' in error.message


def test_a_node_that_does_not_even_confirm_a_command(node):
    node.confirms = Event()
    try:
        _, seconds = elapsed(SSHTimeoutError, node, timeout=1)
    finally:
        node.confirms.set()
    assert seconds < 4


def test_the_whole_session_is_bounded(node):
    # The login and each command stay below the limit of a step, 2 s; together they pass that of the session, 6 s.
    def slow(channel: paramiko.Channel) -> None:
        channel.status_event.wait(1.7)
        prints(SINGLE)(channel)

    node.answers = dict.fromkeys(COMMANDS, slow)
    node.thinks = 1.7
    _, seconds = elapsed(SSHTimeoutError, node, timeout=2)
    assert tuple(node.ran) == COMMANDS
    assert seconds < 7


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port that neither accepts nor refuses, as of a host behind a firewall that drops."""
    with socket.create_server(('127.0.0.1', 0), backlog=0) as server, ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize('phase', ['connecting', 'keys', 'command'])
def test_every_wait_ends_when_its_socket_is_shut(node, phase):
    node.answers[LINKS] = never_ends
    sockets = Sockets()
    waiting = serving(silent) if phase == 'keys' else full_backlog()
    with waiting as server:
        port = {'connecting': server, 'keys': getattr(server, 'port', 0), 'command': node.port}[phase]
        settings = SSHSettings(
            user='root', password=PASSWORD, port=port, host_keys=(node.host_key.fingerprint_sha256,), timeout=60
        )
        timer = Timer(1, sockets.shut)
        timer.start()
        start = time.monotonic()
        with pytest.raises(SSHUnreachableError):
            hardware.read_hardware('127.0.0.1', settings, sockets=sockets)
        assert 0.5 < time.monotonic() - start < 5


def test_a_host_that_accepts_the_connection_and_sends_nothing():
    with serving(silent) as server:
        node = Node(port=server.port)
        error, seconds = elapsed(SSHTimeoutError, node, timeout=1)
        with pytest.raises(SSHTimeoutError):
            offered_key('127.0.0.1', server.port, 1)
    assert f'127.0.0.1:{server.port} did not complete a step within 1 seconds: exchanging keys' in error.message
    assert seconds < 4


def sending(at_once: bytes, again: bytes, pause: float):
    """A host that sends the second part byte by byte, or without a pause as fast as it is read."""

    def handle(server, connection):
        connection.sendall(at_once)
        while not server.stopped.wait(pause):
            connection.sendall(again if pause else again * 4096)

    return handle


GREETING = b'SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n'
# Before and in the first packet, whose length is reported as 32 KiB.
HANDSHAKES = {
    'version': (b'', b'S'),
    'lines before the version': (b'', b'hello\r\n'),
    'key exchange': (GREETING + b'\x00\x00\x80\x00\x04', b'x'),
}


@pytest.mark.parametrize('pause', [0.1, 0], ids=['slowly', 'without end'])
@pytest.mark.parametrize('part', HANDSHAKES)
def test_a_handshake_that_does_not_end(part, pause):
    cpu = time.process_time()
    with serving(sending(*HANDSHAKES[part], pause)) as server:
        start = time.monotonic()
        # What is no SSH may be noticed before the time is up.
        failure((SSHTimeoutError, SSHUnreachableError), Node(port=server.port), timeout=2)
        assert time.monotonic() - start < 5
    assert time.process_time() - cpu < 5


def test_output_that_trickles(node):
    def slow(channel: paramiko.Channel) -> None:
        while not channel.closed:
            channel.sendall(b' ')
            time.sleep(0.1)

    node.answers[LINKS] = slow
    error, seconds = elapsed(SSHTimeoutError, node, timeout=1)
    assert LINKS in error.message
    assert seconds < 4


def test_a_login_that_is_not_answered(node):
    node.thinks = 8
    error, seconds = elapsed(SSHTimeoutError, node, timeout=1)
    assert 'logging in' in error.message
    assert seconds < 4


def test_closed_port():
    error = failure(SSHUnreachableError, Node(port=closed_port()))
    assert 'refused the connection' in error.message
    assert error.transient


def test_an_address_that_may_not_be_contacted(node):
    with pytest.raises(SSHAddressNotAllowedError, match='NetBox is not allowed to contact') as caught:
        hardware.read_hardware('127.0.0.1', connection(node), policy=ContactPolicy.parse([], []))
    assert caught.value.remedy
    assert node.attempts == []


def test_a_host_that_accepts_no_connection():
    with full() as port:
        error = failure(SSHTimeoutError, Node(port=port), timeout=0.3)
    assert 'did not answer within 0.3 seconds' in error.message


def test_a_network_that_cannot_be_reached():
    with pytest.raises(SSHUnreachableError, match=r'127\.255\.255\.255:22 cannot be reached'):
        offered_key('127.255.255.255', 22, 5)  # the broadcast address of this machine


def test_a_host_that_closes_the_connection_in_the_middle_of_the_keys():
    def closing(server, connection) -> None:
        connection.sendall(b'SSH-2.0-OpenSSH_10.0\r\n')
        connection.recv(100)

    with serving(closing) as server:
        error = failure(SSHUnreachableError, Node(port=server.port))
    assert 'closed the connection' in error.message


def test_unknown_name():
    with pytest.raises(SSHUnreachableError, match=r'The name no-such-host\.invalid cannot be resolved'):
        offered_key('no-such-host.invalid', 22, 20)


def test_something_else_than_ssh():
    with serving(speaking_http) as server:
        assert 'does not speak SSH' in failure(SSHUnreachableError, Node(port=server.port)).message


def test_a_connection_that_breaks_is_no_answer(node):
    node.answers[LINKS] = breaks
    error = failure(SSHUnreachableError, node)
    assert 'closed the connection' in error.message
    assert error.transient


def test_nothing_remains_open(node):
    before = active_count()
    for _ in range(3):
        read_hardware(connection(node))
        failure(SSHAuthenticationError, node, password='wrong')
        failure(HostKeyNotPinnedError, node, host_keys=())
    deadline = time.monotonic() + 10
    while active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert active_count() <= before


# Secrets


def test_secrets_are_nowhere(node, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger('paramiko').setLevel(logging.DEBUG)
    text = pem('ed25519', 1, PASSPHRASE)
    body = text.splitlines()[3]
    by_key = connection(node, private_key=text, passphrase=PASSPHRASE)
    by_password = connection(node)
    read_hardware(by_password)
    shown = [repr(by_key), repr(by_password)]
    for settings in ({'private_key': text, 'passphrase': PASSPHRASE}, {'user': 'admin'}, {'host_keys': ()}):
        shown.append(str(failure(SSHError, node, **settings)))
    for passphrase in (None, 'wrong'):
        with pytest.raises(InvalidSSHSettingsError) as caught:
            connection(node, private_key=text, passphrase=passphrase)
        shown.append(repr(caught.value))
    logged = '\n'.join([caplog.text, *(repr(record.__dict__) for record in caplog.records)])
    assert 'paramiko' in logged
    assert 'userauth is OK' in logged or 'Authentication (password)' in logged
    for secret in (PASSWORD, PASSPHRASE, body):
        assert secret not in logged
        assert not any(secret in line for line in shown)


# OpenSSH's own server


@pytest.mark.parametrize('kind', ['ed25519', 'rsa'])
def test_openssh(tmp_path, kind):
    key = private_key(kind, 1)
    with serving_openssh(tmp_path, key) as port:
        shown = offered_key('127.0.0.1', port, 20)
        hardware = read_hardware(
            SSHSettings(
                port=port,
                user=this_user(),
                private_key=pem(kind, 1, PASSPHRASE),
                passphrase=PASSPHRASE,
                host_keys=(shown.line,),
                timeout=20,
            )
        )
    log = (tmp_path / 'sshd.log').read_text()
    assert f'Accepted publickey for {this_user()}' in log
    assert log.count('Failed') == 0
    if known(hardware.nics):
        devices = {path.parent.name for path in Path('/sys/class/net').glob('*/device')}
        assert devices <= {nic.name for nic in hardware.nics}
        for nic in hardware.nics:
            assert nic.mac == Path(f'/sys/class/net/{nic.name}/address').read_text().strip().upper()
    else:
        assert 'has no command "ip"' in hardware.nics.reason


@pytest.mark.parametrize('kind', ['ed25519', 'ecdsa', 'rsa'])
def test_openssh_with_any_of_its_host_keys_pinned(tmp_path, kind):
    with serving_openssh(tmp_path, private_key('ed25519', 1)) as port:
        pin = private_key(kind)
        for line in (f'{pin.get_name()} {pin.get_base64()}', pin.fingerprint):
            hardware = read_hardware(
                SSHSettings(
                    port=port,
                    user=this_user(),
                    private_key=pem('ed25519', 1),
                    host_keys=(line,),
                    timeout=20,
                )
            )
            assert hardware


def test_openssh_sees_no_user_when_its_key_is_not_the_pinned_one(tmp_path):
    with serving_openssh(tmp_path, private_key('ed25519', 1), 'LogLevel DEBUG1') as port:
        settings = {'port': port, 'timeout': 20, 'user': 'netbox-secret-user'}
        with pytest.raises(HostKeyChangedError):
            read_hardware(
                SSHSettings(password=PASSWORD, host_keys=(private_key('ed25519', 7).fingerprint,), **settings)
            )
    log = (tmp_path / 'sshd.log').read_text()
    assert 'SSH2_MSG_KEXINIT sent' in log
    assert settings['user'] not in log


@pytest.mark.parametrize('command', ['internal-sftp', '/bin/false', "/bin/echo 'Backups only'"])
def test_openssh_with_another_command_forced(tmp_path, command):
    with serving_openssh(tmp_path, private_key('ed25519', 1), f'ForceCommand {command}') as port:
        settings = {'port': port, 'user': this_user(), 'timeout': 20}
        with pytest.raises(SSHCommandRefusedError) as caught:
            read_hardware(
                SSHSettings(private_key=pem('ed25519', 1), host_keys=(private_key('ed25519').fingerprint,), **settings)
            )
    assert ('Backups only' in caught.value.message) == ('Backups' in command)


def test_openssh_refuses_a_key(tmp_path):
    with serving_openssh(tmp_path, private_key('ed25519', 1)) as port, pytest.raises(SSHAuthenticationError):
        read_hardware(
            SSHSettings(
                port=port,
                user=this_user(),
                private_key=pem('rsa', 3),
                host_keys=(private_key('rsa').fingerprint,),
                timeout=20,
            )
        )


def test_commands_read_and_do_nothing_else():
    assert all(command.split()[0] in ('ip', 'grep') for command in COMMANDS)
    assert not any(set(command) & set('{}$`;|&<>') for command in COMMANDS)
    for shell in ('/bin/sh', '/bin/bash', '/bin/dash'):
        if os.path.exists(shell):
            for command in COMMANDS:
                # 127: not there; 0-2: what ip and grep end with. A syntax error is 2 with words.
                result = subprocess.run([shell, '-c', command], capture_output=True, timeout=20, check=False)
                assert result.returncode in (0, 1, 2, 127)
                assert b'yntax' not in result.stderr
