"""The page of an endpoint summarizes its state, and has a tab for its nodes."""

import re
import ssl
from datetime import UTC, datetime
from html import unescape

import pytest
from core.models import ObjectType
from cryptography import x509
from dcim.models import Device, Site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from users.models import ObjectPermission, User

from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from netbox_proxsync.sync.cluster_state import ClusterState
from tests.pve import ClusterSpec, StandIn

from .. import cases

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 11, 25, 14, 7, tzinfo=UTC)
SCRIPT = '<script>alert(1)</script>'


@pytest.fixture
def browser():
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    return client


def text_of(browser: Client, endpoint: ProxmoxEndpoint, tab: str = '') -> str:
    """The text of a page without markup."""
    url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint{tab}', args=[endpoint.pk])
    page = browser.get(url).content.decode()
    return ' '.join(unescape(re.sub(r'<[^>]+>', ' ', page[page.index('page-body') :])).split())


def test_before_the_first_read_it_says_so_and_what_to_do(browser):
    endpoint = cases.make_endpoint()
    page = text_of(browser, endpoint)
    assert 'Never read yet' in page
    assert 'A preview reads it and changes nothing.' in page
    assert 'was not read yet' in text_of(browser, endpoint, '_nodes')


def test_after_a_read_it_reports_the_version_the_nodes_the_quorum_and_the_guests(standin, make_endpoint, sync, browser):
    pve = standin(nodes=3, vms=3, containers=2, running=1, agent=1, seed=4)
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Berlin', slug='berlin'))
    run = sync(endpoint, 'preview')
    endpoint.refresh_from_db()
    page = text_of(browser, endpoint)
    assert f'Reachable, Proxmox VE {endpoint.pve_version}' in page
    assert 'quorate' in page
    assert '3 of 3 nodes online' in page
    assert '5 in Proxmox VE, 0 in NetBox 5 New' in page
    assert f'Preview, {timezone.localtime(run.created):%Y-%m-%d %H:%M}' in page
    assert 'Valid until' in page
    sync(endpoint)
    assert '5 in Proxmox VE, 5 in NetBox 5 In sync' in text_of(browser, endpoint)
    pve.delete(next(guest.vmid for guest in pve.cluster.guests.values()))
    sync(endpoint)
    assert '4 in Proxmox VE, 5 in NetBox 1 Missing 4 In sync' in text_of(browser, endpoint)


def test_nodes_lead_to_their_devices_and_guests(standin, make_endpoint, sync, browser):
    pve = standin(nodes=2, vms=4, containers=0, seed=4)
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Berlin', slug='berlin'))
    sync(endpoint)
    response = browser.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_nodes', args=[endpoint.pk]))
    page = response.content.decode()
    assert Device.objects.count() == 2
    for device in Device.objects.all():
        assert f'<a href="{device.get_absolute_url()}">{device.name}</a>' in page
        guests = ProxmoxGuest.objects.filter(node=device.name).count()
        link = f'{reverse("plugins:netbox_proxsync:proxmoxendpoint_guests", args=[endpoint.pk])}?node={device.name}'
        assert f'<a href="{link}">{guests}</a>' in page
    assert 'GiB' in page
    assert 'Valid until' in page


def test_an_offline_node_shows_and_keeps_what_is_known_of_it(standin, make_endpoint, sync, browser):
    pve = standin(nodes=3, vms=3, containers=0, seed=4)
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Berlin', slug='berlin'))
    sync(endpoint)
    endpoint.refresh_from_db()
    before = {node.name: node for node in ClusterState.parse(endpoint.cluster_state).nodes}
    pve.node_offline('pve3', phase='known')
    sync(endpoint)
    endpoint.refresh_from_db()
    after = {node.name: node for node in ClusterState.parse(endpoint.cluster_state).nodes}
    assert (before['pve3'].online, after['pve3'].online) == (True, False)
    assert before['pve3'].version
    assert before['pve3'].version == after['pve3'].version
    assert before['pve3'].expires == after['pve3'].expires
    assert '2 of 3 nodes online' in text_of(browser, endpoint)
    assert 'Offline' in text_of(browser, endpoint, '_nodes')


def test_the_end_of_the_certificate_shows_also_where_no_node_is_read(make_endpoint, sync, browser):
    with StandIn(ClusterSpec(nodes=1, vms=1, containers=0, seed=4)) as pve:
        endpoint = make_endpoint(pve)
        sync(endpoint, 'preview')
        ends = x509.load_der_x509_certificate(ssl.PEM_cert_to_DER_cert(pve.tls.certificate_pem)).not_valid_after_utc
        assert f'Valid until {timezone.localtime(ends):%Y-%m-%d} {pve.host}:{pve.port}' in text_of(browser, endpoint)


def test_a_certificate_that_has_ended_is_reported_also_where_no_node_is_read(make_endpoint, sync, browser):
    with StandIn(ClusterSpec(nodes=1, vms=1, containers=0, seed=4), tls='expired') as pve:
        endpoint = make_endpoint(pve)
        run = sync(endpoint, 'preview')
        assert run.status == 'completed'
        page = text_of(browser, endpoint)
        assert 'Certificates Expired on' in page
        assert f'The certificate of {pve.host}:{pve.port} expired on' in page
        assert 'Renew it on that host' in page


def test_a_lost_quorum_shows(standin, make_endpoint, sync, browser):
    pve = standin(nodes=3, vms=1, containers=0, seed=4)
    pve.quorum(False)
    endpoint = make_endpoint(pve)
    sync(endpoint)
    assert 'not quorate' in text_of(browser, endpoint)


def test_missing_privileges_are_reported_with_the_command_that_grants_them(standin, make_endpoint, sync, browser):
    pve = standin(nodes=1, vms=1, containers=0, seed=4)
    pve.revoke('VM.Audit')
    endpoint = make_endpoint(pve)
    sync(endpoint, 'preview')
    page = text_of(browser, endpoint)
    assert 'VM.Audit on /vms' in page
    assert 'pveum acl modify' in page
    pve.grant('VM.Audit')
    sync(endpoint, 'preview')
    assert 'VM.Audit' not in text_of(browser, endpoint)


def test_a_host_that_cannot_be_reached_is_reported_and_what_was_known_is_retained(
    standin, make_endpoint, sync, browser
):
    pve = standin(nodes=2, vms=1, containers=0, seed=4)
    endpoint = make_endpoint(pve)
    sync(endpoint)
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(hosts=['127.0.0.1:1'])
    endpoint.refresh_from_db()
    run = sync(endpoint)
    assert (run.status, run.guests) == ('failed', None)
    page = text_of(browser, endpoint)
    assert 'Could not be read' in page
    assert 'refused the connection' in page
    assert '2 of 2 nodes online' in page


def test_a_run_that_is_canceled_in_the_queue_says_nothing_of_the_host(browser):
    endpoint = cases.make_endpoint()
    cases.make_run(endpoint)
    cases.make_run(endpoint, status='canceled', guests=None)
    cases.make_run(endpoint, mode='apply', guests=None)
    assert 'Reachable' in text_of(browser, endpoint)


def test_a_run_that_finds_nothing_new_does_not_write_the_endpoint_state(standin, make_endpoint, sync):
    pve = standin(nodes=2, vms=2, containers=0, seed=4)
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Berlin', slug='berlin'))
    sync(endpoint)
    endpoint.refresh_from_db()
    assert len(ClusterState.parse(endpoint.cluster_state).nodes) == 2
    with CaptureQueriesContext(connection) as queries:
        sync(endpoint)
    writes = [query['sql'] for query in queries if query['sql'].startswith('UPDATE "netbox_proxsync_proxmoxendpoint"')]
    assert writes
    assert not [sql for sql in writes if 'cluster_state' in sql or 'pve_version' in sql]


@pytest.mark.parametrize('data', [{}, None, [], 'x', {'name': 'x'}, {'name': '', 'quorate': True, 'nodes': [{}]}])
def test_a_state_that_cannot_be_read_is_none(data):
    assert not ClusterState.parse(data).read


def test_the_number_of_queries_does_not_depend_on_the_number_of_guests(browser):
    counted = []
    for number in (3, 60):
        endpoint = cases.make_endpoint(f'Lab {number}')
        run = cases.make_run(endpoint)
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=run)
        for vmid in range(number):
            cases.make_guest(endpoint, 100 + vmid, state=('in-sync', 'new', 'conflict')[vmid % 3])
        browser.get(endpoint.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            browser.get(endpoint.get_absolute_url())
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_charts_are_labelled_and_have_a_table(browser):
    endpoint = cases.make_endpoint()
    for vmid in range(100, 104):
        cases.make_guest(endpoint, vmid, state='conflict' if vmid == 100 else 'in-sync')
    page = browser.get(endpoint.get_absolute_url()).content.decode()
    guests = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[endpoint.pk])
    for state, label in (('conflict', '1 Conflict'), ('in-sync', '3 In sync')):
        assert f'<a href="{guests}?state={state}" aria-label="{label}">' in page
        # Written into the strip, so that it can be read without its colors.
        assert re.search(rf'<text[^>]*>{label}</text>', page)
    cases.make_run(endpoint, timings={'collect': 204.2, 'plan': 0.04, 'apply': 61})
    cases.make_run(endpoint, counts={'vm': {'create': 12345}})
    page = browser.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_runs', args=[endpoint.pk])).content.decode()
    for name in ('run-durations', 'run-changes'):
        assert f'role="img" aria-labelledby="{name}-title {name}-text"' in page
        assert f'<title id="{name}-title">' in page
    # Phases are told apart by patterns as well.
    assert 'fill="url(#run-durations-lines)"' in page
    for text in ('3m 24s', '4m 25s', '12,345'):
        assert f'<td class="text-end">{text}</td>' in page


def test_runs_cannot_be_started_while_one_is_in_progress(browser):
    endpoint = cases.make_endpoint()
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_sync', args=[endpoint.pk])
    button = re.compile(rf'action="{url}".*?<button([^>]*)>', re.DOTALL)
    pages = [endpoint.get_absolute_url(), reverse('plugins:netbox_proxsync:proxmoxendpoint_nodes', args=[endpoint.pk])]
    for page in pages:
        assert 'disabled' not in button.search(browser.get(page).content.decode())[1]
    cases.make_run(endpoint, status='queued', started=None, completed=None)
    for page in pages:
        attributes = button.search(browser.get(page).content.decode())[1]
        assert 'disabled' in attributes
        assert 'A run is in progress' in attributes


def test_text_from_the_cluster_is_escaped(browser):
    node = {'name': SCRIPT, 'online': True, 'address': SCRIPT, 'version': SCRIPT, 'cpus': 1, 'memory': 1, 'expires': 1}
    notice = {'subject': SCRIPT, 'message': SCRIPT, 'remedy': SCRIPT}
    state = {'name': SCRIPT, 'quorate': True, 'nodes': [node], 'notices': [notice]}
    endpoint = cases.make_endpoint(cluster_state=state, pve_version=SCRIPT)
    cases.make_run(endpoint)
    for view in ('', '_nodes'):
        page = browser.get(reverse(f'plugins:netbox_proxsync:proxmoxendpoint{view}', args=[endpoint.pk]))
        assert SCRIPT not in page.content.decode()
        assert '&lt;script&gt;' in page.content.decode()


def test_who_may_see_the_endpoint_alone_sees_neither_runs_nor_guests():
    endpoint = cases.make_endpoint()
    run = cases.make_run(endpoint)
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=run)
    cases.make_guest(endpoint, 100, state='conflict')
    user = User.objects.create_user('reader')
    permission = ObjectPermission.objects.create(name='reader', actions=['view'])
    permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
    permission.users.add(user)
    client = Client()
    client.force_login(user)
    page = client.get(endpoint.get_absolute_url()).content.decode()
    assert 'At a Glance' in page
    assert 'in NetBox</div>' not in page
    assert '?state=conflict' not in page
    assert f'{run.get_absolute_url()}?action' not in page
    assert SyncRun.objects.exists()


@pytest.mark.parametrize(
    ('values', 'told'),
    [
        ({}, 'Not scheduled'),
        ({'sync_interval': 60}, 'Set within a minute'),
        ({'sync_interval': 60, 'next_sync': MOMENT}, '2026-11-25 14:07'),
        ({'sync_interval': 60, 'next_sync': MOMENT, 'enabled': False}, 'None, the endpoint is disabled'),
        ({'next_sync': MOMENT}, 'Not scheduled'),
        ({'quick_interval': 5}, 'Not scheduled'),
        ({'sync_interval': 60, 'quick_interval': 5, 'enabled': False}, 'None, the endpoint is disabled'),
    ],
)
def test_when_the_next_run_comes(browser, values, told):
    endpoint = cases.make_endpoint()
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(**values)
    text = text_of(browser, endpoint)
    assert f'Next run {told}' in text
    assert ('Quick run every 5 minutes' in text) == ('quick_interval' in values and values.get('enabled', True))
