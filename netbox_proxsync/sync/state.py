"""
The two sides of a comparison as plain data: what NetBox should contain (`Desired`) and what it contains (`Existing`).

`ledger.existing` fills `Existing`; `sync.desired` fills `Desired`. Nothing here runs a query or writes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from ..proxmox.inventory import Notice
from ..proxmox.messages import Message
from .custom_field_rules import Demand, ValueLimits
from .network_candidates import PrefixCandidate, VlanIndex
from .offline_nodes import Waiting
from .values import Pointer, Ref, Shared, Value

__all__ = (
    'AddressReading',
    'Bound',
    'Departed',
    'Desired',
    'Existing',
    'Hints',
    'Item',
    'NicReading',
    'Record',
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
    One object that NetBox should contain.

    Attributes:
        kind: The name of its kind.
        key: Its identity in Proxmox VE, within the endpoint and kind ('qemu/100/net0').
        unit: The root object that it belongs to and is written with ('qemu/100'; '' for the cluster).
        label: The display name.
        values: Only what is known: a field without a value here stays unchanged.
        hints: What its kind needs to know beyond its values, such as the MAC addresses by which it is recognized.
        identity: What its binding stores to recognize it again, in addition to the values that are written.
        problems: Messages for the user: the values that cannot be written, and what can be done. The others are
            written.
        faults: Faults of the configuration of Proxmox VE itself, as (message, remedy): warnings, not conflicts.
        partial: Too little was read to create or adopt the object; the known values may only update a bound one.
        reasons: By field: why it has its value, for the user, where that is not obvious.
    """

    kind: str
    key: str
    unit: str
    label: str
    values: Mapping[str, Value]
    hints: Hints = Hints()
    identity: Mapping[str, Value] = field(default_factory=dict)
    problems: tuple[Message, ...] = ()
    faults: tuple[tuple[Message, Message], ...] = ()
    partial: bool = False
    reasons: Mapping[str, Message] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        """The reference by which other items point to this one."""
        return Ref(self.kind, self.key, self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class NicReading:
    """
    The result of one read of the addresses of a NIC.

    Attributes:
        is_read: The running addresses were read completely, so that an address that was not found is absent.
        has_addresses: The running guest reports addresses on the NIC.
        configured: The hosts that the configuration assigns to the NIC; None: the configuration does not state them.
    """

    is_read: bool
    has_addresses: bool
    configured: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressReading:
    """
    The result of one read of the addresses of a guest, as far as it matters for bound addresses that were not found.

    Attributes:
        nics: By the key of the interface: 'qemu/100/net0'.
        elsewhere: The hosts that the guest reports on interfaces that may be its unreadable NICs; None: a part of the
            response could not be read.
        excess: The hosts that the guest reports beyond the limit.
    """

    nics: Mapping[str, NicReading]
    elsewhere: frozenset[str] | None
    excess: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Desired:
    """
    What NetBox should contain for an inventory under an endpoint's settings.

    Attributes:
        items: In the order in which they can be created: parents first.
        complete: The (kind, scope) pairs that were read completely: a bound object in one of them that is not in
            `items` is gone from Proxmox VE. See `Kind.scope`.
        excluded: The units that stay unchanged because a user ignores them, or because a filter or a rule of the
            endpoint excludes them.
        notices: What the settings leave out, and why.
        only: The units that the run is limited to; None: all. The objects of the other units stay unchanged and
            reserved.
        readings: By unit: the address reading of each guest whose configuration was read.
        waiting: The guests that were not listed but may exist on a node that is offline.
    """

    items: tuple[Item, ...]
    complete: frozenset[tuple[str, str]]
    excluded: frozenset[str]
    notices: tuple[Notice, ...] = ()
    only: frozenset[str] | None = None
    readings: Mapping[str, AddressReading] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)

    def concerns(self, unit: str) -> bool:
        """Whether the run covers a unit. A machine whose VM ID now belongs to another one is covered with that one."""
        return self.only is None or unit.partition('#')[0] in self.only

    def may_lose(self, unit: str) -> bool:
        """Whether objects of a unit may be considered gone."""
        return unit not in self.excluded and self.concerns(unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    An object in NetBox.

    Attributes:
        values: The current values of the fields that its kind writes.
        hints: What identifies it, or what it belongs to, beyond its values.
        refused: Why NetBox refuses every change of it, by the custom field whose value is invalid.
    """

    pointer: Pointer
    values: Mapping[str, Value]
    hints: Hints = Hints()
    refused: Mapping[str, Message] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """
    A binding.

    Attributes:
        last: The values that were last written or found equal.
        created_by_sync: Whether the sync created the object.
        missing_since: When the object was retired; None if it is not retired.
        unmanaged: A user has stopped managing the object: it is neither changed nor created again.
        proxmox_values: The stored values of Proxmox VE that differ from the written ones, as JSON. They are only
            displayed.
        kept: The fields whose values in NetBox a user keeps: (value in Proxmox VE, value in NetBox) when that was
            decided, by field.
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
    proxmox_values: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """
    A retired guest of another endpoint: gone from the cluster of that endpoint, and possibly moved to this one.

    Attributes:
        root: The binding of its virtual machine.
        parts: The other bindings of the same unit.
    """

    root: Bound
    parts: tuple[Bound, ...]
    record: Record


@dataclass(frozen=True, kw_only=True)
class Existing:
    """
    What NetBox contains within the scope of an endpoint.

    Attributes:
        bindings: The bindings of this endpoint, by (kind, key).
        records: By kind: bound objects, and objects that may be adopted.
        foreign: The objects that another endpoint manages, with the ID of that endpoint; without those that it gives
            up: the objects of its retired guests, and addresses that a user assigned to a guest of this endpoint.
        retired_elsewhere: The machines that are retired at another endpoint: their addresses are free for others.
        shared: The objects that `Shared` values mean, where they exist.
        new_shared: Those of them that are not stored yet.
        custom_fields: The names of the custom fields of each model.
        limits: The validation rules of the custom fields that kinds write, by model and name.
        demands: By model: the custom fields without which NetBox accepts no new object.
        tag_limits: The models to which a tag is limited, by tag; without tags that are not limited.
        prefixes: By host address as text.
        dependents: For bound objects that are gone from Proxmox VE: the dependent objects that this endpoint did not
            create.
        vlans: By kind of interface.
        gone: The bindings, as (kind, key), whose counterparts are gone from Proxmox VE: their objects are free for
            others.
        retired: The units that are retired, or will be by the same plan: their objects are free for others, too.
        expired: The retired objects that the same plan deletes: their names are free.
        replaced: The units of machines whose VM ID now belongs to another machine.
        departed: The retired guests of other endpoints that a new guest of this one may be.
        elsewhere: By kind: the virtual machines and devices outside of the endpoint's scope that a new guest or node
            may be. No endpoint manages them.
    """

    bindings: Mapping[tuple[str, str], Bound]
    records: Mapping[str, Iterable[Record]]
    foreign: Mapping[Pointer, str]
    shared: Mapping[Shared, Pointer]
    custom_fields: Mapping[str, frozenset[str]]
    prefixes: Mapping[str, tuple[PrefixCandidate, ...]]
    dependents: Mapping[Pointer, tuple[str, ...]]
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
        """The records of all kinds, by their pointers."""
        return {record.pointer: record for records in self.records.values() for record in records}

    @cached_property
    def bound_to(self) -> dict[Pointer, Bound]:
        """The bindings of this endpoint, by the objects that they bind."""
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
        """
        The records of a kind with a hint of that value. If the hint is a collection, one of its elements must have the
        value.

        Args:
            hint: The name of the attribute of the record's hints.
        """
        index = self._index.get((kind, hint))
        if index is None:
            index = self._index[kind, hint] = defaultdict(list)
            for record in self.records.get(kind, ()):
                found = getattr(record.hints, hint)
                for element in found if isinstance(found, frozenset | tuple) else (found,):
                    index[element].append(record)
        return list(index.get(value, ()))
