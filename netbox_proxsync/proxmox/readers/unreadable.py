"""What stands in the place of something about a guest that could not be read."""

import re
from dataclasses import dataclass

from ..errors import APIError, CallTimeoutError, NodeUnreachableError, PermissionDeniedError, ProxmoxError
from ..inventory import Unreadable
from ..notices import VMID
from ..parsers.resources import GuestRow

__all__ = ('GuestProblem', 'UnreadableError', 'unreadable_error')


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestProblem:
    """What an administrator should know about one guest; without the guest, so that it can be told of many at once."""

    what: str
    remedy: str = ''


class UnreadableError(Exception):
    """
    Raised where something about a guest cannot be read, and caught where the guest is put together.

    Attributes:
        unreadable: The reading that the inventory holds instead.
        problem: What is reported to the administrator; None if nothing is wrong, or if it is reported elsewhere.
    """

    def __init__(self, reason: str, problem: GuestProblem | None = None) -> None:
        super().__init__(reason)
        self.unreadable = Unreadable(reason)
        self.problem = problem


def unreadable_error(what: str, row: GuestRow, error: ProxmoxError) -> UnreadableError:
    """
    What the failure of a call about a guest means for this guest.

    Args:
        what: 'its configuration'.

    Raises:
        ProxmoxError: The error itself, if after it no other call can succeed either.
    """
    if error.fatal:
        raise error
    if isinstance(error, PermissionDeniedError):
        lacks = f' ({error.privilege} on {error.path})' if error.privilege else ''
        problem = GuestProblem(what=f'The token may not read {what}', remedy=error.remedy)
        return UnreadableError(f'The token may not read {what}{lacks}.', problem)
    if isinstance(error, NodeUnreachableError):
        return UnreadableError(error.message)  # told once, of the node
    if isinstance(error, CallTimeoutError):
        return UnreadableError(
            error.message, GuestProblem(what=f'Proxmox did not tell {what} in time', remedy=error.remedy)
        )
    if isinstance(error, APIError) and error.guest_not_there:
        return UnreadableError(f'It is not on node {row.node} any more.')
    if isinstance(error, APIError):
        # The same words for all guests, so that they make one notice, which names the VM ID of a single one.
        words = re.sub(rf'(?<![0-9]){row.vmid}(?![0-9])', VMID, error.reason)
        problem = GuestProblem(what=f'Proxmox could not read {what} ({words})')
        return UnreadableError(f'Proxmox could not read {what}: {error.reason}.', problem)
    return UnreadableError(error.message, GuestProblem(what=f'Proxmox did not tell {what} in a form that can be read'))
