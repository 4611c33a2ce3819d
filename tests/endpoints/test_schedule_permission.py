"""
A sync interval makes NetBox connect and write by itself, so setting one takes the permission to sync.

The harm: who may add or change endpoints, and no more, lets NetBox connect to any host and write as `proxsync`.

Tried of this class: a new endpoint and a changed one; the form, REST one and many, bulk edit, import with and without
an ID; the quick interval; another interval than the stored one; an endpoint that is enabled again; permissions with
constraints, on what the endpoint was and on what it becomes; a clone; other hosts for a scheduled endpoint. Ending the
schedule requires no permission to sync, nor does any other change.
"""

import json

import pytest
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.models import ProxmoxEndpoint

from ..cases import allow
from ..cases import make_endpoint as make_row

pytestmark = pytest.mark.django_db

NAME = 'plugins:netbox_proxsync:proxmoxendpoint'
API = 'plugins-api:netbox_proxsync-api:proxmoxendpoint'
TOLD = 'you need the permission to sync this endpoint'
NEW = {'name': 'New', 'hosts': 'pve1', 'token_id': 'netbox@pve!sync', 'token_secret': 'x'}
FORM = {
    'enabled': 'on', 'tls_mode': 'system', 'timeout': 30, 'concurrency': 8, 'interface_naming': 'proxmox',
    'missing_guests': 'retire', 'grace_days': 30, 'change_limit': 20, 'missing_addresses': 'delete',
    'missing_address_reads': 2, 'address_limit': 256,
}  # fmt: skip


@pytest.fixture
def user():
    user = User.objects.create_user('mallory', password='x')
    for action in ('view', 'add', 'change'):
        allow(user, ProxmoxEndpoint, action)
    return user


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


def add_by_form(client, values):
    response = client.post(reverse(f'{NAME}_add'), {**FORM, **NEW, **values})
    return '' if response.status_code == 302 else str(response.context['form'].errors)


def add_by_rest(client, values):
    response = client.post(
        reverse(f'{API}-list'), {**NEW, 'hosts': ['pve1'], **values}, content_type='application/json'
    )
    return '' if response.status_code == 201 else response.content.decode()


def add_many_by_rest(client, values):
    rows = [{**NEW, 'hosts': ['pve1'], **values}]
    response = client.post(reverse(f'{API}-list'), rows, content_type='application/json')
    return '' if response.status_code == 201 else response.content.decode()


def import_(client, row):
    form = {'import_method': 'direct', 'format': 'json', 'csv_delimiter': ',', 'data': json.dumps([row])}
    response = client.post(reverse(f'{NAME}_bulk_import'), form)
    return '' if response.status_code == 302 else str(response.context['form'].errors)


def add_by_import(client, values):
    return import_(client, {**NEW, **values})


def change_by_form(client, endpoint, values):
    data = {
        **FORM, 'name': endpoint.name, 'hosts': endpoint.hosts[0], 'token_id': endpoint.token_id,
        'sync_interval': endpoint.sync_interval or '', 'quick_interval': endpoint.quick_interval or '', **values,
    }  # fmt: skip
    if not data['enabled']:
        del data['enabled']
    response = client.post(reverse(f'{NAME}_edit', args=[endpoint.pk]), data)
    return '' if response.status_code == 302 else str(response.context['form'].errors)


def change_by_rest(client, endpoint, values):
    response = client.patch(reverse(f'{API}-detail', args=[endpoint.pk]), values, content_type='application/json')
    return '' if response.status_code == 200 else response.content.decode()


def change_many_by_rest(client, endpoint, values):
    rows = [{'id': endpoint.pk, **values}]
    response = client.patch(reverse(f'{API}-list'), rows, content_type='application/json')
    return '' if response.status_code == 200 else response.content.decode()


def change_by_bulk_edit(client, endpoint, values):
    response = client.post(reverse(f'{NAME}_bulk_edit'), {'pk': [endpoint.pk], '_apply': 'on', **values})
    return '' if response.status_code == 302 else response.content.decode()


def change_by_import(client, endpoint, values):
    return import_(client, {'id': endpoint.pk, **values})


ADDING = (add_by_form, add_by_rest, add_many_by_rest, add_by_import)
CHANGING = (change_by_form, change_by_rest, change_many_by_rest, change_by_bulk_edit, change_by_import)


@pytest.mark.parametrize('add', ADDING)
def test_who_adds_an_endpoint(client, user, add):
    assert TOLD in add(client, {'sync_interval': 60})
    assert not ProxmoxEndpoint.objects.exists()
    assert add(client, {}) == ''
    ProxmoxEndpoint.objects.all().delete()
    # For other endpoints only.
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Mine'})
    assert TOLD in add(client, {'sync_interval': 60})
    assert not ProxmoxEndpoint.objects.exists()
    assert add(client, {'sync_interval': 60, 'name': 'Mine'}) == ''
    assert ProxmoxEndpoint.objects.get().sync_interval == 60


@pytest.mark.parametrize('change', CHANGING)
def test_a_quick_interval_requires_the_permission_and_must_be_shorter_than_the_sync_interval(client, user, change):
    endpoint = make_row()
    assert TOLD in change(client, endpoint, {'quick_interval': 5})
    allow(user, ProxmoxEndpoint, 'sync')
    assert change(client, endpoint, {'quick_interval': 60}) == ''
    endpoint.refresh_from_db()
    wrong = change(client, endpoint, {'sync_interval': 60})
    assert 'The quick interval (60 minutes) must be shorter than the sync interval (60 minutes).' in wrong
    for minutes in (0, 1441):
        assert change(client, endpoint, {'quick_interval': minutes}) != ''
    assert change(client, endpoint, {'sync_interval': 60, 'quick_interval': 59}) == ''
    assert ProxmoxEndpoint.objects.values_list('sync_interval', 'quick_interval').get() == (60, 59)


@pytest.mark.parametrize('change', CHANGING)
def test_who_changes_one(client, user, change):
    endpoint, other = make_row(), make_row('Other', sync_interval=1440)
    for row in (endpoint, other):
        assert TOLD in change(client, row, {'sync_interval': 60})
    assert list(ProxmoxEndpoint.objects.values_list('sync_interval', flat=True)) == [None, 1440]
    assert change(client, other, {'timeout': 31}) == ''
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Other'})
    assert TOLD in change(client, endpoint, {'sync_interval': 60})
    assert change(client, other, {'sync_interval': 60}) == ''
    assert ProxmoxEndpoint.objects.get(name='Other').sync_interval == 60


@pytest.mark.parametrize('change', [change_by_form, change_by_rest, change_by_import])
def test_who_enables_one_that_has_an_interval(client, user, change):
    endpoint = make_row(sync_interval=60, enabled=False)
    assert TOLD in change(client, endpoint, {'enabled': True})
    assert change(client, endpoint, {'timeout': 31, 'enabled': False}) == ''
    allow(user, ProxmoxEndpoint, 'sync')
    assert change(client, endpoint, {'enabled': True}) == ''


def test_the_permission_has_to_be_for_what_it_was_and_for_what_it_becomes(client, user):
    endpoint = make_row()
    allow(user, ProxmoxEndpoint, 'sync', {'name': 'Mine'})
    assert TOLD in change_by_rest(client, endpoint, {'sync_interval': 60, 'name': 'Mine'})
    mine = make_row('Mine')
    assert TOLD in change_by_rest(client, mine, {'sync_interval': 60, 'name': 'Yours'})
    assert set(ProxmoxEndpoint.objects.values_list('name', 'sync_interval')) == {('Lab', None), ('Mine', None)}


def test_ending_a_schedule_requires_no_further_permission(client):
    endpoint = make_row(sync_interval=60)
    assert change_by_rest(client, endpoint, {'sync_interval': None}) == ''
    assert ProxmoxEndpoint.objects.get().sync_interval is None


def test_a_clone_begins_without_one_for_them(client, user):
    endpoint = make_row(sync_interval=60)
    url = reverse(f'{NAME}_add') + '?sync_interval=60'
    assert client.get(url).context['form']['sync_interval'].value() is None
    allow(user, ProxmoxEndpoint, 'sync')
    assert client.get(url).context['form']['sync_interval'].value() == '60'
    assert endpoint.clone()['sync_interval'] == 60
    assert not {'token_secret', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', 'hosts'} & set(endpoint.clone())


@pytest.mark.parametrize('change', [change_by_rest, change_many_by_rest, change_by_import])
def test_a_scheduled_endpoint_is_not_pointed_at_other_hosts(client, user, change):
    """Whoever enters a new secret may choose where it goes, but not that NetBox connects there automatically."""
    endpoint = make_row(name='Lab', sync_interval=60)
    values = {'hosts': ['elsewhere.example.com'], 'token_secret': 'another'}
    assert TOLD in change(client, endpoint, values)
    endpoint.refresh_from_db()
    assert endpoint.hosts != ['elsewhere.example.com:8006']
    allow(user, ProxmoxEndpoint, 'sync')
    assert change(client, endpoint, values) == ''
    endpoint.refresh_from_db()
    assert endpoint.hosts == ['elsewhere.example.com:8006']
