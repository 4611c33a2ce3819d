"""Errors and problems of reading one guest."""

import re
from dataclasses import dataclass

from ..errors import APIError, CallTimeoutError, NodeUnreachableError, PermissionDeniedError, ProxmoxError
from ..inventory import Unreadable
from ..messages import EMPTY, Message
from ..notices import VMID
from ..parsers.resources import GuestRow

__all__ = ('GuestProblem', 'UnreadableError', 'unreadable_error')


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestProblem:
    """A problem with a guest for the administrator. It does not name the guest, so that guests can share one notice."""

    what: Message
    remedy: Message = EMPTY


class UnreadableError(Exception):
    """
    A part of a guest cannot be read. Caught where the guest is assembled.

    Attributes:
        unreadable: The reading that the inventory holds instead.
        problem: What is reported to the administrator; None if nothing is wrong, or if it is reported elsewhere.
    """

    def __init__(self, reason: Message, problem: GuestProblem | None = None) -> None:
        super().__init__(reason)
        self.unreadable = Unreadable(reason)
        self.problem = problem


def unreadable_error(what: Message, row: GuestRow, error: ProxmoxError) -> UnreadableError:
    """
    Return the error for a failed call about a guest.

    Args:
        what: The name of what was read, which the texts have in parentheses, e.g. 'configuration'.

    Raises:
        ProxmoxError: The error itself, if it is `fatal`.
    """
    if error.fatal:
        raise error
    if isinstance(error, PermissionDeniedError):
        problem = GuestProblem(what=Message('The token has no permission ({what})', what=what), remedy=error.remedy)
        if not error.privilege:
            return UnreadableError(Message('The token has no permission ({what}).', what=what), problem)
        return UnreadableError(
            Message(
                'The token has no permission ({what}): it lacks {privilege} on {path}.',
                what=what,
                privilege=error.privilege,
                path=error.path,
            ),
            problem,
        )
    if isinstance(error, NodeUnreachableError):
        return UnreadableError(error.message)  # reported once, for the node
    if isinstance(error, CallTimeoutError):
        return UnreadableError(
            error.message,
            GuestProblem(what=Message('Proxmox VE did not respond in time ({what})', what=what), remedy=error.remedy),
        )
    if isinstance(error, APIError) and error.guest_not_there:
        return UnreadableError(
            Message('The guest was moved from node {node} or deleted during the run.', node=row.node)
        )
    if isinstance(error, APIError):
        # The same text for all guests, so that they share one notice.
        words = re.sub(rf'(?<![0-9]){row.vmid}(?![0-9])', VMID, error.reason)
        problem = GuestProblem(what=Message('Proxmox VE reported an error ({what}): {words}', what=what, words=words))
        return UnreadableError(
            Message('Proxmox VE reported an error ({what}): {reason}.', what=what, reason=error.reason), problem
        )
    return UnreadableError(
        error.message, GuestProblem(what=Message('Proxmox VE returned an invalid response ({what})', what=what))
    )
