"""What is removed from the log messages of the plugin."""

import logging
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError

__all__ = ('LOGGER', 'DatabaseDetailFilter')

LOGGER = 'netbox.plugins.netbox_proxsync'


class DatabaseDetailFilter(logging.Filter):
    """
    Removes the details of database errors from tracebacks, because they quote rows: PostgreSQL's first line names the
    fault, and the lines after it (DETAIL, CONTEXT) the values.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true: the record is logged, without these lines."""
        if record.exc_info and (error := record.exc_info[1]):
            text = full_text = logging.Formatter().formatException(record.exc_info)
            for member in chain_of(error):
                if isinstance(member, DatabaseError | InterfaceError):
                    # Django's error and the cause, which is that of the driver, have the same text.
                    text = text.replace(str(member).rstrip(), first_line(member))
            if text != full_text:
                # Handlers format a traceback that is not formatted yet from `exc_info`, with the details.
                record.exc_text, record.exc_info = text, None
        return True


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that a traceback shows before it."""
    member: BaseException | None = error
    while member is not None:
        yield member
        member = member.__cause__ or member.__context__


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), '')
