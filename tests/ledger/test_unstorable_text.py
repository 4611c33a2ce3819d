"""
Text that PostgreSQL cannot store, or that is no UTF-8, in whatever Proxmox VE answers, through the real job.

Tried: NUL, both halves of a surrogate pair alone, control characters, bytes that are no UTF-8 and control characters
that are not escaped; in the middle and at the end of texts, and instead of them; in keys; in every text of every answer
at once, in those of one kind of answer at a time, and in all texts that users or guests write.
"""

import json
from fnmatch import fnmatchcase

import pytest
from core.models import ObjectChange
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxGuest, SyncChange
from tests.pve.answers import Answer

pytestmark = pytest.mark.django_db

BAD = '\x00\ud800\udfff\x01\x1b\x7f'
# What users and guests write, in any answer.
WRITTEN = (
    'name', 'hostname', 'description', 'comments', 'comment', 'tags', 'pool', 'poolid', 'lock', 'hastate', 'host-name',
    'pretty-name', 'model', 'subject', 'issuer', 'kversion', 'alias', 'message', 'ostype', 'features', 'cpu', 'machine',
    'bios', 'arch', 'ip-address', 'smbios1',
)  # fmt: skip
ANSWERS = (
    '/version', '/access/permissions', '/cluster/resources', '/cluster/status', '/cluster/options', '/cluster/sdn/*',
    '/cluster/backup-info/*', '/nodes/*/network', '/nodes/*/status', '/nodes/*/certificates/info',
    '*/config', '*/interfaces', '*/agent/network-get-interfaces', '*/agent/get-osinfo', '*/agent/get-host-name',
)  # fmt: skip


def at_the_end(text: str) -> str:
    return text + BAD


def in_the_middle(text: str) -> str:
    return text[: len(text) // 2] + BAD + text[len(text) // 2 :]


def instead(text: str) -> str:
    return BAD


def spoil(value, change, keys=None, key=''):
    """The value with its texts changed: all of them, keys included, or those with one of the keys."""
    if isinstance(value, dict):
        found = {name: spoil(element, change, keys, name) for name, element in value.items()}
        # `data` and `digest` make it an answer, and a configuration.
        return found if keys else found | {change(name): 'spoiled' for name in value if name not in ('data', 'digest')}
    if isinstance(value, list):
        return [spoil(element, change, keys, key) for element in value]
    return change(value) if isinstance(value, str) and (keys is None or key in keys) else value


@pytest.fixture
def pve(standin):
    return standin('pve-9.2.11-cluster')


@pytest.fixture
def endpoint(pve, make_endpoint, site):
    return make_endpoint(pve, site=site, sync_nodes=True, read_os_info=True, read_host_names=True)


@pytest.fixture
def site():
    from dcim.models import Site

    return Site.objects.create(name='Lab', slug='lab')


@pytest.fixture
def answering(pve, monkeypatch):
    """From now on, every answer to a call of this glob has a changed document."""
    respond = pve._response

    def start(change, glob='*', keys=None):
        def spoiled(request, answer):
            if answer.status == 200 and fnmatchcase(request.path.removeprefix('/api2/json'), glob):
                body = (
                    change(answer.body)
                    if keys is bytes
                    else json.dumps(spoil(json.loads(answer.body), change, keys)).encode()
                )
                answer = Answer(answer.status, answer.reason, body, answer.content_type, answer.headers)
            return respond(request, answer)

        monkeypatch.setattr(pve, '_response', spoiled)

    return start


def stored_texts() -> str:
    return json.dumps([
        list(VirtualMachine.objects.values()), list(ProxmoxGuest.objects.values()), list(SyncChange.objects.values()),
    ], default=str)  # fmt: skip


@pytest.mark.parametrize('change', [in_the_middle, instead])
def test_texts_that_users_and_guests_write_cost_no_run(pve, endpoint, sync, answering, change):
    answering(change, keys=WRITTEN)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    assert not run.changes.filter(outcome='failed').exists()
    listed = {guest.vmid for guest in pve.cluster.guests.values() if not guest.config.get('template')}
    assert set(VirtualMachine.objects.values_list('custom_field_data__vmid', flat=True)) == listed
    assert '\\u0000' not in stored_texts()
    logged = ObjectChange.objects.count()
    assert sync(endpoint).status == 'completed'
    assert ObjectChange.objects.count() == logged


@pytest.mark.parametrize('glob', ANSWERS)
def test_one_kind_of_answer_with_such_texts_does_not_fail_the_run(pve, endpoint, sync, answering, glob):
    answering(at_the_end, glob)
    run = sync(endpoint, mode='preview')
    assert run.status == 'completed', run.error
    assert [call for call in pve.log if fnmatchcase(call.path, glob)]
    assert '\\u0000' not in stored_texts()


@pytest.mark.parametrize('change', [at_the_end, instead])
def test_such_texts_everywhere_never_break_a_run_that_synced_before(endpoint, sync, answering, change):
    sync(endpoint)
    before = list(VirtualMachine.objects.order_by('pk').values('pk', 'name', 'memory', 'vcpus', 'status'))
    answering(change)
    run = sync(endpoint)
    # What a version is made of may be missing altogether; then nothing is read, and Proxmox VE is said to be none.
    assert run.status == 'completed' or 'it is not Proxmox VE' in run.error, run.error
    assert list(VirtualMachine.objects.order_by('pk').values('pk', 'name', 'memory', 'vcpus', 'status')) == before


def test_bytes_that_are_no_document_of_json_by_the_letter(endpoint, sync, answering):
    answering(lambda body: body.replace(b'"description":"', b'"description":"\xff\xed\xa0\x80\x00\x01'), keys=bytes)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    assert VirtualMachine.objects.filter(comments__startswith='\ufffd').exists()
