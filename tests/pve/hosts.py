"""The hosts of a generated cluster: nodes, storages, networks, SDN, and the answers about them."""

import random
from typing import Any

from .answers import ApiError, error, success
from .state import Cluster, Node

__all__ = ('add_fixed', 'add_nodes')

GIB = 1 << 30
KERNELS = {6: '5.4.203-1-pve', 7: '5.15.158-2-pve', 8: '6.8.12-20-pve', 9: '6.14.11-4-pve'}
DIGEST = '5f3b8c1d2e4a6f708192a3b4c5d6e7f801234567'
STORAGES: tuple[dict[str, Any], ...] = (
    {'storage': 'local', 'type': 'dir', 'content': 'iso,vztmpl,backup', 'path': '/var/lib/vz'},
    {'storage': 'local-lvm', 'type': 'lvmthin', 'content': 'images,rootdir', 'thinpool': 'data', 'vgname': 'pve'},
    {'storage': 'ceph-vm', 'type': 'rbd', 'content': 'images,rootdir', 'pool': 'vm', 'shared': 1, 'krbd': 0},
    {'storage': 'nas', 'type': 'nfs', 'content': 'images,backup', 'server': '10.0.0.50', 'export': '/vm', 'shared': 1},
    {'storage': 'old', 'type': 'dir', 'content': 'images', 'path': '/mnt/old', 'disable': 1},
)
ZONES: tuple[dict[str, Any], ...] = (
    {'zone': 'dc', 'type': 'vlan', 'bridge': 'vmbr0', 'ipam': 'pve'},
    {'zone': 'overlay', 'type': 'vxlan', 'peers': '10.0.0.11,10.0.0.12', 'mtu': 1450, 'ipam': 'pve'},
)
VNETS: tuple[dict[str, Any], ...] = (
    {'vnet': 'web', 'zone': 'dc', 'type': 'vnet', 'tag': 20, 'alias': 'Web tier (prod)'},
    {'vnet': 'vx5000', 'zone': 'overlay', 'type': 'vnet', 'tag': 5000},
)
SUBNET = {
    'cidr': '10.20.0.0/16', 'gateway': '10.20.0.1', 'id': 'dc-10.20.0.0-16', 'mask': '16', 'network': '10.20.0.0',
    'subnet': 'dc-10.20.0.0-16', 'type': 'subnet', 'vnet': 'web', 'zone': 'dc', 'dhcp-range': [], 'digest': DIGEST,
}  # fmt: skip


def add_nodes(cluster: Cluster, count: int, chance: random.Random, addresses: tuple[str, ...] = ()) -> None:
    """Nodes pve1, pve2, ... of different sizes; the first ones at the given addresses."""
    for number in range(1, count + 1):
        name = f'pve{number}'
        cpus = chance.choice((16, 32, 64))
        memory = chance.choice((64, 128, 256)) * GIB
        row = {
            'cgroup-mode': 2,
            'cpu': round(chance.random() / 2, 4),
            'disk': 9 * GIB,
            'id': f'node/{name}',
            'level': '',
            'maxcpu': cpus,
            'maxdisk': 94 * GIB,
            'maxmem': memory,
            'mem': memory // 3,
            'node': name,
            'status': 'online',
            'type': 'node',
            'uptime': chance.randrange(10**4, 10**7),
        }
        cluster.nodes[name] = Node(
            name=name,
            nodeid=0 if cluster.name is None else number,
            address=addresses[number - 1] if number <= len(addresses) else f'10.0.{number // 240}.{number % 240 + 10}',
            row=row,
            storage_rows=[_storage_row(name, storage) for storage in STORAGES if not storage.get('disable')],
            network_rows=_zone_rows(cluster, name),
            fingerprint=':'.join(f'{chance.randrange(256):02X}' for _ in range(32)),
        )


def _storage_row(node: str, storage: dict[str, Any]) -> dict[str, Any]:
    return {
        'content': storage['content'],
        'disk': 20 * GIB,
        'id': f'storage/{node}/{storage["storage"]}',
        'maxdisk': 500 * GIB,
        'node': node,
        'plugintype': storage['type'],
        'shared': storage.get('shared', 0),
        'status': 'available',
        'storage': storage['storage'],
        'type': 'storage',
    }


def _zone_rows(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    rows = []
    for zone in ({'zone': 'localnetwork'}, *ZONES):
        name = zone['zone']
        if cluster.major >= 9:
            row = {'id': f'network/{node}/zone/{name}', 'network': name, 'network-type': 'zone', 'type': 'network'}
            if 'type' in zone:
                row['zone-type'] = zone['type']
        elif cluster.major == 7 and name == 'localnetwork':
            continue
        else:
            row = {'id': f'sdn/{node}/{name}', 'sdn': name, 'type': 'sdn'}
        rows.append({**row, 'node': node, 'status': 'ok'})
    return rows


def add_fixed(cluster: Cluster) -> None:
    """The answers that no script changes."""
    version, _, _build = cluster.version.partition('-')
    release = '.'.join(version.split('.')[:2])
    about = {'version': cluster.version, 'release': release, 'repoid': '14a22df35955d97d'}
    cluster.options.update({'keyboard': 'en-us'})
    if cluster.major >= 8:
        cluster.options['tag-style'] = {'color-map': 'prod:ff0000:ffffff;dev:00ff00', 'shape': 'full'}
        cluster.options['allowed-tags'] = ['dev', 'prod']
    _keep(cluster, '/version', about)
    _keep_cluster(cluster)
    _keep_sdn(cluster)
    for node in cluster.nodes.values():
        _keep_node(cluster, node, about)


def _keep(cluster: Cluster, path: str, data: Any) -> None:
    cluster.fixed[path] = success(data)


def _keep_error(cluster: Cluster, path: str, status: int, reason: str) -> None:
    cluster.fixed[path] = error(ApiError(status, reason), cluster.major)


def _keep_cluster(cluster: Cluster) -> None:
    members = [] if cluster.name is None else list(cluster.nodes.values())
    _keep(cluster, '/cluster/config/nodes', [
        {
            'name': node.name, 'node': node.name, 'nodeid': str(node.nodeid), 'quorum_votes': '1',
            'ring0_addr': node.address,
        } for node in members
    ])  # fmt: skip
    if cluster.name is None:
        _keep_error(cluster, '/cluster/config/join', 424, 'node is not in a cluster, no join info available!')
    else:
        _keep(cluster, '/cluster/config/totem', {
            'cluster_name': cluster.name, 'config_version': str(len(members)), 'version': '2', 'secauth': 'on',
            'interface': {'0': {'linknumber': '0'}}, 'ip_version': 'ipv4-6', 'link_mode': 'passive',
        })  # fmt: skip
    for path in ('/cluster/backup', '/cluster/backup-info/not-backed-up', '/cluster/replication', '/access/acl'):
        _keep(cluster, path, [])
    for kind in ('pci', 'usb', 'dir'):
        _keep(cluster, f'/cluster/mapping/{kind}', [])
    quorum = {'id': 'quorum', 'node': cluster.local, 'quorate': 1, 'status': 'OK', 'type': 'quorum'}
    _keep(cluster, '/cluster/ha/status/current', [quorum])
    _keep(cluster, '/cluster/ha/rules', [])
    if cluster.major >= 9:
        text = 'cannot index groups: ha groups have been migrated to rules'
        _keep_error(cluster, '/cluster/ha/groups', 500, text)
    else:
        _keep(cluster, '/cluster/ha/groups', [])
    users = [{'userid': 'netbox@pve', 'enable': 1, 'expire': 0, 'realm-type': 'pve'}]
    _keep(cluster, '/access/users', users)
    held = sorted({name for token in cluster.tokens.values() for entry in token.acl.values() for name in entry})
    _keep(cluster, '/access/roles', [{'roleid': 'PVEAuditor', 'privs': ','.join(held), 'special': 1}])
    _keep(cluster, '/storage', [{**storage, 'digest': DIGEST} for storage in STORAGES])


def _keep_sdn(cluster: Cluster) -> None:
    _keep(cluster, '/cluster/sdn', [{'id': name} for name in ('vnets', 'zones', 'controllers', 'ipams', 'dns')])
    _keep(cluster, '/cluster/sdn/zones', [{**zone, 'digest': DIGEST} for zone in ZONES])
    _keep(cluster, '/cluster/sdn/vnets', [{**vnet, 'digest': DIGEST} for vnet in VNETS])
    for vnet in VNETS:
        _keep(cluster, f'/cluster/sdn/vnets/{vnet["vnet"]}', {**vnet, 'digest': DIGEST})
        subnets = [_subnet(cluster)] if vnet['vnet'] == 'web' else []
        _keep(cluster, f'/cluster/sdn/vnets/{vnet["vnet"]}/subnets', subnets)
    for path in ('controllers', 'dns'):
        _keep(cluster, f'/cluster/sdn/{path}', [])
    _keep(cluster, '/cluster/sdn/ipams', [{'ipam': 'pve', 'type': 'pve', 'digest': DIGEST}])
    _keep(cluster, '/cluster/sdn/fabrics/all', {'fabrics': [], 'nodes': []})


def _subnet(cluster: Cluster) -> dict[str, Any]:
    """Version 7 knows neither ranges for DHCP nor the second name of the id."""
    return {key: value for key, value in SUBNET.items() if cluster.major >= 8 or key not in ('id', 'dhcp-range')}


def _keep_node(cluster: Cluster, node: Node, about: dict[str, Any]) -> None:
    base = f'/nodes/{node.name}'
    _keep(cluster, f'{base}/version', about)
    _keep(cluster, f'{base}/config', {'description': f'Rack 7, {node.name}\n', 'digest': DIGEST})
    _keep(cluster, f'{base}/dns', {'search': 'lab.example', 'dns1': '10.0.0.1'})
    _keep(cluster, f'{base}/time', {'timezone': 'UTC', 'time': 1790000000, 'localtime': 1790000000})
    known = ''.join(f'{other.address} {other.name}.lab.example {other.name}\n' for other in cluster.nodes.values())
    _keep(cluster, f'{base}/hosts', {'data': f'127.0.0.1 localhost\n{known}', 'digest': DIGEST})
    _keep(cluster, f'{base}/subscription', {
        'status': 'notfound', 'message': 'There is no subscription key', 'serverid': '0123456789ABCDEF0123456789ABCDEF',
        'url': 'https://www.proxmox.com/en/proxmox-virtual-environment/pricing',
    })  # fmt: skip
    _keep(cluster, f'{base}/status', _node_status(cluster, node))
    interfaces = _interfaces(node)
    _keep(cluster, f'{base}/network', interfaces)
    for interface in interfaces:
        own = {key: value for key, value in interface.items() if key != 'iface'}
        _keep(cluster, f'{base}/network/{interface["iface"]}', own)
    _keep(cluster, f'{base}/certificates/info', _certificates(cluster, node))
    for path in ('apt/versions', 'hardware/pci', 'disks/zfs', 'disks/lvmthin', 'disks/list'):
        _keep(cluster, f'{base}/{path}', [])
    _keep(cluster, f'{base}/disks/lvm', {'children': [], 'leaf': 0})
    _keep(cluster, f'{base}/sdn/zones', [{'zone': zone['zone'], 'status': 'available'} for zone in ZONES])
    rows = []
    for storage in STORAGES:
        on = not storage.get('disable')
        row = {
            'active': int(on), 'enabled': int(on), 'avail': 480 * GIB * on, 'used': 20 * GIB * on,
            'total': 500 * GIB * on, 'content': storage['content'], 'shared': storage.get('shared', 0),
            'type': storage['type'],
        }  # fmt: skip
        _keep(cluster, f'{base}/storage/{storage["storage"]}/status', row)
        _keep(cluster, f'{base}/storage/{storage["storage"]}/content', [])
        rows.append({**row, 'storage': storage['storage'], **({'used_fraction': 0.04} if on else {})})
    _keep(cluster, f'{base}/storage', rows)


def _node_status(cluster: Cluster, node: Node) -> dict[str, Any]:
    row = node.row
    memory = {'total': row['maxmem'], 'used': row['mem'], 'free': row['maxmem'] - row['mem']}
    if cluster.major >= 9:
        memory['available'] = memory['free']
    kernel = KERNELS.get(cluster.major, KERNELS[9])
    status = {
        'cpu': row['cpu'],
        'cpuinfo': {
            'cores': row['maxcpu'] // 2, 'cpus': row['maxcpu'], 'sockets': 2 if row['maxcpu'] >= 64 else 1,
            'mhz': '2600.000', 'user_hz': 100,
            'model': 'AMD EPYC 9354P 32-Core Processor', 'flags': 'fpu vme de', 'hvm': '1',
        },
        'idle': 0,
        'ksm': {'shared': 0},
        'kversion': f'Linux {kernel} #1 SMP PREEMPT_DYNAMIC',
        'loadavg': ['0.52', '0.47', '0.41'],
        'memory': memory,
        'pveversion': f'pve-manager/{cluster.version}/14a22df35955d97d',
        'rootfs': {'total': row['maxdisk'], 'used': row['disk'], 'free': 85 * GIB, 'avail': 85 * GIB},
        'swap': {'total': 8 * GIB, 'used': 0, 'free': 8 * GIB},
        'uptime': row['uptime'],
        'wait': 0,
    }  # fmt: skip
    if cluster.major >= 8:
        status['boot-info'] = {'mode': 'efi', 'secureboot': 0}
        status['current-kernel'] = {
            'machine': 'x86_64', 'release': kernel, 'sysname': 'Linux', 'version': '#1 SMP PREEMPT_DYNAMIC',
        }  # fmt: skip
    return status


def _certificates(cluster: Cluster, node: Node) -> list[dict[str, Any]]:
    """The cluster's authority and the node's own, which ends in the far future."""
    common = {'issuer': '/CN=Proxmox Virtual Environment', 'notbefore': 1760000000, 'public-key-type': 'rsaEncryption'}
    common['pem'] = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
    authority = {'filename': 'pve-root-ca.pem', 'fingerprint': cluster.authority, 'notafter': 4900000000}
    own = {'filename': 'pve-ssl.pem', 'fingerprint': node.fingerprint, 'notafter': 4800000000}
    authority['public-key-bits'], own['public-key-bits'] = 4096, 2048
    return [
        {**common, **authority, 'subject': common['issuer'], 'san': []},
        {**common, **own, 'subject': f'/OU=PVE Cluster Node/CN={node.name}', 'san': [node.address, node.name]},
    ]


def _interfaces(node: Node) -> list[dict[str, Any]]:
    """Two ports, a bond with a VLAN-aware bridge, and a bridge on a VLAN."""
    common = {'families': ['inet'], 'method': 'manual', 'method6': 'manual'}
    rows = [
        {'iface': 'eno1', 'type': 'eth', 'active': 1, 'exists': 1},
        {'iface': 'eno2', 'type': 'eth', 'active': 1, 'exists': 1},
        {
            'iface': 'bond0', 'type': 'bond', 'slaves': 'eno1 eno2', 'bond_mode': '802.3ad', 'bond_miimon': '100',
            'active': 1, 'autostart': 1,
        },
        {
            'iface': 'vmbr0', 'type': 'bridge', 'bridge_ports': 'bond0', 'bridge_stp': 'off', 'bridge_fd': '0',
            'bridge_vlan_aware': 1, 'bridge_vids': '2-4094', 'active': 1, 'autostart': 1, 'method': 'static',
            'address': node.address, 'netmask': '16', 'cidr': f'{node.address}/16', 'gateway': '10.0.0.1',
        },
        {
            'iface': 'bond0.40', 'type': 'vlan', 'vlan-id': '40', 'vlan-raw-device': 'bond0', 'active': 1,
            'autostart': 1, 'exists': None,
        },
        {
            'iface': 'vmbr1', 'type': 'bridge', 'bridge_ports': 'bond0.40', 'bridge_stp': 'off', 'bridge_fd': '0',
            'active': 1, 'autostart': 1, 'comments': 'storage network\n',
        },
    ]  # fmt: skip
    return [{**common, **row, 'priority': number + 3} for number, row in enumerate(rows)]
