"""Endpoints: validation and its messages, the change log, and dependent rows on deletion."""

import pytest
from core.models import ObjectChange
from dcim.models import Site
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from users.models import User
from utilities.testing import create_test_virtualmachine

from netbox_proxsync.choices import KindChoices
from netbox_proxsync.models import Binding, ProxmoxEndpoint, SyncChange, SyncRun
from netbox_proxsync.sync.kinds import KINDS
from tests.proxmox.certificates import make_ca

from ..cases import MARKER, make_binding, make_change, make_clusters, make_endpoint, make_run

pytestmark = pytest.mark.django_db

FINGERPRINT = ':'.join(['AB', 'CD'] * 16)


def cleaned(**values: object) -> ProxmoxEndpoint:
    defaults = {
        'name': 'Lab',
        'hosts': ['pve1.example.com'],
        'token_id': 'netbox@pve!sync',
        'token_secret': MARKER,
    }
    endpoint = ProxmoxEndpoint(**{**defaults, **values})
    endpoint.full_clean()
    return endpoint


def errors_of(**values: object) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        cleaned(**values)
    assert MARKER not in str(caught.value)
    return caught.value.message_dict


@pytest.mark.parametrize(
    ('entered', 'stored'),
    [
        ('pve1', 'pve1:8006'),
        (' pve1.example.com:443 ', 'pve1.example.com:443'),
        ('10.0.0.1', '10.0.0.1:8006'),
        ('2001:db8::1', '[2001:db8::1]:8006'),
        ('[2001:db8::1]:8007', '[2001:db8::1]:8007'),
        ('https://pve1:8006/', 'pve1:8006'),
        ('HTTPS://pve1.example.com:8006/#v1:0:18:4', 'pve1.example.com:8006'),
        ('https://[2001:db8::1]:8006', '[2001:db8::1]:8006'),
        ('https://pve.example.com', 'pve.example.com:443'),
    ],
)
def test_hosts_are_stored_with_their_port(entered, stored):
    assert cleaned(hosts=[entered]).hosts == [stored]


def test_hosts_keep_their_order_and_stand_once():
    assert cleaned(hosts=['b', 'a', 'b:8006']).hosts == ['b:8006', 'a:8006']


@pytest.mark.parametrize(
    ('entered', 'told'),
    [
        ('http://pve1:8006', 'by https only'),
        ('ssh://pve1', 'by https only'),
        ('https://root:secret@pve1:8006', 'must not contain a user name'),
        ('pve1:8006/api2/json', 'is not a host'),
        ('pve1:0', 'is not a host'),
        ('pve1:65536', 'is not a host'),
        ('[pve1]:8006', 'is not a host'),
    ],
)
def test_an_invalid_host_is_rejected(entered, told):
    assert told in errors_of(hosts=[entered])['hosts'][0]


def test_without_a_host_it_is_refused_once():
    assert len(errors_of(hosts=[])['hosts']) == 1
    assert 'at least one host' in errors_of(hosts=['  '])['hosts'][0]


@pytest.mark.parametrize(
    ('entered', 'told'),
    [
        (f'PVEAPIToken=netbox@pve!sync={MARKER}', 'contains more than the token ID'),
        (f'netbox@pve!sync={MARKER}', 'contains more than the token ID'),
        ('root@pam', 'is not an API token'),
        ('root!sync', 'not a token ID'),
        ('root@pam!1sync', 'not a token ID'),
        ('root@pam!a!b', 'not a token ID'),
    ],
)
def test_a_wrong_token_id_is_reported_with_what_is_right(entered, told):
    message = errors_of(token_id=entered)['token_id'][0]
    assert told in message
    assert 'user@realm!name' in message


def test_a_user_name_may_hold_an_at_sign():
    assert cleaned(token_id=' jane@example.com@ad!sync ').token_id == 'jane@example.com@ad!sync'


@pytest.mark.parametrize(
    'entered', [f'netbox@pve!sync={MARKER}', f'={MARKER}', f'{MARKER} {MARKER}', f'{MARKER}\u00e9']
)
def test_a_wrong_secret_is_refused_and_not_repeated(entered):
    assert list(errors_of(token_secret=entered)) == ['token_secret']


def test_space_around_a_pasted_secret_is_not_part_of_it():
    assert cleaned(token_secret=f' {MARKER}\n').token_secret.reveal() == MARKER


def test_with_a_lost_key_other_settings_can_still_be_edited(settings):
    endpoint = make_endpoint()
    settings.SECRET_KEY = 'lost ' * 12
    endpoint = ProxmoxEndpoint.objects.get()
    endpoint.description = 'edited'
    endpoint.full_clean()
    endpoint.save()
    assert ProxmoxEndpoint.objects.get().description == 'edited'


@pytest.mark.parametrize('entered', [FINGERPRINT.lower(), FINGERPRINT.replace(':', ''), f'SHA256={FINGERPRINT}'])
def test_fingerprints_are_stored_as_proxmox_shows_them(entered):
    assert cleaned(tls_mode='fingerprint', fingerprint=entered).fingerprint == FINGERPRINT


def test_a_fingerprint_of_another_kind_is_refused():
    assert 'SHA-256' in errors_of(fingerprint=':'.join(['AB'] * 20))['fingerprint'][0]


def test_a_mode_needs_what_it_verifies_by():
    assert list(errors_of(tls_mode='fingerprint')) == ['fingerprint']
    assert list(errors_of(tls_mode='ca')) == ['ca_certificate']


def test_a_ca_certificate_is_one():
    pem = make_ca().pem
    assert cleaned(tls_mode='ca', ca_certificate=f'\n{pem}').ca_certificate == f'{pem.strip()}\n'
    assert 'PEM' in errors_of(tls_mode='ca', ca_certificate='MIIF')['ca_certificate'][0]
    key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'
    assert 'private key' in errors_of(tls_mode='ca', ca_certificate=f'{pem}{key}')['ca_certificate'][0]


@pytest.mark.parametrize(
    ('name', 'value'),
    [('timeout', 0), ('timeout', 601), ('concurrency', 0), ('concurrency', 65), ('change_limit', 101)],
)
def test_numbers_have_limits(name, value):
    assert list(errors_of(**{name: value})) == [name]


@pytest.mark.parametrize(
    ('name', 'entered', 'stored'),
    [
        ('include_guests', [' Web-* ', 'TAG:Prod', 'web-*'], ['web-*', 'tag:prod']),
        ('exclude_guests', ['node:pve1', 'pool:x'], ['node:pve1', 'pool:x']),
        ('ignored_interfaces', ['wg* ', ' ', 'wg*'], ['wg*']),
        ('ignored_prefixes', ['172.17.0.0/16', 'FD00::/8'], ['172.17.0.0/16', 'fd00::/8']),
    ],
)
def test_filters_are_stored_in_one_form(name, entered, stored):
    assert getattr(cleaned(**{name: entered}), name) == stored


@pytest.mark.parametrize(
    ('name', 'entered', 'told'),
    [
        ('include_guests', 'color:red', '"color:red" is not a valid filter'),
        ('exclude_guests', 'tag:', 'nothing follows'),
        ('ignored_prefixes', '172.17.0.1/16', 'has host bits set'),
        ('ignored_prefixes', 'lan', '"lan" is not a valid prefix'),
    ],
)
def test_an_invalid_filter_is_rejected(name, entered, told):
    assert told in errors_of(**{name: [entered]})[name][0]


def test_two_enabled_endpoints_do_not_share_a_cluster():
    cluster = make_clusters('one')[0]
    make_endpoint('First', cluster=cluster)
    assert '"First"' in errors_of(cluster=cluster)['cluster'][0]
    assert cleaned(cluster=cluster, enabled=False).cluster == cluster
    with pytest.raises(IntegrityError), transaction.atomic():
        make_endpoint('Second', cluster=cluster)


def test_objects_that_an_endpoint_assigns_cannot_be_deleted():
    site = Site.objects.create(name='Site', slug='site')
    make_endpoint(site=site)
    with pytest.raises(ProtectedError):
        site.delete()


def test_the_state_is_not_in_the_change_log(client):
    endpoint = make_endpoint()
    ProxmoxEndpoint.objects.update(status='failed', last_run=make_run(endpoint), pve_version='9.0')
    client.force_login(User.objects.create_superuser('root'))
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    answer = client.patch(url, {'description': 'x', 'status': 'new'}, content_type='application/json')
    assert answer.json()['status']['value'] == 'failed'
    change = ObjectChange.objects.get()
    assert not {'status', 'last_run', 'pve_version'} & {*change.prechange_data, *change.postchange_data}
    assert change.diff()['post'] == {'description': 'x'}


def test_rest_stores_the_normal_form(client):
    client.force_login(User.objects.create_superuser('root'))
    data = {
        'name': 'Lab',
        'hosts': ['https://pve1.example.com:8006/', 'pve2'],
        'token_id': ' netbox@pve!sync ',
        'token_secret': f' {MARKER} ',
        'tls_mode': 'fingerprint',
        'fingerprint': FINGERPRINT.lower().replace(':', ''),
    }
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list')
    assert client.post(url, data, content_type='application/json').status_code == 201
    made = ProxmoxEndpoint.objects.get()
    assert made.hosts == ['pve1.example.com:8006', 'pve2:8006']
    assert (made.token_id, made.fingerprint, made.token_secret.reveal()) == ('netbox@pve!sync', FINGERPRINT, MARKER)


def fill(endpoint: ProxmoxEndpoint, changes: int, bindings: int) -> SyncRun:
    run = make_run(endpoint)
    for number in range(changes):
        make_change(run, number)
    for number in range(bindings):
        make_binding(endpoint, create_test_virtualmachine(f'{endpoint}-{number}'), 100 + number)
    return run


@pytest.mark.parametrize('how', ['endpoint', 'run', 'runs'])
def test_a_deletion_takes_the_rows_along_without_reading_them(how):
    endpoint, other = make_endpoint('Lab'), make_endpoint('Other')
    fill(endpoint, 3, 2)
    fill(other, 1, 1)
    victims = {
        'endpoint': endpoint,
        'run': endpoint.runs.get(),
        'runs': SyncRun.objects.filter(endpoint=endpoint),
    }
    with CaptureQueriesContext(connection) as queries:
        victims[how].delete()
    assert list(SyncChange.objects.values_list('run__endpoint__name', flat=True)) == ['Other']
    assert Binding.objects.filter(endpoint_id=other.pk).count() == 1
    assert Binding.objects.exclude(endpoint_id=other.pk).count() == (0 if how == 'endpoint' else 2)
    for table in ('syncchange', 'binding'):
        touched = [query['sql'] for query in queries.captured_queries if f'"netbox_proxsync_{table}"' in query['sql']]
        if (how, table) == ('endpoint', 'binding'):
            # The bindings are stored for the next endpoint of the same cluster.
            touched = [sql for sql in touched if not sql.startswith(('SELECT', 'DECLARE', 'INSERT'))]
        # The rows that Django looks for afterwards are already deleted.
        assert all(sql.startswith('DELETE') for sql in touched[:1])


def test_the_numbers_of_deleted_objects_are_displayed(client):
    endpoint = make_endpoint()
    fill(endpoint, 3, 2)
    client.force_login(User.objects.create_superuser('root'))
    page = client.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_delete', args=[endpoint.pk])).content.decode()
    text = ' '.join(page.split())
    assert '3 sync changes' in text
    assert '2 bindings' in text
    assert '1 sync run' in text


def test_a_run_reports_how_long_it_took_and_how_much_it_found():
    run = make_run(make_endpoint())
    assert run.duration.total_seconds() == 7
    assert (run.total_changes, run.conflicts) == (6, 1)
    assert SyncRun(endpoint=run.endpoint, mode='sync').duration is None


def test_every_kind_of_object_has_a_name_for_users():
    assert [value for value, _label in KindChoices] == list(KINDS)
