"""Why a change of a plan is not written, though NetBox has not refused it."""

__all__ = ('OutdatedError', 'UnresolvedError')


class OutdatedError(Exception):
    """NetBox has changed since the plan was created. The message is displayed to users."""


class UnresolvedError(Exception):
    """
    An object that this one refers to does not exist: its own change failed or was skipped. The message is displayed to
    users.
    """
