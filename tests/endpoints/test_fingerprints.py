"""Fetching the hosts' fingerprints in the form of an endpoint, comparing them, and taking them over."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from users.models import User
from utilities.testing import TestCase as NetBoxTestCase

from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.validators import clean_fingerprint

from ..cases import MARKER
from ..cases import make_endpoint as make_row
from ..proxmox.servers import closed_port, serving, speaking_http

URL = '/plugins/proxsync/endpoints/fingerprints/'
ONE, TWO = ':'.join(['AB'] * 32), ':'.join(['CD'] * 32)


@pytest.fixture
def client(db):
    client = Client()
    client.force_login(User.objects.create_superuser('alice'))
    return client


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=0, containers=0)


def host(pve) -> str:
    return f'{pve.host}:{pve.port}'


def offered(page: str) -> str | None:
    found = re.search(r'"_use": "([^"]*)"', page)
    return found and found[1].encode().decode('unicode_escape')


class TestFetching:
    def fetch(self, client, *hosts: str, **values: str) -> str:
        return client.post(URL, {'hosts': ', '.join(hosts), 'timeout': '5', **values}).content.decode()

    def test_each_host_shows_its_own(self, client, pve, standin):
        other = standin(nodes=1, vms=0, containers=0)
        page = self.fetch(client, host(pve), host(other))
        assert page.index(host(pve)) < page.index(pve.fingerprint) < page.index(host(other))
        assert other.fingerprint in page
        assert 'openssl x509' in page
        assert offered(page) == f'{pve.fingerprint}, {other.fingerprint}'

    def test_hosts_with_the_same_take_one(self, client, pve):
        assert offered(self.fetch(client, host(pve), host(pve).replace('127.0.0.1', 'localhost'))) == pve.fingerprint

    def test_no_request_is_made_of_the_host_and_no_token_leaves(self, client, pve):
        self.fetch(client, host(pve), token_id='netbox@pve!x', token_secret=MARKER)
        assert pve.log == []
        with serving(speaking_http) as server:
            page = self.fetch(client, server.host, token_secret=MARKER)
            received = b''.join(server.received)
        assert MARKER.encode() not in received
        assert b'PVEAPIToken' not in received
        assert 'does not speak TLS' in page

    def test_the_browser_does_not_even_send_it_to_netbox(self, client):
        page = client.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_add')).content.decode()
        (button,) = re.findall(rf'<button[^>]*hx-post="{URL}"[^>]*>', page)
        assert 'hx-params="csrfmiddlewaretoken,_endpoint,hosts,timeout"' in button
        assert 'type="button"' in button

    def test_a_host_that_does_not_answer_keeps_them_from_being_used(self, client, pve):
        page = self.fetch(client, host(pve), f'127.0.0.1:{closed_port()}')
        assert pve.fingerprint in page
        assert 'refused the connection' in page
        assert offered(page) is None

    @pytest.mark.parametrize(('hosts', 'words'), [('', 'at least one host'), ('http://pve1', 'https only')])
    def test_bad_hosts_are_reported(self, client, hosts, words):
        assert words in self.fetch(client, hosts)

    @pytest.mark.parametrize('timeout', ['', 'x', '0', '-1'])
    def test_a_bad_timeout_is_no_matter(self, client, pve, timeout):
        assert pve.fingerprint in self.fetch(client, host(pve), timeout=timeout)

    def test_behind_a_proxy_a_message_is_displayed(self, client, pve, settings):
        settings.HTTP_PROXIES = {'https': 'http://proxy.example.com:3128'}
        page = self.fetch(client, host(pve))
        assert 'through a proxy' in page
        assert offered(page) is None


class TestTakingOver:
    def use(self, client, value: str, **values: str) -> str:
        return client.post(URL, {'_use': value, **values}).content.decode()

    def test_the_field_of_the_page_is_replaced_by_one_that_holds_it(self, client):
        page = self.use(client, ONE)
        assert 'id="fingerprint-input" class="input-group" hx-swap-oob="true"' in page
        assert f'value="{ONE}"' in page
        assert 'id="id_fingerprint"' in page
        # And so is the choice of how hosts prove who they are: who confirms a fingerprint wants it to count.
        assert '<div id="tls-mode-input" hx-swap-oob="true">' in page
        assert re.search(r'<option value="fingerprint"\s+selected', page)

    def test_an_invalid_fingerprint_is_rejected(self, client):
        assert 'not a SHA-256 fingerprint' in self.use(client, '"><script>alert(1)</script>')

    def test_the_whole_way_to_an_endpoint_that_works(self, client, pve, sync):
        data = {
            'name': 'Lab', 'enabled': 'on', 'hosts': host(pve), 'token_id': pve.token_id,
            'token_secret': pve.token_secret, 'tls_mode': 'fingerprint', 'timeout': 5, 'concurrency': 2,
            'sync_vms': 'on', 'sync_containers': 'on', 'interface_naming': 'proxmox', 'missing_guests': 'retire',
            'grace_days': 10, 'change_limit': 20, 'missing_addresses': 'delete', 'missing_address_reads': 2,
            'address_limit': 256,
        }  # fmt: skip
        found = offered(client.post(URL, {'hosts': data['hosts'], 'timeout': '5'}).content.decode())
        add = reverse('plugins:netbox_proxsync:proxmoxendpoint_add')
        assert client.post(add, {**data, 'fingerprint': found}).status_code == 302
        assert sync(ProxmoxEndpoint.objects.get()).status == 'completed'

    def test_the_connection_test_in_the_form_offers_it(self, client, pve):
        data = {
            'name': 'Lab', 'hosts': host(pve), 'token_id': pve.token_id, 'token_secret': pve.token_secret,
            'tls_mode': 'system', 'timeout': 5, 'concurrency': 2,
        }  # fmt: skip
        url = reverse('plugins:netbox_proxsync:proxmoxendpoint_test_form')
        page = client.post(url, data).content.decode()
        assert offered(page) == pve.fingerprint
        assert pve.token_secret not in page
        two = client.post(url, {**data, 'hosts': f'{host(pve)},{pve.host}:{closed_port()}'}).content.decode()
        assert offered(two) is None  # it would count for both

    @pytest.mark.filterwarnings('ignore:Unverified HTTPS')
    def test_the_connection_test_of_a_stored_endpoint_leads_to_the_form_with_it(self, client, pve, make_endpoint):
        endpoint = make_endpoint(pve, tls_mode='off', fingerprint='')
        page = client.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_test', args=[endpoint.pk]))
        (link,) = re.findall(r'href="([^"]*/edit/\?[^"]*fingerprint=[^"]*)"', page.content.decode())
        form = client.get(link.replace('&amp;', '&')).content.decode()
        assert f'value="{pve.fingerprint}"' in form
        assert re.search(r'<option value="fingerprint"\s+selected', form)
        endpoint.refresh_from_db()
        assert endpoint.tls_mode == 'off'


class PermissionTestCase(NetBoxTestCase):
    def test_it_takes_the_permissions_to_sync_and_to_save(self):
        data = {'hosts': '127.0.0.1:1'}
        self.add_permissions('netbox_proxsync.add_proxmoxendpoint')
        assert self.client.post(URL, data).status_code == 403
        add = reverse('plugins:netbox_proxsync:proxmoxendpoint_add')
        self.assertNotContains(self.client.get(add), URL)
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        assert self.client.post(URL, data).status_code == 200
        self.assertContains(self.client.get(add), URL)
        self.remove_permissions('netbox_proxsync.add_proxmoxendpoint')
        assert self.client.post(URL, data).status_code == 403
        assert self.client.post(URL, {**data, '_endpoint': make_row().pk}).status_code == 404


class TestSeveral:
    """One fingerprint for all hosts, or one for each in their order."""

    @pytest.mark.parametrize(
        ('text', 'stored'),
        [
            (ONE, ONE),
            (ONE.replace(':', ' ').lower(), ONE),
            (f'{ONE},{TWO}', f'{ONE}, {TWO}'),
            (f'{ONE}\n{TWO}\n', f'{ONE}, {TWO}'),
            (f'{ONE} {TWO}', f'{ONE}, {TWO}'),
            (f'sha256 Fingerprint={ONE}; {TWO.replace(":", "")}'.replace(' Fingerprint', ''), f'{ONE}, {TWO}'),
            (f'{ONE}, {ONE}', ONE),
            (' ', ''),
            (',', ''),
        ],
    )
    def test_spellings(self, text, stored):
        assert clean_fingerprint(text) == stored

    @pytest.mark.parametrize('text', ['AB:CD', f'{ONE}, AB', f'{ONE} x', 'a' * 63, f'{ONE}{TWO}x'])
    def test_invalid_fingerprints(self, text):
        with pytest.raises(ValidationError, match='SHA-256'):
            clean_fingerprint(text)

    def test_their_number_is_that_of_the_hosts(self, db):
        endpoint = ProxmoxEndpoint(
            name='Lab', hosts=['pve1', 'pve2', 'pve3'], token_id='netbox@pve!sync', token_secret='x',
            tls_mode='fingerprint', fingerprint=f'{ONE}, {TWO}',
        )  # fmt: skip
        with pytest.raises(ValidationError, match='2 fingerprints are given for 3 hosts'):
            endpoint.full_clean()
        endpoint.hosts = ['pve1', 'pve2']
        endpoint.full_clean()

    def test_a_sync_takes_the_one_of_the_host_that_answers(self, pve, make_endpoint, sync):
        hosts = [f'127.0.0.1:{closed_port()}', host(pve)]
        endpoint = make_endpoint(pve, hosts=hosts, fingerprint=f'{ONE}, {pve.fingerprint}')
        assert sync(endpoint).status == 'completed'
