"""No secret is disclosed: not in pages, responses, the change log, exports, the search or the database."""

import pickle

import pytest
from core.models import ObjectChange
from django.core.management import call_command
from django.db import connection
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse
from extras.models import ExportTemplate
from users.models import User

from netbox_proxsync.crypto import Secret, SecretError
from netbox_proxsync.models import ProxmoxEndpoint

from ..cases import MARKER, make_endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint():
    return make_endpoint(token_secret=MARKER)


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root', 'root@example.com', 'x'))
    return client


def stored(endpoint) -> str:
    with connection.cursor() as cursor:
        cursor.execute('SELECT token_secret FROM netbox_proxsync_proxmoxendpoint WHERE id = %s', [endpoint.pk])
        return cursor.fetchone()[0]


def assert_hidden(text: str, endpoint):
    assert MARKER not in text
    assert stored(endpoint) not in text


def test_it_is_encrypted_in_the_database_and_can_be_used(endpoint):
    assert MARKER not in stored(endpoint)
    assert ProxmoxEndpoint.objects.get().token_secret.reveal() == MARKER


def test_python_does_not_show_it(endpoint):
    fresh = ProxmoxEndpoint.objects.get()
    secret = fresh.token_secret
    for shown in (str(secret), repr(secret), f'{secret}', vars(fresh), model_to_dict(fresh), fresh.serialize_object()):
        assert_hidden(str(shown), endpoint)
    assert MARKER.encode() not in pickle.dumps(fresh)


def test_pages_and_answers_do_not_show_it(endpoint, admin):
    pages = [
        endpoint.get_absolute_url(),
        reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk]),
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list'),
        reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export',
        reverse('plugins:netbox_proxsync:proxmoxendpoint_add') + f'?name=x&_clone={endpoint.pk}',
        reverse('plugins:netbox_proxsync:proxmoxendpoint_changelog', args=[endpoint.pk]),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk]),
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list'),
        reverse('search') + f'?q={endpoint.name}',
    ]
    for page in pages:
        response = admin.get(page, headers={'accept': 'application/json'} if '/api/' in page else {})
        assert response.status_code == 200, page
        assert_hidden(response.content.decode(), endpoint)


def test_graphql_does_not_know_it(endpoint, admin):
    answer = admin.post(
        reverse('graphql'),
        {'query': '{ proxsync_endpoint_list { name token_secret } }'},
        content_type='application/json',
    )
    assert_hidden(answer.content.decode(), endpoint)
    assert 'errors' in answer.json()


def test_an_export_template_does_not_get_it(endpoint, admin):
    from core.models import ObjectType

    template = ExportTemplate.objects.create(
        name='steal',
        template_code='{% for e in queryset %}{{ e.token_secret }} {{ e.token_secret.reveal() }} '
        '{{ e.token_secret.encrypted() }}{% endfor %}',
    )
    template.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
    response = admin.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export=steal', follow=True)
    assert_hidden(response.content.decode(), endpoint)


def test_the_change_log_says_that_it_changed_and_not_what_it_is(endpoint, admin):
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    response = admin.patch(url, {'token_secret': f'{MARKER}-2'}, content_type='application/json')
    assert response.status_code == 200, response.content
    change = ObjectChange.objects.get(changed_object_id=endpoint.pk)
    assert change.postchange_data['token_secret'] == '***CHANGED***'
    assert_hidden(str([change.prechange_data, change.postchange_data]), endpoint)


def test_dumpdata_does_not_show_it(endpoint, capsys):
    call_command('dumpdata', 'netbox_proxsync.proxmoxendpoint')
    assert_hidden(capsys.readouterr().out, endpoint)


def test_leaving_it_empty_keeps_it(endpoint, admin):
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    admin.patch(url, {'description': 'x'}, content_type='application/json')
    endpoint.refresh_from_db()
    assert (endpoint.description, endpoint.token_secret.reveal()) == ('x', MARKER)


def test_a_lost_key_is_reported(endpoint, settings):
    settings.SECRET_KEY = 'lost ' * 12
    with pytest.raises(SecretError, match='Enter the secret again') as caught:
        ProxmoxEndpoint.objects.get().token_secret.reveal()
    assert MARKER not in str(caught.value)


def test_the_first_key_encrypts_and_all_decrypt(settings):
    def use(*keys: str):
        plugin = settings.PLUGINS_CONFIG['netbox_proxsync']
        settings.PLUGINS_CONFIG = {'netbox_proxsync': {**plugin, 'encryption_keys': list(keys)}}

    use('old')
    secret = Secret.of(MARKER)
    use('new', 'old')
    assert Secret(secret.encrypted()).reveal() == MARKER
    use('new')
    with pytest.raises(SecretError):
        Secret(secret.encrypted()).reveal()


def test_the_form_keeps_it_when_left_empty_and_takes_a_new_one(endpoint, admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk])
    form = {
        'name': 'Lab', 'hosts': 'lab.example.com', 'token_id': 'netbox@pve!sync', 'token_secret': '',
        'tls_mode': 'system', 'timeout': 31, 'concurrency': 8, 'interface_naming': 'proxmox',
        'missing_guests': 'retire', 'grace_days': 30, 'missing_addresses': 'delete', 'missing_address_reads': 2,
        'address_limit': 256, 'change_limit': 20,
    }  # fmt: skip
    assert admin.post(url, form).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.timeout, endpoint.token_secret.reveal()) == (31, MARKER)
    assert admin.post(url, {**form, 'token_secret': f'{MARKER}-2'}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.token_secret.reveal() == f'{MARKER}-2'
    rejected = admin.post(url, {**form, 'token_secret': f'{MARKER}-3', 'timeout': 0})
    assert rejected.status_code == 200
    assert_hidden(rejected.content.decode(), endpoint)


def test_creation_and_deletion_are_logged_without_it(admin):
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-list')
    data = {'name': 'Lab', 'hosts': ['pve1'], 'token_id': 'netbox@pve!sync', 'token_secret': MARKER}
    answer = admin.post(url, data, content_type='application/json')
    made = ProxmoxEndpoint.objects.get()
    assert_hidden(answer.content.decode(), made)
    ciphertext = stored(made)
    assert admin.delete(answer.json()['url']).status_code == 204
    logged = str(list(ObjectChange.objects.values_list('prechange_data', 'postchange_data')))
    assert ObjectChange.objects.count() == 2
    assert MARKER not in logged
    assert ciphertext not in logged


def test_events_do_not_carry_it(endpoint, admin):
    from core.events import OBJECT_UPDATED
    from extras.events import enqueue_event
    from netbox.context_managers import event_tracking

    from netbox_proxsync.ledger.tracking import request_for

    request = request_for(User.objects.get(username='root'), '6a0f3c1e-0000-4000-8000-000000000000')
    with event_tracking(request):
        endpoint.snapshot()
        endpoint.token_secret = f'{MARKER}-2'
        endpoint.save()
        queue = {}
        enqueue_event(queue, endpoint, request, OBJECT_UPDATED)
    (event,) = queue.values()
    assert event['snapshots']['postchange']['token_secret'] == '***CHANGED***'
    assert 'token_secret' not in event['data']
    assert_hidden(str([event['snapshots'], event['data']]), endpoint)


def test_writing_back_what_is_shown_in_its_place_changes_nothing(endpoint, admin):
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    before = stored(endpoint)
    assert admin.patch(url, {'token_secret': '********'}, content_type='application/json').status_code == 200
    assert stored(endpoint) == before


def test_a_clone_starts_without_it(endpoint):
    assert 'token_secret' not in endpoint.clone()


def test_it_cannot_be_looked_for(endpoint, admin):
    from django.core.exceptions import FieldError

    for lookup in ('token_secret', 'token_secret__startswith', 'token_secret__contains'):
        with pytest.raises(FieldError):
            ProxmoxEndpoint.objects.filter(**{lookup: stored(endpoint)[:4]})


def test_the_connection_test_uses_the_stored_one_for_those_who_may_change_the_endpoint(endpoint, admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_test_form')
    ProxmoxEndpoint.objects.update(hosts=['127.0.0.1:1'])
    form = {
        '_endpoint': endpoint.pk, 'name': 'Lab', 'hosts': '127.0.0.1:1', 'token_id': 'netbox@pve!sync',
        'token_secret': '', 'tls_mode': 'system', 'timeout': 2, 'concurrency': 1,
    }  # fmt: skip
    answer = admin.post(url, form)
    assert 'refused' in answer.content.decode()
    assert_hidden(answer.content.decode(), endpoint)
    endpoint.refresh_from_db()
    assert endpoint.timeout == 30


def test_truth_needs_no_plain_text_at_hand():
    assert (bool(Secret.of(MARKER)), bool(Secret.of('')), str(Secret.of(''))) == (True, False, '')


def test_any_text_is_a_secret_that_comes_back():
    """Also a lone surrogate, which JSON may contain: an exception would disclose the rest of the secret."""
    for text in (MARKER, 'ü', 'a\ud800b', ' x\n'):
        assert Secret.of(text).reveal() == text
        assert Secret.of(text).has_same_text_as(Secret.of(text))
