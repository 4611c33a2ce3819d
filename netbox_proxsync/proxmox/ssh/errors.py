"""
What can go wrong when a node is asked over SSH, told to the person who can act.

None of these ends a run: what SSH tells is an addition to what the API does. None holds a password or a key, nor the
exception of the SSH library that it was made from.
"""

from typing import TYPE_CHECKING

from ..errors import ProxmoxError

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
    """The settings cannot be used as they are (host, user, password, private key, pinned host keys)."""


class InvalidPassphraseError(InvalidSSHSettingsError):
    """The passphrase of the private key is missing or wrong."""


class SSHUnreachableError(SSHError):
    """No SSH with the host: name unknown, port closed, no route, something else answers there, connection broken."""


class SSHAddressNotAllowedError(SSHError):
    """NetBox is not allowed to contact this address. Nothing was sent to it."""


class SSHTimeoutError(SSHError):
    """The host, or a command on it, took longer than it may."""


class HostKeyRefusedError(SSHError):
    """
    The host did not prove that it is the one that was pinned. Neither user name, password nor key was sent to it.

    Attributes:
        key: The one that the host showed.
    """

    def __init__(self, message: str, remedy: str = '', *, key: 'HostKey') -> None:
        super().__init__(message, remedy)
        self.key = key


class HostKeyNotPinnedError(HostKeyRefusedError):
    """No key is pinned for this host yet."""


class HostKeyChangedError(HostKeyRefusedError):
    """The host shows another key than the pinned one."""


class SSHAuthenticationError(SSHError):
    """The host does not let this user in with this password or key."""


class SSHCommandRefusedError(SSHError):
    """The user may log in but not run the commands: a restricted shell, ForceCommand, no shell at all."""


class WrongNodeError(SSHError):
    """The host is not the node that it was asked as."""


class SSHOutputTooLargeError(SSHError):
    """A command printed more than its output can be."""
