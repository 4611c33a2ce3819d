"""A user who may view only the machines of one tenant finds no name and no value of the others anywhere."""

import json
from collections.abc import Iterator

import pytest
from core.models import ObjectType
from dcim.models import Device, Site
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from ipam.models import IPAddress
from netbox.search.backends import search_backend
from tenancy.models import Tenant
from users.models import ObjectPermission, Token, User
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.decisions import stop_managing
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

from ..cases import MARKER
from ..scenarios.synced import Stage, after_first_sync, run_job
from ..scenarios.test_sync import SMALL, running_vm, vm_of, vmids

pytestmark = pytest.mark.django_db

SEEN = 'seen-by-the-tenant'
PAGES = 'plugins:netbox_proxsync:'
REST = 'plugins-api:netbox_proxsync-api:'
PLUGIN = (ProxmoxEndpoint, ProxmoxGuest, SyncRun, SyncChange, Binding)
QUERIES = (
    '{ proxsync_guest_list { name reason reason_source details } }',
    '{ proxsync_change_list { label reason reason_source message message_source fields } }',
    '{ proxsync_binding_list { key values } }',
    '{ proxsync_run_list { messages error_source refusal_source changes { label reason reason_source fields } } }',
    '{ proxsync_endpoint_list { guests { name reason } bindings { values } runs { messages changes { fields } } } }',
)


def name_guests(pve):
    """Name a machine that the user may not view, and one that the user may view."""
    hidden, shown = hidden_and_shown(pve)
    pve.rename(hidden, MARKER)
    pve.set_config(hidden, description=f'notes of {MARKER}')
    pve.rename(shown, SEEN)


def hidden_and_shown(pve) -> tuple[int, int]:
    """Their VM IDs."""
    hidden = running_vm(pve)
    return hidden, next(vmid for vmid in vmids(pve, 'qemu') if vmid != hidden)


def plan_changes(pve, endpoint):
    """Assign one machine to the tenant, and preview changes of both."""
    hidden, shown = hidden_and_shown(pve)
    machine = vm_of(endpoint, shown)
    machine.tenant = Tenant.objects.create(name='Blue', slug='blue')
    machine.save()
    for vmid in (hidden, shown):
        pve.set_config(vmid, description=f'other notes of {MARKER if vmid == hidden else SEEN}')
    pve.agent_error(hidden)
    run_job(endpoint, mode='preview')
    search_backend.cache(list(ProxmoxGuest.objects.all()))


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL, {'change_limit': 100}, prepare=name_guests, proceed=plan_changes)


# A synced cluster, and a preview that would change the machine of the tenant and one of those that are hidden.
planned = after_first_sync


@pytest.fixture
def tenant(db):
    return Tenant.objects.get_or_create(name='Blue', slug='blue')[0]


@pytest.fixture
def user(tenant) -> User:
    """May view everything of the plugin, sync, and view the tenant's machines with all addresses."""
    user = User.objects.create_user(username='blue')
    allow(user, *PLUGIN, actions=['view', 'sync'])
    allow(user, VirtualMachine, Device, constraints={'tenant__name': 'Blue'})
    allow(user, VMInterface, IPAddress)
    return user


def allow(user: User, *models: type, actions: list[str] | None = None, constraints: dict | None = None):
    permission = ObjectPermission.objects.create(
        name=str(ObjectPermission.objects.count()), actions=actions or ['view'], constraints=constraints
    )
    permission.users.add(user)
    permission.object_types.set(ObjectType.objects.get_for_model(model) for model in models)


@pytest.fixture
def hidden(pve) -> int:
    return hidden_and_shown(pve)[0]


@pytest.fixture
def shown(pve) -> int:
    return hidden_and_shown(pve)[1]


def read_all(user: User, endpoint) -> dict[str, str]:
    """Read everything: lists, exports, the pages and REST responses of single rows, GraphQL, search."""
    client, token = Client(), Token.objects.create(user=user)
    client.force_login(user)
    header = {'HTTP_AUTHORIZATION': f'Bearer nbt_{token.key}.{token.token}'}
    urls = [reverse('search') + '?q=b6f1', reverse('search') + '?q=seen', endpoint.get_absolute_url()]
    urls += [reverse(f'{PAGES}proxmoxendpoint_{tab}', args=[endpoint.pk]) for tab in ('guests', 'bindings', 'runs')]
    for model in PLUGIN:
        name = model._meta.model_name
        urls += [reverse(f'{PAGES}{name}_list') + query for query in ('', '?export', '?export=table', '?q=a')]
        urls += [reverse(f'{REST}{name}-list') + '?limit=1000']
        for row in telling(model):
            urls += [row.get_absolute_url(), reverse(f'{REST}{name}-detail', args=[row.pk])]
    for run in SyncRun.objects.filter(mode='preview'):
        urls += [reverse(f'{PAGES}syncrun_apply', args=[run.pk])]
        urls += [reverse(f'{PAGES}syncchange_list') + f'?run_id={run.pk}&embedded=True']
        urls += [reverse(f'{PAGES}syncrun_export', args=[run.pk]) + f'?format={name}' for name in ('csv', 'json')]
    answers = {url: client.get(url, **(header if url.startswith('/api/') else {})) for url in urls}
    for query in QUERIES:
        answers[query] = client.post(reverse('graphql'), {'query': query}, content_type='application/json')
        assert 'errors' not in json.loads(answers[query].content), answers[query].content
    return {url: answer.getvalue().decode() for url, answer in answers.items() if answer.status_code != 404}


def telling(model: type[Model]) -> Iterator[Model]:
    """The rows that hold anything of the hidden machine, and one of each of those that are shown alike."""
    shown = set()
    for row in model.objects.all():
        likeness = tuple(getattr(row, name, None) for name in ('kind', 'action', 'outcome', 'mode', 'state'))
        if MARKER in str(vars(row)) or likeness not in shown:
            shown.add(likeness)
            yield row


def leaks(read: dict[str, str]) -> list[str]:
    # The URL of the search itself contains the term.
    return [url for url, text in read.items() if MARKER in text]


@planned
def test_nothing_is_reported_about_machines_of_others(user, endpoint):
    read = read_all(user, endpoint)
    assert leaks(read) == []
    told = [url for url, text in read.items() if SEEN in text]
    for model in (ProxmoxGuest, SyncChange, Binding):
        assert reverse(f'{REST}{model._meta.model_name}-list') + '?limit=1000' in told
    for query in QUERIES:
        assert query in told
    for name in ('proxmoxguest', 'syncchange'):
        assert reverse(f'{PAGES}{name}_list') + '?export' in told


@planned
def test_an_administrator_reads_all(admin_user, endpoint, hidden):
    read = read_all(admin_user, endpoint)
    assert len(leaks(read)) > 20
    run = SyncRun.objects.get(mode='preview')
    assert any(message['subject'] == f'qemu/{hidden}' for message in run.messages_for(admin_user))


@planned
def test_the_log_of_a_job_reports_nothing_of_single_machines(hidden):
    run = SyncRun.objects.get(mode='preview')
    about = next(message for message in run.messages if message['subject'] == f'qemu/{hidden}')
    log = '\n'.join(entry['message'] for entry in run.job.log_entries)
    assert f'1 more about single guests, on the page of run {run.pk}' in log
    assert about['subject'] not in log


@planned
def test_messages_about_them_are_left_out(user, hidden):
    run = SyncRun.objects.get(mode='preview')
    told = {message['subject'] for message in run.messages_for(user)}
    assert {message['subject'] for message in run.messages} - told == {f'qemu/{hidden}'}


@planned
def test_rows_of_them_are_not_found(user, endpoint, hidden, shown):
    for queryset in (SyncChange.objects, Binding.objects):
        units = set(queryset.restrict(user, 'view').values_list('unit', flat=True))
        assert units == {'', f'qemu/{shown}'}
    assert [guest.vmid for guest in ProxmoxGuest.objects.restrict(user, 'view')] == [shown]


@planned
def test_a_machine_that_is_no_longer_managed_remains_hidden(user, endpoint, hidden):
    stop_managing([endpoint.guests.get(vmid=hidden)])
    assert leaks(read_all(user, endpoint)) == []


def test_a_machine_that_would_be_adopted_is_hidden(user, pve, endpoint, sync, hidden, shown):
    sync(endpoint, vmids=[shown])
    cluster = vm_of(endpoint, shown).cluster
    machine = VirtualMachine(name='by hand', cluster=cluster, custom_field_data={'vmid': hidden})
    machine.save()
    sync(endpoint, mode='preview')
    guest = endpoint.guests.get(vmid=hidden)
    assert (guest.state, guest.virtual_machine) == ('new', machine)
    assert leaks(read_all(user, endpoint)) == []


def test_a_conflict_with_a_hidden_machine_does_not_name_it(user, pve, endpoint, sync, tenant):
    vmid, address = running_vm(pve), '192.0.2.77'
    pve.rename(vmid, 'in-conflict')
    pve.set_config(vmid, description='')
    pve.set_addresses(vmid, 'net0', f'{address}/24')
    other = next(other for other in vmids(pve, 'qemu') if other != vmid)
    sync(endpoint, vmids=[other])
    machine = VirtualMachine.objects.create(name=MARKER, cluster=vm_of(endpoint, other).cluster)
    interface = VMInterface.objects.create(virtual_machine=machine, name='eth0')
    IPAddress.objects.create(address=f'{address}/24', assigned_object=interface)
    sync(endpoint)
    VirtualMachine.objects.exclude(pk=machine.pk).update(tenant=tenant)
    guest = endpoint.guests.get(vmid=vmid)
    assert guest.state == 'conflict'
    assert MARKER in guest.reason
    assert MARKER in str(guest.reason_source)
    assert leaks(read_all(user, endpoint)) == []
    found = ProxmoxGuest.objects.restrict(user, 'view').get(pk=guest.pk)
    assert found.shown_reason.startswith('Details are hidden')
    # Guessing terms must not reveal it either.
    guess = f'{{ proxsync_guest_list(filters: {{reason: {{i_contains: "{MARKER}"}}}}) {{ vmid }} }}'
    client = Client()
    for reader, vmids_found in ((user, []), (User.objects.create_superuser('root'), [{'vmid': vmid}])):
        client.force_login(reader)
        answer = client.post(reverse('graphql'), {'query': guess}, content_type='application/json').json()
        assert answer == {'data': {'proxsync_guest_list': vmids_found}}


def test_nodes_are_hidden_likewise(user, pve, make_endpoint, sync, tenant, shown):
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Berlin', slug='berlin'))
    sync(endpoint)
    Device.objects.filter(name='pve1').update(tenant=tenant)
    for queryset in (SyncChange.objects, Binding.objects):
        units = set(queryset.restrict(user, 'view').values_list('unit', flat=True))
        assert units == {'', 'node/pve1'}
    endpoint.refresh_from_db()
    state, expires = endpoint.cluster_state, int(timezone.now().timestamp())
    for node in state['nodes']:
        node['expires'] = expires if node['name'] == 'pve2' else expires + 9_000_000
    state['notices'] = [{'subject': 'nodes', 'message': 'On nodes pve1, pve2 it failed.', 'remedy': ''}]
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(cluster_state=state)
    run = endpoint.runs.get()
    endpoint.runs.update(messages=state['notices'])
    for reader, named in ((user, False), (User.objects.create_superuser('root'), True)):
        client = Client()
        client.force_login(reader)
        rest = reverse(f'{REST}syncrun-list'), reverse(f'{REST}syncrun-detail', args=[run.pk])
        for url in (run.get_absolute_url(), *rest):
            assert ('pve1, pve2' in client.get(url).content.decode()) == named, url
        for url in (endpoint.get_absolute_url(), reverse(f'{PAGES}proxmoxendpoint_nodes', args=[endpoint.pk])):
            page = client.get(url).content.decode()
            assert 'pve1' in page
            assert ('pve2' in page) == named
        assert ('And 1 node whose device you do not have permission to view' in page) != named


@planned
def test_a_hidden_part_of_a_plan_is_counted_and_cannot_be_chosen(user, endpoint, hidden, shown):
    run = SyncRun.objects.get(mode='preview')
    client = Client()
    client.force_login(user)
    url = reverse(f'{PAGES}syncrun_apply', args=[run.pk])
    page = client.get(url).content.decode()
    assert f'qemu/{shown}' in page
    assert f'qemu/{hidden}' not in page
    assert '1 guest or node is not listed because you do not have permission to view it' in page
    header = {'HTTP_AUTHORIZATION': authorization(user)}
    for units in ([f'qemu/{hidden}'], [f'qemu/{shown}', f'qemu/{hidden}']):
        for part in ('selected', 'unselected'):
            told = client.post(url, {'part': part, 'pk': units}, follow=True).content.decode()
            assert f'The plan has no changes of: qemu/{hidden}.' in told
        answer = client.post(
            reverse(f'{REST}syncrun-apply', args=[run.pk]),
            {'units': units},
            content_type='application/json',
            **header,
        )
        assert answer.status_code == 409
        assert not SyncRun.objects.filter(mode='apply').exists()
    client.post(url, {'part': 'selected', 'pk': [f'qemu/{shown}']})
    assert SyncRun.objects.get(mode='apply').units == [f'qemu/{shown}']


@planned
def test_the_units_of_a_run_that_applied_a_part_are_hidden_likewise(user, endpoint, hidden, shown):
    run = SyncRun.objects.get(mode='preview')
    SyncJob.enqueue_plan(run, None, [f'qemu/{hidden}', f'qemu/{shown}'], immediate=True)
    applied = SyncRun.objects.get(mode='apply')
    client = Client()
    for reader, units in ((user, [f'qemu/{shown}']), (User.objects.create_superuser('root'), applied.units)):
        client.force_login(reader)
        header = {'HTTP_AUTHORIZATION': authorization(reader)}
        answer = client.get(reverse(f'{REST}syncrun-detail', args=[applied.pk]), **header).json()
        assert answer['units'] == units
        query = {'query': f'{{ proxsync_run(id: {applied.pk}) {{ units }} }}'}
        answer = client.post(reverse('graphql'), query, content_type='application/json').json()
        assert answer == {'data': {'proxsync_run': {'units': units}}}


def authorization(user: User) -> str:
    token = Token.objects.create(user=user)
    return f'Bearer nbt_{token.key}.{token.token}'
