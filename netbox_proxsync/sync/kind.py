"""The base class of the kinds: how a kind of NetBox object takes part in the comparison."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ..proxmox.inventory import Guest, GuestType, Inventory, Notice, known
from ..proxmox.messages import Message
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
    """How a bound object is handled when Proxmox VE no longer has its counterpart."""

    RETIRE = 'retire'  # marked; deleted after the grace period, if the endpoint is configured to do so
    DELETE = 'delete'  # deleted if this endpoint created it and no object of a user depends on it, else released
    KEEP = 'keep'


@dataclass(frozen=True, slots=True)
class Field:
    """
    A field that a kind writes.

    Attributes:
        name: The model's field; 'cf_<name>' is a custom field.
        owner: The owner, unless the endpoint's policy names another one.
        deferred: The field points to an object that is written after this one, or whose write may fail on its own, so
            the field is written last.
        checked_with: The name of a field with which NetBox validates this one. If both change and the object that this
            field points to exists, they are written together.
        fixed: The field identifies the object (its parent, its address): no policy can change its owner.
        needed: NetBox accepts no object without the field. It is written when an object is created, even if it is
            ignored.
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
    reason: Message


@dataclass(frozen=True, slots=True)
class Conflict:
    """
    Why an item cannot be bound to an object, and what the user can do.

    Attributes:
        record: The object that causes the conflict, if there is one.
        candidates: The objects that the item may be. If there are any, `reason` is not displayed.
    """

    reason: Message
    record: Record | None = None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Absences:
    """
    The bound objects of a kind whose counterparts were not found in Proxmox VE and are gone. All others stay unchanged.

    Attributes:
        gone: As (kind, key).
        remembered: New values for bindings, by the binding's pk.
        notices: What the user should know about objects that stay unchanged.
    """

    gone: set[tuple[str, str]] = field(default_factory=set)
    remembered: dict[int, Mapping[str, Value]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)


class ResolvedObjects:
    """
    The NetBox objects of the items that have been matched so far.

    Attributes:
        pointers: By (kind, key).
        claimed: The objects that no other item may take. They include objects of items that the run does not change.
    """

    def __init__(self) -> None:
        self.pointers: dict[tuple[str, str], Pointer] = {}
        self.claimed: set[Pointer] = set()

    def add(self, kind: str, key: str, pointer: Pointer) -> None:
        """Record the object of an item."""
        self.pointers[kind, key] = pointer
        self.claimed.add(pointer)

    def get(self, kind: str, key: str) -> Pointer | None:
        """The object of an item; None if it does not exist or has not been matched yet."""
        return self.pointers.get((kind, key))


class Kind(ABC):
    """
    One kind of NetBox object. Subclasses are stateless: every method receives what it needs.

    Attributes:
        name: Also the `kind` of its bindings and changes.
        label: The display name of one of its objects, marked for translation.
        plural: The display name of several of its objects.
        model: 'app_label.model_name'.
        fields: In the order in which they are displayed.
        removal: How an object is handled when its counterpart is gone from Proxmox VE.
        stamp: A custom field that stores when a run last changed the object or its parts.
        retired: The values that are written to an object when it is retired.
        released: The values that are written to an object that stays in NetBox when its binding is removed.
        holder: The field that names the parent of the object. If a user changes it, the object is no longer managed.
        is_deletable: Whether a retired object may be deleted after the grace period.
        comes_with_parent: Two fields, the parent and the name, by which an object is found that NetBox has created
            together with its parent (from the templates of a device type).
    """

    name: ClassVar[str]
    label: ClassVar[str]
    plural: ClassVar[Message]
    model: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    removal: ClassVar[Removal] = Removal.KEEP
    stamp: ClassVar[str | None] = None
    retired: ClassVar[dict[str, Value]] = {}
    released: ClassVar[dict[str, Value]] = {}
    holder: ClassVar[str | None] = None
    is_deletable: ClassVar[bool] = True
    comes_with_parent: ClassVar[tuple[str, str] | None] = None

    @abstractmethod
    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """The objects of this kind that NetBox should contain."""

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The scopes of this kind that were read completely (see `Desired.complete`)."""
        return ()

    def omissions(self, inventory: Inventory, settings: Settings) -> Iterable[Notice]:
        """What the kind leaves out completely because of the settings, and why."""
        return ()

    def scope(self, key: str, unit: str) -> str:
        """The scope in which the absence of an object is decided."""
        return unit

    def resolve_values(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        """The items, with the values that depend on NetBox and that adoption needs (VRFs, prefix lengths)."""
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
        Decide which bound objects of this kind are gone from Proxmox VE.

        Args:
            absent: The bindings whose counterparts were not found.
            items: As `resolve_values` returned them.
        """
        return Absences(gone={(bound.kind, bound.key) for bound in absent})

    def arrange(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """
        The items, after conflicts between them are resolved (several guests that claim one address), before they are
        matched.
        """
        return items

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """
        The existing object that is certainly this item although it is not bound; None: there is none.

        Args:
            resolved: The objects of the kinds before this one, and of the items before this one.
        """
        return None

    def recognition(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Callable[[Item], Record | Conflict | None]:
        """
        A function that returns the object of an item without a binding. By default, each item is looked up on its own
        (`adopt`).

        Args:
            items: All items of this kind, bound or not.
        """
        return lambda item: self.adopt(item, existing, resolved, settings)

    def missing_policy(self, settings: Settings) -> str:
        """
        How an object is handled whose counterpart is gone from Proxmox VE, if `removal` is DELETE: 'delete',
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
        The item, with the values that depend on the parts that it gets (primary addresses). Called after all kinds have
        been matched.

        Args:
            parts: The items of the same unit that are written, by the name of their kind.
            kept: The objects that were not found in Proxmox VE and are not gone, as (kind, key).
        """
        return item

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """The items, with the values that depend on the objects to which they were matched (free names)."""
        return items

    def notices(self, items: Sequence[Item]) -> Iterable[Notice]:
        """What the user should know about the items as a whole. Called after `adjust_values`."""
        return ()

    def memory(self, item: Item, last: Mapping[str, Value], is_bound: bool) -> dict[str, Value]:
        """
        The values that the binding stores in addition to those that are written.

        Args:
            last: The values that it stored before.
            is_bound: Whether it was the binding of this item. Otherwise it was the binding of another one.
        """
        return {**last, **item.identity}

    def verify_binding(
        self, item: Item, record: Record, existing: Existing, resolved: ResolvedObjects
    ) -> Conflict | None:
        """Why a bound object can no longer be used for this item; None if it can."""
        return None


def faults_of(items: Iterable[Item]) -> Iterator[Notice]:
    """The faults of the configuration of Proxmox VE itself in items, as warnings."""
    for item in items:
        for message, remedy in item.faults:
            yield Notice(subject=item.unit, message=message, remedy=remedy, is_fault=True)


def label_of(guest: Guest) -> str:
    """The display name of a guest: its name, or its key if the name could not be read."""
    return guest.name if known(guest.name) else guest.key


def is_wanted(guest: Guest, settings: Settings) -> bool:
    """
    Whether the guest is synced: no user ignores it, and the endpoint's filters and rules admit it. The objects of other
    guests stay unchanged; they are not retired.
    """
    if guest.key in settings.ignored:
        return False
    by_type = {GuestType.QEMU: settings.sync_vms, GuestType.LXC: settings.sync_containers}
    # A guest whose template flag could not be read is not admitted: it may be a template.
    return (
        by_type[guest.type]
        and (settings.sync_templates or guest.template is False)
        and settings.guest_filters.admits(guest)
        and not decision_of(guest, settings).may_be_skipped
    )


def decision_of(guest: Guest, settings: Settings) -> Decision:
    """What the mapping rules set for a guest."""
    return settings.decisions.get(guest.key) or evaluate_rules(guest, settings.rules)


def guests_of(inventory: Inventory, settings: Settings) -> Iterable[Guest]:
    """The guests that are synced."""
    if settings.synced is not None:
        return settings.synced
    return (guest for guest in inventory.guests if is_wanted(guest, settings))
