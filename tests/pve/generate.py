"""Makes clusters of any size out of a seed: the same every time, with no MAC, address or UUID twice."""

import hashlib
import random
import uuid
from dataclasses import dataclass
from typing import Any

from . import hosts
from .guests import QEMU
from .interfaces import agent_interface, report
from .privileges import Token, auditor
from .state import Cluster, Guest, Pool

__all__ = ('ClusterSpec', 'generate')

TOKEN_ID = 'netbox@pve!proxsync'
EPOCH = 1_760_000_000
ROLES = ('web', 'db', 'app', 'mail', 'dns', 'cache', 'ci', 'git', 'monitor', 'vpn', 'proxy', 'queue')
SITES = ('lab.example', 'corp.example', 'dmz.example')
TAGS = ('prod', 'staging', 'dev', 'backup-daily', 'pci_dss', 'customer-a', 'customer-b', 'legacy')
VLANS = (10, 20, 30, 40, 120)
POOLS = {'production': 'Production guests', 'staging': 'Größere Änderungen hier zuerst ☃', 'empty': None}
NOTES = (
    '# {name}\n\n* owner: Jürgen Groß\n* zażółć gęślą jaźń ☃',
    'Installed by hand, see the wiki.\n\nNext check: 100 % load test',
    '<b>{name}</b>: {role} & more, "quoted"',
)
SYSTEMS = (
    ('l26', 'debian', 'Debian GNU/Linux', '13 (trixie)'),
    ('l26', 'ubuntu', 'Ubuntu', '24.04.3 LTS (Noble Numbat)'),
    ('l26', 'rocky', 'Rocky Linux', '9.6 (Blue Onyx)'),
    ('win11', 'mswindows', 'Microsoft Windows', '11'),
)
BUSES = ('scsi', 'scsi', 'scsi', 'virtio', 'virtio', 'sata', 'ide')
SIZES = ('4G', '8G', '16G', '32G', '100G', '520M', '104858K', '1T', '1536M')
# What new virtual machines got: `x86-64-v2-AES` exists since 8.
CPU_TYPES = {6: ('kvm64', 'host'), 7: ('kvm64', 'host'), 8: ('x86-64-v2-AES', 'host'), 9: ('x86-64-v2-AES', 'host')}
MEMORY = (512, 1024, 2048, 4096, 8192, 16384)


@dataclass(frozen=True)
class ClusterSpec:
    """
    What to generate.

    Attributes:
        nodes, vms, containers: How many.
        running, agent, vlan, ipv6, multi_nic, templates: Shares from 0 to 1: of guests that run, of virtual machines
            with a guest agent, of NICs with a VLAN tag, of NICs with IPv6, of guests with more than one NIC, of stopped
            guests that are templates.
        version: Of Proxmox VE: 9.2.11, 8.4.21, 7.4-20, or too old: 6.4-15.
        standalone: One host that is in no cluster.
        name: Of the cluster.
        addresses: Of the nodes, in their order; those without one get one in 10.0.0.0/16.
    """

    nodes: int = 3
    vms: int = 20
    containers: int = 10
    running: float = 0.7
    agent: float = 0.8
    vlan: float = 0.5
    ipv6: float = 0.4
    multi_nic: float = 0.3
    templates: float = 0.1
    version: str = '9.2.11'
    seed: int = 1
    standalone: bool = False
    name: str = 'lab'
    addresses: tuple[str, ...] = ()


def generate(spec: ClusterSpec, secret: str = '') -> Cluster:
    """
    Make a cluster with one token that holds the auditor's role.

    Raises:
        ValueError: A stand-alone host has one node.
    """
    if spec.standalone and spec.nodes != 1:
        raise ValueError('A stand-alone host has exactly one node')
    chance = random.Random(spec.seed)
    cluster = Cluster(
        version=spec.version,
        local='pve1',
        name=None if spec.standalone else spec.name,
        config_version=spec.nodes,
        authority=authority_of(spec),
        pools={name: Pool(name, comment) for name, comment in POOLS.items()},
    )
    if cluster.major >= 8:
        cluster.pools['production/db'] = Pool('production/db', 'nested')
    cluster.pools['production'].storages.append('ceph-vm')
    hosts.add_nodes(cluster, spec.nodes, chance, spec.addresses)
    builder = _Builder(spec, cluster, chance)
    for number in range(spec.vms + spec.containers):
        # Types take turns, so that vmids of both are mixed.
        is_vm = number * spec.vms // (spec.vms + spec.containers) != (number + 1) * spec.vms // (
            spec.vms + spec.containers
        )
        guest = builder.vm(number) if is_vm else builder.container(number)
        cluster.guests[guest.id] = guest
    hosts.add_fixed(cluster)
    token = Token(TOKEN_ID, secret or str(uuid.UUID(int=chance.getrandbits(128), version=4)), auditor(cluster.major))
    cluster.tokens[token.id] = token
    cluster.default_token = token.id
    return cluster


def authority_of(spec: ClusterSpec) -> str:
    """The fingerprint of its certificate authority: another one for every other cluster."""
    return hashlib.sha256(repr(spec).encode()).digest().hex(':').upper()


class _Builder:
    """Makes guests; numbers that must not repeat come from the guest's number."""

    def __init__(self, spec: ClusterSpec, cluster: Cluster, chance: random.Random):
        self.spec = spec
        self.cluster = cluster
        self.chance = chance
        self.nodes = list(cluster.nodes)
        self.macs = 0

    def share(self, share: float) -> bool:
        return self.chance.random() < share

    def mac(self) -> str:
        self.macs += 1
        return 'BC:24:11:' + ':'.join(f'{self.macs >> shift & 0xFF:02X}' for shift in (16, 8, 0))

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def addresses(self, number: int, nic: int, tag: int | None) -> list[str]:
        """Unique: the second octet is the network, the others count guests."""
        network = (tag or 1) % 200 + nic * 16
        found = [f'10.{network}.{number // 250 + 1}.{number % 250 + 2}/16']
        if self.share(self.spec.ipv6):
            found.append(f'2001:db8:{tag or 1}:{nic}::{number + 2:x}/64')
        return found

    def common(self, number: int, role: str, guest: Guest, name_key: str) -> None:
        """Name, tags, description, pool, HA, state."""
        guest.config[name_key] = f'{role}{number:02d}'
        if self.share(0.15):
            guest.config[name_key] += f'.{self.chance.choice(SITES)}'
        tags = self.chance.sample(TAGS, self.chance.choice((0, 0, 1, 1, 2, 3)))
        if tags:
            guest.config['tags'] = ';'.join([*tags, role])
        if self.share(0.25):
            guest.config['description'] = self.chance.choice(NOTES).format(name=guest.config[name_key], role=role)
        if self.share(0.5):
            guest.config['onboot'] = 1
        if self.share(0.4):
            guest.pool = self.chance.choice([name for name in self.cluster.pools if name != 'empty'])
        if self.share(self.spec.running):
            guest.status = 'running'
            guest.metrics = {
                'cpu': round(self.chance.random() / 4, 4),
                'mem': int(guest.config.get('memory', 512)) << 19,
                'uptime': self.chance.randrange(60, 10_000_000),
                'netin': self.chance.randrange(10**9),
                'netout': self.chance.randrange(10**9),
                'diskread': self.chance.randrange(10**9),
                'diskwrite': self.chance.randrange(10**9),
            }
            if guest.type == 'lxc':
                guest.metrics['disk'] = 700 << 20
            if self.share(0.1) and not self.spec.standalone:
                guest.hastate = 'started'
        elif self.share(self.spec.templates):
            guest.config['template'] = 1

    def vm(self, number: int) -> Guest:
        """A virtual machine."""
        role = self.chance.choice(ROLES)
        ostype, *system = self.chance.choice(SYSTEMS)
        guest = Guest(type='qemu', vmid=100 + number, node=self.chance.choice(self.nodes), config={})
        memory = self.chance.choice(MEMORY)
        config: dict[str, Any] = {
            'cores': self.chance.choice((1, 2, 2, 4, 8)),
            'cpu': self.chance.choice(CPU_TYPES.get(self.cluster.major, CPU_TYPES[9])),
            # A number in 7.x, a text since.
            'memory': memory if self.cluster.major < 8 else str(memory),
            'meta': f'creation-qemu={QEMU.get(self.cluster.major, QEMU[9])},ctime={EPOCH + number * 600}',
            'numa': 0,
            'ostype': ostype,
            'scsihw': 'virtio-scsi-single',
            'smbios1': f'uuid={self.uuid()}',
            'sockets': self.chance.choice((1, 1, 1, 2)),
            'vmgenid': self.uuid(),
        }
        guest.config = config
        disks = self.disks(guest)
        addresses = self.vm_nics(number, config)
        config['boot'] = f'order={disks[0]};net0'
        if self.share(self.spec.agent):
            config['agent'] = self.chance.choice(('1', 'enabled=1', 'enabled=1,fstrim_cloned_disks=1'))
        if self.share(0.2):
            config['bios'] = 'ovmf'
            config['machine'] = 'q35'
            config['efidisk0'] = f'local-lvm:vm-{guest.vmid}-disk-efi,efitype=4m,size=4M'
        if ostype == 'win11':
            config['tpmstate0'] = f'local-lvm:vm-{guest.vmid}-disk-tpm,size=4M,version=v2.0'
        if self.share(0.3):
            config['ide2'] = 'none,media=cdrom'
        self.common(number, role, guest, 'name')
        if guest.up and self.share(0.05):
            guest.pending = {'cores': 16, 'memory': 65536 if self.cluster.major < 8 else '65536'}
        self.inside_vm(guest, addresses, system)
        return guest

    def disks(self, guest: Guest) -> list[str]:
        bus = self.chance.choice(BUSES)
        keys = [f'{bus}0']
        for extra in range(self.chance.choice((0, 0, 0, 1, 2))):
            keys.append(f'scsi{extra + 1}')
        for index, key in enumerate(keys):
            storage = self.chance.choice(('local-lvm', 'local-lvm', 'ceph-vm', 'nas'))
            volume = f'vm-{guest.vmid}-disk-{index}'
            if storage == 'nas':
                volume = f'{guest.vmid}/{volume}.qcow2'
            guest.config[key] = f'{storage}:{volume},size={self.chance.choice(SIZES)}'
        if self.share(0.05):
            guest.config['unused0'] = f'local-lvm:vm-{guest.vmid}-disk-{len(keys)}'
        return keys

    def vm_nics(self, number: int, config: dict[str, Any]) -> dict[str, list[str]]:
        addresses = {}
        for nic in range(self.nic_count()):
            tag = self.chance.choice(VLANS) if self.share(self.spec.vlan) else None
            model = self.chance.choice(('virtio', 'virtio', 'virtio', 'e1000', 'vmxnet3'))
            parts = [f'{model}={self.mac()}', f'bridge={"vmbr0" if nic == 0 else "vmbr1"}']
            parts += ['firewall=1'] if self.share(0.3) else []
            parts += [f'tag={tag}'] if tag else []
            config[f'net{nic}'] = ','.join(parts)
            addresses[f'net{nic}'] = self.addresses(number, nic, tag)
        if self.share(0.3):
            first = addresses['net0']
            config['ipconfig0'] = ','.join(f'{"ip6" if ":" in value else "ip"}={value}' for value in first)
            config['ciuser'] = 'admin'
            config['ide3'] = f'local-lvm:vm-{number}-cloudinit,media=cdrom,size=4M'
        return addresses

    def nic_count(self) -> int:
        return self.chance.choice((2, 2, 3)) if self.share(self.spec.multi_nic) else 1

    def inside_vm(self, guest: Guest, addresses: dict[str, list[str]], system: list[str]) -> None:
        """What the agent says."""
        extra = []
        if self.share(0.1):
            extra.append(agent_interface('docker0', f'02:42:{guest.vmid % 256:02x}:00:00:01', ('172.17.0.1/16',)))
        guest.interfaces = report('qemu', guest.config, addresses, extra)
        name, pretty, version = system
        guest.agent_info = {
            'get-osinfo': {
                'id': name,
                'name': pretty,
                'pretty-name': f'{pretty} {version}',
                'version': version,
                'version-id': version.split(' ')[0],
                'machine': 'x86_64',
                'kernel-release': '6.14.11-4-pve',
            },
            'get-host-name': {'host-name': guest.config['name']},
            'get-fsinfo': [],
            'get-vcpus': [{'logical-id': 0, 'online': True, 'can-offline': False}],
            'get-timezone': {'zone': 'UTC', 'offset': 0},
            'info': {'version': '9.2.0', 'supported_commands': []},
        }

    def container(self, number: int) -> Guest:
        """A container."""
        role = self.chance.choice(ROLES)
        guest = Guest(type='lxc', vmid=100 + number, node=self.chance.choice(self.nodes), config={})
        config: dict[str, Any] = {
            'arch': 'amd64',
            'memory': self.chance.choice(MEMORY),
            'ostype': self.chance.choice(('debian', 'ubuntu', 'alpine')),
            'rootfs': f'local-lvm:vm-{guest.vmid}-disk-0,size={self.chance.choice(SIZES)}',
            'swap': 512,
            'unprivileged': 1,
        }
        if self.share(0.8):
            config['cores'] = self.chance.choice((1, 2, 4))
        if self.share(0.2):
            config['mp0'] = f'ceph-vm:vm-{guest.vmid}-disk-1,mp=/srv/data,size={self.chance.choice(SIZES)}'
        if self.share(0.1):
            config['mp1'] = '/mnt/bind/shared,mp=/shared,ro=1'
        addresses = {}
        for nic in range(self.nic_count()):
            tag = self.chance.choice(VLANS) if self.share(self.spec.vlan) else None
            found = self.addresses(number, nic, tag)
            parts = [f'name=eth{nic}', f'bridge={"vmbr0" if nic == 0 else "vmbr1"}', f'hwaddr={self.mac()}']
            if self.share(0.6):
                parts += [f'{"ip6" if ":" in value else "ip"}={value}' for value in found]
            else:
                parts += ['ip=dhcp'] + (['ip6=auto'] if len(found) > 1 else [])
            parts += [f'tag={tag}'] if tag else []
            config[f'net{nic}'] = ','.join([*parts, 'type=veth'])
            addresses[f'net{nic}'] = found
        guest.config = config
        self.common(number, role, guest, 'hostname')
        guest.interfaces = report('lxc', config, addresses)
        return guest
