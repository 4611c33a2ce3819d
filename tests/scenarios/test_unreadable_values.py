"""
One value of a guest's configuration that cannot be read, through the real job: NetBox keeps it, and the rest is synced.

Tried for containers, whose values Proxmox VE hands out though it cannot parse them itself, and for virtual machines:
numbers, flags, notes, features, options of NICs and disks that are out of range or given twice, whole lines of NICs and
disks that are no property strings, trunks and bridges.
"""

import json

import pytest
from core.models import ObjectChange
from dcim.models import MACAddress
from ipam.models import VLAN, IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

pytestmark = pytest.mark.django_db

MACS = {number: f'BC:24:11:00:02:0{number}' for number in range(4)}


@pytest.fixture
def pve(standin):
    pve = standin(nodes=1, vms=1, containers=1, running=0, agent=0, ipv6=0, multi_nic=0, seed=3)
    vm = {
        'name': 'web', 'memory': 2048, 'cores': 2, 'sockets': 1, 'onboot': 1, 'ostype': 'l26', 'description': 'first',
        'scsi0': 'local-lvm:vm-1-disk-0,size=8G', 'scsi1': 'local-lvm:vm-1-disk-1,size=9G', 'boot': 'order=scsi0;net0',
        'net0': f'virtio={MACS[0]},bridge=vmbr0,trunks=5;6', 'net1': f'virtio={MACS[1]},bridge=vmbr0,tag=7,mtu=1400',
        'ide2': 'local-lvm:vm-1-cloudinit,media=cdrom', 'ipconfig1': 'ip=10.9.0.7/24', 'agent': '0', 'numa': 1,
        'smbios1': 'uuid=3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f',
    }  # fmt: skip
    ct = {
        'hostname': 'ct', 'memory': 1024, 'cores': 2, 'onboot': 1, 'ostype': 'debian', 'description': 'first\n',
        'unprivileged': 1, 'features': 'nesting=1', 'rootfs': 'local-lvm:vm-2-disk-0,size=8G',
        'mp0': 'local-lvm:vm-2-disk-1,mp=/srv,size=9G',
        'net0': f'name=eth0,hwaddr={MACS[2]},bridge=vmbr0,ip=10.9.0.8/24,tag=7',
        'net1': f'name=eth1,hwaddr={MACS[3]},bridge=vmbr0,ip=10.9.0.9/24',
    }  # fmt: skip
    pve.configs = {}
    for guest in pve.cluster.guests.values():
        pve.configs[guest.vmid] = {'digest': '0' * 40} | (vm if guest.type == 'qemu' else ct)
        answer(pve, guest.vmid)
    return pve


def answer(pve, vmid: int, **values):
    """Let the configuration of a guest be answered with some other values."""
    guest = pve.cluster.guests[vmid] if vmid in pve.cluster.guests else pve.cluster.guest(vmid)
    path = f'/nodes/{guest.node}/{guest.type}/{guest.vmid}/config'
    pve.heal(path)
    pve.fail(path, 200, 'OK', body=json.dumps({'data': pve.configs[guest.vmid] | values}))


def vmid_of(pve, guest_type: str) -> int:
    return next(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


@pytest.fixture
def synced(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, create_vlans=True)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    assert VMInterface.objects.count() == 4
    assert VirtualDisk.objects.count() == 4
    assert IPAddress.objects.count() == 3
    return endpoint


def everything() -> dict:
    """What NetBox holds of guests, by object; without what the same answers change."""
    found = {}
    for model in (VirtualMachine, VMInterface, MACAddress, VirtualDisk, IPAddress, VLAN):
        for row in model.objects.values():
            for name in ('last_updated', 'description', 'comments', '_site_id'):
                row.pop(name, None)
            (row.get('custom_field_data') or {}).pop('vm_last_sync', None)
            found[model.__name__, row['id']] = row
    for interface in VMInterface.objects.all():
        found['tagged', interface.pk] = set(interface.tagged_vlans.values_list('vid', flat=True))
    return found


SPOILED = [
    ('lxc', {'memory': 0}),
    ('lxc', {'memory': 'lots'}),
    ('lxc', {'cores': 'abc'}),
    ('lxc', {'cpulimit': 'x', 'cores': 'abc'}),
    ('lxc', {'onboot': 'maybe'}),
    ('lxc', {'template': 'maybe'}),
    ('lxc', {'unprivileged': 'maybe'}),
    ('lxc', {'features': 'nesting=1,nesting=0'}),
    ('lxc', {'features': 'nesting=maybe'}),
    ('lxc', {'rootfs': 'size=8G'}),
    ('lxc', {'rootfs': 'local-lvm:vm-2-disk-0,size=8G,size=9G'}),
    ('lxc', {'mp0': 'local-lvm:vm-2-disk-1,mp=/srv,mp=/x,size=9G'}),
    ('lxc', {'mp0': '=5'}),
    ('lxc', {'net0': f'name=eth0,name=eth7,hwaddr={MACS[2]},bridge=vmbr0,ip=10.9.0.8/24,tag=7'}),
    ('lxc', {'net0': f'name=eth0,hwaddr={MACS[2]},hwaddr={MACS[2]},bridge=vmbr0,ip=10.9.0.8/24,tag=7'}),
    ('lxc', {'net0': f'name=eth0,hwaddr={MACS[2]},bridge=vmbr0,ip=10.9.0.8/24,ip=10.9.0.1/24,tag=7'}),
    ('lxc', {'net0': f'name=eth0,hwaddr={MACS[2]},bridge=vmbr0,ip=10.9.0.8/24,tag=5000'}),
    ('lxc', {'net0': f'name=eth0,hwaddr={MACS[2]},bridge=,ip=10.9.0.8/24,tag=7'}),
    ('lxc', {'net0': 'veth'}),
    ('lxc', {'net1': ['name=eth1']}),
    ('lxc', {'hostname': ['ct']}),
    ('lxc', {'ostype': ['debian']}),
    ('lxc', {'tags': ['a']}),
    ('lxc', {'lock': ['backup']}),
    ('qemu', {'memory': 'lots'}),
    ('qemu', {'sockets': 'x'}),
    ('qemu', {'cores': 'x'}),
    ('qemu', {'numa': 'x'}),
    ('qemu', {'boot': 'xyz'}),
    ('qemu', {'cpu': ['host']}),
    ('qemu', {'machine': ['q35']}),
    ('qemu', {'arch': ['x86_64']}),
    ('qemu', {'smbios1': 'uuid=x'}),
    ('qemu', {'scsi1': 'size=9G'}),
    ('qemu', {'scsi0': 'local-lvm:vm-1-disk-0,size=8Q'}),
    ('qemu', {'net0': f'virtio={MACS[0]},bridge=vmbr0,trunks=5;6;x'}),
    ('qemu', {'net0': f'virtio={MACS[0]},bridge=vmbr0,bridge=vmbr1,trunks=5;6'}),
    ('qemu', {'net0': 'virtio=broken,bridge=vmbr0,trunks=5;6'}),
    ('qemu', {'net1': f'virtio={MACS[1]},bridge=vmbr0,tag=7,mtu=0'}),
    ('qemu', {'net1': f'virtio={MACS[1]},bridge=vmbr0,tag=x,mtu=1400'}),
    ('qemu', {'net1': None}),
    ('qemu', {'net1': '=5'}),
    ('qemu', {'ipconfig1': 'ip'}),
    ('qemu', {'ipconfig1': 'ip=10.9.0.7/24,ip=10.9.0.6/24'}),
    ('qemu', {'cicustom': 'network=a,network=b'}),
]


def test_an_unreadable_value_is_unchanged_and_does_not_affect_other_values(pve, synced, sync):
    """All of it in one test, because every run takes seconds: one run for each row."""
    before = everything()
    wrong = []
    for number, (guest_type, values) in enumerate(SPOILED):
        vmid = vmid_of(pve, guest_type)
        answer(pve, vmid, description=f'number {number}', **values)
        run = sync(synced)
        notes = VirtualMachine.objects.get(custom_field_data__vmid=vmid).comments
        after = everything()
        differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        unread = synced.guests.get(vmid=vmid).details['unread']
        reported = [warning for warning in run.messages if f'{guest_type}/{vmid}' in json.dumps(warning)]
        if run.status != 'completed' or notes != f'number {number}' or differing or not unread:
            wrong.append((values, run.status, run.error, notes, differing, unread))
        if not reported and 'scsi0' not in values and values != {'rootfs': 'local-lvm:vm-2-disk-0,size=8G,size=9G'}:
            wrong.append((values, 'no warning'))
        answer(pve, vmid, description=f'number {number}')
    assert not wrong


def test_values_that_become_readable_are_synchronized_again(pve, synced, sync):
    vmid = vmid_of(pve, 'lxc')
    answer(pve, vmid, memory=0, net1='veth')
    sync(synced)
    line = f'name=eth1,hwaddr={MACS[3]},bridge=vmbr0,ip=10.9.0.10/24,tag=9'
    answer(pve, vmid, memory=2048, net1=line)
    sync(synced)
    assert VirtualMachine.objects.get(custom_field_data__vmid=vmid).memory in (2048, 2147)
    assert VMInterface.objects.get(name='eth1').untagged_vlan.vid == 9
    assert IPAddress.objects.filter(address='10.9.0.10/24').exists()
    logged = ObjectChange.objects.count()
    sync(synced)
    assert ObjectChange.objects.count() == logged


def test_a_nic_that_was_never_read_is_not_created_and_one_that_is_missing_is_removed(pve, synced, sync):
    vmid = vmid_of(pve, 'lxc')
    answer(pve, vmid, net2='veth')
    sync(synced)
    assert VMInterface.objects.count() == 4
    pve.configs[vmid].pop('net1')
    answer(pve, vmid, net2='veth')
    sync(synced)
    interfaces = VMInterface.objects.filter(virtual_machine__custom_field_data__vmid=vmid)
    assert [interface.name for interface in interfaces] == ['eth0']


NOTES = [
    ("<div align='center'>\n <a href='https://x'><img src='y.png'/></a>\n\n <h2>Docker LXC</h2>\n</div>", 'Docker LXC'),
    ('[![build](https://x/b.svg)](https://x)\n\n# Web **server**\n\nmore', 'Web server'),
    ('See [the wiki](https://wiki/x) for `details`', 'See the wiki for details'),
    ('<!-- hidden\n\nstill -->\n\n- first item\n- second', 'first item'),
    ('![logo](x.png)\n<img src=y>', ''),
    ('plain first line\nsecond', 'plain first line'),
]  # fmt: skip


def test_the_description_is_the_first_line_with_text_outside_markup(pve, synced, sync):
    vmid = vmid_of(pve, 'lxc')
    for notes, description in NOTES:
        answer(pve, vmid, description=f'{notes}\n')
        sync(synced)
        machine = VirtualMachine.objects.get(custom_field_data__vmid=vmid)
        assert (machine.description, machine.comments) == (description, notes)
