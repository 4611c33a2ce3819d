"""
How much faster several workers are than one: syncs of several endpoints, which are all enqueued before the first one
begins. Prints JSON; `python -m tests.bench --workers` compares it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from tests.stack import loopback
from tests.stack.paths import ROOT

from .database import database
from .endpoints import cluster, make_endpoint

# Seconds for loading NetBox, and for a round.
LOADING, PATIENCE = 120, 7200
PAUSE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tests.bench.workers', description=__doc__)
    parser.add_argument('workers', type=int)
    parser.add_argument('--endpoints', type=int, default=10)
    parser.add_argument('--guests', type=int, default=1000, help='of each endpoint')
    parser.add_argument('--latency', type=float, default=0.02, help='seconds that each call takes')
    options = parser.parse_args()
    loopback.keep()
    with ExitStack() as stack:
        environment = stack.enter_context(database())
        endpoints = [
            make_endpoint(f'Lab{seed}', stack.enter_context(cluster(options.guests, options.latency, seed)))
            for seed in range(1, options.endpoints + 1)
        ]
        stack.enter_context(workers(options.workers, environment))
        rounds = {name: measure(endpoints, options.workers) for name in ('first sync', 'unchanged')}
        print(json.dumps({'workers': options.workers, 'rounds': rounds}))


@contextmanager
def workers(number: int, environment: dict[str, str]) -> Iterator[None]:
    """Workers of NetBox; they are ready when this yields."""
    from django_rq import get_queue
    from rq import Worker

    command = [sys.executable, '-m', 'netbox', 'rqworker', '--verbosity', '0', 'high', 'default', 'low']
    queue = get_queue('default')
    with ExitStack() as stack:
        for _number in range(number):
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=sys.stderr)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        wait_until(lambda: Worker.count(queue=queue) == number, LOADING)
        # The jobs that NetBox starts with its first worker.
        wait_until(lambda: not queue.count and not queue.started_job_registry.count, LOADING)
        yield


def measure(endpoints: list[Any], workers: int) -> dict[str, float]:
    """
    Sync all endpoints.

    Returns:
        'seconds': from the start of the first run to the end of the last one. 'pause': the longest time from the end of
        a run to the start of the next one by the same number of workers.
    """
    from django_rq import get_queue

    from netbox_proxsync.jobs import SyncJob
    from netbox_proxsync.models import SyncRun

    # The jobs that update NetBox's search index after earlier runs.
    queue = get_queue('default')
    wait_until(lambda: not queue.count and not queue.started_job_registry.count, PATIENCE)
    runs = [SyncJob.enqueue_run(endpoint, None) for endpoint in endpoints]
    rows = SyncRun.objects.filter(pk__in=[run.pk for run in runs])
    wait_until(lambda: all(run.finished for run in rows.all()), PATIENCE)
    if faults := [f'{run.endpoint}: {run.status} {run.error}' for run in rows.all() if run.status != 'completed']:
        raise SystemExit('\n'.join(faults))
    started = sorted(run.started for run in rows.all())
    ended = sorted(run.completed for run in rows.all())
    pauses = [start - end for start, end in zip(started[workers:], ended, strict=False)]
    return {
        'seconds': (ended[-1] - started[0]).total_seconds(),
        'pause': max(pauses, default=timedelta()).total_seconds(),
    }


def wait_until(ready: Any, seconds: float) -> None:
    """Wait until `ready()`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f'Not done after {seconds:.0f} seconds.')
        time.sleep(PAUSE)


if __name__ == '__main__':
    main()
