"""Rules of the mapping that speak of changes, choices and adoption: guests, through the real job."""

import pytest
from dcim.models import MACAddress, Site
from ipam.models import VLAN, VLANGroup
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.models import ProxmoxEndpoint

pytestmark = pytest.mark.django_db

UUID = '3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f'


@pytest.fixture
def pve(standin):
    """A cluster without guests."""
    return standin(nodes=2, vms=0, containers=0, seed=5)


def names() -> set[str]:
    return set(VirtualMachine.objects.values_list('name', flat=True))


def written(run) -> list[tuple[str, str]]:
    return list(run.changes.values_list('kind', 'action'))


def test_filters_by_name_tag_pool_and_node_leave_excluded_guests_unchanged(pve, make_endpoint, sync):
    pve.create(100, name='web-1')
    pve.create(101, name='web-old')
    pve.create(102, name='db', config={'tags': 'Prod;x'})
    pve.create(103, name='mail', pool='staging')
    pve.create(104, name='dns', node='pve2')
    pve.create(105, name='other')
    pve.create(106, type='lxc', name='web-ct', config={'tags': 'test'})
    endpoint = make_endpoint(
        pve,
        include_guests=['web-*', 'tag:prod', 'pool:staging', 'node:pve2'],
        exclude_guests=['*-old', 'tag:test'],
    )
    sync(endpoint)
    assert names() == {'web-1', 'db', 'mail', 'dns'}
    ProxmoxEndpoint.objects.update(include_guests=[], exclude_guests=['pool:*', 'node:pve2', 'db'])
    before = list(VirtualMachine.objects.filter(name__in=('db', 'mail', 'dns')).order_by('pk').values())
    run = sync(endpoint)
    assert set(written(run)) == {(kind, 'create') for kind in ('vm', 'interface', 'mac', 'disk')}
    assert names() == {'web-1', 'web-old', 'db', 'mail', 'dns', 'other', 'web-ct'}
    assert list(VirtualMachine.objects.filter(name__in=('db', 'mail', 'dns')).order_by('pk').values()) == before


def test_types_and_templates_as_the_endpoint_says(pve, make_endpoint, sync):
    pve.create(100, name='machine')
    pve.create(101, name='model', config={'template': 1})
    pve.create(102, type='lxc', name='container')
    endpoint = make_endpoint(pve, sync_vms=False)
    sync(endpoint)
    assert names() == {'container'}
    ProxmoxEndpoint.objects.update(sync_vms=True, sync_containers=False)
    sync(endpoint)
    assert names() == {'container', 'machine'}
    assert VirtualMachine.objects.get(name='container').status == 'offline'
    ProxmoxEndpoint.objects.update(sync_templates=True)
    sync(endpoint)
    assert names() == {'container', 'machine', 'model'}


@pytest.mark.parametrize(
    ('base', 'sizes', 'memory', 'disk'),
    [
        (1000, 'units', 2147, 34360),  # 2048 MiB and 32 GiB in MB
        (1024, 'units', 2048, 32768),
        (1000, 'mib', 2048, 32768),
    ],
)
def test_sizes_are_in_the_units_of_netbox(pve, make_endpoint, sync, settings, base, sizes, memory, disk):
    settings.RAM_BASE_UNIT = settings.DISK_BASE_UNIT = base
    plugin = {**settings.PLUGINS_CONFIG['netbox_proxsync'], 'sizes': sizes}
    settings.PLUGINS_CONFIG = {**settings.PLUGINS_CONFIG, 'netbox_proxsync': plugin}
    pve.create(100, config={'memory': '2048', 'scsi0': 'local-lvm:vm-100-disk-0,size=32G'})
    sync(make_endpoint(pve))
    vm = VirtualMachine.objects.get()
    assert (vm.memory, vm.disk, vm.virtualdisks.get().size) == (memory, disk, disk)


def test_a_machine_is_adopted_by_its_serial_number_whatever_its_name(pve, make_endpoint, sync):
    pve.create(100, name='web', config={'smbios1': f'uuid={UUID}'})
    pve.create(101, name='db')
    cluster = Cluster.objects.create(name='lab', type=ClusterType.objects.create(name='x', slug='x'))
    mine = VirtualMachine.objects.create(name='Shop', cluster=cluster, serial=UUID.upper(), vcpus=1)
    # A name alone proves nothing.
    other = VirtualMachine.objects.create(name='DB', cluster=cluster)
    endpoint = make_endpoint(pve)
    run = sync(endpoint)
    assert [change.object for change in run.changes.exclude(outcome='applied')] == [other]
    assert run.changes.get(key='qemu/101').action == 'candidate'
    mine.refresh_from_db()
    assert (mine.name, mine.vcpus, mine.custom_field_data['vmid']) == ('Shop', 2, 100)
    assert not endpoint.bindings.filter(kind='vm', key='qemu/101').exists()
    assert names() == {'Shop', 'DB'}


def test_the_name_of_a_nic_in_its_guest_renames_the_interface(pve, make_endpoint, sync):
    pve.create(100, running=True, config={'agent': 1})
    pve.set_addresses(100, 'net0', '10.1.0.5/24')
    endpoint = make_endpoint(pve, interface_naming='guest')
    sync(endpoint)
    before = VMInterface.objects.get()
    assert before.name == 'ens18'
    rows = [{**row, 'name': 'wan0'} if row['name'] == 'ens18' else row for row in pve.cluster.guest(100).interfaces]
    pve.set_interfaces(100, rows)
    run = sync(endpoint)
    assert written(run) == [('interface', 'update')]
    assert (VMInterface.objects.get().name, VMInterface.objects.get().pk) == ('wan0', before.pk)


def test_another_mac_replaces_ours_and_leaves_a_users(pve, make_endpoint, sync):
    pve.create(100, config={'net0': 'virtio=BC:24:11:0A:00:01,bridge=vmbr0'})
    endpoint = make_endpoint(pve)
    sync(endpoint)
    interface = VMInterface.objects.get()
    MACAddress.objects.create(mac_address='02:00:00:00:00:07', assigned_object=interface)
    pve.set_config(100, net0='virtio=BC:24:11:0A:00:02,bridge=vmbr0')
    sync(endpoint)
    interface.refresh_from_db()
    assert str(interface.primary_mac_address.mac_address) == 'BC:24:11:0A:00:02'
    found = {str(mac.mac_address) for mac in interface.mac_addresses.all()}
    assert found == {'02:00:00:00:00:07', 'BC:24:11:0A:00:02'}
    assert MACAddress.objects.count() == 2


def test_a_vlan_is_looked_up_in_the_group_first_and_not_made_unless_the_endpoint_says_so(pve, make_endpoint, sync):
    pve.create(100, config={'net0': 'virtio=BC:24:11:0A:00:01,bridge=vmbr0,tag=20'})
    pve.create(101, config={'net0': 'virtio=BC:24:11:0A:00:02,bridge=vmbr0,tag=40'})
    site = Site.objects.create(name='Wien', slug='wien')
    group = VLANGroup.objects.create(name='Fabric', slug='fabric')
    VLAN.objects.create(vid=20, name='of the site', site=site)
    ours = VLAN.objects.create(vid=20, name='of the group', group=group)
    endpoint = make_endpoint(pve, site=site, sync_nodes=False, vlan_group=group)
    run = sync(endpoint)
    first, second = VMInterface.objects.order_by('virtual_machine__name')
    assert (first.mode, first.untagged_vlan, second.mode, second.untagged_vlan) == ('access', ours, 'access', None)
    assert [(message['subject'], '40' in message['message']) for message in run.messages] == [('VLAN', True)]
    assert VLAN.objects.count() == 2


def test_a_pool_an_ha_state_and_a_tag_that_are_missing_are_cleared(pve, make_endpoint, sync):
    pve.create(100, pool='production', config={'tags': 'one;two', 'description': 'Notes', 'balloon': 512})
    pve.set_ha(100, 'started')
    endpoint = make_endpoint(pve)
    sync(endpoint)
    pve.set_pool(100, None)
    pve.set_ha(100, None)
    pve.set_tags(100, 'two')
    pve.delete_config(100, 'description', 'balloon')
    sync(endpoint)
    vm = VirtualMachine.objects.get()
    data = vm.custom_field_data
    assert (data['proxmox_pool'], data['proxmox_ha_state'], data['min_memory_mb']) == (None, None, None)
    assert ([tag.name for tag in vm.tags.all()], vm.comments, vm.description) == (['two'], '', '')
