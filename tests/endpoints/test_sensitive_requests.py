"""
Secrets that a request brings stay nowhere but encrypted in their columns: not in Redis, no table, no error report.

The harm: with an event rule on endpoints, NetBox copies each request into a job, and the secrets of the form stand in
Redis in plain text, for up to a year if a webhook fails. And an exception of a library shows the token on Django's
debug page and in error mails.

Tried of this class: the form, "quick add", a secret in the query of a form's page, bulk edit, imports of CSV, JSON,
YAML and of an uploaded file, REST as JSON and as a form, one and many; background jobs by bulk edit, import and REST.
All of Redis and every table are searched. Reports: an exception in the HTTP library at three places, one whose message
has the token, one before the connection, one below NetBox's forms, imports and serializers; debug page, mail and REST,
in debug mode and without; what a run stores of it.
"""

import http.client
import json
import logging
import os
import sys
import zlib
from contextlib import contextmanager

import pytest
from core.models import Job, ObjectType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from extras.models import EventRule, Webhook
from users.models import User

from netbox_proxsync.models import ProxmoxEndpoint
from tests.proxmox.ssh.servers import pem
from tests.pve import ClusterSpec, StandIn
from tests.stack import databases, netbox, redis

from ..cases import MARKER
from ..cases import make_endpoint as make_row

pytestmark = pytest.mark.django_db

SEEN = 'this-may-be-copied'
NAME = 'plugins:netbox_proxsync:proxmoxendpoint'
API = 'plugins-api:netbox_proxsync-api:proxmoxendpoint'
FORM = {
    'name': 'Lab', 'hosts': 'pve1', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER, 'tls_mode': 'system',
    'timeout': 30, 'concurrency': 8, 'interface_naming': 'proxmox', 'missing_guests': 'retire', 'grace_days': 30,
    'change_limit': 20, 'missing_addresses': 'delete', 'missing_address_reads': 2, 'address_limit': 256,
    'ssh_user': 'netbox', 'ssh_password': MARKER, 'description': SEEN,
}  # fmt: skip
ROW = {
    'name': 'Lab', 'hosts': 'pve1', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER, 'ssh_user': 'netbox',
    'ssh_password': MARKER,
}  # fmt: skip


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root'))
    return client


@pytest.fixture
def emptied_redis():
    databases.empty_redis(int(os.environ['PROXSYNC_STACK_SLOT']))
    yield
    databases.empty_redis(int(os.environ['PROXSYNC_STACK_SLOT']))


@pytest.fixture
def webhook(emptied_redis):
    """A webhook for whatever happens to endpoints, with no worker that carries it out."""
    hook = Webhook.objects.create(name='Hook', payload_url='http://127.0.0.1:1/')
    rule = EventRule.objects.create(
        name='Rule', event_types=['object_created', 'object_updated', 'object_deleted'], action_object=hook
    )
    rule.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))


def all_of_redis() -> bytes:
    found = []
    for number in netbox.redis_databases(int(os.environ['PROXSYNC_STACK_SLOT'])):
        with redis.connect(number) as client:
            for key in client.scan_iter():
                kind = client.type(key)
                if kind == b'hash':
                    values = [part for pair in client.hgetall(key).items() for part in pair]
                elif kind == b'string':
                    values = [client.get(key)]
                elif kind == b'list':
                    values = client.lrange(key, 0, -1)
                elif kind == b'set':
                    values = list(client.smembers(key))
                elif kind == b'zset':
                    values = client.zrange(key, 0, -1)
                else:
                    values = [str(client.xrange(key)).encode()]
                found += [key, *values]
    return b'\n'.join(text for value in found for text in (value, unpacked(value)))


def unpacked(value: bytes) -> bytes:
    """RQ compresses the data of jobs."""
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b''


def tables_with(text: str) -> list[str]:
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        found = []
        for table in tables:
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}" row WHERE row::text LIKE %s)', [f'%{text}%'])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def by_form(admin):
    assert admin.post(reverse(f'{NAME}_add'), FORM).status_code == 302


def by_form_whose_page_has_a_query(admin):
    url = reverse(f'{NAME}_add') + f'?ssh_passphrase={MARKER}&token_secret={MARKER}'
    assert admin.post(url, FORM, headers={'referer': f'http://testserver{url}'}).status_code == 302


def by_quick_add(admin):
    data = {f'quickadd-{name}': value for name, value in FORM.items()}
    page = admin.post(reverse(f'{NAME}_add') + '?_quickadd=True&target=id_x', {**data, '_quickadd': ''})
    assert page.status_code == 200
    assert ProxmoxEndpoint.objects.exists()


def by_change(admin):
    endpoint = make_row(hosts=['pve1:8006'])
    url = reverse(f'{NAME}_edit', args=[endpoint.pk])
    data = {**FORM, 'ssh_password': '', 'ssh_private_key': pem('ed25519', 1, MARKER), 'ssh_passphrase': MARKER}
    assert admin.post(url, data).status_code == 302


def by_bulk_edit(admin):
    endpoints = [make_row('One'), make_row('Two')]
    form = {'pk': [one.pk for one in endpoints], 'ssh_user': 'netbox', 'ssh_password': MARKER, 'description': SEEN}
    assert admin.post(reverse(f'{NAME}_bulk_edit'), {**form, '_apply': 'on'}).status_code == 302


def import_(admin, **values):
    form = {'import_method': 'direct', 'csv_delimiter': ',', 'changelog_message': SEEN, **values}
    response = admin.post(reverse(f'{NAME}_bulk_import'), form)
    assert response.status_code == 302, response.context['form'].errors


def by_csv(admin):
    import_(admin, format='csv', data=f'{",".join(ROW)}\n{",".join(ROW.values())}\n')


def by_json(admin):
    import_(admin, format='json', data=json.dumps(ROW))


def by_yaml(admin):
    import_(admin, format='yaml', data='---\n' + '\n'.join(f'{name}: {value}' for name, value in ROW.items()))


def by_file(admin):
    file = SimpleUploadedFile('endpoints.json', json.dumps(ROW).encode(), content_type='application/json')
    import_(admin, format='json', import_method='upload', upload_file=file)


def by_rest(admin):
    data = {**ROW, 'hosts': ['pve1'], 'description': SEEN}
    made = admin.post(reverse(f'{API}-list'), data, content_type='application/json')
    assert made.status_code == 201, made.content
    url = made.json()['url']
    assert admin.patch(url, {'ssh_password': f'{MARKER}-2'}, content_type='application/json').status_code == 200
    assert admin.delete(url).status_code == 204


def by_rest_as_form(admin):
    made = admin.post(reverse(f'{API}-list'), {**ROW, 'description': SEEN})
    assert made.status_code == 201, made.content


def by_rest_many(admin):
    rows = [{**ROW, 'hosts': ['pve1'], 'name': name} for name in ('One', 'Two')]
    made = admin.post(reverse(f'{API}-list'), rows, content_type='application/json')
    assert made.status_code == 201, made.content
    rows = [{'id': row['id'], 'ssh_password': f'{MARKER}-2'} for row in made.json()]
    assert admin.patch(reverse(f'{API}-list'), rows, content_type='application/json').status_code == 200


# The second: whether NetBox has parts of a form to copy.
WAYS = {
    by_form: True, by_form_whose_page_has_a_query: True, by_quick_add: True, by_change: True, by_bulk_edit: True,
    by_csv: True, by_json: True, by_yaml: True, by_file: True, by_rest: False, by_rest_as_form: True,
    by_rest_many: False,
}  # fmt: skip


@pytest.mark.parametrize('way', WAYS)
def test_neither_redis_nor_a_table_has_them(way, admin, webhook, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        way(admin)
    everything = all_of_redis()
    # The search finds what was sent with them.
    assert b'NetBoxFakeRequest' in everything
    assert (SEEN.encode() in everything) or not WAYS[way]
    assert MARKER.encode() not in everything
    assert pem('ed25519', 1, MARKER).splitlines()[1].encode() not in everything
    assert tables_with(MARKER) == []
    assert tables_with('netbox@pve!') or not ProxmoxEndpoint.objects.exists()


def test_requests_for_other_objects_are_copied_unchanged(admin, webhook, django_capture_on_commit_callbacks):
    from dcim.models import Site

    EventRule.objects.get().object_types.add(ObjectType.objects.get_for_model(Site))
    site = {'name': 'Berlin', 'slug': 'berlin', 'status': 'active', 'comments': f'token_secret={MARKER}'}
    with django_capture_on_commit_callbacks(execute=True):
        assert admin.post(reverse('dcim:site_add'), site).status_code == 302
    assert MARKER.encode() in all_of_redis()


class TestBackgroundJobs:
    """They wait in Redis with all that was sent."""

    @pytest.fixture(autouse=True)
    def setting(self, emptied_redis, monkeypatch):
        # As with a worker that is busy.
        monkeypatch.setattr('netbox.api.viewsets.mixins.any_workers_for_queue', lambda name: True)

    def nothing_waits(self) -> bool:
        return not Job.objects.exists() and MARKER.encode() not in all_of_redis()

    @pytest.mark.parametrize('method', ['direct', 'upload'])
    def test_an_import_of_secrets_is_refused(self, admin, method, django_capture_on_commit_callbacks):
        form = {'format': 'json', 'import_method': method, 'csv_delimiter': ',', 'background_job': 'on'}
        text = json.dumps([{'name': 'x'}, ROW])
        sent = {'data': text} if method == 'direct' else {'upload_file': SimpleUploadedFile('x.json', text.encode())}
        with django_capture_on_commit_callbacks(execute=True):
            page = admin.post(reverse(f'{NAME}_bulk_import'), {**form, **sent})
        assert (page.status_code, 'cannot be set by a background job' in page.content.decode()) == (200, True)
        assert self.nothing_waits()
        assert not ProxmoxEndpoint.objects.exists()

    def test_an_import_without_them_waits(self, admin, django_capture_on_commit_callbacks):
        endpoint = make_row()
        form = {'format': 'json', 'csv_delimiter': ',', 'background_job': 'on'}
        text = json.dumps([{'id': endpoint.pk, 'description': SEEN}])
        with django_capture_on_commit_callbacks(execute=True):
            page = admin.post(reverse(f'{NAME}_bulk_import'), {**form, 'import_method': 'direct', 'data': text})
        assert page.status_code == 302
        assert SEEN.encode() in all_of_redis()
        run_jobs()
        assert ProxmoxEndpoint.objects.get().description == SEEN
        # A file too, which is read twice.
        file = SimpleUploadedFile('x.json', text.encode())
        sent = {**form, 'import_method': 'upload', 'upload_file': file}
        assert admin.post(reverse(f'{NAME}_bulk_import'), sent).status_code == 302
        assert Job.objects.filter(name='Bulk import 1 Proxmox VE endpoints').count() == 2

    def test_a_bulk_edit_of_secrets_is_refused(self, admin, django_capture_on_commit_callbacks):
        endpoint = make_row()
        form = {'pk': [endpoint.pk], '_apply': 'on', 'background_job': 'on', 'description': SEEN}
        with django_capture_on_commit_callbacks(execute=True):
            page = admin.post(reverse(f'{NAME}_bulk_edit'), {**form, 'ssh_user': 'netbox', 'ssh_password': MARKER})
        assert (page.status_code, 'cannot be set by a background job' in page.content.decode()) == (200, True)
        assert self.nothing_waits()
        with django_capture_on_commit_callbacks(execute=True):
            assert admin.post(reverse(f'{NAME}_bulk_edit'), form).status_code == 302
        run_jobs()
        assert ProxmoxEndpoint.objects.get().description == SEEN

    @pytest.mark.parametrize('method', ['post', 'patch', 'put'])
    def test_rest_refuses_them(self, admin, method, django_capture_on_commit_callbacks):
        endpoint = make_row()
        rows = [{'id': endpoint.pk, **ROW, 'hosts': ['pve1']}]
        with django_capture_on_commit_callbacks(execute=True):
            answer = getattr(admin, method)(
                reverse(f'{API}-list') + '?background=true', rows, content_type='application/json'
            )
        assert (answer.status_code, 'cannot be set by a background job' in answer.content.decode()) == (400, True)
        assert self.nothing_waits()

    def test_rest_without_them_waits(self, admin, django_capture_on_commit_callbacks):
        endpoint = make_row()
        rows = [{'id': endpoint.pk, 'description': SEEN}]
        with django_capture_on_commit_callbacks(execute=True):
            answer = admin.patch(reverse(f'{API}-list') + '?background=true', rows, content_type='application/json')
        assert answer.status_code == 202
        run_jobs()
        assert ProxmoxEndpoint.objects.get().description == SEEN


def run_jobs():
    import django_rq
    from rq import SimpleWorker

    queue = django_rq.get_queue('default')
    SimpleWorker([queue], connection=queue.connection).work(burst=True)


# Error reports


class BrokenError(Exception):
    pass


def broken(*args, **kwargs):
    raise BrokenError('a mistake in a library')


@contextmanager
def reports():
    """All that Django could tell of exceptions in the requests within: as pages and as mails."""
    told = []

    def tell(sender, request, **kwargs):
        for text in (ExceptionReporter(request, *sys.exc_info()), ExceptionReporter(request, *sys.exc_info(), True)):
            told.extend([text.get_traceback_html(), text.get_traceback_text()])
        record = logging.makeLogRecord({'levelno': logging.ERROR, 'msg': 'x', 'exc_info': sys.exc_info()})
        record.request = request
        handler = AdminEmailHandler(include_html=True)
        handler.send_mail = lambda subject, message, *args, html_message=None, **kwargs: told.extend(
            [subject, message, html_message]
        )
        handler.emit(record)

    got_request_exception.connect(tell)
    try:
        yield told
    finally:
        got_request_exception.disconnect(tell)


def fails(client: Client, method: str, url: str, *args, **kwargs) -> str:
    """What a request that ends with an exception shows, and what could be told of it."""
    client.raise_request_exception = False
    with reports() as told:
        response = getattr(client, method)(url, *args, **kwargs)
    assert response.status_code == 500
    assert told
    return '\n'.join([response.content.decode(), *told])


def writes(endpoint: ProxmoxEndpoint) -> dict[str, tuple]:
    """Requests with secrets: method, URL and body."""
    text = 'application/json'
    row = {**ROW, 'hosts': ['pve1'], 'name': 'New'}
    add, edit = reverse(f'{NAME}_add'), reverse(f'{NAME}_edit', args=[endpoint.pk])
    key = {'ssh_password': '', 'ssh_private_key': pem('ed25519', 1, MARKER), 'ssh_passphrase': MARKER}
    many = {'pk': [endpoint.pk], 'ssh_user': 'netbox', 'ssh_password': MARKER, '_apply': 'on'}
    rows = {'import_method': 'direct', 'format': 'csv', 'csv_delimiter': ','}
    rows['data'] = f'{",".join(ROW)}\n{",".join(ROW.values())}\n'
    detail, all_of_them = reverse(f'{API}-detail', args=[endpoint.pk]), reverse(f'{API}-list')
    return {
        'form': ('post', add, FORM),
        'quick add': ('post', f'{add}?_quickadd=1', {f'quickadd-{name}': value for name, value in FORM.items()}),
        'a key': ('post', edit, {**FORM, **key}),
        'connection test': ('post', reverse(f'{NAME}_test_form'), FORM),
        'bulk edit': ('post', reverse(f'{NAME}_bulk_edit'), many),
        'import': ('post', reverse(f'{NAME}_bulk_import'), rows),
        'REST': ('post', all_of_them, row, text),
        'REST as a form': ('post', all_of_them, {**ROW, 'name': 'New'}),
        'REST change': ('patch', detail, {**row, **key}, text),
        'REST many': ('patch', all_of_them, [{'id': endpoint.pk, **row}], text),
    }


@pytest.fixture(params=[True, False], ids=['debug', 'production'])
def debug(request, settings):
    settings.DEBUG = request.param
    settings.ADMINS = ['admin@example.com']


class TestErrorReports:
    def assert_hidden(self, text: str):
        assert 'a mistake in a library' in text
        assert MARKER not in text
        for line in pem('ed25519', 1, MARKER).splitlines()[1:-1]:
            assert line not in text

    @pytest.fixture
    def endpoint(self, make_endpoint):
        with StandIn(ClusterSpec(nodes=1, vms=0, containers=0), token_secret=MARKER) as pve:
            yield make_endpoint(pve, ssh_user='netbox', ssh_password=f'{MARKER}-2')

    @pytest.mark.parametrize('place', ['putheader', 'endheaders', 'getresponse'])
    @pytest.mark.parametrize('action', ['test', 'ssh_host_keys'])
    def test_of_the_http_library(self, endpoint, admin, debug, monkeypatch, place, action):
        monkeypatch.setattr(http.client.HTTPConnection, place, broken)
        self.assert_hidden(fails(admin, 'post', reverse(f'{NAME}_{action}', args=[endpoint.pk])))
        url = reverse(f'{API}-{action.replace("_", "-")}', args=[endpoint.pk])
        self.assert_hidden(fails(admin, 'post', url))

    def test_of_the_http_library_with_what_stands_in_the_form(self, endpoint, admin, debug, monkeypatch):
        monkeypatch.setattr(http.client.HTTPConnection, 'endheaders', broken)
        proof = {'tls_mode': 'fingerprint', 'fingerprint': endpoint.fingerprint}
        data = {**FORM, 'hosts': ','.join(endpoint.hosts), **proof}
        self.assert_hidden(fails(admin, 'post', reverse(f'{NAME}_test_form'), data))

    def test_whose_message_has_the_secret(self, endpoint, admin, debug, monkeypatch):
        """As http.client's complaint about a header."""

        def quoting(connection, header, *values):
            raise ValueError(f'a mistake in a library: {values}')

        monkeypatch.setattr(http.client.HTTPConnection, 'putheader', quoting)
        self.assert_hidden(fails(admin, 'post', reverse(f'{NAME}_test', args=[endpoint.pk])))

    def test_before_the_connection(self, endpoint, admin, debug, monkeypatch):
        monkeypatch.setattr('netbox_proxsync.endpoints.connection.ssh_settings_of', broken)
        self.assert_hidden(fails(admin, 'post', reverse(f'{NAME}_test', args=[endpoint.pk])))

    @pytest.mark.parametrize('way', writes(ProxmoxEndpoint(pk=1)))
    def test_while_they_are_checked(self, admin, debug, monkeypatch, way):
        """In the plugin, below NetBox's views, forms and serializers with all their variables."""
        request = writes(make_row())[way]
        monkeypatch.setattr('netbox_proxsync.models.endpoint_validation._clean_ssh_login', broken)
        self.assert_hidden(fails(admin, *request))

    def test_a_run_stores_where_it_failed_and_no_secret(self, endpoint, sync, monkeypatch):
        def quoting(connection, header, *values):
            raise ValueError(f'a mistake in a library: {values}')

        monkeypatch.setattr(http.client.HTTPConnection, 'putheader', quoting)
        run = sync(endpoint)
        assert run.status == 'failed'
        assert 'ValueError: a mistake in a library' in run.error
        assert 'in _send' in str(run.job.log_entries)
        assert tables_with(MARKER) == []
