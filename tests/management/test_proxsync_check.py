"""The commands proxsync_check and proxsync_rotate_keys."""

import io
import json
from functools import partial

import pytest
from core.models import ObjectChange
from django.core.management import CommandError, call_command
from extras.models import CustomField
from virtualization.models import VirtualMachine

from netbox_proxsync.crypto import Secret
from netbox_proxsync.models import Binding, ProxmoxEndpoint

from ..cases import MARKER, make_endpoint, run_command

pytestmark = pytest.mark.django_db


check = partial(run_command, 'proxsync_check')


def troubles(text: str) -> list[str]:
    """The reported problems, except that no worker is running."""
    return [line for line in text.splitlines() if line.startswith('trouble') and ' workers: ' not in line]


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=2, containers=0, templates=0, seed=2)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


class TestCheck:
    def test_that_all_is_well(self, endpoint):
        _status, text = check()
        assert troubles(text) == []
        assert 'Lab, Connection: ' in text
        assert endpoint.token_secret.reveal() not in text

    def test_a_connection_that_fails_and_no_worker(self, endpoint):
        ProxmoxEndpoint.objects.update(token_secret=Secret.of('wrong'))
        status, text = check('Lab')
        assert status == 1
        assert 'trouble workers: 0 for the queue "default"' in text
        assert any('Lab, Connection' in line for line in troubles(text))

    def test_a_privilege_that_is_missing_with_the_command_that_grants_it(self, pve, endpoint):
        pve.revoke('VM.Audit')
        _status, text = check('Lab')
        assert any('VM.Audit' in line for line in troubles(text))
        assert 'pveum acl modify' in text

    def test_a_secret_that_cannot_be_decrypted(self, endpoint):
        ProxmoxEndpoint.objects.update(token_secret=Secret('gAAAA'))
        assert any('cannot be decrypted' in line for line in troubles(check('Lab')[1]))

    def test_custom_fields_that_were_removed_and_are_repaired_on_request(self, endpoint, sync):
        sync(endpoint)
        CustomField.objects.get(name='vmid').delete()
        CustomField.objects.get(name='bridge').object_types.clear()
        text = check()[1]
        assert len(troubles(text)) == 2
        assert not CustomField.objects.filter(name='vmid').exists()
        text = check('--repair')[1]
        assert (troubles(text), 'repaired custom fields' in text) == ([], True)
        assert sync(endpoint).status == 'completed'
        assert all(vm.custom_field_data['vmid'] for vm in VirtualMachine.objects.all())
        assert 'repaired' not in check('--repair')[1]

    def test_a_custom_field_of_another_type_is_for_a_user_to_repair(self, endpoint):
        CustomField.objects.filter(name='vmid').update(type='text')
        text = check('--repair')[1]
        assert 'has the type "text". The required type is "integer"' in troubles(text)[0]
        assert CustomField.objects.get(name='vmid').type == 'text'

    def test_bindings_to_objects_that_no_longer_exist(self, endpoint, sync):
        sync(endpoint)
        vm, other = VirtualMachine.objects.all()
        gone, kept = (Binding.objects.filter(kind='vm', object_id=each.pk) for each in (vm, other))
        vm.delete()
        text = check()[1]
        assert 'less    Lab, Bindings' in text
        assert gone.exists()
        check('--repair')
        assert not gone.exists()
        assert kept.exists()
        assert sync(endpoint).status == 'completed'
        assert VirtualMachine.objects.count() == 2

    def test_for_a_monitor(self, pve, endpoint):
        pve.revoke('VM.Audit')
        make_endpoint('Gone', hosts=[f'{pve.host}:1'], tls_mode='off', token_secret=MARKER)
        CustomField.objects.get(name='vmid').delete()
        status, text = check('--json', '--repair')
        netbox, gone, lab = map(json.loads, text.splitlines())
        assert status == 1
        assert (netbox['endpoint'], netbox['repaired']) == (None, ['custom fields'])
        assert {each['label']: each['ok'] for each in netbox['checks']} == {'custom fields': True, 'workers': False}
        assert (gone['endpoint'], gone['ok'], gone['version']) == ('Gone', False, '')
        assert (lab['endpoint'], lab['ok'], lab['nodes_online'], lab['quorate']) == ('Lab', False, 1, True)
        missing = [each for each in lab['checks'] if 'VM.Audit' in each['label'] and not each['ok']]
        assert any(each['required'] and 'pveum' in each['remedy'] for each in missing)
        assert endpoint.token_secret.reveal() not in text
        assert MARKER not in text

    def test_an_endpoint_that_there_is_not(self, endpoint):
        with pytest.raises(CommandError, match='There are: "Lab"'):
            check('Nonsense')


class TestRotateKeys:
    @staticmethod
    def keys(settings, *keys: str):
        plugin = settings.PLUGINS_CONFIG['netbox_proxsync']
        settings.PLUGINS_CONFIG = {'netbox_proxsync': {**plugin, 'encryption_keys': list(keys)}}

    @staticmethod
    def rotate() -> str:
        out = io.StringIO()
        call_command('proxsync_rotate_keys', stdout=out, stderr=out)
        return out.getvalue()

    def test_the_new_key_alone_is_enough_afterwards(self, settings):
        self.keys(settings, 'old')
        endpoint = make_endpoint(token_secret=MARKER, ssh_user='root', ssh_password=MARKER)
        before = ProxmoxEndpoint.objects.get()
        self.keys(settings, 'new', 'old')
        text = self.rotate()
        assert '2 secrets' in text
        assert MARKER not in text
        self.keys(settings, 'new')
        after = ProxmoxEndpoint.objects.get()
        assert (after.token_secret.reveal(), after.ssh_password.reveal()) == (MARKER, MARKER)
        assert after.last_updated == before.last_updated
        assert not ObjectChange.objects.exists()
        assert self.rotate().startswith('All secrets are encrypted with the first key')
        assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).token_secret.encrypted() == after.token_secret.encrypted()

    def test_secrets_that_no_key_decrypts_are_named_and_unchanged(self, settings):
        self.keys(settings, 'lost')
        make_endpoint('Lost', token_secret=MARKER)
        self.keys(settings, 'old')
        make_endpoint('Known', token_secret=MARKER)
        stored = ProxmoxEndpoint.objects.get(name='Lost').token_secret.encrypted()
        self.keys(settings, 'new', 'old')
        with pytest.raises(CommandError, match='Lost: token secret') as caught:
            self.rotate()
        # The command must report the secret even if there is nothing else to do.
        out = io.StringIO()
        with pytest.raises(CommandError, match='Lost: token secret'):
            call_command('proxsync_rotate_keys', stdout=out)
        assert out.getvalue() == ''
        assert caught.value.returncode == 1
        self.keys(settings, 'new')
        assert ProxmoxEndpoint.objects.get(name='Known').token_secret.reveal() == MARKER
        assert ProxmoxEndpoint.objects.get(name='Lost').token_secret.encrypted() == stored
