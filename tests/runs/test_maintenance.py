"""
In NetBox's maintenance mode nothing is written: no run is started or carried out.

Tried: the schedule, a run that was queued before, previews and plans, the command, pages and the REST API; the mode
switched on in the configuration file, and in NetBox's own settings, which a worker that is running has to notice.
"""

import io

import pytest
from core.models import ConfigRevision, Job
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import ScheduleJob, SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun

from ..cases import make_endpoint, make_run
from ..scenarios.synced import pin, run_job

MESSAGE = 'NetBox is in maintenance mode, so no run is executed. Run again when maintenance mode is off.'


@pytest.fixture(params=['configuration file', 'settings of NetBox'])
def maintenance(request, db, settings):
    """Switches it on."""

    def on():
        if request.param == 'configuration file':
            settings.MAINTENANCE_MODE = True
        else:
            ConfigRevision.objects.create(data={'MAINTENANCE_MODE': True}).activate()

    yield on
    cache.delete_many(['config', 'config_version'])


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=2, containers=0, templates=0)


def test_the_schedule_starts_nothing_and_goes_on_afterwards(maintenance, settings):
    endpoint = make_endpoint(sync_interval=60)
    due = timezone.now()
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(next_sync=due)
    dead = make_run(endpoint, status='running', completed=None)
    maintenance()
    job = ScheduleJob.enqueue(immediate=True, interval=1)
    assert [entry['message'] for entry in job.log_entries] == [MESSAGE]
    assert SyncRun.objects.get().status == dead.status
    endpoint.refresh_from_db()
    assert endpoint.next_sync == due
    assert ScheduleJob.waiting().exists()


def carry_out(run: SyncRun) -> SyncRun:
    """As a worker does."""
    SyncJob.handle(run.job, run_id=run.pk)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize('mode', ['sync', 'preview'])
def test_a_run_that_was_queued_before_writes_nothing_and_states_the_reason(maintenance, pve, mode):
    run = SyncJob.enqueue_run(pin(pve), None, mode=mode)
    maintenance()
    carry_out(run)
    assert (run.status, run.error) == ('canceled', MESSAGE)
    assert Job.objects.get(pk=run.job_id).status == 'completed'
    assert not VirtualMachine.objects.exists()
    assert not ProxmoxGuest.objects.exists()
    assert not run.changes.exists()


def test_a_plan_that_was_queued_before_is_not_applied(maintenance, pve):
    run = SyncJob.enqueue_plan(run_job(pin(pve), mode='preview'), None)
    maintenance()
    carry_out(run)
    assert (run.status, run.error) == ('canceled', MESSAGE)
    assert not VirtualMachine.objects.exists()


def test_the_command_refuses(maintenance, pve):
    pin(pve)
    maintenance()
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command('proxsync_sync', '--all', stdout=out, stderr=out)
    assert (caught.value.code, MESSAGE in out.getvalue(), SyncRun.objects.count()) == (1, True, 0)


def test_pages_and_the_api_report_this(maintenance, pve):
    """NetBox itself lets every page write as long as LOGIN_REDIRECT_URL is '/', which is its default."""
    endpoint = pin(pve)
    preview = run_job(endpoint, mode='preview')
    guest = ProxmoxGuest.objects.first()
    client = Client()
    client.force_login(User.objects.create_superuser('alice'))
    maintenance()
    pages = [
        reverse('plugins:netbox_proxsync:proxmoxendpoint_sync', args=[endpoint.pk]),
        reverse('plugins:netbox_proxsync:proxmoxendpoint_preview', args=[endpoint.pk]),
        reverse('plugins:netbox_proxsync:proxmoxguest_sync', args=[guest.pk]),
        reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk]),
    ]
    for page in pages:
        answer = client.post(page, {'part': 'all'}, follow=True)
        assert MESSAGE in answer.content.decode(), page
    api = [
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-sync', args=[endpoint.pk]),
        reverse('plugins-api:netbox_proxsync-api:syncrun-apply', args=[preview.pk]),
    ]
    for url in api:
        answer = client.post(url, {}, content_type='application/json')
        assert (answer.status_code, answer.json()['detail']) == (409, MESSAGE), url
    assert SyncRun.objects.count() == 1
