"""Nodes as devices: their values, their adoption, and their removal."""

from dataclasses import replace

import pytest
from core.models import ObjectChange
from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, InterfaceTemplate, MACAddress, Manufacturer
from ipam.models import VLAN, IPAddress
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding
from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.proxmox.inventory import Unreadable
from tests.scenarios.nodes.nodes import FACTS, hardware, network, physical
from tests.sync.builders import guest, inventory, node, node_interface

pytestmark = pytest.mark.django_db

WEB = guest(100, ips=('10.0.1.5/24',))


def pve(name='pve1', number=1, **values):
    return node(name, **({'address': f'10.0.0.{number}', 'facts': FACTS, 'interfaces': network(number)} | values))


def device(name='pve1') -> Device:
    return Device.objects.get(name=name)


def port(name: str) -> Interface:
    return Interface.objects.get(name=name)


def other_device(name: str, site, role='Switch', **values) -> Device:
    maker = Manufacturer.objects.get_or_create(name='Acme', slug='acme')[0]
    return Device.objects.create(
        name=name,
        site=site,
        role=DeviceRole.objects.get_or_create(name=role, slug=role.lower())[0],
        device_type=DeviceType.objects.get_or_create(manufacturer=maker, model='S', slug='s')[0],
        **values,
    )


def test_a_node_is_a_device_with_its_hardware_and_its_guests_on_it(site, take):
    run = take(inventory(WEB, nodes=(pve(hardware=hardware()),)))
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message', 'reason'))
    made = device()
    assert (made.site, made.cluster.name, made.status, made.role.name) == (site, 'lab', 'active', 'Hypervisor')
    assert (made.device_type.model, made.device_type.manufacturer.name) == ('R740', 'Dell')
    assert (made.serial, made.platform.name) == ('7XK2M93', 'Proxmox VE 9.2')
    assert str(made.primary_ip4.address) == '10.0.0.1/24'
    fields = made.custom_field_data
    assert {name: fields[name] for name in fields if name.startswith('proxmox_') and 'sync' not in name} == {
        'proxmox_pve_version': '9.2.11', 'proxmox_cpu_model': 'AMD EPYC 9354P', 'proxmox_cpu_sockets': 2,
        'proxmox_cpu_cores_total': 64, 'proxmox_memory_total_gb': 256, 'proxmox_rootfs_total_gb': 94,
    }  # fmt: skip
    assert fields['proxmox_node_last_sync']
    assert VirtualMachine.objects.get().device == made


def test_the_network_of_a_node_is_wired_as_it_runs(site, take):
    VLAN.objects.create(vid=20, name='storage', site=site)
    VLAN.objects.create(vid=30, name='mgmt', site=site)
    take(inventory(nodes=(pve(),)))
    found = {
        interface.name: (interface.type, interface.lag, interface.bridge, interface.parent)
        for interface in Interface.objects.all()
    }
    assert found == {
        'eno1': ('other', port('bond0'), None, None),
        'eno2': ('other', port('bond0'), None, None),
        'eno3': ('other', None, port('vmbr1'), None),
        'bond0': ('lag', None, port('vmbr0'), None),
        'vmbr0': ('bridge', None, None, None),
        'bond0.20': ('virtual', None, None, port('bond0')),
        'vmbr1': ('bridge', None, None, None),
        'mgmt': ('virtual', None, port('vmbr1'), None),
    }
    assert (port('bond0.20').mode, port('bond0.20').untagged_vlan.vid) == ('access', 20)
    assert (port('mgmt').untagged_vlan.vid, port('vmbr0').mode, port('eno1').mode) == (30, 'tagged-all', None)
    assert (port('eno2').mtu, port('vmbr0').description) == (9000, 'Management')
    assert port('vmbr0').custom_field_data['proxmox_interface_type'] == 'bridge'
    assert port('vmbr0').custom_field_data['proxmox_interface_ports'] == 'bond0'
    assert {str(ip.address): ip.assigned_object.name for ip in IPAddress.objects.all()} == {
        '10.0.0.1/24': 'vmbr0', '2001:db8::1/64': 'vmbr0', '10.9.0.1/31': 'bond0.20',
    }  # fmt: skip


def test_without_a_site_nodes_are_left_out_with_one_notice_and_guests_are_not(endpoint, take):
    endpoint.site = None
    endpoint.save()
    run = take(inventory(WEB, nodes=(pve(),)))
    assert [message['subject'] for message in run.messages] == ['nodes']
    assert not Device.objects.exists()
    assert VirtualMachine.objects.get().device is None


def test_a_guest_moves_with_its_node(take):
    nodes = (pve(), pve('pve2', 2))
    take(inventory(WEB, nodes=nodes))
    run = take(inventory(replace(WEB, node='pve2'), nodes=nodes))
    assert [(change.kind, [field['name'] for field in change.fields]) for change in run.changes.all()] == [
        ('vm', ['device'])
    ]
    assert VirtualMachine.objects.get().device == device('pve2')


def test_a_guest_that_a_user_put_elsewhere_comes_back_with_its_device(site, take):
    inv = inventory(WEB, nodes=(pve(),))
    take(inv)
    elsewhere = Cluster.objects.create(name='elsewhere', type=ClusterType.objects.get())
    VirtualMachine.objects.update(cluster=elsewhere, device=other_device('host', site, cluster=elsewhere))
    run = take(inv)
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    vm = VirtualMachine.objects.get()
    assert (vm.cluster.name, vm.device) == ('lab', device())


def test_a_switch_of_the_same_name_is_a_candidate_and_is_unchanged(site, take):
    switch = other_device('PVE1', site)
    before = (switch.cluster, switch.role, switch.status, switch.interfaces.count())
    run = take(inventory(WEB, nodes=(pve(),)))
    candidate = run.changes.get(action='candidate')
    assert (candidate.kind, candidate.object) == ('device', switch)
    assert 'another role' in candidate.reason
    switch.refresh_from_db()
    assert (switch.cluster, switch.role, switch.status, switch.interfaces.count()) == before
    assert VirtualMachine.objects.get().device is None


def test_a_device_of_another_cluster_is_a_candidate(site, take):
    cluster = Cluster.objects.create(name='other', type=ClusterType.objects.create(name='x', slug='x'))
    other_device('pve1', site, role='Hypervisor', cluster=cluster)
    run = take(inventory(nodes=(pve(),)))
    assert run.changes.get(action='candidate').kind == 'device'
    assert device().cluster == cluster


def test_a_hypervisor_without_a_cluster_is_adopted_and_keeps_what_a_user_wrote(site, take):
    mine = other_device('PVE1', site, role='Hypervisor', status='staged', serial='MINE')
    eno1 = Interface.objects.create(device=mine, name='eno1', type='10gbase-t', description='to the switch')
    take(inventory(WEB, nodes=(pve(hardware=hardware()),)))
    mine.refresh_from_db()
    assert (mine.name, mine.status, mine.serial, mine.device_type.model) == ('PVE1', 'staged', 'MINE', 'S')
    assert (mine.cluster.name, VirtualMachine.objects.get().device) == ('lab', mine)
    eno1.refresh_from_db()
    assert (eno1.type, eno1.description, eno1.lag.name) == ('10gbase-t', 'to the switch', 'bond0')
    assert not Binding.objects.get(kind='node_interface', object_id=eno1.pk).created_by_sync


def test_a_device_with_this_serial_number_is_adopted_whatever_its_role(site, take):
    mine = other_device('pve1', site, role='Server', serial='7XK2M93')
    take(inventory(nodes=(pve(hardware=hardware()),)))
    mine.refresh_from_db()
    assert (mine.cluster.name, mine.role.name) == ('lab', 'Server')


def test_interfaces_of_the_device_types_templates_are_taken(endpoint, take):
    maker = Manufacturer.objects.create(name='Dell', slug='dell')
    model = DeviceType.objects.create(manufacturer=maker, model='R740', slug='r740')
    InterfaceTemplate.objects.create(device_type=model, name='eno1', type='10gbase-t')
    InterfaceTemplate.objects.create(device_type=model, name='iDRAC', type='1000base-t', mgmt_only=True)
    run = take(inventory(nodes=(pve(hardware=hardware(physical('eno1', 'AA:BB:CC:00:00:01', 1000))),)))
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    assert (device().device_type, port('eno1').type, port('eno1').lag.name) == (model, '10gbase-t', 'bond0')
    assert str(port('eno1').primary_mac_address.mac_address) == 'AA:BB:CC:00:00:01'
    take(inventory(nodes=(pve(interfaces=()),)))
    assert set(Interface.objects.values_list('name', flat=True)) == {'eno1', 'iDRAC'}


def test_a_renamed_nic_keeps_its_cable(site, take):
    mac = 'AA:BB:CC:00:00:01'

    def named(name):
        interfaces = (node_interface(name),)
        return inventory(nodes=(pve(interfaces=interfaces, hardware=hardware(physical(name, mac, 10000))),))

    take(named('eno1'))
    before = port('eno1')
    assert before.type == '10gbase-x-sfpp'
    far = Interface.objects.create(device=other_device('switch', site), name='1', type='10gbase-x-sfpp')
    cable = Cable(a_terminations=[before], b_terminations=[far])
    cable.save()
    take(named('enp3s0'))
    after = port('enp3s0')
    assert (after.pk, after.cable) == (before.pk, cable)
    assert Interface.objects.filter(device=device()).count() == 1
    assert MACAddress.objects.count() == 1


def test_a_removed_interface_goes_unless_a_user_has_something_on_it(site, take):
    take(inventory(nodes=(pve(),)))
    far = Interface.objects.create(device=other_device('switch', site), name='1', type='other')
    Cable(a_terminations=[port('eno1')], b_terminations=[far]).save()
    Interface.objects.filter(name='eno2').update(mgmt_only=True)
    run = take(inventory(nodes=(pve(interfaces=network()[2:3]),)))
    assert set(Interface.objects.filter(device=device()).values_list('name', flat=True)) == {'eno1', 'eno2', 'eno3'}
    assert set(run.changes.filter(action='conflict').values_list('key', flat=True)) == {
        'node/pve1/eno1', 'node/pve1/eno2',
    }  # fmt: skip
    assert set(IPAddress.objects.all()) == set()


def test_a_node_that_was_not_read_keeps_everything(take):
    take(inventory(WEB, nodes=(pve(hardware=hardware()),)))
    logged = ObjectChange.objects.count()
    unread = pve(facts=Unreadable('x'), interfaces=Unreadable('x'), hardware=Unreadable('x'), address=Unreadable('x'))
    take(inventory(WEB, nodes=(unread,)))
    take(inventory(WEB, nodes=(unread,), quorate=False))
    assert ObjectChange.objects.count() == logged


def test_an_offline_node_is_offline_only_where_it_was_active(take):
    nodes = (pve(), pve('pve2', 2))
    take(inventory(nodes=nodes))
    Device.objects.filter(name='pve2').update(status='failed')
    off = tuple(replace(entry, online=False, facts=Unreadable('x'), interfaces=Unreadable('x')) for entry in nodes)
    take(inventory(nodes=off))
    assert (device('pve1').status, device('pve2').status) == ('offline', 'failed')
    take(inventory(nodes=nodes))
    assert (device('pve1').status, device('pve2').status) == ('active', 'failed')


def test_a_node_that_left_is_retired_and_never_deleted(endpoint, take):
    endpoint.missing_guests, endpoint.grace_days = 'delete', 0
    endpoint.save()
    both = inventory(WEB, nodes=(pve(), pve('pve2', 2)))
    take(both)
    missing = device('pve2')
    for _round in range(2):
        take(inventory(WEB, nodes=(pve(),)))
        missing.refresh_from_db()
        assert (missing.status, missing.interfaces.count()) == ('decommissioning', 8)
    take(both)
    missing.refresh_from_db()
    assert missing.status == 'active'


def test_without_quorum_no_node_is_retired(take):
    take(inventory(nodes=(pve(), pve('pve2', 2))))
    run = take(inventory(nodes=(pve(),), quorate=False))
    assert not run.changes.exists()


def test_nodes_that_are_no_longer_synced_are_unchanged(endpoint, take):
    take(inventory(WEB, nodes=(pve(),)))
    endpoint.refresh_from_db()
    endpoint.sync_nodes = False
    endpoint.save()
    run = take(inventory(WEB, nodes=(pve(),)))
    assert not run.changes.exists()
    assert VirtualMachine.objects.get().device == device()


def test_bad_networks_are_reported_and_the_rest_is_written(take):
    interfaces = (
        node_interface('vmbr0', InterfaceType.BRIDGE, ports=('vmbr1', 'eno9')),
        node_interface('vmbr1', InterfaceType.BRIDGE, ports=('vmbr0',)),
        node_interface('eno1', mtu=100000),
        *(node_interface(f'br{number}', InterfaceType.BRIDGE) for number in range(30)),
    )
    run = take(inventory(nodes=(pve(interfaces=interfaces),)))
    assert not run.changes.filter(action='conflict').exists()
    doubt = (
        'The cluster uses the address 10.0.0.1 for node pve1, but the network configuration of the node does not show '
        'on which interface it is. It was not assigned.'
    )
    assert {(message['subject'], message['message']) for message in run.messages} == {
        ('node/pve1', 'vmbr0 names eno9, which does not exist on pve1.'),
        (
            'node/pve1',
            (
                'The cluster uses the address 10.0.0.1 for node pve1, but the network configuration of the node does '
                'not show on which interface it is. It was not assigned.'
            ),
        ),
        ('node/pve1', 'vmbr0 > vmbr1 > vmbr0 is a loop of interfaces (bridge), which NetBox does not show.'),
        ('node/pve1', 'NetBox accepts an MTU from 1 to 65536; that of eno1 is 100000.'),
        ('node/pve1', doubt),
    }
    assert Interface.objects.count() == 33
    assert (port('eno1').mtu, port('vmbr0').bridge) == (None, None)


def test_one_refused_relation_does_not_keep_the_others_back(take, settings):
    settings.CUSTOM_VALIDATORS = {'dcim.interface': [{'bridge': {'prohibited': True}}]}
    run = take(inventory(nodes=(pve(hardware=hardware(physical('eno1', 'AA:BB:CC:00:00:01'))),)))
    failed = run.changes.filter(outcome='failed')
    assert set(failed.values_list('label', flat=True)) == {'bond0', 'eno3', 'mgmt'}
    assert port('eno1').lag == port('bond0')
    assert port('eno1').primary_mac_address


def test_the_device_type_is_retained_when_ssh_is_silent(take):
    take(inventory(nodes=(pve(hardware=hardware()),)))
    take(inventory(nodes=(pve(hardware=None),)))
    assert (device().device_type.model, device().serial) == ('R740', '7XK2M93')


def test_a_nodes_address_that_a_guest_had_is_its_own(take):
    take(inventory(guest(100, ips=('10.0.0.1/24',)), nodes=(pve(interfaces=()),)))
    held = IPAddress.objects.get()
    run = take(inventory(guest(100, ips=('10.0.0.1/24',)), nodes=(pve(),)))
    conflict = run.changes.get(action='conflict')
    assert conflict.key == 'node/pve1/10.0.0.1'
    held.refresh_from_db()
    assert isinstance(held.assigned_object, VMInterface)
