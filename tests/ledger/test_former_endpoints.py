"""
An endpoint that is deleted and made again knows what the sync has created, written, retired, and left to users.

Other inputs that were tried: deleted by a page, in bulk, by REST and by a queryset; another cluster with the same names
and VM IDs; an endpoint that was deleted twice; objects that were deleted or edited meanwhile; a cluster that was
renamed; a limited run first; and a first run after which nothing is proven by the cluster (adoption).
"""

import json
from datetime import timedelta

import pytest
from dcim.models import MACAddress, Site
from django.test import Client
from django.utils import timezone
from ipam.models import IPAddress
from users.models import Token, User
from virtualization.models import Cluster, VirtualDisk, VirtualMachine

from netbox_proxsync.decisions import stop_ignoring, stop_managing
from netbox_proxsync.models import Binding, FormerBinding, FormerEndpoint, ProxmoxEndpoint

from ..scenarios.synced import Stage, after_first_sync
from .test_guests import guest_of

pytestmark = pytest.mark.django_db

IGNORED = ('id', 'endpoint_id', 'proxmox_values')


@pytest.fixture(scope='module')
def stage():
    return Stage(
        {'nodes': 1, 'vms': 3, 'containers': 1, 'templates': 0, 'seed': 3, 'name': 'lab'}, {'change_limit': 100}
    )


def bindings(endpoint) -> list[dict]:
    rows = Binding.objects.filter(endpoint=endpoint).order_by('kind', 'key')
    return [{name: value for name, value in row.items() if name not in IGNORED} for row in rows.values()]


def by_model(endpoint):
    endpoint.delete()


def by_queryset(endpoint):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).delete()


def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser('boss'))
    return client


def by_page(endpoint):
    answer = browser().post(f'/plugins/proxsync/endpoints/{endpoint.pk}/delete/', {'confirm': True})
    assert answer.status_code == 302


def in_bulk(endpoint):
    data = {'pk': [endpoint.pk], 'confirm': True, '_confirm': True}
    assert browser().post('/plugins/proxsync/endpoints/delete/', data).status_code == 302


def by_rest(endpoint):
    token = Token.objects.create(user=User.objects.create_superuser('api'))
    answer = Client().delete(
        '/api/plugins/proxsync/endpoints/',
        json.dumps([{'id': endpoint.pk}]),
        content_type='application/json',
        HTTP_AUTHORIZATION=f'Bearer nbt_{token.key}.{token.token}',
    )
    assert answer.status_code == 204, answer.content


@after_first_sync
@pytest.mark.parametrize('delete', [by_model, by_queryset, by_page, in_bulk, by_rest])
def test_a_new_endpoint_gets_the_bindings_of_the_deleted_one(pve, endpoint, make_endpoint, sync, delete):
    before = bindings(endpoint)
    delete(endpoint)
    assert not ProxmoxEndpoint.objects.exists()
    assert not Binding.objects.exists()
    again = make_endpoint(pve, name='Again', change_limit=100)
    run = sync(again)
    assert (run.status, run.changes.count()) == ('completed', 0)
    assert bindings(again) == before
    assert all(row['created_by_sync'] for row in before)
    again.refresh_from_db()
    assert again.cluster == Cluster.objects.get()
    assert not FormerEndpoint.objects.exists()
    assert not FormerBinding.objects.exists()


@after_first_sync
def test_objects_created_by_a_former_endpoint_are_deleted_when_missing(pve, endpoint, make_endpoint, sync):
    """Retired before the endpoint was deleted, and deleted only afterwards; the grace period goes on."""
    pve.delete(102)
    sync(endpoint)
    Binding.objects.filter(key='qemu/102').update(missing_since=timezone.now() - timedelta(days=40))
    endpoint.delete()
    pve.delete(103)
    again = make_endpoint(pve, change_limit=100, missing_guests='delete', grace_days=30)
    sync(again)
    names = set(VirtualMachine.objects.values_list('custom_field_data__vmid', 'status'))
    assert {vmid for vmid, _status in names} == {100, 101, 103}
    assert dict(names)[103] == 'decommissioning'


@after_first_sync
def test_edits_and_deletions_of_users_in_between_count_as_ever(pve, endpoint, make_endpoint, sync):
    vm = Binding.objects.get(key='qemu/103').object
    disk = Binding.objects.filter(kind='disk', unit='qemu/101').first()
    Binding.objects.filter(pk=disk.pk).update(unmanaged=True)
    missing = Binding.objects.get(key='qemu/102').object
    endpoint.delete()
    vm.description, vm.memory = 'By hand', 1
    vm.save()
    missing.delete()
    VirtualDisk.objects.filter(pk=disk.object_id).update(size=7)
    Cluster.objects.update(name='renamed')
    again = make_endpoint(pve)
    sync(again)
    vm.refresh_from_db()
    assert (vm.description, vm.memory == 1, vm.cluster.name) == ('By hand', False, 'renamed')
    assert VirtualDisk.objects.get(pk=disk.object_id).size == 7
    assert Binding.objects.get(key='qemu/102').object.name == missing.name
    assert Cluster.objects.count() == 1
    assert not sync(again).changes.exists()


def test_a_machine_that_was_replaced_in_between_remains_released(pve, endpoint, make_endpoint, sync):
    """A limited run did not recognize the machine of its guest, and has created another one."""
    sync(endpoint)
    old = Binding.objects.get(key='qemu/101').object
    endpoint.delete()
    for model in (MACAddress, IPAddress):
        model.objects.all().delete()
    VirtualMachine.objects.filter(pk=old.pk).update(
        name='Something', serial='', custom_field_data={}, cluster=None, site=Site.objects.create(name='A', slug='a')
    )
    again = make_endpoint(pve, change_limit=100)
    sync(again, vmids=[101])
    new = Binding.objects.get(kind='vm', key='qemu/101')
    assert new.object_id != old.pk
    run = sync(again)
    assert not run.changes.exclude(outcome='applied').exists()
    assert not FormerEndpoint.objects.exists()
    assert Binding.objects.get(kind='vm', key='qemu/101').pk == new.pk
    assert Binding.objects.filter(kind='vm', endpoint=again).count() == 4
    assert VirtualMachine.objects.get(pk=old.pk).name == 'Something'


@after_first_sync
def test_another_cluster_with_the_same_names_and_vm_ids_takes_nothing_over(standin, endpoint, make_endpoint, sync):
    remaining = Binding.objects.count()
    endpoint.delete()
    other = standin(nodes=1, vms=3, containers=1, templates=0, seed=9, name='other')
    second = make_endpoint(other, name='Other')
    sync(second)
    assert FormerBinding.objects.count() == remaining
    assert VirtualMachine.objects.count() == 8


@after_first_sync
def test_an_endpoint_that_is_deleted_twice_loses_nothing(pve, endpoint, make_endpoint, sync):
    before = bindings(endpoint)
    endpoint.delete()
    # This one has never been synced.
    make_endpoint(pve).delete()
    again = make_endpoint(pve)
    sync(again)
    again.delete()
    last = make_endpoint(pve)
    sync(last)
    assert bindings(last) == before


@after_first_sync
def test_a_preview_first_loses_nothing(pve, endpoint, make_endpoint, sync):
    before = bindings(endpoint)
    endpoint.delete()
    again = make_endpoint(pve)
    assert not sync(again, mode='preview').changes.exists()
    assert not sync(again).changes.exists()
    assert bindings(again) == before


@after_first_sync
def test_a_limited_run_first_loses_nothing_either(pve, endpoint, make_endpoint, sync):
    """It reads no certificates, which prove that this is the same cluster: it adopts the guest that it is for."""
    before = {(row['kind'], row['key'], row['object_id']) for row in bindings(endpoint)}
    endpoint.delete()
    again = make_endpoint(pve)
    sync(again, vmids=[101])
    assert not sync(again).changes.exists()
    after = bindings(again)
    assert {(row['kind'], row['key'], row['object_id']) for row in after} == before
    assert all(row['created_by_sync'] for row in after)


@after_first_sync
def test_adopted_objects_count_as_created_although_the_cluster_does_not(pve, endpoint, make_endpoint, sync):
    """Proxmox VE was installed again, and the guests restored: another authority, other UUIDs."""
    endpoint.delete()
    FormerEndpoint.objects.update(cluster_identity={'authority': 'another', 'name': 'old', 'nodes': ['old']})
    again = make_endpoint(pve)
    run = sync(again)
    assert run.counts['vm'] == {'adopt': 4}
    assert Binding.objects.filter(kind='vm', created_by_sync=True).count() == 4
    # What a user takes over is theirs for good, whatever is remembered of it.
    stop_managing([guest_of(again, 101)])
    stop_ignoring([guest_of(again, 101)])
    sync(again)
    assert not Binding.objects.get(key='qemu/101').created_by_sync


@after_first_sync
def test_a_preview_before_the_first_sync_loses_nothing(pve, endpoint, make_endpoint, sync):
    before = bindings(endpoint)
    endpoint.delete()
    again = make_endpoint(pve, name='Again', change_limit=100)
    assert sync(again, mode='preview').changes.count() == 0
    assert sync(again).changes.count() == 0
    again.refresh_from_db()
    assert (again.cluster, bindings(again)) == (Cluster.objects.get(), before)


@after_first_sync
def test_one_known_machine_does_not_bring_the_bindings_of_all(pve, endpoint, make_endpoint, sync, standin):
    """The server of another user may list a machine that it knows of."""
    remaining = Binding.objects.filter(endpoint=endpoint, kind='vm', key__startswith='qemu').count()
    assert remaining == 3
    endpoint.delete()
    other = standin(nodes=1, vms=1, containers=0, templates=0, seed=4, name='other')
    known = next(guest for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    (guest,) = other.cluster.guests.values()
    other.set_config(guest.vmid, smbios1=known.config['smbios1'])
    stranger = make_endpoint(other, name='Stranger', change_limit=100)
    sync(stranger)
    assert FormerEndpoint.objects.count() == 1
    assert not Binding.objects.filter(endpoint=stranger, kind='vm').exclude(key=f'qemu/{guest.vmid}').exists()
