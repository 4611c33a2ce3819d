"""
The page, REST and the command agree on whether an endpoint works; texts about it are exact.

Seen: `POST .../test/` answered `ok: true` with five required checks failed, and `proxsync_check` said false. Also
tried: all is well, a cluster without quorum, optional privileges missing, no connection; one container in "sees 1
containers"; a VM ID that was cut out of `lock-100.conf`, and numbers that only contain it.
"""

import json
from contextlib import suppress
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from users.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=2, containers=1, running=1, agent=1)


@pytest.fixture
def admin(client):
    client.force_login(User.objects.create_superuser('admin'))
    return client


def of_rest(client, endpoint) -> dict:
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-test', args=[endpoint.pk])
    return client.post(url).json()


def of_command(endpoint) -> bool:
    out = StringIO()
    with suppress(SystemExit):
        call_command('proxsync_check', endpoint.name, json=True, stdout=out)
    found = [json.loads(line) for line in out.getvalue().splitlines() if line.strip()]
    return next(each['ok'] for each in found if each['endpoint'] == endpoint.name)


def of_page(client, endpoint) -> str:
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_test', args=[endpoint.pk])
    return client.post(url, follow=True).content.decode()


@pytest.mark.parametrize(
    ('trouble', 'connected', 'ok'),
    [
        (lambda pve: None, True, True),
        (lambda pve: pve.revoke('*.Audit'), True, False),
        (lambda pve: pve.revoke('VM.Audit'), True, False),
        (lambda pve: pve.revoke('Pool.Audit'), True, True),
        (lambda pve: pve.quorum(False), True, False),
        (lambda pve: pve.fail('/cluster/resources', 500, 'got timeout'), False, False),
        (lambda pve: pve.remove_token(pve.token_id), False, False),
    ],
    ids=['well', 'nothing', 'guests', 'pools', 'quorum', 'resources', 'token'],
)
def test_page_rest_and_command_have_the_same_status(trouble, connected, ok, pve, make_endpoint, admin):
    endpoint = make_endpoint(pve)
    trouble(pve)
    report = of_rest(admin, endpoint)
    assert (report['connected'], report['ok']) == (connected, ok)
    assert report['ok'] == (connected and all(check['ok'] for check in report['checks'] if check['required']))
    assert of_command(endpoint) is ok
    page = of_page(admin, endpoint)
    assert ('alert-success' in page) is ok
    assert ('required check' in page) is (connected and not ok)


def test_the_number_of_failed_checks_is_shown(pve, make_endpoint, admin):
    endpoint = make_endpoint(pve)
    pve.revoke('*.Audit')
    failed = [check for check in of_rest(admin, endpoint)['checks'] if check['required'] and not check['ok']]
    assert len(failed) > 1
    page = ' '.join(of_page(admin, endpoint).split())
    assert f'{len(failed)} required checks failed.' in page
    assert page.count('pveum acl modify') == 1


def test_one_container_is_not_containers(pve, make_endpoint, sync, admin):
    for number in range(3):
        pve.create(type='lxc', name=f'ct{number}')
    endpoint = make_endpoint(pve)
    assert sync(endpoint).status == 'completed'
    for guest in [guest for guest in pve.cluster.guests.values() if guest.type == 'lxc'][1:]:
        pve.delete(guest.vmid)
    run = sync(endpoint)
    texts = [message['message'] for message in run.messages]
    assert any(text.startswith('The token sees 1 container; it saw 4 on ') for text in texts), texts


def errors_of(run) -> list[str]:
    return [message['message'] for message in run.messages if 'lock' in message['message']]


def test_an_error_of_one_guest_names_its_lock_file(pve, make_endpoint, sync):
    reason = "can't lock file '/var/lock/qemu-server/lock-{}.conf' - got timeout after 1000 s"
    vmids = [guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu']
    pve.fail(f'/nodes/*/qemu/{vmids[0]}/config', 500, reason.format(vmids[0]))
    endpoint = make_endpoint(pve)
    (text,) = errors_of(sync(endpoint))
    assert f'lock-{vmids[0]}.conf' in text
    assert 'after 1000 s' in text
    pve.fail(f'/nodes/*/qemu/{vmids[1]}/config', 500, reason.format(vmids[1]))
    (text,) = errors_of(sync(endpoint))
    assert 'lock-VMID.conf' in text
    assert 'after 1000 s' in text
    assert f'in 2 guests: qemu/{vmids[0]}, qemu/{vmids[1]}.' in text
