"""
The defects of ProxSyncBox, which this plugin replaces, and for each the test that the plugin does not have it.

The defects are numbered in the order in which they were found. `PROVED_BY` names their tests. Tests that belong to no
other file are below, through the real job against a stand-in Proxmox VE.
"""

import ast
from pathlib import Path

import pytest
from core.models import ObjectChange
from dcim.models import Device, Interface, MACAddress, Site
from extras.models import CustomField
from ipam.models import VRF, IPAddress
from virtualization.models import Cluster, ClusterGroup, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.runs.progress import PHASES
from tests.endpoints.test_ssh import PASSWORD, nodes_of, pins
from tests.proxmox.ssh.outputs import BONDED
from tests.proxmox.ssh.servers import LINKS, prints

HERE = 'test_proxsyncbox.py'
NODES, NODES_HARM = 'scenarios/nodes/test_nodes.py', 'scenarios/nodes/test_harm.py'

PROVED_BY = {
    # Wrong values
    'D1': 'scenarios/test_recorded_clusters.py::test_every_guest_is_there_with_its_values',
    'D2': f'{HERE}::test_settings_without_a_value_have_the_default_of_proxmox',
    'D3': f'{HERE}::test_sizes_are_correct_in_the_units_of_netbox',
    'D4': f'{HERE}::test_sizes_are_correct_in_the_units_of_netbox',
    'D5': f'{HERE}::test_the_boot_disk_is_a_disk',
    'D6': f'{HERE}::test_disks_of_every_form',
    'D7': f'{HERE}::test_nics_of_every_form',
    'D8': f'{HERE}::test_static_and_leased_addresses_of_both_families_are_found',
    'D9': f'{HERE}::test_all_usable_addresses_of_the_mac_address_of_a_nic_are_found',
    'D10': f'{HERE}::test_status_values_other_than_running_and_stopped_are_displayed',
    'D11': f'{HERE}::test_platforms_and_tags_of_any_spelling_are_created',
    'D12': f'{HERE}::test_platforms_and_tags_of_any_spelling_are_created',
    'D13': f'{NODES}::test_a_hypervisor_without_a_cluster_is_adopted_and_keeps_what_a_user_wrote',
    'D14': f'{HERE}::test_members_of_a_bond_have_their_own_macs',
    'D15': f'{HERE}::test_the_running_network_of_a_node_counts_and_not_pending_changes',
    # Loss of data in NetBox
    'D16': f'{HERE}::test_a_guest_that_moves_to_another_node_is_there',
    'D17': f'{HERE}::test_machines_that_are_not_from_proxmox_are_left_unchanged',
    'D18': f'{HERE}::test_a_list_that_fails_in_the_middle_marks_nothing',
    'D19': 'scenarios/test_sync.py::test_a_primary_address_that_a_user_chose_is_retained',
    'D20': 'scenarios/test_recorded_clusters.py::test_a_second_sync_writes_nothing',
    'D21': 'scenarios/test_harm.py::test_removed_tags_and_notes_are_cleared_and_those_of_users_are_retained',
    'D22': f'{NODES_HARM}::test_an_interface_with_a_cable_is_retained_and_reported_when_its_nic_is_missing',
    'D23': 'scenarios/test_sync.py::test_a_removed_disk_is_deleted_and_a_users_disk_is_retained',
    'D24': 'sync/mapping/test_vlans.py::test_a_bridge_that_was_not_read_leaves_the_mode_alone',
    'D25': f'{NODES}::test_an_offline_node_is_offline_only_where_it_was_active',
    # Stale and doubled data
    'D26': 'scenarios/test_sync.py::test_an_added_and_a_removed_nic',
    'D27': 'scenarios/test_harm.py::test_missing_addresses_follow_the_policy_of_the_endpoint',
    'D28': f'{HERE}::test_a_changed_mac_takes_the_record_that_is_there_and_leaves_none_behind',
    'D29': f'{HERE}::test_an_address_that_is_in_several_vrfs_is_found_in_its_own',
    'D30': 'scenarios/test_sync.py::test_an_address_of_a_switch_is_never_taken_away',
    'D31': 'scenarios/test_harm.py::test_a_reused_vmid_does_not_mix_two_machines',
    # Failures
    'D32': 'scenarios/nodes/test_vlans.py::test_the_vlan_of_the_network_team_is_taken',
    'D33': 'sync/test_comparison.py::test_two_guests_of_one_name_keep_their_names_from_run_to_run',
    'D34': 'scenarios/test_harm.py::test_machines_of_one_name_and_vmid_in_two_clusters_are_two',
    'D35': 'scenarios/test_harm.py::test_machines_of_one_name_and_vmid_in_two_clusters_are_two',
    'D36': 'scenarios/test_sync.py::test_a_resized_disk_changes_the_disk_and_the_sum',
    'D37': f'{HERE}::test_without_its_custom_fields_everything_else_is_written',
    'D38': f'{HERE}::test_two_clusters_of_one_name_are_reported_and_neither_is_touched',
    'D39': 'scenarios/test_recorded_clusters.py::test_a_second_sync_writes_nothing',
    'D40': 'scenarios/test_sync.py::test_rejected_changes_are_reported_and_all_others_are_written',
    'D41': 'endpoints/test_connection.py::test_the_job_reports_the_error_and_writes_nothing',
    'D42': 'scenarios/test_harm.py::test_a_crash_at_any_statement_leaves_whole_guests_and_the_next_run_does_the_rest',
    'D43': 'endpoints/test_connection.py::test_the_connection_test_reports_the_error',
    # Scale
    'D44': 'runs/test_statements.py::test_an_unchanged_run_has_few_statements_for_any_number_of_guests',
    'D45': 'scenarios/test_sync.py::test_only_one_run_at_a_time',
    'D46': f'{HERE}::test_the_log_of_a_job_has_a_line_for_each_kind_and_not_for_each_object',
    # Security and settings
    'D47': 'proxmox/test_check.py::test_a_self_signed_certificate',
    'D48': 'proxmox/ssh/test_hardware.py::test_nothing_is_sent_to_a_host_whose_key_is_not_pinned',
    'D49': 'endpoints/test_ssh.py::test_secrets_come_out_nowhere',
    'D50': 'endpoints/test_ssh.py::test_secrets_come_out_nowhere',
    'D51': f'{HERE}::test_settings_come_back_as_they_were_entered',
    'D52': 'views/test_guest_pages.py::test_text_from_guests_is_escaped',
    'D53': f'{HERE}::test_disks_of_every_form',
}


def test_every_defect_has_a_test_that_is_there():
    assert list(PROVED_BY) == [f'D{number}' for number in range(1, 54)]
    for where in PROVED_BY.values():
        name, _, test = where.partition('::')
        tree = ast.parse((Path(__file__).parent / name).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, where


# Without it, `ipconfigN` never reaches the guest.
CLOUD_INIT = {'ide2': 'local-lvm:vm-1-cloudinit,media=cdrom,size=4M'}
pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=1, containers=0, templates=0, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve, change_limit=100)


@pytest.fixture
def site() -> Site:
    return Site.objects.create(name='Berlin', slug='berlin')


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return next(row.object for row in endpoint.bindings.filter(kind='vm') if row.key.endswith(f'/{vmid}'))


def field(endpoint, vmid: int, name: str):
    return vm_of(endpoint, vmid).custom_field_data.get(name)


def all_applied(run):
    assert run.status == 'completed', run.error
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'reason', 'message'))


def test_settings_without_a_value_have_the_default_of_proxmox(pve, endpoint, sync):
    vmid = pve.create(config={'cores': None, 'sockets': None, 'ostype': 'win11', 'boot': None})
    all_applied(sync(endpoint))
    assert vm_of(endpoint, vmid).vcpus == 1
    fields = vm_of(endpoint, vmid).custom_field_data
    told = {name: fields[f'qemu_{name}'] for name in ('machine_type', 'bios_type', 'cores_per_socket', 'numa_enabled')}
    assert told == {'machine_type': 'pc', 'bios_type': 'seabios', 'cores_per_socket': 1, 'numa_enabled': False}
    assert fields['cpu_sockets'] == 1


@pytest.mark.parametrize(('base', 'memory', 'disks'), [
    (1000, 34360, {'scsi0': 34360, 'scsi1': 1074, 'scsi2': 1}),
    (1024, 32768, {'scsi0': 32768, 'scsi1': 1024, 'scsi2': 1}),
])  # fmt: skip
def test_sizes_are_correct_in_the_units_of_netbox(pve, endpoint, sync, settings, base, memory, disks):
    settings.RAM_BASE_UNIT = settings.DISK_BASE_UNIT = base
    # Without a unit, a size is in bytes; and a disk of 4 KiB is a disk.
    config = {'memory': '32768', 'scsi1': 'local-lvm:vm-1-disk-1,size=1073741824', 'scsi2': 'local-lvm:x,size=4K'}
    vmid = pve.create(config=config)
    all_applied(sync(endpoint))
    vm = vm_of(endpoint, vmid)
    assert (vm.memory, dict(vm.virtualdisks.values_list('name', 'size'))) == (memory, disks)


@pytest.mark.parametrize(('boot', 'bootdisk'), [
    ('order=ide2;scsi0', None), ('order=net0;scsi0', None), ('cdn', 'scsi0'), ('c', 'scsi0'),
])  # fmt: skip
def test_the_boot_disk_is_a_disk(pve, endpoint, sync, boot, bootdisk):
    config = {'ide2': 'local:iso/debian.iso,media=cdrom,size=600M', 'boot': boot, 'bootdisk': bootdisk}
    vmid = pve.create(config=config)
    all_applied(sync(endpoint))
    assert field(endpoint, vmid, 'boot_disk_storage') == 'local-lvm'


def test_disks_of_every_form(pve, endpoint, sync):
    volume = 'x' * 250
    config = {
        'scsi1': '/dev/disk/by-id/scsi-3600:0:1,size=2G,serial=SECRET-1',
        'scsi2': 'file=local-lvm:vm-1-disk-2,size=3G,serial=SECRET-2',
        'scsi3': f'local:{volume},size=4G',
        'efidisk0': 'local-lvm:vm-1-disk-3,efitype=4m,size=4M',
        'tpmstate0': 'local-lvm:vm-1-disk-4,size=4M,version=v2.0',
        'ide2': 'local-lvm:vm-1-cloudinit,media=cdrom,size=4M',
    }
    vmid = pve.create(config=config)
    all_applied(sync(endpoint))
    found = dict(VirtualDisk.objects.filter(virtual_machine=vm_of(endpoint, vmid)).values_list('name', 'description'))
    assert set(found) == {'scsi0', 'scsi1', 'scsi2', 'scsi3'}
    assert found['scsi1'] == '/dev/disk/by-id/scsi-3600:0:1, raw, pass-through'
    assert found['scsi2'].startswith('local-lvm:vm-1-disk-2')
    assert len(found['scsi3']) == 200
    assert 'SECRET' not in str(found)


def test_nics_of_every_form(pve, endpoint, sync):
    config = {
        'net0': 'e1000e=BC:24:11:AA:00:01,bridge=vmbr0',
        'net1': 'model=e1000-82544gc,macaddr=BC:24:11:AA:00:02,bridge=vmbr0',
        'net2': 'bridge=vmbr0,firewall=1,virtio=BC:24:11:AA:00:03',
    }
    vmid = pve.create(config=config)
    all_applied(sync(endpoint))
    found = {
        nic.name: (nic.custom_field_data['interface_model'], str(nic.primary_mac_address.mac_address))
        for nic in VMInterface.objects.filter(virtual_machine=vm_of(endpoint, vmid))
    }
    assert found == {
        'net0': ('e1000e', 'BC:24:11:AA:00:01'),
        'net1': ('e1000-82544gc', 'BC:24:11:AA:00:02'),
        'net2': ('virtio', 'BC:24:11:AA:00:03'),
    }


def addresses_of(endpoint, vmid: int) -> dict[str, str]:
    interfaces = vm_of(endpoint, vmid).interfaces.all()
    return {str(ip.address): ip.status for interface in interfaces for ip in interface.ip_addresses.all()}


def test_static_and_leased_addresses_of_both_families_are_found(pve, endpoint, sync):
    machine = pve.create(config={'ipconfig0': 'ip=192.0.2.5/24,gw=192.0.2.1,ip6=2001:db8::5/64', **CLOUD_INIT})
    nic = 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:AA:00:0{},ip={},ip6={},type=veth'
    static = pve.create(type='lxc', config={'net0': nic.format(1, '192.0.2.6/24', '2001:db8::6/64')})
    leased = pve.create(type='lxc', running=True, config={'net0': nic.format(2, 'dhcp', 'dhcp')})
    pve.set_addresses(leased, 'net0', '192.0.2.7/24', '2001:db8::7/128')
    all_applied(sync(endpoint))
    assert addresses_of(endpoint, machine) == {'192.0.2.5/24': 'active', '2001:db8::5/64': 'active'}
    assert addresses_of(endpoint, static) == {'192.0.2.6/24': 'active', '2001:db8::6/64': 'active'}
    assert addresses_of(endpoint, leased) == {'192.0.2.7/24': 'dhcp', '2001:db8::7/128': 'dhcp'}


def test_all_usable_addresses_of_the_mac_address_of_a_nic_are_found(pve, endpoint, sync):
    mac = 'bc:24:11:aa:00:01'
    vmid = pve.create(running=True, config={'net0': f'virtio={mac},bridge=vmbr0', 'agent': '1'})
    pve.agent_running(vmid)

    def address(text: str, length: int) -> dict:
        return {'ip-address': text, 'ip-address-type': 'ipv6' if ':' in text else 'ipv4', 'prefix': length}

    pve.set_interfaces(vmid, [
        {'name': 'lo', 'hardware-address': '00:00:00:00:00:00', 'ip-addresses': [address('127.0.0.1', 8)]},
        {'name': 'ens18', 'hardware-address': mac},
        {
            'name': 'bridge0',
            'hardware-address': mac,
            'ip-addresses': [
                address('fe80::1%bridge0', 64), address('192.0.2.5', 24), address('192.0.2.6', 24),
                address('2001:db8::5', 64), address('169.254.3.4', 16),
            ],
        },
        {'name': 'ens18.20', 'hardware-address': mac, 'ip-addresses': [address('198.51.100.5', 31)]},
    ])  # fmt: skip
    all_applied(sync(endpoint))
    assert set(addresses_of(endpoint, vmid)) == {'192.0.2.5/24', '192.0.2.6/24', '2001:db8::5/64', '198.51.100.5/31'}


def test_status_values_other_than_running_and_stopped_are_displayed(pve, endpoint, sync):
    paused, broken, running = (pve.create(running=True) for _number in range(3))
    pve.pause(paused)
    pve.set_status(broken, 'io-error')
    sync(endpoint)
    assert [vm_of(endpoint, vmid).status for vmid in (paused, broken, running)] == ['paused', 'staged', 'active']


def test_platforms_and_tags_of_any_spelling_are_created(pve, endpoint, sync):
    plain = pve.create(config={'tags': 'v1.2+build;c++'})
    noted = pve.create(config={'description': 'Notes\nos: FooBSD (x86/64) 14.1+git'})
    all_applied(sync(endpoint))
    assert vm_of(endpoint, plain).platform.name == 'Linux'
    assert vm_of(endpoint, noted).platform.name == 'FooBSD (x86/64) 14.1+git'
    assert set(vm_of(endpoint, plain).tags.values_list('name', flat=True)) == {'v1.2+build', 'c++'}
    for made in (*vm_of(endpoint, plain).tags.all(), vm_of(endpoint, noted).platform):
        made.full_clean()


def test_members_of_a_bond_have_their_own_macs(pve, make_endpoint, sync, site):
    for iface, values in {
        'eno1': {'type': 'eth'}, 'eno2': {'type': 'eth'}, 'bond0': {'type': 'bond', 'slaves': 'eno1 eno2'},
    }.items():  # fmt: skip
        pve.set_interface('pve1', iface, **values)
    with nodes_of(pve) as nodes:
        nodes['pve1'].answers[LINKS] = prints(BONDED)
        endpoint = make_endpoint(
            pve, site=site, ssh_user='netbox', ssh_port=nodes['pve1'].port, ssh_password=PASSWORD,
            ssh_host_keys=pins(nodes),
        )  # fmt: skip
        run = sync(endpoint)
    ports = Interface.objects.filter(device__name='pve1', name__in=('eno1', 'eno2'))
    assert {port.name: str(port.primary_mac_address.mac_address) for port in ports} == {
        'eno1': 'A0:36:9F:12:34:56', 'eno2': 'A0:36:9F:12:34:58',
    }, run.messages  # fmt: skip
    assert MACAddress.objects.filter(mac_address='A0:36:9F:12:34:56', interface__device__name='pve1').count() == 1


def test_the_running_network_of_a_node_counts_and_not_pending_changes(pve, make_endpoint, sync, site):
    pve.set_interface('pve1', 'vmbr7', type='bridge', cidr='192.0.2.1/31', cidr6='2001:db8::1/127')
    endpoint = make_endpoint(pve, site=site)
    sync(endpoint)
    bridge = Interface.objects.get(name='vmbr7')
    assert {str(ip.address) for ip in bridge.ip_addresses.all()} == {'192.0.2.1/31', '2001:db8::1/127'}
    before = ObjectChange.objects.count()
    pve.remove_interface('pve1', 'vmbr7', pending=True)
    sync(endpoint)
    assert Interface.objects.filter(pk=bridge.pk).exists()
    assert ObjectChange.objects.count() == before


def test_a_guest_that_moves_to_another_node_is_there(pve, make_endpoint, sync, site):
    endpoint = make_endpoint(pve, site=site)
    sync(endpoint)
    vm = VirtualMachine.objects.get()
    target = next(node for node in ('pve1', 'pve2') if node != vm.device.name)
    pve.migrate(vm.custom_field_data['vmid'], target)
    all_applied(sync(endpoint))
    vm.refresh_from_db()
    assert (vm.device, vm.custom_field_data['vm_status']) == (Device.objects.get(name=target), 'Deployed')


def test_machines_that_are_not_from_proxmox_are_left_unchanged(pve, endpoint, sync):
    sync(endpoint)
    endpoint.refresh_from_db()
    VirtualMachine.objects.create(name='by hand', cluster=endpoint.cluster, status='planned')
    VirtualMachine.objects.create(name='of a tool', cluster=endpoint.cluster, custom_field_data={'vmid': 4711})
    before = list(VirtualMachine.objects.order_by('pk').values())
    pve.create()
    all_applied(sync(endpoint))
    assert list(VirtualMachine.objects.order_by('pk').values())[: len(before)] == before


def test_a_list_that_fails_in_the_middle_marks_nothing(pve, endpoint, sync):
    others = [pve.create() for _number in range(3)]
    sync(endpoint)
    before = list(VirtualMachine.objects.order_by('pk').values())
    pve.drop('/cluster/resources')
    assert sync(endpoint).status == 'failed'
    pve.heal()
    pve.fail(f'/nodes/*/qemu/{others[0]}/config', status=500)
    pve.drop(f'/nodes/*/qemu/{others[1]}/config')
    pve.rename(others[2], 'renamed')
    assert sync(endpoint).status == 'completed'
    after = list(VirtualMachine.objects.order_by('pk').values())
    assert [row['name'] for row in after if row not in before] == ['renamed']


def test_a_changed_mac_takes_the_record_that_is_there_and_leaves_none_behind(pve, endpoint, sync):
    vmid = pve.create()
    sync(endpoint)
    old = vm_of(endpoint, vmid).interfaces.get().primary_mac_address
    planned = MACAddress.objects.create(mac_address='BC:24:11:AA:00:01', description='From the purchase order')
    pve.set_config(vmid, net0='virtio=BC:24:11:AA:00:01,bridge=vmbr0')
    all_applied(sync(endpoint))
    assert vm_of(endpoint, vmid).interfaces.get().primary_mac_address == planned
    assert MACAddress.objects.filter(mac_address='BC:24:11:AA:00:01').count() == 1
    assert not MACAddress.objects.filter(pk=old.pk).exists()


def test_an_address_that_is_in_several_vrfs_is_found_in_its_own(pve, endpoint, sync):
    vrfs = [VRF.objects.create(name=name) for name in ('red', 'blue')]
    elsewhere = [IPAddress.objects.create(address='192.0.2.5/24', vrf=vrf) for vrf in (None, vrfs[0])]
    # Another mask is the same address.
    mine = IPAddress.objects.create(address='192.0.2.5/32', vrf=vrfs[1], description='Reserved')
    endpoint.vrf = vrfs[1]
    endpoint.save()
    vmid = pve.create(config={'ipconfig0': 'ip=192.0.2.5/24', **CLOUD_INIT})
    all_applied(sync(endpoint))
    mine.refresh_from_db()
    assert (mine.assigned_object, str(mine.address)) == (vm_of(endpoint, vmid).interfaces.get(), '192.0.2.5/24')
    assert vm_of(endpoint, vmid).primary_ip4 == mine
    assert [IPAddress.objects.get(pk=ip.pk).assigned_object for ip in elsewhere] == [None, None]
    assert IPAddress.objects.filter(address__net_host='192.0.2.5').count() == 3


def test_without_its_custom_fields_everything_else_is_written(pve, endpoint, sync):
    CustomField.objects.all().delete()
    vmid = pve.create(name='web')
    all_applied(sync(endpoint))
    vm = vm_of(endpoint, vmid)
    assert (vm.name, vm.custom_field_data, vm.interfaces.count()) == ('web', {}, 1)
    assert not sync(endpoint).changes.exists()


def test_two_clusters_of_one_name_are_reported_and_neither_is_touched(pve, endpoint, sync):
    kind = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    for name in ('north', 'south'):
        group = ClusterGroup.objects.create(name=name, slug=name)
        Cluster.objects.create(name=pve.cluster.name, type=kind, group=group)
    before = list(Cluster.objects.order_by('pk').values())
    run = sync(endpoint)
    (conflict,) = run.changes.all()
    assert (conflict.kind, conflict.action) == ('cluster', 'conflict')
    assert f'NetBox has 2 clusters named "{pve.cluster.name}". Choose the right one on the endpoint.' in conflict.reason
    assert (list(Cluster.objects.order_by('pk').values()), VirtualMachine.objects.count()) == (before, 0)
    endpoint.refresh_from_db()
    endpoint.cluster = Cluster.objects.last()
    endpoint.save()
    all_applied(sync(endpoint))
    assert VirtualMachine.objects.get().cluster == endpoint.cluster


def test_the_log_of_a_job_has_a_line_for_each_kind_and_not_for_each_object(pve, endpoint, sync):
    for _number in range(5):
        pve.create()
    run = sync(endpoint)
    lines = [entry['message'] for entry in run.job.log_entries]
    assert 'vm: create 6' in lines
    phases = [name for name in (line.partition(':')[0] for line in lines) if name in PHASES]
    assert phases == ['collect', 'plan', 'record', 'apply', 'record']
    # Besides these, the first line and the last.
    assert len(lines) - len(phases) <= len(run.counts) + len(run.messages) + 2


def test_settings_come_back_as_they_were_entered(pve, make_endpoint):
    entered = {
        'name': 'node_1 # "lab" = x',
        'description': "a # b = 'c' $HOME \\n",
        'ssh_user': 'net_box',
        'ssh_port': 2222,
        'ssh_password': 'p#a s=s"w\'o$rd\\',
        'ssh_host_keys': 'pve1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Uh3z0xIkZgJd2nB8OXcYk0Qm0wGqM6Jm0wV0X0b0x',
    }
    made = make_endpoint(pve, **entered)
    stored = ProxmoxEndpoint.objects.get(pk=made.pk)
    password = entered.pop('ssh_password')
    assert {name: getattr(stored, name) for name in entered} == entered
    assert stored.ssh_password.reveal() == password
