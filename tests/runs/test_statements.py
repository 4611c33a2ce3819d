"""The number of SQL statements and background jobs of runs, which must not grow with the number of guests."""

from collections import Counter

import pytest
from core.models import Job
from dcim.models import Device, MACAddress, Site
from django.db import connection
from ipam.models import IPAddress
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import FormerEndpoint, ProxmoxEndpoint

# Those of NetBox for its job, and those of the run, from its start to its end.
AT_MOST = 40
# With one change, which NetBox validates, logs and indexes.
AT_MOST_CHANGED = 100


@pytest.fixture
def statements(monkeypatch):
    """The statements of jobs, as a worker carries them out: without those that enqueue them."""
    found: list[str] = []
    original = SyncJob.handle.__func__

    def record(execute, sql, params, many, context):
        # Tests run in a transaction, so those of the run are savepoints here.
        if 'SAVEPOINT' not in sql:
            found.append(sql)
        return execute(sql, params, many, context)

    def handle(cls, job, *args, **kwargs):
        with connection.execute_wrapper(record):
            original(cls, job, *args, **kwargs)

    monkeypatch.setattr(SyncJob, 'handle', classmethod(handle))
    return found


def written(statements):
    """The tables that statements write, with the number of statements."""
    tables = Counter()
    for sql in statements:
        verb, *words = sql.replace('"', '').split()
        if verb in ('INSERT', 'DELETE', 'UPDATE'):
            tables[words[0] if verb == 'UPDATE' else words[1]] += 1
    return tables


@pytest.fixture
def pves() -> list:
    """The clusters of `lab`."""
    return []


@pytest.fixture
def lab(standin, make_endpoint, pves):
    """Creates an endpoint for a generated cluster, in a NetBox without other clusters: they have the same addresses."""

    def create(guests: int):
        for model in (ProxmoxEndpoint, FormerEndpoint, IPAddress, MACAddress, VirtualMachine, Device, Cluster, Site):
            model.objects.all().delete()
        site = Site.objects.create(name='Site', slug='site')
        pves.append(standin(nodes=2, vms=guests, containers=guests // 2))
        return make_endpoint(pves[-1], site=site)

    return create


def test_an_unchanged_run_has_few_statements_for_any_number_of_guests(lab, sync, statements):
    numbers = []
    # The first one fills the caches of Django.
    for guests in (2, 5, 25):
        endpoint = lab(guests)
        sync(endpoint)
        sync(endpoint)
        statements.clear()
        run = sync(endpoint)
        assert (run.status, run.counts) == ('completed', {})
        assert written(statements) == {
            'core_job': 2, 'netbox_proxsync_syncrun': 2, 'netbox_proxsync_proxmoxendpoint': 2,
        }  # fmt: skip
        numbers.append(len(statements))
    assert numbers[1] == numbers[2] <= AT_MOST


def test_a_run_with_a_changed_guest_reads_again_only_that_guest_for_any_number_of_guests(lab, pves, sync, statements):
    numbers = []
    for guests in (2, 5, 25):
        endpoint = lab(guests)
        sync(endpoint)
        sync(endpoint)
        for cores in (3, 5):
            # The first one fills the caches of Django.
            pves[-1].set_config(100, cores=cores)
            statements.clear()
            run = sync(endpoint)
            assert (run.status, run.counts) == ('completed', {'vm': {'update': 1}})
        locked = [sql for sql in statements if 'proxmoxguest' in sql and 'FOR UPDATE' in sql]
        assert locked
        assert all('"vmid" IN' in sql for sql in locked)
        # All bindings for the plan, and then those that the change names.
        loads = [sql for sql in statements if 'text_of_kept_values' in sql]
        assert ['"unit" IN' in sql for sql in loads] == [False, True]
        numbers.append(len(statements))
    assert numbers[1] == numbers[2] <= AT_MOST_CHANGED


def test_the_guests_of_a_first_sync_share_statements_and_jobs(lab, sync, statements):
    numbers = []
    for guests in (2, 10, 40):
        endpoint = lab(guests)
        statements.clear()
        jobs = Job.objects.count()
        assert sync(endpoint).status == 'completed'
        # The run's own, those of its transactions: the cluster and its nodes, and all guests.
        assert Job.objects.count() - jobs <= 3
        numbers.append(len(statements))
    assert numbers[2] - numbers[1] <= 15


def test_an_unchanged_preview_has_few_statements(lab, sync, statements):
    numbers = []
    for guests in (2, 5, 25):
        endpoint = lab(guests)
        sync(endpoint)
        sync(endpoint)
        statements.clear()
        run = sync(endpoint, 'preview')
        assert (run.status, run.counts, 'validate' in run.timings) == ('completed', {}, False)
        numbers.append(len(statements))
    assert numbers[1] == numbers[2] <= AT_MOST


def test_the_guests_of_a_first_preview_share_statements(lab, sync, statements):
    numbers = []
    # Tags are created one by one, and remain from this.
    sync(lab(40))
    for guests in (10, 40):
        endpoint = lab(guests)
        statements.clear()
        jobs = Job.objects.count()
        assert sync(endpoint, 'preview').status == 'completed'
        assert Job.objects.count() - jobs == 1
        numbers.append(len(statements))
    assert numbers[1] - numbers[0] <= 15
