"""NetBox's cache of object types and custom fields, which it has for requests, for the job of a run."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from netbox.context import query_cache

__all__ = ('query_cached', 'query_uncached')


@contextmanager
def query_cached() -> Iterator[None]:
    """Use the cache within: the start and the end of a job look up the same object types."""
    token = query_cache.set(defaultdict(dict))
    try:
        yield
    finally:
        query_cache.reset(token)


@contextmanager
def query_uncached() -> Iterator[None]:
    """Do not use the cache within: a run may take long, and custom fields and branches may change."""
    token = query_cache.set(None)
    try:
        yield
    finally:
        query_cache.reset(token)
