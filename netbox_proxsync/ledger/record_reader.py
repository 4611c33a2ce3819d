"""Loads the objects of each kind within the scope of an endpoint, as plain data."""

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from typing import Any, cast

from dcim.models import Device, Interface, MACAddress
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from django.db.models.functions import Cast, Lower
from ipam.fields import IPAddressField
from ipam.lookups import Host
from ipam.models import IPAddress
from netbox.models import NetBoxModel
from virtualization.models import Cluster, VirtualMachine, VMInterface

from ..models import Binding, ProxmoxEndpoint
from ..models.machine_parts import holder_lookup
from ..sync.answers import Choice
from ..sync.hints import AddressHints
from ..sync.kind_names import ADDRESS, CLUSTER, DEVICE, GUEST, MAC
from ..sync.kinds import KINDS, Kind
from ..sync.kinds.device import DeviceHints
from ..sync.settings import Settings
from ..sync.state import Departed, Desired, Item, Record
from ..sync.values import Pointer
from .fields import is_set, keep_pointers, pointer_to, read_all
from .netbox_models import model_named
from .object_loading import load_objects
from .outside_matches import DepartedUnit, unbound_elsewhere
from .record_hints import RecordHintsReader
from .related_objects import RelatedObjects
from .requirements import CustomFields, load_custom_fields
from .sql_arrays import elements

__all__ = ('RecordReader',)

# The foreign keys, beyond the fields of a kind, that NetBox needs for the labels of its objects.
IN_LABELS = {DEVICE: ('virtual_chassis',)}
# The foreign keys of interfaces to their machines.
PARENTS = ('virtual_machine', 'device')


class RecordReader:
    """
    Reads the records of every kind, each kind by one query and its prefetches.

    Which objects of a kind are loaded, and with which related objects, is derived from the kind: those that are bound,
    and those that belong to loaded objects. The kinds that need others have a method here.
    """

    def __init__(
        self,
        endpoint: ProxmoxEndpoint,
        desired: Desired,
        settings: Settings,
        newcomers: Sequence[Item] = (),
        departed: Sequence[DepartedUnit] = (),
        own: Container[int] = (),
        bound_keys: Container[tuple[str, str]] = (),
        custom_fields: CustomFields | None = None,
        related: RelatedObjects | None = None,
    ) -> None:
        self.newcomers = newcomers
        # Retired guests of other endpoints are loaded with their parts, as those of this endpoint are.
        self.bindings = Q(endpoint=endpoint)
        if departed:
            self.bindings |= Q(pk__in=[bound.pk for unit in departed for bound in (unit.root, *unit.parts)])
        self.departed = {unit.root.pointer.pk for unit in departed}
        self.own = own
        self.bound_keys = bound_keys
        self.departed_records: dict[Pointer, Record] = {}
        self.elsewhere: dict[str, list[Record]] = {}
        self.settings = settings
        # By model: the objects that users have linked, wherever they are.
        self.linked: dict[str, set[int]] = defaultdict(set)
        answers = settings.answers.values()
        for pointer in (answer.pointer for answer in answers if answer.choice is Choice.LINK and answer.pointer):
            self.linked[pointer.model].add(pointer.pk)
        self.items = desired.items
        self.cluster: Cluster | None = None
        self.custom_fields = custom_fields or load_custom_fields()
        self.related = RelatedObjects() if related is None else related
        self.names = {kind.name: tuple(self.readable(kind)) for kind in KINDS.values()}
        # The loaded objects, by kind.
        self.rows: dict[str, list[Any]] = {}
        self.beyond_parts: dict[str, Callable[[], QuerySet[Any]]] = {
            CLUSTER: self.clusters,
            DEVICE: self.devices,
            GUEST: self.guests,
            MAC: self.macs,
            ADDRESS: self.addresses,
        }

    def records(self) -> dict[str, list[Record]]:
        """The objects within the scope of the endpoint, by kind."""
        for kind in KINDS.values():
            rows = self.beyond_parts[kind.name]() if kind.name in self.beyond_parts else self.parts(kind)
            self.rows[kind.name] = load_objects(rows.order_by('pk'))
        elsewhere = load_objects(self.devices_elsewhere().order_by('pk'))
        related = self.related
        for loaded in (*self.rows.values(), elsewhere):
            related.add(loaded)
        for name, loaded in self.rows.items():
            attach_relations(related, KINDS[name], loaded)
        attach_relations(related, KINDS[DEVICE], elsewhere)
        keep_pointers(related)
        clusters = self.rows[CLUSTER]
        self.cluster = clusters[0] if len(clusters) == 1 else None
        hints = RecordHintsReader(self.rows[MAC])
        found = {
            name: [self.record(KINDS[name], instance, hints) for instance in rows] for name, rows in self.rows.items()
        }
        found[GUEST], self.elsewhere[GUEST] = self.divided(found[GUEST])
        self.elsewhere[DEVICE] = [self.record(KINDS[DEVICE], device, hints) for device in elsewhere]
        return found

    def release(self) -> None:
        """
        Let the loaded objects be freed at once. An interface and its primary MAC address refer to each other, for
        example, so Python would find only later that nothing else needs them.
        """
        for loaded in self.rows.values():
            for instance in loaded:
                instance._state.fields_cache.clear()
        # The methods refer to the reader.
        self.beyond_parts.clear()

    def record(self, kind: Kind, instance: NetBoxModel, hints: RecordHintsReader) -> Record:
        """A NetBox object as plain data."""
        record = Record(
            pointer=pointer_to(instance),
            values=read_all(instance, self.names[kind.name]),
            hints=hints.hints_of(kind, instance),
            refused=self.custom_fields.refused_in(kind.model, instance.custom_field_data),
        )
        # The largest column. All objects are in memory until the last one is read.
        del instance.custom_field_data
        return record

    def readable(self, kind: Kind) -> list[str]:
        """The fields of a kind, without custom fields that do not exist."""
        available = self.custom_fields.written[kind.model]
        return [spec.name for spec in kind.fields if not spec.name.startswith('cf_') or spec.name[3:] in available]

    def divided(self, guests: Iterable[Record]) -> tuple[list[Record], list[Record]]:
        """The virtual machines within the scope of the endpoint, and the others without retired ones."""
        clusters = {cluster.pk for cluster in self.rows[CLUSTER]}
        cluster_ids = {vm.pk: vm.cluster_id for vm in self.rows[GUEST]}
        within, outside = [], []
        for record in guests:
            pk = record.pointer.pk
            if pk in self.departed:
                self.departed_records[record.pointer] = record
            if cluster_ids[pk] in clusters or pk in self.own or pk in self.linked[KINDS[GUEST].model]:
                within.append(record)
            elif pk not in self.departed:
                outside.append(record)
        return within, outside

    def with_records(self, departed: Iterable[DepartedUnit]) -> tuple[Departed, ...]:
        """The retired guests of other endpoints whose virtual machines exist."""
        return tuple(
            Departed(root=unit.root, parts=unit.parts, record=self.departed_records[unit.root.pointer])
            for unit in departed
            if unit.root.pointer in self.departed_records
        )

    def bound(self, kind: str) -> Q:
        """The objects of a kind that are bound."""
        return Q(pk__in=Binding.objects.filter(self.bindings, kind=kind).values('object_id'))

    def parts(self, kind: Kind) -> QuerySet[Any]:
        """The objects of a kind that are bound, or belong to loaded ones."""
        return model_named(kind.model).objects.filter(self.bound(kind.name) | self.held(kind))

    def held(self, kind: Kind) -> Q:
        """The objects of a kind that belong to loaded ones."""
        found, model = Q(pk__in=[]), model_named(kind.model)
        for name, rows in self.rows.items():
            holder = model_named(KINDS[name].model)
            if kind.holder is None or holder_lookup(model, kind.holder, holder) is None:
                continue
            field, pks = model._meta.get_field(kind.holder), elements((row.pk for row in rows), 'bigint')
            if isinstance(field, GenericForeignKey):
                object_type = ContentType.objects.get_for_model(holder)
                found |= Q(**{field.ct_field: object_type, f'{field.fk_field}__in': pks})
            else:
                found |= Q(**{f'{kind.holder}__in': pks})
        return found

    def clusters(self) -> QuerySet[Cluster]:
        """The cluster of the endpoint, or clusters of its name."""
        names = [item.values['name'] for item in self.items if item.kind == CLUSTER and 'name' in item.values]
        if self.settings.cluster:
            chosen = Q(pk=self.settings.cluster.pk)
        else:
            chosen = Q(name__iexact=names[0] if names else self.settings.endpoint.label)
        rows: QuerySet[Cluster] = Cluster.objects.filter(self.bound(CLUSTER) | chosen)
        return rows

    def devices(self) -> QuerySet[Device]:
        """The bound devices, and those at the endpoint's site with the name of a node."""
        names = [DeviceHints.of(item).name for item in self.items if item.kind == DEVICE]
        site = self.settings.site.pk if self.settings.site else None
        rows: QuerySet[Device] = Device.objects.annotate(folded=Lower('name')).filter(
            self.bound(DEVICE) | Q(folded__in=names, site=site) | Q(pk__in=self.linked[KINDS[DEVICE].model])
        )
        return rows

    def devices_elsewhere(self) -> QuerySet[Device]:
        """The devices at other sites that a new node may be, and that no endpoint manages."""
        rows: QuerySet[Device] = Device.objects.none()
        new = [item for item in self.items if item.kind == DEVICE and (item.kind, item.key) not in self.bound_keys]
        if not new:
            return rows
        names = [DeviceHints.of(item).name for item in new]
        serials = [serial for item in new if (serial := DeviceHints.of(item).serial)]
        bound = Binding.objects.filter(kind=DEVICE).order_by()
        rows = (
            Device.objects.annotate(folded=Lower('name'))
            .filter(Q(folded__in=names) | Q(serial__in=serials))
            .exclude(site=self.settings.site.pk if self.settings.site else None)
            .exclude(pk__in=bound.values('object_id'))
            .exclude(pk__in=self.linked[KINDS[DEVICE].model])
        )
        return rows

    def guests(self) -> QuerySet[VirtualMachine]:
        """The virtual machines of clusters, the bound ones, and those elsewhere that a new guest may be."""
        rows: QuerySet[VirtualMachine] = VirtualMachine.objects.filter(
            self.bound(GUEST)
            | Q(cluster__in=self.rows[CLUSTER])
            | Q(pk__in=unbound_elsewhere(self.newcomers))
            | Q(pk__in=self.linked[KINDS[GUEST].model])
        )
        return rows

    def macs(self) -> QuerySet[MACAddress]:
        """The MAC addresses of interfaces, the bound ones, and unassigned ones that a guest or node has."""
        wanted = elements((item.values['mac_address'] for item in self.items if item.kind == MAC), 'macaddr')
        rows: QuerySet[MACAddress] = MACAddress.objects.filter(
            self.bound(MAC) | self.held(KINDS[MAC]) | Q(assigned_object_id=None, mac_address__in=wanted)
        )
        return rows

    def addresses(self) -> QuerySet[IPAddress]:
        """The bound IP addresses, and all records of the addresses that guests and nodes have, in any VRF."""
        wanted = elements((AddressHints.of(item).host for item in self.items if item.kind == ADDRESS), 'inet')
        rows: QuerySet[IPAddress] = IPAddress.objects.annotate(
            wanted_host=Cast(Host('address'), output_field=IPAddressField())
        ).filter(self.bound(ADDRESS) | Q(wanted_host__in=wanted))
        return rows


def attach_relations(related: RelatedObjects, kind: Kind, instances: Collection[NetBoxModel]) -> None:
    """Give objects of a kind the objects to which its fields point; interfaces get their machines."""
    model = model_named(kind.model)
    names = [spec.name for spec in kind.fields if not spec.name.startswith('cf_')]
    related.attach(instances, {*names, *IN_LABELS.get(kind.name, ())})
    if kind.name == DEVICE:
        # The label of a device without a name.
        related.attach({cast('Device', device).device_type for device in instances}, {'manufacturer'})
    for name in names:
        if isinstance(model._meta.get_field(name), GenericForeignKey):
            loaded = related.attach_generic(instances, name)
            for interfaces in (VMInterface, Interface):
                related.attach([each for each in loaded if isinstance(each, interfaces)], PARENTS)
        elif is_set(model, name):
            related.attach_set(instances, name)
