import pytest

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.boot import boot_order, drive_roles
from netbox_proxsync.proxmox.parsers.config import parse_config
from netbox_proxsync.proxmox.parsers.disks import disk_keys
from netbox_proxsync.proxmox.parsers.nics import nic_keys

DEVICES = {
    'ide2': 'nas-iso:iso/x.iso,media=cdrom',
    'ide0': 'local-lvm:vm-1-cloudinit,media=cdrom',
    'sata0': 'none,media=cdrom',
    'scsi0': 'local-lvm:vm-1-disk-0,size=8G',
    'scsi1': 'local-lvm:vm-1-disk-1,size=8G',
    'net0': 'virtio=BC:24:11:00:01:00',
    'net10': 'virtio=BC:24:11:00:01:0A',
    'net2': 'virtio=BC:24:11:00:01:02',
    'efidisk0': 'local-lvm:vm-1-disk-9,size=4M',
    'hostpci0': '0000:01:00.0',
}


@pytest.mark.parametrize(
    ('keys', 'order', 'disk'),
    [
        ({'boot': 'order=scsi0;ide2;net0'}, ('scsi0', 'ide2', 'net0'), 'scsi0'),
        # a CD-ROM, a NIC or a cloud-init drive first: the first disk is still the boot disk
        ({'boot': 'order=ide2;net0;scsi1'}, ('ide2', 'net0', 'scsi1'), 'scsi1'),
        ({'boot': 'order=ide0;hostpci0;scsi0'}, ('ide0', 'hostpci0', 'scsi0'), 'scsi0'),
        ({'boot': 'order=net0'}, ('net0',), None),
        ({'boot': 'order=net0', 'bootdisk': 'scsi1'}, ('net0',), None),  # a left-over of the old form
        ({'boot': 'order=virtio5;scsi0'}, ('scsi0',), 'scsi0'),  # a device that was removed
        ({'boot': 'order=;'}, (), None),
        ({'boot': ' '}, (), None),  # present and blank
        ({'boot': ' ', 'bootdisk': 'scsi0'}, (), None),
        ({'boot': ''}, (), None),
        ({'boot': None, 'bootdisk': 'scsi0'}, ('scsi0', 'ide2', 'sata0', 'net0', 'net2', 'net10'), 'scsi0'),
        # both forms
        ({'boot': 'c,order=scsi1', 'bootdisk': 'scsi0'}, ('scsi0',), 'scsi0'),
        ({'boot': 'cdn,order=scsi1'}, ('ide2', 'sata0', 'net0', 'net2', 'net10'), None),
        # the old form: letters, with bootdisk for "c"; cloud-init is no CD-ROM
        ({'boot': 'c', 'bootdisk': 'scsi0'}, ('scsi0',), 'scsi0'),
        (
            {'boot': 'cdn', 'bootdisk': 'scsi1'},
            ('scsi1', 'ide2', 'sata0', 'net0', 'net2', 'net10'),
            'scsi1',
        ),
        ({'boot': 'legacy=dc', 'bootdisk': 'scsi0'}, ('ide2', 'sata0', 'scsi0'), 'scsi0'),
        ({'bootdisk': 'scsi0'}, ('scsi0', 'ide2', 'sata0', 'net0', 'net2', 'net10'), 'scsi0'),
        # a CD-ROM is no bootdisk
        ({'boot': 'nc', 'bootdisk': 'ide2'}, ('net0', 'net2', 'net10'), None),
        ({'bootdisk': 'ide2'}, ('ide2', 'sata0', 'net0', 'net2', 'net10'), None),
        ({'boot': 'ac', 'bootdisk': 'ide2'}, (), None),
        ({'boot': 'ac', 'bootdisk': 'scsi0'}, ('scsi0',), 'scsi0'),
        ({'boot': 'cdc', 'bootdisk': 'scsi0'}, ('ide2', 'sata0', 'scsi0'), 'scsi0'),
        ({'boot': 'c', 'bootdisk': 'efidisk0'}, ('efidisk0',), None),
        ({'boot': 'c', 'bootdisk': 'net0'}, (), None),
        # "none" without "media=cdrom" is no CD-ROM
        ({'boot': 'd', 'ide2': 'none'}, ('sata0',), None),
        ({'boot': 'c', 'bootdisk': 'virtio5'}, (), None),
        # without both, Proxmox VE gives no disk a boot index (and shows a size of 0 in its lists)
        ({}, ('ide2', 'sata0', 'net0', 'net2', 'net10'), None),
    ],
)
def test_boot_order(keys, order, disk):
    config = parse_config(GuestType.QEMU, DEVICES | keys)
    assert (config.boot_order, config.boot_disk) == (order, disk)


def order_of(config: dict[str, str]) -> tuple[str, ...]:
    roles = drive_roles(config, disk_keys(GuestType.QEMU, config))
    return boot_order(config, roles, nic_keys(config))


def test_order_of_keys_does_not_matter():
    config = DEVICES | {'boot': 'cdn', 'bootdisk': 'scsi0'}
    assert order_of(dict(reversed(config.items()))) == order_of(config)


@pytest.mark.parametrize(
    'keys',
    [{'boot': ['scsi0']}, {'boot': 'xyz'}, {'boot': 'order='}, {'bootdisk': []}, {'boot': 'd', 'ide2': 'media=cdrom'}],
)
def test_a_boot_order_that_cannot_be_read_is_unknown(keys):
    config = parse_config(GuestType.QEMU, DEVICES | keys)
    assert isinstance(config.boot_order, Unreadable)
    assert isinstance(config.boot_disk, Unreadable)


def test_a_boot_disk_is_unknown_where_a_drive_before_it_cannot_be_read():
    config = parse_config(GuestType.QEMU, DEVICES | {'boot': 'order=scsi1;scsi0', 'scsi1': 'size=8G'})
    assert config.boot_order == ('scsi1', 'scsi0')
    assert isinstance(config.boot_disk, Unreadable)
    assert parse_config(GuestType.QEMU, DEVICES | {'boot': 'order=scsi0', 'scsi1': 'size=8G'}).boot_disk == 'scsi0'


def test_containers_boot_from_their_root_file_system():
    config = parse_config(GuestType.LXC, {'rootfs': 'local-lvm:vm-200-disk-0,size=8G'})
    assert (config.boot_order, config.boot_disk) == ((), 'rootfs')
