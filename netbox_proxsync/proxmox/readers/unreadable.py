"""Errors and problems of reading one guest."""

import re
from dataclasses import dataclass

from ..errors import APIError, CallTimeoutError, NodeUnreachableError, PermissionDeniedError, ProxmoxError
from ..inventory import Unreadable
from ..notices import VMID
from ..parsers.resources import GuestRow

__all__ = ('GuestProblem', 'UnreadableError', 'unreadable_error')


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestProblem:
    """A problem with a guest for the administrator. It does not name the guest, so that guests can share one notice."""

    what: str
    remedy: str = ''


class UnreadableError(Exception):
    """
    A part of a guest cannot be read. Caught where the guest is assembled.

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
    Return the error for a failed call about a guest.

    Args:
        what: What was read, e.g. 'its configuration'.

    Raises:
        ProxmoxError: The error itself, if it is `fatal`.
    """
    if error.fatal:
        raise error
    if isinstance(error, PermissionDeniedError):
        lacks = f' ({error.privilege} on {error.path})' if error.privilege else ''
        problem = GuestProblem(what=f'The token may not read {what}', remedy=error.remedy)
        return UnreadableError(f'The token may not read {what}{lacks}.', problem)
    if isinstance(error, NodeUnreachableError):
        return UnreadableError(error.message)  # reported once, for the node
    if isinstance(error, CallTimeoutError):
        return UnreadableError(
            error.message, GuestProblem(what=f'Proxmox VE did not return {what} in time', remedy=error.remedy)
        )
    if isinstance(error, APIError) and error.guest_not_there:
        return UnreadableError(f'It is not on node {row.node} any more.')
    if isinstance(error, APIError):
        # The same text for all guests, so that they share one notice.
        words = re.sub(rf'(?<![0-9]){row.vmid}(?![0-9])', VMID, error.reason)
        problem = GuestProblem(what=f'Proxmox could not read {what} ({words})')
        return UnreadableError(f'Proxmox could not read {what}: {error.reason}.', problem)
    return UnreadableError(error.message, GuestProblem(what=f'Proxmox VE returned an invalid response for {what}'))
