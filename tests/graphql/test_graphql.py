"""The fields with data from Proxmox VE on NetBox's own GraphQL types, and who may view them."""

import json

import pytest
from core.models import ObjectType
from dcim.models import Device, Site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from users.models import ObjectPermission, User
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest
from tests.pve import ClusterSpec, StandIn
from tests.scenarios.synced import kept_database, pin, run_job

pytestmark = pytest.mark.django_db

MACHINES = '{ virtual_machine_list { name proxsync_guests { vmid node state endpoint { name site { name } } } } }'
DEVICES = '{ device_list { name proxsync_node { node state endpoint_name } } }'
CLUSTERS = '{ cluster_list { name proxsync_endpoints { name status } } }'


@pytest.fixture(scope='module')
def synced(django_db_setup, django_db_blocker):
    spec = ClusterSpec(nodes=2, vms=3, containers=0, templates=0, seed=3)
    with kept_database(django_db_blocker), StandIn(spec) as pve:
        endpoint = pin(pve, site=Site.objects.create(name='Main', slug='main'))
        assert run_job(endpoint).status == 'completed'
        yield endpoint


def client(*models: type, **user: object) -> Client:
    someone = User.objects.create_user(f'user{User.objects.count()}', **user)
    for model in models:
        permission = ObjectPermission.objects.create(name=f'view {model.__name__}', actions=['view'])
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(someone)
    browser = Client()
    browser.force_login(someone)
    return browser


def ask(browser: Client, query: str) -> list[dict]:
    answer = browser.post('/graphql/', json.dumps({'query': query}), content_type='application/json').json()
    assert 'errors' not in answer, answer
    (rows,) = answer['data'].values()
    return rows


def test_machines_devices_and_clusters_tell_their_side_in_proxmox(synced):
    admin = client(is_superuser=True)
    guests = {vm['name']: vm['proxsync_guests'] for vm in ask(admin, MACHINES)}
    assert len(guests) == 3
    for guest in ProxmoxGuest.objects.all():
        endpoint = {'name': 'Lab', 'site': {'name': 'Main'}}
        assert guests[guest.name] == [
            {'vmid': guest.vmid, 'node': guest.node, 'state': guest.state, 'endpoint': endpoint}
        ]
    nodes = {device['name']: device['proxsync_node'] for device in ask(admin, DEVICES)}
    assert {name: node['node'] for name, node in nodes.items()} == {name: name for name in nodes}
    assert len(nodes) == 2
    assert all((node['state'], node['endpoint_name']) == ('in-sync', 'Lab') for node in nodes.values())
    assert ask(admin, CLUSTERS)[0]['proxsync_endpoints'] == [{'name': 'Lab', 'status': 'completed'}]


def test_objects_that_are_not_from_proxmox_have_no_proxmox_fields(synced):
    admin = client(is_superuser=True)
    VirtualMachine.objects.create(name='by-hand', cluster=Cluster.objects.get())
    assert {vm['name']: vm['proxsync_guests'] for vm in ask(admin, MACHINES)}['by-hand'] == []


def test_who_may_not_see_it_does_not(synced):
    plain = client(VirtualMachine, Device, Cluster)
    assert all(vm['proxsync_guests'] == [] for vm in ask(plain, MACHINES))
    assert {str(device['proxsync_node']) for device in ask(plain, DEVICES)} == {'None'}
    assert ask(plain, CLUSTERS)[0]['proxsync_endpoints'] == []
    some = client(VirtualMachine, Device, Cluster, ProxmoxGuest, Binding)
    assert all(vm['proxsync_guests'][0]['endpoint'] is None for vm in ask(some, MACHINES))
    assert all(device['proxsync_node']['endpoint_name'] is None for device in ask(some, DEVICES))
    nearly = client(VirtualMachine, ProxmoxGuest, ProxmoxEndpoint)
    endpoint = {'name': 'Lab', 'site': None}
    assert all(vm['proxsync_guests'][0]['endpoint'] == endpoint for vm in ask(nearly, MACHINES))
    more = client(Cluster, ProxmoxEndpoint)
    assert ask(more, CLUSTERS)[0]['proxsync_endpoints'] == [{'name': 'Lab', 'status': 'completed'}]


@pytest.mark.parametrize('query', [MACHINES, DEVICES])
def test_lists_take_no_query_for_each_row(synced, query):
    admin = client(is_superuser=True)
    ask(admin, query)
    with CaptureQueriesContext(connection) as all_rows:
        ask(admin, query)
    Device.objects.exclude(pk=Device.objects.first().pk).update(cluster=None)
    one = query.replace('_list {', '_list(pagination: {limit: 1}) {')
    with CaptureQueriesContext(connection) as one_row:
        ask(admin, one)
    assert len(all_rows) == len(one_row)
