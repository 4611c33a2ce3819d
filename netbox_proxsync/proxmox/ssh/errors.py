"""
Errors of the communication with nodes over SSH, with messages for the administrator.

None of them ends a run, because SSH only supplements the API. None holds a password, a private key, or the exception of
the SSH library that caused it.
"""

from typing import TYPE_CHECKING

from ..errors import ProxmoxError
from ..messages import EMPTY, Message

if TYPE_CHECKING:
    from .host_key import HostKey

__all__ = (
    'HostKeyChangedError',
    'HostKeyNotPinnedError',
    'HostKeyRefusedError',
    'InvalidPassphraseError',
    'InvalidSSHSettingsError',
    'SSHAddressNotAllowedError',
    'SSHAuthenticationError',
    'SSHCommandRefusedError',
    'SSHError',
    'SSHOutputTooLargeError',
    'SSHTimeoutError',
    'SSHUnreachableError',
    'WrongNodeError',
)


class SSHError(ProxmoxError):
    """Nothing could be read from a node over SSH."""


class InvalidSSHSettingsError(SSHError):
    """A setting is invalid (host, user, password, private key, pinned host keys)."""


class InvalidPassphraseError(InvalidSSHSettingsError):
    """The passphrase of the private key is missing or wrong."""


class SSHUnreachableError(SSHError):
    """No SSH connection to the host: unknown name, closed port, no route, another protocol, or a broken connection."""


class SSHAddressNotAllowedError(SSHError):
    """The policy forbids contact with this address. Nothing was sent to it."""


class SSHTimeoutError(SSHError):
    """The host, or a command on it, exceeded its time limit."""


class HostKeyRefusedError(SSHError):
    """
    The host does not have a pinned key. No user name, password or key was sent to it.

    Attributes:
        key: The key that the host offers.
    """

    def __init__(self, message: Message, remedy: Message = EMPTY, *, key: 'HostKey') -> None:
        super().__init__(message, remedy)
        self.key = key


class HostKeyNotPinnedError(HostKeyRefusedError):
    """No key is pinned for this host yet."""


class HostKeyChangedError(HostKeyRefusedError):
    """The host offers another key than the pinned one."""


class SSHAuthenticationError(SSHError):
    """The host rejects the user, or the password or key."""


class SSHCommandRefusedError(SSHError):
    """The user may log in, but not run the commands: a restricted shell, ForceCommand, or no shell."""


class WrongNodeError(SSHError):
    """The host is not the expected node."""


class SSHOutputTooLargeError(SSHError):
    """The output of a command exceeds the size limit."""
