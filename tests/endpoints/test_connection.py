"""Every way in which a connection can be wrong: one clear sentence with what to do, everywhere, and nothing written."""

import io
import json
import socket
import threading

import pytest
from core.models import ObjectChange
from django.core.management import call_command
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.endpoints.connection import test as check_connection

pytestmark = pytest.mark.django_db

SMALL = {'nodes': 1, 'vms': 1, 'containers': 1, 'seed': 1}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def chatty_port() -> int:
    """A port where something answers that is neither TLS nor HTTP."""
    listener = socket.create_server(('127.0.0.1', 0))

    def greet():
        while True:
            connection, _address = listener.accept()
            with connection:
                connection.sendall(b'SSH-2.0-OpenSSH_9.2\r\n')

    threading.Thread(target=greet, daemon=True).start()
    return listener.getsockname()[1]


CASES = {
    'wrong host': (lambda pve: {'hosts': ['no-such-host.invalid']}, 'no-such-host.invalid'),
    'closed port': (lambda pve: {'hosts': [f'127.0.0.1:{closed_port()}']}, 'refused'),
    'a port that speaks something else': (lambda pve: {'hosts': [f'127.0.0.1:{chatty_port()}']}, None),
    'an untrusted certificate': (lambda pve: {'tls_mode': 'system'}, 'fingerprint'),
    'another fingerprint': (lambda pve: {'fingerprint': 'AA:' * 31 + 'AA'}, 'fingerprint'),
    'a wrong secret': (lambda pve: {'token_secret': '00000000-0000-4000-8000-000000000000'}, 'token'),
    'an unknown token': (lambda pve: {'token_id': 'nobody@pve!nothing'}, 'token'),
}


@pytest.fixture(params=CASES, ids=str)
def broken(request, standin, make_endpoint):
    """An endpoint whose connection cannot work, and a word that its error must have."""
    change, word = CASES[request.param]
    pve = standin(**SMALL)
    return make_endpoint(pve, **change(pve)), word


def assert_nothing_written(before: int):
    assert not Cluster.objects.exists()
    assert not VirtualMachine.objects.exists()
    assert ObjectChange.objects.count() == before


def test_the_job_reports_the_error_and_writes_nothing(broken, sync):
    endpoint, word = broken
    before = ObjectChange.objects.count()
    run = sync(endpoint)
    endpoint.refresh_from_db()
    assert (run.status, endpoint.status, run.job.status) == ('failed', 'failed', 'failed')
    assert_is_for_people(run.error, word)
    assert_nothing_written(before)
    assert endpoint.token_secret.reveal() not in json.dumps([run.error, run.messages, run.job.error, str(run.job.data)])


def test_the_connection_test_reports_the_error(broken):
    endpoint, word = broken
    report = check_connection(endpoint)
    assert not report.ok
    assert_is_for_people(f'{report.error} {report.remedy}', word)


def test_the_command_reports_the_error(broken, capsys):
    endpoint, word = broken
    error = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command('proxsync_sync', endpoint.name, stdout=io.StringIO(), stderr=error)
    assert caught.value.code == 1
    assert_is_for_people(error.getvalue(), word)


def assert_is_for_people(text: str, word: str | None):
    assert len(text) > 30
    assert 'Traceback' not in text
    assert 'Exception' not in text
    assert 'HTTPSConnectionPool' not in text
    if word:
        assert word.lower() in text.lower()


def test_a_token_without_rights_writes_no_guest_and_says_how_to_grant_them(standin, make_endpoint, sync):
    pve = standin(**SMALL)
    secret = pve.add_token('poor@pve!none', privileges={})
    endpoint = make_endpoint(pve, token_id='poor@pve!none', token_secret=secret)
    run = sync(endpoint)
    assert not VirtualMachine.objects.exists()
    told = json.dumps([run.error, run.messages])
    assert 'VM.Audit' in told
    assert 'pveum' in told
    report = check_connection(endpoint)
    assert any('pveum' in check.remedy for check in report.checks if not check.ok)


@pytest.mark.parametrize(('kind', 'word'), [('not-proxmox', 'Proxmox VE'), ('old', '6.4')])
def test_a_server_that_is_not_one(kind, word, standin, make_endpoint, sync):
    pve = standin(**(SMALL | ({'version': '6.4-15'} if kind == 'old' else {})))
    if kind == 'not-proxmox':
        pve.impostor('html')
    endpoint = make_endpoint(pve)
    run = sync(endpoint)
    assert run.status == 'failed'
    assert_is_for_people(run.error, word)
    assert not check_connection(endpoint).ok
    assert not Cluster.objects.exists()


def test_a_changed_encryption_key_asks_for_the_secret_again(standin, make_endpoint, sync, settings):
    endpoint = make_endpoint(standin(**SMALL))
    settings.SECRET_KEY = 'another key ' * 5
    run = sync(endpoint)
    assert run.status == 'failed'
    assert 'Enter the secret again' in run.error
    assert 'Enter the secret again' in check_connection(endpoint).error
