"""What becomes of guests, by the rows of the mapping. Sizes are MiB, for both base units of this NetBox are 1024."""

from datetime import datetime
from decimal import Decimal

import pytest
from virtualization.models import VirtualMachine

pytestmark = pytest.mark.django_db


def fields(vm: VirtualMachine, *names: str) -> dict:
    return {name: vm.custom_field_data.get(name) for name in names}


@pytest.mark.parametrize(
    ('vmid', 'name'),
    [
        (100, 'shop.example.com'),
        (102, 'VM 102'),
        (200, 'ct-web'),
        (202, 'CT202'),
        (103, 'twin'),
        (104, 'Twin (104)'),
        (105, 'long-' + 'x' * 58),
        (106, 'long-' + 'x' * 53 + ' (106)'),
    ],
)
def test_the_name_is_as_proxmox_lists_it_and_the_younger_of_two_gets_its_vm_id(made, vmid, name):
    assert made.vm(vmid).name == name
    assert len(name) <= 64


@pytest.mark.parametrize(
    ('vmid', 'status'),
    [
        (100, 'active'),
        (144, 'offline'),
        (140, 'paused'),
        (141, 'paused'),
        (145, 'paused'),
        (142, 'staged'),
        (143, 'staged'),
        (146, 'active'),
        (147, 'active'),
        (148, 'active'),
        (107, 'staged'),
        (203, 'staged'),
        (200, 'active'),
        (201, 'offline'),
        (190, 'decommissioning'),
    ],
)
def test_the_status_follows_what_qemu_says_and_no_passing_lock(made, vmid, status):
    assert made.vm(vmid).status == status


def test_a_guest_is_in_the_cluster_of_its_endpoint_and_on_the_device_of_its_node(made):
    assert {made.vm(vmid).cluster.name for vmid in (100, 101, 109, 200)} == {'fleet'}
    assert [made.vm(vmid).device for vmid in (100, 101, 109)] == [made.device(f'pve{number}') for number in (1, 2, 3)]


def test_the_type_tells_machines_from_containers(made):
    assert made.vm(100).virtual_machine_type.name == 'Proxmox VM'
    assert made.vm(200).virtual_machine_type.name == 'Proxmox container'


@pytest.mark.parametrize(
    ('vmid', 'vcpus'),
    [
        (100, '4'),  # vcpus: 4 of 2 x 3
        (101, '1'),
        (108, '6'),  # 3 sockets x 2 cores
        (109, '2'),  # 16 wait for a restart
        (200, '2'),
        (201, '1.5'),  # cpulimit
        (202, '32'),  # no limit: all of pve3
    ],
)
def test_virtual_cpus(made, vmid, vcpus):
    assert made.vm(vmid).vcpus == Decimal(vcpus)


def test_memory_is_that_of_the_running_configuration(made):
    assert [made.vm(vmid).memory for vmid in (100, 101, 109, 200)] == [4096, 512, 2048, 1024]


def test_start_on_boot_follows_onboot(made):
    assert [made.vm(vmid).start_on_boot for vmid in (100, 101, 200, 201)] == ['on', 'off', 'on', 'off']


def test_the_serial_number_is_the_smbios_uuid(made):
    assert made.vm(100).serial == '3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f'
    assert (made.vm(101).serial, made.vm(200).serial) == ('', '')


def test_the_notes_are_the_comments_and_their_first_line_the_description(made):
    assert made.vm(100).description == 'Frontend of the shop'
    assert made.vm(100).comments == 'Frontend of the shop\n\nos: Debian 13 (by hand)\nAsk Jürgen.'
    assert (made.vm(101).description, made.vm(101).comments) == ('', '')
    assert (made.vm(109).description, made.vm(109).comments) == ('y' * 200, 'y' * 300)


def test_tags_are_split_at_every_separator_and_take_the_colors_of_the_datacenter(made, lab9):
    # Without case-sensitive tags, 'Prod' is 'prod'. 'web' was there before, and is as it was.
    assert {(tag.name, tag.color) for tag in made.vm(100).tags.all()} == {
        ('prod', 'ff0000'), ('web', '9e9e9e'), ('blue', '00ff00'), ('customer_a', '9e9e9e'),
    }  # fmt: skip
    assert not made.vm(101).tags.exists()


def test_tags_that_would_share_a_slug_have_one_each(made):
    slugs = dict(made.vm(108).tags.values_list('name', 'slug'))
    assert set(slugs) == {'a.b', 'a-b', 'a+b', 'a_b'}
    assert set(slugs.values()) == {'a-b', 'a-b-2', 'a-plus-b', 'a_b'}


@pytest.mark.parametrize(
    ('vmid', 'platform'),
    [
        (100, 'Debian 13 (by hand)'),  # a line of the notes
        (110, 'Rocky Linux 9.6 (Blue Onyx)'),  # the guest agent
        (150, 'Linux'),  # ostype l26: its agent does not tell
        (108, 'Windows 11/2022/2025'),
        (200, 'Debian'),
        (201, 'Alpine Linux'),
        (202, None),  # unmanaged
        (101, None),
    ],
)
def test_the_platform_is_from_the_notes_else_the_agent_else_the_ostype(made, vmid, platform):
    found = made.vm(vmid).platform
    assert (found and found.name) == platform


def test_role_and_tenant_are_those_of_the_endpoint(lab9, made):
    assert (lab9.vm(100).role.name, lab9.vm(100).tenant.name) == ('Guest', 'Research')
    assert (made.vm(100).role, made.vm(100).tenant) == (None, None)


QEMU = (
    'cpu_sockets', 'qemu_cores_per_socket', 'min_memory_mb', 'qemu_cpu_type', 'qemu_bios_type', 'qemu_machine_type',
    'qemu_numa_enabled', 'qemu_boot_order', 'boot_disk_storage', 'boot_disk_format',
)  # fmt: skip
LXC = ('lxc_architecture', 'lxc_unprivileged', 'lxc_features', 'lxc_rootfs_storage')


def test_custom_fields_of_a_machine(made):
    assert tuple(fields(made.vm(100), *QEMU).values()) == (
        2, 3, 1024, 'host', 'ovmf', 'q35', True, 'net0;ide2;virtio1;scsi0', 'nas', 'qcow2',
    )  # fmt: skip
    assert set(fields(made.vm(100), *LXC).values()) == {None}


def test_custom_fields_of_a_machine_that_configures_nothing(made):
    assert tuple(fields(made.vm(101), *QEMU).values()) == (
        1, 1, None, 'kvm64', 'seabios', 'pc', False, None, None, None,
    )  # fmt: skip


def test_the_boot_order_and_disk_of_an_old_configuration(made):
    # cdn: the boot disk, all CD-ROMs, all NICs. The boot disk is never a CD-ROM or a NIC.
    assert fields(made.vm(130), 'qemu_boot_order', 'boot_disk_storage', 'boot_disk_format') == {
        'qemu_boot_order': 'sata0;ide0;net0', 'boot_disk_storage': 'ceph-vm', 'boot_disk_format': 'raw',
    }  # fmt: skip


def test_custom_fields_of_a_container(made):
    assert tuple(fields(made.vm(200), *LXC).values()) == ('arm64', True, 'keyctl=1,nesting=1', 'nas')
    assert tuple(fields(made.vm(202), *LXC).values()) == ('amd64', False, None, 'local-lvm')
    assert set(fields(made.vm(200), *QEMU[:-2]).values()) == {None}


def test_custom_fields_of_every_guest(made):
    names = ('vmid', 'vm_status', 'proxmox_pool', 'proxmox_ha_state', 'proxmox_template', 'proxmox_backed_up')
    assert tuple(fields(made.vm(100), *names).values()) == (100, 'Deployed', 'production', 'started', False, True)
    assert tuple(fields(made.vm(101), *names).values()) == (101, 'Deployed', None, None, False, False)
    assert tuple(fields(made.vm(107), *names).values()) == (107, 'Deployed', None, None, True, True)
    assert tuple(fields(made.vm(200), *names).values()) == (200, 'Deployed', 'staging', None, False, True)
    assert made.vm(190).custom_field_data['vm_status'] == 'Deleted'


def test_the_last_sync_is_that_which_changed_something(made):
    first, second, _third = made.runs
    stamps = {vmid: datetime.fromisoformat(made.vm(vmid).custom_field_data['vm_last_sync']) for vmid in (100, 190)}
    assert first.started < stamps[100] < first.completed
    assert second.started < stamps[190] < second.completed


@pytest.mark.parametrize(
    ('vmid', 'disks'),
    [
        (100, {
            'scsi0': (32768, 'local-lvm:vm-100-disk-0, raw'),
            'virtio1': (8192, 'nas:100/vm-100-disk-1.qcow2, qcow2'),
        }),
        (130, {
            'sata0': (102, 'ceph-vm:vm-130-disk-0, raw'),  # 104858K
            'sata1': (3815448, '/dev/disk/by-id/ata-WDC_WD40, raw, pass-through'),
            'scsi5': (2097152, 'ceph-vm:vm-130-disk-5, raw'),  # in bytes
            'scsi6': (5120, 'local-lvm:vm-130-disk-6, raw'),  # from the list of the storage
            'scsi7': (1, 'nas:130/vm-130-disk-7.qcow2, qcow2'),  # 1000 bytes
        }),
        (200, {
            'rootfs': (8192, 'nas:200/vm-200-disk-0.raw, raw, /'),
            'mp0': (8192, 'ceph-vm:vm-200-disk-1, raw, /srv/data'),
        }),
        (101, {}),
    ],
)  # fmt: skip
def test_data_disks_with_their_sizes(made, vmid, disks):
    vm = made.vm(vmid)
    assert {disk.name: (disk.size, disk.description) for disk in vm.virtualdisks.all()} == disks
    assert (vm.disk or 0) == sum(size for size, _description in disks.values())
