"""
What can go wrong between NetBox and Proxmox VE, told to the person who can act.

None of these ever holds the token's secret, nor the exception of the HTTP library that it was made from: that one
carries the request, and with it the header that holds the secret.
"""

__all__ = (
    'APIError',
    'AuthenticationError',
    'CallTimeoutError',
    'CancelledError',
    'ConnectionBrokenError',
    'HostUnreachableError',
    'InvalidConnectionError',
    'InvalidResponseError',
    'NodeUnreachableError',
    'NotProxmoxError',
    'PermissionDeniedError',
    'ProxmoxError',
    'RunTimeoutError',
    'TLSError',
    'TooMuchDataError',
    'VersionTooOldError',
)


class ProxmoxError(Exception):
    """
    Something failed while reading Proxmox VE.

    Attributes:
        message: What failed, on which host or object.
        remedy: What to do about it ('' if nothing can be done).
        transient: Whether the same call may succeed a moment later.
        fatal: Whether no other call can succeed either, so that reading on is useless.
    """

    fatal = False

    def __init__(self, message: str, remedy: str = '', *, transient: bool = False) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy
        self.transient = transient

    def __str__(self) -> str:
        return f'{self.message} {self.remedy}'.strip()


class InvalidConnectionError(ProxmoxError):
    """The settings of the connection cannot be used as they are (host, CA certificate, fingerprint)."""

    fatal = True


class HostUnreachableError(ProxmoxError):
    """No connection to a host: its name is unknown, the port closed, no route, no answer, a proxy in the way."""

    fatal = True


class TLSError(ProxmoxError):
    """
    The host's certificate was not accepted. Nothing was sent to it.

    Attributes:
        fingerprint: The SHA-256 fingerprint of the certificate that the host showed, if it could be fetched.
    """

    fatal = True

    def __init__(self, message: str, remedy: str = '', *, fingerprint: str | None = None) -> None:
        super().__init__(message, remedy)
        self.fingerprint = fingerprint


class NotProxmoxError(ProxmoxError):
    """Something answers, but it is not the API of Proxmox VE."""

    fatal = True


class VersionTooOldError(ProxmoxError):
    """A Proxmox VE older than the oldest that can be read."""

    fatal = True


class AuthenticationError(ProxmoxError):
    """401: the token is wrong, unknown, expired or of a disabled user."""

    fatal = True


class CancelledError(ProxmoxError):
    """The run was cancelled."""

    fatal = True


class RunTimeoutError(ProxmoxError):
    """The whole run took longer than it may."""

    fatal = True


class TooMuchDataError(ProxmoxError):
    """The answers of a whole run are larger than they can be."""

    fatal = True


class PermissionDeniedError(ProxmoxError):
    """
    403.

    Attributes:
        privilege: What the token lacks, as Proxmox names it ('VM.Audit', 'Sys.Audit|Sys.Modify'); '' if it did not say.
        path: Where it lacks it ('/vms/100'); '' if Proxmox did not say.
    """

    def __init__(self, message: str, remedy: str = '', *, privilege: str = '', path: str = '') -> None:
        super().__init__(message, remedy)
        self.privilege = privilege
        self.path = path


class NodeUnreachableError(ProxmoxError):
    """
    595-599: the host that we talk to could not reach the node that the call is about.

    Attributes:
        words: Proxmox's own: '596 Connection timed out'.
    """

    def __init__(
        self, message: str, remedy: str = '', *, node: str | None, words: str, transient: bool = False
    ) -> None:
        super().__init__(message, remedy, transient=transient)
        self.node = node
        self.words = words


class CallTimeoutError(ProxmoxError):
    """One call was not answered in time."""


class ConnectionBrokenError(ProxmoxError):
    """The connection was established and broke before the answer was complete."""


class InvalidResponseError(ProxmoxError):
    """200, but not in the form that Proxmox answers in."""


class APIError(ProxmoxError):
    """
    Any other refusal.

    Attributes:
        status: HTTP status.
        reason: Proxmox's own words, from the status line or the body.
    """

    def __init__(self, message: str, remedy: str = '', *, status: int, reason: str, transient: bool = False) -> None:
        super().__init__(message, remedy, transient=transient)
        self.status = status
        self.reason = reason

    @property
    def not_implemented(self) -> bool:
        """This version of Proxmox does not have the call."""
        return self.status == 501

    @property
    def guest_not_there(self) -> bool:
        """Proxmox's answer for a guest that was deleted, or moved to another node: 500, never 404."""
        return self.status == 500 and 'does not exist' in self.reason
