"""The paths of the stack. Uses the standard library only: stopping must work with an incomplete environment."""

import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STACK = ROOT / '.stack'
RUN = STACK / 'run'
LOG = STACK / 'log'
VENV = STACK / 'venv'
NETBOX_ROOT = STACK / 'netbox'

# sockaddr_un holds 108 bytes on Linux and 104 on macOS and the BSDs, a closing NUL included.
SOCKET_PATH_LIMIT = 103
LONGEST_SOCKET_NAME = '.s.PGSQL.5432'


class StackError(Exception):
    """An error that the user can correct; the message says what failed and what to do."""


def service_account() -> pwd.struct_passwd | None:
    """
    The account that PostgreSQL runs under when we are root, which PostgreSQL refuses to be; None for other users.
    """
    if os.geteuid() != 0:
        return None
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError('PostgreSQL refuses to run as root, and there is no account "postgres" or "nobody" to run it as.')


def as_account(account: pwd.struct_passwd | None) -> dict:
    """The arguments with which subprocess runs a program under `account`."""
    if account is None:
        return {}
    return {'user': account.pw_uid, 'group': account.pw_gid, 'extra_groups': []}


def reachable(directory: Path, account: pwd.struct_passwd | None) -> bool:
    """Whether `account` can enter `directory`. The account of PostgreSQL cannot enter a checkout below /root."""
    command = ['test', '-x', str(directory)]
    return account is None or subprocess.run(command, check=False, cwd='/', **as_account(account)).returncode == 0


def output(*command: str | Path) -> str:
    """What the program prints; empty when it fails."""
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ''


def fits_socket(directory: Path) -> bool:
    """
    Is the path short enough for the operating system to bind our longest unix socket in it, and free of what PostgreSQL
    (commas), Redis and URLs (spaces, quotes) would have to have escaped, each in its own way?
    """
    path = directory / LONGEST_SOCKET_NAME
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT and re.fullmatch(r'[\w./+-]+', str(path), re.ASCII) is not None


def private_directory(
    name: str,
    account: pwd.struct_passwd | None,
    elsewhere: str,
    suitable: Callable[[Path], bool] = lambda path: True,
    stack: Path = STACK,
) -> Path:
    """
    A directory for `account` alone: `.stack/NAME` where that is reachable and `suitable`, else one of its own below
    `elsewhere`. The latter is recorded in `.stack/NAME.elsewhere`, found again by later runs and removed by clean().
    """
    stack.mkdir(parents=True, exist_ok=True)
    path = stack / name
    if not (suitable(path) and reachable(stack, account)):
        record = stack / f'{name}.elsewhere'
        path = _recorded(record, account, stack)
        if path is None:
            path = Path(tempfile.mkdtemp(prefix='netbox-proxsync-', dir=elsewhere))
            write_json(record, {'path': str(path), 'stack': str(stack)})
    path.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)
    path.chmod(0o700)
    return path


def _recorded(record: Path, account: pwd.struct_passwd | None, stack: Path) -> Path | None:
    """The recorded directory, if it is still there and ours. A copied checkout's record belongs to the original."""
    content = read_json(record)
    if content.get('stack') != str(stack):
        return None
    path = Path(content['path'])
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    owners = {os.geteuid()} | ({account.pw_uid} if account else set())
    return path if stat.S_ISDIR(status.st_mode) and status.st_uid in owners else None


def postgres_directory() -> Path:
    """Holds the data directories, one per major version of PostgreSQL."""
    return private_directory('postgres', service_account(), '/var/tmp')


def socket_directory() -> Path:
    """The directory of the sockets of PostgreSQL and Redis. Only this user can enter it: neither has a password."""
    runtime = os.environ.get('XDG_RUNTIME_DIR', '')
    short = runtime if os.access(runtime, os.W_OK) and os.geteuid() != 0 else '/tmp'
    return private_directory('sock', service_account(), short, fits_socket)


def clean() -> None:
    """Remove everything that the stack created. Stop it first."""
    for record in STACK.glob('*.elsewhere'):
        if path := _recorded(record, service_account(), STACK):
            shutil.rmtree(path)
    shutil.rmtree(ROOT / 'netbox_proxsync.egg-info', ignore_errors=True)
    shutil.rmtree(STACK, ignore_errors=True)


def read_json(path: Path) -> dict:
    """The object in the file; empty when there is no file or only a half-written one."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: dict, mode: int = 0o600) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    with os.fdopen(handle, 'w') as stream:
        json.dump(content, stream)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
