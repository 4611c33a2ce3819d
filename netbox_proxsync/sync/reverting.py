"""
Plans how to undo what a run has written: the inverse of each change, wherever nothing has changed since.

An object or a field that no longer is as the run left it, because a user, another tool or a later run has changed it,
is left as it is, with a reason. The bindings become what they were before the run, so the next sync finds the same
differences again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..proxmox.messages import EMPTY, Message, joined
from .changes import Action, Change, FieldChange
from .kind_names import INTERFACE, MAC
from .kinds import KINDS, Removal
from .ownership import is_empty
from .state import Bound
from .values import Pointer, Ref, Value, as_set, show

__all__ = ('Left', 'Present', 'Reversal', 'invert')

GONE = Message('The object was deleted in NetBox since the run.')
UNBOUND = Message('This endpoint no longer manages the object.')
UNMANAGED = Message('The object was set to unmanaged by a user.')
NOT_CREATED = Message('NetBox created it together with the object that it belongs to.')
HOLDER_LEFT = Message('The object that it belongs to is left unchanged.')
PART_LEFT = Message('A part of it is left unchanged.')
BOUND_AGAIN = Message('The endpoint manages it again since the run.')
RETURNED = Message('The object was revived since the run.')
RETIRED = Message('The object was retired since the run.')
REASSIGNED = Message('A user had assigned it to another object before the run.')
DELETED_WHOLE = Message(
    'The run deleted it with all its parts, so it cannot be created again as it was. The change log of the run has its '
    'values.'
)
NOT_LOGGED = Message('The change log has no entry of the deletion, so the object cannot be created again as it was.')
ORDER = list(KINDS)


@dataclass(frozen=True, kw_only=True)
class Present:
    """
    What NetBox contains now of that which a run has written.

    Attributes:
        bindings: Of the endpoint, by (kind, key).
        values: The values of the objects that exist, by field.
        existing: The objects that exist, among those to which the values before the run refer.
        deleted: The values of the objects that the run has deleted, by field, as far as they are known.
    """

    bindings: Mapping[tuple[str, str], Bound]
    values: Mapping[Pointer, Mapping[str, Value]]
    existing: Collection[Pointer] = frozenset()
    deleted: Mapping[Pointer, Mapping[str, Value]] = field(default_factory=dict)

    @cached_property
    def bound_to(self) -> Mapping[Pointer, Bound]:
        """The bindings by their objects."""
        return {bound.pointer: bound for bound in self.bindings.values()}


@dataclass(frozen=True, slots=True)
class Left:
    """A change of the run that is not undone, as the inverse that would do it, and the reason for the user."""

    change: Change
    reason: Message


@dataclass(frozen=True)
class Reversal:
    """
    Attributes:
        changes: The inverse changes, in the order in which they are applied.
        left: What the run has written and remains as it is.
    """

    changes: tuple[Change, ...]
    left: tuple[Left, ...]


def invert(written: Iterable[Change], present: Present) -> Reversal:
    """
    The changes that undo others. Pure.

    Args:
        written: What a run has written, in its order. The objects in the values are pointers.
    """
    changes = list(written)
    inverter = Inverter(present, restorable(changes, present))
    found = whole([inverse for change in changes if (inverse := inverter.inverse(change))])
    return Reversal(
        changes=in_order([each for each in found if isinstance(each, Change)]),
        left=tuple(each for each in found if isinstance(each, Left)),
    )


def restorable(changes: Iterable[Change], present: Present) -> dict[Pointer, Ref]:
    """The deleted objects that can be created again as they were, with the references by which others name them."""
    found = {
        change.pointer: Ref(change.kind, change.key, change.label)
        for change in changes
        if change.action is Action.DELETE and change.pointer and why_not_created_again(change, present) == ''
    }
    size = -1
    while size != len(found):
        size = len(found)
        found = {
            pointer: ref
            for pointer, ref in found.items()
            if all(each in present.existing or each in found for each in named_by(present.deleted[pointer].values()))
        }
    return found


def why_not_created_again(change: Change, present: Present) -> Message:
    """Why a deleted object cannot be created again, apart from the objects to which it refers; '' if it can."""
    if KINDS[change.kind].removal is not Removal.DELETE:
        return DELETED_WHOLE
    if (change.kind, change.key) in present.bindings:
        return BOUND_AGAIN
    return EMPTY if change.pointer in present.deleted else NOT_LOGGED


def named_by(values: Iterable[Value]) -> Iterator[Pointer]:
    """The objects that values name."""
    for value in values:
        for each in as_set(value) or (value,):
            if isinstance(each, Pointer):
                yield each


@dataclass(frozen=True)
class Inverter:
    """
    Args:
        again: The deleted objects that are created again.
    """

    present: Present
    again: Mapping[Pointer, Ref]

    def inverse(self, change: Change) -> Change | Left | None:
        """The inverse of a change; None: it has no effect any more, or never had one."""
        if change.action.is_open:
            return None
        if change.action is Action.DELETE:
            return self.created_again(change)
        if change.action is Action.RELEASE:
            return self.bound_again(change)
        bound, now = self.present.bindings.get((change.kind, change.key)), None
        if change.pointer:
            now = self.present.values.get(change.pointer)
        inverse = bare(INVERSE[change.action], change)
        if now is None:
            return Left(inverse, GONE)
        if bound is None or bound.pointer != change.pointer:
            return Left(inverse, self.why_unbound(change))
        if bound.unmanaged:
            return Left(inverse, UNMANAGED)
        if change.action is Action.CREATE:
            return deleted(change, bound, now)
        if change.action is Action.RETIRE and bound.missing_since is None:
            return Left(inverse, RETURNED)
        if change.action is Action.REVIVE and bound.missing_since is not None:
            return Left(inverse, RETIRED)
        return self.restored(change, inverse, bound, now)

    def restored(self, change: Change, inverse: Change, bound: Bound, now: Mapping[str, Value]) -> Change | Left | None:
        """
        The inverse of a change that has written fields: they get the values from before it.

        Args:
            inverse: Without fields.
        """
        fields, reasons = [], []
        binding = dict(bound.last)
        for each in change.writes:
            back, reason = self.field_back(each, change, bound, now)
            if back is not None:
                fields.append(back)
            if reason:
                reasons.append(reason)
            if back is not None and not back.kept:
                remember(binding, each, bound.last.get(each.name))
        made = replace(
            inverse,
            fields=tuple(fields),
            binding=None if inverse.action is Action.RELEASE else binding,
            reason=joined(reasons, ' '),
        )
        if made.writes or inverse.action is Action.RELEASE:
            return made
        return Left(made, made.reason) if reasons else None

    def field_back(
        self, each: FieldChange, change: Change, bound: Bound, now: Mapping[str, Value]
    ) -> tuple[FieldChange | None, Message]:
        """
        The inverse of a field, and why it is left as it is.

        Returns:
            No field if nothing is to be done: it holds the value from before the run.
        """
        current, last = now.get(each.name), bound.last.get(each.name)
        before: Value = as_set_before(each, current) if is_set(each) else each.now
        if current == before:
            return None, EMPTY
        back = FieldChange(
            name=each.name,
            owner=each.owner,
            last=last,
            now=current,
            want=before,
            has_last=each.name in bound.last,
            deferred=is_deferred(change, each.name),
        )
        if not is_set(each) and (current != each.want or (back.has_last and last != each.want)):
            return replace(back, kept=True), Message('{field}: changed since the run.', field=each.name)
        wanted, there = self.renamed(before), {*self.present.existing, *named_by([current])}
        if lost := [show(pointer) for pointer in named_by([wanted]) if pointer not in there]:
            text = Message('{field}: {objects} no longer exists.', field=each.name, objects=joined(lost, ', '))
            return replace(back, kept=True), text
        return replace(back, want=wanted, deferred=back.deferred and not is_checked_with(each, change, wanted)), EMPTY

    def renamed(self, value: Value) -> Value:
        """A value in which objects that are created again are named by reference."""
        if isinstance(value, frozenset):
            return frozenset(self.renamed(each) for each in value)
        return self.again.get(value, value) if isinstance(value, Pointer) else value

    def created_again(self, change: Change) -> Change | Left:
        """The inverse of a deletion."""
        inverse = bare(Action.CREATE, replace(change, pointer=None))
        if reason := why_not_created_again(change, self.present):
            return Left(inverse, reason)
        assert change.pointer is not None, 'The values of the object are known.'
        values = dict(self.present.deleted[change.pointer])
        if change.pointer not in self.again:
            found = named_by(values.values())
            lost = sorted({show(each) for each in found if each not in self.present.existing})
            return Left(
                inverse, Message('It referred to what no longer exists: {objects}.', objects=joined(lost, ', '))
            )
        if change.kind == INTERFACE and (mac := self.only_mac(change.pointer)):
            # Deleting it has emptied the field.
            values['primary_mac_address'] = mac
        owners = {spec.name: spec.owner for spec in KINDS[change.kind].fields}
        wants = {name: self.renamed(value) for name, value in values.items() if not is_empty(value)}
        fields = tuple(
            FieldChange(
                name=name,
                owner=owners[name],
                last=None,
                now=None,
                want=value,
                has_last=False,
                deferred=is_deferred(change, name),
            )
            for name, value in wants.items()
        )
        return replace(inverse, fields=fields, binding=wants)

    def why_unbound(self, change: Change) -> Message:
        """Why the object of a change has no binding under its key: another guest may have the VM ID."""
        bound = self.present.bound_to.get(change.pointer) if change.pointer else None
        if bound is None:
            return UNBOUND
        return Message(
            'The VM ID was reused or changed since the run: the object is managed as {key} now.', key=bound.key
        )

    def only_mac(self, interface: Pointer) -> Pointer | None:
        """The only MAC address of an interface that is created again; None if there are none or several."""
        found = [
            pointer
            for pointer, ref in self.again.items()
            if ref.kind == MAC and self.present.deleted[pointer].get('assigned_object') == interface
        ]
        return found[0] if len(found) == 1 else None

    def bound_again(self, change: Change) -> Change | Left:
        """The inverse of a release."""
        inverse = bare(Action.ADOPT, change)
        now = self.present.values.get(change.pointer) if change.pointer else None
        if now is None:
            return Left(inverse, GONE)
        if (change.kind, change.key) in self.present.bindings:
            return Left(inverse, BOUND_AGAIN)
        if not change.writes:
            return Left(inverse, REASSIGNED)
        fields = []
        for each in change.writes:
            wanted = self.renamed(each.now)
            if now.get(each.name) != each.want:
                return Left(inverse, Message('{field}: changed since the run.', field=each.name))
            if lost := [show(pointer) for pointer in named_by([wanted]) if pointer not in self.present.existing]:
                text = Message('{field}: {objects} no longer exists.', field=each.name, objects=joined(lost, ', '))
                return Left(inverse, text)
            fields.append(replace(each, last=None, now=each.want, want=wanted, has_last=False))
        return replace(inverse, fields=tuple(fields), binding={each.name: each.want for each in fields})


INVERSE = {
    Action.CREATE: Action.DELETE,
    Action.ADOPT: Action.RELEASE,
    Action.UPDATE: Action.UPDATE,
    Action.RETIRE: Action.REVIVE,
    Action.REVIVE: Action.RETIRE,
}


def bare(action: Action, change: Change) -> Change:
    """A change of the same object without fields."""
    return Change(
        action=action,
        kind=change.kind,
        key=change.key,
        unit=change.unit,
        label=change.label,
        pointer=change.pointer,
    )


def deleted(change: Change, bound: Bound, now: Mapping[str, Value]) -> Change | Left:
    """The inverse of a creation. The fields of the deletion are those that must not have changed."""
    inverse = replace(
        bare(Action.DELETE, change),
        fields=tuple(
            FieldChange(
                name=each.name,
                owner=each.owner,
                last=bound.last.get(each.name),
                now=now.get(each.name),
                want=None,
                has_last=each.name in bound.last,
            )
            for each in change.writes
        ),
    )
    if not bound.created_by_sync:
        return Left(inverse, NOT_CREATED)
    changed = [each.name for each in change.writes if is_changed(each, bound, now)]
    if changed:
        return Left(inverse, Message('Changed since the run: {fields}.', fields=joined(changed, ', ')))
    return inverse


def is_changed(each: FieldChange, bound: Bound, now: Mapping[str, Value]) -> bool:
    """Whether a field of a created object does not hold what the run wrote, if it wrote it."""
    current = now.get(each.name)
    is_unwritten = is_empty(current) and bound.last.get(each.name) != each.want
    return current != each.want and not is_unwritten


def is_set(each: FieldChange) -> bool:
    """Whether a field holds several objects."""
    return isinstance(each.want, frozenset) or isinstance(each.now, frozenset)


def as_set_before(each: FieldChange, current: Value) -> frozenset[Value]:
    """A set without what the run has added, and with what it has removed."""
    before, after = as_set(each.now), as_set(each.want)
    return (as_set(current) - (after - before)) | (before - after)


def remember(binding: dict[str, Value], each: FieldChange, last: Value) -> None:
    """Let a binding store what it stored before the run."""
    if not each.has_last:
        binding.pop(each.name, None)
    elif is_set(each):
        before, after = as_set(each.now), as_set(each.want)
        binding[each.name] = (as_set(last) - (after - before)) | (as_set(each.last) & (before - after))
    else:
        binding[each.name] = each.last


def is_deferred(change: Change, name: str) -> bool:
    """Whether a field is written after the other objects of its unit."""
    return any(spec.deferred for spec in KINDS[change.kind].fields if spec.name == name)


def is_checked_with(each: FieldChange, change: Change, wanted: Value) -> bool:
    """Whether a deferred field is written together with the one with which NetBox validates it."""
    partner = next(spec.checked_with for spec in KINDS[change.kind].fields if spec.name == each.name)
    return not isinstance(wanted, Ref) and any(partner == other.name for other in change.writes)


def whole(found: list[Change | Left]) -> list[Change | Left]:
    """
    The same, so that a created object is deleted only together with all its parts, and a part only together with the
    created object that it belongs to.
    """
    number = -1
    while number != (number := sum(isinstance(each, Left) for each in found)):
        left = [each for each in found if isinstance(each, Left) and each.change.action is Action.DELETE]
        blocked = {holder for each in left if each.reason != GONE and (holder := holder_of(each.change))}
        remaining = {each.change.pointer for each in left}
        found = [
            Left(each, reason)
            if isinstance(each, Change) and (reason := why_not_alone(each, blocked, remaining))
            else each
            for each in found
        ]
    return found


def why_not_alone(change: Change, blocked: Collection[Pointer], remaining: Collection[Pointer | None]) -> Message:
    """
    Why an object is not deleted because of others that are not; '' if it may be.

    Args:
        blocked: The objects to which left ones belong.
        remaining: The created objects that are left.
    """
    if change.action is not Action.DELETE:
        return EMPTY
    if change.pointer in blocked:
        return PART_LEFT
    return HOLDER_LEFT if holder_of(change) in remaining else EMPTY


def holder_of(change: Change) -> Pointer | None:
    """The object to which one belongs that is to be deleted."""
    name = KINDS[change.kind].holder
    holder = next((each.now for each in change.fields if each.name == name), None)
    return holder if isinstance(holder, Pointer) else None


def in_order(changes: list[Change]) -> tuple[Change, ...]:
    """
    The changes by unit. Objects are created again first, since others may refer to them. Removals are last, in the
    reverse order of the units: guests before their nodes, and those before the cluster.

    Within a unit, parts are released before NetBox would delete them with the object that they belong to. Then an
    object is deleted before its parts, and a VLAN interface before its parent. A guest or node is released last, since
    that also releases the parts that remain.
    """
    units = {change.unit: number for number, change in reversed(list(enumerate(changes)))}
    creating = {change.unit for change in changes if change.action is Action.CREATE}
    return tuple(
        sorted(
            changes,
            key=lambda change: (
                change.action.removes_object,
                change.unit not in creating,
                -units[change.unit] if change.action.removes_object else units[change.unit],
                removal_rank(change),
                ORDER.index(change.kind) * (-1 if change.action is Action.RELEASE else 1),
                has_parent(change) == (change.action is Action.CREATE),
            ),
        )
    )


def removal_rank(change: Change) -> int:
    """The position of a removal within its unit."""
    if change.action is Action.RELEASE:
        return 2 if change.key == change.unit else 0
    return 1


def has_parent(change: Change) -> bool:
    """Whether an interface has a parent, without which it cannot exist."""
    return any(each.name == 'parent' and (each.now or each.want) for each in change.fields)
