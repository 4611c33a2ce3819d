import json
from functools import partial

import pytest
from django.core.management import CommandError
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import Decision, ProxmoxEndpoint, SyncChange

from ..cases import (
    allow,
    make_address_conflict,
    make_candidate,
    make_clusters,
    make_endpoint,
    make_run_with_fault,
    run_command,
)

pytestmark = pytest.mark.django_db


command = partial(run_command, 'proxsync_attention')


@pytest.fixture
def endpoint(db):
    cluster = make_clusters('lab')[0]
    endpoint = make_endpoint('Lab', cluster=cluster)
    run = make_run_with_fault(endpoint)
    make_candidate(endpoint, run, 100, VirtualMachine.objects.create(name='web', cluster=cluster))
    make_address_conflict(run, 101, '10.0.0.1')
    return endpoint


def test_the_items_that_require_a_user_are_listed(endpoint):
    make_endpoint('Rome')
    status, text = command()
    assert status == 2
    assert len(text.splitlines()) == 3
    assert 'candidate Lab  web (qemu/100)' in text
    status, text = command('Lab', '--type', 'conflict', '--json')
    row = json.loads(text)
    assert (status, row['endpoint'], row['key'], row['type']) == (2, 'Lab', 'qemu/101/10.0.0.1', 'conflict')
    assert command('Rome') == (0, '')
    assert command('--search', 'nothing like this') == (0, '')


def test_a_user_decides(endpoint):
    with pytest.raises(CommandError, match='--user NAME'):
        command('--link-candidates')
    with pytest.raises(CommandError, match='no active user'):
        command('--link-candidates', '--user', 'ada')
    user = User.objects.create_user('ada')
    # Without permissions, there is nothing to list and nothing to decide.
    assert command('--user', 'ada') == (0, '')
    assert '0 of 0' in command('--link-candidates', '--user', 'ada')[1]
    allow(user, ProxmoxEndpoint, 'view')
    assert not Decision.objects.exists()
    User.objects.create_superuser('admin')
    assert command('--link-candidates', '--user', 'admin') == (0, '1 of 1 decisions were stored.\n')
    assert Decision.objects.get().user.username == 'admin'
    assert '1 of 1' in command('--ignore', '--user', 'admin')[1]
    assert '1 of 1' in command('--acknowledge', '--user', 'admin')[1]
    assert command() == (0, '')


def test_rejected_decisions_are_listed(endpoint):
    user = User.objects.create_user('ada')
    for model in (ProxmoxEndpoint, VirtualMachine):
        allow(user, model, 'view')
    allow(user, ProxmoxEndpoint, 'sync')
    allow(user, Decision, 'view')
    allow(user, SyncChange, 'view')
    status, text = command('--link-candidates', '--user', 'ada')
    assert status == 1
    assert 'web: You do not have permission' in text
    assert '0 of 1' in text
