"""
NetBox's worker in a process of its own, forked from one that has loaded NetBox.

Loading takes seconds, and tests start and kill many workers.
"""

import multiprocessing
import os
import time
from pathlib import Path

from . import processes


def start(name: str, database: str, run: Path, log: Path) -> None:
    """Start a worker on the database, its output going to its log; otherwise as `processes.start`."""
    log.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.stack.loaded'])
    process = context.Process(target=_work, args=(database, log / f'{name}.log'))
    process.start()
    processes.record(name, process.pid, run)
    # It leads a session of its own, with the children in which it works, before anybody ends it.
    while process.is_alive() and os.getsid(process.pid) != process.pid:
        time.sleep(0.001)


def _work(database: str, log: Path) -> None:
    os.setsid()
    with log.open('ab') as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    os.environ['PROXSYNC_STACK_DATABASE'] = connections['default'].settings_dict['NAME'] = database
    call_command('rqworker', 'high', 'default', 'low')
