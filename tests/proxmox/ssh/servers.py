"""SSH servers for tests: one of paramiko with scripted answers that records logins and commands, and OpenSSH's."""

import functools
import getpass
import io
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from netbox_proxsync.proxmox.ssh.hardware import COMMANDS
from netbox_proxsync.proxmox.ssh.host_key import HostKey

from ..servers import Server, closed_port, serving

SSHD = shutil.which('sshd', path=f'{os.environ.get("PATH", "")}:/usr/sbin:/usr/local/sbin')
LINKS, NIC_FACTS, DMI = COMMANDS

type Answer = Callable[[paramiko.Channel], None]


@functools.cache
def private_key(kind: str, number: int = 0) -> paramiko.PKey:
    """A key of the kind 'ed25519', 'ecdsa' or 'rsa'; another one for each number."""
    classes = {'ed25519': paramiko.Ed25519Key, 'ecdsa': paramiko.ECDSAKey, 'rsa': paramiko.RSAKey}
    return classes[kind].from_private_key(io.StringIO(pem(kind, number)))


@functools.cache
def _key(kind: str, number: int):
    return {
        # The same in every test process: tests are named after them, and pytest-xdist compares the names.
        'ed25519': lambda: ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32),
        'ecdsa': lambda: ec.derive_private_key(int.from_bytes(bytes([number + 1]) * 32), ec.SECP256R1()),
        'rsa': lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()


def pem(kind: str, number: int = 0, passphrase: str = '', form: str = 'OpenSSH') -> str:
    """The same key as text. `form`: 'OpenSSH', 'TraditionalOpenSSL' (PKCS#1, SEC 1) or 'PKCS8'."""
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    private_format = getattr(serialization.PrivateFormat, form)
    return _key(kind, number).private_bytes(serialization.Encoding.PEM, private_format, encryption).decode()


def prints(stdout: str, stderr: str = '', status: int = 0) -> Answer:
    def answer(channel: paramiko.Channel) -> None:
        channel.sendall(stdout.encode())
        channel.sendall_stderr(stderr.encode())
        channel.send_exit_status(status)

    return answer


def prints_without_end(channel: paramiko.Channel) -> None:
    while not channel.closed:
        channel.sendall(b'0123456789abcde\n' * 4096)


def complains_without_end(channel: paramiko.Channel) -> None:
    while not channel.closed:
        channel.sendall_stderr(b'0123456789abcde\n' * 4096)


def never_ends(channel: paramiko.Channel) -> None:
    channel.sendall(b'[')
    channel.status_event.wait(60)  # until the client goes away


def is_killed(channel: paramiko.Channel) -> None:
    """Half an answer and no exit status."""
    channel.sendall(b'[{"ifindex":1,"ifname":"lo"')


def breaks(channel: paramiko.Channel) -> None:
    channel.sendall(b'[{"ifindex":1,"ifname":"lo"')
    channel.transport.sock.shutdown(socket.SHUT_RDWR)


@dataclass(kw_only=True)
class Node(paramiko.ServerInterface):
    """
    Attributes:
        answers: By command; others are refused.
        attempts: Every attempt to log in: method, user, and the password or the key's fingerprint.
        ran: Every command that was asked for.
        confirms: If set, no command is confirmed before.
        thinks: Seconds before a password is accepted.
        terminals: How many terminals or environment variables were asked for.
        port: Given, or any that is free.
    """

    host_keys: tuple[paramiko.PKey, ...] = field(default_factory=lambda: (private_key('ed25519'),))
    user: str = 'root'
    password: str | None = None
    authorized: paramiko.PKey | None = None
    methods: str = 'publickey,password'
    second_factor: bool = False
    answers: dict[str, Answer] = field(default_factory=dict)
    attempts: list[tuple[str, str, str]] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    confirms: Event | None = None
    thinks: float = 0
    terminals: int = 0
    host: str = '127.0.0.1'
    port: int = 0

    @property
    def host_key(self) -> HostKey:
        return HostKey.of(self.host_keys[0], self.host, self.port)

    def serve(self, server: Server, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        for key in self.host_keys:
            transport.add_server_key(key)
        with suppress(paramiko.SSHException, EOFError):
            transport.start_server(server=self)
        while transport.is_alive() and not server.stopped.wait(0.02):
            pass
        transport.close()

    def get_allowed_auths(self, username):
        return self.methods

    def _attempt(self, method: str, user: str, offered: str, right: bool) -> int:
        self.attempts.append((method, user, offered))
        if not right or user != self.user:
            return paramiko.AUTH_FAILED
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.second_factor else paramiko.AUTH_SUCCESSFUL

    def check_auth_none(self, username):
        return self._attempt('none', username, '', False)

    def check_auth_password(self, username, password):
        time.sleep(self.thinks)
        return self._attempt('password', username, password, 'password' in self.methods and password == self.password)

    def check_auth_publickey(self, username, key):
        return self._attempt('publickey', username, key.fingerprint, key == self.authorized)

    def check_auth_interactive(self, username, submethods):
        self.attempts.append(('keyboard-interactive', username, ''))
        return paramiko.InteractiveQuery('', '', ('Password: ', False))

    def check_auth_interactive_response(self, responses):
        return self._attempt('response', self.user, responses[0], responses[0] == self.password)

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *args):
        self.terminals += 1
        return True

    def check_channel_env_request(self, *args):
        self.terminals += 1
        return True

    def check_channel_exec_request(self, channel, command):
        self.ran.append(command.decode())
        if self.confirms:
            self.confirms.wait(60)
        answer = self.answers.get(command.decode())
        if answer is None:
            return False
        Thread(target=self._answer, args=(channel, answer), daemon=True).start()
        return True

    @staticmethod
    def _answer(channel: paramiko.Channel, answer: Answer) -> None:
        # The client closes its side when it knows that the command runs: not to answer before that is what sshd does.
        channel.recv(1)
        with suppress(OSError, EOFError, paramiko.SSHException):
            answer(channel)
            channel.close()


@contextmanager
def serving_node(node: Node) -> Iterator[Node]:
    with serving(node.serve, address=(node.host, node.port)) as server:
        node.port = server.port
        yield node


@contextmanager
def serving_openssh(directory: Path, key: paramiko.PKey, *settings: str) -> Iterator[int]:
    """OpenSSH's sshd for the user who runs the tests, with a host key of each type. Gives its port."""
    port = closed_port()
    for kind in ('ed25519', 'ecdsa', 'rsa'):
        file = directory / f'host_{kind}'
        file.write_text(pem(kind))
        file.chmod(0o600)
    (directory / 'authorized_keys').write_text(f'{key.get_name()} {key.get_base64()}\n')
    config = directory / 'sshd_config'
    config.write_text(
        '\n'.join(
            (
                *settings,
                f'Port {port}',
                'ListenAddress 127.0.0.1',
                *(f'HostKey {directory}/host_{kind}' for kind in ('ed25519', 'ecdsa', 'rsa')),
                f'AuthorizedKeysFile {directory}/authorized_keys',
                'StrictModes no',
                'UsePAM no',
                'PermitRootLogin yes',
                'PasswordAuthentication no',
                'KbdInteractiveAuthentication no',
                'PidFile none',
                'Subsystem sftp internal-sftp',
            )
        )
    )
    if os.geteuid() == 0:
        Path('/run/sshd').mkdir(mode=0o755, exist_ok=True)  # sshd's own, which its service makes at its start
    with open(directory / 'sshd.log', 'wb') as log:
        process = subprocess.Popen([SSHD, '-D', '-e', '-f', str(config)], stderr=log)
    try:
        _wait_for(process, port, directory / 'sshd.log')
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(process: subprocess.Popen, port: int, log: Path) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(f'sshd did not start: {log.read_text()}')


def this_user() -> str:
    return getpass.getuser()
