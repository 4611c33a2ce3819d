"""The doors to the revert of a run: its page, REST and the command."""

import json
import re
from datetime import timedelta
from functools import partial
from html import unescape

import pytest
from core.models import ObjectChange
from django.core.management import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from users.models import Token, User
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, SyncRun
from tests.cases import allow, make_change, make_run, run_command
from tests.scenarios.synced import Stage, after_first_sync, run_job

pytestmark = pytest.mark.django_db

RUNS = '/api/plugins/proxsync/runs'


@pytest.fixture(scope='module')
def stage():
    return Stage({'nodes': 1, 'vms': 2, 'containers': 1, 'running': 1, 'agent': 1, 'seed': 2}, {'change_limit': 100})


@pytest.fixture
def first(endpoint) -> SyncRun:
    """The first sync."""
    return endpoint.runs.get(mode='sync')


@pytest.fixture
def user() -> User:
    return User.objects.create_user('operator')


@pytest.fixture
def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url_of(run: SyncRun, action: str = 'revert') -> str:
    return reverse(f'plugins:netbox_proxsync:syncrun_{action}', args=[run.pk])


def text_of(response) -> str:
    """A page without its markup."""
    return ' '.join(unescape(re.sub(r'<[^>]+>', '', response.content.decode())).split())


def header(user: User) -> dict:
    token = Token.objects.create(user=user)
    return {'HTTP_AUTHORIZATION': f'Bearer nbt_{token.key}.{token.token}'}


@after_first_sync
def test_the_page_of_a_run_offers_to_revert_it_to_those_who_may_sync_its_endpoint(endpoint, first, user, browser):
    allow(user, SyncRun, 'view')
    allow(user, ProxmoxEndpoint, 'view')
    assert 'Revert Run' not in text_of(browser.get(first.get_absolute_url()))
    assert browser.get(url_of(first)).status_code == 403
    assert browser.post(url_of(first)).status_code == 403
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Other'})
    assert browser.post(url_of(first)).status_code == 403
    allow(user, ProxmoxEndpoint, 'sync')
    assert f'href="{url_of(first)}"' in browser.get(first.get_absolute_url()).content.decode()
    page = text_of(browser.get(url_of(first)))
    assert 'The next sync writes the same values again' in page
    assert 'This endpoint has no automatic syncs.' in page
    assert endpoint.runs.count() == 1


@after_first_sync
def test_a_run_that_a_user_may_not_view_is_not_reverted(endpoint, first, user, browser):
    allow(user, ProxmoxEndpoint, 'sync')
    assert browser.post(url_of(first)).status_code == 403
    allow(user, SyncRun, 'view', {'mode': 'preview'})
    assert browser.post(url_of(first)).status_code == 404
    assert Client().post(f'{RUNS}/{first.pk}/revert/', **header(user)).status_code == 404
    assert endpoint.runs.count() == 1


@after_first_sync
def test_the_page_proposes_to_pause_the_schedule(endpoint, first, user, browser):
    for model, action in ((SyncRun, 'view'), (ProxmoxEndpoint, 'sync'), (ProxmoxEndpoint, 'view')):
        allow(user, model, action)
    soon = timezone.now() + timedelta(minutes=5)
    ProxmoxEndpoint.objects.update(sync_interval=60, next_sync=soon)
    page = text_of(browser.get(url_of(first)))
    assert f'The next automatic sync starts at {timezone.localtime(soon):%Y-%m-%d %H:%M}' in page
    # To pause it requires the permission to change it.
    assert 'Pause automatic syncs' not in page
    allow(user, ProxmoxEndpoint, 'change')
    page = browser.get(url_of(first)).content.decode()
    assert 'name="pause"' in page
    assert 'checked' in page[page.index('name="pause"') : page.index('name="pause"') + 200]
    refused = browser.post(url_of(first), {'pause': 'on', 'paused_until': '2001-01-01 00:00:00'})
    assert 'Enter a time in the future.' in text_of(refused)
    assert 'Enter a time in the future.' in text_of(browser.post(url_of(first), {'pause': 'on'}))
    assert endpoint.runs.count() == 1
    until = timezone.localtime() + timedelta(days=2)
    response = browser.post(url_of(first), {'pause': 'on', 'paused_until': f'{until:%Y-%m-%d %H:%M:%S}'})
    run = endpoint.runs.get(mode='revert')
    assert response.url == run.get_absolute_url()
    endpoint.refresh_from_db()
    assert endpoint.is_paused
    assert (run.reverts, run.user) == (first, user)
    log = ObjectChange.objects.get(changed_object_type__model='proxmoxendpoint', user=user)
    assert log.postchange_data['paused_until']


@after_first_sync
def test_the_schedule_continues_if_the_user_wants_it(endpoint, first, user, browser):
    for action in ('sync', 'view', 'change'):
        allow(user, ProxmoxEndpoint, action)
    allow(user, SyncRun, 'view')
    ProxmoxEndpoint.objects.update(sync_interval=60)
    browser.post(url_of(first), {'paused_until': 'whenever'})
    assert endpoint.runs.filter(mode='revert').count() == 0
    browser.post(url_of(first), {'paused_until': ''})
    assert endpoint.runs.filter(mode='revert').count() == 1
    endpoint.refresh_from_db()
    assert not endpoint.is_paused


@after_first_sync
@pytest.mark.parametrize('door', ['page', 'api'])
def test_what_cannot_be_reverted_is_refused_with_the_reason(endpoint, first, door, admin_user, admin_client):
    credentials = header(admin_user)

    def refusal(run: SyncRun) -> str:
        if door == 'page':
            return text_of(admin_client.post(url_of(run), follow=True))
        response = Client().post(f'{RUNS}/{run.pk}/revert/', **credentials)
        assert response.status_code == 409
        return response.json()['detail']

    unfinished = make_run(endpoint, mode='sync', status='running', started=timezone.now())
    assert 'is not finished yet' in refusal(unfinished) or 'has a run that is not finished' in refusal(unfinished)
    unfinished.delete()
    preview = make_run(endpoint, mode='preview', status='completed')
    assert 'there is nothing to revert' in refusal(preview)
    empty = make_run(endpoint, mode='sync', status='completed')
    assert 'there is nothing to revert' in refusal(empty)
    in_branch = make_run(endpoint, mode='sync', status='completed', branch_id='abc', branch='Review')
    make_change(in_branch, 0, action='update', outcome='applied')
    assert 'Revert or discard the branch' in refusal(in_branch)
    busy = SyncRun.objects.create(endpoint=endpoint, mode='sync')
    if door == 'api':
        assert 'not finished' in refusal(first)
    busy.delete()
    ProxmoxEndpoint.objects.update(enabled=False)
    assert 'is disabled' in refusal(first)
    assert not endpoint.runs.filter(mode='revert').exists()


@after_first_sync
def test_the_api_plans_a_revert_that_is_applied_like_a_preview(endpoint, first, user, sync):
    for action in ('view', 'sync'):
        allow(user, ProxmoxEndpoint, action)
    allow(user, SyncRun, 'view')
    credentials = header(user)
    response = Client().post(
        f'{RUNS}/{first.pk}/revert/', json.dumps({'units': ['qemu/100']}), 'application/json', **credentials
    )
    assert response.status_code == 400
    response = Client().post(f'{RUNS}/{first.pk}/revert/', **credentials)
    assert response.status_code == 202
    data = response.json()
    assert (data['mode']['value'], data['status']['value'], data['reverts']['id']) == ('revert', 'queued', first.pk)
    assert [row['id'] for row in Client().get(f'{RUNS}/?reverts_id={first.pk}', **credentials).json()['results']] == [
        data['id']
    ]
    # There is no automatic sync that could write the values again.
    assert 'detail' not in data
    again = Client().post(f'{RUNS}/{first.pk}/revert/', **credentials)
    assert (again.status_code, again.json()['run']['id']) == (409, data['id'])


@after_first_sync
def test_the_command_plans_a_revert_and_applies_it(endpoint, first):
    command = partial(run_command, 'proxsync_sync')
    with pytest.raises(CommandError, match='12345 is not a run of the endpoint'):
        command('Lab', '--revert', '12345')
    with pytest.raises(CommandError, match='for one endpoint'):
        command('--all', '--revert', str(first.pk))
    status, text = command('Lab', '--revert', str(first.pk))
    assert status == 2, text
    assert 'delete   vm' in text
    assert VirtualMachine.objects.count() == 3
    planned = endpoint.runs.get(mode='revert')
    assert command('Lab', '--revert', str(planned.pk))[0] == 1
    assert command('Lab', '--apply', str(planned.pk))[0] == 0
    assert not VirtualMachine.objects.exists()
    status, text = command('Lab', '--revert', str(first.pk))
    assert status == 1
    assert 'has reverted this run already' in text


@after_first_sync
def test_rest_and_the_command_say_how_to_prevent_that_the_next_sync_undoes_the_revert(endpoint, first, user):
    for action in ('view', 'sync', 'change'):
        allow(user, ProxmoxEndpoint, action)
    allow(user, SyncRun, 'view')
    credentials, at = header(user), f'/api/plugins/proxsync/endpoints/{endpoint.pk}/'
    ProxmoxEndpoint.objects.update(sync_interval=60)
    _status, text = run_command('proxsync_sync', 'Lab', '--revert', str(first.pk))
    assert 'The next automatic sync of Lab writes the reverted values again' in text
    assert f'set "paused_until" with PATCH {at}.' in text
    planned = endpoint.runs.get(mode='revert')
    data = Client().post(f'{RUNS}/{planned.pk}/apply/', **credentials).json()
    assert f'set "paused_until" with PATCH {at}.' in data['detail']
    # As it says.
    until = (timezone.now() + timedelta(days=1)).isoformat()
    assert Client().patch(at, json.dumps({'paused_until': until}), 'application/json', **credentials).status_code == 200
    SyncRun.objects.filter(pk=data['id']).delete()
    _status, text = run_command('proxsync_sync', 'Lab', '--apply', str(planned.pk), '--json')
    result = json.loads(text.splitlines()[-1])['result']
    assert result['detail'].startswith('Automatic syncs of Lab are paused until')


@after_first_sync
def test_the_page_of_a_revert_says_what_it_does_and_what_it_leaves(endpoint, first, admin_client):
    VirtualMachine.objects.order_by('pk').first().services.create(name='https', port_mappings=['tcp/443'])
    run = SyncJob.enqueue_revert(first, None, immediate=True)
    page = text_of(admin_client.get(run.get_absolute_url()))
    assert 'cannot be reverted, and are not part of the plan' in page
    assert 'Apply Revert' in page
    assert 'The next sync writes the same values again' in page
    assert 'Revert Run' not in page
    listed = text_of(admin_client.get(run.get_absolute_url(), {'outcome': 'left'}))
    assert 'Dependent objects: application service' in listed
    page = text_of(admin_client.get(url_of(run, 'apply')))
    assert f'Apply the revert of run {first.pk}' in page
    assert 'The next sync writes the same values again' in page
    # It is the plan that waits.
    attention = admin_client.get(reverse('plugins:netbox_proxsync:attention')).content.decode()
    assert run.get_absolute_url() in attention


@after_first_sync
def test_a_revert_is_no_sync(endpoint, first):
    """Pages that show the last sync, the last reading and the guests' states do not take it for one."""
    synced, read = endpoint.last_sync, endpoint.guests_read
    run = SyncJob.enqueue_revert(first, None, immediate=True)
    assert {guest.state for guest in endpoint.guests.all()} == {'in-sync'}
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).sync_status == 'pending'
    SyncJob.enqueue_plan(run, None, immediate=True)
    now = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
    assert (now.last_sync, now.guests_read) == (synced, read)
    assert {guest.state for guest in endpoint.guests.all()} == {'new'}
    assert now.sync_status == 'pending'
    assert run_job(endpoint).status == 'completed'
    assert {guest.state for guest in endpoint.guests.all()} == {'in-sync'}
