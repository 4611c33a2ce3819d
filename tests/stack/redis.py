"""The stack's own Redis, on a unix socket."""

import os
import re
import shutil
from functools import cache
from pathlib import Path

from . import processes
from .paths import STACK, StackError, output, socket_directory

MINIMUM = 6  # NetBox 4.7's own check
DATABASES = 64
INSTALL = (
    f'Redis {MINIMUM} or newer was not found. Install it: on Debian and Ubuntu the package "redis-server", on Fedora'
    ' "valkey", with Homebrew "redis".'
)


@cache
def installed() -> str:
    """The server's path; raises StackError when there is none that is new enough."""
    for name in ('redis-server', 'valkey-server'):
        if program := shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), '/usr/sbin'])):
            match = re.search(r'v=(\d+)', output(program, '--version'))
            if match and int(match[1]) >= MINIMUM:
                return program
    raise StackError(INSTALL)


def socket() -> Path:
    return socket_directory() / 'redis.sock'


def connect(database: int = 0):
    """A client for one of the numbered databases."""
    import redis  # stopping must work without the virtual environment's packages

    return redis.Redis(unix_socket_path=str(socket()), db=database)


def ready() -> bool:
    import redis

    try:
        with connect() as client:
            return client.ping()
    except (redis.ConnectionError, redis.BusyLoadingError):
        return False


def start() -> None:
    """Start the server unless it runs, and wait until it answers."""
    if not processes.running('redis'):
        directory = STACK / 'redis'
        directory.mkdir(parents=True, exist_ok=True)
        command = [installed(), '--port', '0', '--unixsocket', str(socket()), '--unixsocketperm', '700']
        # Saved, because the schedules in it belong to jobs in the database, which is kept too.
        command += ['--databases', str(DATABASES), '--dir', str(directory), '--save', '60', '1', '--daemonize', 'no']
        processes.start('redis', command, env={**os.environ, 'LC_ALL': 'C'})
    processes.wait_until(ready, 'redis', 30, 'Redis')


def stop() -> bool:
    """Stop the server, if it runs."""
    return processes.stop('redis')
