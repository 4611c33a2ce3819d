from dataclasses import fields

import pytest
from hypothesis import given

from netbox_proxsync.proxmox.inventory import Disk, GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.disks import disk_keys, parse_disk

from ..strategies import json_values, nearly

GIB = 1024**3
QEMU, LXC = GuestType.QEMU, GuestType.LXC


def disk(key, size, storage, volume, format, mount_point=None):
    return Disk(
        key=key,
        size=size,
        storage=storage,
        volume=volume,
        format=format,
        mount_point=mount_point,
        passthrough=storage is None,
    )


@pytest.mark.parametrize(
    ('key', 'line', 'size', 'storage', 'volume', 'format'),
    [
        ('scsi0', 'local-lvm:vm-100-disk-1,discard=on,size=32G,ssd=1', 32 * GIB, 'local-lvm', 'vm-100-disk-1', 'raw'),
        ('scsi1', 'size=1T,iops_rd=1000,ceph-vm:vm-100-disk-0', 1024 * GIB, 'ceph-vm', 'vm-100-disk-0', 'raw'),
        ('sata0', 'tank:vm-102-disk-0,cache=writeback,size=104858K', 107374592, 'tank', 'vm-102-disk-0', 'raw'),
        ('scsi5', 'ceph-vm:vm-102-disk-5,size=2199023255552', 2048 * GIB, 'ceph-vm', 'vm-102-disk-5', 'raw'),
        ('virtio3', 'local:101/vm-101-disk-0.qcow2,size=8GiB', 8 * GIB, 'local', '101/vm-101-disk-0.qcow2', 'qcow2'),
        ('ide0', 'file=local:101/vm-101-disk-0.vmdk,size=1G', GIB, 'local', '101/vm-101-disk-0.vmdk', 'vmdk'),
        ('ide0', 'volume=local:101/vm-101-disk-0.raw,size=1G', GIB, 'local', '101/vm-101-disk-0.raw', 'raw'),
        ('scsi0', 'nfs:vm-1-disk-0,format=qcow2,size=1G', GIB, 'nfs', 'vm-1-disk-0', 'qcow2'),
        # linked clones
        (
            'scsi0',
            'local-lvm:base-101-disk-0/vm-105-disk-0,size=1G',
            GIB,
            'local-lvm',
            'base-101-disk-0/vm-105-disk-0',
            'raw',
        ),
        (
            'scsi0',
            'local:101/base-101-disk-0.raw/105/vm-105-disk-0.qcow2,size=1G',
            GIB,
            'local',
            '101/base-101-disk-0.raw/105/vm-105-disk-0.qcow2',
            'qcow2',
        ),
        # pass-through, with colons in the path
        (
            'sata1',
            '/dev/disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0000000,backup=0,size=3907018584K',
            4000787030016,
            None,
            '/dev/disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0000000',
            'raw',
        ),
        (
            'virtio1',
            '/dev/disk/by-path/pci-0000:00:1f.2-ata-1,size=1G',
            GIB,
            None,
            '/dev/disk/by-path/pci-0000:00:1f.2-ata-1',
            'raw',
        ),
        # only Proxmox VE's own name makes a cloud-init drive
        ('scsi0', 'tank:vm-1-disk-cloudinit,size=1G', GIB, 'tank', 'vm-1-disk-cloudinit', 'raw'),
    ],
)
def test_disk_of_a_virtual_machine(key, line, size, storage, volume, format):
    assert parse_disk(QEMU, key, line) == disk(key, size, storage, volume, format)


@pytest.mark.parametrize(
    'line',
    [
        'none,media=cdrom',
        'cdrom,media=cdrom',
        'nas-iso:iso/debian-13.1.0-amd64-netinst.iso,media=cdrom,size=783M',
        'media=cdrom,file=nas-iso:iso/x.iso',
        'local-lvm:vm-101-cloudinit,media=cdrom',
        'local-lvm:vm-101-cloudinit',
        'local:101/vm-101-cloudinit.qcow2,media=cdrom,size=4M',
        'none',
    ],
)
def test_removable_and_cloud_init_drives_are_no_disks(line):
    assert parse_disk(QEMU, 'ide2', line) is None


@pytest.mark.parametrize(
    ('key', 'line', 'expected'),
    [
        ('rootfs', 'local-lvm:vm-200-disk-0,size=8G', ('local-lvm', 'vm-200-disk-0', 'raw', '/')),
        ('rootfs', 'local:203/vm-203-disk-0.raw,size=8G', ('local', '203/vm-203-disk-0.raw', 'raw', '/')),
        ('rootfs', 'dir:202/subvol-202-disk-0,size=8G', ('dir', '202/subvol-202-disk-0', 'subvol', '/')),
        ('rootfs', 'tank:subvol-202-disk-0,size=8G,quota=1', ('tank', 'subvol-202-disk-0', 'subvol', '/')),
        (
            'rootfs',
            'tank:basevol-201-disk-0/subvol-202-disk-0,size=8G',
            ('tank', 'basevol-201-disk-0/subvol-202-disk-0', 'subvol', '/'),
        ),
        (
            'rootfs',
            'btrfs:202/subvol-202-disk-0.subvol,size=8G',
            ('btrfs', '202/subvol-202-disk-0.subvol', 'subvol', '/'),
        ),
        (
            'mp0',
            'local-lvm:vm-200-disk-1,mp=/srv/data,backup=1,size=8G',
            ('local-lvm', 'vm-200-disk-1', 'raw', '/srv/data'),
        ),
        ('mp1', 'mp=/srv,volume=tank:subvol-1-disk-0,size=8G', ('tank', 'subvol-1-disk-0', 'subvol', '/srv')),
        ('mp2', '/dev/sdb1,mp=/mnt,size=8G', (None, '/dev/sdb1', None, '/mnt')),
    ],
)
def test_mount_point_of_a_container(key, line, expected):
    assert parse_disk(LXC, key, line) == disk(key, 8 * GIB, *expected)


@pytest.mark.parametrize(
    ('guest_type', 'key', 'line'),
    [
        (LXC, 'mp1', '/mnt/bind/shared,mp=/shared,ro=1,shared=1'),
        (LXC, 'rootfs', 'local:203/vm-203-disk-0.raw'),
        (LXC, 'rootfs', 'local:203/subvol-203-disk-0.subvol,size=0'),  # no quota
        (QEMU, 'scsi0', '/dev/sdb'),
        (QEMU, 'scsi0', 'local-lvm:vm-1-disk-0,size=NaN'),
        (QEMU, 'scsi0', 'local-lvm:vm-1-disk-0,size=-1G'),
    ],
)
def test_size_that_proxmox_does_not_report_is_unknown(guest_type, key, line):
    size = parse_disk(guest_type, key, line).size
    assert isinstance(size, Unreadable)
    assert key in size.reason


@pytest.mark.parametrize('value', [None, [], {}, 'size=5G', '', 'a:b,c:d', 'file=x,file=y', 'file=x,volume=y', '=5'])
def test_a_line_that_names_no_volume_is_a_disk_of_which_nothing_is_known(value):
    found = parse_disk(QEMU, 'scsi0', value)
    assert found.key == 'scsi0'
    assert all(isinstance(getattr(found, field.name), Unreadable) for field in fields(Disk) if field.name != 'key')
    assert 'scsi0' in found.size.reason


def test_an_option_that_cannot_be_read_costs_the_others_nothing():
    found = parse_disk(LXC, 'mp0', 'tank:subvol-1-disk-0,mp=/a,mp=/b,size=8G')
    assert isinstance(found.mount_point, Unreadable)
    assert (found.storage, found.volume, found.size) == ('tank', 'subvol-1-disk-0', 8 * GIB)


def test_keys_of_a_virtual_machine():
    others = ['unused0', 'scsihw', 'efidisk0', 'tpmstate0', 'virtiofs0', 'scsi02', 'rootfs', 'mp0', 'net0']
    assert disk_keys(QEMU, ['sata5', 'scsi10', *others, 'scsi2', 'ide3', 'virtio0']) == [
        'ide3',
        'scsi2',
        'scsi10',
        'virtio0',
        'sata5',
    ]


def test_keys_of_a_container():
    assert disk_keys(LXC, ['mp10', 'mp2', 'mp', 'unused0', 'rootfs', 'dev0', 'rootfs0', 'scsi0']) == [
        'rootfs',
        'mp2',
        'mp10',
    ]


LINES = nearly(
    'local-lvm:vm-100-disk-1,size=32G,format=raw',
    '/dev/disk/by-id/x,size=1T',
    'none,media=cdrom',
    'file=local:101/vm-101-disk-0.qcow2',
    'local-lvm:vm-101-cloudinit,media=cdrom',
    'tank:subvol-1-disk-0,mp=/srv',
)


@pytest.mark.parametrize(('guest_type', 'key'), [(QEMU, 'scsi0'), (LXC, 'rootfs'), (LXC, 'mp0')])
@given(line=LINES | json_values)
def test_disk_of_any_line(guest_type, key, line):
    found = parse_disk(guest_type, key, line)
    if found is not None:
        assert isinstance(found.volume, Unreadable) or found.volume
        assert isinstance(found.size, Unreadable) or found.size > 0
