"""
What this NetBox refuses, known before anything is written, so that a run reports it once instead of once per object.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..proxmox.inventory import Notice
from ..proxmox.messages import Message, joined
from .changes import Action, Change
from .custom_field_rules import Demand
from .kinds import KINDS, Kind
from .state import Existing, Item
from .values import Pointer, Shared, Value, as_set

__all__ = ('Refusals', 'demand_of_new', 'demand_of_shared', 'new_shared')

CUSTOM = 'cf_'
KIND_MODELS = {kind.model for kind in KINDS.values()}
SUBJECT = 'NetBox'
SHOWN = 5
DEVICE_TYPE, MANUFACTURER = 'dcim.devicetype', 'dcim.manufacturer'


@dataclass
class Refusals:
    """
    Collects what is left out, for the notices of the run.

    Attributes:
        demanded: By required custom field: the objects that are not created.
        unchangeable: By kind and reason: the objects that are not changed.
        tags: By tag and kind: the objects that do not get the tag.
        values: By custom field, kind and reason: the objects that do not get the value.
    """

    demanded: dict[Demand, set[str]] = field(default_factory=dict)
    unchangeable: dict[tuple[str, Message], set[str]] = field(default_factory=dict)
    tags: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    values: dict[tuple[str, str, Message], set[str]] = field(default_factory=dict)

    def add_demand(self, demand: Demand, key: str) -> None:
        """
        Note an object that is not created because of a required custom field.

        Args:
            key: The key of an item, or the name of a shared object.
        """
        self.demanded.setdefault(demand, set()).add(key)

    def may_write(self, kind: Kind, name: str, key: str, value: Value, existing: Existing) -> bool:
        """Whether NetBox accepts a value of a field; if not, it is noted."""
        if not name.startswith(CUSTOM):
            return True
        limits = existing.limits.get((kind.model, name.removeprefix(CUSTOM)))
        if limits is None or not (refusal := limits.refusal(value)):
            return True
        # A required field without a value in Proxmox VE is not worth a notice.
        if value not in (None, ''):
            self.values.setdefault((name.removeprefix(CUSTOM), kind.plural, refusal), set()).add(key)
        return False

    def assignable(
        self, kind: Kind, key: str, now: Value, last: Value, want: frozenset[Value], existing: Existing
    ) -> frozenset[Value]:
        """
        The wanted elements of a set, without those that NetBox refuses for the object. Elements that it has already
        remain wanted, and an element that a user removed is still stored as such.
        """
        left: set[Value] = set()
        for element in want - as_set(now) - as_set(last):
            if isinstance(element, Pointer) and kind.model not in existing.tag_limits.get(element, (kind.model,)):
                self.tags.setdefault((element.label, kind.plural), set()).add(key)
                left.add(element)
            elif isinstance(element, Shared) and (demand := demand_of_shared(element, existing)):
                self.add_demand(demand, element.name)
                left.add(element)
        return want - left

    def checked(self, change: Change, existing: Existing) -> Change:
        """The change, or a conflict if NetBox would refuse it because of another value of the object."""
        record = existing.by_pointer.get(change.pointer) if change.pointer else None
        refused = dict(record.refused) if record else {}
        for entry in change.writes:
            refused.pop(entry.name.removeprefix(CUSTOM), None)
        if not refused or not change.writes or change.action in (Action.DELETE, Action.CONFLICT):
            return change
        reason = joined(refused.values())
        self.unchangeable.setdefault((KINDS[change.kind].plural, reason), set()).add(change.key)
        return replace(
            change,
            action=Action.CONFLICT,
            fields=(),
            binding=None,
            reason=joined(
                (
                    Message('NetBox rejects every change of this object.'),
                    reason,
                    Message('Correct the value in NetBox.'),
                )
            ),
        )

    def notices(self) -> Iterator[Notice]:
        """What the run leaves out, for the user."""
        for demand, keys in self.demanded.items():
            # The reader may not have permission to view each guest.
            if demand.model in KIND_MODELS:
                effect = Message('Objects that are not created: {number}.', number=len(keys))
            else:
                effect = Message('Objects that are not created: {names}.', names=shown(keys))
            yield Notice(
                subject=SUBJECT,
                message=joined((demand.reason, effect)),
                remedy=Message(
                    'Give the custom field "{field}" a valid default, or do not require it.', field=demand.field
                ),
            )
        for (plural, reason), keys in self.unchangeable.items():
            yield Notice(
                subject=SUBJECT,
                message=joined(
                    (
                        Message(
                            'NetBox rejects every change of some objects ({objects}: {number}).',
                            objects=plural,
                            number=len(keys),
                        ),
                        reason,
                    )
                ),
                remedy=Message('Correct these values in NetBox, or change the custom field.'),
            )
        for (tag, plural), keys in self.tags.items():
            yield Notice(
                subject=SUBJECT,
                message=Message(
                    'The tag "{tag}" is limited to other object types. Objects that are written without this tag: '
                    '{objects} ({number}).',
                    tag=tag,
                    objects=plural,
                    number=len(keys),
                ),
                remedy=Message('Add the object type to the tag ({objects}), or remove its limits.', objects=plural),
            )
        for (name, plural, refusal), keys in self.values.items():
            yield Notice(
                subject=SUBJECT,
                message=Message(
                    'The custom field "{name}" does not accept values from Proxmox VE ({refusal}). Objects that are '
                    'written without this value: {objects} ({number}).',
                    name=name,
                    refusal=refusal,
                    number=len(keys),
                    objects=plural,
                ),
                remedy=Message('Correct the choices or the validation of the custom field "{name}".', name=name),
            )


def demand_of_new(kind: Kind, item: Item, existing: Existing) -> tuple[Demand, str] | None:
    """
    The custom field that NetBox requires of a new object and that this item does not fill; with the key of the item, or
    the name of the shared object, that cannot be created.
    """
    for demand in existing.demands.get(kind.model, ()):
        name = f'{CUSTOM}{demand.field}'
        value = item.values.get(name) if demand.field in existing.custom_fields.get(kind.model, ()) else None
        limits = existing.limits.get((kind.model, demand.field))
        is_written = any(spec.name == name for spec in kind.fields) and value not in (None, '')
        if not is_written or (limits and limits.refusal(value)):
            return demand, item.key
    for spec in kind.fields:
        shared = new_shared(item.values.get(spec.name), existing)
        if spec.needed and shared and (demanded := demand_of_shared(shared, existing)):
            return demanded, shared.name
    return None


def new_shared(value: Value, existing: Existing) -> Shared | None:
    """The shared object that a value means, if it does not exist yet."""
    return value if isinstance(value, Shared) and value not in existing.shared else None


def demand_of_shared(value: Shared, existing: Existing) -> Demand | None:
    """The custom field without which a shared object cannot be created; None: it can."""
    demands = existing.demands.get(value.model, ())
    if value.model == DEVICE_TYPE and Shared(MANUFACTURER, value.within) not in existing.shared:
        demands = (*demands, *existing.demands.get(MANUFACTURER, ()))
    return next(iter(demands), None)


def shown(found: set[str]) -> Message:
    """The first names in alphabetical order, and the number of the others."""
    names: Sequence[str] = sorted(found)
    first = joined(names[:SHOWN], ', ')
    more = len(names) - SHOWN
    return Message('{names} and {more} more', names=first, more=more) if more > 0 else first
