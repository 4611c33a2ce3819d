"""What most tests need: a stand-in Proxmox VE, an endpoint for it, and a run of the real job."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.pve import ClusterSpec, StandIn
from tests.stack import databases, netbox, processes
from tests.stack import worker as worker_process

SHARING = ('tests/scenarios/mapping',)
# What takes long for its number of tests comes first, or one process would be left with it when the others are done.
LONG = (
    'tests/browser/',
    'tests/test_companions.py',
    'tests/api/test_pynetbox.py',
    'tests/management/test_proxsync_uninstall.py',
    'tests/scenarios/test_rounds',
    'tests/runs/test_workers.py',
    'tests/test_proxsyncbox.py',
    'tests/test_stack.py',
    'tests/test_translations.py',
)
# Many files of a moment each come last, so that all processes end together.
SHORT = ('tests/proxmox/', 'tests/sync/')

# How long an example takes depends on what else the machine does. `explain` would run a failed test many more times.
settings.register_profile(
    'tests',
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
    print_blob=True,
)
settings.load_profile('tests')

# With other plugins installed beside ours, in a process of their own: test_companions.py starts it.
collect_ignore = ['test_companions.py'] if netbox.with_companions() else ['companions']


def pytest_configure(config: pytest.Config):
    config.addinivalue_line('markers', 'browser: in a real Chromium, which takes a while')


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]):
    items.sort(key=lambda item: (item.nodeid.startswith(SHORT), not item.nodeid.startswith(LONG)))
    # What the first sync of a module wrote is in the database until the end of the module. Others stay in order.
    for path in {item.path for item in items if is_after_first_sync(item)}:
        places = [place for place, item in enumerate(items) if item.path == path]
        members = sorted((items[place] for place in places), key=is_after_first_sync)
        for place, item in zip(places, members, strict=True):
            items[place] = item


def is_after_first_sync(item: pytest.Item) -> bool:
    return 'first_sync' in getattr(item, 'fixturenames', ())


@pytest.hookimpl
def pytest_collection_finish():
    """
    Let garbage be collected less often than Python does by itself, which would take about a sixth of the CPU time. What
    is loaded by now is not frozen: a run would count it, since it must leave frozen objects frozen.
    """
    gc.collect()
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(scope='session')
def django_db_modify_db_settings_parallel_suffix():
    """Nothing: each test process has a database of a name of its own anyway, see tests/stack/pytest_env.py."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Distributes tests by file; packages whose files share expensive fixtures count as one file."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name in SHARING if nodeid.startswith(f'{name}/')), super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getvalue('dist') == 'loadfile' else None


@pytest.fixture
def standin():
    """Starts a stand-in for a recorded cluster (by name) or a generated one (by `ClusterSpec` or its values)."""
    running = []

    def start(cluster: str | ClusterSpec | None = None, **spec) -> StandIn:
        pve = StandIn(cluster or ClusterSpec(**spec))
        pve.__enter__()
        running.append(pve)
        return pve

    yield start
    for pve in running:
        pve.__exit__(None, None, None)


@pytest.fixture
def make_endpoint(db):
    """Creates an endpoint for a stand-in, with a pinned certificate."""

    from tests.scenarios.synced import pin

    return pin


@pytest.fixture(scope='module')
def first_sync(stage, django_db_setup, django_db_blocker):
    """The module's stage after its first sync (`FirstSync`). Tests that begin with it are marked `after_first_sync`."""
    from tests.scenarios.synced import FirstSync, kept_database

    with stage.standin() as running, kept_database(django_db_blocker):
        yield FirstSync(stage, running)


@pytest.fixture
def pve(request, stage):
    """The stand-in for the cluster of the module's stage, a fixture named `stage` that returns a `Stage`."""
    if 'first_sync' in request.fixturenames:
        synced = request.getfixturevalue('first_sync')
        synced.reset()
        yield synced.pve
        synced.pve.heal()
    else:
        with stage.standin() as running:
            yield running


@pytest.fixture
def endpoint(request, pve, stage, db):
    """The endpoint of the module's stage; already synced if the test is marked `after_first_sync`."""
    if 'first_sync' in request.fixturenames:
        return request.getfixturevalue('first_sync').endpoint
    return stage.endpoint(pve)


@pytest.fixture
def sync(db):
    """Carries out a run by the real job, in this process, and returns it."""
    from tests.scenarios.synced import run_job

    return run_job


class WebServer:
    """
    NetBox over HTTP, with its metrics on, and kept in files as for several processes (a second one takes seconds).

    Attributes:
        url: Without a slash at the end.
    """

    def __init__(self, environment: dict[str, str], run: Path, log: Path):
        self.run, self.log = run, log
        port = netbox.free_port('127.0.0.1', range(8100, 8300))
        self.url = f'http://127.0.0.1:{port}'
        command = [sys.executable, '-m', 'gunicorn', 'tests.stack.wsgi:application', '--bind', f'127.0.0.1:{port}']
        shared = log / 'metrics'
        shared.mkdir(parents=True)
        env = {**environment, 'PROXSYNC_STACK_METRICS': '1', 'PROMETHEUS_MULTIPROC_DIR': str(shared)}
        options = ['--threads', '4', '--no-control-socket']
        processes.start('web', [*command, *options], env=env, run=run, log=log)
        processes.wait_until(partial(netbox.answers, port, '127.0.0.1'), 'web', 120, 'NetBox', run=run, log=log)

    def stop(self):
        # At once: it would wait for the connections that clients keep open.
        processes.stop('web', signal.SIGQUIT, patience=0, run=self.run)


@pytest.fixture
def web(worker):
    """A real web server (`WebServer`) in addition to the worker, with the same database."""
    server = WebServer(worker.environment, worker.run, worker.log)
    yield server
    server.stop()


class Workers:
    """
    Real worker processes.

    Attributes:
        log: Where they write.
    """

    def __init__(self, environment: dict[str, str], run: Path, log: Path):
        self.environment, self.run, self.log = environment, run, log
        self.names: list[str] = []

    def start(self):
        """One more."""
        name = f'worker-{len(self.names)}'
        self.names.append(name)
        worker_process.start(name, self.environment['PROXSYNC_STACK_DATABASE'], run=self.run, log=self.log)

    def pid(self, name: str) -> int | None:
        return processes.running(name, self.run)

    def kill(self, *names: str):
        """These or all by SIGKILL, with the children in which they work: those lead process groups of their own."""
        for name in names or self.names:
            if pid := processes.running(name, self.run):
                for process in session_of(pid):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                processes.stop(name, patience=0, run=self.run)


def session_of(leader: int) -> list[int]:
    """The processes of a session."""
    found = []
    for pid in (int(path.name) for path in Path('/proc').iterdir() if path.name.isdecimal()):
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


@contextmanager
def own_database(suffix: str, blocker) -> Iterator[dict[str, str]]:
    """
    A database in which everything may be committed: no test after this one sees it. Yields the environment of a NetBox
    process that uses it too.
    """
    from django.db import connection

    database, slot = connection.settings_dict['NAME'], int(os.environ['PROXSYNC_STACK_SLOT'])
    name = f'{database}_{suffix}'
    databases.prepare_for_tests(name, slot)
    with blocker.unblock():
        connection.close()
        connection.settings_dict['NAME'] = name
        try:
            yield netbox.environment(database=name, slot=slot)
        finally:
            connection.close()
            connection.settings_dict['NAME'] = database
            databases.drop(name)
            databases.empty_redis(slot)


@pytest.fixture
def committed(django_db_setup, django_db_blocker):
    """
    A database of its own for a test in this process, and for other sessions of the test: what is written is committed.

    Not for tests that are marked with `django_db`. There is no worker.
    """
    with own_database('committed', django_db_blocker) as environment:
        yield environment


@pytest.fixture
def worker(django_db_setup, django_db_blocker, tmp_path):
    """
    Real worker processes (`Workers`, one to begin with), and for them and the test a database of their own: what the
    test writes is committed.

    Not for tests that are marked with `django_db`, whose transactions no other process sees.
    """
    with own_database('worker', django_db_blocker) as environment:
        fleet = Workers(environment, run=tmp_path / 'run', log=tmp_path / 'log')
        try:
            fleet.start()
            yield fleet
        finally:
            # At once, with its children: whatever it still has to do, nobody needs.
            fleet.kill()
