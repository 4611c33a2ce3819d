"""
What a run logs for operators, through the real job: in the log of its job, and in the log of the worker.

Tried: a first sync, a preview with candidates, changes that NetBox refuses (many alike), a plan that is refused, and a
Proxmox VE that cannot be reached. No line holds a secret, and the number of lines does not depend on that of guests.
"""

import logging
import re

import pytest
from django.db import IntegrityError, transaction
from virtualization.models import Cluster, ClusterType, VirtualMachine

LOGGER = 'netbox.plugins.netbox_proxsync'
ROW = 'Confidential'
TENANT = {'virtualization.virtualmachine': [{'tenant': {'required': True}}]}

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=10, containers=0, running=1, agent=1, seed=3, templates=0, name='lab')


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture(autouse=True)
def worker(caplog):
    """The log of the worker, at the level that operators set to see what runs do."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    return caplog


def job_log(run) -> list[tuple[str, str]]:
    """(level, message) of every entry in the log of the job, without durations."""
    return [(entry['level'], without_seconds(entry['message'])) for entry in run.job.log_entries]


def worker_log(worker, run) -> list[tuple[str, str]]:
    """The same of the worker, without the name of the run, which every line of a run begins with."""
    name = f'Run {run.pk} of {run.endpoint}: '
    lines = [(each.levelname.lower(), each.getMessage()) for each in worker.records if each.name == LOGGER]
    return [(level, without_seconds(text.removeprefix(name))) for level, text in lines if text.startswith(name)]


def without_seconds(text: str) -> str:
    return re.sub(r'\d+\.\d{3} s', 'N s', text)


def test_each_phase_with_its_counts_and_its_duration(pve, endpoint, sync, worker):
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    changes = run.changes.count()
    phases = [
        ('info', 'Sync started'),
        ('info', f'collect: guests 10, calls {run.calls}, warnings 0 (N s)'),
        ('info', f'plan: changes {changes} (N s)'),
        ('info', 'record: guests 10 (N s)'),
        ('info', f'apply: changes {changes}, applied {changes}, failed 0 (N s)'),
        ('info', 'record: guests 10 (N s)'),
    ]
    assert job_log(run)[: len(phases)] == phases
    assert ('info', 'vm: create 10') in job_log(run)
    assert job_log(run)[-1] == ('info', 'Completed.')
    assert worker_log(worker, run) == job_log(run)


def test_durations_are_those_of_the_run(endpoint, sync):
    run = sync(endpoint, mode='preview')
    logged = {}
    for entry in run.job.log_entries:
        if found := re.fullmatch(r'(\w+): .*\((\d+\.\d{3}) s\)', entry['message']):
            logged[found[1]] = float(found[2])
    assert logged == pytest.approx(run.timings, abs=0.1)


def test_candidates_are_one_line(pve, make_endpoint, sync, worker):
    cluster_type = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    cluster = Cluster.objects.create(name='lab', type=cluster_type)
    for guest in list(pve.cluster.guests.values())[:3]:
        VirtualMachine.objects.create(name=guest.name, status='active', cluster=cluster)
    run = sync(make_endpoint(pve, cluster=cluster), mode='preview')
    assert run.candidates == 3
    assert job_log(run).count(('warning', 'candidates: vm 3')) == 1
    assert worker_log(worker, run).count(('warning', 'candidates: vm 3')) == 1


def test_many_refusals_alike_are_one_line(pve, endpoint, sync, settings, worker):
    settings.CUSTOM_VALIDATORS = TENANT
    run = sync(endpoint)
    assert run.changes.filter(kind='vm', outcome='failed').count() == 10
    assert job_log(run).count(('error', 'refused by NetBox: vm 10')) == 1
    reasons = [
        text for level, text in worker_log(worker, run) if level == 'error' and text.startswith('NetBox refused')
    ]
    assert len(reasons) == 1
    assert reasons[0].startswith('NetBox refused 10 changes of virtual machines: Custom validation failed for tenant')
    # The reasons may name guests, which not every reader of the job may view.
    assert not any('Custom validation' in text for _level, text in job_log(run))
    assert job_log(run)[-1] == ('warning', f'{run.get_status_display()}. {run.error}')


def test_a_refused_plan_states_the_reason(pve, endpoint, sync, worker):
    sync(endpoint)
    for vmid in [guest.vmid for guest in pve.cluster.guests.values()][:8]:
        pve.delete(vmid)
    run = sync(endpoint)
    assert run.status == 'refused'
    last = ('warning', f'Refused. {run.refusal}')
    assert (job_log(run)[-1], worker_log(worker, run)[-1]) == (last, last)


def test_an_unreachable_host_is_logged_as_an_error_with_its_reason(pve, make_endpoint, sync, worker):
    run = sync(make_endpoint(pve, hosts=['127.0.0.1:1']))
    assert run.status == 'failed'
    assert ('warning', 'collect: not finished (N s)') in job_log(run)
    assert ('error', run.error) in job_log(run)
    assert ('error', run.error) in worker_log(worker, run)


def test_the_number_of_lines_does_not_depend_on_the_number_of_guests(pve, endpoint, sync, worker):
    first = sync(endpoint)
    before = len(worker_log(worker, first))
    for _number in range(20):
        pve.create()
    second = sync(endpoint)
    assert second.changes.filter(kind='vm', action='create').count() == 20
    assert len(worker_log(worker, second)) <= before


def test_no_secret_is_logged(pve, endpoint, sync, worker):
    run = sync(endpoint)
    pve.delete(next(iter(pve.cluster.guests.values())).vmid)
    failed = sync(endpoint, mode='preview')
    logged = [repr(vars(record)) for record in worker.records] + [str(each.job.log_entries) for each in (run, failed)]
    assert not any(pve.token_secret in text for text in logged)


def test_tracebacks_of_database_errors_do_not_quote_rows(caplog):
    ClusterType.objects.create(name=ROW, slug='first')
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        ClusterType.objects.create(name=ROW, slug='second')
    assert ROW in str(caught.value)
    logging.getLogger(LOGGER).error('A statement failed', exc_info=caught.value)
    assert 'duplicate key value violates unique constraint' in caplog.text
    assert 'test_tracebacks_of_database_errors' in caplog.text, 'The traceback is complete otherwise.'
    assert ROW not in caplog.text
