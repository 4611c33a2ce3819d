"""Compares what NetBox should contain with what it contains: Desired + Existing -> Plan."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from ..proxmox.messages import Message, joined
from .answers import Choice
from .changes import Action, Change, FieldChange, Plan
from .guest_identity import rekey_replaced, rekey_returned
from .kind import Conflict
from .kinds import KINDS, Field, Kind, Owner
from .mapping.missing_addresses import forget_absence
from .matching import Match, Matches, match, unmatched
from .ownership import FieldDecision, is_empty, resolve_field
from .refusals import demand_of_shared, new_shared
from .removal import removals
from .safety import why_unsafe
from .settings import Settings
from .state import Desired, Existing, Item, Record
from .unchanged import is_unchanged
from .values import Pointer, Ref, Shared, Value
from .write_policy import WritePolicy, split

__all__ = ('compare',)

# The types of values that name objects.
REFERENCES = (Ref, Shared, frozenset)
# Shared by all objects that have the values of Proxmox VE.
NO_VALUES: Mapping[str, Value] = MappingProxyType({})
# The models of managed objects.
MANAGED = frozenset(kind.model for kind in KINDS.values())


def compare(desired: Desired, existing: Existing, settings: Settings, now: datetime) -> Plan:
    """
    The changes that make NetBox contain what it should. Pure.

    Args:
        now: The current time, which decides grace periods.
    """
    existing = with_ignored(existing, settings)
    existing, rekeyed = rekey_replaced(desired, existing)
    existing, returned = rekey_returned(desired, existing)
    rekeyed |= returned
    matches = match(desired, existing, settings, now)
    resolver = Resolver(existing, matches)
    changes: list[Change] = []
    refreshed: dict[int, Mapping[str, Value]] = {}
    proxmox_values: dict[tuple[str, str], Mapping[str, Value]] = {}
    for entry in matches.matched:
        resolved = resolver.resolve_all(entry.item.values)
        if is_unchanged(entry, resolver.owned_names(entry.item.kind, settings), resolved):
            proxmox_values[entry.item.kind, entry.item.key] = NO_VALUES
            continue
        last = remembered(entry, existing)
        change = matches.refusals.checked(change_of(entry, last, resolved, resolver, settings), existing)
        if change.binding is None:
            # A conflict: NetBox refuses the change.
            changes.append(change)
            continue
        proxmox_values[change.kind, change.key] = differing_values(change.kind, resolved, change.binding)
        if entry.bound is None or is_change(change):
            changes.append(change)
        # A stored pointer to an object that no longer exists is not worth a write on its own.
        elif change.binding != last:
            refreshed[entry.bound.pk] = change.binding
    for item, _conflict in matches.conflicts:
        bound = existing.bindings.get((item.kind, item.key))
        if bound and (found := forget_absence(bound.last)) != bound.last:
            refreshed[bound.pk] = found
    refreshed |= matches.remembered
    changes += conflicts(matches)
    changes += problems(matches)
    removed, forgotten = removals(unmatched(desired, existing, matches), existing, settings, now)
    changes += (matches.refusals.checked(change, existing) for change in removed)
    notices = (*desired.notices, *matches.notices, *matches.refusals.notices())
    permitted, withheld = split(by_unit(changes), settings.write_policy)
    plan = Plan(
        changes=permitted,
        withheld=withheld,
        refreshed=refreshed,
        forgotten=forgotten,
        rekeyed=rekeyed,
        shared=existing.new_shared,
        proxmox_values=proxmox_values,
        notices=notices,
    )
    if settings.write_policy == WritePolicy.REPORT_ONLY:
        # Bindings are not written, either.
        plan = replace(plan, refreshed={}, forgotten=(), rekeyed={}, shared={})
    return replace(plan, refusal=why_unsafe(plan, existing, settings))


def with_ignored(existing: Existing, settings: Settings) -> Existing:
    """What exists, with the objects that users ignore as unmanaged ones."""
    ignored = {
        identity: replace(bound, unmanaged=True)
        for identity, answer in settings.answers.items()
        if answer.choice is Choice.IGNORE and (bound := existing.bindings.get(identity))
    }
    return replace(existing, bindings={**existing.bindings, **ignored}) if ignored else existing


@dataclass(frozen=True)
class Resolver:
    """Replaces references by the existing objects that they mean."""

    existing: Existing
    matches: Matches
    _owned: dict[tuple[str, bool], tuple[tuple[Field, Owner], ...]] = field(default_factory=dict)
    _owned_names: dict[str, frozenset[str]] = field(default_factory=dict)

    def owned(self, kind: Kind, settings: Settings, is_made: bool) -> tuple[tuple[Field, Owner], ...]:
        """As the function `owned`, computed once."""
        if (kind.name, is_made) not in self._owned:
            self._owned[kind.name, is_made] = tuple(owned(kind, self.existing, settings, is_made))
        return self._owned[kind.name, is_made]

    def owned_names(self, kind: str, settings: Settings) -> frozenset[str]:
        """The names of the fields that are compared of objects that exist."""
        if kind not in self._owned_names:
            fields = self.owned(KINDS[kind], settings, is_made=False)
            self._owned_names[kind] = frozenset(spec.name for spec, _owner in fields)
        return self._owned_names[kind]

    def resolve_all(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Values by field, resolved."""
        return {name: self.resolve(value) if isinstance(value, REFERENCES) else value for name, value in values.items()}

    def resolve(self, value: Value) -> Value:
        """The value, with references replaced by pointers where the objects exist."""
        match value:
            case Ref():
                return self.matches.resolved.get(value.kind, value.key) or value
            case Shared():
                return self.existing.shared_object(value)
            case frozenset():
                return frozenset(self.resolve(element) for element in value)
            case _:
                return value

    def is_expected(self, value: Value) -> bool:
        """Whether a value can be written: the object that it names exists or will be created."""
        if shared := new_shared(value, self.existing):
            return demand_of_shared(shared, self.existing) is None
        return not isinstance(value, Ref) or (value.kind, value.key) in self.matches.expected


def change_of(
    entry: Match, last: Mapping[str, Value], resolved: Mapping[str, Value], resolver: Resolver, settings: Settings
) -> Change:
    """
    The change of a matched item. Without fields and with an unchanged binding, it means no change.

    Args:
        last: The values that were last written, by field.
        resolved: The values of the item, resolved.
    """
    item, record = entry.item, entry.record
    kind = KINDS[item.kind]
    written = [
        (spec, owner)
        for spec, owner in resolver.owned(kind, settings, is_made=record is None)
        if spec.name in resolved and resolver.is_expected(item.values[spec.name])
    ]
    wants = {spec.name: resolved[spec.name] for spec, _owner in written}
    binding = kind.memory(item, last, is_bound=entry.bound is not None)
    note_refused(item, kind, resolver)
    fields = []
    for spec, owner in written:
        want = wants[spec.name]
        decision = decision_on(spec, owner, want, last, entry, resolver)
        if decision is None:
            continue
        if not decision.kept or spec.name in last:
            binding[spec.name] = decision.last
        # The fields of a new object are empty without a write.
        if decision.kept or (decision.writes and not (record is None and is_empty(decision.write))):
            fields.append(
                FieldChange(
                    name=spec.name,
                    owner=owner,
                    last=last.get(spec.name),
                    now=record.values.get(spec.name) if record else None,
                    want=decision.write,
                    has_last=spec.name in last,
                    kept=decision.kept,
                    deferred=spec.deferred and not is_written_with(spec, want, wants, record),
                )
            )
    return Change(
        action=action_of(entry),
        kind=item.kind,
        key=item.key,
        unit=item.unit,
        label=str(item.values.get('name') or item.label),
        pointer=record.pointer if record else None,
        fields=tuple(fields),
        binding=binding,
        reason=reason_of(item, fields),
    )


def decision_on(
    spec: Field, owner: Owner, want: Value, last: Mapping[str, Value], entry: Match, resolver: Resolver
) -> FieldDecision | None:
    """
    The decision about a field; None: NetBox does not accept the value, so the field is left out.

    Args:
        last: The values that were last written, by field.
    """
    kind, key, existing, refusals = KINDS[entry.item.kind], entry.item.key, resolver.existing, resolver.matches.refusals
    now = entry.record.values.get(spec.name) if entry.record else None
    if want != now and not refusals.may_write(kind, spec.name, key, want, existing):
        return None
    if isinstance(want, frozenset):
        want = refusals.assignable(kind, key, now, last.get(spec.name), want, existing)
    return resolve_field(owner, spec.name, last, now, want, entry.bound.kept if entry.bound else None)


def reason_of(item: Item, fields: Iterable[FieldChange]) -> Message:
    """Why the written fields have their values, where that is not obvious."""
    written = (change.name for change in fields if not change.kept and change.name in item.reasons)
    return joined((Message('{field}: {reason}', field=name, reason=item.reasons[name]) for name in written), '; ')


def note_refused(item: Item, kind: Kind, resolver: 'Resolver') -> None:
    """Note the shared objects that fields of an item need and that NetBox refuses to create."""
    for spec in kind.fields:
        shared = new_shared(item.values.get(spec.name), resolver.existing)
        if shared and (demand := demand_of_shared(shared, resolver.existing)):
            resolver.matches.refusals.add_demand(demand, shared.name)


def differing_values(kind: str, resolved: Mapping[str, Value], binding: Mapping[str, Value]) -> Mapping[str, Value]:
    """
    The values of Proxmox VE that differ from those that the binding will store.

    Args:
        kind: The name of the kind.
        resolved: The values of the item, resolved.
        binding: The values that the binding will store.
    """
    said = {spec.name: resolved[spec.name] for spec in KINDS[kind].fields if spec.name in resolved}
    return {
        name: value
        for name, value in said.items()
        if (binding[name] != value if name in binding else not is_empty(value))
    }


def remembered(entry: Match, existing: Existing) -> Mapping[str, Value]:
    """
    The values that were last written to the object of an item. An object that is used for another item from now on (the
    address of a guest that is gone) still holds values that the sync wrote.

    Pointers to managed objects that no longer exist are left out: if a user deletes an address, NetBox empties the
    fields that referred to it, which is no edit.
    """
    bound = entry.bound or (existing.bound_to.get(entry.record.pointer) if entry.record else None)
    last = bound.last if bound else {}
    lost = [
        name
        for name, value in last.items()
        if isinstance(value, Pointer) and value.model in MANAGED and value not in existing.by_pointer
    ]
    return {name: value for name, value in last.items() if name not in lost} if lost else last


def is_written_with(spec: Field, want: Value, wants: Mapping[str, Value], record: Record | None) -> bool:
    """Whether a deferred field is written together with the field with which NetBox validates it."""
    if not spec.checked_with or record is None or isinstance(want, Ref):
        return False
    return spec.checked_with in wants and record.values[spec.checked_with] != wants[spec.checked_with]


def owned(kind: Kind, existing: Existing, settings: Settings, is_made: bool) -> Iterator[tuple[Field, Owner]]:
    """
    The fields of a kind with their owners; without fields that the endpoint ignores, and without custom fields that
    were deleted.

    Args:
        is_made: Whether the object is created, so that it needs its required fields even if they are ignored.
    """
    names = existing.custom_fields.get(kind.model, frozenset())
    for spec in kind.fields:
        if spec.name.startswith('cf_') and spec.name[3:] not in names:
            continue
        owner = settings.owner(kind.name, spec.name, spec.owner)
        if owner is not None or (is_made and spec.needed):
            yield spec, owner or spec.owner


def action_of(entry: Match) -> Action:
    """The action of a matched item."""
    if entry.record is None:
        return Action.CREATE
    if entry.bound is None:
        return Action.ADOPT
    return Action.REVIVE if entry.bound.missing_since else Action.UPDATE


def is_change(change: Change) -> bool:
    """Whether a change has any effect on NetBox or on who manages the object."""
    return change.action is not Action.UPDATE or bool(change.writes)


def conflicts(matches: Matches) -> list[Change]:
    """The changes of items that could not be matched."""
    return [change for item, conflict in matches.conflicts for change in open_changes(item, conflict)]


def open_changes(item: Item, conflict: Conflict) -> Iterator[Change]:
    """What a user has to decide about an item: one change per candidate, otherwise one conflict."""
    if not conflict.candidates:
        yield open_change(Action.CONFLICT, item, conflict.record, conflict.reason)
    for candidate in conflict.candidates:
        yield open_change(Action.CANDIDATE, item, candidate.record, candidate.reason)


def open_change(action: Action, item: Item, record: Record | None, reason: Message) -> Change:
    """A change that writes nothing, because a user has to decide."""
    return Change(
        action=action,
        kind=item.kind,
        key=item.key,
        unit=item.unit,
        label=item.label,
        pointer=record.pointer if record else None,
        reason=reason,
    )


def problems(matches: Matches) -> list[Change]:
    """The values that cannot be written, as conflicts in addition to the changes that write the others."""
    return [
        open_change(Action.CONFLICT, entry.item, entry.record, problem)
        for entry in matches.matched
        for problem in entry.item.problems
    ]


def by_unit(changes: list[Change]) -> tuple[Change, ...]:
    """
    The changes by unit, in the order in which the units first appear, followed by the releases and deletions, by unit
    again: an address that moves to another guest must be moved before its old interface is deleted.
    """
    position: dict[str, int] = {}
    for change in changes:
        position.setdefault(change.unit, len(position))
    return tuple(sorted(changes, key=lambda change: (change.action.removes_object, position[change.unit])))
