"""Locks between several runs of the stack in one checkout. The kernel releases them when their process ends."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .paths import STACK


def _open(name: str, directory: Path) -> IO:
    directory.mkdir(parents=True, exist_ok=True)
    return (directory / name).open('a')


@contextmanager
def lock(name: str, *, shared: bool = False, waiting: str = '', directory: Path = STACK / 'lock') -> Iterator[None]:
    """Hold the lock; print `waiting` if another process holds it."""
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with _open(name, directory) as stream:
        try:
            fcntl.flock(stream, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, file=sys.stderr, flush=True)
            fcntl.flock(stream, how)
        yield


@contextmanager
def try_lock(name: str, *, directory: Path = STACK / 'lock') -> Iterator[bool]:
    """Hold the lock if no other process does; yield whether it is held."""
    with _open(name, directory) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def take_slot(slots: range, directory: Path = STACK / 'lock') -> tuple[int, IO]:
    """
    The first number that no other process has, and the open file that reserves it until it is closed.
    """
    for slot in slots:
        stream = _open(f'slot-{slot}', directory)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
        else:
            return slot, stream
    raise RuntimeError(f'{len(slots)} test runs are going on in this checkout. Wait for one to finish.')
