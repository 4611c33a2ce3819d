"""
What can go wrong between NetBox and Proxmox VE, told to the person who can act.

None of these ever holds the token's secret, nor the exception of the HTTP library that it was made from: that one
carries the request, and with it the header that holds the secret.
"""

__all__ = (
    'AuthenticationFailed',
    'CallFailed',
    'CallTimeout',
    'Cancelled',
    'ConnectionBroken',
    'GarbledAnswer',
    'HostUnreachable',
    'InvalidConnection',
    'NodeUnreachable',
    'NotProxmox',
    'PermissionDenied',
    'ProxmoxError',
    'RunTimeout',
    'TLSFailed',
    'TooMuchData',
    'VersionTooOld',
)


class ProxmoxError(Exception):
    """
    Something failed while reading Proxmox VE.

    Attributes:
        message: What failed, on which host or object.
        remedy: What to do about it ('' if nothing can be done).
        passing: Whether the same call may succeed a moment later.
        fatal: Whether no other call can succeed either, so that reading on is useless.
    """

    fatal = False

    def __init__(self, message: str, remedy: str = '', *, passing: bool = False) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy
        self.passing = passing

    def __str__(self) -> str:
        return f'{self.message} {self.remedy}'.strip()


class InvalidConnection(ProxmoxError):
    """The settings of the connection cannot be used as they are (host, CA certificate, fingerprint)."""

    fatal = True


class HostUnreachable(ProxmoxError):
    """No connection to a host: its name is unknown, the port closed, no route, no answer, a proxy in the way."""

    fatal = True


class TLSFailed(ProxmoxError):
    """
    The host's certificate was not accepted. Nothing was sent to it.

    Attributes:
        fingerprint: The SHA-256 fingerprint of the certificate that the host showed, if it could be fetched.
    """

    fatal = True

    def __init__(self, message: str, remedy: str = '', *, fingerprint: str | None = None) -> None:
        super().__init__(message, remedy)
        self.fingerprint = fingerprint


class NotProxmox(ProxmoxError):
    """Something answers, but it is not the API of Proxmox VE."""

    fatal = True


class VersionTooOld(ProxmoxError):
    """A Proxmox VE older than the oldest that can be read."""

    fatal = True


class AuthenticationFailed(ProxmoxError):
    """401: the token is wrong, unknown, expired or of a disabled user."""

    fatal = True


class Cancelled(ProxmoxError):
    """The run was cancelled."""

    fatal = True


class RunTimeout(ProxmoxError):
    """The whole run took longer than it may."""

    fatal = True


class TooMuchData(ProxmoxError):
    """The answers of a whole run are larger than they can be."""

    fatal = True


class PermissionDenied(ProxmoxError):
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


class NodeUnreachable(ProxmoxError):
    """
    595-599: the host that we talk to could not reach the node that the call is about.

    Attributes:
        words: Proxmox's own: '596 Connection timed out'.
    """

    def __init__(self, message: str, remedy: str = '', *, node: str | None, words: str, passing: bool = False) -> None:
        super().__init__(message, remedy, passing=passing)
        self.node = node
        self.words = words


class CallTimeout(ProxmoxError):
    """One call was not answered in time."""


class ConnectionBroken(ProxmoxError):
    """The connection was established and broke before the answer was complete."""


class GarbledAnswer(ProxmoxError):
    """200, but not in the form that Proxmox answers in."""


class CallFailed(ProxmoxError):
    """
    Any other refusal.

    Attributes:
        status: HTTP status.
        reason: Proxmox's own words, from the status line or the body.
    """

    def __init__(self, message: str, remedy: str = '', *, status: int, reason: str, passing: bool = False) -> None:
        super().__init__(message, remedy, passing=passing)
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
