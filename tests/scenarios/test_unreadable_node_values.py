"""
One value of a node, a virtual network or a storage that cannot be read makes only that value unknown.

Seen: one `bridge_vids` or `vlan-id` out of range made a node's whole network unknown. Through the real job against the
stand-in: each value of a node's network (below), a tag, a flag and a zone of SDN, values of a node's status, the end of
a certificate, a value of a storage, the address of one node and the name of the cluster in the cluster's status.
"""

import json

import pytest
from core.models import ObjectChange
from dcim.models import Device, Interface, Site
from ipam.models import IPAddress
from virtualization.models import VirtualMachine, VMInterface

from tests.pve.answers import success
from tests.scenarios.synced import Stage, after_first_sync

pytestmark = pytest.mark.django_db

VALUES = (
    'enabled', 'mtu', 'description', 'mode', 'untagged_vlan_id', 'lag_id', 'bridge_id', 'parent_id', 'type',
    'custom_field_data',
)  # fmt: skip


def configure(found):
    """Add interfaces of all kinds."""
    found.set_config(100, net0='virtio=BC:24:11:00:AA:01,bridge=vmbr0')
    found.set_interface('pve1', 'vmbr0', cidr6='2001:db8::11/64', mtu='1400')
    found.set_interface('pve1', 'vmbr1', bridge_vlan_aware=1, bridge_vids='10-20')
    found.set_interface('pve1', 'vmbr5', type='OVSBridge', ovs_type='OVSBridge', ovs_ports='tap5', comments='switch\n')
    found.set_interface('pve1', 'tap5', type='OVSIntPort', ovs_type='OVSIntPort', ovs_bridge='vmbr5', ovs_tag='30')
    found.set_interface('pve1', 'vmbr7', type='bridge', bridge_ports='')


@pytest.fixture(scope='module')
def stage():
    def values():
        return {'site': Site.objects.create(name='Berlin', slug='berlin'), 'create_vlans': True}

    return Stage({'nodes': 2, 'vms': 1, 'containers': 0, 'running': 1, 'seed': 3}, values, prepare=configure)


def state_of(device: str) -> dict[str, dict]:
    interfaces = Interface.objects.filter(device__name=device)
    return {
        interface.name: {name: getattr(interface, name) for name in VALUES}
        | {
            'tagged': set(interface.tagged_vlans.values_list('vid', flat=True)),
            'ips': set(map(str, interface.ip_addresses.values_list('address', flat=True))),
        }
        for interface in interfaces
    }


def warnings(run) -> str:
    return ' '.join(message['message'] for message in run.messages)


# Bad values of several interfaces at once; tests/proxmox/parsers/test_node_networks.py has each of them alone.
BAD = [
    {
        'vmbr1': {'bridge_vids': '2-5000'}, 'bond0.40': {'vlan-id': '4095'}, 'tap5': {'ovs_tag': '0'},
        'vmbr0': {'mtu': 'big'}, 'bond0': {'slaves': {}},
    },
    {
        'vmbr1': {'bridge_vids': 'ten'}, 'bond0.40': {'vlan-raw-device': {}}, 'tap5': {'ovs_bridge': []},
        'vmbr0': {'active': 'perhaps'}, 'vmbr5': {'ovs_ports': {}},
    },
    {
        'vmbr1': {'bridge_vids': '20-10'}, 'bond0.40': {'vlan-id': 'x'}, 'vmbr5': {'comments': ['x']},
        'vmbr0': {'bridge_vlan_aware': 'x', 'cidr': '10.0.0.300/16'}, 'bond0': {'active': []},
        'eno1': {'comments': {}},
    },
    {
        'vmbr0': {'bridge_ports': {}, 'cidr6': '2001:db8::11/200', 'gateway': 'router', 'mtu': -1},
        'vmbr5': {'type': [], 'ovs_type': []},
    },
]  # fmt: skip


@after_first_sync
@pytest.mark.parametrize('bad', BAD, ids=range(len(BAD)))
def test_bad_values_of_interfaces_cost_only_these_values(bad, pve, endpoint, sync):
    before = state_of('pve1')
    for name, values in bad.items():
        pve.set_interface('pve1', name, **values)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    assert not run.changes.exists(), list(run.changes.values('key', 'action', 'reason'))
    assert state_of('pve1') == before
    unread = [message for message in run.messages if 'could not be read' in message['message']]
    assert {name for name in bad if any(f'interface {name})' in message['message'] for message in unread)} == {*bad}
    # The rest of these interfaces, and of the node, follows Proxmox VE.
    for name, values in bad.items():
        pve.set_interface('pve1', name, **({'mtu': '1300'} if 'mtu' not in values else {'comments': 'new'}))
    pve.set_interface('pve1', 'eno2', comments='uplink')
    pve.set_interface('pve1', 'vmbr9', type='bridge', bridge_ports='', cidr='10.9.0.1/24')
    pve.remove_interface('pve1', 'vmbr7')
    sync(endpoint)
    after = state_of('pve1')
    assert after['eno2']['description'] == 'uplink'
    assert after['vmbr9']['ips'] == {'10.9.0.1/24'}
    assert 'vmbr7' not in after
    for name, values in bad.items():
        changed = {key for key in after[name] if after[name][key] != before[name][key]}
        assert changed == ({'mtu'} if 'mtu' not in values else {'description'})
    logged = ObjectChange.objects.count()
    assert not sync(endpoint).changes.exists()
    assert ObjectChange.objects.count() == logged


@after_first_sync
def test_an_address_that_may_be_the_unreadable_one_waits(pve, endpoint, sync):
    pve.set_interface('pve1', 'vmbr0', cidr='10.0.0.300/16')
    pve.remove_interface('pve2', 'vmbr1')
    sync(endpoint)
    held = IPAddress.objects.filter(interface__device__name='pve1', interface__name='vmbr0')
    assert held.count() == 2
    assert Device.objects.get(name='pve1').primary_ip4 in held
    assert not Interface.objects.filter(device__name='pve2', name='vmbr1').exists()


@after_first_sync
def test_a_guest_keeps_its_mode_while_its_bridge_cannot_be_read(pve, endpoint, sync):
    nic = VMInterface.objects.get(virtual_machine__name=VirtualMachine.objects.get().name, name='net0')
    assert nic.mode == 'tagged-all'
    pve.set_interface('pve1', 'vmbr0', bridge_vlan_aware='x')
    pve.set_interface('pve2', 'vmbr0', bridge_vlan_aware='x')
    assert not sync(endpoint).changes.exists()


@pytest.mark.parametrize(
    ('vnet', 'remaining'),
    [
        ({'tag': 2**24}, True),
        ({'tag': 'x'}, True),
        ({'zone': []}, True),
        ({'vlanaware': 7}, True),
        ({'alias': []}, True),
        ({'tag': None}, False),
    ],
    ids=str,
)
def test_a_bad_value_of_a_virtual_network_costs_only_that_value(vnet, remaining, pve, endpoint, sync):
    pve.set_vnet('other', 'dc', tag=21)
    pve.set_config(100, net0='virtio=BC:24:11:00:AA:01,bridge=web', net1='virtio=BC:24:11:00:AA:02,bridge=other')
    sync(endpoint)
    pve.cluster.vnets = [
        {key: value for key, value in (row | vnet).items() if value is not None} if row['vnet'] == 'web' else row
        for row in pve.cluster.vnets
    ]
    pve.set_vnet('other', 'dc', tag=22)
    run = sync(endpoint)
    nics = {nic.name: nic.untagged_vlan and nic.untagged_vlan.vid for nic in VMInterface.objects.all()}
    assert nics == {'net0': 20 if remaining else None, 'net1': 22}
    assert ('could not be read' in warnings(run)) is remaining


def change_answer(pve, path: str, **changes) -> None:
    """Change top-level values of what a node or the cluster answers."""
    answer = pve.cluster.fixed[path]
    data = json.loads(answer.body)['data']
    pve.cluster.fixed[path] = success({**data, **changes} if isinstance(data, dict) else changes['rows'](data))
    pve.cluster.changed()


@after_first_sync
@pytest.mark.parametrize(
    ('changes', 'fields'),
    [
        ({'cpuinfo': []}, {'proxmox_cpu_model', 'proxmox_cpu_sockets', 'proxmox_cpu_cores_total'}),
        ({'memory': {'total': 'NaN'}}, {'proxmox_memory_total_gb'}),
        ({'rootfs': {'total': -5}}, {'proxmox_rootfs_total_gb'}),
        ({'pveversion': {}}, {'proxmox_pve_version'}),
    ],
    ids=['cpuinfo', 'memory', 'rootfs', 'pveversion'],
)
def test_a_bad_fact_of_a_node_costs_only_that_fact(changes, fields, pve, endpoint, sync):
    before = dict(Device.objects.get(name='pve1').custom_field_data)
    usual = {
        'cpuinfo': {'model': 'New', 'sockets': 8, 'cpus': 8}, 'memory': {'total': 7 * 2**30},
        'rootfs': {'total': 3 * 2**30}, 'pveversion': 'pve-manager/9.9.9/x',
    }  # fmt: skip
    change_answer(pve, '/nodes/pve1/status', **usual | changes)
    run = sync(endpoint)
    assert 'could not be read' in warnings(run)
    after = Device.objects.get(name='pve1').custom_field_data
    known = {
        'proxmox_cpu_model': 'New', 'proxmox_cpu_sockets': 8, 'proxmox_cpu_cores_total': 8,
        'proxmox_memory_total_gb': 7, 'proxmox_rootfs_total_gb': 3, 'proxmox_pve_version': '9.9.9',
    }  # fmt: skip
    assert {name: after[name] for name in known} == {
        name: before[name] if name in fields else value for name, value in known.items()
    }


@after_first_sync
def test_an_invalid_certificate_is_reported_and_affects_nothing_else(pve, endpoint, sync):
    change_answer(pve, '/nodes/pve1/certificates/info', rows=lambda rows: [row | {'notafter': 'never'} for row in rows])
    run = sync(endpoint)
    assert run.status == 'completed'
    assert not run.changes.exists()
    assert '(node pve1: certificate pve-ssl.pem)' in warnings(run)


@after_first_sync
def test_a_bad_address_of_a_node_or_name_of_the_cluster_costs_no_guest(pve, endpoint, sync):
    pve.cluster.nodes['pve2'].address = []
    pve.cluster.name = {}
    pve.cluster.changed()
    pve.delete(100)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    # The quorum is known, so a guest that is not listed is absent.
    assert VirtualMachine.objects.get().status == 'decommissioning'
    assert Device.objects.get(name='pve2').primary_ip4
