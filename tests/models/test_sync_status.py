"""The sync status of an endpoint: computed from its runs, its plans and its guests, the same everywhere."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.models.sync_status import plan_of

from ..cases import make_binding, make_change, make_clusters, make_endpoint, make_guest, make_run

pytestmark = pytest.mark.django_db


def status_of(endpoint: ProxmoxEndpoint) -> str:
    """As a new instance computes it, and as a list has it."""
    listed = ProxmoxEndpoint.objects.with_sync_status().get(pk=endpoint.pk).sync_status
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).sync_status == listed
    return listed


def waiting_plan(endpoint: ProxmoxEndpoint) -> int | None:
    return ProxmoxEndpoint.objects.annotate(plan=plan_of()).get(pk=endpoint.pk).plan


def last(endpoint: ProxmoxEndpoint, **values: object):
    run = make_run(endpoint, **values)
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=run, status=run.status)
    return run


def planned(endpoint: ProxmoxEndpoint, *units: str, **values: object):
    """A preview that plans a change of each of these units."""
    run = last(endpoint, **{'mode': 'preview', **values})
    for position, unit in enumerate(units):
        make_change(run, position, unit=unit, key=unit or 'cluster', outcome='planned')
    return run


def test_of_one_endpoint_over_its_life():
    endpoint = make_endpoint()
    assert status_of(endpoint) == 'never'
    last(endpoint, mode='preview', status='failed', guests=None)
    assert status_of(endpoint) == 'unreachable'
    # A preview leaves changes to apply, and is no sync.
    first = planned(endpoint, '', 'qemu/100')
    assert status_of(endpoint) == 'never'
    assert waiting_plan(endpoint) == first.pk
    last(endpoint, mode='apply', applies=first)
    assert status_of(endpoint) == 'in-sync'
    assert waiting_plan(endpoint) is None
    # What is waiting after a later preview, also if a part of it is applied; the cluster is written with any part.
    second = planned(endpoint, '', 'qemu/100', 'qemu/101')
    make_change(second, 3, unit='qemu/102', action='conflict', outcome='planned')
    assert status_of(endpoint) == 'pending'
    last(endpoint, mode='apply', applies=second, units=['qemu/100'])
    assert waiting_plan(endpoint) == second.pk
    last(endpoint, mode='apply', applies=second, units=['qemu/101'])
    assert waiting_plan(endpoint) is None
    assert status_of(endpoint) == 'in-sync'
    # Only some actions were applied.
    third = planned(endpoint, 'qemu/100')
    last(endpoint, mode='apply', applies=third, actions=['delete'])
    assert waiting_plan(endpoint) == third.pk
    last(endpoint, mode='apply', applies=third, actions=[third.changes.get().action])
    assert waiting_plan(endpoint) is None
    # A quick run that wrote something has overtaken a preview, one that found nothing has not.
    fourth = planned(endpoint, 'qemu/100')
    make_run(endpoint, mode='quick', counts={})
    assert waiting_plan(endpoint) == fourth.pk
    make_run(endpoint, mode='quick', counts={'vm': {'update': 1}})
    assert waiting_plan(endpoint) is None
    # A blocked run, until it is approved.
    blocked = planned(endpoint, 'qemu/100', mode='sync', status='refused', refusal='Too many removals.')
    assert status_of(endpoint) == 'attention'
    assert waiting_plan(endpoint) == blocked.pk
    last(endpoint, mode='apply', applies=blocked)
    assert status_of(endpoint) == 'in-sync'
    # A preview that a sync has overtaken, one without changes, one in a branch, and a canceled run change nothing.
    planned(endpoint, 'qemu/100')
    last(endpoint)
    planned(endpoint)
    make_change(make_run(endpoint, mode='preview', branch_id='b1'), 0, outcome='planned')
    last(endpoint, status='canceled', guests=None)
    assert status_of(endpoint) == 'in-sync'
    last(endpoint, status='completed_with_errors')
    assert status_of(endpoint) == 'attention'


@pytest.mark.parametrize(
    ('state', 'status'),
    [
        ('in-sync', 'in-sync'),
        ('skipped', 'in-sync'),
        ('ignored', 'in-sync'),
        # Of a retired guest.
        ('missing', 'in-sync'),
        ('new', 'pending'),
        ('changed', 'pending'),
        ('conflict', 'attention'),
        ('candidate', 'attention'),
    ],
)
def test_by_the_state_of_a_guest(state, status):
    endpoint = make_endpoint()
    cluster = make_clusters('c')[0]
    make_binding(endpoint, VirtualMachine.objects.create(name='web', cluster=cluster), 100)
    make_guest(endpoint, 100)
    make_guest(endpoint, 101, state=state)
    assert status_of(endpoint) == status


def test_the_list_rest_and_graphql_have_it_with_a_constant_number_of_statements():
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    list_url = reverse('plugins:netbox_proxsync:proxmoxendpoint_list')
    api_url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list')
    query = '{ proxsync_endpoint_list { name sync_status last_sync } }'
    graphql = {'path': reverse('graphql'), 'data': {'query': query}, 'content_type': 'application/json'}

    def counts() -> list[int]:
        numbers = []
        for ask in (lambda: client.get(list_url), lambda: client.get(api_url), lambda: client.post(**graphql)):
            with CaptureQueriesContext(connection) as queries:
                assert ask().status_code == 200
            numbers.append(len(queries))
        return numbers

    synced = make_endpoint('Synced')
    last(synced)
    make_guest(synced, 100)
    make_guest(synced, 101, state='changed')
    make_guest(synced, 102, state='conflict')
    counts()  # fills caches
    few = counts()
    for number in range(4):
        endpoint = make_endpoint(f'Other {number}')
        make_guest(endpoint, 100, state='changed')
        last(endpoint)
    assert counts() == few
    page = client.get(list_url).content.decode()
    guests = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[synced.pk])
    assert f'<a href="{guests}">3</a>' in page
    assert f'<a href="{guests}?state=new&amp;state=changed">1</a>' in page
    assert f'<a href="{guests}?state=conflict&amp;state=candidate">1</a>' in page
    found = client.get(api_url, {'sync_status': 'attention'}).json()['results']
    assert [(row['name'], row['sync_status']['value']) for row in found] == [('Synced', 'attention')]
    assert found[0]['last_sync']
    rows = client.post(**graphql).json()['data']['proxsync_endpoint_list']
    assert {row['name']: row['sync_status'] for row in rows}['Synced'] == 'attention'
    filtered = '{ proxsync_endpoint_list(filters: {sync_status: {exact: SYNC_STATUS_PENDING}}) { name } }'
    answer = client.post(reverse('graphql'), {'query': filtered}, content_type='application/json').json()
    assert sorted(row['name'] for row in answer['data']['proxsync_endpoint_list']) == [
        f'Other {number}' for number in range(4)
    ]


def test_who_may_not_view_guests_gets_no_numbers():
    endpoint = make_endpoint()
    make_guest(endpoint, 100)
    row = ProxmoxEndpoint.objects.with_guest_counts(User.objects.create_user('reader')).get()
    assert row.guest_count is row.pending_guests is row.attention_guests is None
