"""The page Needs Attention: what requires a user over all endpoints, and decisions about many rows."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

from ..cases import (
    FAULT,
    allow,
    make_address_conflict,
    make_binding,
    make_candidate,
    make_change,
    make_clusters,
    make_endpoint,
    make_last_run,
    make_run,
    make_run_with_fault,
)
from .test_dashboard import browser_of

pytestmark = pytest.mark.django_db


def browser(user: User | None = None) -> Client:
    client = Client()
    client.force_login(user or User.objects.create_superuser('admin'))
    return client


def page(client: Client, **query) -> str:
    response = client.get(reverse('plugins:netbox_proxsync:attention'), query)
    assert response.status_code == 200
    return response.content.decode()


def listed(client: Client, **query) -> list[str]:
    """The rows of the table, in their order."""
    return re.findall('<input[^>]* name="pk" value="([^"]+)"', page(client, **query))


def resolve(client: Client, choice: str, rows, **values):
    url = reverse('plugins:netbox_proxsync:attention_resolve', args=[choice])
    return client.post(url, {'pk': rows, 'return_url': reverse('plugins:netbox_proxsync:attention'), **values})


def confirm(client: Client, choice: str, rows) -> str:
    response = resolve(client, choice, rows, _confirm='1')
    return client.get(response.url).content.decode()


@pytest.fixture
def cluster(db):
    return make_clusters('lab')[0]


@pytest.fixture
def endpoint(cluster) -> ProxmoxEndpoint:
    return make_endpoint('Berlin', cluster=cluster)


def test_the_items_that_require_a_user_are_listed_with_the_most_urgent_first(endpoint, cluster):
    vm = VirtualMachine.objects.create(name='web', cluster=cluster)
    run = make_run_with_fault(endpoint)
    taken, maybe = make_address_conflict(run, 100, '10.0.0.1'), make_candidate(endpoint, run, 100, vm)
    rome, oslo, vienna = (make_endpoint(name) for name in ('Rome', 'Oslo', 'Vienna'))
    preview = make_last_run(rome, mode='preview', counts={'vm': {'create': 1}})
    make_change(preview, 0, outcome='planned')
    blocked = make_last_run(oslo, status='refused', refusal='Virtual machines: 9 retired (of 10).')
    make_change(blocked, 0, action='retire', outcome='planned')
    failed = make_last_run(vienna, status='failed', guests=None, error='pve1: connection refused')
    client = browser()
    text = page(client)
    rows = re.findall('<input[^>]* name="pk" value="([^"]+)"', text)
    assert rows[:4] == [f'endpoint-{vienna.pk}', f'run-{blocked.pk}', f'change-{taken.pk}', f'change-{maybe.pk}']
    assert rows[4].startswith(f'fault-{endpoint.pk}-')
    assert rows[5:] == [f'run-{preview.pk}']
    for part in (
        'pve1: connection refused', failed.get_absolute_url(), 'Test Connection',
        'Virtual machines: 9 retired (of 10).', 'Review and Approve', f'/runs/{blocked.pk}/accept/',
        'Move Address Here', 'Ignore This Address', '&quot;web&quot; may be this guest.', vm.get_absolute_url(),
        'Link to This VM', 'Create Separately', 'Ignore This Guest', endpoint.guests.get().get_absolute_url(),
        'The bridge is wrong.', 'Acknowledge', '1 change waits to be applied.', preview.get_absolute_url(),
    ):  # fmt: skip
        assert part in text, part
    # The filters.
    assert listed(client, endpoint_id=rome.pk) == [f'run-{preview.pk}']
    assert listed(client, question=['conflict', 'candidate']) == rows[2:4]
    assert listed(client, q='connection REFUSED') == rows[:1]
    assert listed(client, q='no such thing') == []
    assert listed(client, question='nonsense') == []
    part = client.get(reverse('plugins:netbox_proxsync:attention'), {'q': 'web'}, headers={'HX-Request': 'true'})
    assert '<html' not in part.content.decode()
    assert 'change-' in part.content.decode()
    # A disabled endpoint does not fail.
    ProxmoxEndpoint.objects.filter(pk=vienna.pk).update(enabled=False)
    assert listed(client, endpoint_id=vienna.pk) == []


def test_the_last_run_that_has_read_a_guest_counts(endpoint, cluster):
    vm, other = (VirtualMachine.objects.create(name=name, cluster=cluster) for name in ('web', 'db'))
    earlier = make_run(endpoint)
    old = make_change(earlier, 0, unit='qemu/300', key='qemu/300', action='conflict', outcome='planned')
    SyncRun.objects.filter(pk=earlier.pk).update(created='2026-01-02T03:04:00Z')
    full = make_run(endpoint)
    make_candidate(endpoint, full, 100, vm)
    left = make_candidate(endpoint, full, 101, other)
    make_address_conflict(earlier, 101, '10.0.0.9')
    still = make_address_conflict(full, 101, '10.0.0.9')
    client = browser()
    assert len(listed(client)) == 3
    limited = make_run(endpoint, mode='quick', vmids=[100])
    found = make_address_conflict(limited, 100, '10.0.0.1')
    # A run in a branch, one that failed, and one that only applied a plan have not compared main.
    for values in ({'branch_id': 'abc'}, {'status': 'failed'}, {'mode': 'apply'}):
        make_run(endpoint, **values)
    rows = listed(client)
    assert set(rows) == {f'change-{change.pk}' for change in (left, found, still)}
    assert f'change-{old.pk}' not in rows
    # Since the first run that has reported it.
    assert '2026-01-02 03:04' in page(client, q='10.0.0.9')
    assert '2026-01-02' not in page(client, q='10.0.0.1')


def test_decided_rows_are_not_listed(endpoint, cluster):
    vm, other = (VirtualMachine.objects.create(name=name, cluster=cluster) for name in ('web', 'db'))
    run = make_run_with_fault(endpoint)
    decided, ignored = make_candidate(endpoint, run, 100, vm), make_candidate(endpoint, run, 101, other)
    unmanaged = make_address_conflict(run, 102, '10.0.0.2')
    client = browser()
    assert len(listed(client)) == 4
    Decision.objects.create(endpoint=endpoint, kind='vm', key=decided.key, unit=decided.unit, choice='separate')
    endpoint.guests.filter(vmid=101).update(ignored=True)
    make_binding(endpoint, vm, 102, kind='ip', key=unmanaged.key, unmanaged=True)
    acknowledged = {'subject': FAULT['subject'], 'message': FAULT['message'], 'user': 'ada', 'time': '2026-01-01'}
    ProxmoxEndpoint.objects.update(acknowledged_faults=[acknowledged])
    assert listed(client) == []
    assert 'Nothing needs attention' in page(client)
    # Of another endpoint, the same key is another object.
    second = make_endpoint('Madrid')
    again = make_candidate(second, make_run(second), 100, vm)
    assert listed(client) == [f'change-{again.pk}']
    assert ignored.key == 'qemu/101'


def test_a_user_sees_and_counts_only_what_may_be_viewed(endpoint, cluster):
    vm, secret = (VirtualMachine.objects.create(name=name, cluster=cluster) for name in ('web', 'top-secret'))
    run = make_run_with_fault(endpoint, status='completed_with_errors', error='NetBox said no.')
    shown, hidden = make_candidate(endpoint, run, 100, vm), make_candidate(endpoint, run, 101, secret)
    far = make_endpoint('Far away')
    make_last_run(far, status='failed', guests=None, error='far: no route')
    user = User.objects.create_user('ada')
    client = browser(user)
    url = reverse('plugins:netbox_proxsync:attention')
    assert client.get(url).status_code == 403
    assert Client().get(url).status_code == 302
    allow(user, ProxmoxEndpoint, 'view', {'name': 'Berlin'})
    # Without the permission for runs, neither their errors nor their faults.
    text = page(client)
    assert 'NetBox said no.' not in text
    assert 'bridge' not in text
    assert 'Nothing needs attention' in text
    allow(user, SyncChange, 'view')
    allow(user, ProxmoxGuest, 'view')
    allow(user, VirtualMachine, 'view', {'name': 'web'})
    text = page(client)
    assert f'"{reverse("plugins:netbox_proxsync:syncchange", args=[shown.pk])}"' in text
    assert 'top-secret' not in text
    assert re.search(r'total-object-count">\s*1\s*<', text)
    assert 'name="choice"' not in text
    assert 'name="pk"' not in text
    allow(user, SyncRun, 'view')
    assert 'NetBox said no.' in page(client)
    assert 'bridge' in page(client)
    # Nor by what is entered.
    assert 'Far away' not in page(client, endpoint_id=far.pk)
    assert resolve(client, 'separate', [f'change-{shown.pk}']).status_code == 403
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Far away'})
    text = resolve(client, 'separate', [f'change-{shown.pk}', f'change-{hidden.pk}']).content.decode()
    assert 'top-secret' not in text
    assert '1 row is left out' in text
    resolve(client, 'separate', [f'change-{shown.pk}', f'change-{hidden.pk}'], _confirm='1')
    assert not Decision.objects.exists()
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Berlin'})
    resolve(client, 'separate', [f'change-{shown.pk}', f'change-{hidden.pk}'], _confirm='1')
    assert Decision.objects.get().key == shown.key


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(endpoint, cluster):
    client = browser()
    counted = []
    for number in (1, 12):
        for _index in range(number):
            lab = make_endpoint(f'Lab {ProxmoxEndpoint.objects.count()}', cluster=None)
            run = make_run_with_fault(lab)
            vm = VirtualMachine.objects.create(name=f'{lab} vm', cluster=cluster)
            make_candidate(lab, run, 100, vm)
            make_address_conflict(run, 101, '10.0.0.1')
        page(client)
        with CaptureQueriesContext(connection) as queries:
            rows = listed(client, per_page=100)
        assert len(rows) == 3 * ProxmoxEndpoint.objects.filter(name__startswith='Lab').count()
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_candidates_are_linked_in_bulk_those_that_are_the_only_ones(endpoint, cluster):
    run = make_last_run(endpoint)
    machines = [VirtualMachine.objects.create(name=f'web{number}', cluster=cluster) for number in range(4)]
    single = [make_candidate(endpoint, run, 100 + number, vm) for number, vm in enumerate(machines[:2])]
    other = {'unit': 'qemu/200', 'key': 'qemu/200', 'action': 'candidate', 'outcome': 'planned', 'object': machines[3]}
    several = [make_candidate(endpoint, run, 200, machines[2]), make_change(run, 201, **other)]
    client = browser()
    rows = [f'change-{change.pk}' for change in [*single, *several]]
    text = resolve(client, 'link', rows).content.decode()
    assert all(vm.get_absolute_url() in text for vm in machines[:2])
    assert machines[2].get_absolute_url() not in text
    assert '2 rows are left out' in text
    # It is not the only one, also if it is selected alone.
    assert '1 row is left out' in resolve(client, 'link', rows[2:3]).content.decode()
    assert not Decision.objects.exists()
    assert '2 decisions were stored' in confirm(client, 'link', rows)
    assert set(Decision.objects.values_list('key', 'choice', 'object_id')) == {
        ('qemu/100', 'link', machines[0].pk),
        ('qemu/101', 'link', machines[1].pk),
    }
    assert listed(client) == rows[2:]
    # All that the filters leave, also on other pages.
    url = reverse('plugins:netbox_proxsync:attention_resolve', args=['separate'])
    client.post(f'{url}?question=candidate', {'_all': 'on', '_confirm': '1'})
    assert Decision.objects.filter(choice='separate').get().key == 'qemu/200'
    assert endpoint.guests.get(vmid=200).reason == 'A virtual machine will be created.'


def test_guests_and_addresses_are_ignored_and_faults_acknowledged_in_bulk(endpoint, cluster):
    run = make_run_with_fault(endpoint)
    vm = VirtualMachine.objects.create(name='web', cluster=cluster)
    guest, address = make_candidate(endpoint, run, 100, vm), make_address_conflict(run, 101, '10.0.0.1')
    bound = make_address_conflict(run, 102, '10.0.0.2', unit='qemu/101', key='qemu/101/10.0.0.2')
    make_binding(endpoint, vm, 101, kind='ip', key=bound.key, unit=bound.unit)
    client = browser()
    rows = listed(client)
    assert len(rows) == 4
    text = resolve(client, 'ignore', rows).content.decode()
    assert '1 row is left out' in text
    assert '3 decisions were stored' in confirm(client, 'ignore', rows)
    assert endpoint.guests.get(vmid=100).ignored
    assert Decision.objects.get().key == address.key
    assert Binding.objects.get(kind='ip').unmanaged
    assert guest.key == 'qemu/100'
    left = listed(client)
    assert left == [row for row in rows if row.startswith('fault-')]
    assert escape(FAULT['message']) in resolve(client, 'acknowledge', left).content.decode()
    assert '1 fault was acknowledged' in confirm(client, 'acknowledge', left)
    endpoint.refresh_from_db()
    assert endpoint.acknowledged_faults[0]['user'] == 'admin'
    assert listed(client) == []


def test_the_buttons_of_a_row_need_no_confirmation(endpoint, cluster):
    run = make_run_with_fault(endpoint)
    vm = VirtualMachine.objects.create(name='web', cluster=cluster)
    change = make_candidate(endpoint, run, 100, vm)
    client = browser()
    text = page(client)
    button = reverse('plugins:netbox_proxsync:syncchange_resolve', args=[change.pk]) + f'?instance={vm.pk}'
    assert f'formaction="{button}"' in text
    client.post(button, {'choice': 'link', 'return_url': '/'})
    assert Decision.objects.get().object == vm
    fault = next(row for row in listed(client) if row.startswith('fault-'))
    url = reverse('plugins:netbox_proxsync:attention_resolve', args=['acknowledge'])
    client.post(url, {'only': fault})
    assert listed(client) == []


@pytest.mark.parametrize(('choice', 'status'), [('nonsense', 404), ('link', 302)])
def test_a_request_without_rows_changes_nothing(choice, status):
    client = browser()
    url = reverse('plugins:netbox_proxsync:attention_resolve', args=[choice])
    assert client.post(url).status_code == status
    assert client.get(url).status_code == 302
    assert not Decision.objects.exists()


def test_lists_and_the_dashboard_lead_to_it(endpoint, cluster):
    run = make_last_run(endpoint)
    make_candidate(endpoint, run, 100, VirtualMachine.objects.create(name='web', cluster=cluster))
    client = browser()
    link = f'{reverse("plugins:netbox_proxsync:attention")}?endpoint_id={endpoint.pk}'
    assert link in client.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list')).content.decode()
    widget = browser_of(User.objects.get()).get('/').content.decode()
    assert f'href="{link}"' in widget
    assert '1 needs attention' in widget
