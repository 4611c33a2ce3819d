"""The SSH settings, which are the same for all nodes of a cluster."""

import re
from dataclasses import dataclass, field

import paramiko

from ..hosts import is_host
from ..messages import Message
from .errors import InvalidSSHSettingsError
from .keys import Pin, load_private_key, parse_pins

__all__ = ('TIMEOUT', 'SSHSettings', 'check_address', 'check_user')

TIMEOUT = 10  # seconds

USER = re.compile(r'[^\s\x00-\x1f\x7f]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHSettings:
    """
    The SSH settings for the nodes of a cluster. Secrets are not part of the representation.

    Attributes:
        password, private_key: Exactly one of them is set. The key is the text of an Ed25519, ECDSA or RSA key file.
        passphrase: The passphrase of an encrypted private key.
        host_keys: Lines '[host] key-type base64' or '[host] SHA256:...'. A line without a host applies to all hosts.
            Without any line, no node can be read.
        timeout: The time limit in seconds of connecting, exchanging keys, logging in and each command; the whole
            session has three times that. Every address of a name is tried.

    Raises:
        InvalidSSHSettingsError: A setting is invalid.
    """

    user: str
    port: int = 22
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    host_keys: tuple[str, ...] = ()
    timeout: float = TIMEOUT
    pins: tuple[Pin, ...] = field(init=False, repr=False, compare=False)
    key: paramiko.PKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_user(self.user)
        if not 0 < self.port < 65536:
            raise InvalidSSHSettingsError(
                Message('{port} is not a port.', port=self.port),
                Message('Write the SSH port of the nodes, usually 22.'),
            )
        if not self.timeout > 0:
            raise InvalidSSHSettingsError(
                Message('{timeout} seconds is not a valid timeout.', timeout=self.timeout),
                Message('Allow at least a second.'),
            )
        if not self.password and not self.private_key:
            raise InvalidSSHSettingsError(
                Message('Neither an SSH password nor a private key is given.'), Message('Give one of them.')
            )
        if self.password and self.private_key:
            raise InvalidSSHSettingsError(
                Message('Both an SSH password and a private key are given.'), Message('Remove one of them.')
            )
        object.__setattr__(self, 'pins', parse_pins(self.host_keys))
        # Once for all nodes: decrypting a key is slow by design.
        key = load_private_key(self.private_key, self.passphrase) if self.private_key else None
        object.__setattr__(self, 'key', key)


def check_user(user: str) -> None:
    """Raises InvalidSSHSettingsError."""
    if not USER.fullmatch(user):
        raise InvalidSSHSettingsError(
            Message('The SSH user is empty or contains spaces.'), Message('Enter the name of a user of the nodes.')
        )


def check_address(host: str) -> None:
    """Raise InvalidSSHSettingsError unless the text is a name or an address without brackets and port."""
    if not is_host(host):
        raise InvalidSSHSettingsError(
            Message('{text} is not a host.', text=host or Message('An empty text')),
            Message('Write a name or an address, without brackets; the port apart.'),
        )
