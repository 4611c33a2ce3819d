"""
Errors of the communication with Proxmox VE, with messages for the administrator.

No error holds the token's secret, or the exception of the HTTP library that caused it: that exception refers to the
request, whose header contains the secret.
"""

from .messages import EMPTY, Message, joined

__all__ = (
    'APIError',
    'AuthenticationError',
    'CallTimeoutError',
    'CanceledError',
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
        message: What failed, and on which host or object.
        remedy: How to correct it; '' if nothing can be done.
        transient: Whether the same call may succeed if it is repeated.
        fatal: Whether every other call will fail as well, so that the read must end.
    """

    fatal = False

    def __init__(self, message: Message, remedy: Message = EMPTY, *, transient: bool = False) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy
        self.transient = transient

    def __str__(self) -> str:
        return joined((self.message, self.remedy))


class InvalidConnectionError(ProxmoxError):
    """A setting of the connection is invalid (host, CA certificate, fingerprint, token)."""

    fatal = True


class HostUnreachableError(ProxmoxError):
    """No connection to a host: unknown name, closed port, no route, no answer, or a failing proxy."""

    fatal = True


class TLSError(ProxmoxError):
    """
    The host's certificate was not accepted. No request was sent.

    Attributes:
        fingerprint: The SHA-256 fingerprint of the certificate that the host presented; None if it was not fetched.
    """

    fatal = True

    def __init__(self, message: Message, remedy: Message = EMPTY, *, fingerprint: str | None = None) -> None:
        super().__init__(message, remedy)
        self.fingerprint = fingerprint


class NotProxmoxError(ProxmoxError):
    """The host answers, but not with the API of Proxmox VE."""

    fatal = True


class VersionTooOldError(ProxmoxError):
    """The version of Proxmox VE is older than the minimum."""

    fatal = True


class AuthenticationError(ProxmoxError):
    """HTTP 401: the token is wrong, unknown, expired, or belongs to a disabled user."""

    fatal = True


class CanceledError(ProxmoxError):
    """The run was canceled."""

    fatal = True


class RunTimeoutError(ProxmoxError):
    """The whole read took longer than its limit."""

    fatal = True


class TooMuchDataError(ProxmoxError):
    """The answers of a whole read exceed the size limit."""

    fatal = True


class PermissionDeniedError(ProxmoxError):
    """
    HTTP 403: the token lacks a privilege.

    Attributes:
        privilege: The missing privilege ('VM.Audit', 'Sys.Audit|Sys.Modify'); '' if Proxmox VE did not name it.
        path: The path on which it is missing ('/vms/100'); '' if Proxmox VE did not name it.
    """

    def __init__(self, message: Message, remedy: Message = EMPTY, *, privilege: str = '', path: str = '') -> None:
        super().__init__(message, remedy)
        self.privilege = privilege
        self.path = path


class NodeUnreachableError(ProxmoxError):
    """
    HTTP 595-599: the connected host could not reach the node of the call.

    Attributes:
        node: The name of the node; None if the call names none.
        words: The status and reason given by Proxmox VE, e.g. '596 Connection timed out'.
    """

    def __init__(
        self, message: Message, remedy: Message = EMPTY, *, node: str | None, words: str, transient: bool = False
    ) -> None:
        super().__init__(message, remedy, transient=transient)
        self.node = node
        self.words = words


class CallTimeoutError(ProxmoxError):
    """A call was not answered within its time limit."""


class ConnectionBrokenError(ProxmoxError):
    """An established connection broke before the answer was complete."""


class InvalidResponseError(ProxmoxError):
    """HTTP 200 with a body that is not an answer of the API."""


class APIError(ProxmoxError):
    """
    Any other HTTP error status.

    Attributes:
        status: The HTTP status.
        reason: The reason given by Proxmox VE in the status line or the body.
    """

    def __init__(
        self, message: Message, remedy: Message = EMPTY, *, status: int, reason: str, transient: bool = False
    ) -> None:
        super().__init__(message, remedy, transient=transient)
        self.status = status
        self.reason = reason

    @property
    def not_implemented(self) -> bool:
        """Whether this version of Proxmox VE does not have the call."""
        return self.status == 501

    @property
    def guest_not_there(self) -> bool:
        """Whether the guest was deleted or moved to another node. Proxmox VE answers 500 for this, never 404."""
        return self.status == 500 and 'does not exist' in self.reason
