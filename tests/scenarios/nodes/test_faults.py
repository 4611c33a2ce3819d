"""
Faults of Proxmox VE's own configuration are warnings, which users can acknowledge until they change.

Seen: an Open vSwitch port that does not exist was a conflict at every run and hid real ones. Also tried: a member of a
bond, a raw device, a loop of two and of three bridges, a bridge in itself, an interface in two bridges, an MTU that
NetBox refuses, a management address on no interface; a fault that changes, is corrected and comes back, one of a node
that is offline meanwhile; who may acknowledge, what cannot be acknowledged; the type of an Open vSwitch bond.
"""

import pytest
from dcim.models import Interface
from django.urls import reverse
from users.models import User

pytestmark = pytest.mark.django_db

MISSING_PORT = 'vmbr2 names eno7, which does not exist on pve1.'


@pytest.fixture
def pve(standin):
    found = standin(nodes=2, vms=1, containers=0)
    found.set_interface('pve1', 'vmbr2', type='OVSBridge', ovs_type='OVSBridge', ovs_ports='eno7')
    return found


@pytest.fixture
def endpoint(pve, site, make_endpoint):
    return make_endpoint(pve, site=site)


@pytest.fixture
def admin(client):
    client.force_login(User.objects.create_superuser('admin'))
    return client


def faults(run) -> dict[str, str]:
    """{message: level}"""
    return {message['message']: message['level'] for message in run.messages if message.get('fault')}


def rest(client, endpoint, action: str, message: str, subject: str = 'node/pve1'):
    url = reverse(f'plugins-api:netbox_proxsync-api:proxmoxendpoint-{action}', args=[endpoint.pk])
    return client.post(url, {'subject': subject, 'message': message}, content_type='application/json')


@pytest.mark.parametrize(
    ('interfaces', 'expected'),
    [
        ({'bond0': {'slaves': 'eno1 eno2 eno8'}}, 'bond0 names eno8, which does not exist on pve2.'),
        ({'bond0.40': {'vlan-raw-device': 'bond9'}}, 'bond0.40 names bond9, which does not exist on pve2.'),
        (
            {'vmbr8': {'bridge_ports': 'vmbr9'}, 'vmbr9': {'bridge_ports': 'vmbr8'}},
            'vmbr8 > vmbr9 > vmbr8 is a loop of interfaces (bridge), which NetBox does not show.',
        ),
        (
            {f'vmbr{number}': {'bridge_ports': f'vmbr{port}'} for number, port in ((7, 9), (8, 7), (9, 8))},
            'vmbr7 > vmbr8 > vmbr9 > vmbr7 is a loop of interfaces (bridge), which NetBox does not show.',
        ),
        (
            {'vmbr8': {'bridge_ports': 'vmbr8'}},
            'vmbr8 > vmbr8 is a loop of interfaces (bridge), which NetBox does not show.',
        ),
        (
            {'vmbr8': {'bridge_ports': 'bond0'}},
            'bond0 is in vmbr0 and in vmbr8; NetBox shows it in vmbr0.',
        ),
        ({'vmbr8': {'mtu': '100000'}}, 'NetBox accepts an MTU from 1 to 65536; that of vmbr8 is 100000.'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_fault_is_one_warning_and_not_a_conflict(interfaces, expected, pve, endpoint, sync):
    pve.remove_interface('pve1', 'vmbr2')
    for name, values in interfaces.items():
        pve.set_interface('pve2', name, **({'type': 'bridge'} if name.startswith('vmbr') else {}), **values)
    run = sync(endpoint)
    assert faults(run) == {expected: 'warning'}
    assert not run.changes.filter(action='conflict').exists()
    again = sync(endpoint)
    assert faults(again) == {expected: 'warning'}
    assert not again.changes.exists()


def test_an_acknowledged_fault_is_no_warning_until_it_changes(pve, endpoint, sync, admin):
    run = sync(endpoint)
    assert faults(run) == {MISSING_PORT: 'warning'}
    assert rest(admin, endpoint, 'acknowledge', MISSING_PORT).status_code == 204
    run.refresh_from_db()
    run.endpoint.refresh_from_db()
    (shown,) = [message for message in run.messages_for(User.objects.get(username='admin')) if message.get('fault')]
    assert (shown['level'], shown['acknowledged']['user']) == ('info', 'admin')
    assert faults(sync(endpoint)) == {MISSING_PORT: 'info'}
    # Another fault is a warning.
    pve.set_interface('pve1', 'vmbr2', ovs_ports='eno7 eno9')
    changed = 'vmbr2 names eno9, which does not exist on pve1.'
    assert faults(sync(endpoint)) == {MISSING_PORT: 'info', changed: 'warning'}
    # Corrected, and back again.
    pve.set_interface('pve1', 'vmbr2', ovs_ports='')
    assert faults(sync(endpoint)) == {}
    pve.set_interface('pve1', 'vmbr2', ovs_ports='eno7')
    assert faults(sync(endpoint))[MISSING_PORT] == 'warning'


def test_a_node_that_is_offline_keeps_its_acknowledgments(pve, endpoint, sync, admin):
    pve.set_interface('pve2', 'vmbr3', type='bridge', bridge_ports='eno7')
    text = 'vmbr3 names eno7, which does not exist on pve2.'
    sync(endpoint)
    assert rest(admin, endpoint, 'acknowledge', text, 'node/pve2').status_code == 204
    pve.node_offline('pve2')
    assert text not in faults(sync(endpoint))
    pve.node_online('pve2')
    assert faults(sync(endpoint))[text] == 'info'


def test_an_acknowledgment_can_be_withdrawn(endpoint, sync, admin):
    sync(endpoint)
    rest(admin, endpoint, 'acknowledge', MISSING_PORT)
    rest(admin, endpoint, 'acknowledge', MISSING_PORT)
    endpoint.refresh_from_db()
    assert len(endpoint.acknowledged_faults) == 1
    assert rest(admin, endpoint, 'withdraw-acknowledgment', MISSING_PORT).status_code == 204
    assert faults(sync(endpoint)) == {MISSING_PORT: 'warning'}


def test_the_buttons_of_the_run_page(endpoint, sync, admin):
    run = sync(endpoint)
    page = admin.get(run.get_absolute_url()).content.decode()
    assert page.count('Acknowledge\n') == 1
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_acknowledge', args=[endpoint.pk])
    data = {'subject': 'node/pve1', 'message': MISSING_PORT, 'return_url': run.get_absolute_url()}
    answer = admin.post(url, data)
    assert (answer.status_code, answer.url) == (302, run.get_absolute_url())
    page = admin.get(run.get_absolute_url()).content.decode()
    assert 'Acknowledged by admin' in page
    assert 'Withdraw Acknowledgment' in page
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_withdraw_acknowledgment', args=[endpoint.pk])
    admin.post(url, data)
    assert 'Acknowledged by' not in admin.get(run.get_absolute_url()).content.decode()


def test_only_reported_faults_can_be_acknowledged_and_only_by_those_who_may_sync(endpoint, sync, admin, client):
    sync(endpoint)
    answer = rest(admin, endpoint, 'acknowledge', 'Invented.')
    assert (answer.status_code, answer.json()['detail']) == (409, 'No run of this endpoint has reported this fault.')
    assert rest(admin, endpoint, 'acknowledge', '').status_code == 400
    client.force_login(User.objects.create_user('reader'))
    assert rest(client, endpoint, 'acknowledge', MISSING_PORT).status_code in (403, 404)
    endpoint.refresh_from_db()
    assert endpoint.acknowledged_faults == []


def test_the_type_of_an_open_vswitch_bond(pve, endpoint, sync):
    pve.set_interface('pve1', 'bondovs', type='unknown', ovs_type='OVSBond', ovs_bonds='eno1 eno2', ovs_bridge='vmbr2')
    pve.set_interface('pve1', 'wg0', type='unknown')
    sync(endpoint)
    types = {
        interface.name: (interface.type, interface.custom_field_data['proxmox_interface_type'])
        for interface in Interface.objects.filter(device__name='pve1', name__in=['bondovs', 'wg0'])
    }
    assert types == {'bondovs': ('lag', 'OVSBond'), 'wg0': ('other', 'unknown')}
