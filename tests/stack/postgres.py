"""The stack's own PostgreSQL cluster, on a unix socket."""

import glob
import locale
import os
import re
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path

from . import processes
from .paths import StackError, as_account, output, postgres_directory, service_account, socket_directory

MINIMUM = 15  # NetBox 4.7's own check
USER = 'netbox'
PORT = 5432  # no port at all: only part of the socket's name
INSTALL = (
    f'PostgreSQL {MINIMUM} or newer, with its contrib modules, was not found. Install it: on Debian and Ubuntu the'
    ' package "postgresql", on Fedora "postgresql-server postgresql-contrib", with Homebrew "postgresql@17".'
)


def versions(directories: list[str]) -> dict[int, Path]:
    """Major version -> directory, for those directories that hold a complete server."""
    found: dict[int, Path] = {}
    for directory in map(Path, directories):
        if not all(os.access(directory / program, os.X_OK) for program in ('initdb', 'postgres')):
            continue
        if match := re.search(r'\d+', output(directory / 'postgres', '--version')):
            found.setdefault(int(match[0]), directory)
    return found


@cache
def installed() -> tuple[int, Path]:
    """Major version and program directory of the newest PostgreSQL; raises StackError when there is none."""
    places = [
        *os.get_exec_path(),
        *glob.glob('/usr/lib/postgresql/*/bin'),
        *glob.glob('/usr/pgsql-*/bin'),
        *glob.glob('/opt/homebrew/opt/postgresql@*/bin'),
        *glob.glob('/usr/local/opt/postgresql@*/bin'),
    ]
    if program := shutil.which('pg_config'):
        places.append(output(program, '--bindir') or '/nonexistent')
    found = {major: path for major, path in versions(places).items() if major >= MINIMUM}
    if not found:
        raise StackError(INSTALL)
    major = max(found)
    return major, found[major]


def environment() -> dict[str, str]:
    """The environment without the user's PG* variables and locale, which would otherwise have an effect."""
    return {'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C', 'TZ': 'UTC'}


def make_cluster(data: Path, programs: Path) -> None:
    """Create the data directory if it does not exist. It gets its name when it is complete."""
    if data.exists():
        return
    account = service_account()
    partial = data.with_name(f'{data.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        locale.setlocale(locale.LC_CTYPE, 'C.UTF-8')
        name = 'C.UTF-8'
    except locale.Error:
        name = 'C'
    command = [programs / 'initdb', '-D', partial, '-U', USER, '-A', 'trust', '-E', 'UTF8', f'--locale={name}', '-N']
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd='/', env=environment(), **as_account(account)
    )
    if result.returncode:
        raise StackError(f'initdb could not make {data}:\n{result.stdout}{result.stderr}')
    partial.rename(data)


def forget_dead_server(data: Path, sockets: Path) -> None:
    """
    Remove the lock files of a server that was killed. PostgreSQL does so by itself, unless now an unrelated process
    has the pid that stands in them. To be called only when our server does not run.
    """
    (data / 'postmaster.pid').unlink(missing_ok=True)
    for path in sockets.glob('.s.PGSQL.*'):
        path.unlink()


def ready() -> bool:
    import psycopg  # stopping must work without the virtual environment's packages

    try:
        connect().close()
    except psycopg.OperationalError:
        return False
    return True


def connect(database: str = 'postgres'):
    """A connection in autocommit mode."""
    import psycopg

    return psycopg.connect(host=str(socket_directory()), port=PORT, user=USER, dbname=database, autocommit=True)


def start() -> None:
    """Start the server unless it runs, and wait until it answers."""
    if not processes.running('postgres'):
        major, programs = installed()
        data, sockets = postgres_directory() / str(major), socket_directory()
        make_cluster(data, programs)
        forget_dead_server(data, sockets)
        settings = {
            'listen_addresses': '',
            'unix_socket_directories': str(sockets),
            'port': PORT,
            'max_connections': 200,
            # Demo and test data may be lost with the machine's power; a commit need not wait for the disk.
            'fsync': 'off',
            'synchronous_commit': 'off',
            'full_page_writes': 'off',
            # The tables of a test are small, but without statistics PostgreSQL takes them for large.
            'jit': 'off',
        }
        options = [argument for key, value in settings.items() for argument in ('-c', f'{key}={value}')]
        command = [str(programs / 'postgres'), '-D', str(data), *options]
        processes.start('postgres', command, env=environment(), account=service_account())
    processes.wait_until(ready, 'postgres', 60, 'PostgreSQL')


def stop() -> bool:
    """Stop the server, if it runs, as `pg_ctl stop -m fast` does."""
    return processes.stop('postgres', signal.SIGINT, 30)
