"""
What users do to objects that a sync shares with the rest of NetBox, through the real job against a stand-in Proxmox VE.

Tried for each model (role, platform, VM type, cluster type, manufacturer, device type, tag, VLAN): renamed with and
without its slug, before a run without changes and before one that needs the object again. Beyond renames: swapped
names, a name taken over by another object, deleted, deleted and made again, another role chosen on one object, a
second endpoint, an endpoint that is deleted, a preview that is applied later, a VLAN that is moved or gets another VLAN
ID, a NetBox that has the objects already, and an upgrade from a release that did not remember them. Branches are in
`tests/companions/test_shared_objects.py`.
"""

import pytest
from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Platform, Site
from extras.models import Tag
from ipam.models import VLAN, VLANGroup
from virtualization.models import Cluster, ClusterType, VirtualMachine, VirtualMachineType

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import SharedObject

from ..scenarios.synced import Stage, after_first_sync

pytestmark = pytest.mark.django_db

MAC = 'BC:24:11:99:99:01'

MODELS = (ClusterType, DeviceRole, DeviceType, Manufacturer, Platform, Tag, VLAN, VirtualMachineType)


@pytest.fixture(scope='module')
def stage():
    def values():
        site = Site.objects.create(name='Linz', slug='linz')
        return {'site': site, 'sync_nodes': True, 'create_vlans': True}

    spec = {'nodes': 2, 'vms': 3, 'containers': 1, 'running': 1, 'agent': 1, 'vlan': 1, 'seed': 3, 'templates': 0}
    return Stage(spec, values)


def guests(pve, guest_type: str = 'qemu') -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def another(pve, vmid: int, new: int):
    """A new guest that needs the same shared objects as another one."""
    config = pve.cluster.guest(vmid).config
    pve.create(new, name=f'another-{new}')
    pve.set_config(new, ostype=config['ostype'], net0=f'virtio={MAC},bridge=vmbr0,tag=10')
    pve.set_tags(new, *config.get('tags', '').split(';'))


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return next(row.object for row in endpoint.bindings.filter(kind='vm') if row.key.endswith(f'/{vmid}'))


def written(run) -> list[tuple[str, str, str]]:
    return list(run.changes.values_list('kind', 'action', 'outcome'))


def numbers() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in MODELS}


def rename(instance, name: str, with_slug: bool = True):
    values = {'model' if isinstance(instance, DeviceType) else 'name': name}
    if with_slug and not isinstance(instance, VLAN):
        values['slug'] = name.lower().replace(' ', '-')
    type(instance).objects.filter(pk=instance.pk).update(**values)


def rename_all(with_slug: bool) -> dict[str, set[int]]:
    for model in MODELS:
        for instance in model.objects.all():
            rename(instance, f'Renamed {instance.pk}', with_slug)
    return {model.__name__: set(model.objects.values_list('pk', flat=True)) for model in MODELS}


@pytest.mark.parametrize('with_slug', [True, False])
def test_renamed_shared_objects_are_not_created_again(pve, endpoint, sync, with_slug):
    pve.set_tags(guests(pve)[0], 'web', 'prod')
    pve.set_config(guests(pve)[0], net0='virtio=BC:24:11:99:99:02,bridge=vmbr0,tag=10')
    first = sync(endpoint)
    assert not first.changes.exclude(outcome='applied').exists(), list(first.changes.values('key', 'message'))
    before = rename_all(with_slug)
    assert all(before.values()), before
    assert written(sync(endpoint)) == []
    # A guest and a node that need all of them.
    another(pve, guests(pve)[0], 990)
    run = sync(endpoint)
    assert {action for _kind, action, _outcome in written(run)} == {'create'}
    assert not run.changes.exclude(outcome='applied').exists()
    assert {model.__name__: set(model.objects.values_list('pk', flat=True)) for model in MODELS} == before
    new, old = vm_of(endpoint, 990), vm_of(endpoint, guests(pve)[0])
    assert (new.virtual_machine_type, new.platform) == (old.virtual_machine_type, old.platform)
    assert set(new.tags.all()) == set(old.tags.all())
    assert written(sync(endpoint)) == []


@after_first_sync
def test_a_new_node_takes_the_renamed_role_type_and_platform(pve, endpoint, sync):
    before = numbers()
    rename_all(with_slug=True)
    VirtualMachine.objects.update(device=None)
    Device.objects.first().delete()
    run = sync(endpoint)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    assert numbers() == before
    assert Device.objects.count() == 2
    assert len({(device.role, device.device_type, device.platform) for device in Device.objects.all()}) == 1


def test_two_tags_that_a_user_gave_each_others_names_stay_where_they_are(pve, endpoint, sync):
    vmid = guests(pve)[0]
    pve.set_tags(vmid, 'web')
    pve.set_tags(guests(pve)[1], 'db')
    sync(endpoint)
    web, db = Tag.objects.get(name='web'), Tag.objects.get(name='db')
    for tag, name in ((web, 'x'), (db, 'web'), (web, 'db')):
        rename(tag, name)
    assert written(sync(endpoint)) == []
    assert set(vm_of(endpoint, vmid).tags.all()) == {web}


def test_a_tag_that_a_user_gave_another_ones_name_stands_for_both(pve, endpoint, sync):
    """`web` is deleted, and `www` takes its name: whoever has either tag in Proxmox VE has this one."""
    one, two = guests(pve)[:2]
    pve.set_tags(one, 'web')
    pve.set_tags(two, 'www')
    sync(endpoint)
    Tag.objects.get(name='web').delete()
    remaining = Tag.objects.get(name='www')
    rename(remaining, 'web')
    sync(endpoint)
    assert Tag.objects.filter(name__in=('web', 'www')).count() == 1
    assert [set(vm_of(endpoint, vmid).tags.all()) for vmid in (one, two)] == [{remaining}, {remaining}]
    assert written(sync(endpoint)) == []


def test_a_tag_that_is_deleted_and_created_again_manually_is_found_by_its_name(pve, endpoint, sync):
    vmid = guests(pve)[0]
    pve.set_tags(vmid, 'web')
    sync(endpoint)
    Tag.objects.get(name='web').delete()
    again = Tag.objects.create(name='Web', slug='web')
    another(pve, vmid, 990)
    sync(endpoint)
    assert set(vm_of(endpoint, 990).tags.all()) == {again}
    rename(again, 'Other')
    assert written(sync(endpoint)) == []


@after_first_sync
def test_a_deleted_platform_is_created_again(pve, endpoint, sync):
    name = vm_of(endpoint, guests(pve)[0]).platform.name
    Platform.objects.get(name=name).delete()
    sync(endpoint)
    another(pve, guests(pve)[0], 990)
    sync(endpoint)
    assert vm_of(endpoint, 990).platform.name == name
    assert written(sync(endpoint)) == []


@after_first_sync
def test_another_role_on_one_device_is_a_users_choice(pve, endpoint, sync):
    device, before = Device.objects.first(), numbers()
    other = DeviceRole.objects.create(name='Storage', slug='storage')
    Device.objects.filter(pk=device.pk).update(role=other)
    rename(DeviceRole.objects.get(name='Hypervisor'), 'PVE')
    assert written(sync(endpoint)) == []
    device.refresh_from_db()
    assert device.role == other
    assert numbers() == {**before, 'DeviceRole': before['DeviceRole'] + 1}


@after_first_sync
def test_a_second_endpoint_takes_what_a_user_has_renamed_for_the_first(pve, endpoint, sync, standin, make_endpoint):
    before = {model.__name__: model.objects.count() for model in (ClusterType, VirtualMachineType)}
    rename_all(with_slug=True)
    other = standin(nodes=1, vms=2, containers=1, seed=4, templates=0, name='other')
    second = make_endpoint(other, name='Other')
    assert not sync(second).changes.filter(outcome='failed').exists()
    after = {model.__name__: model.objects.count() for model in (ClusterType, VirtualMachineType)}
    assert after == before
    assert Cluster.objects.values('type').distinct().count() == 1
    # From now on it remembers them itself.
    SharedObject.objects.filter(endpoint=endpoint).delete()
    assert not sync(second).changes.exclude(action='conflict').exists()


@after_first_sync
def test_an_endpoint_that_is_deleted_remembers_nothing(endpoint):
    assert SharedObject.objects.exists()
    endpoint.refresh_from_db()
    endpoint.delete()
    assert not SharedObject.objects.exists()


def test_shared_objects_that_existed_before_the_plugin_are_remembered(pve, endpoint, sync):
    role = DeviceRole.objects.create(name='hypervisor', slug='hypervisor')
    vm_type = VirtualMachineType.objects.create(name='Proxmox VM', slug='anything')
    maker = Manufacturer.objects.create(name='GENERIC', slug='generic')
    pve.set_tags(guests(pve)[0], 'tier-1')
    tag = Tag.objects.create(name='Tier 1', slug='tier-1')
    sync(endpoint)
    before = numbers()
    assert set(vm_of(endpoint, guests(pve)[0]).tags.all()) == {tag}
    assert vm_of(endpoint, guests(pve)[0]).virtual_machine_type == vm_type
    assert {(device.role, device.device_type.manufacturer) for device in Device.objects.all()} == {(role, maker)}
    rename_all(with_slug=True)
    assert written(sync(endpoint)) == []
    assert numbers() == before


def test_shared_objects_found_by_an_applied_preview_are_remembered(pve, endpoint, sync):
    pve.set_tags(guests(pve)[0], 'web')
    web = Tag.objects.create(name='WEB', slug='web-servers')
    preview = sync(endpoint, 'preview')
    assert not SharedObject.objects.exists()
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    assert (run.status, run.error) == ('completed', '')
    rename(web, 'Renamed')
    assert written(sync(endpoint)) == []
    assert set(vm_of(endpoint, guests(pve)[0]).tags.all()) == {web}


@after_first_sync
def test_a_run_without_changes_remembers_nothing_new(endpoint, sync):
    before = set(SharedObject.objects.values_list('pk', 'object_id'))
    sync(endpoint)
    assert set(SharedObject.objects.values_list('pk', 'object_id')) == before


@after_first_sync
def test_a_vlan_that_a_user_renamed_and_moved_into_a_group_is_retained(pve, endpoint, sync):
    group = VLANGroup.objects.create(name='Elsewhere', slug='elsewhere', scope=Site.objects.create(name='B', slug='b'))
    before = set(VLAN.objects.values_list('pk', flat=True))
    assert before
    for vlan in VLAN.objects.all():
        VLAN.objects.filter(pk=vlan.pk).update(name=f'Servers {vlan.vid}', group=group, site=None)
    assert written(sync(endpoint)) == []
    assert set(VLAN.objects.values_list('pk', flat=True)) == before


@after_first_sync
def test_a_vlan_that_a_user_gave_another_vlan_id_is_another_one(pve, endpoint, sync):
    vlan = VLAN.objects.first()
    vid = vlan.vid
    VLAN.objects.filter(pk=vlan.pk).update(vid=vid + 1000)
    sync(endpoint)
    assert VLAN.objects.get(vid=vid).pk != vlan.pk
