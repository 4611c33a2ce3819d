"""
During an outage the list of guests keeps what was last known, with its date, and shows the state unknown.

Seen: guests on dead nodes lost their name, status, tags and details. Also tried: pvestatd that hangs on a live node, a
configuration that cannot be read, lists that no longer tell the pool, a cluster without quorum that does not list a
guest, a guest that was never read before, a guest that was really deleted; and that the date goes when the guest can be
read again.
"""

import pytest
from django.urls import reverse
from users.models import User

from netbox_proxsync.models import ProxmoxGuest

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    found = standin(nodes=2, vms=0, containers=0)
    for vmid, node in ((101, 'pve1'), (102, 'pve2')):
        found.create(
            vmid, node=node, name=f'vm{vmid}', running=True, pool='production', config={'agent': 1, 'tags': 'web;db'}
        )
        found.set_addresses(vmid, 'net0', f'10.1.0.{vmid}/24')
    return found


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture
def first(endpoint, sync):
    run = sync(endpoint)
    assert run.status == 'completed'
    return run


def guest(vmid: int) -> ProxmoxGuest:
    return ProxmoxGuest.objects.get(vmid=vmid)


def shown(row: ProxmoxGuest) -> tuple:
    return row.name, row.status, row.tags, row.template, row.pool, row.nics, row.detail('disks')


def outage(pve, how: str) -> None:
    match how:
        case 'offline node':
            pve.node_offline('pve2', 'unknown')
        case 'pvestatd':
            pve.set_status(102, 'unknown')
        case 'configuration':
            pve.fail('/nodes/*/qemu/102/config', status=500, reason='got timeout')


@pytest.mark.parametrize('how', ['offline node', 'pvestatd', 'configuration'])
def test_a_guest_keeps_what_was_last_known(how, pve, endpoint, first, sync):
    before = guest(102)
    assert shown(before)[:2] == ('vm102', 'running')
    assert before.nics[0]['addresses']
    outage(pve, how)
    sync(endpoint)
    row = guest(102)
    assert shown(row)[:4] == shown(before)[:4]
    assert row.pool == 'production'
    assert [disk['key'] for disk in row.detail('disks')] == ['scsi0']
    assert row.nics == before.nics or how == 'pvestatd'
    assert row.state == 'unknown'
    assert row.known_until == first.started
    assert row.detail('unread')
    assert (guest(101).state, guest(101).known_until) == ('in-sync', None)
    # The date is that of the last read, however long the outage lasts.
    sync(endpoint)
    assert guest(102).known_until == first.started
    pve.heal()
    pve.node_online('pve2')
    pve.set_status(102, 'running')
    sync(endpoint)
    row = guest(102)
    assert (row.state, row.known_until) == ('in-sync', None)
    assert shown(row) == shown(before)


def test_last_known_data_is_displayed_during_an_outage(pve, endpoint, first, sync):
    pve.node_offline('pve2', 'unknown')
    pve.set_tags(102, 'prod')
    pve.set_pool(102, 'staging')
    sync(endpoint)
    row = guest(102)
    assert (row.name, row.tags, row.pool) == ('vm102', ['prod'], 'staging')


def test_a_guest_that_was_never_read_has_no_date(pve, endpoint, sync):
    pve.node_offline('pve2', 'unknown')
    sync(endpoint)
    row = guest(102)
    assert (row.name, row.status, row.state, row.known_until) == ('', '', 'unknown', None)


def test_a_guest_that_may_exist_keeps_its_status_and_a_deleted_one_does_not(pve, endpoint, first, sync):
    pve.delete(102)
    pve.quorum(False)
    sync(endpoint)
    row = guest(102)
    assert (row.state, row.status, row.last_seen) == ('unknown', 'running', first.started)
    pve.quorum(True)
    sync(endpoint)
    row = guest(102)
    assert (row.state, row.status, row.name, row.last_seen) == ('missing', '', 'vm102', first.started)


def test_the_date_is_on_the_page_in_the_table_in_rest_and_in_graphql(pve, endpoint, first, sync, client):
    pve.node_offline('pve2', 'unknown')
    sync(endpoint)
    client.force_login(User.objects.create_superuser('admin'))
    row = guest(102)
    date = first.started.isoformat()[:19]
    answer = client.get(reverse('plugins-api:netbox_proxsync-api:proxmoxguest-detail', args=[row.pk])).json()
    assert (answer['status'], answer['state']['value'], answer['known_until'][:19]) == ('running', 'unknown', date)
    rows = client.get(
        reverse('plugins-api:netbox_proxsync-api:proxmoxguest-list'), {'known_until__empty': 'false'}
    ).json()['results']
    assert [found['vmid'] for found in rows] == [102]
    query = '{ proxsync_guest_list(filters: {name: {exact: "vm102"}}) { status known_until } }'
    found = client.post('/graphql/', {'query': query}, content_type='application/json').json()
    assert found['data']['proxsync_guest_list'][0]['known_until'][:19] == date
    page = client.get(row.get_absolute_url()).content.decode()
    assert 'Known until' in page
    listed = client.get(reverse('plugins:netbox_proxsync:proxmoxguest_list')).content.decode()
    assert 'Known until' in listed
