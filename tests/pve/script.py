"""What tests do to the cluster while it is being read. Every operation is also one of the control endpoint."""

import re
import uuid
from collections.abc import Iterable
from typing import Any, Literal

from .estate_script import ESTATE_OPERATIONS, EstateScript
from .guests import QEMU
from .interfaces import mac_of, nic_interface, report, static_addresses
from .privileges import Token, auditor
from .state import Cluster, Guest, Phase, Pool

__all__ = ('OPERATIONS', 'Script')

SIZE = re.compile(r'(^|,)size=[^,]*')
CONTAINER_RANGE = re.compile(r'trunks=[^,]*-')
OPERATIONS = (
    'add_disk', 'add_nic', 'add_pool', 'add_tag', 'add_token', 'agent_error', 'agent_running', 'agent_silent',
    'create', 'delete', 'delete_config', 'drop', 'fail', 'grant', 'hang', 'heal', 'impostor', 'latency',
    'migrate', 'node_offline', 'node_online', 'pause', 'quorum', 'remove_disk', 'remove_nic', 'remove_tag',
    'remove_token', 'rename', 'resize', 'reuse', 'revoke', 'set_addresses', 'set_config', 'set_ha',
    'set_interfaces', 'set_lock', 'set_options', 'set_pool', 'set_status', 'set_tags', 'slow', 'start', 'stop',
    *ESTATE_OPERATIONS,
)  # fmt: skip


class Script(EstateScript):
    """
    Operations on the cluster.

    Guests are named by vmid. Every operation takes effect at once, for the next request. Wrong vmids, nodes and keys
    raise KeyError.
    """

    cluster: Cluster

    def _guest(self, vmid: int) -> Guest:
        """The guest, about to be changed."""
        guest = self.cluster.guest(int(vmid))
        guest.touch()
        self.cluster.changed()
        return guest

    # ----- life -----

    def start(self, vmid: int) -> None:
        """Start or resume a guest; changes that waited for that are applied."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            for key, value in guest.pending.items():
                _put(guest.config, key, value)
            guest.pending = {}
            guest.status = 'running'
            memory = int(re.sub(r'\D', '', str(guest.config.get('memory', 512)))) << 20
            guest.metrics = {'cpu': 0.01, 'mem': memory // 4, 'uptime': 60, 'netin': 90, 'netout': 90}
            if not guest.interfaces:
                known = {key: static_addresses(str(value)) for key, value in guest.config.items() if key[:3] == 'net'}
                guest.interfaces = report(guest.type, guest.config, known)

    def stop(self, vmid: int) -> None:
        """Stop a guest."""
        self.set_status(vmid, 'stopped')

    def pause(self, vmid: int) -> None:
        """Pause a virtual machine: its process stays, /nodes/N/qemu still says running."""
        self.set_status(vmid, 'paused')

    def set_status(self, vmid: int, status: str) -> None:
        """Any word of QEMU: paused, prelaunch, suspended, io-error, ...; 'unknown' as if pvestatd did not run."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            guest.status = status
            if status == 'stopped':
                guest.metrics = {}

    def set_lock(self, vmid: int, lock: str | None) -> None:
        """backup, migrate, snapshot, suspended, ...; None unlocks."""
        self.set_config(vmid, lock=lock)

    def migrate(self, vmid: int, node: str) -> None:
        """Move a guest to another node."""
        with self.cluster.lock:
            self._guest(vmid).node = self.cluster.nodes[node].name

    def delete(self, vmid: int) -> None:
        """Destroy a guest."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            del self.cluster.guests[guest.id]

    def create(
        self,
        vmid: int | None = None,
        type: Literal['qemu', 'lxc'] = 'qemu',
        node: str | None = None,
        name: str | None = None,
        running: bool = False,
        pool: str | None = None,
        config: dict[str, Any] | None = None,
    ) -> int:
        """
        Make a guest with a NIC and a disk of its own and a new identity; returns its vmid.

        Attributes:
            config: Keys to add or replace; None takes one away.
        """
        with self.cluster.lock:
            if vmid is None:
                vmid = max((guest.vmid for guest in self.cluster.guests.values()), default=99) + 1
            if any(guest.vmid == vmid for guest in self.cluster.guests.values()):
                raise KeyError(f'guest {vmid} exists already')
            guest = Guest(type=type, vmid=int(vmid), node=node or self.cluster.local, config={}, pool=pool)
            guest.config = self._new_config(guest, name or f'new-{vmid}')
            for key, value in (config or {}).items():
                _put(guest.config, key, value)
            self.cluster.guests[guest.id] = guest
            self.cluster.changed()
            if running:
                self.start(vmid)
            return guest.vmid

    def reuse(self, vmid: int, **arguments: Any) -> int:
        """Destroy a guest and make another one with its vmid; arguments as `create`."""
        with self.cluster.lock:
            old = self.cluster.guest(vmid)
            arguments.setdefault('type', old.type)
            arguments.setdefault('node', old.node)
            self.delete(vmid)
            return self.create(vmid, **arguments)

    def _new_config(self, guest: Guest, name: str) -> dict[str, Any]:
        mac = self._mac()
        if guest.type == 'lxc':
            return {
                'arch': 'amd64',
                'cores': 1,
                'hostname': name,
                'memory': 512,
                'net0': f'name=eth0,bridge=vmbr0,hwaddr={mac},ip=dhcp,type=veth',
                'ostype': 'debian',
                'rootfs': f'local-lvm:vm-{guest.vmid}-disk-0,size=8G',
                'swap': 512,
            }
        return {
            'boot': 'order=scsi0;net0',
            'cores': 2,
            'memory': 2048 if self.cluster.major < 8 else '2048',
            'meta': f'creation-qemu={QEMU.get(self.cluster.major, QEMU[9])},ctime=1790000000',
            'name': name,
            'net0': f'virtio={mac},bridge=vmbr0',
            'ostype': 'l26',
            'scsi0': f'local-lvm:vm-{guest.vmid}-disk-0,size=32G',
            'scsihw': 'virtio-scsi-single',
            'smbios1': f'uuid={uuid.uuid4()}',
            'vmgenid': str(uuid.uuid4()),
        }

    # ----- configuration -----

    def rename(self, vmid: int, name: str | None) -> None:
        """Another name; None: without one."""
        guest = self.cluster.guest(int(vmid))
        self.set_config(vmid, **{'name' if guest.type == 'qemu' else 'hostname': name})

    def set_config(self, vmid: int, /, pending: bool = False, **keys: Any) -> None:
        """
        Set keys of the configuration; None deletes one. Keys that are no Python names: `**{'some-key': 1}`.

        Attributes:
            pending: The change waits for a restart.
        """
        with self.cluster.lock:
            guest = self._guest(vmid)
            for key, value in keys.items():
                if pending:
                    guest.pending[key] = value
                else:
                    _put(guest.config, key, value)

    def delete_config(self, vmid: int, *keys: str, pending: bool = False) -> None:
        """Delete keys of the configuration."""
        self.set_config(vmid, pending=pending, **dict.fromkeys(keys))

    def set_tags(self, vmid: int, *tags: str) -> None:
        """Replace all tags."""
        self.set_config(vmid, tags=';'.join(tags) or None)

    def add_tag(self, vmid: int, tag: str) -> None:
        """One more tag."""
        self.set_tags(vmid, *self._tags(vmid), tag)

    def remove_tag(self, vmid: int, tag: str) -> None:
        """One tag less."""
        self.set_tags(vmid, *(known for known in self._tags(vmid) if known != tag))

    def _tags(self, vmid: int) -> list[str]:
        return [tag for tag in re.split(r'[;, ]+', self.cluster.guest(vmid).config.get('tags', '')) if tag]

    def add_nic(
        self,
        vmid: int,
        key: str | None = None,
        bridge: str | None = 'vmbr0',
        tag: int | None = None,
        mac: str | None = None,
        model: str = 'virtio',
        addresses: Iterable[str] = (),
        options: str = '',
    ) -> str:
        """
        Add a NIC; returns its key.

        Attributes:
            addresses: What a running guest reports for it, with prefix length.
            options: More sub-keys as they are: 'firewall=1,mtu=9000'.

        Raises:
            ValueError: Proxmox VE takes no ranges of VLANs for containers.
        """
        with self.cluster.lock:
            guest = self._guest(vmid)
            if guest.type == 'lxc' and CONTAINER_RANGE.search(options):
                raise ValueError(f'The trunks of a container are single VLANs: {options}')
            key = key or _free(guest.config, 'net', 0)
            mac = mac or self._mac()
            parts = [f'{model}={mac}'] if guest.type == 'qemu' else [f'name=eth{key[3:]}', f'hwaddr={mac}']
            parts += [f'bridge={bridge}'] if bridge else []
            parts += [f'tag={tag}'] if tag else []
            parts += [options] if options else []
            guest.config[key] = ','.join(parts) + (',type=veth' if guest.type == 'lxc' else '')
            guest.interfaces.append(nic_interface(guest.type, key, guest.config[key], addresses))
            return key

    def remove_nic(self, vmid: int, key: str) -> None:
        """Take a NIC away, also from what the guest reports."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            mac = mac_of(guest.config.pop(key))
            guest.interfaces = [row for row in guest.interfaces if _mac_of_row(row) != mac]

    def add_disk(self, vmid: int, key: str | None = None, size: str = '8G', storage: str = 'local-lvm') -> str:
        """Add a disk (a mount point for containers); returns its key."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            key = key or (_free(guest.config, 'scsi', 1) if guest.type == 'qemu' else _free(guest.config, 'mp', 0))
            number = sum(f'vm-{guest.vmid}-disk-' in str(value) for value in guest.config.values())
            volume = f'{storage}:vm-{guest.vmid}-disk-{number}'
            mount = f',mp=/mnt/{key}' if guest.type == 'lxc' else ''
            guest.config[key] = f'{volume}{mount},size={size}'
            return key

    def remove_disk(self, vmid: int, key: str) -> None:
        """Take a disk away."""
        self.cluster.guest(int(vmid)).config[key]
        self.delete_config(vmid, key)

    def resize(self, vmid: int, key: str, size: str) -> None:
        """Give a disk another size: '64G'."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            value, found = SIZE.subn(rf'\1size={size}', guest.config[key])
            guest.config[key] = value if found else f'{value},size={size}'
            if key == 'rootfs':
                guest.metrics.pop('maxdisk', None)

    def _mac(self) -> str:
        """A MAC address that no guest has."""
        used = {mac_of(str(value)) for guest in self.cluster.guests.values() for value in guest.config.values()}
        return next(mac for mac in (_mac_number(number) for number in range(0xFE0000, 0x1000000)) if mac not in used)

    # ----- what the guest reports -----

    def agent_silent(self, vmid: int) -> None:
        """The guest agent is configured and does not answer."""
        self._set_agent(vmid, 'silent')

    def agent_error(self, vmid: int) -> None:
        """The guest agent answers every call with an error: 200 with `result.error`."""
        self._set_agent(vmid, 'error')

    def agent_running(self, vmid: int) -> None:
        """The guest agent answers."""
        self._set_agent(vmid, 'running')

    def _set_agent(self, vmid: int, agent: Literal['running', 'silent', 'error']) -> None:
        with self.cluster.lock:
            self._guest(vmid).agent = agent

    def set_addresses(self, vmid: int, key: str, *addresses: str) -> None:
        """What the running guest reports for a NIC, with prefix length; a link-local address is added."""
        with self.cluster.lock:
            guest = self._guest(vmid)
            nic = str(guest.config[key])
            made = nic_interface(guest.type, key, nic, addresses)
            rows = [row for row in guest.interfaces if _mac_of_row(row) == mac_of(nic)]
            if rows:
                made['name'] = rows[0]['name']
            guest.interfaces = [row for row in guest.interfaces if row not in rows] + [made]

    def set_interfaces(self, vmid: int, rows: list[dict[str, Any]]) -> None:
        """All that the running guest reports, in the form of agent/network-get-interfaces or /lxc/N/interfaces."""
        with self.cluster.lock:
            self._guest(vmid).interfaces = rows

    # ----- cluster -----

    def set_pool(self, vmid: int, pool: str | None) -> None:
        """Put a guest into a pool, or out of it."""
        with self.cluster.lock:
            if pool is not None and pool not in self.cluster.pools:
                raise KeyError(f'pool {pool} does not exist')
            self._guest(vmid).pool = pool
            self._permissions_changed()

    def add_pool(self, name: str, comment: str | None = None) -> None:
        """Make a pool."""
        with self.cluster.lock:
            self.cluster.pools[name] = Pool(name, comment)
            self.cluster.changed()

    def set_ha(self, vmid: int, state: str | None) -> None:
        """started, stopped, ignored, ...; None: no HA resource."""
        with self.cluster.lock:
            self._guest(vmid).hastate = state

    def set_options(self, **options: Any) -> None:
        """Keys of /cluster/options; None deletes one."""
        with self.cluster.lock:
            for key, value in options.items():
                _put(self.cluster.options, key, value)
            self.cluster.changed()

    def node_offline(self, node: str, phase: Phase = 'stale') -> None:
        """
        A node is lost: calls to it answer 595.

        Attributes:
            phase: 'stale' is the first minutes, with its guests listed as they were; 'unknown' is later, with rows
                that have lost name, sizes and state.
        """
        if node == self.cluster.local:
            raise ValueError(f'{node} is the node that answers: use fail(), drop() or close() instead')
        with self.cluster.lock:
            self.cluster.nodes[node].offline = phase
            self.cluster.changed()

    def node_online(self, node: str) -> None:
        """A node is back."""
        with self.cluster.lock:
            self.cluster.nodes[node].offline = None
            self.cluster.changed()

    def quorum(self, quorate: bool = False) -> None:
        """Without quorum the other nodes are lost; what this node knows is still answered."""
        with self.cluster.lock:
            self.cluster.quorate = quorate
            for node in self.cluster.nodes.values():
                if node.name != self.cluster.local:
                    node.offline = None if quorate else 'stale'
            self.cluster.changed()

    # ----- tokens -----

    def _token(self, token_id: str | None) -> Token:
        return self.cluster.tokens[token_id or self.cluster.default_token]

    def _permissions_changed(self) -> None:
        for token in self.cluster.tokens.values():
            token.forget()
        self.cluster.cache.clear()

    def revoke(self, privilege: str, path: str = '/', token_id: str | None = None) -> None:
        """Take a privilege ('VM.Audit', or a pattern: 'VM.*') away on a path and below."""
        with self.cluster.lock:
            self._token(token_id).revoke(privilege, path)
            self._permissions_changed()

    def grant(self, privilege: str, path: str = '/', propagate: int = 1, token_id: str | None = None) -> None:
        """Give a privilege on a path and, if it propagates, below."""
        with self.cluster.lock:
            self._token(token_id).grant(privilege, path, propagate)
            self._permissions_changed()

    def add_token(self, token_id: str, secret: str | None = None, privileges: dict[str, Any] | None = None) -> str:
        """
        Make another token; returns its secret.

        Attributes:
            privileges: {path: {privilege: propagate}}, or {path: [privilege, ...]}; by default the auditor's role.
        """
        with self.cluster.lock:
            acl = auditor(self.cluster.major) if privileges is None else {}
            for path, held in (privileges or {}).items():
                acl[path] = dict(held) if isinstance(held, dict) else dict.fromkeys(held, 1)
            token = Token(token_id, secret or str(uuid.uuid4()), acl)
            self.cluster.tokens[token_id] = token
            self._permissions_changed()
            return token.secret

    def remove_token(self, token_id: str) -> None:
        """The token does not exist any more, or has expired: 401."""
        with self.cluster.lock:
            del self.cluster.tokens[token_id]


def _put(target: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value


def _free(config: dict[str, Any], prefix: str, first: int) -> str:
    return next(f'{prefix}{number}' for number in range(first, 256) if f'{prefix}{number}' not in config)


def _mac_of_row(row: dict[str, Any]) -> str:
    return str(row.get('hardware-address') or row.get('hwaddr') or '').upper()


def _mac_number(number: int) -> str:
    return 'BC:24:11:' + ':'.join(f'{number >> shift & 0xFF:02X}' for shift in (16, 8, 0))
