"""A NetBox that ProxSyncBox has filled is adopted whole: each object as that tool wrote it, rule by rule."""

import pytest
from dcim.models import MACAddress, Platform
from extras.models import Tag
from ipam.models import VLAN, IPAddress
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

pytestmark = pytest.mark.django_db

MODELS = (Cluster, VirtualMachine, VMInterface, MACAddress, IPAddress, VirtualDisk, VLAN)


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=4, containers=2, running=1, agent=1, vlan=1, seed=3, templates=0)


def properties(text: str) -> dict[str, str]:
    return dict(part.split('=', 1) for part in str(text).split(',') if '=' in part)


def legacy_netbox(pve, synced_addresses: dict[int, dict[str, str]]) -> dict[int, VirtualMachine]:
    """What ProxSyncBox writes for every guest of a stand-in; addresses as {vmid: {MAC: address}}."""
    cluster_type = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    cluster = Cluster.objects.create(name=pve.cluster.name, type=cluster_type)
    names = [guest.name for guest in pve.cluster.guests.values()]
    machines = {}
    for guest in pve.cluster.guests.values():
        plain = guest.name
        vm = VirtualMachine(
            # Same names get the VM ID as a suffix, all of them.
            name=plain if names.count(plain) == 1 else f'{plain} ({guest.vmid})',
            cluster=cluster,
            status='active' if guest.status == 'running' else 'offline',
            vcpus=1,
            memory=7,
            comments=guest.config.get('description', ''),
            custom_field_data={'vmid': guest.vmid, 'vm_status': 'Deployed', 'qemu_machine_type': 'q35'},
        )
        # Raw ostype codes as names of platforms.
        if ostype := guest.config.get('ostype'):
            vm.platform = Platform.objects.get_or_create(name=ostype, slug=ostype)[0]
        vm.save()
        machines[guest.vmid] = vm
        for tag in filter(None, guest.config.get('tags', '').split(';')):
            vm.tags.add(Tag.objects.get_or_create(name=tag, defaults={'slug': tag.lower().replace(' ', '-')})[0])
        for key, value in guest.config.items():
            if key.startswith('net'):
                legacy_interface(vm, key, value, synced_addresses.get(guest.vmid, {}))
            elif is_disk(key, value):
                # The whole configuration string as description.
                VirtualDisk.objects.create(virtual_machine=vm, name=key, size=1234, description=value[:200])
    return machines


def is_disk(key: str, value: object) -> bool:
    buses = ('ide', 'sata', 'scsi', 'virtio', 'rootfs', 'mp')
    return key.startswith(buses) and key[-1:].isdigit() | (key == 'rootfs') and 'media=cdrom' not in str(value)


def legacy_interface(vm: VirtualMachine, key: str, value: str, addresses: dict[str, str]):
    found = properties(value)
    mac = (found.get('hwaddr') or value.partition('=')[2].partition(',')[0]).upper()
    interface = VMInterface(virtual_machine=vm, name=found.get('name', key), enabled=True)
    if 'tag' in found:
        vlan = VLAN.objects.get_or_create(vid=int(found['tag']), defaults={'name': f'VLAN_{found["tag"]}'})[0]
        interface.mode, interface.untagged_vlan = 'access', vlan
    interface.save()
    interface.primary_mac_address = MACAddress.objects.create(mac_address=mac, assigned_object=interface)
    interface.save()
    if address := addresses.get(mac):
        # Without a VRF, active, whatever it was.
        ip = IPAddress.objects.create(address=address, status='active', assigned_object=interface)
        if not vm.primary_ip4_id and ip.family == 4:
            vm.primary_ip4 = ip
            vm.save()


def counts() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in MODELS}


@pytest.fixture
def addresses(pve, make_endpoint, sync):
    """One IPv4 address for each NIC that has one, as ProxSyncBox would find it; NetBox is empty again afterwards."""
    endpoint = make_endpoint(pve, name='Scout')
    sync(endpoint)
    found: dict[int, dict[str, str]] = {}
    for ip in IPAddress.objects.filter(address__family=4):
        interface = ip.assigned_object
        vmid = interface.virtual_machine.custom_field_data['vmid']
        found.setdefault(vmid, {}).setdefault(str(interface.primary_mac_address.mac_address), str(ip.address))
    endpoint.delete()
    for model in (IPAddress, VirtualMachine, MACAddress, Cluster, ClusterType, Tag, Platform, VLAN):
        model.objects.all().delete()
    assert found
    return found


def test_a_netbox_of_proxsyncbox_is_adopted_whole(pve, addresses, make_endpoint, sync):
    machines = legacy_netbox(pve, addresses)
    vlans = dict(VMInterface.objects.values_list('pk', 'untagged_vlan'))
    before = {model: set(model.objects.values_list('pk', flat=True)) for model in MODELS}
    run = sync(make_endpoint(pve))
    assert run.status == 'completed'
    assert not run.changes.filter(action__in=('conflict', 'delete', 'retire', 'release')).exists(), list(
        run.changes.values('kind', 'key', 'action', 'reason')
    )
    assert not run.changes.exclude(outcome='applied').exists()
    for model, keys in before.items():
        present = set(model.objects.values_list('pk', flat=True))
        assert keys <= present, model
        # It took one address for each NIC; there may be more.
        assert present == keys or model is IPAddress, model
    created = set(run.changes.filter(action='create').values_list('kind', flat=True))
    assert created <= {'ip'}
    for vmid, vm in machines.items():
        found = run.endpoint.bindings.get(kind='vm', key__endswith=f'/{vmid}').object
        assert found.pk == vm.pk
        # Wrong facts are corrected, what a user may have chosen stays.
        assert found.memory != 7
        assert found.platform_id == vm.platform_id
        assert found.name == vm.name
    assert dict(VMInterface.objects.values_list('pk', 'untagged_vlan')) == vlans
    assert not run.endpoint.bindings.exclude(kind='ip').filter(created_by_sync=True).exists()


def test_nothing_is_left_to_do_after_the_adoption(pve, addresses, make_endpoint, sync):
    legacy_netbox(pve, addresses)
    endpoint = make_endpoint(pve)
    sync(endpoint)
    settled = counts()
    assert not sync(endpoint).changes.exists()
    assert counts() == settled


def test_a_machine_that_proxsyncbox_marked_as_deleted_and_that_is_there_is_adopted(pve, addresses, make_endpoint, sync):
    machines = legacy_netbox(pve, addresses)
    wrong = next(iter(machines.values()))
    wrong.custom_field_data['vm_status'] = 'Deleted'
    wrong.save()
    sync(make_endpoint(pve))
    wrong.refresh_from_db()
    assert wrong.custom_field_data['vm_status'] == 'Deployed'


def test_a_case_different_name_with_the_same_nic_is_the_same_machine(pve, addresses, make_endpoint, sync):
    machines = legacy_netbox(pve, addresses)
    by_hand = next(iter(machines.values()))
    by_hand.name = by_hand.name.upper()
    del by_hand.custom_field_data['vmid']
    by_hand.save()
    interface = by_hand.interfaces.first()
    interface.name = 'Uplink'
    interface.save()
    run = sync(make_endpoint(pve))
    assert run.endpoint.bindings.filter(kind='vm', object_id=by_hand.pk).exists()
    assert VirtualMachine.objects.count() == len(machines)
    interface.refresh_from_db()
    assert interface.name == 'Uplink'
    assert by_hand.interfaces.count() == len([key for key in guest_config(pve, run, by_hand) if key.startswith('net')])


def guest_config(pve, run, vm) -> dict:
    binding = run.endpoint.bindings.get(kind='vm', object_id=vm.pk)
    return pve.cluster.guest(int(binding.key.partition('/')[2])).config
