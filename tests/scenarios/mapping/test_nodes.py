"""What becomes of nodes and their networks, by the rows of the mapping."""

from datetime import datetime

import pytest

pytestmark = pytest.mark.django_db


def relations(port) -> tuple:
    return tuple(other and other.name for other in (port.lag, port.bridge, port.parent))


def vlans_of(port) -> tuple:
    untagged = port.untagged_vlan and port.untagged_vlan.vid
    return port.mode, untagged, set(port.tagged_vlans.values_list('vid', flat=True))


def test_a_node_is_a_device_at_the_endpoints_site(lab9, solo, made):
    placed = [
        (device.site.name, device.cluster.name, device.role.name, device.device_type.model, device.tenant)
        for device in (lab9.device('pve1'), solo.device('pveold8'), made.device('pve1'))
    ]
    assert placed == [
        ('Linz', 'lab9', 'Host', 'Box 9', lab9.endpoint.tenant),
        ('Graz', 'pveold8', 'Hypervisor', 'PowerEdge R740', None),
        ('Wien', 'fleet', 'Hypervisor', 'Proxmox VE node', None),
    ]
    assert solo.device('pveold8').device_type.manufacturer.name == 'Dell'
    assert made.device('pve1').device_type.manufacturer.name == 'Generic'


def test_the_serial_number_is_what_ssh_reports(solo, made):
    assert (solo.device('pveold8').serial, made.device('pve1').serial) == ('7XK2M93', '')


def test_the_status_is_whether_it_is_online(made):
    assert [made.device(name).status for name in ('pve1', 'pve3', 'pve4')] == ['active', 'active', 'offline']


def test_the_platform_is_the_release(lab9, solo):
    assert lab9.device('pve1').platform.name == 'Proxmox VE 9.2'
    assert solo.device('pveold8').platform.name == 'Proxmox VE 8.4'


HARDWARE = (
    'proxmox_pve_version', 'proxmox_cpu_model', 'proxmox_cpu_sockets', 'proxmox_cpu_cores_total',
    'proxmox_memory_total_gb', 'proxmox_rootfs_total_gb',
)  # fmt: skip


def test_custom_fields(lab9, made):
    def values(device):
        return tuple(device.custom_field_data.get(name) for name in HARDWARE)

    # 25276063744 and 2147483648 bytes.
    assert values(lab9.device('pve2')) == ('9.2.11', 'Intel(R) Xeon(R) Processor', 1, 2, 24, 2)
    assert values(made.device('pve1')) == ('9.2.11', 'AMD EPYC 9354P 32-Core Processor', 2, 64, 128, 94)
    assert set(values(made.device('pve4'))) == {None}


def test_the_last_sync_is_that_which_changed_something(made):
    first = made.runs[0]
    stamp = datetime.fromisoformat(made.device('pve1').custom_field_data['proxmox_node_last_sync'])
    assert first.started < stamp < first.completed


def test_the_primary_address_is_the_one_that_the_cluster_uses(lab9, made):
    def primary(device):
        return device.primary_ip4 and str(device.primary_ip4), device.primary_ip6 and str(device.primary_ip6)

    assert primary(lab9.device('pve1')) == ('10.77.0.11/24', '2001:db8:77::11/64')
    # Leased by DHCP on vmbr0; NetBox has no prefix that would give its length.
    assert primary(lab9.device('pve3')) == ('10.77.0.13/32', None)
    assert primary(made.device('pve1')) == ('10.0.0.11/16', '2001:db8::11/64')
    assert primary(made.device('pve2')) == (None, '2001:db8:0:1::12/64')


WIRED = {
    # type, (lag, bridge, parent)
    'eno1': ('other', ('bond0', None, None)),
    'eno2': ('other', ('bond0', None, None)),
    'eno3': ('other', (None, 'vmbr2', None)),
    'bond0': ('lag', (None, 'vmbr0', None)),
    'bond0.40': ('virtual', (None, 'vmbr1', 'bond0')),
    'vlan50': ('virtual', (None, None, 'bond0')),
    'vmbr0': ('bridge', (None, None, None)),
    'vmbr0.99': ('virtual', (None, None, 'vmbr0')),
    'vmbr0:1': ('virtual', (None, None, 'vmbr0')),
    'vmbr1': ('bridge', (None, None, None)),
    'vmbr2': ('bridge', (None, None, None)),
    'vmbr9': ('bridge', (None, None, None)),
    'lo': ('virtual', (None, None, None)),
    'dummy0': ('virtual', (None, None, None)),
    'wg0': ('other', (None, None, None)),
    'web': ('virtual', (None, None, None)),
    'vx100': ('virtual', (None, None, None)),
    'vx5000': ('virtual', (None, None, None)),
    'alltags': ('virtual', (None, None, None)),
}
SWITCHED = {
    'eno1': ('other', ('bondovs', None, None)),
    'eno2': ('other', ('bondovs', None, None)),
    'eno3': ('other', (None, 'vmbr0', None)),
    'bondovs': ('lag', (None, 'vmbr0', None)),
    'mgmt': ('virtual', (None, 'vmbr0', None)),
    'vmbr0': ('bridge', (None, None, None)),
}
VNETS = {'web', 'vx100', 'vx5000', 'alltags'}


def test_linux_bridges_bonds_and_vlans_are_wired(made):
    ports = made.device('pve1').interfaces.all()
    assert {port.name: (port.type, relations(port)) for port in ports} == WIRED


def test_open_vswitch_is_wired(made):
    ports = made.device('pve2').interfaces.exclude(name__in=VNETS)
    assert {port.name: (port.type, relations(port)) for port in ports} == SWITCHED


@pytest.mark.parametrize(
    ('node', 'name', 'expected'),
    [
        ('pve1', 'vmbr0', ('tagged-all', None, set())),  # bridge_vids 2-4094
        ('pve1', 'vmbr1', (None, None, set())),  # plain
        ('pve1', 'vmbr2', ('tagged', None, {10, 30, 31, 32})),  # bridge_vids 10 30-32
        ('pve1', 'bond0.40', ('access', 40, set())),
        ('pve1', 'vlan50', ('access', 50, set())),
        ('pve1', 'vmbr0.99', ('access', 99, set())),
        ('pve1', 'eno1', (None, None, set())),
        ('pve1', 'web', ('access', 20, set())),
        ('pve1', 'vx5000', (None, None, set())),
        ('pve1', 'vx100', (None, None, set())),
        ('pve2', 'vmbr0', ('tagged-all', None, set())),
        ('pve2', 'mgmt', ('access', 30, set())),  # ovs_tag
        ('pve2', 'eno3', ('access', 20, set())),
    ],
)
def test_vlans(made, node, name, expected):
    assert vlans_of(made.port(node, name)) == expected


def test_state_mtu_and_comments(made):
    eno3 = made.port('pve1', 'eno3')
    assert (eno3.enabled, eno3.mtu, eno3.description) == (False, 9000, 'to the lab switch')
    vmbr1 = made.port('pve1', 'vmbr1')
    assert (vmbr1.enabled, vmbr1.mtu, vmbr1.description) == (True, None, 'storage network')


def test_addresses_of_any_prefix_length(made, lab9):
    found = {
        port.name: {str(ip) for ip in port.ip_addresses.all()}
        for port in made.device('pve1').interfaces.all()
        if port.ip_addresses.exists()
    }
    assert found == {
        'vmbr0': {'10.0.0.11/16', '2001:db8::11/64'},
        'vmbr0:1': {'10.0.1.11/24'},
        'vmbr0.99': {'172.16.98.11/28', '2001:db8:99::2/127'},
        'vlan50': {'10.50.0.10/31'},
        'lo': {'10.255.0.11/32', '2001:db8:ff::11/128'},
        'vmbr9': {'192.168.100.1/24'},
        'wg0': {'10.201.0.1/32'},
    }
    assert {ip.status for ip in made.port('pve1', 'lo').ip_addresses.all()} == {'active'}
    assert {ip.vrf for ip in lab9.port('pve1', 'vmbr0').ip_addresses.all()} == {lab9.endpoint.vrf}


def test_an_address_of_several_nodes_is_one_for_each_in_a_role_that_allows_it(made):
    roles = [(str(ip), ip.role) for node in ('pve1', 'pve3') for ip in made.port(node, 'vmbr9').ip_addresses.all()]
    assert roles == [('192.168.100.1/24', 'anycast')] * 2
    assert {ip.role for ip in made.port('pve1', 'vmbr0').ip_addresses.all()} == {None}


def test_type_and_mac_are_what_ssh_reports(solo):
    ports = {port.name: port for port in solo.device('pveold8').interfaces.all()}
    macs = {name: str(port.primary_mac_address) for name, port in ports.items() if port.primary_mac_address}
    assert macs == {
        'eno1': '3C:EC:EF:01:02:03',
        # Members of a bond all use one address now; these are their own.
        'enp65s0f0': 'A0:36:9F:12:34:56',
        'enp65s0f1np1': 'A0:36:9F:12:34:58',
    }
    types = [ports[name].type for name in ('eno1', 'eno2', 'enp65s0f0')]
    assert types == ['1000base-t', 'other', '25gbase-x-sfp28']


def test_interfaces_of_the_device_types_templates_are_taken_and_keep_their_type(lab9):
    eno1, ipmi = lab9.device('pve2').interfaces.filter(name__in=('eno1', 'ipmi')).order_by('name')
    assert (eno1, eno1.type, eno1.bridge.name) == (lab9.port('pve2', 'eno1'), '10gbase-x-sfpp', 'vmbr0')
    assert (ipmi.type, ipmi.mgmt_only, ipmi.cf['proxmox_interface_type']) == ('1000base-t', True, None)


def test_interface_custom_fields(made, lab9):
    def values(port):
        return tuple(port.custom_field_data.get(f'proxmox_interface_{name}') for name in ('type', 'ports'))

    assert values(made.port('pve1', 'bond0')) == ('bond', 'eno1 eno2')
    assert values(made.port('pve1', 'vmbr0')) == ('bridge', 'bond0')
    assert values(made.port('pve1', 'eno1')) == ('eth', None)
    assert values(made.port('pve2', 'vmbr0')) == ('OVSBridge', 'bondovs eno3 mgmt')
    # Its parts do not exist, so its `type` is "unknown"; its `ovs_type` is not.
    assert values(lab9.port('pve2', 'bondovs')) == ('OVSBond', 'eno3 eno4')
