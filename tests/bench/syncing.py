"""
How long syncs of one generated cluster take: the first one, one without changes, one with a few changes, and a preview
that is applied; of a second cluster of at most 1,000 guests, the preview of the first sync and its application.
NetBox's own path is measured afterward, and the memory of a run without changes in a process of its own. Prints JSON;
`python -m tests.bench` makes a table of it.

Runs without changes and with a few are measured the second time: the first one fills caches of Django.
"""

import argparse
import gc
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.stack import loopback
from tests.stack.paths import ROOT

from .collecting import cpu_of
from .database import database
from .endpoints import cluster, make_endpoint
from .standin import operate

# NetBox's own path takes the same time for each guest, and very long for all of a large cluster.
COPIED_AT_MOST = 150
# The preview of a first sync writes everything and rolls it back.
PREVIEWED_AT_MOST = 1000


@dataclass
class Measure:
    """
    Attributes:
        wall, cpu: Seconds; CPU time is that of this process and of its database session.
        phases: Seconds by phase.
        statements, job_statements: SQL statements: all, and those from the start of the job to its end.
        writes: The number of INSERT, UPDATE and DELETE statements by table.
        jobs: Background jobs that were created, without the run's own.
        calls: Requests to Proxmox VE.
        memory: The most memory that this process had meanwhile, in MB.
    """

    name: str
    wall: float = 0
    cpu: float = 0
    database_cpu: float = 0
    phases: dict[str, float] = field(default_factory=dict)
    phases_cpu: dict[str, float] = field(default_factory=dict)
    statements: int = 0
    job_statements: int = 0
    writes: dict[str, int] = field(default_factory=dict)
    jobs: int = 0
    changes: int = 0
    calls: int = 0
    memory: float = 0


@contextmanager
def measuring(name: str) -> Iterator[Measure]:
    """Measure what is done within."""
    from core.models import Job
    from django.db import connection

    found = Measure(name)
    writes: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.statements += 1
        words = sql.replace('"', '').split()
        if words[0] in ('INSERT', 'DELETE', 'UPDATE'):
            writes[words[1] if words[0] == 'UPDATE' else words[2]] += 1
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute('SELECT pg_backend_pid()')
        backend = cursor.fetchone()[0]
    jobs = Job.objects.count()
    gc.collect()
    forget_peak()
    begin, cpu, database_cpu = time.monotonic(), time.process_time(), cpu_of(backend)
    with connection.execute_wrapper(count):
        yield found
    found.wall, found.cpu = time.monotonic() - begin, time.process_time() - cpu
    found.database_cpu = cpu_of(backend) - database_cpu
    found.writes, found.jobs, found.memory = dict(writes), Job.objects.count() - jobs, peak()


@contextmanager
def job_measured(found: Measure) -> Iterator[None]:
    """Count the statements of the jobs within, without those that enqueue them."""
    from netbox_proxsync.jobs import SyncJob

    # It inherits the method.
    handle = SyncJob.handle.__func__

    def measured(cls: Any, *args: Any, **kwargs: Any) -> None:
        before = found.statements
        try:
            handle(cls, *args, **kwargs)
        finally:
            found.job_statements += found.statements - before

    SyncJob.handle = classmethod(measured)
    try:
        yield
    finally:
        del SyncJob.handle


@contextmanager
def phases_measured(found: Measure) -> Iterator[None]:
    """Add the CPU time of each phase of the runs within."""
    from netbox_proxsync.runs.recorder import RunRecorder

    original = RunRecorder.phase

    @contextmanager
    def phase(recorder: RunRecorder, name: str) -> Iterator[Any]:
        cpu = time.thread_time()
        with original(recorder, name) as counts:
            yield counts
        found.phases_cpu[name] = found.phases_cpu.get(name, 0) + time.thread_time() - cpu

    RunRecorder.phase = phase
    try:
        yield
    finally:
        RunRecorder.phase = original


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tests.bench.syncing', description=__doc__)
    parser.add_argument('guests', type=int)
    parser.add_argument('--latency', type=float, default=0.02, help='seconds that each call takes')
    options = parser.parse_args()
    loopback.keep()
    with ExitStack() as stack:
        environment = stack.enter_context(database())
        pve = stack.enter_context(cluster(options.guests, options.latency))
        found = measure(pve, options.guests, environment, options.latency)
        if options.guests <= PREVIEWED_AT_MOST:
            pve = stack.enter_context(cluster(options.guests, 0, seed=2))
            found['measures'] += map(asdict, measure_plan(pve))
        print(json.dumps(found))


def measure(pve: dict[str, Any], guests: int, environment: dict[str, str], latency: float) -> dict[str, Any]:
    """
    The measures of one cluster.

    Args:
        environment: That of NetBox processes.
        latency: Seconds that each call of the first sync and of the quick run takes.
    """
    from dcim.models import Device
    from virtualization.models import VirtualMachine

    from .netbox_path import copy_machines

    announce_worker()
    endpoint = make_endpoint('Lab', pve)
    idle = memory_of_worker()
    first, _run = sync(endpoint, 'first sync')
    # Nothing is measured of the later runs that depends on it.
    operate(pve, 'latency', seconds=0)
    unchanged = [sync(endpoint, 'unchanged')[0] for _number in range(2)][1]
    alone = measured_alone(endpoint, environment)
    changed_guests = max(1, guests // 100)
    for cores in (3, 4):
        change(pve, changed_guests, cores)
        changed, _run = sync(endpoint, '1 % changed')
    operate(pve, 'latency', seconds=latency)
    quick = quick_look(endpoint)
    operate(pve, 'latency', seconds=0)
    change(pve, changed_guests, 5)
    preview, planned = sync(endpoint, 'preview', mode='preview')
    applied, _run = sync(endpoint, 'apply the preview', mode='sync', applies=planned)
    # Last: the copies belong to the same NetBox cluster, so that later runs would look at them.
    machines = list(VirtualMachine.objects.order_by('pk')[:COPIED_AT_MOST])
    # As many of the nodes in proportion.
    nodes = list(Device.objects.order_by('pk')[: max(1, Device.objects.count() * len(machines) // guests)])
    with measuring("NetBox's own path") as copied:
        copied.changes = copy_machines([*nodes, *machines])
    measures = [first, copied, unchanged, quick, changed, preview, applied]
    return {
        'guests': guests,
        'copied': len(machines),
        'changed': changed_guests,
        'objects': first.changes,
        'idle': idle,
        'alone': alone,
        'measures': [asdict(each) for each in measures],
    }


def change(pve: dict[str, Any], guests: int, cores: int) -> None:
    """Change the first guests of a cluster."""
    for number in range(guests):
        operate(pve, 'set_config', vmid=100 + number, cores=cores)


def measured_alone(endpoint: Any, environment: dict[str, str]) -> dict[str, Any]:
    """What a run without changes takes in a process of its own, as that of each job of a worker is."""
    command = [sys.executable, '-m', 'tests.bench.alone', str(endpoint.pk)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory_of_worker() -> float:
    """What this process needs that waits for jobs, in MB."""
    from django.urls import reverse

    # A worker has loaded these when it starts a job.
    reverse('home')
    forget_peak()
    return peak()


def measure_plan(pve: dict[str, Any]) -> list[Measure]:
    """The preview of the first sync of a cluster, and its application."""
    endpoint = make_endpoint('Other', pve)
    preview, planned = sync(endpoint, 'first preview', mode='preview')
    applied, _run = sync(endpoint, 'apply the first preview', applies=planned)
    return [preview, applied]


def sync(endpoint: Any, name: str, mode: str = 'sync', applies: Any = None) -> tuple[Measure, Any]:
    """A run by the real job, in this process."""
    from netbox_proxsync.jobs import SyncJob

    endpoint.refresh_from_db()
    with measuring(name) as found, phases_measured(found), job_measured(found):
        run = SyncJob.enqueue_run(endpoint, None, mode=mode, applies=applies, immediate=True)
    if run.status != 'completed':
        raise SystemExit(f'{name}: the run ended as "{run.status}": {run.error}')
    found.phases, found.calls = dict(run.timings), run.calls
    found.changes = sum(sum(actions.values()) for actions in run.counts.values())
    # The run's own.
    found.jobs -= 1
    return found, run


def quick_look(endpoint: Any) -> Measure:
    """A quick run of the unchanged cluster."""
    from netbox_proxsync.jobs import quick_run

    endpoint.refresh_from_db()
    with measuring('quick run') as measured:
        found, run = quick_run(endpoint, immediate=True)
    if run is not None or found.reason:
        raise SystemExit(f'The quick run has found changes: {found}')
    measured.calls = found.calls
    return measured


def announce_worker() -> None:
    """Let NetBox believe that a worker runs, which does the jobs for the search index later."""
    from django_rq import get_queue
    from rq import Worker

    queue = get_queue('default')
    Worker([queue], connection=queue.connection, name='benchmark', worker_ttl=3600).register_birth()


def forget_peak() -> None:
    """Let `peak` count from now on."""
    # proc(5): resets the peak of the resident set.
    Path('/proc/self/clear_refs').write_text('5')


def peak() -> float:
    """The most memory that this process has had since `forget_peak`, in MB."""
    status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())
    return int(status['VmHWM'].split()[0]) / 1024


if __name__ == '__main__':
    main()
