"""
Python's search for objects that only refer to each other, which no count of references frees, during a run.

The search visits all objects again and again. Those of NetBox live as long as the process, and those of a plan as long
as the run, so visiting them takes time and finds nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ('older_objects_left_out', 'paused')


@contextmanager
def older_objects_left_out() -> Iterator[None]:
    """Do not visit the objects that exist already within."""
    if gc.get_freeze_count():
        # The process has done so itself. At the end, its objects could not be distinguished from those of the run.
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def paused() -> Iterator[None]:
    """Do not search within: around code that creates many objects, and leaves hardly any that refer to each other."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
