"""What a kind of NetBox object tells the comparison about itself."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ..proxmox.inventory import Guest, GuestType, Inventory, Notice, known
from .owners import Owner
from .rules import Decision, evaluate_rules
from .settings import Settings
from .state import Bound, Desired, Existing, Item, Record
from .values import Pointer, Value

__all__ = (
    'Absences',
    'Candidate',
    'Conflict',
    'Field',
    'Kind',
    'Owner',
    'Removal',
    'ResolvedObjects',
    'decision_of',
    'faults_of',
    'guests_of',
    'is_wanted',
    'label_of',
)


class Removal(StrEnum):
    """What becomes of a bound object when Proxmox no longer has it."""

    RETIRE = 'retire'  # marked, kept; deleted after the grace period if the endpoint says so
    DELETE = 'delete'  # deleted if this endpoint made it and nothing of a person's hangs on it, else released
    KEEP = 'keep'


@dataclass(frozen=True, slots=True)
class Field:
    """
    A field that a kind writes.

    Attributes:
        name: The model's field; 'cf_<name>' is a custom field.
        owner: Unless the endpoint's policy says otherwise.
        late: It points to an object that is written after this one, or that may fail on its own, so it is written last.
        beside: A field with which NetBox checks it: where both change and what it points to exists, they are written
            together.
        fixed: It makes the object what it is (its parent, its address): no policy may change its owner.
        needed: NetBox takes no object without it, so it is written when one is made, even if it is ignored.
    """

    name: str
    owner: Owner
    deferred: bool = False
    checked_with: str = ''
    fixed: bool = False
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An existing object that may be an item, without proof. The reason says why, and what the user can do."""

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """
    Why an item cannot be tied to an object, and what a person can do.

    Attributes:
        candidates: The objects that the item may be. With them, `reason` is not shown.
    """

    reason: str
    record: Record | None = None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Absences:
    """
    What of the things that were not found in Proxmox is gone. The others stay as they are.

    Attributes:
        gone: As (kind, key).
        remembered: What bindings remember of it from now on, by their pk.
    """

    gone: set[tuple[str, str]] = field(default_factory=set)
    remembered: dict[int, Mapping[str, Value]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)


class ResolvedObjects:
    """Which object each item has turned out to be, as far as a comparison has come."""

    def __init__(self) -> None:
        self.pointers: dict[tuple[str, str], Pointer] = {}
        self.claimed: set[Pointer] = set()

    def add(self, kind: str, key: str, pointer: Pointer) -> None:
        self.pointers[kind, key] = pointer
        self.claimed.add(pointer)

    def get(self, kind: str, key: str) -> Pointer | None:
        return self.pointers.get((kind, key))


class Kind:
    """
    One kind of NetBox object. Subclasses are stateless; everything they need is handed to them.

    Attributes:
        name: Also the `kind` of its bindings and changes.
        plural: What people call several of them.
        model: 'app_label.model_name'.
        fields: In the order in which they are shown.
        stamp: A custom field that takes the moment when a run last changed something about the object or its parts.
        retired: What is written to an object that is retired.
        holder: The field that says where the object belongs. A person who moves it elsewhere makes it theirs.
        is_deletable: Whether an object that is retired may be deleted later.
        comes_with_parent: Two fields, its parent and its name, by which an object is found that NetBox has made along
            with its parent (from a device type's templates).
        released: What is written to an object that is gone from Proxmox and stays in NetBox, being a person's.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    model: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    removal: ClassVar[Removal] = Removal.KEEP
    stamp: ClassVar[str | None] = None
    retired: ClassVar[dict[str, Value]] = {}
    released: ClassVar[dict[str, Value]] = {}
    holder: ClassVar[str | None] = None
    is_deletable: ClassVar[bool] = True
    comes_with_parent: ClassVar[tuple[str, str] | None] = None

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """The objects of this kind that NetBox should hold."""
        raise NotImplementedError

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The scopes of this kind that were read completely (see `Desired.complete`)."""
        return ()

    def omissions(self, inventory: Inventory, settings: Settings) -> Iterable[Notice]:
        """What is left out altogether, and why."""
        return ()

    def scope(self, key: str, unit: str) -> str:
        """The scope in which an object's absence is decided."""
        return unit

    def resolve_values(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        """Values that depend on what NetBox holds and that adoption needs (VRFs, prefix lengths)."""
        return items

    def judge(
        self,
        absent: Sequence[Bound],
        items: Sequence[Item],
        desired: Desired,
        existing: Existing,
        resolved: ResolvedObjects,
        settings: Settings,
    ) -> Absences:
        """
        Which of the things of this kind that were not found are gone.

        Args:
            items: As `resolve_values` returned them.
        """
        return Absences(gone={(bound.kind, bound.key) for bound in absent})

    def arrange(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """What items mean for each other (several guests that claim one address), before they are tied."""
        return items

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """
        The object that is this item beyond doubt though no binding says so; None: there is none.

        `resolved` names the objects of the kinds before this one.
        """
        return None

    def recognition(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Callable[[Item], Record | Conflict | None]:
        """
        How the items without a binding are recognized: by default, each by itself (`adopt`).

        Args:
            items: All of this kind, bound or not.
        """
        return lambda item: self.adopt(item, existing, resolved, settings)

    def missing_policy(self, settings: Settings) -> str:
        """
        What becomes of an object whose counterpart is gone from Proxmox VE, if `removal` is DELETE: 'delete',
        'unassign' or 'leave'.
        """
        return 'delete'

    def machine_of(self, record: Record) -> Pointer | None:
        """The virtual machine or device that may use the object as its primary address; None for other kinds."""
        return None

    def finalize(
        self,
        item: Item,
        record: Record | None,
        parts: Mapping[str, Sequence[Item]],
        kept: Container[tuple[str, str]],
        existing: Existing,
        settings: Settings,
    ) -> Item:
        """
        Values that depend on the parts that the item gets, after all kinds have been matched (primary addresses).

        Args:
            parts: The items of the same unit that are written, by the name of their kind.
            kept: What was not found in Proxmox and is not gone for all that, as (kind, key).
        """
        return item

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Values that depend on which object each item has become (free names)."""
        return items

    def notices(self, items: Sequence[Item]) -> Iterable[Notice]:
        """What a person should know about the items as a whole, after `adjust_values`."""
        return ()

    def memory(self, item: Item, last: Mapping[str, Value], is_bound: bool) -> dict[str, Value]:
        """
        What the binding remembers beside the values that are written.

        Args:
            last: What it remembered.
            is_bound: Whether it was this item's binding. Else it served another item.
        """
        return {**last, **item.identity}

    def verify_binding(
        self, item: Item, record: Record, existing: Existing, resolved: ResolvedObjects
    ) -> Conflict | None:
        """Why a bound object cannot be taken as this item any more."""
        return None


def faults_of(items: Iterable[Item]) -> Iterator[Notice]:
    """The faults of Proxmox VE's own configuration in items, as warnings."""
    for item in items:
        for message, remedy in item.faults:
            yield Notice(subject=item.unit, message=message, remedy=remedy, is_fault=True)


def label_of(guest: Guest) -> str:
    return guest.name if known(guest.name) else guest.key


def is_wanted(guest: Guest, settings: Settings) -> bool:
    """
    Whether a person and the endpoint's filters and rules let a guest in. What they keep out is left alone, not retired.
    """
    if guest.key in settings.ignored:
        return False
    by_type = {GuestType.QEMU: settings.sync_vms, GuestType.LXC: settings.sync_containers}
    # A template flag that was not read does not let a guest in: it might be a template.
    return (
        by_type[guest.type]
        and (settings.sync_templates or guest.template is False)
        and settings.guest_filters.admits(guest)
        and not decision_of(guest, settings).may_be_skipped
    )


def decision_of(guest: Guest, settings: Settings) -> Decision:
    """What the mapping rules say about a guest."""
    return settings.decisions.get(guest.key) or evaluate_rules(guest, settings.rules)


def guests_of(inventory: Inventory, settings: Settings) -> Iterable[Guest]:
    """The guests that the endpoint's filters and rules let in."""
    return (guest for guest in inventory.guests if is_wanted(guest, settings))
