"""One SSH connection to a verified host, with limits on time and size."""

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Timer
from typing import Self

import paramiko

from ..connections import AddressNotAllowedError, ContactPolicy, Sockets, connect
from ..hosts import Host
from ..messages import Message, as_is
from ..storable_text import clean_text
from .errors import (
    SSHAddressNotAllowedError,
    SSHAuthenticationError,
    SSHCommandRefusedError,
    SSHError,
    SSHOutputTooLargeError,
    SSHTimeoutError,
    SSHUnreachableError,
)
from .host_key import HostKey
from .keys import ALGORITHMS

__all__ = ('MAX_OUTPUT', 'Output', 'Session', 'shortened')

MAX_OUTPUT = 16 * 1024**2  # bytes; 10,000 interfaces are about 12 MB of `ip -j -d link show`
MAX_ERRORS = 1000  # bytes of the error output that are used
CHUNK = 64 * 1024
SHOWN = 200  # characters of a host's output in a message

PRIVATE_KEY, PASSWORD = Message('private key'), Message('password')
CHECK_PORT = Message('Check the port (default: 22), and that sshd is running and accepts connections from NetBox.')


@dataclass(frozen=True, slots=True)
class Output:
    """
    The output of a command.

    Attributes:
        status: The exit status; None if the command was killed, so that the output may be incomplete.
    """

    status: int | None
    text: str
    errors: str

    @property
    def words(self) -> str:
        """The first line of output for a message."""
        return shortened(self.errors) or shortened(self.text)


class Session:
    """
    An SSH session. Use it as a context manager; its exit closes the connection.

    When a limit is exceeded, the connection is closed. This ends every wait in paramiko, including those without a time
    limit of their own.

    Args:
        timeout: The time limit of each step in seconds.
        deadline: The end of the session, on the clock of `time.monotonic()`.
        sockets: Registers the socket, so that another thread can abort the session.
        policy: The addresses that may be contacted.
    """

    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        deadline: float,
        sockets: Sockets | None = None,
        policy: ContactPolicy | None = None,
    ) -> None:
        self.name = str(Host(host, port))
        self._host, self._port = host, port
        self._timeout, self._deadline = timeout, deadline
        self._sockets = sockets
        self._policy = policy or ContactPolicy()
        self._late = False
        self._transport: paramiko.Transport | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def connect(self, types: Iterable[str]) -> HostKey:
        """
        Connect (again) and exchange keys; nothing else is sent. Return the key that the host has proved to hold.

        Args:
            types: The accepted types of host keys, in order of preference.

        Raises:
            SSHUnreachableError, SSHTimeoutError: No connection.
        """
        self._close()
        self._socket = self._connected()
        # A Transport, unlike SSHClient, uses no agent, key files, configuration or known_hosts.
        self._transport = transport = paramiko.Transport(self._socket)
        transport.daemon = True
        # The limits of `_limited` are stricter.
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = self._timeout + 5
        transport.get_security_options().key_types = [name for type_ in types for name in ALGORITHMS[type_]]
        self._limited(Message('exchanging keys'), transport.start_client, self._no_ssh)
        return self._limited(
            Message('exchanging keys'),
            lambda: HostKey.of(transport.get_remote_server_key(), self._host, self._port),
            self._no_ssh,
        )

    def login(self, user: str, password: str | None, key: paramiko.PKey | None) -> None:
        """Log in with a key or a password. Raises SSHAuthenticationError, SSHUnreachableError or SSHTimeoutError."""
        transport, what = self._connected_transport, PRIVATE_KEY if key else PASSWORD

        def attempt() -> list[str]:
            return transport.auth_publickey(user, key) if key else transport.auth_password(user, password or '')

        further = self._limited(Message('logging in'), attempt, lambda error: self._not_let_in(error, user, what))
        if further:
            raise SSHAuthenticationError(
                Message(
                    '{host} requires further authentication of {user}: {further}.',
                    host=self.name,
                    user=user,
                    further=shortened(' or '.join(further)),
                ),
                Message('Let this user log in with one factor from the NetBox server.'),
            )

    def run(self, command: str) -> Output:
        """Run one command, without a terminal and without input. Raises SSHError."""
        return self._limited(as_is(f'"{command}"'), lambda: self._run(command), self._not_run)

    def _run(self, command: str) -> Output:
        channel = self._connected_transport.open_session()
        try:
            channel.exec_command(command)
            channel.shutdown_write()  # ends commands that wait for input, such as an SFTP server
            output = bytearray()
            while chunk := channel.recv(CHUNK):
                output += chunk
                if len(output) > MAX_OUTPUT:
                    raise SSHOutputTooLargeError(
                        Message(
                            '{host} printed more than {size} MiB for "{command}".',
                            host=self.name,
                            size=MAX_OUTPUT // 1024**2,
                            command=command,
                        ),
                        Message('Run the command on the node and check its output.'),
                    )
            status = channel.recv_exit_status()
            errors = channel.recv_stderr(MAX_ERRORS) if channel.recv_stderr_ready() else b''
        finally:
            channel.close()
        text, words = (clean_text(part.decode(errors='replace')) for part in (bytes(output), errors))
        if status < 0 and self._broken():
            raise self._lost()
        return Output(status if status >= 0 else None, text, words)

    def _limited[T](self, what: Message, action: Callable[[], T], explain: Callable[[Exception], SSHError]) -> T:
        """Run an action within the time limit. Every exception of paramiko becomes an SSHError."""
        failure: SSHError | None = None
        timer = Timer(max(0, min(self._timeout, self._deadline - time.monotonic())), self._too_late)
        timer.daemon = True
        timer.start()
        try:
            result = action()
        except SSHError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a malformed packet may raise any exception
            failure = explain(error)
        finally:
            timer.cancel()
        if self._late:
            raise SSHTimeoutError(
                Message(
                    '{host} did not complete a step within {limit} seconds: {what}.',
                    host=self.name,
                    what=what,
                    limit=f'{self._timeout:g}',
                ),
                Message('Check whether the node is overloaded, and that SSH answers at this address.'),
            )
        if failure:
            raise failure
        return result

    @property
    def _connected_transport(self) -> paramiko.Transport:
        assert self._transport is not None, 'connect() must be called first'
        return self._transport

    def _too_late(self) -> None:
        self._late = True
        self._close()

    def _close(self) -> None:
        if self._transport:
            self._transport.close()
        if self._socket:
            self._socket.close()

    def _connected(self) -> socket.socket:
        failure: SSHError
        deadline = min(self._deadline, time.monotonic() + self._timeout)
        try:
            return connect(self._host, self._port, self._policy, deadline, self._sockets)
        except AddressNotAllowedError as error:
            failure = SSHAddressNotAllowedError(error.message, error.remedy)
        except (socket.gaierror, UnicodeError):
            failure = SSHUnreachableError(
                Message('The name {host} cannot be resolved.', host=self._host),
                Message('Check the spelling, and that the name resolves on the NetBox server.'),
            )
        except TimeoutError:
            failure = SSHTimeoutError(
                Message(
                    '{host} did not answer within {timeout} seconds.', host=self.name, timeout=f'{self._timeout:g}'
                ),
                Message('Check that the host is online and that no firewall blocks NetBox from its SSH port.'),
            )
        except ConnectionError:
            failure = SSHUnreachableError(
                Message('{host} refused the connection.', host=self.name), CHECK_PORT, transient=True
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            failure = SSHUnreachableError(
                Message('{host} cannot be reached: {reason}.', host=self.name, reason=reason),
                Message('Check that the NetBox server can reach this network.'),
            )
        raise failure

    def _no_ssh(self, error: Exception) -> SSHError:
        if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
            return SSHUnreachableError(
                Message('{host} and NetBox have no common encryption algorithm or type of host key.', host=self.name),
                Message('Let sshd offer an Ed25519, ECDSA or RSA host key (with SHA-2) and current algorithms.'),
            )
        if isinstance(error, EOFError | OSError):
            return SSHUnreachableError(
                Message('{host} closed the connection before keys were exchanged.', host=self.name), CHECK_PORT
            )
        return SSHUnreachableError(
            Message('{host} does not speak SSH, or closed the connection immediately.', host=self.name), CHECK_PORT
        )

    def _not_let_in(self, error: Exception, user: str, what: str) -> SSHError:
        if isinstance(error, paramiko.BadAuthenticationType):
            allowed = shortened(', '.join(map(str, error.allowed_types))) or 'nothing'
            return SSHAuthenticationError(
                Message(
                    '{host} does not allow {user} to log in with this method ({what}). Allowed methods: {allowed}.',
                    host=self.name,
                    user=user,
                    what=what,
                    allowed=allowed,
                ),
                Message('Use an allowed method, or change sshd_config (PasswordAuthentication, PermitRootLogin).'),
            )
        if isinstance(error, paramiko.AuthenticationException) and not self._broken():
            if what is PRIVATE_KEY:
                rejected = Message('{host} rejected the private key of {user}.', host=self.name, user=user)
                place = Message('Check that the public key is in the authorized_keys of {user}.', user=user)
            else:
                rejected = Message('{host} rejected the password of {user}.', host=self.name, user=user)
                place = Message(
                    'Enter the password again. PermitRootLogin in sshd_config may allow only keys for root.'
                )
            return SSHAuthenticationError(rejected, place)
        return SSHUnreachableError(
            Message('{host} closed the connection while {user} logged in.', host=self.name, user=user),
            Message('Check the log of sshd on the node (AllowUsers, MaxAuthTries, fail2ban).'),
        )

    def _not_run(self, error: Exception) -> SSHError:
        if self._broken():
            return self._lost()
        return SSHCommandRefusedError(
            Message('{host} does not let this user run commands.', host=self.name),
            Message('Give the user an ordinary shell, or use another.'),
        )

    def _lost(self) -> SSHUnreachableError:
        return SSHUnreachableError(
            Message('{host} closed the connection unexpectedly.', host=self.name),
            Message('Check whether the node, its network or sshd was restarted.'),
            transient=True,
        )

    def _broken(self) -> bool:
        # paramiko closes the channels of a broken connection a moment before the connection becomes inactive.
        self._connected_transport.join(0.2)
        return not self._connected_transport.is_alive()


def shortened(text: str) -> str:
    """Return the first line of a host's output, printable and shortened for a message."""
    line = next((line for line in text.splitlines() if line.strip()), '')
    line = ''.join(char if char.isprintable() else ' ' for char in line).strip()
    return line if len(line) <= SHOWN else f'{line[:SHOWN]}...'
