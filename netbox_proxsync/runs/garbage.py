"""
Python's search for objects that only refer to each other, which no count of references frees, during a run.

The search visits all objects again and again. Those of NetBox live as long as the process, and those of a plan as long
as the run, so visiting them takes time and finds nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ('leave_out_older_objects', 'older_objects_left_out', 'paused')

# Whether the objects that are left out are left out by `older_objects_left_out`.
leaves_out: ContextVar[bool] = ContextVar('leaves_out', default=False)


@contextmanager
def older_objects_left_out() -> Iterator[None]:
    """Do not visit the objects that exist already within."""
    if gc.get_freeze_count():
        # The process has done so itself. At the end, its objects could not be distinguished from those of the run.
        yield
        return
    gc.freeze()
    token = leaves_out.set(True)
    try:
        yield
    finally:
        leaves_out.reset(token)
        gc.unfreeze()


def leave_out_older_objects() -> None:
    """Within `older_objects_left_out`, from now on: do not visit the objects that exist now, either."""
    if leaves_out.get():
        gc.freeze()


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
