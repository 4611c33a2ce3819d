"""Rules of the mapping that speak of changes, choices and adoption: nodes and their networks, through the real job."""

import pytest
from core.models import ObjectChange
from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, Manufacturer, Site
from ipam.models import IPAddress
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint
from tests.scenarios.synced import everything

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=2, containers=0, running=0, agent=0, templates=0, vlan=0, seed=3)


@pytest.fixture
def site(db) -> Site:
    return Site.objects.create(name='Wien', slug='wien')


@pytest.fixture
def endpoint(pve, make_endpoint, site) -> ProxmoxEndpoint:
    return make_endpoint(pve, site=site, create_vlans=True, change_limit=100)


def device(name: str) -> Device:
    return Device.objects.get(name=name)


def port(node: str, name: str) -> Interface:
    return Interface.objects.get(device__name=node, name=name)


def written(run) -> list[tuple[str, str, str]]:
    return sorted(run.changes.values_list('kind', 'key', 'action'))


def test_a_guest_goes_with_its_node(pve, endpoint, sync):
    vmid = min(guest.vmid for guest in pve.cluster.guests.values())
    pve.migrate(vmid, 'pve1')
    sync(endpoint)
    vm = VirtualMachine.objects.get(custom_field_data__vmid=vmid)
    assert vm.device == device('pve1')
    pve.migrate(vmid, 'pve2')
    run = sync(endpoint)
    assert written(run) == [('vm', f'qemu/{vmid}', 'update')]
    vm.refresh_from_db()
    assert vm.device == device('pve2')


def test_a_node_that_is_off_keeps_all_it_had_and_is_offline_where_it_was_active(pve, endpoint, sync):
    sync(endpoint)
    before = list(Interface.objects.filter(device__name='pve2').order_by('pk').values())
    pve.node_offline('pve2')
    run = sync(endpoint)
    assert ('device', 'node/pve2', 'update') in written(run)
    missing = device('pve2')
    assert (missing.status, missing.platform.name) == ('offline', 'Proxmox VE 9.2')
    assert missing.custom_field_data['proxmox_pve_version'] == '9.2.11'
    assert list(Interface.objects.filter(device__name='pve2').order_by('pk').values()) == before
    pve.node_online('pve2')
    sync(endpoint)
    assert device('pve2').status == 'active'
    Device.objects.filter(name='pve2').update(status='failed')
    pve.node_offline('pve2')
    sync(endpoint)
    assert device('pve2').status == 'failed'


def test_a_node_that_left_the_cluster_is_retired_and_never_deleted(pve, endpoint, sync):
    ProxmoxEndpoint.objects.update(missing_guests='delete', grace_days=0)
    for guest in pve.cluster.guests.values():
        pve.migrate(guest.vmid, 'pve1')
    sync(endpoint)
    ports = Interface.objects.filter(device__name='pve2').count()
    with pve.cluster.lock:
        del pve.cluster.nodes['pve2']
        pve.cluster.changed()
    for _round in range(2):
        sync(endpoint)
        assert (device('pve2').status, device('pve2').interfaces.count()) == ('decommissioning', ports)


def test_changes_that_are_not_applied_are_not_there(pve, endpoint, sync):
    sync(endpoint)
    logged = ObjectChange.objects.count()
    pve.set_interface('pve1', 'vmbr0', pending=True, mtu='9000', cidr='10.0.0.99/16')
    pve.remove_interface('pve1', 'vmbr1', pending=True)
    run = sync(endpoint)
    assert [message['subject'] for message in run.messages] == ['node/pve1']
    assert ObjectChange.objects.count() == logged
    pve.apply_network('pve1')
    run = sync(endpoint)
    assert port('pve1', 'vmbr0').mtu == 9000
    # The cluster still uses the former address of the node, which may be on any interface: nothing is removed.
    assert [message['subject'] for message in run.messages] == ['node/pve1']
    assert {str(ip) for ip in port('pve1', 'vmbr0').ip_addresses.all()} == {'10.0.0.11/16', '10.0.0.99/16'}
    pve.cluster.nodes['pve1'].address = '10.0.0.99'
    pve.cluster.changed()
    sync(endpoint)
    assert [str(ip) for ip in port('pve1', 'vmbr0').ip_addresses.all()] == ['10.0.0.99/16']
    assert not Interface.objects.filter(device__name='pve1', name='vmbr1').exists()


def test_disconnected_nics_are_disabled_in_netbox(pve, endpoint, sync):
    sync(endpoint)
    assert (port('pve1', 'eno2').lag.name, port('pve1', 'bond0.40').bridge.name) == ('bond0', 'vmbr1')
    pve.set_interface('pve1', 'bond0', slaves='eno1')
    pve.set_interface('pve1', 'vmbr1', bridge_ports='eno2', comments=None)
    pve.set_interface('pve1', 'vmbr0', bridge_vlan_aware=None, bridge_vids=None)
    pve.set_interface('pve1', 'bond0.40', active=None, **{'vlan-id': '41'})
    sync(endpoint)
    eno2, vlan, aware = port('pve1', 'eno2'), port('pve1', 'bond0.40'), port('pve1', 'vmbr0')
    assert (eno2.lag, eno2.bridge.name) == (None, 'vmbr1')
    assert (vlan.bridge, vlan.parent.name, vlan.enabled, vlan.untagged_vlan.vid) == (None, 'bond0', False, 41)
    assert (aware.mode, port('pve1', 'vmbr1').description) == (None, '')
    for instance in everything():
        instance.full_clean()


def test_an_interface_that_is_missing_goes_unless_something_of_a_user_depends_on_it(pve, endpoint, sync, site):
    sync(endpoint)
    far = Interface.objects.create(device=hand_made('switch', site, 'Switch'), name='1', type='other')
    Cable(a_terminations=[port('pve1', 'eno1')], b_terminations=[far]).save()
    Interface.objects.filter(device__name='pve1', name='eno2').update(mgmt_only=True)
    for name in ('eno1', 'eno2', 'bond0', 'bond0.40', 'vmbr1'):
        pve.remove_interface('pve1', name)
    pve.set_interface('pve1', 'vmbr0', bridge_ports=None)
    run = sync(endpoint)
    left = {'eno1', 'eno2', 'vmbr0', 'web', 'vx5000'}
    assert set(device('pve1').interfaces.values_list('name', flat=True)) == left
    assert {key for _kind, key, action in written(run) if action == 'conflict'} == {'node/pve1/eno1', 'node/pve1/eno2'}


def test_a_device_of_that_name_and_role_is_adopted_with_its_interfaces(pve, endpoint, sync, site):
    mine = hand_made('PVE1', site, 'Hypervisor', serial='MINE')
    known = Interface.objects.create(device=mine, name='eno1', type='10gbase-t', description='to the switch')
    hand_made('pve2', site, 'Switch')
    run = sync(endpoint)
    mine.refresh_from_db()
    assert (mine.cluster.name, mine.name, mine.serial, mine.role.name) == ('lab', 'PVE1', 'MINE', 'Hypervisor')
    known.refresh_from_db()
    assert (known.type, known.description, known.lag.name) == ('10gbase-t', 'to the switch', 'bond0')
    (candidate,) = run.changes.filter(action='candidate')
    assert (candidate.kind, candidate.key, candidate.object.name) == ('device', 'node/pve2', 'pve2')
    assert device('pve2').cluster is None
    assert set(VirtualMachine.objects.values_list('device__name', flat=True)) <= {'PVE1', None}
    Device.objects.filter(pk=mine.pk).update(name='rack 7')
    Interface.objects.filter(pk=known.pk).update(type='25gbase-x-sfp28')
    assert {action for _kind, _key, action in written(sync(endpoint))} <= {'candidate'}


def test_role_and_type_follow_the_endpoint_until_a_user_chooses(pve, endpoint, sync, site):
    sync(endpoint)
    mine = hand_made('mine', site, 'Storage')
    Device.objects.filter(name='pve2').update(role=mine.role)
    role = DeviceRole.objects.create(name='Host', slug='host')
    ProxmoxEndpoint.objects.update(node_role=role, node_device_type=mine.device_type)
    sync(endpoint)
    assert [(device(name).role, device(name).device_type) for name in ('pve1', 'pve2')] == [
        (role, mine.device_type), (mine.role, mine.device_type),
    ]  # fmt: skip


def test_without_a_site_or_if_the_endpoint_says_so_nodes_are_left_out(pve, make_endpoint, sync, site):
    endpoint = make_endpoint(pve)
    run = sync(endpoint)
    assert [message['subject'] for message in run.messages] == ['nodes']
    ProxmoxEndpoint.objects.update(site=site, sync_nodes=False)
    run = sync(endpoint)
    assert run.messages == []
    assert not Device.objects.exists()
    assert VirtualMachine.objects.filter(device=None).count() == 2


def test_only_data_that_the_token_cannot_read_is_left_out(standin, make_endpoint, sync, site):
    """A recorded token that sees three guests, and of the nodes neither their state nor their bridges."""
    pve = standin('pve-9.2.11-cluster-restricted-token')
    endpoint = make_endpoint(pve, site=site, create_vlans=True)
    run = sync(endpoint)
    assert (run.status, run.error) == ('completed', '')
    assert not run.changes.exclude(outcome='applied').exists()
    assert {name: (node.status, node.interfaces.count(), node.platform) for name, node in nodes().items()} == {
        'pve1': ('active', 0, None), 'pve2': ('active', 0, None), 'pve3': ('active', 0, None),
    }  # fmt: skip
    placed = dict(VirtualMachine.objects.values_list('name', 'device__name'))
    assert placed == {'web01': 'pve1', 'minimal': 'pve2', 'CT203': 'pve3'}
    assert not IPAddress.objects.filter(interface__isnull=False).exists()
    assert written(sync(endpoint)) == []
    for instance in everything():
        instance.full_clean()


def nodes() -> dict[str, Device]:
    return {found.name: found for found in Device.objects.all()}


def hand_made(name: str, site: Site, role: str, **values) -> Device:
    maker = Manufacturer.objects.get_or_create(name='Acme', slug='acme')[0]
    return Device.objects.create(
        name=name,
        site=site,
        role=DeviceRole.objects.get_or_create(name=role, slug=role.lower())[0],
        device_type=DeviceType.objects.get_or_create(manufacturer=maker, model='S', slug='s')[0],
        **values,
    )
