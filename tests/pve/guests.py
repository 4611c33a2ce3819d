"""
The answers about one guest, made from its state: list rows, status, configuration, pending changes, agent, addresses.

How the rows come about (which values are clamped, which are left out when) follows qemu-server and pve-container; the
tests compare it with the recorded answers of real servers.
"""

import hashlib
import json
import re
from typing import Any

from .answers import ApiError
from .state import KINDS, Cluster, Guest, Node

__all__ = (
    'QEMU',
    'config',
    'interfaces',
    'list_row',
    'options_of',
    'pending',
    'resource_row',
    'size_in_bytes',
    'snapshots',
    'status',
)

type Row = dict[str, Any]
MIB = 1 << 20
SIZE = re.compile(r'^(\d+(?:\.\d+)?)([KMGT]?)(?:iB)?$')
DRIVE = re.compile(r'^(ide[0-3]|sata[0-5]|scsi(30|[12]?\d)|virtio(1[0-5]|\d))$')
# The QEMU that each major version came with last.
QEMU = {6: '5.2.0', 7: '7.2.0', 8: '9.2.0', 9: '10.1.2'}
PRESSURE = tuple(f'pressure{what}{how}' for what in ('cpu', 'io', 'memory') for how in ('full', 'some'))


def size_in_bytes(text: str) -> int:
    """'32G', '104858K', '512' (bytes); binary units."""
    number, unit = SIZE.match(text).groups()
    return int(float(number) * 1024 ** ' KMGT'.index(unit or ' '))


def options_of(value: str) -> dict[str, str]:
    """The sub-keys of a property string; the part without a key is under ''."""
    found = {}
    for part in str(value).split(','):
        key, separator, rest = part.partition('=')
        found[key if separator else ''] = rest if separator else key
    return found


def current_memory(guest: Guest) -> int:
    text = str(guest.config.get('memory', 512))
    return int(options_of(text).get('current', text)) if '=' in text else int(text)


def _disk_size(guest: Guest) -> int:
    """`maxdisk`: the size of the first boot disk only, or of the root file system."""
    if guest.type == 'lxc':
        size = options_of(guest.config.get('rootfs', '')).get('size')
        return size_in_bytes(size) if size else 4 << 30
    boot = guest.config.get('boot', '')
    order = options_of(boot).get('order')
    names = order.split(';') if order is not None else [guest.config.get('bootdisk', '')]
    for name in names:
        drive = guest.config.get(name)
        if drive is not None and DRIVE.match(name):
            parts = options_of(drive)
            if parts.get('media') != 'cdrom':
                return size_in_bytes(parts['size']) if 'size' in parts else 0
    return 0


def _cpus(guest: Guest, node: Node) -> int | float | str:
    """Clamped to the host's, unless `vcpus` says otherwise; containers take a limit as it is written."""
    config = guest.config
    if guest.type == 'lxc':
        cores = config.get('cores') or config.get('cpulimit') or node.cpus
        return cores
    if config.get('vcpus'):
        return int(config['vcpus'])
    return min(int(config.get('sockets', 1)) * int(config.get('cores', 1)), node.cpus)


def _number(value: float | str) -> int | float:
    number = float(value)
    return int(number) if number.is_integer() else number


def resource_row(cluster: Cluster, guest: Guest) -> Row:
    """In /cluster/resources, without the pool."""
    if 'resources' in guest.rows:
        return guest.rows['resources']
    metrics = guest.metrics if guest.up else {}
    row = {
        'cpu': metrics.get('cpu', 0),
        'disk': metrics.get('disk', 0),
        'diskread': metrics.get('diskread', 0),
        'diskwrite': metrics.get('diskwrite', 0),
        'id': guest.id,
        'maxcpu': _number(_cpus(guest, cluster.nodes[guest.node])),
        'maxdisk': metrics.get('maxdisk', _disk_size(guest)),
        'maxmem': metrics.get('maxmem', current_memory(guest) * MIB),
        'mem': metrics.get('mem', 0),
        'name': guest.name,
        'netin': metrics.get('netin', 0),
        'netout': metrics.get('netout', 0),
        'node': guest.node,
        'status': guest.status,
        'template': int(guest.config.get('template', 0)),
        'type': guest.type,
        'uptime': metrics.get('uptime', 0),
        'vmid': guest.vmid,
    }
    if cluster.major >= 9:
        row['memhost'] = row['mem'] if guest.type == 'qemu' else 0
    _labels(guest, row)
    if guest.hastate:
        row['hastate'] = guest.hastate
    return row


def unknown_row(guest: Guest) -> Row:
    """What is left of the row some minutes after the node was lost."""
    row = {'id': guest.id, 'vmid': guest.vmid, 'node': guest.node, 'type': guest.type, 'status': 'unknown'}
    _labels(guest, row)
    if guest.hastate:
        row['hastate'] = guest.hastate
    return row


def _labels(guest: Guest, row: Row) -> None:
    for key in ('tags', 'lock'):
        if guest.config.get(key):
            row[key] = guest.config[key]


def list_row(cluster: Cluster, guest: Guest, full: bool = False) -> Row:
    """In /nodes/N/qemu (also with full=1) and /nodes/N/lxc."""
    kind = 'full' if full else 'list'
    if kind in guest.rows:
        return guest.rows[kind]
    metrics = guest.metrics if guest.up else {}
    resources = resource_row(cluster, guest)
    keys = ['cpu', 'disk', 'maxdisk', 'maxmem', 'mem', 'name', 'netin', 'netout', 'uptime', 'vmid', 'tags', 'lock']
    if guest.type == 'lxc' or (full and guest.up):
        keys += ['diskread', 'diskwrite']
    row = {key: resources[key] for key in keys if key in resources}
    row['cpus'] = _cpus(guest, cluster.nodes[guest.node])
    row['status'] = 'running' if guest.up else 'stopped'
    if guest.config.get('template'):
        row['template'] = 1
    if guest.up:
        row['pid'] = metrics.get('pid', guest.vmid * 10)
    if guest.up and cluster.major >= 9:
        row.update(dict.fromkeys(PRESSURE, 0 if guest.type == 'qemu' else None))
    if guest.type == 'lxc':
        row.update(type='lxc', swap=0, maxswap=int(guest.config.get('swap', 0)) * MIB)
        if cluster.major < 8:
            row['vmid'] = str(guest.vmid)
    else:
        _qemu_row(cluster, guest, row, full)
    return row


def _qemu_row(cluster: Cluster, guest: Guest, row: Row, full: bool) -> None:
    if cluster.major >= 9:
        row['memhost'] = row['mem']
    if guest.config.get('balloon'):
        row.update(balloon_min=int(guest.config['balloon']) * MIB, shares=int(guest.config.get('shares', 1000)))
    if 'serial0' in guest.config:
        row['serial'] = 1
    if not full:
        return
    row['qmpstatus'] = guest.status
    if guest.up:
        qemu = QEMU.get(cluster.major, QEMU[9])
        row['balloon'] = row['maxmem']
        row['ballooninfo'] = {'actual': row['maxmem'], 'last_update': 0, 'max_mem': row['maxmem']}
        row['nics'] = {
            f'tap{guest.vmid}i{key[3:]}': {'netin': 0, 'netout': 0} for key in guest.config if key.startswith('net')
        }
        row['running-machine'] = f'pc-i440fx-{qemu.rpartition(".")[0]}'
        row['running-qemu'] = qemu


def status(cluster: Cluster, guest: Guest) -> Row:
    """Of /status/current."""
    row = dict(list_row(cluster, guest, full=guest.type == 'qemu'))
    managed = guest.hastate is not None
    row['ha'] = {'managed': int(managed)}
    if managed:
        row['ha']['state'] = guest.hastate
        if cluster.major < 9:
            row['ha']['group'] = None
    if guest.type == 'qemu':
        if agent_enabled(guest):
            row['agent'] = 1
        if 'vga' in guest.config:
            row['clipboard'] = None
            if guest.config['vga'].startswith(('qxl', 'virtio')):
                row['spice'] = 1
    row['vmid'] = guest.vmid
    return row


def _digest(guest: Guest) -> str:
    content = json.dumps([guest.config, guest.pending], sort_keys=True)
    return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()


def config(guest: Guest, current: bool) -> Row:
    """With the pending changes applied, or as it runs."""
    row = dict(guest.config)
    if not current:
        for key, value in guest.pending.items():
            if value is None:
                row.pop(key, None)
            else:
                row[key] = value
    if row.get('description'):
        row['description'] = _notes(guest, row['description'])
    row['digest'] = _digest(guest)
    return row


def _notes(guest: Guest, text: str) -> str:
    """Notes end with a newline in the answers about containers; virtual machines lose their last one."""
    text = text.removesuffix('\n')
    return f'{text}\n' if guest.type == 'lxc' else text


def pending(guest: Guest) -> list[Row]:
    """Both values of each key."""
    rows = []
    for key, value in {**guest.config, 'digest': _digest(guest)}.items():
        row = {'key': key, 'value': _notes(guest, value) if key == 'description' else value}
        if key in guest.pending:
            row.update({'delete': 1} if guest.pending[key] is None else {'pending': guest.pending[key]})
        rows.append(row)
    added = (key for key in guest.pending if key not in guest.config and guest.pending[key] is not None)
    return rows + [{'key': key, 'pending': guest.pending[key]} for key in added]


def snapshots(guest: Guest) -> list[Row]:
    """With the pseudo snapshot that stands for the present."""
    here = {'name': 'current', 'description': 'You are here!', 'digest': _digest(guest), 'running': int(guest.up)}
    if guest.config.get('parent'):
        here['parent'] = guest.config['parent']
    return [*guest.snapshots, here]


def snapshot_config(guest: Guest, name: str) -> Row:
    if name not in guest.snapshot_configs:
        raise ApiError(500, f"snapshot '{name}' does not exist")
    return guest.snapshot_configs[name]


def cloudinit(guest: Guest) -> list[Row]:
    """The cloud-init settings that the drive would be made from."""
    keys = ('ciuser', 'nameserver', 'searchdomain', 'sshkeys')
    found = {**guest.config, **{key: value for key, value in guest.pending.items() if value is not None}}
    return [{'key': key, 'value': found[key]} for key in sorted(found) if key in keys]


def agent_enabled(guest: Guest) -> bool:
    """The first part of the property says it: '1', 'enabled=1,...', '0,...'."""
    parts = options_of(guest.config.get('agent', '0'))
    return parts.get('enabled', parts.get('', '0')) in ('1', 'on', 'yes', 'true')


def agent(guest: Guest, command: str) -> Row:
    """
    Of /agent/COMMAND.

    Raises:
        ApiError: There is no agent, it does not answer, or the guest is not running.
    """
    if not agent_enabled(guest):
        raise ApiError(500, 'No QEMU guest agent configured')
    if not guest.up:
        raise ApiError(500, f'VM {guest.vmid} is not running')
    if guest.agent == 'silent' or guest.status != 'running':
        raise ApiError(500, 'QEMU guest agent is not running')
    if guest.agent == 'error':
        name = command if command.startswith(('get-', 'network-')) else f'get-{command}'
        text = f'The command guest-{name} has been disabled for this instance'
        return {'result': {'error': {'class': 'CommandNotFound', 'desc': text}}}
    if command == 'network-get-interfaces':
        return {'result': guest.interfaces}
    if command not in guest.agent_info:
        text = f'The command guest-{command} has not been found'
        return {'result': {'error': {'class': 'CommandNotFound', 'desc': text}}}
    return {'result': guest.agent_info[command]}


def interfaces(cluster: Cluster, guest: Guest) -> list[Row] | None:
    """Of /lxc/N/interfaces; nothing for a stopped container."""
    return guest.interfaces if guest.up else None


def missing(node: str, type_: str, vmid: str) -> ApiError:
    """Proxmox VE says 500, not 404, also for a guest that is on another node."""
    return ApiError(500, f"Configuration file 'nodes/{node}/{KINDS[type_]}/{vmid}.conf' does not exist")
