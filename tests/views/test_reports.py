"""Reports: orphans, duplicates and silent guests; and where an address is."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest

from ..cases import allow, make_binding, make_clusters, make_endpoint, make_guest

pytestmark = pytest.mark.django_db

GUESTS = 'plugins-api:netbox_proxsync-api:proxmoxguest-list'


def nic(mac: str, *addresses: str) -> dict:
    return {'key': 'net0', 'mac': mac, 'addresses': [{'address': address} for address in addresses], 'ignored': []}


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin():
    return client_of(User.objects.create_superuser('admin'))


def found(client: Client, **query: object) -> list[int]:
    answer = client.get(reverse(GUESTS), query)
    assert answer.status_code == 200, answer.content
    return sorted(guest['vmid'] for guest in answer.json()['results'])


def test_where_a_mac_address_or_an_ip_address_is(admin):
    one, two = make_endpoint('One'), make_endpoint('Two')
    make_guest(one, 100, details={'nics': [nic('BC:24:11:00:00:01', '10.0.0.5/24', '2001:db8::5/64')]})
    make_guest(two, 200, details={'nics': [nic('BC:24:11:00:00:02', '10.0.0.55/24')]})
    make_guest(two, 201, details={'guest_only': [nic('BC:24:11:00:00:03', '10.0.0.7')], 'nics': []})
    for text in ('bc:24:11:00:00:01', 'BC-24-11-00-00-01', 'bc24.1100.0001', '10.0.0.5', '10.0.0.5/24', '2001:DB8::5'):
        assert found(admin, q=text) == [100], text
    assert found(admin, q='10.0.0.7') == found(admin, q='bc2411000003') == [201]
    assert found(admin, q='10.0.0.9') == []
    assert found(admin, q='201') == [201]


def test_guests_that_share_a_value(admin):
    one, two = make_endpoint('One'), make_endpoint('Two')
    make_guest(one, 100, name='web', details={'nics': [nic('BC:24:11:00:00:01', '10.0.0.5/24')]})
    make_guest(two, 200, name='web', details={'nics': [nic('BC:24:11:00:00:02', '10.0.0.6/24')]})
    make_guest(two, 201, name='db', details={'nics': [nic('BC:24:11:00:00:01', '10.0.0.6/32')]})
    make_guest(two, 100, name='alone', details={'nics': []})
    make_guest(two, 900, name='web', template=True, details={'nics': [nic('BC:24:11:00:00:02')]})
    assert found(admin, duplicate='name') == [100, 200]
    assert found(admin, duplicate='vmid') == [100, 100]
    assert found(admin, duplicate='mac') == [100, 201]
    assert found(admin, duplicate='address') == [200, 201]
    assert found(admin, duplicate=['name', 'address']) == [100, 200, 201]
    page = admin.get(reverse('plugins:netbox_proxsync:report_duplicates'), follow=True).content.decode()
    assert 'alone' not in page
    assert 'Duplicates' in page
    # Guests that a user may not view are not compared either.
    reader = User.objects.create_user('reader')
    allow(reader, ProxmoxGuest, 'view', {'endpoint__name': 'Two'})
    allow(reader, VirtualMachine, 'view')
    assert found(client_of(reader), duplicate='name') == []
    assert found(client_of(reader), duplicate='address') == [200, 201]


def test_running_guests_without_an_agent(admin):
    endpoint = make_endpoint()
    silent = [{'part': 'running', 'of': 'net0', 'reason': 'The guest agent is not responding.'}]
    make_guest(endpoint, 100, details={'agent': False})
    make_guest(endpoint, 101, details={'agent': True, 'unread': silent})
    make_guest(endpoint, 102, details={'agent': True, 'unread': []})
    make_guest(endpoint, 103, status='stopped', details={'agent': False})
    make_guest(endpoint, 104, type='lxc', details={})
    assert found(admin, without_agent='true') == [100, 101]
    assert found(admin, without_agent='false') == [102, 103, 104]


def test_the_report_uses_the_agent_data_of_previews(standin, make_endpoint, sync, admin):
    pve = standin(nodes=1, vms=2, containers=1, running=1, agent=0, templates=0, seed=4)
    endpoint = make_endpoint(pve)
    sync(endpoint, 'preview')
    machines = sorted(endpoint.guests.filter(type='qemu').values_list('vmid', flat=True))
    assert found(admin, without_agent='true') == machines


def test_machines_that_no_proxmox_ve_has(admin):
    synced, other = make_clusters('synced', 'other')
    endpoint = make_endpoint(cluster=synced)
    ProxmoxEndpoint.objects.update(guests_read=timezone.now())
    bound, retired, by_hand, elsewhere = (
        VirtualMachine.objects.create(name=name, cluster=cluster)
        for name, cluster in (('bound', synced), ('retired', synced), ('by-hand', synced), ('elsewhere', other))
    )
    make_binding(endpoint, bound, 100)
    make_binding(endpoint, retired, 101, missing_since=timezone.now())
    url = reverse('plugins:netbox_proxsync:report_orphans')
    page = admin.get(url).content.decode()
    assert 'Orphaned Virtual Machines' in page
    assert by_hand.get_absolute_url() in page
    assert retired.get_absolute_url() in page
    assert f'"{bound.get_absolute_url()}"' not in page
    assert f'"{elsewhere.get_absolute_url()}"' not in page
    # The permissions of NetBox's own list, and of the endpoint.
    reader = User.objects.create_user('reader')
    assert client_of(reader).get(url).status_code == 403
    allow(reader, VirtualMachine, 'view', {'name': 'by-hand'})
    assert by_hand.get_absolute_url() not in client_of(reader).get(url).content.decode()
    allow(reader, ProxmoxEndpoint, 'view')
    page = client_of(reader).get(url).content.decode()
    assert by_hand.get_absolute_url() in page
    assert retired.get_absolute_url() not in page
    assert ObjectPermission.objects.count() == 2
