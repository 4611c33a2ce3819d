"""
A cluster with a guest, a NIC, a disk and an interface for every rule of what becomes what.

What they become is written by hand in the tests.
"""

from typing import Any

from tests.pve import ClusterSpec, StandIn
from tests.pve.interfaces import agent_interface, container_interface

__all__ = ('GONE', 'fleet')

# Was there in the first run, and is deleted before the next one.
GONE = 190
LONG = 'long-' + 'x' * 58  # 63 letters, the longest that Proxmox VE takes

type Config = dict[str, Any]

SHOP = {
    'agent': 1, 'balloon': 1024, 'bios': 'ovmf', 'boot': 'order=net0;ide2;virtio1;scsi0', 'cores': 3,
    'cpu': 'host,flags=+aes', 'description': 'Frontend of the shop\n\nos: Debian 13 (by hand)\nAsk Jürgen.\n',
    'efidisk0': 'local-lvm:vm-100-disk-9,efitype=4m,size=4M', 'ide2': 'nas:iso/debian-13.iso,media=cdrom,size=783M',
    'machine': 'q35', 'memory': '4096', 'numa': 1, 'onboot': 1, 'ostype': 'l26',
    'scsi0': 'local-lvm:vm-100-disk-0,size=32G', 'smbios1': 'uuid=3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f', 'sockets': 2,
    'tags': 'Prod;web,blue customer_a', 'vcpus': 4, 'virtio1': 'nas:100/vm-100-disk-1.qcow2,size=8G',
}  # fmt: skip
NOTHING = dict.fromkeys(('agent', 'boot', 'cores', 'memory', 'net0', 'ostype', 'scsi0', 'scsihw', 'smbios1', 'vmgenid'))
NICS = {
    'net0': 'virtio=BC:24:11:0A:00:00,bridge=vmbr0,firewall=1,mtu=1400,rate=12.5,tag=20',
    'net1': 'e1000=BC:24:11:0A:00:01,bridge=vmbr0,tag=10,trunks=20;30-32',
    'net2': 'vmxnet3=BC:24:11:0A:00:02,bridge=vmbr0',
    'net3': 'virtio=BC:24:11:0A:00:03,bridge=vmbr1,link_down=1',
    'net4': 'virtio=BC:24:11:0A:00:04,bridge=web',
    'net5': 'virtio=BC:24:11:0A:00:05,bridge=vx5000',
    'net6': 'virtio=BC:24:11:0A:00:06,bridge=vx100',
    'net7': 'rtl8139=BC:24:11:0A:00:07',
    'net8': 'virtio=BC:24:11:0A:00:08,bridge=vmbr2,mtu=1',
    'net9': 'virtio=BC:24:11:0A:00:09,bridge=alltags',
    'net10': 'virtio=BC:24:11:0A:00:0A,bridge=vmbr1,mtu=1',
    'net11': 'virtio=BC:24:11:0A:00:0B,bridge=vmbr0,trunks=2-4094',
    'net12': 'virtio=BC:24:11:0A:00:0C,bridge=vmbr0,tag=77',
}
DISKS = {
    'boot': 'cdn', 'bootdisk': 'sata0', 'scsi0': None,
    'ide0': 'none,media=cdrom',
    'ide1': 'local-lvm:vm-130-cloudinit,media=cdrom',
    'sata0': 'ceph-vm:vm-130-disk-0,cache=writeback,serial=SECRET123,size=104858K',
    'sata1': '/dev/disk/by-id/ata-WDC_WD40,size=3907018584K',
    'sata2': '/dev/disk/by-id/ata-WDC_WD41',
    'scsi5': 'ceph-vm:vm-130-disk-5,size=2199023255552',
    'scsi6': 'local-lvm:vm-130-disk-6',
    'scsi7': 'nas:130/vm-130-disk-7.qcow2,size=1000',
    'efidisk0': 'local-lvm:vm-130-disk-8,size=4M',
    'tpmstate0': 'local-lvm:vm-130-disk-9,size=4M,version=v2.0',
    'unused0': 'local-lvm:vm-130-disk-10',
}  # fmt: skip


def fleet() -> StandIn:
    """The cluster, not served yet."""
    pve = StandIn(
        ClusterSpec(nodes=4, vms=0, containers=0, name='fleet', seed=5, addresses=('10.0.0.11', '2001:db8:0:1::12'))
    )
    networks(pve)
    machines(pve)
    statuses(pve)
    nics_and_disks(pve)
    addresses(pve)
    containers(pve)
    pve.set_not_backed_up(101, 201)
    pve.set_options(**{'tag-style': {'case-sensitive': 0, 'color-map': 'prod:FF0000:ffffff;BLUE:00ff00'}})
    pve.node_offline('pve4')
    return pve


def machine(pve: StandIn, vmid: int, name: str | None, config: Config | None = None, **values: Any) -> None:
    """A virtual machine; it runs on pve1 if nothing else is said."""
    pve.create(vmid, name=name, **{'node': 'pve1', 'running': True, 'config': config or {}} | values)
    if name is None:
        pve.rename(vmid, None)


def networks(pve: StandIn) -> None:
    pve.set_vnet('vx100', 'overlay', tag=100)
    pve.set_vnet('alltags', 'dc', vlanaware=1)
    for node in ('pve1', 'pve3'):
        pve.set_interface(node, 'vmbr9', type='bridge', bridge_ports='', cidr='192.168.100.1/24')
    wired(pve)
    switched(pve)


def wired(pve: StandIn) -> None:
    """pve1: what Linux bridges can, beside a bond, vmbr0 (VLAN-aware, management) and vmbr1 on bond0.40."""
    pve.set_interface('pve1', 'eno3', type='eth', active=None, mtu='9000', comments='to the\nlab switch\n')
    pve.set_interface(
        'pve1', 'vmbr2', type='bridge', bridge_ports='eno3', bridge_vlan_aware=1, bridge_vids='10 30-32', mtu='9000'
    )
    pve.set_interface(
        'pve1', 'vlan50', type='vlan', cidr='10.50.0.10/31', **{'vlan-id': '50', 'vlan-raw-device': 'bond0'}
    )
    pve.set_interface(
        'pve1', 'vmbr0.99', type='vlan', cidr='172.16.98.11/28', cidr6='2001:db8:99::2/127',
        **{'vlan-id': '99', 'vlan-raw-device': 'vmbr0'},
    )  # fmt: skip
    pve.set_interface('pve1', 'vmbr0:1', type='alias', cidr='10.0.1.11/24')
    pve.set_interface('pve1', 'lo', type='loopback', cidr='10.255.0.11/32', cidr6='2001:db8:ff::11/128')
    pve.set_interface('pve1', 'dummy0', type='unknown')
    pve.set_interface('pve1', 'wg0', type='unknown', cidr='10.201.0.1/32')
    pve.set_interface('pve1', 'vmbr0', cidr6='2001:db8::11/64')


def switched(pve: StandIn) -> None:
    """pve2: Open vSwitch; the cluster uses its IPv6 address."""
    for name in ('bond0', 'bond0.40', 'vmbr1'):
        pve.remove_interface('pve2', name)
    pve.set_interface('pve2', 'eno3', type='OVSPort', ovs_type='OVSPort', ovs_bridge='vmbr0', ovs_tag='20')
    pve.set_interface(
        'pve2', 'bondovs', type='OVSBond', ovs_type='OVSBond', ovs_bonds='eno1 eno2', ovs_bridge='vmbr0',
        ovs_options='bond_mode=balance-slb',
    )  # fmt: skip
    pve.set_interface(
        'pve2', 'mgmt', type='OVSIntPort', ovs_type='OVSIntPort', ovs_bridge='vmbr0', ovs_tag='30',
        cidr6='2001:db8:0:1::12/64', mtu='1500',
    )  # fmt: skip
    pve.set_interface(
        'pve2', 'vmbr0', type='OVSBridge', ovs_type='OVSBridge', ovs_ports='bondovs eno3 mgmt', address=None,
        netmask=None, cidr=None, gateway=None, bridge_ports=None, bridge_vlan_aware=None, bridge_vids=None,
    )  # fmt: skip


def machines(pve: StandIn) -> None:
    """The rows of virtual machines, by their configuration."""
    machine(pve, 100, 'shop.example.com', SHOP, pool='production')
    pve.set_ha(100, 'started')
    machine(pve, 101, 'defaults', NOTHING, running=False, node='pve2')
    machine(pve, 102, None, NOTHING, running=False)
    machine(pve, 103, 'twin', running=False)
    machine(pve, 104, 'Twin', running=False)
    machine(pve, 105, LONG, running=False)
    machine(pve, 106, LONG, running=False)
    machine(pve, 107, 'model', {'template': 1, 'tags': 'web'}, running=False)
    windows = {'ostype': 'win11', 'cores': 2, 'sockets': 3, 'tags': 'a.b;a-b;a+b;a_b'}
    machine(pve, 108, 'windows', windows, running=False)
    machine(pve, 109, 'waits', {'memory': '2048', 'description': 'y' * 300}, node='pve3')
    pve.set_config(109, pending=True, memory='65536', cores=16)
    machine(pve, GONE, 'leaver', {'net0': 'virtio=BC:24:11:0A:07:00,bridge=vmbr0'}, running=False)
    addresses_told = {
        'get-osinfo': {'id': 'rocky', 'name': 'Rocky Linux', 'pretty-name': 'Rocky Linux 9.6 (Blue Onyx)'},
        'get-host-name': {'host-name': 'DB.example.com'},
    }
    machine(pve, 110, 'asked', {'agent': 'enabled=1', 'net0': 'virtio=BC:24:11:0A:06:00,bridge=vmbr0'})
    pve.cluster.guest(110).agent_info = addresses_told
    pve.set_addresses(110, 'net0', '10.1.6.5/24')


def statuses(pve: StandIn) -> None:
    for vmid, status in ((140, 'paused'), (141, 'suspended'), (142, 'prelaunch'), (143, 'io-error'), (144, 'stopped')):
        machine(pve, vmid, f'is-{status}')
        pve.set_status(vmid, status)
    machine(pve, 145, 'is-hibernated', running=False)
    pve.set_lock(145, 'suspended')
    for vmid, lock in ((146, 'backup'), (147, 'snapshot'), (148, 'migrate')):
        machine(pve, vmid, f'locked-{lock}')
        pve.set_lock(vmid, lock)


def nics_and_disks(pve: StandIn) -> None:
    machine(pve, 120, 'nics', NICS, running=False)
    machine(pve, 121, 'switched', {'net0': 'virtio=BC:24:11:0A:01:00,bridge=vmbr0'}, node='pve2', running=False)
    machine(pve, 130, 'disks', DISKS, running=False)
    pve.grant('VM.Config.Disk', '/vms/130')
    pve.set_volume('local-lvm:vm-130-disk-6', 130, 5 << 30)


def addresses(pve: StandIn) -> None:
    """Virtual machines with several sources of addresses."""
    router = {
        'agent': 1,
        'net0': 'virtio=BC:24:11:0A:02:00,bridge=vmbr0',
        'net1': 'virtio=BC:24:11:0A:02:01,bridge=vmbr0',
        'ipconfig0': 'ip=10.1.0.5/24,gw=10.1.0.1,ip6=2001:db8:1::5/64',
        'ipconfig1': 'ip=dhcp,ip6=auto',
        'ide2': 'local-lvm:vm-150-cloudinit,media=cdrom',
    }
    machine(pve, 150, 'router', router)
    pve.set_interfaces(150, [
        agent_interface('lo', '00:00:00:00:00:00', ('127.0.0.1/8', '::1/128')),
        agent_interface('eth0', 'BC:24:11:0A:02:00', ('10.1.0.5/24', '2001:db8:1::5/64', 'fe80::5/64', '224.0.0.5/4')),
        agent_interface('eth0.5', 'BC:24:11:0A:02:00', ('10.1.5.5/24',)),
        agent_interface('eth1', 'BC:24:11:0A:02:01', ('10.1.2.5/24', '2001:db8:2::5/64', '169.254.7.7/16')),
        agent_interface('docker0', 'BC:24:11:0A:02:01', ('10.1.9.1/24',)),
        agent_interface('mesh0', 'BC:24:11:0A:02:01', ('10.1.10.1/24',)),
        agent_interface('eth1', 'BC:24:11:0A:02:01', ('10.66.0.5/24',)),
    ])  # fmt: skip
    private_first = agent_interface('eth0', 'BC:24:11:0A:03:00', ('fd00::5/64', '2a01:4f8::5/64', '2a01:4f8::bad/64'))
    private_first['ip-addresses'][2]['temporary'] = True
    machine(pve, 151, 'six', {'agent': 1, 'net0': 'virtio=BC:24:11:0A:03:00,bridge=vmbr0'})
    pve.set_interfaces(151, [private_first])
    gateway_second = {
        'net0': 'virtio=BC:24:11:0A:04:00,bridge=vmbr0', 'net1': 'virtio=BC:24:11:0A:04:01,bridge=vmbr0',
        'ipconfig0': 'ip=10.1.3.5/24', 'ipconfig1': 'ip=10.1.4.5/24,gw=10.1.4.1',
        'ide2': 'local-lvm:vm-152-cloudinit,media=cdrom',
    }  # fmt: skip
    machine(pve, 152, 'two-ways', gateway_second, running=False)
    # Windows tells no prefix length.
    addresses_told = ('10.1.8.5/24', '10.99.0.5/24', '2a01:4f8:1::5/64')
    without_length = agent_interface('Ethernet', 'BC:24:11:0A:05:00', addresses_told)
    for row in without_length['ip-addresses']:
        row['prefix'] = -1
    machine(pve, 153, 'no-length', {'agent': 1, 'net0': 'virtio=BC:24:11:0A:05:00,bridge=vmbr0'})
    pve.set_interfaces(153, [without_length])


def containers(pve: StandIn) -> None:
    def container(vmid: int, name: str | None, config: Config, **values: Any) -> None:
        machine(pve, vmid, name, config, type='lxc', **values)

    full = {
        'arch': 'arm64', 'cores': 2, 'description': 'Line one\n', 'features': 'nesting=1,keyctl=1', 'memory': 1024,
        'mp0': 'ceph-vm:vm-200-disk-1,mp=/srv/data,size=8G', 'mp1': '/mnt/bind/shared,mp=/shared,ro=1',
        'net0': 'name=eth0,bridge=vmbr0,firewall=1,gw=10.2.0.1,hwaddr=BC:24:11:0B:00:00,ip=10.2.0.20/24,'
                'ip6=2001:db8:22::20/64,rate=10,tag=20,type=veth',
        'net1': 'name=wan,bridge=vmbr1,hwaddr=BC:24:11:0B:00:01,ip=dhcp,ip6=auto,mtu=1400,type=veth',
        'onboot': 1, 'rootfs': 'nas:200/vm-200-disk-0.raw,size=8G', 'unprivileged': 1,
    }  # fmt: skip
    container(200, 'ct-web', full, pool='staging')
    pve.set_interfaces(200, [
        container_interface('eth0', 'BC:24:11:0B:00:00', ('10.2.0.20/24', '2001:db8:22::20/64', 'fe80::20/64')),
        container_interface('wan', 'BC:24:11:0B:00:01', ('10.2.1.20/24', '2001:db8:21::20/64')),
    ])  # fmt: skip
    container(201, 'half', {'cores': None, 'cpulimit': '1.5', 'net0': None, 'ostype': 'alpine'}, running=False)
    container(202, None, {'cores': None, 'arch': None, 'ostype': 'unmanaged', 'net0': None}, node='pve3', running=False)
    container(203, 'pattern', {'template': 1, 'net0': None}, running=False)
