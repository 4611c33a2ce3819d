"""
The two sides of a comparison as plain data: what NetBox should hold (`Desired`) and what it holds (`Existing`).

`ledger.existing` fills `Existing`; `sync.desired` fills `Desired`. Nothing here queries or writes.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Self

from ..proxmox.inventory import Notice
from .offline_nodes import Waiting
from .values import Pointer, Ref, Shared, Value

__all__ = (
    'AddressReading',
    'Bound',
    'Demand',
    'Departed',
    'Desired',
    'Existing',
    'Hints',
    'Item',
    'NicReading',
    'PrefixCandidate',
    'Record',
    'ValueLimits',
    'VlanCandidate',
    'VlanIndex',
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """
    What the kind of an item or a record needs to know of it beyond its values; never written.

    Each kind has subclasses of its own: see `sync.hints`.
    """

    @classmethod
    def of(cls, holder: 'Item | Record') -> Self:
        """
        The hints of an item or a record.

        Raises:
            TypeError: They are those of another kind.
        """
        if not isinstance(holder.hints, cls):
            raise TypeError(f'{type(holder.hints).__name__} are no {cls.__name__}.')
        return holder.hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One object that NetBox should hold.

    Attributes:
        kind: The name of its kind.
        key: What it is in Proxmox; identity within the endpoint and kind ('qemu/100/net0').
        unit: The root object that it belongs to and is written with ('qemu/100'; '' for the cluster).
        label: For people.
        values: Only what is known: a field that is not here is left as it is.
        hints: What its kind needs to know beyond its values, such as the MAC addresses by which it is recognized.
        identity: What its binding remembers to know it again, beside the values that are written.
        problems: For people: which of its values cannot be written, and what can be done. The rest is.
        faults: Faults of Proxmox VE's own configuration, as (what is wrong, what to do): warnings, not conflicts.
        partial: Too little was read to make or adopt the object; what is known may only update a bound one.
        reasons: Why a field is to hold its value, where that is not plain; for people.
    """

    kind: str
    key: str
    unit: str
    label: str
    values: Mapping[str, Value]
    hints: Hints = Hints()
    identity: Mapping[str, Value] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    partial: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.key, self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class NicReading:
    """
    What one read told of the addresses of a NIC.

    Attributes:
        is_read: What runs was read completely, so that an address that was not found is not there now.
        has_addresses: The running guest has addresses on it.
        configured: The hosts that the configuration gives it; None: the configuration does not say.
    """

    is_read: bool
    has_addresses: bool
    configured: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressReading:
    """
    What one read told of the addresses of a guest, as far as it matters for those that were not found.

    Attributes:
        nics: By the key of the interface: 'qemu/100/net0'.
        elsewhere: The hosts that the guest reports on interfaces that may be its unreadable NICs; None: a part of its
            answer could not be read.
        excess: The hosts that it reports beyond the limit.
    """

    nics: Mapping[str, NicReading]
    elsewhere: frozenset[str] | None
    excess: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Desired:
    """
    Attributes:
        items: In the order in which they can be created: parents first.
        complete: (kind, scope) pairs that were read completely: whatever is bound in them and is not in `items` is
            gone from Proxmox. See `Kind.scope`.
        excluded: Units that a person told the sync to ignore, or that are in Proxmox and that a filter of the endpoint
            or a rule keeps out: left alone.
        notices: What the settings leave out, and why.
        only: The units that the run is for; None: all. What the others hold is seen, so that nothing is taken from
            them, and left as it is.
        readings: By unit: what was told of the addresses of the guests whose configuration was read.
        waiting: The guests that are not listed and may exist all the same, on a node that is offline.
    """

    items: tuple[Item, ...]
    complete: frozenset[tuple[str, str]]
    excluded: frozenset[str]
    notices: tuple[Notice, ...] = ()
    only: frozenset[str] | None = None
    readings: Mapping[str, AddressReading] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)

    def concerns(self, unit: str) -> bool:
        """Whether the run is for a unit. A machine whose VM ID another one has now goes with that one."""
        return self.only is None or unit.partition('#')[0] in self.only

    def may_lose(self, unit: str) -> bool:
        """Whether something of a unit may be taken for gone."""
        return unit not in self.excluded and self.concerns(unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    An object in NetBox.

    Attributes:
        values: The fields that its kind writes, as they are now.
        hints: What identifies it, or what it belongs to, beyond its values.
        refused: Why NetBox refuses every change of it, by the custom field whose value it does not take.
    """

    pointer: Pointer
    values: Mapping[str, Value]
    hints: Hints = Hints()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    A custom field without which NetBox takes no new object of a model.

    Attributes:
        model: 'app_label.model_name'.
        plural: What several of its objects are called.
        reason: Why its default does not do, for people: 'is required and has no default'.
    """

    model: str
    plural: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLimits:
    """What a custom field takes, where that is limited. None: not limited."""

    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ''
    choices: frozenset[str] | None = None

    def refusal(self, value: Value) -> str:
        """Why NetBox refuses a value, for people; '' if it does not."""
        if value is None or value == '':
            return 'it is required' if self.required else ''
        if isinstance(value, int | float) and not isinstance(value, bool) and (refusal := self.number_refusal(value)):
            return refusal
        if self.pattern and isinstance(value, str) and not re.match(self.pattern, value):
            return f'only what matches "{self.pattern}"'
        if self.choices is not None and value not in self.choices:
            return f'"{value}" is not among its choices'
        return ''

    def number_refusal(self, number: float) -> str:
        """Why NetBox refuses a number, for people; '' if it does not."""
        if self.minimum is not None and number < self.minimum:
            return f'at least {self.minimum:g}'
        if self.maximum is not None and number > self.maximum:
            return f'at most {self.maximum:g}'
        return ''


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """
    A binding.

    Attributes:
        last: The values that were last written or found equal.
        unmanaged: A person took the object over: it is left as it is, and not made again.
    """

    pk: int
    kind: str
    key: str
    unit: str
    pointer: Pointer
    last: Mapping[str, Value]
    created_by_sync: bool
    missing_since: datetime | None
    unmanaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """
    A retired guest of another endpoint: gone from that endpoint's cluster, and maybe moved to this one.

    Attributes:
        root: The binding of its virtual machine.
        parts: The other bindings of the same unit.
    """

    root: Bound
    parts: tuple[Bound, ...]
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCandidate:
    """A prefix of NetBox that contains a wanted address."""

    network: IPv4Network | IPv6Network
    vrf: Pointer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VlanCandidate:
    """
    A VLAN of NetBox that could be meant.

    Attributes:
        is_local: It belongs to a place (a site, a cluster, ...), itself or by the scope of its group.
        is_offered: NetBox offers it at the place of the interfaces. One that is not is meant only where its group is.
    """

    pointer: Pointer
    group: Pointer | None
    site: Pointer | None
    is_local: bool
    is_offered: bool = True


@dataclass(frozen=True, kw_only=True)
class VlanIndex:
    """
    Where the VLANs of a kind of interfaces are looked up.

    Attributes:
        candidates: By VLAN ID: the VLANs that NetBox offers at the place of the interfaces, and those in the groups
            that the endpoint and the rules name.
        site: Where the interfaces are. NetBox refuses untagged VLANs of other sites.
        creates: Whether what is missing is made.
        made: What was made for a VLAN id at a place and is remembered, wherever a user has moved it since.
    """

    candidates: Mapping[int, tuple[VlanCandidate, ...]] = field(default_factory=dict)
    site: Pointer | None = None
    creates: bool = False
    made: Mapping[Shared, Pointer] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Existing:
    """
    What NetBox holds within an endpoint's reach.

    Attributes:
        bindings: By (kind, key): those of this endpoint.
        records: By kind: bound objects and those that might be adopted.
        foreign: Objects that another endpoint keeps, with that endpoint's ID. Not those that it gives up: what its
            retired guests have, and addresses that a user assigned to a guest of this endpoint.
        retired_elsewhere: Machines that are retired at another endpoint: their addresses are free for others.
        shared: The objects that `Shared` values mean, where they exist.
        new_shared: Those among them that are not remembered yet.
        custom_fields: The names of the custom fields that each model has.
        limits: What the custom fields take that kinds write, by model and name, where that is limited.
        demands: By model, the custom fields without which NetBox takes no new object.
        tag_limits: Tags that only some models may have.
        prefixes: By host address as text.
        burdens: For bound objects that Proxmox no longer has: what hangs on them that this endpoint did not make.
        vlans: By kind of interface.
        gone: The bindings, as (kind, key), whose thing is gone from Proxmox: their objects are free for others.
        retired: The units that are retired, or will be by the same plan: what they hold is free for others, too.
        expired: The retired objects that the same plan deletes: their names are free.
        replaced: The units of machines whose VM ID another one was seen to have.
        departed: The retired guests of other endpoints that a new guest of this one may be.
        elsewhere: The virtual machines and devices outside of the endpoint's reach that a new guest or node may be, by
            kind; no endpoint keeps them.
    """

    bindings: Mapping[tuple[str, str], Bound]
    records: Mapping[str, Iterable[Record]]
    foreign: Mapping[Pointer, str]
    shared: Mapping[Shared, Pointer]
    custom_fields: Mapping[str, frozenset[str]]
    prefixes: Mapping[str, tuple[PrefixCandidate, ...]]
    burdens: Mapping[Pointer, tuple[str, ...]]
    vlans: Mapping[str, VlanIndex] = field(default_factory=dict)
    new_shared: Mapping[Shared, Pointer] = field(default_factory=dict)
    limits: Mapping[tuple[str, str], ValueLimits] = field(default_factory=dict)
    demands: Mapping[str, tuple[Demand, ...]] = field(default_factory=dict)
    tag_limits: Mapping[Pointer, frozenset[str]] = field(default_factory=dict)
    gone: frozenset[tuple[str, str]] = frozenset()
    retired: frozenset[str] = frozenset()
    expired: frozenset[Pointer] = frozenset()
    replaced: frozenset[str] = frozenset()
    departed: tuple[Departed, ...] = ()
    elsewhere: Mapping[str, Iterable[Record]] = field(default_factory=dict)
    retired_elsewhere: frozenset[Pointer] = frozenset()

    def binding(self, item: Item) -> Bound | None:
        """The binding of an item."""
        return self.bindings.get((item.kind, item.key))

    def bound_record(self, item: Item) -> Record | None:
        """The object to which an item is bound; None: there is no binding, or the object was deleted in NetBox."""
        bound = self.binding(item)
        return self.by_pointer.get(bound.pointer) if bound else None

    def record_of(self, value: Value) -> Record | None:
        """The object to which a value points; None: the value is no pointer, or the object was not loaded."""
        return self.by_pointer.get(value) if isinstance(value, Pointer) else None

    def binding_of(self, value: Value) -> Bound | None:
        """The binding of the object to which a value points; None: the value is no pointer, or nothing is bound."""
        return self.bound_to.get(value) if isinstance(value, Pointer) else None

    def shared_object(self, value: Value) -> Value:
        """The object that a `Shared` value means, if it exists; every other value as it is."""
        return self.shared.get(value, value) if isinstance(value, Shared) else value

    @cached_property
    def by_pointer(self) -> dict[Pointer, Record]:
        return {record.pointer: record for records in self.records.values() for record in records}

    @cached_property
    def bound_to(self) -> dict[Pointer, Bound]:
        return {bound.pointer: bound for bound in self.bindings.values()}

    @cached_property
    def _by_unit(self) -> dict[tuple[str, str], list[Bound]]:
        found: dict[tuple[str, str], list[Bound]] = defaultdict(list)
        for bound in self.bindings.values():
            found[bound.kind, bound.unit].append(bound)
        return found

    def bindings_of(self, kind: str, unit: str) -> list[Bound]:
        """The bindings of one kind of a unit."""
        return self._by_unit.get((kind, unit), [])

    @cached_property
    def _index(self) -> dict[tuple[str, str], dict[object, list[Record]]]:
        return {}

    def find(self, kind: str, hint: str, value: object) -> list[Record]:
        """The records of a kind whose hint (or any element of it, if it is a collection) is that value."""
        index = self._index.get((kind, hint))
        if index is None:
            index = self._index[kind, hint] = defaultdict(list)
            for record in self.records.get(kind, ()):
                found = getattr(record.hints, hint)
                for element in found if isinstance(found, frozenset | tuple) else (found,):
                    index[element].append(record)
        return list(index.get(value, ()))
