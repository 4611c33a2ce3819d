"""From an empty NetBox to a scheduled endpoint without the documentation: every page says what to do next."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.documentation import pages
from netbox_proxsync.models import MappingRule, ProxmoxEndpoint

from .. import cases

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser():
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    return client


def url_of(name: str, *args: object) -> str:
    return reverse(f'plugins:netbox_proxsync:{name}', args=args)


def html_of(browser: Client, url: str) -> str:
    response = browser.get(url)
    assert response.status_code == 200
    page = response.content.decode()
    return page[page.index('page-body') :]


def text_of(browser: Client, url: str) -> str:
    return ' '.join(unescape(re.sub(r'<[^>]+>', ' ', html_of(browser, url))).split())


def test_empty_lists_lead_to_the_next_step(browser):
    lists = ['proxmoxendpoint_list', 'proxmoxguest_list', 'syncrun_list', 'syncchange_list']
    for name in lists:
        page = html_of(browser, url_of(name))
        assert f'href="{url_of("proxmoxendpoint_add")}" class="btn btn-primary"' in page, name
        assert 'Edit Selected' not in page
    assert f'href="{url_of("mappingrule_add")}" class="btn btn-primary"' in html_of(browser, url_of('mappingrule_list'))
    endpoint = cases.make_endpoint()
    for name in lists[1:]:
        assert f'href="{url_of("proxmoxendpoint_list")}" class="btn btn-primary"' in html_of(browser, url_of(name))
    for tab in ('guests', 'runs'):
        page = html_of(browser, url_of(f'proxmoxendpoint_{tab}', endpoint.pk))
        assert 'A preview reads Proxmox VE and changes nothing.' in page
        assert f'action="{url_of("proxmoxendpoint_preview", endpoint.pk)}"' in page
    # A filter that nothing matches is no empty state.
    assert 'No Proxmox VE endpoints found' in text_of(browser, url_of('proxmoxendpoint_list') + '?name=none')
    # The plugin's own address leads to the endpoints.
    assert browser.get('/plugins/proxsync/').headers['Location'] == url_of('proxmoxendpoint_list')


def test_a_reader_is_offered_nothing_they_may_not_do():
    reader = User.objects.create_user('reader')
    for model in (ProxmoxEndpoint, MappingRule):
        cases.allow(reader, model, 'view')
    client = Client()
    client.force_login(reader)
    for name in ('proxmoxendpoint_list', 'mappingrule_list'):
        page = html_of(client, url_of(name))
        assert 'class="empty"' in page
        assert 'empty-action' not in page
    endpoint = cases.make_endpoint()
    page = html_of(client, endpoint.get_absolute_url())
    assert 'First Sync' not in page
    run = cases.make_run(endpoint, mode='preview', counts={'vm': {'create': 2}})
    cases.make_change(run, 0, outcome='planned')
    # Runs are hidden from this user.
    assert 'is waiting' not in html_of(client, endpoint.get_absolute_url())


def test_the_steps_until_the_first_sync_and_the_plan_that_waits(standin, make_endpoint, sync, browser):
    pve = standin(nodes=1, vms=2, containers=0, seed=4)
    endpoint = make_endpoint(pve)
    page = text_of(browser, endpoint.get_absolute_url())
    assert '1. Connect Next' in page
    assert '2. Preview Read Proxmox VE' in page
    preview = sync(endpoint, 'preview')
    number = preview.total_changes - preview.conflicts
    page = text_of(browser, endpoint.get_absolute_url())
    assert '1. Connect Done' in page
    assert '2. Preview Done' in page
    assert '3. Apply Next' in page
    assert f'{number} changes are waiting.' in page
    assert f'href="{preview.get_absolute_url()}" class="btn btn-primary">Review' in html_of(
        browser, endpoint.get_absolute_url()
    )
    sync(endpoint)
    page = text_of(browser, endpoint.get_absolute_url())
    assert 'First Sync' not in page
    assert 'waiting' not in page
    assert 'In Sync' in page


def test_a_blocked_run_shows_why_and_leads_to_its_approval(browser):
    endpoint = cases.make_endpoint()
    run = cases.make_run(endpoint, status='refused', refusal='Virtual machines: 6 retired (of 10).')
    cases.make_change(run, 0, action='retire', outcome='planned')
    page = html_of(browser, endpoint.get_absolute_url())
    assert 'Virtual machines: 6 retired (of 10).' in page
    assert f'href="{url_of("syncrun_accept", run.pk)}" class="btn btn-warning">Review and Approve' in page


def test_a_new_endpoint_is_led_to_fetch_and_pin(standin, browser):
    add = url_of('proxmoxendpoint_add')
    page = html_of(browser, add)
    assert re.search(r'<option value="fingerprint"\s+selected', page), page[page.index('id="tls-mode') :][:900]
    assert 'Site (recommended)' in page
    # A clone keeps the mode of its original.
    assert re.search(r'<option value="ca"\s+selected', html_of(browser, f'{add}?tls_mode=ca'))
    pve = standin(nodes=1, vms=1, containers=0)
    form = {
        'hosts': f'{pve.host}:{pve.port}', 'token_id': pve.token_id, 'token_secret': pve.token_secret,
        'tls_mode': 'fingerprint', 'timeout': 10, 'concurrency': 4,
    }  # fmt: skip
    answer = browser.post(url_of('proxmoxendpoint_test_form'), form).content.decode()
    assert pve.fingerprint in answer
    assert 'Use These Fingerprints' in answer
    assert 'Pin the fingerprint of the certificate first' in answer
    assert (
        'Connected to'
        in browser.post(url_of('proxmoxendpoint_test_form'), {**form, 'fingerprint': pve.fingerprint}).content.decode()
    )


def test_help_leads_to_the_documentation_that_netbox_serves(browser, settings):
    endpoint = cases.make_endpoint()
    assert endpoint.docs_url == '/plugins/proxsync/docs/endpoints.md'
    assert f'href="{endpoint.docs_url}"' in browser.get(url_of('proxmoxendpoint_edit', endpoint.pk)).content.decode()
    names = [name for name, _title in pages()]
    assert {'endpoints', 'runs', 'rules'} <= set(names)
    for name in names:
        page = html_of(browser, url_of('docs_page', name))
        # Links between the pages work here as well.
        for link in re.findall(r'href="([a-z-]+)\.md', page):
            assert link in names, f'{name}.md links to {link}.md'
        assert '<img' not in page
    assert html_of(browser, url_of('docs'))
    assert browser.get(url_of('docs_page', 'secrets')).status_code == 404
    plugin = {**settings.PLUGINS_CONFIG['netbox_proxsync'], 'docs_url': 'https://docs.example.com/proxsync/'}
    settings.PLUGINS_CONFIG = {**settings.PLUGINS_CONFIG, 'netbox_proxsync': plugin}
    assert endpoint.docs_url == 'https://docs.example.com/proxsync/endpoints'


def test_the_buttons_of_an_endpoint_are_on_each_of_its_tabs(browser):
    endpoint = cases.make_endpoint()
    cases.make_guest(endpoint, 100)
    run = cases.make_run(endpoint)
    for tab in ('', '_guests', '_nodes', '_runs', '_bindings'):
        page = browser.get(url_of(f'proxmoxendpoint{tab}', endpoint.pk)).content.decode()
        assert f'action="{url_of("proxmoxendpoint_sync", endpoint.pk)}"' in page, tab
        assert url_of('proxmoxendpoint_edit', endpoint.pk) in page, tab
    assert run.get_absolute_url() in browser.get(url_of('proxmoxendpoint_runs', endpoint.pk)).content.decode()
    rule = cases.make_rule()
    assert url_of('mappingrule_edit', rule.pk) in browser.get(url_of('mappingrule_guests', rule.pk)).content.decode()


def test_selected_endpoints_are_previewed_and_synced(browser):
    first, second, third = (cases.make_endpoint(name) for name in ('One', 'Two', 'Three'))
    off = cases.make_endpoint('Off', enabled=False)
    page = html_of(browser, url_of('proxmoxendpoint_list'))
    assert 'Preview Selected' in page
    answer = browser.post(url_of('proxmoxendpoint_bulk_preview'), {'pk': [first.pk, second.pk, off.pk]}, follow=True)
    texts = [str(message) for message in answer.context['messages']]
    assert texts == ['Off is disabled. Enable it first.', 'Preview of 2 endpoints is queued.']
    assert [run.mode for run in first.runs.all()] == ['preview']
    assert not third.runs.exists()
    # One that has a run already is left out.
    answer = browser.post(url_of('proxmoxendpoint_bulk_sync') + '?name=Three&name=One', {'_all': 'on'}, follow=True)
    assert [run.mode for run in third.runs.all()] == ['sync']
    assert first.runs.count() == 1
    reader = User.objects.create_user('reader')
    cases.allow(reader, ProxmoxEndpoint, 'view')
    cases.allow(reader, ProxmoxEndpoint, 'sync', {'name': 'Three'})
    client = Client()
    client.force_login(reader)
    client.post(url_of('proxmoxendpoint_bulk_sync'), {'pk': [second.pk]})
    assert second.runs.count() == 1
