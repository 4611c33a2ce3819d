"""Decides which of several guests and nodes gets an address, and which record of it in NetBox."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ...proxmox.messages import Message
from ..answers import Choice
from ..hints import AddressHints, AddressRecordHints, Claim
from ..kind import Conflict, ResolvedObjects
from ..kind_names import ADDRESS, DEVICE, GUEST
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Pointer
from .nodes import is_node

__all__ = ('ANYCAST', 'decide_claims', 'held_elsewhere', 'is_free', 'may_stand_beside')

ANYCAST = 'anycast'
VIRTUAL_ROLES = ('vip', 'vrrp', 'hsrp', 'glbp', 'carp')
# ipam.constants.IPADDRESS_ROLES_NONUNIQUE
SHARED_ROLES = (ANYCAST, *VIRTUAL_ROLES)


def decide_claims(
    items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
) -> dict[str, Claim | None]:
    """
    The claim of each item by its key. None: the item gets no record, which is correct (the backup of a virtual
    address).
    """
    groups: dict[tuple[str, Pointer | None], list[Item]] = defaultdict(list)
    for item in items:
        hints = AddressHints.of(item)
        groups[hints.host, hints.vrf].append(item)
    claims: dict[str, Claim | None] = {}
    for group in groups.values():
        claims |= Contest(group, existing, resolved, settings).decide()
    return claims


@dataclass
class Contest:
    """
    All items that claim one address in one VRF.

    Attributes:
        items: In the order of their keys, those of nodes first.
        taken: The records that an item of this contest has or takes.
    """

    items: Sequence[Item]
    existing: Existing
    resolved: ResolvedObjects
    settings: Settings
    taken: set[Pointer] = field(default_factory=set)

    def __post_init__(self) -> None:
        first = AddressHints.of(self.items[0])
        self.records = [
            record for record in self.existing.find(ADDRESS, 'host', first.host) if record.values['vrf'] == first.vrf
        ]

    def decide(self) -> dict[str, Claim | None]:
        """The claims of the items."""
        roles = {record.values['role'] for record in self.records if record.values['assigned_object'] is not None}
        guests = [item for item in self.items if not is_node(item.unit)]
        if len(guests) == len(self.items) and ANYCAST in roles:
            return {item.key: self.anycast(item) for item in guests}
        if len(guests) == len(self.items) and not roles.isdisjoint(VIRTUAL_ROLES):
            return self.virtual(guests)
        return self.one_wins()

    # An ordinary address belongs to one guest or node. Several nodes may have the same one.

    def one_wins(self) -> dict[str, Claim | None]:
        """The claims to an ordinary address."""
        winner = min(enumerate(self.items), key=lambda entry: self.rank(*entry))[1]
        claims: dict[str, Claim | None] = {winner.key: self.choose(winner)}
        for item in self.items:
            if item is winner:
                continue
            if self.is_granted(winner):
                # A user has decided who has the address.
                claims[item.key] = None
            elif AddressHints.of(item).is_shared and AddressHints.of(winner).is_shared:
                # Its record depends on the records of the other nodes: see `IPKind.adopt`.
                claims[item.key] = Claim()
            else:
                claims[item.key] = Claim(conflict=claimed_twice(item, winner))
        return claims

    def is_granted(self, item: Item) -> bool:
        """
        Whether a user has decided that the item has the address. If the address was assigned elsewhere since, the
        decision has no effect.
        """
        answer = AddressHints.of(item).answer
        if answer is None or answer.choice is not Choice.MOVE:
            return False
        return answer.pointer is None or bool(self.own(item)) or any(is_moved(each, item) for each in self.records)

    def rank(self, position: int, item: Item) -> tuple[bool, bool, bool, bool, int]:
        """
        The order of precedence: the machine that a user has chosen, then the one that has the address in NetBox, then
        one that reports it, then one that is bound to it, then the first one.
        """
        return (
            not self.is_granted(item),
            not self.own(item),
            not AddressHints.of(item).is_seen,
            self.bound_record(item) is None,
            position,
        )

    def choose(self, item: Item) -> Claim:
        """The claim of the item that gets an ordinary address."""
        if self.bound_record(item) is not None or AddressHints.of(item).is_shared:
            return Claim()
        if own := self.own(item):
            return Claim(record=own[0])
        if elsewhere := self.own_in_other_vrf(item):
            return Claim(record=elsewhere[0])
        free = [record for record in self.records if is_free(record, item, self.existing, self.resolved)]
        if not free:
            return Claim(conflict=held_elsewhere(item, self.records[0])) if self.records else Claim()
        return one_of(item, free, self.existing)

    # Anycast: a record for each interface.

    def anycast(self, item: Item) -> Claim:
        """The claim of one item to an anycast address."""
        if self.bound_record(item) is not None:
            return Claim()
        own = self.own(item) or self.own_in_other_vrf(item)
        unassigned = [
            record
            for record in self.records
            if record.values['assigned_object'] is None
            and record.values['role'] == ANYCAST
            and record.pointer not in self.taken
            and self.existing.bound_to.get(record.pointer) is None
        ]
        for record in (*own, *unassigned):
            self.taken.add(record.pointer)
            return Claim(record=record)
        alone = next((record for record in self.records if record.values['role'] not in SHARED_ROLES), None)
        # NetBox accepts an address twice only if every record has a role that may be shared.
        return Claim(conflict=held_elsewhere(item, alone)) if alone else Claim(role=ANYCAST)

    # A virtual address follows the guest that reports it.

    def virtual(self, items: Sequence[Item]) -> dict[str, Claim | None]:
        """The claims to a virtual address."""
        claims: dict[str, Claim | None] = {}
        kept = {item.key: own[0] for item in items if (own := self.own(item))}
        seen_units = {item.unit for item in items if AddressHints.of(item).is_seen}
        # A record that a user assigned to another object no longer belongs to the guest that is bound to it.
        seeking = [item for item in items if AddressHints.of(item).is_seen and item.key not in kept]
        for item in seeking:
            found = [record for record in self.within_reach(item) if self.may_take(record, item, seen_units)]
            claims[item.key] = self.take(item, found, seen_units)
        for item in items:
            if item.key in claims:
                continue
            record = kept.get(item.key)
            if record is not None and record.pointer not in self.taken:
                claims[item.key] = Claim(record=record)
                self.taken.add(record.pointer)
            else:
                claims[item.key] = self.of_backup(item)
        return claims

    def within_reach(self, item: Item) -> Sequence[Record]:
        """The records that an item may take: the bound one, otherwise all."""
        bound = self.bound_record(item)
        return [bound] if bound else self.records

    def may_take(self, record: Record, item: Item, seen_units: set[str]) -> bool:
        """
        Whether an item may take the record of a virtual address.

        Args:
            seen_units: The units that report the address.
        """
        if record.pointer in self.taken or record.values['role'] not in VIRTUAL_ROLES:
            return False
        if is_free(record, item, self.existing, self.resolved):
            return True
        bound = self.existing.bound_to.get(record.pointer)
        root = self.existing.binding_of(AddressRecordHints.of(record).machine)
        holders = {entry.unit for entry in (bound, root) if entry}
        is_ours = root is not None and not root.unmanaged and not (bound and bound.unmanaged)
        return is_ours and holders.isdisjoint(seen_units) and holders.isdisjoint(self.settings.ignored)

    def take(self, item: Item, found: Sequence[Record], seen_units: set[str]) -> Claim:
        """The claim of an item that reports a virtual address, and that takes one of the records."""
        if not found:
            record = next(iter(self.within_reach(item)))
            root = self.existing.binding_of(AddressRecordHints.of(record).machine)
            if root and root.unit in seen_units:
                return Claim(conflict=seen_twice(item, root.unit))
            return Claim(conflict=held_elsewhere(item, record))
        # Unassigned records before those of other guests.
        record = min(found, key=lambda record: (record.values['assigned_object'] is not None, record.pointer.pk))
        self.taken.add(record.pointer)
        return Claim(record=record)

    def of_backup(self, item: Item) -> Claim | None:
        """The claim of a guest that does not report the virtual address and does not have its record."""
        free = [
            record
            for record in self.records
            if record.pointer not in self.taken and is_free(record, item, self.existing, self.resolved)
        ]
        if not free or self.taken:
            return None
        self.taken.add(free[0].pointer)
        return Claim(record=free[0])

    # Helpers

    def machine(self, item: Item) -> Pointer | None:
        """The virtual machine or device of an item."""
        return machine_of(item, self.resolved)

    def bound_record(self, item: Item) -> Record | None:
        """The record to which an item is bound."""
        return self.existing.bound_record(item)

    def own(self, item: Item) -> list[Record]:
        """The records on the guest or node in NetBox, assigned by the sync or a user."""
        return self.on_machine(item, self.records)

    def own_in_other_vrf(self, item: Item) -> list[Record]:
        """
        Records on the same interface in another VRF, which a user chose. A second record of the address would be wrong
        there.
        """
        interface = interface_of(item, self.resolved)
        found = self.existing.find(ADDRESS, 'host', AddressHints.of(item).host)
        return [record for record in self.on_machine(item, found) if record.values['assigned_object'] == interface]

    def on_machine(self, item: Item, records: Iterable[Record]) -> list[Record]:
        """Those of the records that are on the virtual machine or device of an item, those of its interface first."""
        machine, interface = self.machine(item), interface_of(item, self.resolved)
        if machine is None:
            return []
        found = [
            record
            for record in records
            if AddressRecordHints.of(record).machine == machine and record.pointer not in self.taken
        ]
        return sorted(found, key=lambda record: (record.values['assigned_object'] != interface, record.pointer.pk))


def machine_of(item: Item, resolved: ResolvedObjects) -> Pointer | None:
    """The virtual machine or device of an item, if it exists."""
    return resolved.get(GUEST, item.unit) or resolved.get(DEVICE, item.unit)


def interface_of(item: Item, resolved: ResolvedObjects) -> Pointer | None:
    """The interface of an item, if it exists."""
    ref = AddressHints.of(item).interface
    return resolved.get(ref.kind, ref.key)


def is_free(record: Record, item: Item, existing: Existing, resolved: ResolvedObjects) -> bool:
    """
    Whether an address may be given to this item: it is not assigned, or assigned to this guest, or to a guest that is
    retired (at any endpoint) or has lost it. An address is never taken from any other object.
    """
    bound = existing.bound_to.get(record.pointer)
    if bound and bound.unmanaged:
        return False
    if is_moved(record, item):
        return True
    machine = AddressRecordHints.of(record).machine
    if machine is not None and machine == machine_of(item, resolved):
        return True
    lost = {bound.unit} if bound and (bound.kind, bound.key) in existing.gone else set()
    if bound and bound.unit not in (item.unit, *existing.retired, *lost):
        return False
    if record.values['assigned_object'] is None:
        return True
    if machine is None:
        return False
    root = existing.bound_to.get(machine)
    return machine in existing.retired_elsewhere or (root is not None and root.unit in {*existing.retired, *lost})


def is_moved(record: Record, item: Item) -> bool:
    """Whether a user has decided to move the record from the object to which it is assigned to the item."""
    answer = AddressHints.of(item).answer
    if answer is None or answer.choice is not Choice.MOVE or answer.pointer is None:
        return False
    return record.values['assigned_object'] == answer.pointer


def one_of(item: Item, free: Sequence[Record], existing: Existing) -> Claim:
    """
    Which of several records an address takes: one that this run releases, so that the next run makes the same choice;
    otherwise an unassigned one; that of a retired machine only if there is no other.
    """
    bounds = {record.pointer: existing.bound_to.get(record.pointer) for record in free}
    lost = [record for record in free if (bound := bounds[record.pointer]) and (bound.kind, bound.key) in existing.gone]
    loose = [record for record in free if bounds[record.pointer] is None and record.values['assigned_object'] is None]
    if not lost and len(loose) > 1:
        reason = Message(
            'NetBox has {number} unassigned records of {address}. Delete the duplicates in NetBox.',
            number=len(loose),
            address=item.label,
        )
        return Claim(conflict=Conflict(reason, loose[0]))
    return Claim(record=next(iter(lost or loose or free)))


def may_stand_beside(record: Record, item: Item, existing: Existing, resolved: ResolvedObjects) -> bool:
    """
    Whether NetBox may contain another record of an address that several nodes have (the gateway of a virtual network,
    of a NAT bridge): the other record belongs to another node, or a user gave it a role that allows several records.
    """
    if record.pointer in resolved.claimed:
        return True
    bound = existing.bound_to.get(record.pointer)
    if bound:
        is_gone = bound.unit in existing.retired or (bound.kind, bound.key) in existing.gone
        return bound.unit != item.unit and is_node(bound.unit) and not is_gone
    return record.values['assigned_object'] is not None and record.values['role'] in SHARED_ROLES


def claimed_twice(item: Item, winner: Item) -> Conflict:
    """The conflict of an item that loses an ordinary address to another one."""
    return Conflict(
        Message(
            '{address} is also configured on {winner}, which has precedence. If the address belongs here, '
            'select "Move Address Here". If both are correct, select "Use Another VRF", or set the role '
            '"Anycast" in NetBox.',
            address=item.label,
            winner=winner.unit,
        )
    )


def seen_twice(item: Item, unit: str) -> Conflict:
    """The conflict of an item that reports a virtual address that another guest reports as well."""
    return Conflict(
        Message(
            '{address} is a virtual address in NetBox, and {unit} reports it at the same time. If both are '
            'correct, set the role "Anycast" in NetBox. Otherwise, check which of the two is active.',
            address=item.label,
            unit=unit,
        )
    )


def held_elsewhere(item: Item, record: Record) -> Conflict:
    """The conflict of an item whose address is assigned to another object."""
    holder = AddressRecordHints.of(record).holder or Message('another guest')
    return Conflict(
        Message(
            '{address} is assigned to {holder} in NetBox. If the address belongs here, select "Move Address '
            'Here". If both are correct, select "Use Another VRF".',
            address=item.label,
            holder=holder,
        ),
        record,
    )


def with_claims(items: Sequence[Item], claims: dict[str, Claim | None]) -> Iterator[Item]:
    """The items that get a record or a conflict, each with its claim."""
    for item in items:
        if (claim := claims[item.key]) is not None:
            hints = AddressHints.of(item)
            yield item if claim == hints.claim else replace(item, hints=replace(hints, claim=claim))
