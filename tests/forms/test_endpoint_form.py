"""The form of an endpoint: required settings come first, and all others are folded until they matter."""

import re
from html import unescape

import pytest
from dcim.models import Site
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.forms import ProxmoxEndpointForm
from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.sync.field_policy import configurable

from .. import cases
from ..cases import MARKER

pytestmark = pytest.mark.django_db

ADD = '/plugins/proxsync/endpoints/add/'


def untouched() -> dict[str, str]:
    """The data that a browser sends for an unchanged form."""
    form = ProxmoxEndpointForm(instance=ProxmoxEndpoint())
    values = {field.html_name: field.value() for field in form if not field.is_hidden}
    return {name: 'on' if value is True else str(value) for name, value in values.items() if value}


@pytest.fixture
def browser():
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    return client


def folds(page: str) -> dict[str, bool]:
    """The headings of the folding fieldsets, and whether each is open."""
    summary = r'<details class="mb-3"( open)?>\s*<summary.*?<span class="h3 mb-0">(.*?)</span>'
    found = re.findall(summary, page, re.DOTALL)
    return {unescape(heading): bool(is_open) for is_open, heading in found}


def test_it_begins_with_the_host_and_the_token(browser):
    page = browser.get(ADD).content.decode()
    places = [page.index(f'name="{name}"') for name in ('hosts', 'token_id', 'token_secret', 'tls_mode', 'fingerprint')]
    assert places == sorted(places)
    assert places[-1] < page.index('name="name"') < page.index('<details')
    for name in (
        'cluster',
        'sync_vms',
        'missing_guests',
        'field_policy-vm.name',
        'missing_addresses',
        'timeout',
        'ssh_user',
    ):
        assert page.index(f'name="{name}"') > page.index('<details')
    assert len(folds(page)) >= 6
    assert not any(folds(page).values())


def test_every_field_of_the_form_is_on_the_page_once(browser):
    page = browser.get(ADD).content.decode()
    form = page[page.index('id="form_fields"') :]
    # The field policy has a select for each field.
    names = [name if name != 'field_policy' else 'field_policy-vm.name' for name in ProxmoxEndpointForm.Meta.fields]
    for name in names:
        assert len(re.findall(rf'<(?:input(?! type="hidden")|select|textarea)[^>]* name="{name}"', form)) == 1, name


def test_a_host_and_a_token_are_enough(browser):
    data = {'hosts': 'https://pve1.example.com:8006/', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER}
    assert browser.post(ADD, {**untouched(), **data}).status_code == 302
    made = ProxmoxEndpoint.objects.get()
    assert (made.name, made.hosts) == ('pve1.example.com', ['pve1.example.com:8006'])
    again = browser.post(ADD, {**untouched(), **data})
    assert 'with this Name already exists' in again.content.decode()
    assert MARKER not in again.content.decode()


def test_a_host_that_is_none_is_reported_at_its_field_and_keeps_the_name_out_of_it(browser):
    data = {'hosts': 'http://pve1/', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER}
    page = browser.post(ADD, {**untouched(), **data}).content.decode()
    assert 'https only' in page
    assert not ProxmoxEndpoint.objects.exists()


@pytest.mark.parametrize(
    ('values', 'heading'),
    [
        ({'timeout': 0}, 'Advanced connection settings'),
        ({'ssh_user': 'root'}, 'SSH (optional)'),
        ({'field_policy': 'nonsense'}, 'Behavior'),
        ({'ignored_prefixes': '10.0.0.0/99'}, 'Guests'),
    ],
)
def test_sections_with_errors_are_expanded(browser, values, heading):
    data = {'hosts': 'pve1', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER, **values}
    page = browser.post(ADD, {**untouched(), **data}).content.decode()
    assert [name for name, is_open in folds(page).items() if is_open] == [heading]


def test_sections_with_values_are_expanded_when_the_endpoint_is_edited(browser):
    endpoint = cases.make_endpoint(site=Site.objects.create(name='Berlin', slug='berlin'))
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk])
    assert not any(folds(browser.get(url).content.decode()).values())
    ProxmoxEndpoint.objects.update(create_vlans=True, field_policy={'vm.name': 'ignored'})
    page = browser.get(url).content.decode()
    assert [name for name, is_open in folds(page).items() if is_open] == ['Nodes and networks', 'Behavior']
    assert folds(browser.get(f'{ADD}?sync_templates=true').content.decode())['Guests']


def test_the_field_policy_is_a_table_of_selects(browser):
    endpoint = cases.make_endpoint(field_policy={'vm.comments': 'ignored'})
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk])
    page = browser.get(url).content.decode()
    selects = dict(re.findall(r'<select name="field_policy-([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL))
    assert set(selects) == set(configurable())
    assert '<option value="ignored" selected>' in selects['vm.comments']
    assert '<option value="" selected>Default (Proxmox VE: edits in NetBox are reset)' in selects['vm.memory']
    assert 'value="fact"' not in selects['vm.memory']
    # Sets can only be ignored.
    assert re.findall(r'value="([^"]*)"', selects['vm.tags']) == ['', 'ignored']
    assert '1 exception' in page
    data = {**untouched(), 'name': endpoint.name, 'hosts': ', '.join(endpoint.hosts), 'token_id': endpoint.token_id}
    chosen = {'field_policy-vm.memory': 'editorial', 'field_policy-vm.tags': 'ignored', 'field_policy-vm.comments': ''}
    assert browser.post(url, {**data, **chosen}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.field_policy == {'vm.memory': 'editorial', 'vm.tags': 'ignored'}
    # A select with another value than it offers.
    page = browser.post(url, {**data, 'field_policy-vm.tags': 'fact'}).content.decode()
    assert 'vm.tags cannot be' in unescape(page)


def test_the_field_policy_of_a_cloned_endpoint_is_chosen(browser):
    page = browser.get(f'{ADD}?field_policy=vm.comments+%3D+ignored').content.decode()
    [select] = re.findall(r'<select name="field_policy-vm.comments"[^>]*>(.*?)</select>', page, re.DOTALL)
    assert '<option value="ignored" selected>' in select
