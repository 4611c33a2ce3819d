"""Two recorded servers, whole: what a user sees who looks at their networks and then at NetBox."""

import pytest

pytestmark = pytest.mark.django_db

# type, enabled, MTU, LAG, bridge, parent, mode, untagged VLAN, addresses
PVE1 = {
    'eno1': ('10gbase-x-sfpp', True, 9000, None, 'vmbr0', None, None, None, set()),
    'eno2': ('other', False, None, None, None, None, None, None, set()),
    'enp65s0f0': ('other', False, None, 'bond0', None, None, None, None, set()),
    'enp65s0f1np1': ('other', False, None, 'bond0', None, None, None, None, set()),
    'bond0': ('lag', False, 9000, None, None, None, None, None, set()),
    'bond0.30': ('virtual', False, 9000, None, None, 'bond0', 'access', 30, {'10.30.0.11/24'}),
    'bond0.40': ('virtual', False, None, None, 'vmbr1', 'bond0', 'access', 40, set()),
    'vlan50': ('virtual', False, None, None, None, 'bond0', 'access', 50, {'10.50.0.11/24'}),
    'vmbr0': (
        'bridge', True, None, None, None, None, 'tagged-all', None, {'10.77.0.11/24', '2001:db8:77::11/64'},
    ),
    'vmbr0.99': ('virtual', False, None, None, None, 'vmbr0', 'access', 99, {'172.16.99.11/28'}),
    'vmbr1': ('bridge', True, None, None, None, None, None, None, set()),
    'vmbr9': ('bridge', False, None, None, None, None, None, None, set()),
    'wg0': ('other', False, None, None, None, None, None, None, {'10.200.0.1/32'}),
}  # fmt: skip
VNETS1 = {
    'ev100': ('virtual', True, None, None, None, None, None, None, set()),  # VNI 10100
    'nat0': ('virtual', True, None, None, None, None, None, None, set()),
    'q101': ('virtual', True, None, None, None, None, 'access', 101, set()),
    'trunk': ('virtual', True, None, None, None, None, 'access', 999, set()),
    'vx5000': ('virtual', True, None, None, None, None, None, None, set()),
    'web': ('virtual', True, None, None, None, None, 'access', 20, set()),
}
PVE2 = {
    'eno1': ('10gbase-x-sfpp', True, None, None, 'vmbr0', None, None, None, set()),
    'vmbr0': ('bridge', True, None, None, None, None, None, None, {'10.77.0.12/24'}),
    'vmbr2': ('bridge', False, None, None, None, None, 'tagged-all', None, set()),
    'bondovs': ('lag', False, None, None, 'vmbr2', None, None, None, set()),
    'ovsport1': ('virtual', False, None, None, 'vmbr2', None, 'access', 60, {'10.60.0.12/24'}),
}
# The same network on a host of its own, where SSH tells of the cards, and Proxmox VE 8 lists no vnets.
PVEOLD8 = PVE1 | {
    'eno1': ('1000base-t', True, 9000, None, 'vmbr0', None, None, None, set()),
    'enp65s0f0': ('25gbase-x-sfp28', False, None, 'bond0', None, None, None, None, set()),
    'enp65s0f1np1': ('25gbase-x-sfp28', False, None, 'bond0', None, None, None, None, set()),
    'vmbr0': (
        'bridge', True, None, None, None, None, 'tagged-all', None, {'10.78.0.11/24', '2001:db8:77::11/64'},
    ),
}  # fmt: skip


def seen(device) -> dict[str, tuple]:
    """What its interfaces show, without those of the device type that Proxmox VE does not have."""
    return {
        port.name: (
            port.type, port.enabled, port.mtu,
            *(other and other.name for other in (port.lag, port.bridge, port.parent)),
            port.mode, port.untagged_vlan and port.untagged_vlan.vid, {str(ip) for ip in port.ip_addresses.all()},
        )
        for port in device.interfaces.exclude(name='ipmi')
    }  # fmt: skip


def test_the_network_of_a_node_with_linux_bridges(lab9):
    assert seen(lab9.device('pve1')) == PVE1 | VNETS1


def test_the_network_of_a_node_with_open_vswitch(lab9):
    # Its zone is on pve1 only.
    vnets = {name: values for name, values in VNETS1.items() if name != 'nat0'}
    assert seen(lab9.device('pve2')) == PVE2 | vnets


def test_the_network_of_a_host_of_its_own(solo):
    assert seen(solo.device('pveold8')) == PVEOLD8


def test_comments_of_several_lines_are_one_description(lab9):
    assert lab9.port('pve1', 'vmbr0').description == 'management + guests second comment line'
    assert lab9.port('pve1', 'vmbr9').description == 'isolated bridge: no ports; ümlaut ☃'
    assert lab9.port('pve1', 'web').description == 'Web tier (prod)'


@pytest.mark.parametrize(
    ('vmid', 'key', 'mode', 'untagged', 'tagged'),
    [
        (100, 'net0', 'access', 20, set()),
        (100, 'net1', 'access', 20, set()),  # the vnet web
        (100, 'net2', 'tagged', None, {10, 20, *range(30, 41)}),
        (101, 'net0', 'tagged-all', None, set()),
        (102, 'net0', 'access', 60, set()),
        (102, 'net1', None, None, set()),
        (102, 'net10', None, None, set()),  # the vnet vx5000
        (105, 'net31', 'access', 131, set()),
        (200, 'net1', None, None, set()),
        (202, 'net3', 'tagged', None, {5, 6, 7, 8, 9}),
    ],
)
def test_vlans_of_guests(lab9, vmid, key, mode, untagged, tagged):
    interface = lab9.nic(vmid, key)
    vids = set(interface.tagged_vlans.values_list('vid', flat=True))
    assert (interface.mode, interface.untagged_vlan and interface.untagged_vlan.vid, vids) == (mode, untagged, tagged)


def test_guests_are_on_their_nodes(lab9):
    on_nodes = {vmid: lab9.vm(vmid).device.name for vmid in (100, 101, 102, 103, 104, 105, 200, 201, 202, 203)}
    assert on_nodes == {
        100: 'pve1', 101: 'pve1', 102: 'pve2', 103: 'pve2', 104: 'pve2', 105: 'pve3', 200: 'pve1', 201: 'pve1',
        202: 'pve2', 203: 'pve3',
    }  # fmt: skip


def test_a_windows_machine(lab9):
    vm = lab9.vm(102)
    assert (vm.name, vm.status, vm.vcpus, vm.memory) == ('win-sql01.corp.example.com', 'offline', 3, 16384)
    assert (vm.serial, vm.platform.name) == ('11111111-2222-3333-4444-555555555555', 'Windows 11/2022/2025')
    data = vm.custom_field_data
    assert (data['proxmox_pool'], data['proxmox_ha_state'], data['proxmox_backed_up']) == ('prod/db', 'ignored', True)
    assert (data['cpu_sockets'], data['qemu_cores_per_socket'], data['qemu_machine_type']) == (2, 4, 'pc-q35-8.1')
    assert {disk.name: disk.size for disk in vm.virtualdisks.all()} == {
        'sata0': 102, 'sata1': 3815448, 'scsi5': 2097152,
    }  # fmt: skip
