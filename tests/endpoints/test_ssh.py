"""Nodes over SSH as the product does it: settings, runs, connection test. Nodes of the stand-in live on 127.0.0.x."""

import json
import time
from contextlib import ExitStack, contextmanager
from threading import Timer

import pytest
from core.models import ObjectChange
from dcim.models import Device, Site
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.endpoints.connection import connection_of, ssh_settings_of
from netbox_proxsync.endpoints.connection import test as check_connection
from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.proxmox.errors import CanceledError
from netbox_proxsync.proxmox.http.client import ProxmoxClient
from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect
from tests.proxmox.ssh.outputs import BONDED, BONDED_FACTS, DELL
from tests.proxmox.ssh.servers import DMI, LINKS, NIC_FACTS, Node, never_ends, pem, prints, private_key, serving_node

from ..cases import MARKER, allow

pytestmark = pytest.mark.django_db

PASSWORD = f'{MARKER}-password'
SMALL = {'nodes': 2, 'vms': 1, 'containers': 1, 'seed': 1}
SECRETS = ('ssh_password', 'ssh_private_key', 'ssh_passphrase')


def answers(name: str) -> dict:
    return {
        LINKS: prints(BONDED),
        NIC_FACTS: prints(BONDED_FACTS, status=2),
        DMI: prints(f'/proc/sys/kernel/hostname:{name}\n{DELL}'),
    }


@contextmanager
def nodes_of(pve, **settings):
    """An SSH server for each node, all on the same port: {name: Node}."""
    with ExitStack() as running:
        nodes, port = {}, 0
        for number, member in enumerate(pve.cluster.nodes.values(), 11):
            member.address = f'127.0.0.{number}'
            node = Node(
                user='netbox',
                password=PASSWORD,
                host=member.address,
                port=port,
                host_keys=(private_key('ed25519', number),),
                answers=answers(member.name),
                **settings,
            )
            running.enter_context(serving_node(node))
            port = node.port
            nodes[member.name] = node
        pve.cluster.changed()
        yield nodes


def pins(nodes) -> str:
    return '\n'.join(node.host_key.line for node in nodes.values())


def read(endpoint):
    with ProxmoxClient(connection_of(endpoint)) as client:
        return collect(client, CollectOptions(ssh=ssh_settings_of(endpoint)))


def told_of_nodes(run):
    """What a run says of SSH and of single nodes."""
    return [message for message in run.messages if message['subject'].startswith(('SSH', 'node/'))]


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root', 'root@example.com', 'x'))
    return client


@pytest.fixture
def cluster(standin, make_endpoint):
    """A stand-in, its nodes, and an endpoint that may read them."""
    pve = standin(**SMALL)
    with nodes_of(pve) as nodes:
        port = nodes['pve1'].port
        endpoint = make_endpoint(
            pve,
            site=Site.objects.create(name='Berlin', slug='berlin'),
            ssh_user='netbox',
            ssh_port=port,
            ssh_password=PASSWORD,
            ssh_host_keys=pins(nodes),
        )
        yield pve, nodes, endpoint


def test_each_node_is_read_at_its_own_address(cluster, sync):
    _, nodes, endpoint = cluster
    inventory = read(endpoint)
    assert [(node.name, node.hardware.serial, len(node.hardware.nics)) for node in inventory.nodes] == [
        ('pve1', '7XK2M93', 3),
        ('pve2', '7XK2M93', 3),
    ]
    assert [node.attempts for node in nodes.values()] == [[('password', 'netbox', PASSWORD)]] * 2
    run = sync(endpoint)
    assert run.status == 'completed'
    assert told_of_nodes(run) == []
    assert set(Device.objects.values_list('name', 'serial')) == {('pve1', '7XK2M93'), ('pve2', '7XK2M93')}
    assert [len(node.attempts) for node in nodes.values()] == [2, 2]


@pytest.mark.parametrize('values', [{'site': None}, {'sync_nodes': False}])
@pytest.mark.parametrize('keys', ['those', 'nonsense'])
def test_where_no_devices_come_of_it_no_node_is_asked(cluster, sync, values, keys):
    _, nodes, endpoint = cluster
    ProxmoxEndpoint.objects.update(**values, ssh_host_keys=pins(nodes) if keys == 'those' else keys)
    run = sync(endpoint)
    assert run.status == 'completed'
    assert [node.attempts for node in nodes.values()] == [[], []]
    assert told_of_nodes(run) == []


def test_without_a_user_no_node_is_asked(cluster):
    _, nodes, endpoint = cluster
    endpoint.ssh_user = ''
    assert [node.hardware for node in read(endpoint).nodes] == [None, None]
    assert [node.attempts for node in nodes.values()] == [[], []]


def test_a_node_that_cannot_be_read_is_unknown_and_told_once(cluster, sync):
    pve, nodes, endpoint = cluster
    ProxmoxEndpoint.objects.update(ssh_host_keys=nodes['pve1'].host_key.line)
    endpoint.refresh_from_db()
    one, two = read(endpoint).nodes
    assert one.hardware.serial == '7XK2M93'
    assert isinstance(two.hardware, Unreadable)
    run = sync(endpoint)
    assert run.status == 'completed'
    (message,) = told_of_nodes(run)
    assert message['subject'] == 'node/pve2'
    assert 'No SSH host key is pinned' in message['message']
    assert 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' in message['remedy']
    assert nodes['pve2'].attempts == []
    assert PASSWORD not in json.dumps([run.messages, str(run.job.data), run.job.log_entries], default=str)
    pve.node_offline('pve2')
    assert read(endpoint).nodes[1].hardware == Unreadable('Node pve2 is offline.')


def test_the_hardware_of_another_machine_is_not_taken(cluster):
    _, nodes, endpoint = cluster
    nodes['pve2'].answers = answers('proxy')
    inventory = read(endpoint)
    assert 'its name is proxy' in inventory.nodes[1].hardware.reason
    assert [notice.subject for notice in inventory.warnings] == ['node/pve2']


def test_a_stand_alone_host_is_read_where_the_api_answers(standin, make_endpoint):
    pve = standin(nodes=1, vms=1, containers=0, standalone=True)
    with serving_node(Node(user='netbox', password=PASSWORD, answers=answers('pve1'))) as node:
        endpoint = make_endpoint(
            pve, ssh_user='netbox', ssh_port=node.port, ssh_password=PASSWORD, ssh_host_keys=node.host_key.line
        )
        assert read(endpoint).nodes[0].hardware.serial == '7XK2M93'


def test_settings_that_cannot_be_used_any_more_end_no_run(cluster, sync):
    _, nodes, endpoint = cluster
    ProxmoxEndpoint.objects.update(ssh_host_keys='nonsense')
    run = sync(endpoint)
    assert run.status == 'completed'
    assert [message['subject'] for message in told_of_nodes(run)] == ['SSH']
    assert nodes['pve1'].attempts == []


def test_canceling_ends_the_wait_for_a_node(cluster):
    _, nodes, endpoint = cluster
    nodes['pve2'].answers[LINKS] = never_ends
    with ProxmoxClient(connection_of(endpoint)) as client:
        timer = Timer(1.5, client.cancel)
        timer.start()
        start = time.monotonic()
        with pytest.raises(CanceledError):
            collect(client, CollectOptions(ssh=ssh_settings_of(endpoint)))
    assert time.monotonic() - start < 4


def test_the_connection_test_has_a_line_for_each_node(cluster, admin):
    _, nodes, endpoint = cluster
    lines = {check.label: check for check in check_connection(endpoint).checks}
    assert lines['SSH to pve1'].ok
    assert lines['SSH to pve1'].detail == 'works: Dell Inc. PowerEdge R740, 3 physical NICs'
    other = private_key('ed25519', 99)
    ProxmoxEndpoint.objects.update(ssh_host_keys=f'127.0.0.11 ssh-ed25519 {other.get_base64()}')
    endpoint.refresh_from_db()
    report = check_connection(endpoint)
    assert report.ok
    lines = {check.label: check for check in report.checks}
    assert 'does not present the SSH host key that is pinned' in lines['SSH to pve1'].detail
    assert 'No SSH host key is pinned' in lines['SSH to pve2'].detail
    assert not lines['SSH to pve1'].required
    ProxmoxEndpoint.objects.update(ssh_host_keys=pins(nodes))
    for node in nodes.values():
        node.password = 'another'
    page = admin.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_test', args=[endpoint.pk]))
    assert 'rejected the password of netbox' in page.content.decode()
    assert PASSWORD not in page.content.decode()


# Host keys


def test_keys_are_shown_and_exactly_those_that_were_shown_are_pinned(cluster, admin):
    _, nodes, endpoint = cluster
    ProxmoxEndpoint.objects.update(ssh_host_keys=nodes['pve1'].host_key.line)
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_ssh_host_keys', args=[endpoint.pk])
    page = admin.post(url).content.decode()
    shown = nodes['pve2'].host_key
    assert shown.fingerprint_sha256 in page
    assert 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' in page
    assert f'value="{shown.line}"' in page
    assert nodes['pve1'].host_key.line not in page  # nothing to confirm
    assert 'CHANGED' not in page
    nodes['pve2'].host_keys = (private_key('ed25519', 77),)  # a moment later
    assert admin.post(url, {'key': [shown.line], '_confirm': ''}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.ssh_host_keys == f'{nodes["pve1"].host_key.line}\n{shown.line}'
    change = ObjectChange.objects.get()
    assert shown.line in change.postchange_data['ssh_host_keys']
    page = admin.post(url).content.decode()
    assert 'The key of pve2 (127.0.0.12) has CHANGED' in page
    assert 'alert-danger' in page
    assert [node.attempts for node in nodes.values()] == [[], []]
    admin.post(url, {'key': [nodes['pve2'].host_key.line], '_confirm': ''})
    endpoint.refresh_from_db()
    assert endpoint.ssh_host_keys == pins(nodes)


def test_a_key_that_cannot_be_displayed_has_a_reason(cluster, admin):
    pve, _, endpoint = cluster
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_ssh_host_keys', args=[endpoint.pk])
    ProxmoxEndpoint.objects.update(ssh_port=1)
    assert 'refused the connection' in admin.post(url).content.decode()
    pve.impostor('html')
    assert 'it is not Proxmox VE' in admin.post(url).content.decode()


def test_no_key_and_no_nonsense_is_pinned(cluster, admin):
    _, nodes, endpoint = cluster
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_ssh_host_keys', args=[endpoint.pk])
    admin.post(url)
    unseen = f'127.0.0.11 ssh-ed25519 {private_key("ed25519", 99).get_base64()}'
    for lines in (
        [], ['nonsense'], [private_key('ed25519').fingerprint], ['127.0.0.11 ssh-ed25519 AAAA'], [unseen]
    ):  # fmt: skip
        admin.post(url, {'key': lines, '_confirm': ''})
    endpoint.refresh_from_db()
    assert endpoint.ssh_host_keys == pins(nodes)
    assert not ObjectChange.objects.exists()


def test_keys_by_the_api_for_those_who_may_change_and_sync_the_endpoint(cluster, admin):
    _, nodes, endpoint = cluster
    ProxmoxEndpoint.objects.update(ssh_host_keys='')
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-ssh-host-keys', args=[endpoint.pk])
    confirm = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-confirm-ssh-host-keys', args=[endpoint.pk])
    line = nodes['pve1'].host_key.line
    refused = admin.post(confirm, {'keys': [line]}, content_type='application/json')
    assert (refused.status_code, 'within the last hour' in refused.content.decode()) == (400, True)
    assert admin.get(url).status_code == 405
    keys = admin.post(url).json()
    assert [(key['node'], key['status'], key['line']) for key in keys] == [
        (name, 'new', node.host_key.line) for name, node in nodes.items()
    ]
    answer = admin.post(confirm, {'keys': [key['line'] for key in keys]}, content_type='application/json')
    assert answer.json() == {'ssh_host_keys': pins(nodes)}
    assert [key['status'] for key in admin.post(url).json()] == ['pinned', 'pinned']
    # Where keys were confirmed before, none is confirmed by accident.
    assert admin.post(url, {'keys': [line]}, content_type='application/json').status_code == 400
    assert admin.post(confirm, {'keys': ['x']}, content_type='application/json').status_code == 400
    endpoint.refresh_from_db()
    assert endpoint.ssh_password.reveal() == PASSWORD
    page = reverse('plugins:netbox_proxsync:proxmoxendpoint_ssh_host_keys', args=[endpoint.pk])
    for actions, may in ([], set()), (['change'], set()), (['sync'], {url}), (['change', 'sync'], {url, confirm}):
        client = Client()
        user = User.objects.create_user('-'.join(['user', *actions]), password='x')
        for action in actions:
            allow(user, ProxmoxEndpoint, action)
        client.force_login(user)
        for place in (url, confirm):
            data = {'keys': [line]} if place == confirm else {}
            answer = client.post(place, data, content_type='application/json')
            assert answer.status_code == (200 if place in may else 403), (actions, place)
        assert client.post(page).status_code == (200 if url in may else 403)
        assert client.post(page, {'key': line, '_confirm': ''}).status_code == (302 if confirm in may else 403)


# Settings and secrets

FORM = {
    'name': 'Lab', 'hosts': 'pve1', 'token_id': 'netbox@pve!sync', 'token_secret': '', 'tls_mode': 'system',
    'timeout': 30, 'concurrency': 8, 'interface_naming': 'proxmox', 'missing_guests': 'retire', 'grace_days': 30,
    'change_limit': 20, 'missing_addresses': 'delete', 'missing_address_reads': 2, 'address_limit': 256,
    'ssh_user': 'netbox',
}  # fmt: skip


@pytest.fixture
def stored(db):
    endpoint = ProxmoxEndpoint(
        name='Lab', hosts=['pve1'], token_id='netbox@pve!sync', token_secret='s', ssh_user='netbox',
        ssh_private_key=pem('ed25519', 1, MARKER), ssh_passphrase=MARKER,
    )  # fmt: skip
    endpoint.full_clean()
    endpoint.save()
    return endpoint


def hidden(endpoint, text: str) -> bool:
    columns = ', '.join(SECRETS)
    with database.cursor() as cursor:
        cursor.execute(f'SELECT {columns} FROM netbox_proxsync_proxmoxendpoint WHERE id = %s', [endpoint.pk])
        ciphertexts = [value for value in cursor.fetchone() if value]
    key_lines = pem('ed25519', 1, MARKER).splitlines()[1:-1]
    return not any(secret in text for secret in (MARKER, *key_lines, *ciphertexts))


def test_secrets_come_out_nowhere(stored, admin):
    name = 'plugins:netbox_proxsync:proxmoxendpoint'
    pages = [
        stored.get_absolute_url(),
        reverse(f'{name}_edit', args=[stored.pk]),
        reverse(f'{name}_list') + '?export',
        reverse(f'{name}_changelog', args=[stored.pk]),
        reverse(f'{name}_add') + f'?_clone={stored.pk}',
        reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[stored.pk]),
    ]
    for page in pages:
        response = admin.get(page, headers={'accept': 'application/json'} if '/api/' in page else {})
        assert response.status_code == 200, page
        assert hidden(stored, response.content.decode()), page
    for field in SECRETS:
        query = {'query': f'{{ proxsync_endpoint_list {{ name {field} }} }}'}
        assert 'errors' in admin.post(reverse('graphql'), query, content_type='application/json').json()
    assert hidden(stored, str([vars(stored), stored.serialize_object(), repr(ssh_settings_of(stored))]))


@pytest.mark.parametrize('field', SECRETS)
def test_the_change_log_says_that_one_changed(stored, admin, field):
    values = {'ssh_password': f'{MARKER}-2', 'ssh_private_key': '', 'ssh_passphrase': ''}
    if field != 'ssh_password':
        values = {'ssh_private_key': pem('ed25519', 1, f'{MARKER}-2'), 'ssh_passphrase': f'{MARKER}-2'}
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[stored.pk])
    response = admin.patch(url, values, content_type='application/json')
    assert response.status_code == 200, response.content
    change = ObjectChange.objects.get()
    assert change.postchange_data[field] == '***CHANGED***'
    assert MARKER not in str([change.prechange_data, change.postchange_data, response.content])


def test_the_form_keeps_takes_and_removes_them(stored, admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_edit', args=[stored.pk])
    page = admin.get(url).content.decode()
    assert 'name="ssh_private_key-remove"' in page
    assert 'name="ssh_password-remove"' not in page
    assert admin.post(url, FORM).status_code == 302
    stored.refresh_from_db()
    assert (stored.ssh_passphrase.reveal(), bool(stored.ssh_private_key), stored.ssh_port) == (MARKER, True, 22)
    # From key to password: not while the key is still there.
    refused = admin.post(url, {**FORM, 'ssh_password': PASSWORD})
    assert 'There is an SSH password, too' in refused.content.decode()
    assert hidden(stored, refused.content.decode())
    assert admin.post(url, {**FORM, 'ssh_password': PASSWORD, 'ssh_private_key-remove': 'on'}).status_code == 302
    stored.refresh_from_db()
    assert [getattr(stored, field).reveal() for field in SECRETS] == [PASSWORD, '', '']


@pytest.mark.parametrize(
    ('values', 'field', 'words'),
    [
        ({'ssh_private_key': ''}, 'ssh_password', 'needs a password or a private key'),
        ({'ssh_password': PASSWORD}, 'ssh_private_key', 'Give one of them'),
        ({'ssh_passphrase': 'wrong'}, 'ssh_passphrase', 'does not decrypt'),
        ({'ssh_passphrase': ''}, 'ssh_passphrase', 'is encrypted'),
        ({'ssh_private_key': 'ssh-ed25519 AAAA'}, 'ssh_private_key', 'public key'),
        ({'ssh_host_keys': 'pve1 ssh-ed25519 AAAA'}, 'ssh_host_keys', 'damaged or incomplete'),
        ({'ssh_host_keys': f'*.lab ssh-ed25519 {private_key("ed25519").get_base64()}'}, 'ssh_host_keys', 'pattern'),
        ({'ssh_user': 'net box'}, 'ssh_user', 'contains spaces'),
        ({'ssh_port': 70000}, 'ssh_port', '65535'),
        ({'ssh_port': 0}, 'ssh_port', '1'),
    ],
)
def test_an_unusable_value_is_reported_at_its_field(stored, admin, values, field, words):
    url = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[stored.pk])
    response = admin.patch(url, values, content_type='application/json')
    assert response.status_code == 400
    assert list(response.json()) == [field]
    assert words in str(response.json())
    assert MARKER not in response.content.decode()


def test_many_at_once_change_from_key_to_password(stored, admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_edit')
    form = {'pk': [stored.pk], 'ssh_password': PASSWORD, '_apply': 'on'}
    admin.post(url, form)
    stored.refresh_from_db()
    assert not stored.ssh_password
    response = admin.post(url, {**form, '_nullify': ['ssh_private_key', 'ssh_passphrase']})
    assert response.status_code == 302
    stored.refresh_from_db()
    assert [getattr(stored, field).reveal() for field in SECRETS] == [PASSWORD, '', '']


def test_import(admin):
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_import')
    key = private_key('ed25519')
    data = (
        'name,hosts,token_id,token_secret,ssh_user,ssh_password,ssh_host_keys\n'
        f'Five,pve5,netbox@pve!sync,s,netbox,{PASSWORD},10.0.0.5 ssh-ed25519 {key.get_base64()}'
    )
    form = {'import_method': 'direct', 'data': data, 'format': 'csv', 'csv_delimiter': ','}
    assert admin.post(url, form).status_code == 302
    made = ProxmoxEndpoint.objects.get()
    assert (made.ssh_user, made.ssh_port, made.ssh_password.reveal()) == ('netbox', 22, PASSWORD)
