"""How many queries a run takes."""

from collections.abc import Callable

from django.db import connection

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

__all__ = ('counted', 'queries_of_nothing')


def queries_of_nothing(sync: Callable, endpoint: ProxmoxEndpoint) -> int:
    """The number of queries of a run that has nothing to do."""
    run, number = counted(sync, endpoint)
    assert (run.status, run.changes.count()) == ('completed', 0)
    return number


def counted(sync: Callable, endpoint: ProxmoxEndpoint) -> tuple[SyncRun, int]:
    """A run, and how many queries it took: there may be more than Django remembers."""
    number = 0

    def count(execute, *arguments):
        nonlocal number
        number += 1
        return execute(*arguments)

    with connection.execute_wrapper(count):
        run = sync(endpoint)
    return run, number
