"""
A run whose writes NetBox refuses is shown for what it is, through the real job against a stand-in Proxmox VE.

Tried: all changes refused, some of them, one field of an object, a shared object, a stored plan that is applied, a run
for one guest, a run into which nothing had to be written, and conflicts, which are no errors. Looked at: the run, its
page, the endpoint, REST filters, the event type, notifications, metrics, the exit status of the command, later plans,
and the setting that keeps event rules quiet in the first sync.
"""

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from extras.models import Notification
from virtualization.models import VirtualMachine

from netbox_proxsync.events import event_type_of, payload
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.metrics import ProxSyncCollector
from netbox_proxsync.models import SyncRun
from netbox_proxsync.runs.application import is_quiet
from netbox_proxsync.runs.stored_plans import PlanNotApplicableError, check_appliable

pytestmark = pytest.mark.django_db

TENANT = {'virtualization.virtualmachine': [{'tenant': {'required': True}}]}
EVERYTHING = {'virtualization.cluster': [{'tenant': {'required': True}}]}


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=3, containers=0, running=1, agent=1, seed=3, templates=0)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture
def some_refused(endpoint, sync, settings) -> SyncRun:
    settings.CUSTOM_VALIDATORS = TENANT
    return sync(endpoint)


@pytest.fixture
def all_refused(endpoint, sync, settings) -> SyncRun:
    settings.CUSTOM_VALIDATORS = EVERYTHING
    return sync(endpoint)


def metric(name: str) -> dict[str, float]:
    family = next(family for family in ProxSyncCollector().collect() if family.name == f'netbox_proxsync_{name}')
    return {'/'.join(sample.labels.values()): sample.value for sample in family.samples}


def test_a_run_of_which_a_part_was_refused_is_completed_with_errors(endpoint, some_refused):
    run = some_refused
    endpoint.refresh_from_db()
    assert (run.status, endpoint.status) == ('completed_with_errors',) * 2
    assert run.error == '3 changes could not be written.'
    assert set(run.changes.values_list('kind', 'outcome')) >= {('cluster', 'applied'), ('vm', 'failed')}


def test_a_run_of_which_all_was_refused_has_failed(endpoint, all_refused):
    run = all_refused
    endpoint.refresh_from_db()
    assert (run.status, endpoint.status) == ('failed', 'failed')
    assert run.error.startswith('Nothing was written')
    assert run.job.status == 'failed'
    assert not VirtualMachine.objects.exists()


def test_a_run_with_nothing_but_conflicts_and_one_without_changes_are_completed(pve, endpoint, sync):
    sync(endpoint)
    assert sync(endpoint).status == 'completed'


def test_one_field_that_is_refused_is_an_error_and_the_rest_is_written(pve, endpoint, sync, settings):
    sync(endpoint)
    settings.CUSTOM_VALIDATORS = {'extras.tag': [{'name': {'max_length': 3}}]}
    vmid = min(guest.vmid for guest in pve.cluster.guests.values())
    pve.set_tags(vmid, 'production')
    pve.rename(vmid, 'renamed')
    run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    assert VirtualMachine.objects.filter(name='renamed').exists()


def test_a_run_for_one_guest_that_is_refused_has_failed(pve, endpoint, sync, settings):
    sync(endpoint)
    settings.CUSTOM_VALIDATORS = TENANT
    vmid = min(guest.vmid for guest in pve.cluster.guests.values())
    pve.rename(vmid, 'renamed')
    assert sync(endpoint, vmids=[vmid]).status == 'failed'


def test_an_applied_plan_that_is_refused_in_part_ends_with_errors_and_is_not_applied_again(endpoint, sync, settings):
    preview = sync(endpoint, 'preview')
    settings.CUSTOM_VALIDATORS = TENANT
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    assert run.status == 'completed_with_errors'
    with pytest.raises(PlanNotApplicableError, match='applied already'):
        check_appliable(preview)


def test_a_plan_is_too_old_after_a_run_with_errors(endpoint, sync, settings):
    preview = sync(endpoint, 'preview')
    settings.CUSTOM_VALIDATORS = TENANT
    sync(endpoint)
    with pytest.raises(PlanNotApplicableError, match='has changed NetBox since'):
        check_appliable(preview)


def test_pages_and_the_api_tell(some_refused, admin_client, endpoint):
    for address in (some_refused.get_absolute_url(), endpoint.get_absolute_url()):
        assert 'Completed with errors' in admin_client.get(address).content.decode()
    for path in ('runs', 'endpoints'):
        found = admin_client.get(f'/api/plugins/proxsync/{path}/?status=completed_with_errors').json()
        assert [row['status'] for row in found['results']] == [
            {'value': 'completed_with_errors', 'label': 'Completed with errors'}
        ]


def test_event_rules_and_metrics_tell(some_refused):
    assert event_type_of(some_refused.status, payload(some_refused)['run']).name == 'proxsync_errors'
    assert metric('last_run_status') == {'Lab/completed_with_errors': 1}
    assert metric('last_success_timestamp_seconds') == {}
    assert metric('last_run_errors')['Lab'] >= 3


def test_the_user_who_started_it_is_notified(endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = TENANT
    user = get_user_model().objects.create_superuser('alice', password='alice')
    sync(endpoint, user=user)
    assert Notification.objects.get(user=user).event_type == 'job_failed'


def test_the_command_ends_with_1(endpoint, settings):
    settings.CUSTOM_VALIDATORS = TENANT
    with pytest.raises(SystemExit) as stop:
        call_command('proxsync_sync', 'Lab', stdout=io.StringIO(), stderr=io.StringIO())
    assert stop.value.code == 1


def test_a_first_sync_with_errors_was_a_first_sync(endpoint, some_refused):
    endpoint.object_events = 'later'
    endpoint.save()
    some_refused.endpoint = endpoint
    assert not is_quiet(some_refused)


def test_the_next_run_writes_what_is_accepted_by_then(endpoint, some_refused, sync, settings):
    settings.CUSTOM_VALIDATORS = {}
    assert sync(endpoint).status == 'completed'
    assert VirtualMachine.objects.count() == 3
