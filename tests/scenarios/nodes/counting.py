"""How many queries a run takes."""

from collections.abc import Callable

from django.db import connection

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

__all__ = ('counted', 'queries_of_nothing')

BY_THE_CLOCK = ('"netbox_proxsync_syncrun"', '"core_job"')


def queries_of_nothing(sync: Callable, endpoint: ProxmoxEndpoint) -> int:
    """The number of queries of a run that has nothing to do."""
    run, number = counted(sync, endpoint)
    assert (run.status, run.changes.count()) == ('completed', 0)
    return number


def counted(sync: Callable, endpoint: ProxmoxEndpoint) -> tuple[SyncRun, int]:
    """
    A run, and how many queries it took: there may be more than Django remembers. Not those about the run itself, which
    says how far it is, and asks whether it was canceled, by the clock.
    """
    number = 0

    def count(execute, sql, *arguments):
        nonlocal number
        number += not any(table in sql for table in BY_THE_CLOCK)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        run = sync(endpoint)
    return run, number
