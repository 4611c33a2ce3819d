"""A database for a benchmark."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack import databases, locks, netbox, services

__all__ = ('database',)


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """A database of its own; yields the environment of NetBox processes that use it. This one is set up for it, too."""
    slot, kept = locks.take_slot(netbox.TESTS)
    name = f'bench_proxsync_{slot}'
    with kept, services.using():
        databases.prepare_for_tests(name, slot)
        try:
            os.environ.update(netbox.variables(name, slot))
            import django

            django.setup()
            yield netbox.environment(database=name, slot=slot)
        finally:
            from django.db import connections

            connections.close_all()
            databases.drop(name)
            databases.empty_redis(slot)
