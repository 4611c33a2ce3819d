"""
Failures of PostgreSQL because of concurrent transactions: what is repeated, how often, and the messages for users if it
fails each time.
"""

import logging
from collections.abc import Callable
from random import uniform
from time import sleep

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from .. import branching
from ..proxmox.messages import Message, as_is

__all__ = ('ATTEMPTS', 'DatabaseBusyError', 'explain', 'is_lost', 'pause', 'reason_of', 'reconnect', 'retried')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

ATTEMPTS = 3
# At most, before the second attempt; twice as long before each further one.
SECONDS_TO_PAUSE = 0.4

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE = '40001'
DEADLOCK = '40P01'
LOCK_TIMEOUT = '55P03'
FOREIGN_KEY_VIOLATION = '23503'
# By statement_timeout, or by an administrator.
CANCELED = '57014'
CONNECTION_CLASS = '08'
# The server ends the session: it shuts down or has crashed, or a timeout for idle or long transactions has passed.
SESSION_ENDED = ('57P01', '57P02', '57P03', '57P05', '25P03', '25P04')


class DatabaseBusyError(Exception):
    """A step has failed each time because of concurrent transactions. The message is one line for display."""


def sqlstate_of(error: BaseException) -> str:
    """The error code of PostgreSQL; '' if there is none."""
    return getattr(error.__cause__, 'sqlstate', None) or ''


def is_lost(error: Exception) -> bool:
    """Whether a database connection cannot be used any more after an error."""
    if not isinstance(error, OperationalError):
        return isinstance(error, InterfaceError)
    state = sqlstate_of(error)
    return not state or state.startswith(CONNECTION_CLASS) or state in SESSION_ENDED


def connection_lost() -> Message:
    """The message for a lost connection."""
    return Message(
        'The connection to the database of NetBox was lost. Guests that were written before are complete. Check '
        'PostgreSQL, then run again.'
    )


def reason_of(error: BaseException) -> Message:
    """Why a statement has failed, as one line for display."""
    reasons = {
        SERIALIZATION_FAILURE: Message('another transaction changed the same data at the same time'),
        DEADLOCK: Message('another transaction and this one were waiting for each other'),
        LOCK_TIMEOUT: Message('another transaction locked the same data for longer than lock_timeout allows'),
        CANCELED: Message('a statement took longer than statement_timeout allows'),
        FOREIGN_KEY_VIOLATION: Message('another transaction deleted a required object at the same time'),
    }
    # The further lines of PostgreSQL's messages quote values of the statement.
    known = reasons.get(sqlstate_of(error))
    return known or as_is(next(iter(str(error).splitlines()), type(error).__name__))


def pause(attempt: int) -> None:
    """Wait after a failed attempt (counted from 1), for a random time, since others may have failed with it."""
    limit = SECONDS_TO_PAUSE * 2 ** (attempt - 1)
    sleep(uniform(limit / 2, limit))


def in_transaction() -> bool:
    """Whether a transaction is open on a connection on which a run writes."""
    return any(connections[alias].in_atomic_block for alias in branching.aliases())


def retried[T](work: Callable[[], T], doing: Message) -> T:
    """
    Do something in the database, and repeat it if it fails because of concurrent transactions.

    Within a transaction, which such an error aborts, nothing is repeated.

    Args:
        work: Can be repeated: it begins its own transaction, or is a single statement.
        doing: A phrase for the message: 'reading NetBox'.

    Raises:
        DatabaseBusyError: It failed each time.
        OperationalError, InterfaceError: The connection is lost, or a transaction was open.
    """
    attempt = 1
    while True:
        try:
            return work()
        except OperationalError as error:
            if is_lost(error) or in_transaction():
                raise
            logger.warning(f'Attempt {attempt} of {doing} failed: {reason_of(error)}')
            if attempt == ATTEMPTS:
                raise DatabaseBusyError(
                    Message(
                        'The database of NetBox was busy while {doing}: {reason}. Run again.',
                        doing=doing,
                        reason=reason_of(error),
                    )
                ) from error
        pause(attempt)
        attempt += 1


def explain(error: DatabaseError | InterfaceError) -> Message:
    """A message for a database error that ends a run: one line for display."""
    if isinstance(error, OperationalError | InterfaceError) and is_lost(error):
        return connection_lost()
    return Message('The database of NetBox reported: {reason}', reason=reason_of(error))


def reconnect() -> None:
    """Close connections that cannot be used any more after an error, so that the next statement opens new ones."""
    for alias in branching.aliases():
        connections[alias].close_if_unusable_or_obsolete()
