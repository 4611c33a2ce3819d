"""Small inventories and NetBox states for tests of the comparison."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_interface

from netbox_proxsync.proxmox.infrastructure import InterfaceType, NodeInterface
from netbox_proxsync.proxmox.inventory import (
    Address,
    AddressOrigin,
    Disk,
    Guest,
    GuestConfig,
    GuestType,
    Inventory,
    Nic,
    NicAddresses,
    Node,
    TagStyle,
    Unreadable,
)
from netbox_proxsync.sync.changes import Action, Plan
from netbox_proxsync.sync.comparison import compare
from netbox_proxsync.sync.desired import desire
from netbox_proxsync.sync.hints import (
    AddressRecordHints,
    GuestRecordHints,
    InterfaceRecordHints,
    MACRecordHints,
    NamedRecordHints,
    PartRecordHints,
)
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.network_candidates import VlanIndex
from netbox_proxsync.sync.settings import Settings
from netbox_proxsync.sync.state import Bound, Existing, Hints, Record
from netbox_proxsync.sync.values import Pointer, Ref, Shared

UNREAD = Unreadable('It was not read.')

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(endpoint=Pointer('netbox_proxsync.proxmoxendpoint', 1, 'lab'))


def nic(key='net0', mac='BC:24:11:00:00:01', **values) -> Nic:
    defaults = {
        'name': None,
        'model': 'virtio',
        'bridge': 'vmbr0',
        'vlan_tag': None,
        'trunks': (),
        'firewall': False,
        'link_down': False,
        'mtu': None,
        'rate_mbps': None,
    }
    return Nic(key=key, mac=mac, **(defaults | values))


def disk(key='scsi0', size=32 * 2**30, **values) -> Disk:
    defaults = {
        'storage': 'local',
        'volume': f'vm-disk-{key}',
        'format': 'raw',
        'mount_point': None,
        'passthrough': False,
    }
    return Disk(key=key, size=size, **(defaults | values))


def config(**values) -> GuestConfig:
    defaults = {
        'name': None,
        'description': '',
        'memory': 2 * 2**30,
        'min_memory': None,
        'sockets': 1,
        'cores': 2,
        'vcpus': None,
        'cpulimit': None,
        'start_on_boot': False,
        'ostype': 'l26',
        'tags': (),
        'template': False,
        'lock': None,
        'nics': (nic(),),
        'disks': (disk(),),
        'boot_order': ('scsi0',),
        'boot_disk': 'scsi0',
        'agent': True,
        'uuid': None,
        'created': None,
        'cpu_type': 'kvm64',
        'bios': 'seabios',
        'machine': 'pc',
        'numa': False,
        'architecture': None,
        'unprivileged': None,
        'features': None,
    }
    return GuestConfig(**(defaults | values))


def addresses(
    *texts: str, running: Unreadable | None = None, origin=AddressOrigin.OBSERVED, gateway=False
) -> NicAddresses:
    return NicAddresses(
        addresses=tuple(
            Address(
                interface=ip_interface(text),
                has_prefix='/' in text,
                origin=origin,
                source='guest agent',
                reported=running is None,
            )
            for text in texts
        ),
        ignored=(),
        running=running,
        has_gateway4=gateway,
        has_gateway6=gateway,
        guest_name=None,
        configured=frozenset(ip_interface(text).ip for text in texts) if origin is AddressOrigin.STATIC else None,
        excess=frozenset(),
    )


def guest(vmid=100, name='web', ips=('10.0.0.5/24',), **values) -> Guest:
    conf = values.pop('config', None) or config(nics=(nic(mac=f'BC:24:11:00:00:{vmid % 256:02X}'),))
    defaults = {
        'type': GuestType.QEMU,
        'node': 'pve1',
        'status': 'running',
        'lock': None,
        'template': False,
        'tags': (),
        'pool': None,
        'ha_state': None,
        'addresses': {'net0': addresses(*ips)},
    }
    return Guest(vmid=vmid, name=name, config=conf, **(defaults | values))


def node(name='pve1', **values) -> Node:
    defaults = {
        'online': True, 'cpus': 8, 'address': '10.0.0.1', 'facts': UNREAD, 'certificates': UNREAD,
        'interfaces': UNREAD, 'hardware': None,
    }  # fmt: skip
    return Node(name=name, **(defaults | values))


def node_interface(name, kind=InterfaceType.ETH, **values) -> NodeInterface:
    defaults = {
        'raw_type': str(kind), 'active': True, 'mtu': None, 'comments': '', 'addresses': (), 'gateway4': None,
        'gateway6': None, 'members': (), 'ports': (), 'bridge': None, 'vlan_aware': False, 'vids': (), 'vlan_id': None,
        'parent': None,
    }  # fmt: skip
    return NodeInterface(name=name, type=kind, **(defaults | values))


def inventory(*guests: Guest, **values) -> Inventory:
    defaults = {
        'version': '9.2.11',
        'cluster_name': 'lab',
        'quorate': True,
        'guests_incomplete': None,
        'nodes': (node(),),
        'vnets': (),
        'not_backed_up': frozenset(),
        'tag_style': TagStyle(colors={}, case_sensitive=True),
        'warnings': (),
        'calls': 0,
    }
    return Inventory(guests=guests, **(defaults | values))


EMPTY = Existing(
    bindings={},
    records={},
    foreign={},
    shared={},
    custom_fields={
        kind.model: frozenset(spec.name[3:] for spec in kind.fields if spec.name.startswith('cf_'))
        for kind in KINDS.values()
    },
    prefixes={},
    dependents={},
)


def plan(
    inv: Inventory,
    existing: Existing = EMPTY,
    settings: Settings = SETTINGS,
    now: datetime = NOW,
    vmids: Collection[int] | None = None,
) -> Plan:
    if vmids is not None:
        inv = only_read(inv, vmids)
    return compare(desire(inv, settings, vmids), existing, settings, now)


def only_read(inv: Inventory, vmids: Collection[int]) -> Inventory:
    """The inventory as the collector makes it for a run that is limited to some guests."""
    guests = (entry if entry.vmid in vmids else replace(entry, config=UNREAD, addresses=UNREAD) for entry in inv.guests)
    return replace(inv, guests=tuple(guests))


class NetBox:
    """NetBox in memory: takes plans as the writer would, so that rounds of syncs can be played without a database."""

    def __init__(self):
        self.records: dict[str, dict[Pointer, Record]] = {kind: {} for kind in KINDS}
        self.bindings: dict[tuple[str, str], Bound] = {}
        self.shared: dict[Shared, Pointer] = {}
        self.vlans: dict[str, VlanIndex] = {}
        self.serial = 0

    @property
    def existing(self) -> Existing:
        return replace(
            EMPTY,
            bindings=dict(self.bindings),
            records={
                kind: [self.refreshed(kind, record) for record in rows.values()] for kind, rows in self.records.items()
            },
            shared=dict(self.shared),
            vlans=self.vlans,
        )

    def sync(
        self,
        inv: Inventory,
        settings: Settings = SETTINGS,
        now: datetime = NOW,
        vmids: Collection[int] | None = None,
    ) -> Plan:
        made = plan(inv, self.existing, settings, now, vmids)
        assert not made.refusal, made.refusal
        self.apply(made, now)
        return made

    def new_pk(self) -> int:
        self.serial += 1
        return self.serial

    def add(self, kind: str, label='by hand', **values) -> Pointer:
        """An object that a user makes."""
        pointer = Pointer(KINDS[kind].model, self.new_pk(), label)
        blank = {spec.name: frozenset() if spec.owner == 'set' else None for spec in KINDS[kind].fields}
        self.records[kind][pointer] = Record(pointer=pointer, values=blank | values)
        return pointer

    def edit(self, kind: str, pointer: Pointer, **values):
        record = self.records[kind][pointer]
        self.records[kind][pointer] = replace(record, values={**record.values, **values})

    def object(self, kind: str, key: str) -> Record:
        return self.records[kind][self.bindings[kind, key].pointer]

    def resolve(self, value):
        match value:
            case Ref():
                return self.bindings[value.kind, value.key].pointer
            case Shared():
                return self.shared.setdefault(value, Pointer(value.model, self.new_pk(), value.name))
            case frozenset():
                return frozenset(self.resolve(element) for element in value)
        return value

    def apply(self, made: Plan, now: datetime):
        moving = [bound for bound in self.bindings.values() if bound.pk in made.rekeyed]
        for bound in moving:
            del self.bindings[bound.kind, bound.key]
        for bound in moving:
            key, unit = made.rekeyed[bound.pk]
            self.bindings[bound.kind, key] = replace(bound, key=key, unit=unit)
        for change in made.changes:
            pointer = self.add(change.kind, change.label) if change.action is Action.CREATE else change.pointer
            if change.action in (Action.DELETE, Action.RELEASE):
                self.bindings.pop((change.kind, change.key))
            elif not change.action.is_open:
                before = next((bound for bound in self.bindings.values() if bound.pointer == pointer), None)
                for identity in [key for key, bound in self.bindings.items() if bound.pointer == pointer]:
                    self.bindings.pop(identity)
                self.bindings[change.kind, change.key] = Bound(
                    pk=self.new_pk(),
                    kind=change.kind,
                    key=change.key,
                    unit=change.unit,
                    pointer=pointer,
                    last={},
                    created_by_sync=before.created_by_sync if before else change.action is Action.CREATE,
                    missing_since=now if change.action is Action.RETIRE else None,
                )
        for change in made.changes:
            if change.action is Action.DELETE or change.action.is_open:
                continue
            bound = self.bindings.get((change.kind, change.key))
            pointer = bound.pointer if bound else change.pointer
            self.edit(change.kind, pointer, **{field.name: self.resolve(field.want) for field in change.writes})
            if bound:
                last = {name: self.resolve(value) for name, value in change.binding.items()}
                self.bindings[change.kind, change.key] = replace(bound, last=last)
        for change in made.changes:
            if change.action is Action.DELETE:
                self.records[change.kind].pop(change.pointer)
        for identity, bound in list(self.bindings.items()):
            if bound.pk in made.refreshed:
                self.bindings[identity] = replace(bound, last=made.refreshed[bound.pk])
            elif bound.pk in made.forgotten:
                del self.bindings[identity]

    def refreshed(self, kind: str, record: Record) -> Record:
        """The record with the hints that the ledger would read."""
        values = record.values
        hints = Hints()
        if kind in ('cluster', 'device'):
            hints = NamedRecordHints(name=(values['name'] or '').lower())
        elif kind == 'node_interface':
            macs = {
                row.values['mac_address']
                for row in self.records['mac'].values()
                if row.values['assigned_object'] == record.pointer
            }
            hints = InterfaceRecordHints(machine=values['device'], macs=frozenset(macs))
        elif kind == 'vm':
            macs = {
                row.values['mac_address']
                for row in self.records['mac'].values()
                for interface in self.records['interface'].values()
                if row.values['assigned_object'] == interface.pointer
                and interface.values['virtual_machine'] == record.pointer
            }
            hints = GuestRecordHints(
                name=values['name'].lower(),
                vmid=values['cf_vmid'],
                uuid=(values['serial'] or '').lower() or None,
                macs=frozenset(macs),
            )
        elif kind == 'interface':
            macs = {
                row.values['mac_address']
                for row in self.records['mac'].values()
                if row.values['assigned_object'] == record.pointer
            }
            hints = InterfaceRecordHints(machine=values['virtual_machine'], macs=frozenset(macs))
        elif kind == 'mac':
            hints = MACRecordHints(mac=values['mac_address'], is_primary=False, holder=str(values['assigned_object']))
        elif kind == 'ip':
            holder = values['assigned_object']
            interface = self.records['interface'].get(holder)
            port = self.records['node_interface'].get(holder)
            hints = AddressRecordHints(
                host=values['address'].partition('/')[0],
                holder=str(holder) if holder else '',
                machine=interface.values['virtual_machine'] if interface else port and port.values['device'],
            )
        elif holder := KINDS[kind].holder:
            hints = PartRecordHints(machine=values[holder])
        return replace(record, hints=hints)
