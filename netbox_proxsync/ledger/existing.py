"""Loads what NetBox contains within the scope of an endpoint, in a fixed number of queries."""

from collections.abc import Container, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from dcim.models import Device, Interface, MACAddress
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast, Lower
from ipam.fields import IPAddressField
from ipam.lookups import Host
from ipam.models import FHRPGroup, IPAddress, Prefix
from netbox.models import NetBoxModel
from virtualization.models import Cluster, VirtualDisk, VirtualMachine, VMInterface

from ..branching import connection_of
from ..models import Binding, ProxmoxEndpoint
from ..sync.hints import (
    AddressHints,
    AddressRecordHints,
    DeviceHints,
    GuestRecordHints,
    InterfaceRecordHints,
    MACRecordHints,
    NamedRecordHints,
    PartRecordHints,
)
from ..sync.kinds import KINDS, Kind
from ..sync.mapping.missing_addresses import may_be_gone
from ..sync.removal import may_be_deleted
from ..sync.settings import Settings
from ..sync.state import Bound, Departed, Desired, Existing, Hints, Item, PrefixCandidate, Record
from ..sync.values import Pointer, Shared
from .bindings import load_bindings
from .dependents import blocking_dependents
from .fields import pointer_to, read_all
from .other_endpoints import ForeignReader
from .outside_matches import DepartedUnit, load_departed, new_guests, unbound_elsewhere
from .requirements import load_custom_fields, load_tag_limits
from .shared import SharedObjects
from .vlans import load_vlans

__all__ = ('load',)


def load(endpoint: ProxmoxEndpoint, desired: Desired, settings: Settings) -> Existing:
    """
    Everything in NetBox that the comparison needs: the objects that the endpoint manages or might adopt, and those that
    prevent changes.
    """
    bindings = load_bindings(endpoint)
    bound_to = {bound.pointer: bound for bound in bindings.values()}
    newcomers = new_guests(desired.items, bindings)
    departed = load_departed(endpoint, newcomers)
    own = {bound.pointer.pk for bound in bindings.values() if bound.kind == 'vm'}
    reader = RecordReader(endpoint, desired, settings, newcomers, departed, own, bindings.keys())
    records = reader.records()
    gone = [bound for bound in unwanted(bindings.values(), bound_to, desired) if may_be_deleted(bound, settings)]
    foreign = ForeignReader(endpoint, records, bound_to)
    shared = SharedObjects(endpoint).find(wanted_shared(desired.items))
    return Existing(
        bindings=bindings,
        records=records,
        foreign=foreign.kept(),
        retired_elsewhere=foreign.retired_machines(),
        shared=shared.pointers,
        new_shared=shared.new,
        custom_fields=reader.custom_fields.written,
        limits=reader.custom_fields.limits,
        demands=reader.custom_fields.demands,
        tag_limits=load_tag_limits(),
        prefixes=load_prefixes({AddressHints.of(item).host for item in desired.items if item.kind == 'ip'}),
        vlans=load_vlans(endpoint, desired.items, reader.cluster, settings),
        departed=reader.with_records(departed),
        elsewhere=reader.elsewhere,
        burdens=blocking_dependents(
            gone, bound_to, moving(gone, desired), kept_addresses(bindings.values(), desired, settings)
        ),
    )


def unwanted(bindings: Iterable[Bound], bound_to: Mapping[Pointer, Bound], desired: Desired) -> list[Bound]:
    """The bindings whose guests, nodes or parts the comparison may find to be gone."""
    wanted = {(item.kind, item.key) for item in desired.items}
    seen = {AddressHints.of(item).host for item in desired.items if item.kind == 'ip' and AddressHints.of(item).is_seen}
    return [
        bound
        for bound in bindings
        if (bound.kind, bound.key) not in wanted
        and bound.kind in KINDS
        and desired.may_lose(bound.unit)
        and (bound.kind, KINDS[bound.kind].scope(bound.key, bound.unit)) in desired.complete
        and (bound.kind != 'ip' or may_be_gone(bound, bound_to, desired, seen))
    ]


def moving(gone: Iterable[Bound], desired: Desired) -> frozenset[Pointer]:
    """The addresses that a guest has lost and another one has."""
    wanted = {AddressHints.of(item).host for item in desired.items if item.kind == 'ip'}
    return frozenset(bound.pointer for bound in gone if bound.kind == 'ip' and bound.key.rpartition('/')[2] in wanted)


def kept_addresses(bindings: Iterable[Bound], desired: Desired, settings: Settings) -> frozenset[Pointer]:
    """The addresses that no guest is known to have, if the endpoint keeps missing addresses."""
    if settings.missing_addresses != 'leave':
        return frozenset()
    wanted = {item.key for item in desired.items if item.kind == 'ip'}
    return frozenset(bound.pointer for bound in bindings if bound.kind == 'ip' and bound.key not in wanted)


def wanted_shared(items: Iterable[Item]) -> set[Shared]:
    """The shared objects that items refer to."""
    wanted = set()
    for item in items:
        for value in item.values.values():
            for element in value if isinstance(value, frozenset) else (value,):
                if isinstance(element, Shared):
                    wanted.add(element)
    return wanted


def load_prefixes(hosts: set[str]) -> dict[str, tuple[PrefixCandidate, ...]]:
    """The prefixes around each host address, by one query that can use the index on them."""
    hits: dict[str, list[PrefixCandidate]] = {}
    if not hosts:
        return {}
    with connection_of(Prefix).cursor() as cursor:
        cursor.execute(
            'SELECT host(h), p.prefix::text, v.id, v.name '
            'FROM unnest(%s::inet[]) AS h JOIN ipam_prefix p ON p.prefix >>= h LEFT JOIN ipam_vrf v ON v.id = p.vrf_id '
            "WHERE p.status <> 'container'",
            [sorted(hosts)],
        )
        for host, prefix, vrf_id, vrf_name in cursor.fetchall():
            vrf = Pointer('ipam.vrf', vrf_id, vrf_name) if vrf_id else None
            hits.setdefault(host, []).append(PrefixCandidate(network=ip_network(prefix), vrf=vrf))
    return {host: tuple(found) for host, found in hits.items()}


class RecordReader:
    """Reads the records of every kind, each kind by one query and its prefetches."""

    def __init__(
        self,
        endpoint: ProxmoxEndpoint,
        desired: Desired,
        settings: Settings,
        newcomers: Sequence[Item] = (),
        departed: Sequence[DepartedUnit] = (),
        own: Container[int] = (),
        bound_keys: Container[tuple[str, str]] = (),
    ) -> None:
        self.endpoint = endpoint
        self.newcomers = newcomers
        # Retired guests of other endpoints are loaded with their parts, as those of this endpoint are.
        self.kept = Q(endpoint=endpoint)
        if departed:
            self.kept |= Q(pk__in=[bound.pk for unit in departed for bound in (unit.root, *unit.parts)])
        self.departed = {unit.root.pointer.pk for unit in departed}
        self.own = own
        self.bound_keys = bound_keys
        self.departed_records: dict[Pointer, Record] = {}
        self.elsewhere: dict[str, list[Record]] = {}
        self.settings = settings
        self.items = desired.items
        self.cluster: Cluster | None = None
        self.custom_fields = load_custom_fields()
        self.names = {kind.name: self.readable(kind) for kind in KINDS.values()}

    def readable(self, kind: Kind) -> list[str]:
        """The fields of a kind, without custom fields that do not exist."""
        available = self.custom_fields.written[kind.model]
        return [spec.name for spec in kind.fields if not spec.name.startswith('cf_') or spec.name[3:] in available]

    def bound(self, kind: str) -> models.QuerySet[Binding, dict[str, Any]]:
        """A query for the objects (pks) of a kind that are bound."""
        return Binding.objects.filter(self.kept, kind=kind).values('object_id')

    def record(self, kind: str, instance: NetBoxModel, hints: Hints) -> Record:
        """
        A NetBox object as plain data.

        Args:
            hints: What only this kind needs to recognize the object.
        """
        return Record(
            pointer=pointer_to(instance),
            values=read_all(instance, self.names[kind]),
            hints=hints,
            refused=self.custom_fields.refused_in(KINDS[kind].model, instance.custom_field_data),
        )

    def records(self) -> dict[str, list[Record]]:
        """The objects within the scope of the endpoint, by kind."""
        clusters = list(self.clusters())
        self.cluster = clusters[0] if len(clusters) == 1 else None
        devices = list(self.devices())
        self.elsewhere['device'] = [self.device_record(device) for device in self.devices_elsewhere()]
        ports = list(self.ports(devices))
        vms = list(self.vms(clusters))
        interfaces = list(self.interfaces(vms))
        macs = list(self.macs(interfaces, ports))
        macs_of: dict[Pointer, set[str]] = {}
        vm_of = {pointer_to(interface): pointer_to(interface.virtual_machine) for interface in interfaces}
        for mac in macs:
            if mac.assigned_object_id:
                macs_of.setdefault(pointer_to(mac.assigned_object), set()).add(str(mac.mac_address))
        macs_of_vm: dict[Pointer, set[str]] = {}
        for interface, addresses in macs_of.items():
            if interface in vm_of:
                macs_of_vm.setdefault(vm_of[interface], set()).update(addresses)
        return {
            'cluster': [
                self.record('cluster', cluster, NamedRecordHints(name=cluster.name.lower())) for cluster in clusters
            ],
            'device': [self.device_record(device) for device in devices],
            'node_interface': [
                self.record(
                    'node_interface',
                    port,
                    InterfaceRecordHints(
                        machine=pointer_to(port.device), macs=frozenset(macs_of.get(pointer_to(port), ()))
                    ),
                )
                for port in ports
            ],
            'vm': self.vm_records(vms, {cluster.pk for cluster in clusters}, macs_of_vm),
            'interface': [
                self.record(
                    'interface',
                    interface,
                    InterfaceRecordHints(
                        machine=vm_of[pointer_to(interface)], macs=frozenset(macs_of.get(pointer_to(interface), ()))
                    ),
                )
                for interface in interfaces
            ],
            'mac': [
                self.record(
                    'mac',
                    mac,
                    MACRecordHints(mac=str(mac.mac_address), is_primary=mac.is_primary, holder=holder_text(mac)),
                )
                for mac in macs
            ],
            'ip': [
                self.record(
                    'ip',
                    ip,
                    AddressRecordHints(
                        host=str(ip.address.ip), holder=holder_text(ip), machine=machine_of(ip.assigned_object)
                    ),
                )
                for ip in self.ips()
            ],
            'disk': [
                self.record('disk', disk, PartRecordHints(machine=pointer_to(disk.virtual_machine)))
                for disk in self.disks(vms)
            ],
        }

    def vm_records(
        self, vms: Iterable[VirtualMachine], clusters: Container[int], macs: dict[Pointer, set[str]]
    ) -> list[Record]:
        """The records within the scope of the endpoint; the others are put into `elsewhere`."""
        within, outside = [], []
        for vm in vms:
            record = self.vm_record(vm, macs)
            if vm.pk in self.departed:
                self.departed_records[record.pointer] = record
            if vm.cluster_id in clusters or vm.pk in self.own:
                within.append(record)
            elif vm.pk not in self.departed:
                outside.append(record)
        self.elsewhere['vm'] = outside
        return within

    def with_records(self, departed: Iterable[DepartedUnit]) -> tuple[Departed, ...]:
        """The retired guests of other endpoints whose virtual machines exist."""
        return tuple(
            Departed(root=unit.root, parts=unit.parts, record=self.departed_records[unit.root.pointer])
            for unit in departed
            if unit.root.pointer in self.departed_records
        )

    def vm_record(self, vm: VirtualMachine, macs: dict[Pointer, set[str]]) -> Record:
        """A virtual machine as plain data."""
        return self.record(
            'vm',
            vm,
            GuestRecordHints(
                name=vm.name.lower(),
                vmid=vm.custom_field_data.get('vmid'),
                uuid=vm.serial.lower() or None,
                macs=frozenset(macs.get(pointer_to(vm), ())),
            ),
        )

    def clusters(self) -> Iterable[Cluster]:
        """The cluster of the endpoint, or clusters of its name."""
        names = [item.values['name'] for item in self.items if item.kind == 'cluster' and 'name' in item.values]
        reach = Q(pk__in=self.bound('cluster'))
        if self.settings.cluster:
            reach |= Q(pk=self.settings.cluster.pk)
        else:
            reach |= Q(name__iexact=names[0] if names else self.settings.endpoint.label)
        rows: Iterable[Cluster] = (
            Cluster.objects.filter(reach).select_related('type', 'group', 'tenant').prefetch_related('scope')
        )
        return rows

    def devices(self) -> Iterable[Device]:
        """The bound devices, and those at the endpoint's site with the name of a node."""
        names = [DeviceHints.of(item).name for item in self.items if item.kind == 'device']
        rows: Iterable[Device] = self.with_relations(Device.objects.annotate(folded=Lower('name'))).filter(
            Q(pk__in=self.bound('device'))
            | Q(folded__in=names, site=self.settings.site.pk if self.settings.site else None)
        )
        return rows

    def device_record(self, device: Device) -> Record:
        """A device as plain data."""
        return self.record('device', device, NamedRecordHints(name=(device.name or '').lower()))

    def devices_elsewhere(self) -> Iterable[Device]:
        """The devices at other sites that a new node may be, and that no endpoint manages."""
        new = [item for item in self.items if item.kind == 'device' and (item.kind, item.key) not in self.bound_keys]
        if not new:
            return ()
        names = [DeviceHints.of(item).name for item in new]
        serials = [serial for item in new if (serial := DeviceHints.of(item).serial)]
        bound = Binding.objects.filter(kind='device').order_by()
        rows: Iterable[Device] = (
            self.with_relations(Device.objects.annotate(folded=Lower('name')))
            .filter(Q(folded__in=names) | Q(serial__in=serials))
            .exclude(site=self.settings.site.pk if self.settings.site else None)
            .exclude(pk__in=bound.values('object_id'))
        )
        return rows

    def with_relations(self, devices: models.QuerySet[Device]) -> models.QuerySet[Device]:
        """Devices with the objects that they refer to."""
        rows: models.QuerySet[Device] = devices.select_related(
            'cluster', 'site', 'role', 'device_type__manufacturer', 'tenant', 'platform', 'primary_ip4', 'primary_ip6',
            'virtual_chassis',
        ).order_by('pk')  # fmt: skip
        return rows

    def ports(self, devices: list[Device]) -> Iterable[Interface]:
        """The interfaces of devices, and the bound ones."""
        rows: Iterable[Interface] = (
            Interface.objects.filter(Q(device__in=devices) | Q(pk__in=self.bound('node_interface')))
            .select_related('device', 'lag', 'bridge', 'parent', 'primary_mac_address', 'untagged_vlan')
            .prefetch_related('tagged_vlans')
            .order_by('pk')
        )
        return rows

    def vms(self, clusters: list[Cluster]) -> Iterable[VirtualMachine]:
        """The virtual machines of clusters, the bound ones, and those elsewhere that a new guest may be."""
        rows: Iterable[VirtualMachine] = (
            VirtualMachine.objects.filter(
                Q(cluster__in=clusters) | Q(pk__in=self.bound('vm')) | Q(pk__in=unbound_elsewhere(self.newcomers))
            )
            .select_related(
                'cluster', 'device', 'virtual_machine_type', 'role', 'tenant', 'platform', 'primary_ip4', 'primary_ip6'
            )
            .prefetch_related('tags')
            .order_by('pk')
        )
        return rows

    def interfaces(self, vms: list[VirtualMachine]) -> Iterable[VMInterface]:
        """The interfaces of virtual machines, and the bound ones."""
        rows: Iterable[VMInterface] = (
            VMInterface.objects.filter(Q(virtual_machine__in=vms) | Q(pk__in=self.bound('interface')))
            .select_related('virtual_machine', 'primary_mac_address', 'untagged_vlan')
            .prefetch_related('tagged_vlans')
            .order_by('pk')
        )
        return rows

    def macs(self, interfaces: list[VMInterface], ports: list[Interface]) -> Iterable[MACAddress]:
        """The MAC addresses of interfaces, the bound ones, and unassigned ones that a guest has."""
        wanted = [item.values['mac_address'] for item in self.items if item.kind == 'mac']
        assigned = Q(
            assigned_object_type=ContentType.objects.get_for_model(VMInterface),
            assigned_object_id__in=[interface.pk for interface in interfaces],
        ) | Q(
            assigned_object_type=ContentType.objects.get_for_model(Interface),
            assigned_object_id__in=[port.pk for port in ports],
        )
        free = Q(assigned_object_id=None, mac_address__in=wanted)
        rows: Iterable[MACAddress] = (
            MACAddress.objects.filter(assigned | free | Q(pk__in=self.bound('mac')))
            .prefetch_related(holders())
            .order_by('pk')
        )
        return rows

    def ips(self) -> Iterable[IPAddress]:
        """The bound IP addresses, and all records of the addresses that guests and nodes have, in any VRF."""
        wanted = [AddressHints.of(item).host for item in self.items if item.kind == 'ip']
        rows: Iterable[IPAddress] = (
            IPAddress.objects.annotate(wanted_host=Cast(Host('address'), output_field=IPAddressField()))
            .filter(Q(wanted_host__in=wanted) | Q(pk__in=self.bound('ip')))
            .select_related('vrf')
            .prefetch_related(holders())
            .order_by('pk')
        )
        return rows

    def disks(self, vms: list[VirtualMachine]) -> Iterable[VirtualDisk]:
        """The disks of virtual machines, and the bound ones."""
        rows: Iterable[VirtualDisk] = (
            VirtualDisk.objects.filter(Q(virtual_machine__in=vms) | Q(pk__in=self.bound('disk')))
            .select_related('virtual_machine')
            .order_by('pk')
        )
        return rows


def holders() -> 'GenericPrefetch[str]':
    """A prefetch of the objects to which addresses are assigned, with their machines."""
    return GenericPrefetch(
        'assigned_object',
        [
            VMInterface.objects.select_related('virtual_machine'),
            Interface.objects.select_related('device'),
            FHRPGroup.objects.all(),
        ],
    )


def holder_text(instance: IPAddress | MACAddress) -> str:
    """The object to which an address is assigned, for people."""
    holder = instance.assigned_object
    if holder is None:
        return ''
    parent = getattr(holder, 'parent_object', None)
    return f'"{holder}" of "{parent}"' if parent else f'"{holder}"'


def machine_of(holder: models.Model | None) -> Pointer | None:
    """The virtual machine or device to which an address belongs."""
    return pointer_to(holder.parent_object) if isinstance(holder, VMInterface | Interface) else None
