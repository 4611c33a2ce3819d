"""PostgreSQL and Redis together: running while a process uses them, or from `make up` to `make stop`."""

from collections.abc import Iterator
from contextlib import contextmanager

from . import postgres, processes, redis
from .locks import lock, try_lock
from .paths import RUN

WANTED = RUN / 'wanted'


def up() -> bool:
    return all(processes.running(name) for name in ('postgres', 'redis'))


@contextmanager
def using(keep: bool = False) -> Iterator[None]:
    """
    PostgreSQL and Redis run within. Afterwards they are stopped, unless they are to go on running, were running
    already, or another run in this checkout still uses them.
    """
    try:
        with lock('users', shared=True):
            with lock('services'):
                if keep:
                    RUN.mkdir(parents=True, exist_ok=True)
                    WANTED.touch()
                postgres.start()
                redis.start()
            yield
    finally:
        with lock('services'), try_lock('users') as alone:
            if alone and not WANTED.exists():
                _stop()


def stop() -> bool:
    """Stop both, even if they are in use. Returns whether anything was running."""
    with lock('services'):
        WANTED.unlink(missing_ok=True)
        return _stop()


def _stop() -> bool:
    return any([redis.stop(), postgres.stop()])
