"""Background processes: started, found again, and stopped only if they are really ours."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .paths import LOG, ROOT, RUN, StackError, output, read_json, write_json

LOG_LIMIT = 5_000_000  # bytes; a longer log is begun again at the next start


def birth(pid: int) -> str | None:
    """
    The start time of the process as the system reports it; None if it does not exist or is a zombie.

    A pid is given again to another process sooner or later; pid and birth together are not.
    """
    if Path('/proc/self/stat').exists():
        try:
            # proc(5): the second field is the program's name in parentheses, which may hold anything.
            fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in 'ZX' else fields[19]
    command = ['ps', '-o', 'stat=', '-o', 'lstart=', '-p', str(pid)]
    state, *started = output(*command).split() or ['Z']
    return None if state.startswith('Z') else ' '.join(started)


def running(name: str, run: Path = RUN) -> int | None:
    """The pid of our process of that name; None when it does not run, or when another process has its pid now."""
    noted = read_json(run / f'{name}.pid')
    if noted.get('run') != str(run) or birth(noted['pid']) != noted['birth']:
        return None
    return noted['pid']


def record(name: str, pid: int, run: Path = RUN) -> None:
    """Note which process has that name."""
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / f'{name}.pid', {'pid': pid, 'birth': birth(pid), 'run': str(run)})


def start(
    name: str,
    command: list[str],
    *,
    env: dict[str, str],
    account: pwd.struct_passwd | None = None,
    run: Path = RUN,
    log: Path = LOG,
) -> int:
    """Start a process that outlives us, its output going to its log. Returns its pid."""
    log.mkdir(parents=True, exist_ok=True)

    def before_exec() -> None:
        # The child itself writes its record, so that there is no moment at which it runs without one.
        record(name, os.getpid(), run)
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)

    path = log / f'{name}.log'
    anew = path.exists() and path.stat().st_size > LOG_LIMIT
    with path.open('wb' if anew else 'ab') as output:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=ROOT if account is None else '/',
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=before_exec,  # noqa: PLW1509 (we have one thread)
        )
    # Nobody waits for it: it is meant to outlive us, and birth() knows a zombie.
    process.returncode = 0
    return process.pid


def stop(name: str, how: signal.Signals = signal.SIGTERM, patience: float = 15, run: Path = RUN) -> bool:
    """Terminate the process, and kill it after `patience` seconds. Returns whether it was running."""
    pid = running(name, run)
    if pid is not None:
        born = birth(pid)
        os.kill(pid, how)
        deadline = time.monotonic() + patience
        while birth(pid) == born and time.monotonic() < deadline:
            time.sleep(0.05)
        if birth(pid) == born:
            # It leads a session of its own, so this reaches its children and nobody else's.
            os.killpg(pid, signal.SIGKILL)
            while birth(pid) == born:
                time.sleep(0.05)
    (run / f'{name}.pid').unlink(missing_ok=True)
    return pid is not None


def log_tail(name: str, lines: int = 15, log: Path = LOG) -> str:
    """The end of the process's log, for an error message."""
    path = log / f'{name}.log'
    text = path.read_text(errors='replace').splitlines() if path.exists() else []
    return '\n'.join([f'The end of {path}:', *(f'    {line}' for line in text[-lines:])])


def wait_until(
    ready: Callable[[], object], name: str, seconds: float, what: str, run: Path = RUN, log: Path = LOG
) -> None:
    """Wait until `ready()`; raises StackError with the end of the log when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        if running(name, run) is None:
            raise StackError(f'{what} ended instead of answering.\n{log_tail(name, log=log)}')
        if time.monotonic() > deadline:
            raise StackError(f'{what} does not answer after {seconds:.0f} seconds.\n{log_tail(name, log=log)}')
        time.sleep(0.1)
