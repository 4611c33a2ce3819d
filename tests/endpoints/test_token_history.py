"""What an endpoint's token could see the last time: kept by runs, told by the next one, forgotten with the token."""

import pytest
from core.models import ObjectChange
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from users.models import User

from netbox_proxsync.proxmox.token_history import TokenHistory
from netbox_proxsync.runs import execution

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=3, containers=1)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture
def today():
    return timezone.localdate().isoformat()


def told(run) -> str:
    return '\n'.join(f'{message["message"]} {message["remedy"]}' for message in run.messages)


def test_a_lost_privilege_is_reported_with_the_command_that_grants_it(pve, endpoint, sync, today):
    assert 'no longer' not in told(sync(endpoint))
    pve.revoke('VM.Audit')
    for _again in range(2):
        run = sync(endpoint)
        assert f'The token no longer has VM.Audit on /vms. It had this privilege on {today}.' in told(run)
        assert 'pveum acl modify / --tokens' in told(run)
        assert f'sees 0 virtual machines; it saw 3 on {today}' in told(run)


def test_it_is_written_only_when_it_differs_and_is_no_matter_for_the_change_log(endpoint, sync, today):
    sync(endpoint)
    endpoint.refresh_from_db()
    assert TokenHistory.parse(endpoint.token_history).guests == {'lxc': 1, 'qemu': 3}
    assert TokenHistory.parse(endpoint.token_history).rights['VM.Audit', '/vms'] == today
    changes = ObjectChange.objects.count()
    with CaptureQueriesContext(connection) as queries:
        sync(endpoint, mode='preview')
    assert not [query['sql'] for query in queries if 'SET "token_history"' in query['sql']]
    assert ObjectChange.objects.count() == changes
    assert 'token_history' not in endpoint.serialize_object()


@pytest.mark.parametrize(
    'change', [{'token_secret': 'c0ffee00-0000-4000-8000-00000000000f'}, {'token_id': 'netbox@pve!other'}]
)
def test_another_token_is_not_compared_with_the_one_before(endpoint, sync, change):
    sync(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.valid_token_history.rights
    for name, value in change.items():
        setattr(endpoint, name, value)
    assert endpoint.valid_token_history == TokenHistory()
    endpoint.save()
    endpoint.refresh_from_db()
    assert endpoint.token_history == {}


def test_the_same_token_stored_again_changes_nothing(pve, endpoint, sync):
    sync(endpoint)
    endpoint.refresh_from_db()
    endpoint.token_secret = pve.token_secret
    endpoint.description = 'edited'
    endpoint.save()
    endpoint.refresh_from_db()
    assert endpoint.valid_token_history.rights


def test_a_run_that_began_with_another_token_is_not_remembered(endpoint, sync, monkeypatch):
    collect = execution.collect

    def collect_and_change(*args):
        inventory = collect(*args)
        type(endpoint).objects.filter(pk=endpoint.pk).update(token_id='netbox@pve!other')
        return inventory

    monkeypatch.setattr(execution, 'collect', collect_and_change)
    sync(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.token_history == {}


def test_the_connection_test_reports_it(pve, endpoint, sync, today):
    sync(endpoint)
    pve.revoke('VM.Audit')
    client = Client()
    client.force_login(User.objects.create_superuser('alice'))
    page = client.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_test', args=[endpoint.pk])).content.decode()
    assert f'the token had this privilege on {today}' in page
    assert 'pveum acl modify' in page
