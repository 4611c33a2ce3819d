"""
How long syncs of one generated cluster take: the first one, one without changes, one with a few changes, and a preview
that is applied. NetBox's own path is measured in between. Prints JSON; `python -m tests.bench` makes a table of it.
"""

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.stack import loopback

from .collecting import cpu_of
from .database import database
from .standin import operate, serving

# The shares of the clusters of the benchmark.
SPEC = {'running': 0.8, 'agent': 0.8, 'multi_nic': 0.3}
CONTAINERS = 0.3
# NetBox's own path is the same for each guest.
COPIED_AT_MOST = 200


@dataclass
class Measure:
    """
    Attributes:
        wall, cpu: Seconds; CPU time is that of this process and of its database session.
        phases: Seconds by phase.
        writes: The number of INSERT, UPDATE and DELETE statements by table.
        jobs: Background jobs that were created, without the run's own.
        calls: Requests to Proxmox VE.
    """

    name: str
    wall: float = 0
    cpu: float = 0
    database_cpu: float = 0
    phases: dict[str, float] = field(default_factory=dict)
    phases_cpu: dict[str, float] = field(default_factory=dict)
    statements: int = 0
    writes: dict[str, int] = field(default_factory=dict)
    jobs: int = 0
    changes: int = 0
    calls: int = 0


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
    begin, cpu, database_cpu = time.monotonic(), time.process_time(), cpu_of(backend)
    with connection.execute_wrapper(count):
        yield found
    found.wall, found.cpu = time.monotonic() - begin, time.process_time() - cpu
    found.database_cpu = cpu_of(backend) - database_cpu
    found.writes, found.jobs = dict(writes), Job.objects.count() - jobs


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
        stack.enter_context(database())
        containers = int(options.guests * CONTAINERS)
        size = {'nodes': max(1, options.guests // 100), 'vms': options.guests - containers, 'containers': containers}
        pve = stack.enter_context(serving(**size, **SPEC))
        operate(pve, 'latency', seconds=options.latency)
        print(json.dumps(measure(pve, options.guests)))


def measure(pve: dict[str, Any], guests: int) -> dict[str, Any]:
    """All measures of one cluster."""
    from dcim.models import Site
    from django.urls import reverse
    from virtualization.models import VirtualMachine

    from netbox_proxsync.models import ProxmoxEndpoint

    from .netbox_path import copy_machines

    # A worker has loaded these when it starts a job.
    reverse('home')
    announce_worker()
    endpoint = ProxmoxEndpoint(
        name='Lab',
        hosts=[f'{pve["host"]}:{pve["port"]}'],
        token_id=pve['token_id'],
        token_secret=pve['token_secret'],
        tls_mode='fingerprint',
        fingerprint=pve['fingerprint'],
        site=Site.objects.create(name='Site', slug='site'),
    )
    endpoint.full_clean()
    endpoint.save()
    idle = memory()
    first, _run = sync(endpoint, 'first sync')
    peak = memory() - idle
    machines = list(VirtualMachine.objects.order_by('pk')[:COPIED_AT_MOST])
    with measuring("NetBox's own path") as copied:
        copied.changes = copy_machines(machines)
    unchanged = [sync(endpoint, 'unchanged')[0] for _number in range(2)][1]
    quick = quick_look(endpoint)
    changed_guests = max(1, guests // 100)
    for number in range(changed_guests):
        operate(pve, 'set_config', vmid=100 + number, cores=3)
    changed, _run = sync(endpoint, '1 % changed')
    for number in range(changed_guests):
        operate(pve, 'set_config', vmid=100 + number, cores=5)
    preview, planned = sync(endpoint, 'preview', mode='preview')
    applied, _run = sync(endpoint, 'apply the preview', mode='sync', applies=planned)
    measures = [first, copied, unchanged, quick, changed, preview, applied]
    return {
        'guests': guests,
        'copied': len(machines),
        'changed': changed_guests,
        'objects': first.changes,
        'memory': peak,
        'measures': [asdict(each) for each in measures],
    }


def sync(endpoint: Any, name: str, mode: str = 'sync', applies: Any = None) -> tuple[Measure, Any]:
    """A run by the real job, in this process."""
    from netbox_proxsync.jobs import SyncJob

    endpoint.refresh_from_db()
    with measuring(name) as found, phases_measured(found):
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


def memory() -> float:
    """The most memory that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == '__main__':
    main()
