"""
A stored secret is sent only to the destination for which it was entered.

The harm: a user who may only view and change an endpoint enters a host of their own and receives the token.

Tried of this class: each setting that decides where a secret goes or how the host proves itself (another host, a
further host, another port, TLS mode off and on again, CA, fingerprint, SSH user, port and host keys), through every
door (form, connection test in the form, REST one and many, PATCH and PUT, bulk edit, import of CSV, JSON and YAML
with an ID, the model itself, `update_fields`, a file of ProxSyncBox); an empty secret, the stars that are shown in
its place, only one of two secrets; clones; every action that connects, by every permission; and who fewer hosts or
keys are trusted.
"""

import csv
import io
import json

import pytest
import yaml
from core.models import ObjectType
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from extras.models import CustomField
from users.models import User

from netbox_proxsync.models import ProxmoxEndpoint
from tests.proxmox.servers import serving, speaking_http
from tests.proxmox.ssh.servers import private_key

from ..cases import MARKER, allow
from ..cases import make_endpoint as make_row

pytestmark = pytest.mark.django_db

PASSWORD = f'{MARKER}-ssh'
PIN, OTHER_PIN = ':'.join(['AB'] * 32), ':'.join(['CD'] * 32)
KEY = f'pve1 ssh-ed25519 {private_key("ed25519", 1).get_base64()}'
OTHER_KEY = f'pve2 ssh-ed25519 {private_key("ed25519", 2).get_base64()}'
HOSTS = ['pve1:8006', 'pve2:8006']

TOKEN, SSH = {'token_secret'}, {'ssh_password'}
CHANGES = {
    'another host': ({'hosts': ['evil:8006']}, TOKEN | SSH),
    'a further host': ({'hosts': [*HOSTS, 'evil:8006']}, TOKEN | SSH),
    'another port': ({'hosts': ['pve1:8007', 'pve2:8006']}, TOKEN | SSH),
    'no TLS verification': ({'tls_mode': 'off'}, TOKEN),
    'the authorities of the system': ({'tls_mode': 'system'}, TOKEN),
    'another fingerprint': ({'fingerprint': OTHER_PIN}, TOKEN),
    'a fingerprint for each host': ({'fingerprint': f'{PIN}, {OTHER_PIN}'}, TOKEN),
    'another SSH user': ({'ssh_user': 'root'}, SSH),
    'another SSH port': ({'ssh_port': 2222}, SSH),
    'a further SSH host key': ({'ssh_host_keys': f'{KEY}\n{OTHER_KEY}'}, SSH),
    'all at once': ({'hosts': ['evil:8006'], 'tls_mode': 'off', 'fingerprint': '', 'ssh_user': 'root'}, TOKEN | SSH),
}
FREE = {
    'a host less': {'hosts': HOSTS[:1]},
    'another order of the hosts': {'hosts': HOSTS[::-1]},
    'the same hosts in other words': {'hosts': ['pve1', 'PVE2:8006']},
    'no SSH host key': {'ssh_host_keys': ''},
    'no SSH': {'ssh_user': ''},
    'the timeout': {'timeout': 31},
    'another token': {'token_id': 'netbox@pve!other', 'token_secret': f'{MARKER}-2'},
}
SECRETS = {'token_secret': f'{MARKER}-2', 'ssh_password': f'{PASSWORD}-2'}


@pytest.fixture
def endpoint():
    endpoint = make_row(
        hosts=HOSTS, token_secret=MARKER, tls_mode='fingerprint', fingerprint=PIN, ssh_user='netbox',
        ssh_password=PASSWORD, ssh_host_keys=KEY,
    )  # fmt: skip
    endpoint.full_clean()
    return endpoint


@pytest.fixture
def admin():
    """The rule is for everybody: a superuser's browser may be made to send a form too."""
    client = Client()
    client.force_login(User.objects.create_superuser('root'))
    return client


def plain(endpoint) -> dict[str, str]:
    stored = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
    return {name: secret.reveal() for name, secret in stored.secrets.items() if secret}


def by_form(admin, endpoint, values: dict) -> str:
    data = {
        'name': 'Lab', 'enabled': 'on', 'hosts': endpoint.hosts, 'token_id': endpoint.token_id, 'token_secret': '',
        'tls_mode': 'fingerprint', 'fingerprint': PIN, 'timeout': 30, 'concurrency': 8, 'ssh_user': 'netbox',
        'ssh_password': '', 'ssh_port': 22, 'ssh_host_keys': KEY, 'interface_naming': 'proxmox',
        'missing_guests': 'retire', 'grace_days': 30, 'missing_addresses': 'delete', 'missing_address_reads': 2,
        'address_limit': 256, 'change_limit': 20, **values,
    }  # fmt: skip
    data['hosts'] = ','.join(data['hosts'])
    response = admin.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[endpoint.pk]), data)
    return '' if response.status_code == 302 else str(response.context['form'].errors)


def rest_url(endpoint=None) -> str:
    name = 'plugins-api:netbox_proxsync-api:proxmoxendpoint'
    return reverse(f'{name}-detail', args=[endpoint.pk]) if endpoint else reverse(f'{name}-list')


def by_patch(admin, endpoint, values: dict) -> str:
    response = admin.patch(rest_url(endpoint), values, content_type='application/json')
    assert response.status_code in (200, 400), response.content
    return '' if response.status_code == 200 else response.content.decode()


def by_bulk_patch(admin, endpoint, values: dict) -> str:
    response = admin.patch(rest_url(), [{'id': endpoint.pk, **values}], content_type='application/json')
    return '' if response.status_code == 200 else response.content.decode()


def by_import(text: str, form: str, admin) -> str:
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_import')
    data = {'import_method': 'direct', 'data': text, 'format': form, 'csv_delimiter': ','}
    response = admin.post(url, data)
    return '' if response.status_code == 302 else str(response.context['form'].errors)


def by_csv(admin, endpoint, values: dict) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ['id', *values])
    writer.writeheader()
    flat = {name: ','.join(value) if isinstance(value, list) else value for name, value in values.items()}
    writer.writerow({'id': endpoint.pk, **flat})
    return by_import(out.getvalue(), 'csv', admin)


def by_json(admin, endpoint, values: dict) -> str:
    return by_import(json.dumps([{'id': endpoint.pk, **values}]), 'json', admin)


def by_yaml(admin, endpoint, values: dict) -> str:
    return by_import(yaml.safe_dump({'id': endpoint.pk, **values}, explicit_start=True), 'yaml', admin)


def by_code(admin, endpoint, values: dict) -> str:
    """Save without validation, as a script may do."""
    instance = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
    for name, value in values.items():
        setattr(instance, name, value)
    try:
        instance.save()
    except ValidationError as error:
        return str(error.message_dict)
    return ''


def by_single_fields(admin, endpoint, values: dict) -> str:
    instance = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
    for name, value in values.items():
        setattr(instance, name, value)
    try:
        instance.save(update_fields=[*values])
    except ValidationError as error:
        return str(error.message_dict)
    return ''


DOORS = (by_form, by_patch, by_bulk_patch, by_csv, by_json, by_yaml, by_code, by_single_fields)


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('door', DOORS)
def test_the_secrets_have_to_be_entered_again(endpoint, admin, door, change):
    values, secrets = CHANGES[change]
    told = door(admin, endpoint, values)
    for name, label in {'token_secret': 'token secret', 'ssh_password': 'SSH password'}.items():
        assert (f'Enter the {label} again' in told) == (name in secrets), told
    assert MARKER not in told
    stored = ProxmoxEndpoint.objects.get()
    assert [getattr(stored, name) for name in values] == [getattr(endpoint, name) for name in values]
    # One of two secrets is not enough.
    if len(secrets) > 1:
        assert 'Enter the SSH password again' in door(admin, endpoint, {**values, 'token_secret': 'x'})
        assert 'Enter the token secret again' in door(admin, endpoint, {**values, 'ssh_password': 'x'})
    # The token that is shown in place of a secret is not enough either.
    assert 'again' in door(admin, endpoint, {**values, **dict.fromkeys(secrets, '********')})
    assert plain(endpoint) == {'token_secret': MARKER, 'ssh_password': PASSWORD}

    given = {name: SECRETS[name] for name in secrets}
    assert door(admin, endpoint, {**values, **given}) == ''
    stored.refresh_from_db()
    assert [getattr(stored, name) for name in values] == list(values.values())
    assert plain(endpoint) == {'token_secret': MARKER, 'ssh_password': PASSWORD, **given}


@pytest.mark.parametrize('change', FREE)
@pytest.mark.parametrize('door', [by_form, by_patch, by_json])
def test_a_change_that_does_not_extend_trust_requires_no_secret(endpoint, admin, door, change):
    before = plain(endpoint)
    assert door(admin, endpoint, FREE[change]) == ''
    given = {name: value for name, value in FREE[change].items() if name in before}
    assert plain(endpoint) == {**before, **given}


def test_the_same_secret_counts_as_entered(endpoint, admin):
    values = {'hosts': ['pve3:8006'], 'token_secret': MARKER, 'ssh_password': PASSWORD}
    assert by_patch(admin, endpoint, values) == ''
    # The secret counts as entered only once.
    assert 'token_secret' in by_patch(admin, endpoint, {'hosts': ['evil:8006']})
    instance = ProxmoxEndpoint.objects.get()
    instance.token_secret, instance.ssh_password = MARKER, PASSWORD
    instance.save()
    instance.hosts = ['evil:8006']
    with pytest.raises(ValidationError, match='token secret'):
        instance.save()


def test_a_former_user_or_certificate_requires_the_secret_again(endpoint, admin):
    assert by_patch(admin, endpoint, {'ssh_user': ''}) == ''
    assert 'SSH password' in by_patch(admin, endpoint, {'ssh_user': 'netbox'})
    assert by_patch(admin, endpoint, {'tls_mode': 'off', 'token_secret': MARKER}) == ''
    assert 'token secret' in by_patch(admin, endpoint, {'tls_mode': 'fingerprint'})


def test_ssh_secrets_can_be_removed_instead(endpoint, admin):
    assert by_patch(admin, endpoint, {'hosts': ['pve3'], 'token_secret': 'x', 'ssh_user': '', 'ssh_password': ''}) == ''
    assert plain(endpoint) == {'token_secret': 'x'}


def test_the_ca_certificate_is_such_a_change(endpoint, admin, standin):
    """Also while another mode is selected, because selecting the mode later requires no secret."""
    certificate = standin(nodes=1, vms=0, containers=0).ca_pem
    for values in ({'ca_certificate': certificate}, {'ca_certificate': certificate, 'tls_mode': 'ca'}):
        assert 'token secret' in by_patch(admin, endpoint, values)


def test_a_put_demands_the_ssh_secrets_too(endpoint, admin):
    values = {'name': 'Lab', 'hosts': ['evil:8006'], 'token_id': endpoint.token_id, 'token_secret': 'x'}
    response = admin.put(rest_url(endpoint), values, content_type='application/json')
    assert (response.status_code, list(response.json())) == (400, ['ssh_password'])


def test_a_key_takes_its_passphrase_with_it(endpoint, admin):
    from tests.proxmox.ssh.servers import pem

    key = pem('ed25519', 1, MARKER)
    values = {'ssh_password': '', 'ssh_private_key': key, 'ssh_passphrase': MARKER}
    assert by_patch(admin, endpoint, values) == ''
    told = by_patch(admin, endpoint, {'ssh_port': 2222, 'ssh_private_key': key})
    assert 'passphrase of the key again' in told
    assert 'SSH private key again' in by_patch(admin, endpoint, {'ssh_port': 2222})
    assert by_patch(admin, endpoint, {'ssh_port': 2222, 'ssh_private_key': key, 'ssh_passphrase': MARKER}) == ''


@pytest.mark.parametrize('values', [{'ssh_user': 'root'}, {'ssh_port': 2222}])
def test_in_bulk_the_secret_of_all_is_entered(endpoint, admin, values):
    other = make_row('Other', ssh_user='netbox', ssh_password=PASSWORD)
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_edit')
    form = {'pk': [endpoint.pk, other.pk], '_apply': 'on', **values}
    page = admin.post(url, form)
    assert (page.status_code, 'Enter the SSH password again' in page.content.decode()) == (200, True)
    assert admin.post(url, {**form, 'ssh_password': f'{PASSWORD}-2'}).status_code == 302
    for one in (endpoint, other):
        assert plain(one)['ssh_password'] == f'{PASSWORD}-2'
    # Without SSH, no secret is sent.
    assert admin.post(url, {'pk': [endpoint.pk], '_apply': 'on', '_nullify': ['ssh_user']}).status_code == 302


def test_a_file_of_proxsyncbox_names_further_hosts_with_their_secret(tmp_path):
    from django.core.management import call_command

    file = tmp_path / '.env'
    file.write_text(
        ''.join(
            f'PROXMOX_NODE_{number}_HOST=pve{number}\nPROXMOX_NODE_{number}_USER=netbox@pve\n'
            f'PROXMOX_NODE_{number}_TOKEN_NAME=sync\nPROXMOX_NODE_{number}_TOKEN_SECRET={MARKER}\n'
            f'PROXMOX_NODE_{number}_NETBOX_CLUSTER_NAME=lab\n'
            for number in (1, 2)
        )
    )
    call_command('proxsync_import_env', str(file), '--apply')
    made = ProxmoxEndpoint.objects.get()
    assert (made.hosts, plain(made)) == (['pve1:8006', 'pve2:8006'], {'token_secret': MARKER})


# What was really done


class TestAsSomebodyWhoMayViewAndChange:
    @pytest.fixture
    def mallory(self):
        user = User.objects.create_user('mallory', password='x')
        for action in ('view', 'change'):
            allow(user, ProxmoxEndpoint, action)
        client = Client()
        client.force_login(user)
        return client

    def test_the_token_does_not_arrive_at_a_host_of_theirs(self, endpoint, mallory):
        with serving(speaking_http) as server:
            values = {'hosts': [server.host], 'tls_mode': 'off'}
            told = by_patch(mallory, endpoint, values)
            assert 'token_secret' in told
            assert by_form(mallory, endpoint, {**values, 'fingerprint': ''})
            test = reverse('plugins:netbox_proxsync:proxmoxendpoint_test_form')
            keys = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-ssh-host-keys', args=[endpoint.pk])
            assert mallory.get(keys).status_code in (403, 405)
            assert mallory.post(keys).status_code == 403
            allow(User.objects.get(username='mallory'), ProxmoxEndpoint, 'sync')
            form = {
                '_endpoint': endpoint.pk, 'hosts': server.host, 'token_id': endpoint.token_id, 'token_secret': '',
                'tls_mode': 'off', 'timeout': 2, 'concurrency': 1,
            }  # fmt: skip
            page = mallory.post(test, form).content.decode()
            assert 'Enter the token secret again' in page
            received = b''.join(server.received)
        assert received == b''

    def test_nor_when_something_else_of_the_form_is_wrong(self, endpoint, mallory):
        """An error of another field ends the validation of the model early, but not the connection test."""
        field = CustomField.objects.create(name='ticket', type='text', required=True)
        field.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
        allow(User.objects.get(username='mallory'), ProxmoxEndpoint, 'sync')
        with serving(speaking_http) as server:
            form = {
                '_endpoint': endpoint.pk, 'hosts': server.host, 'token_id': endpoint.token_id, 'token_secret': '',
                'tls_mode': 'off', 'timeout': 2, 'concurrency': 1, 'cf_ticket': '',
            }  # fmt: skip
            page = mallory.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_test_form'), form).content.decode()
            assert 'Enter the token secret again' in page
            received = b''.join(server.received)
        assert received == b''

    def test_they_can_start_nothing_that_connects(self, endpoint, mallory):
        with serving(speaking_http) as server:
            ProxmoxEndpoint.objects.update(hosts=[server.host], tls_mode='off')
            for name in ('test', 'preview', 'sync', 'ssh_host_keys'):
                url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{name}', args=[endpoint.pk])
                assert (mallory.get(url).status_code, mallory.post(url).status_code) == (403, 403)
                api = reverse(
                    f'plugins-api:netbox_proxsync-api:proxmoxendpoint-{name.replace("_", "-")}', args=[endpoint.pk]
                )
                assert mallory.post(api).status_code == 403
            for name in ('test_form', 'fingerprints'):
                url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{name}')
                data = {'_endpoint': endpoint.pk, 'hosts': server.host}
                assert (mallory.get(url).status_code, mallory.post(url, data).status_code) == (403, 403)
            page = mallory.get(endpoint.get_absolute_url()).content.decode()
            for name in ('test', 'preview', 'sync', 'ssh-host-keys'):
                assert f'{endpoint.get_absolute_url()}{name}/' not in page
            assert server.received == []

    def test_nor_by_get_for_any_user(self, endpoint, admin):
        with serving(speaking_http) as server:
            ProxmoxEndpoint.objects.update(hosts=[server.host], tls_mode='off')
            for name in ('test', 'preview', 'sync', 'ssh_host_keys'):
                url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{name}', args=[endpoint.pk])
                assert admin.get(url).status_code == 302
                api = reverse(
                    f'plugins-api:netbox_proxsync-api:proxmoxendpoint-{name.replace("_", "-")}', args=[endpoint.pk]
                )
                assert admin.get(api).status_code == 405
            for name in ('test_form', 'fingerprints'):
                url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{name}')
                assert admin.get(url, {'_endpoint': endpoint.pk, 'hosts': server.host}).status_code == 302
            assert server.received == []

    def test_buttons_are_shown_for_the_endpoints_that_the_permission_is_for(self, endpoint, mallory):
        other = make_row('Other', ssh_user='netbox', ssh_password=PASSWORD)
        allow(User.objects.get(username='mallory'), ProxmoxEndpoint, 'sync', {'name': 'Other'})
        for one, may in ((endpoint, False), (other, True)):
            page = mallory.get(one.get_absolute_url()).content.decode()
            for name in ('test', 'preview', 'sync', 'ssh-host-keys'):
                assert (f'{one.get_absolute_url()}{name}/' in page) == may, name
