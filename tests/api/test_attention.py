"""What requires a user, and many decisions in one request, by REST."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange

from ..cases import (
    allow,
    make_address_conflict,
    make_candidate,
    make_clusters,
    make_endpoint,
    make_last_run,
    make_run_with_fault,
)

pytestmark = pytest.mark.django_db

API = '/api/plugins/proxsync'


def api(user: User | None = None) -> APIClient:
    client = APIClient()
    client.force_authenticate(user or User.objects.create_superuser('admin'))
    return client


@pytest.fixture
def machines(db):
    cluster = make_clusters('lab')[0]
    return [VirtualMachine.objects.create(name=f'web{number}', cluster=cluster) for number in range(3)]


@pytest.fixture
def endpoint(machines):
    return make_endpoint('Berlin', cluster=machines[0].cluster)


@pytest.fixture
def run(endpoint):
    return make_run_with_fault(endpoint)


def test_it_lists_and_filters_with_as_many_queries_for_more_rows(endpoint, run, machines):
    first = make_candidate(endpoint, run, 100, machines[0])
    client = api()
    client.get(f'{API}/attention/')
    with CaptureQueriesContext(connection) as few:
        answer = client.get(f'{API}/attention/')
    assert (answer.status_code, answer.data['count']) == (200, 2)
    row = answer.data['results'][0]
    assert (row['id'], row['question']['value'], row['object']['id']) == (
        f'change-{first.pk}', 'candidate', machines[0].pk,
    )  # fmt: skip
    assert (row['endpoint']['name'], row['change']['id'], row['run']['id']) == ('Berlin', first.pk, run.pk)
    assert row['guest']['vmid'] == 100
    assert row['choices'] == ['link', 'separate', 'rename', 'ignore_guest']
    assert answer.data['results'][1]['choices'] == ['acknowledge']
    for number, vm in enumerate(machines[1:]):
        make_candidate(endpoint, run, 101 + number, vm)
    make_address_conflict(run, 150, '10.0.0.1')
    with CaptureQueriesContext(connection) as many:
        assert client.get(f'{API}/attention/').data['count'] == 5
    # The first one may also load what NetBox caches.
    assert len(many) <= len(few)
    make_last_run(make_endpoint('Rome'), status='failed', guests=None)
    for query, number in (
        ('question=candidate', 3), ('question=candidate&question=fault', 4), ('q=web1', 1), ('endpoint=Rome', 1),
        (f'endpoint_id={endpoint.pk}', 5), ('endpoint=Nowhere', 0), ('limit=2&offset=1', 6), ('start=5', 6),
    ):  # fmt: skip
        assert client.get(f'{API}/attention/?{query}').data['count'] == number, query
    assert client.get(f'{API}/attention/?question=nonsense').status_code == 400
    assert client.post(f'{API}/attention/').status_code == 405


def test_a_user_lists_what_may_be_viewed(endpoint, run, machines):
    make_candidate(endpoint, run, 100, machines[0])
    make_last_run(make_endpoint('Rome'), status='failed', guests=None)
    user = User.objects.create_user('ada')
    client = api(user)
    assert client.get(f'{API}/attention/').status_code == 403
    allow(user, ProxmoxEndpoint, 'view', {'name': 'Berlin'})
    client = api(User.objects.get(pk=user.pk))
    for query in ('', '?endpoint=Rome'):
        assert client.get(f'{API}/attention/{query}').data['count'] == 0
    allow(user, SyncChange, 'view')
    allow(user, VirtualMachine, 'view')
    client = api(User.objects.get(pk=user.pk))
    row = client.get(f'{API}/attention/').data['results'][0]
    assert (row['choices'], row['run'], row['guest']) == ([], None, None)


def test_changes_are_resolved_all_or_none(endpoint, run, machines):
    linked, separate, renamed = (make_candidate(endpoint, run, 100 + number, machines[number]) for number in range(3))
    ignored = make_address_conflict(run, 150, '10.0.0.1')
    client, url = api(), f'{API}/changes/resolve/'
    wanted = [
        {'id': ignored.pk, 'choice': 'ignore'},
        {'id': linked.pk, 'choice': 'link', 'object_id': machines[2].pk},
        {'id': separate.pk, 'choice': 'separate'},
        {'id': renamed.pk, 'choice': 'rename', 'name': 'other'},
    ]
    # One that is not possible.
    refused = client.post(url, [*wanted[:2], {'id': separate.pk, 'choice': 'move'}], format='json')
    assert refused.status_code == 409
    assert refused.data['errors'] == [
        {'id': separate.pk, 'errors': {'__all__': ['This decision is not possible for an object of this type.']}}
    ]
    for bad, code in (
        ([*wanted, {'id': linked.pk, 'choice': 'separate'}], 400), ([{'id': 999999, 'choice': 'ignore'}], 400),
        ([], 400), (wanted[0], 400), ([{'id': linked.pk}], 400), ([{**wanted[0], 'object': 1}], 400),
        ([{'id': linked.pk, 'choice': 'link', 'object_id': 999999}], 409), ([{'id': ignored.pk, 'choice': 'vrf'}], 409),
        ([{'id': renamed.pk, 'choice': 'rename'}], 409),
    ):  # fmt: skip
        assert client.post(url, bad, format='json').status_code == code, bad
    assert not Decision.objects.exists()
    assert endpoint.guests.get(vmid=100).state == 'candidate'
    answer = client.post(url, wanted, format='json')
    assert answer.status_code == 200
    assert [(each['key'], each['choice']['value']) for each in answer.data] == [
        (ignored.key, 'ignore'), ('qemu/100', 'link'), ('qemu/101', 'separate'), ('qemu/102', 'rename'),
    ]  # fmt: skip
    assert Decision.objects.get(choice='link').object == machines[2]
    assert Decision.objects.get(choice='rename').name == 'other'
    assert client.get(f'{API}/attention/').data['count'] == 1


def test_guests_are_linked_all_or_none(endpoint, run, machines):
    for number in range(2):
        make_candidate(endpoint, run, 100 + number, machines[number])
    guests = list(endpoint.guests.order_by('vmid'))
    user = User.objects.create_user('ada')
    client, url = api(user), f'{API}/guests/link/'
    wanted = [{'id': guest.pk, 'virtual_machine': vm.pk} for guest, vm in zip(guests, machines, strict=False)]
    assert client.post(url, wanted, format='json').status_code == 403
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Other'})
    allow(user, ProxmoxGuest, 'view')
    for action in ('view', 'change'):
        allow(user, VirtualMachine, action, {'name__in': ['web0', 'web1']})
    client = api(User.objects.get(pk=user.pk))
    refused = client.post(url, wanted, format='json')
    assert (refused.status_code, len(refused.data['errors'])) == (409, 2)
    ProxmoxEndpoint.objects.update(name='Other')
    hidden = client.post(url, [wanted[0], {'id': guests[1].pk, 'virtual_machine': machines[2].pk}], format='json')
    assert (hidden.status_code, [error['id'] for error in hidden.data['errors']]) == (409, [guests[1].pk])
    assert 'web2' not in str(hidden.data)
    assert not Decision.objects.exists()
    answer = client.post(url, wanted, format='json')
    assert [guest['virtual_machine']['name'] for guest in answer.data] == ['web0', 'web1']
    assert Decision.objects.filter(user=user, choice='link').count() == 2
