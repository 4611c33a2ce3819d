"""Why a change of a plan is not written, though NetBox has not refused it."""

__all__ = ('OutdatedError', 'UnresolvedError')


class OutdatedError(Exception):
    """NetBox no longer holds what it held when the plan was made. For people."""


class UnresolvedError(Exception):
    """An object that this one refers to does not exist: its own change failed or was skipped. For people."""
