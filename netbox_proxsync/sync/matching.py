"""Matches items with NetBox objects: each one is bound, adopted, to be created, or in conflict."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..proxmox.inventory import Notice
from ..proxmox.messages import Message, counted, joined
from ..proxmox.notices import listed
from .answers import Choice
from .changes import Action
from .kind import Absences, Conflict, Kind, ResolvedObjects
from .kinds import KINDS, Removal
from .kinds.cluster import CLUSTER_KEY
from .refusals import Refusals, demand_of_new
from .removal import removal
from .settings import Settings
from .state import Bound, Desired, Existing, Item, Record
from .values import Pointer, Ref, Value

__all__ = ('Match', 'Matches', 'match')

# Returns the object of an item without a binding (see `Kind.recognition`).
type Adopt = Callable[[Item], Record | Conflict | None]


@dataclass(frozen=True, slots=True)
class Match:
    """An item with its object: `record` without `bound` is an adoption, neither of them a creation."""

    item: Item
    bound: Bound | None = None
    record: Record | None = None


@dataclass
class Matches:
    """
    The result of matching all items.

    Attributes:
        matched: The items that a sync can act on, in the order in which they can be created.
        conflicts: The items that it must leave unchanged, with the reason.
        resolved: The existing objects, by (kind, key).
        notices: What the user should know, in addition to single objects.
        blocked: The keys of the roots that are in conflict: nothing of their units is written.
        expected: The items, as (kind, key), whose objects exist or will be created.
        skipped: The unmanaged items, as (kind, key), that have no object: neither they nor their parts are created.
        refusals: What NetBox refuses.
        kept: The bindings, as (kind, key), whose counterparts were not found in Proxmox VE and are not gone.
        remembered: New stored values of these bindings, by pk.
    """

    matched: list[Match] = field(default_factory=list)
    conflicts: list[tuple[Item, Conflict]] = field(default_factory=list)
    resolved: ResolvedObjects = field(default_factory=ResolvedObjects)
    notices: list[Notice] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    expected: set[tuple[str, str]] = field(default_factory=set)
    skipped: set[tuple[str, str]] = field(default_factory=set)
    refusals: Refusals = field(default_factory=Refusals)
    kept: set[tuple[str, str]] = field(default_factory=set)
    remembered: dict[int, Mapping[str, Value]] = field(default_factory=dict)


def match(desired: Desired, existing: Existing, settings: Settings, now: datetime) -> Matches:
    """
    Match every desired item with what exists.

    Args:
        now: The current time, which decides grace periods.
    """
    matches = Matches(notices=waiting_guests(desired, existing))
    gone = absent(desired, existing)
    existing = replace(
        existing,
        gone=frozenset((bound.kind, bound.key) for bound in gone),
        retired=retired_units(gone, desired, existing, settings),
        expired=expired_roots(gone, existing, settings, now),
    )
    by_kind: dict[str, list[Item]] = defaultdict(list)
    for item in desired.items:
        by_kind[item.kind].append(item)
    for kind in KINDS.values():
        resolved_items = kind.resolve_values(by_kind[kind.name], existing, settings)
        resolved_items = without_ignored(resolved_items, existing, settings, matches)
        absent_of_kind = [bound for bound in gone if bound.kind == kind.name]
        # A guest in conflict takes no addresses from others.
        takers = [item for item in resolved_items if matches.blocked.isdisjoint((CLUSTER_KEY, item.unit))]
        absences = kind.judge(absent_of_kind, takers, desired, existing, matches.resolved, settings)
        existing = without_kept(existing, absent_of_kind, absences, matches)
        items = kind.arrange(resolved_items, existing, matches.resolved, settings)
        adopt = kind.recognition(items, existing, matches.resolved, settings)
        matched: list[Match] = []
        for item in items:
            if not in_scope(item, desired, existing):
                reserve_existing(item, existing, adopt, matches)
            elif entry := bind(kind, item, existing, adopt, matches):
                matched.append(entry)
        adjusted = kind.adjust_values([entry.item for entry in matched], existing, matches.resolved, settings)
        matches.notices += kind.notices(adjusted)
        matches.matched += [with_item(entry, item) for item, entry in zip(adjusted, matched, strict=True)]
    finalize(matches, existing, settings)
    return matches


def without_ignored(items: Sequence[Item], existing: Existing, settings: Settings, matches: Matches) -> Sequence[Item]:
    """The items without those that users ignore and that are not bound: they are not created, nor are their parts."""
    ignored = {
        identity
        for identity, answer in settings.answers.items()
        if answer.choice is Choice.IGNORE and identity not in existing.bindings
    }
    found = {(item.kind, item.key) for item in items} & ignored
    matches.skipped |= found
    return [item for item in items if (item.kind, item.key) not in found] if found else items


def waiting_guests(desired: Desired, existing: Existing) -> list[Notice]:
    """The guests that would be retired if a node were not offline, by the nodes on which they may be."""
    waiting: dict[tuple[str, ...], list[str]] = {}
    for bound in existing.bindings.values():
        is_root = bound.key == bound.unit and not (bound.missing_since or bound.unmanaged)
        if is_root and desired.may_lose(bound.unit) and (nodes := desired.waiting.nodes_of(bound.unit)):
            waiting.setdefault(nodes, []).append(bound.unit)
    return [notice_of_waiting(nodes, sorted(units)) for nodes, units in sorted(waiting.items())]


def notice_of_waiting(nodes: tuple[str, ...], units: list[str]) -> Notice:
    """The notice about guests that may be on offline nodes."""
    offline = counted('node {nodes}', 'nodes {nodes}', len(nodes), nodes=joined(nodes, ', '))
    if len(units) > 1:
        message = Message(
            '{number} guests ({guests}) are not listed by Proxmox VE and may be on the offline {nodes}. They are left '
            'unchanged.',
            number=len(units),
            guests=listed(units),
            nodes=offline,
        )
    else:
        message = Message(
            '{guest} is not listed by Proxmox VE and may be on the offline {nodes}. It is left unchanged.',
            guest=units[0],
            nodes=offline,
        )
    return Notice(
        subject='guests' if len(units) > 1 else units[0],
        message=message,
        remedy=Message('Bring the node back online, or remove it from the cluster ("pvecm delnode").'),
    )


def without_kept(existing: Existing, absent_of_kind: Sequence[Bound], absences: Absences, matches: Matches) -> Existing:
    """What exists, without the absent bindings of a kind that are not gone among those that are gone."""
    kept = {(bound.kind, bound.key) for bound in absent_of_kind} - absences.gone
    matches.kept |= kept
    matches.remembered |= absences.remembered
    matches.notices += absences.notices
    return replace(existing, gone=existing.gone - kept) if kept else existing


def finalize(matches: Matches, existing: Existing, settings: Settings) -> None:
    """Complete the values that depend on the items of several kinds (`Kind.finalize`)."""
    parts: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for entry in matches.matched:
        parts[entry.item.unit][entry.item.kind].append(entry.item)

    def finalized(item: Item, record: Record | None) -> Item:
        return KINDS[item.kind].finalize(item, record, parts[item.unit], matches.kept, existing, settings)

    matches.matched = [with_item(entry, finalized(entry.item, entry.record)) for entry in matches.matched]


def with_item(entry: Match, item: Item) -> Match:
    """The match with another version of its item."""
    return entry if item is entry.item else Match(item, entry.bound, entry.record)


def retired_units(gone: Sequence[Bound], desired: Desired, existing: Existing, settings: Settings) -> frozenset[str]:
    """The units that are retired, or will be by this plan, so that their objects are free for others."""
    if settings.missing_guests == 'leave':
        return frozenset()
    going = {bound.unit for bound in gone if KINDS[bound.kind].removal is Removal.RETIRE}
    wanted = {item.unit for item in desired.items}
    retired = {bound.unit for bound in existing.bindings.values() if bound.missing_since and bound.unit not in wanted}
    # The objects of guests that are ignored or out of scope are not free for others.
    return frozenset(unit for unit in going | retired if desired.may_lose(unit))


def expired_roots(gone: Sequence[Bound], existing: Existing, settings: Settings, now: datetime) -> frozenset[Pointer]:
    """The retired objects whose grace period is over, so that they are deleted."""
    roots = (bound for bound in gone if KINDS[bound.kind].removal is Removal.RETIRE)
    found = ((bound, existing.by_pointer.get(bound.pointer)) for bound in roots)
    changes = ((record, removal(bound, record, existing, settings, now)) for bound, record in found if record)
    return frozenset(record.pointer for record, change in changes if change and change.action is Action.DELETE)


def in_scope(item: Item, desired: Desired, existing: Existing) -> bool:
    """Whether the run covers an item. The cluster is always covered until it exists."""
    if desired.concerns(item.unit):
        return True
    return item.key == CLUSTER_KEY and existing.bound_record(item) is None


def reserve_existing(item: Item, existing: Existing, adopt: Adopt, matches: Matches) -> None:
    """Leave an item out of scope unchanged, but reserve its object so that no other item takes it."""
    record = existing.bound_record(item)
    if record is not None:
        keep_unchanged(item, record, matches)
    elif isinstance(found := adopt(item), Record):
        matches.resolved.claimed.add(found.pointer)


def bind(kind: Kind, item: Item, existing: Existing, adopt: Adopt, matches: Matches) -> Match | None:
    """The match of an item; None: it is left unchanged, or in conflict."""
    if CLUSTER_KEY in matches.blocked or item.unit in matches.blocked:
        return None
    bound, record = existing.binding(item), existing.bound_record(item)
    if (bound and bound.unmanaged) or is_part_of_skipped(item, matches):
        keep_unchanged(item, record, matches)
        return None
    if record is None and item.partial:
        block_unit(item, matches)
        return None
    found = adopt(item) if record is None else record
    if conflict := conflict_about(kind, item, found, existing, matches):
        matches.conflicts.append((item, conflict))
        block_unit(item, matches)
        return None
    matches.expected.add((item.kind, item.key))
    if not isinstance(found, Record):
        return Match(item)
    matches.resolved.add(item.kind, item.key, found.pointer)
    # A binding whose object a user deleted has no effect.
    return Match(item, bound if record else None, found)


def conflict_about(
    kind: Kind, item: Item, found: Record | Conflict | None, existing: Existing, matches: Matches
) -> Conflict | None:
    """
    Why an item cannot be bound to an object.

    Args:
        found: Its object, or why that is not decided; None: it has none and is to be created.
    """
    if isinstance(found, Conflict):
        return with_managing_endpoint(found, existing)
    if found is None:
        return refused_creation(kind, item, existing, matches)
    resolved = matches.resolved
    return kind.verify_binding(item, found, existing, resolved) or other_owner(found, existing, resolved)


def refused_creation(kind: Kind, item: Item, existing: Existing, matches: Matches) -> Conflict | None:
    """Why NetBox would reject the new object; it is noted for the notices of the run, too."""
    demanded = demand_of_new(kind, item, existing)
    if demanded is None:
        return None
    demand, key = demanded
    matches.refusals.add_demand(demand, key)
    if item.key != item.unit:
        # Its parts cannot be created, either. The parts of a root are blocked with it.
        matches.skipped.add((item.kind, item.key))
    return Conflict(
        joined(
            (
                Message('NetBox would reject the new object.'),
                demand.reason,
                Message('Give the custom field "{field}" a valid default, or do not require it.', field=demand.field),
            )
        )
    )


def is_part_of_skipped(item: Item, matches: Matches) -> bool:
    """Whether the item is a part of an unmanaged item that has no object."""
    if not matches.skipped:
        return False
    return any(isinstance(value, Ref) and (value.kind, value.key) in matches.skipped for value in item.values.values())


def keep_unchanged(item: Item, record: Record | None, matches: Matches) -> None:
    """Leave the object unchanged: it is unmanaged, or out of scope. Other objects may refer to it."""
    if record is None:
        matches.skipped.add((item.kind, item.key))
        return
    matches.resolved.add(item.kind, item.key, record.pointer)
    matches.expected.add((item.kind, item.key))


def with_managing_endpoint(conflict: Conflict, existing: Existing) -> Conflict:
    """The conflict, with the endpoint that manages the object that causes it."""
    record = conflict.record
    owner = existing.foreign.get(record.pointer) if record else None
    if record is None or not owner:
        return conflict
    kept = Message('"{name}" is managed by another endpoint (ID {owner}).', name=record.pointer.label, owner=owner)
    return replace(conflict, reason=joined((conflict.reason, kept)))


def block_unit(item: Item, matches: Matches) -> None:
    """Block the whole unit if the item is its root, or everything if the item is the cluster."""
    if item.key in (CLUSTER_KEY, item.unit):
        matches.blocked.add(item.key)


def other_owner(record: Record, existing: Existing, resolved: ResolvedObjects) -> Conflict | None:
    """Why an object cannot be taken: an object is managed by one endpoint and as one kind."""
    label = record.pointer.label
    if owner := existing.foreign.get(record.pointer):
        return Conflict(
            Message('"{name}" is managed by another endpoint (ID {owner}).', name=label, owner=owner), record
        )
    if record.pointer in resolved.claimed:
        return Conflict(Message('"{name}" is taken by another object of this endpoint already.', name=label), record)
    return None


def unmatched(desired: Desired, existing: Existing, matches: Matches) -> Sequence[Bound]:
    """The bindings whose counterparts are gone from Proxmox VE and whose objects are not used for other items."""
    return [
        bound
        for bound in absent(desired, existing)
        if bound.pointer not in matches.resolved.claimed and (bound.kind, bound.key) not in matches.kept
    ]


def absent(desired: Desired, existing: Existing) -> Sequence[Bound]:
    """The bindings whose counterparts were certainly not found in Proxmox VE."""
    wanted = {(item.kind, item.key) for item in desired.items}
    return [
        bound
        for identity, bound in existing.bindings.items()
        if identity not in wanted
        and bound.kind in KINDS
        and not bound.unmanaged
        and desired.may_lose(bound.unit)
        and not desired.waiting.nodes_of(bound.unit)
        and (
            is_replaced(bound, existing)
            or (bound.kind, KINDS[bound.kind].scope(bound.key, bound.unit)) in desired.complete
        )
    ]


def is_replaced(bound: Bound, existing: Existing) -> bool:
    """Whether the VM ID of the root now belongs to another machine."""
    return bound.unit in existing.replaced and bound.key == bound.unit
