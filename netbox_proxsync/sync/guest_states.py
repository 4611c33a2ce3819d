"""The state of each guest after a run: in sync, new, changed, missing, in conflict, ..., and why."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..proxmox.inventory import Guest, GuestType, Inventory, known
from ..proxmox.messages import EMPTY, Message, counted, joined
from .changes import Action, Change
from .kind import decision_of, is_wanted
from .kind_names import GUEST
from .kinds.cluster import CLUSTER_KEY
from .offline_nodes import Waiting
from .rules import Decided
from .settings import Settings

__all__ = (
    'IGNORED',
    'LINKED',
    'REOPENED',
    'REVOKED',
    'SEPARATE',
    'GuestState',
    'GuestStates',
    'LaterGuestStates',
    'Pending',
    'RevertedGuestStates',
    'State',
)

GONE = Message('No longer present in Proxmox VE.')
# The actions by which a guest gets an existing virtual machine, or keeps it.
BRINGING = (Action.ADOPT, Action.REVIVE, Action.UPDATE)


class State(StrEnum):
    """The values of `GuestStateChoices`."""

    IN_SYNC = 'in-sync'
    NEW = 'new'
    CHANGED = 'changed'
    MISSING = 'missing'
    CONFLICT = 'conflict'
    CANDIDATE = 'candidate'
    SKIPPED = 'skipped'
    IGNORED = 'ignored'
    UNKNOWN = 'unknown'


@dataclass(frozen=True, slots=True)
class GuestState:
    """A state and the reason, for the user."""

    state: State
    reason: Message = EMPTY


IGNORED = GuestState(State.IGNORED, Message('Excluded from synchronization by a user.'))

REOPENED = GuestState(State.UNKNOWN, Message('A user stopped ignoring the guest. The next run compares it.'))

# As a run finds the guest after these decisions.
LINKED = GuestState(State.NEW, Message('NetBox already contains the virtual machine of the guest. A sync adopts it.'))
SEPARATE = GuestState(State.NEW, Message('A virtual machine will be created.'))

REVERTED = GuestState(State.CHANGED, Message('A run was reverted. The next sync writes the same values again.'))
REVERTED_CREATION = GuestState(State.NEW, Message('A run was reverted. The next sync creates or adopts it again.'))
REVOKED = GuestState(State.UNKNOWN, Message('A decision about the guest was revoked. The next run compares it.'))


@dataclass(frozen=True, slots=True)
class Pending:
    """
    A change that is not in NetBox: only planned, refused, or skipped.

    Attributes:
        failure: Why it could not be written.
        note: Why it was skipped.
    """

    change: Change
    failure: Message = EMPTY
    note: Message = EMPTY


class GuestStates:
    """
    The states of the guests of an endpoint that were just read.

    Args:
        pending: The planned changes that are not in NetBox (yet).
        vmids: The guests that the run is limited to; None: all.
    """

    def __init__(
        self,
        inventory: Inventory,
        settings: Settings,
        pending: Iterable[Pending],
        vmids: Collection[int] | None = None,
    ) -> None:
        self.inventory = inventory
        self.settings = settings
        self.guests = {guest.key: guest for guest in inventory.guests if vmids is None or guest.vmid in vmids}
        self.open = OpenChanges(pending)
        self.waiting = Waiting.of(inventory, settings.last_seen, settings.offline_since)

    def set_outcome(self, change: Change, entry: Pending | None) -> None:
        """
        Record the outcome of a planned change.

        Args:
            entry: What remains pending of it; None: it was written.
        """
        self.open.set_outcome(change, entry)

    def savepoint(self, units: Collection[str]) -> Callable[[], None]:
        """A function that restores the outcomes of these units, if what is written from now on is rolled back."""
        return self.open.savepoint(units)

    def of(self, guest: Guest) -> GuestState:
        """The state of a guest that is not ignored (any longer)."""
        if guest.key in self.settings.ignored:
            return REOPENED
        if skipped := why_skipped(guest, self.settings):
            return GuestState(State.SKIPPED, skipped)
        for reading in (guest.template, guest.config, guest.name):
            if not known(reading):
                return GuestState(State.UNKNOWN, reading.reason)
        open_changes = self.open.about_cluster or self.open.about(guest.key)
        if open_changes is None and not known(guest.status):
            return GuestState(State.UNKNOWN, guest.status.reason)
        return open_changes or GuestState(State.IN_SYNC)

    def absent(self, unit: str, is_bound: bool, was_missing: bool = False) -> GuestState | None:
        """
        The state of a guest that Proxmox VE did not list; None: the guest no longer needs a row.

        Args:
            was_missing: An earlier read found that Proxmox VE does not have it.
        """
        incomplete = self.inventory.guests_incomplete
        if incomplete is not None:
            return GuestState(State.UNKNOWN, incomplete.reason)
        if not was_missing and (reason := self.waiting.reason(unit)):
            return GuestState(State.UNKNOWN, reason)
        return missing(self.open, unit) if is_bound else None

    def now(self, unit: str, is_bound: bool, before: GuestState, was_listed: bool) -> GuestState | None:
        """The current state of a guest; None: the guest no longer needs a row."""
        guest = self.guests.get(unit)
        was_missing = before.state in (State.MISSING, State.CONFLICT) and not was_listed
        return self.of(guest) if guest else self.absent(unit, is_bound, was_missing)


class LaterGuestStates:
    """
    The states of guests while a plan is applied that was made from an earlier reading.

    Args:
        remaining: The number of changes of each unit in the plan.
        outdated: Why that reading no longer describes the guests, because there is a newer one; '' if there is none.
        rejected: The changes that NetBox has rejected when the plan was made, with the reasons.
    """

    def __init__(
        self, remaining: Mapping[str, int], outdated: Message, rejected: Iterable[tuple[Change, Message]] = ()
    ) -> None:
        self.remaining = Counter(remaining)
        self.outdated = outdated
        self.rejected = {identity_of(change): Pending(change, failure=reason) for change, reason in rejected}
        self.open = OpenChanges(self.rejected.values())

    def set_outcome(self, change: Change, entry: Pending | None) -> None:
        """As `GuestStates.set_outcome`."""
        self.remaining[change.unit] -= 1
        # NetBox may have rejected a part of the change, and accepted the rest.
        self.open.set_outcome(change, entry or self.rejected.get(identity_of(change)))

    def savepoint(self, units: Collection[str]) -> Callable[[], None]:
        """As `GuestStates.savepoint`."""
        put_back = self.open.savepoint(units)
        remaining = {unit: self.remaining[unit] for unit in units}

        def restore() -> None:
            put_back()
            for unit, number in remaining.items():
                self.remaining[unit] = number

        return restore

    def now(self, unit: str, is_bound: bool, before: GuestState, was_listed: bool) -> GuestState | None:
        """
        As `GuestStates.now`.

        Args:
            before, was_listed: The state according to that reading, and whether it listed the guest.
        """
        if self.outdated:
            return GuestState(State.UNKNOWN, self.outdated)
        if before.state in (State.UNKNOWN, State.SKIPPED):
            return before
        if not was_listed:
            return missing(self.open, unit) if is_bound else None
        state = self.open.about_cluster or self.open.about(unit)
        if state is None and self.remaining[unit]:
            return GuestState(State.CHANGED)
        return state or GuestState(State.IN_SYNC)


class RevertedGuestStates(LaterGuestStates):
    """The states of guests while a plan is applied that undoes a run: the next sync would write its values again."""

    def now(self, unit: str, is_bound: bool, before: GuestState, was_listed: bool) -> GuestState | None:
        """As `GuestStates.now`."""
        if before.state in (State.UNKNOWN, State.SKIPPED, State.IGNORED):
            return before
        if not was_listed:
            return missing(self.open, unit) if is_bound else None
        return REVERTED if is_bound else REVERTED_CREATION


def identity_of(change: Change) -> tuple[object, ...]:
    """What distinguishes a change from the others of its guest, which may have several candidates."""
    return (change.kind, change.key, change.action, change.reason, change.pointer)


class OpenChanges:
    """The changes that are not in NetBox, by the guest that they concern."""

    def __init__(self, pending: Iterable[Pending]) -> None:
        self.by_unit: dict[str, dict[tuple[object, ...], Pending]] = {}
        for entry in pending:
            self.set_outcome(entry.change, entry)

    def set_outcome(self, change: Change, entry: Pending | None) -> None:
        """As `GuestStates.set_outcome`."""
        entries = self.by_unit.setdefault(change.unit, {})
        identity = identity_of(change)
        if entry is None:
            entries.pop(identity, None)
        else:
            entries[identity] = entry

    def savepoint(self, units: Collection[str]) -> Callable[[], None]:
        """As `GuestStates.savepoint`."""
        before = {unit: dict(self.by_unit.get(unit, {})) for unit in units}
        return lambda: self.by_unit.update(before)

    def __iter__(self) -> Iterator[Pending]:
        return (entry for entries in self.by_unit.values() for entry in entries.values())

    def to_adopt(self, unit: str) -> int | None:
        """The virtual machine (pk) that a sync would adopt as a guest, or return to it."""
        for entry in self.by_unit.get(unit, {}).values():
            change = entry.change
            if change.kind == GUEST and change.action in BRINGING and change.pointer:
                return change.pointer.pk
        return None

    def candidates(self, unit: str) -> list[int]:
        """The virtual machines (pk) that may be a guest."""
        changes = (entry.change for entry in self.by_unit.get(unit, {}).values())
        return sorted(
            change.pointer.pk for change in changes if change.action is Action.CANDIDATE and change.pointer is not None
        )

    @property
    def about_cluster(self) -> GuestState | None:
        """What keeps all guests out."""
        cluster = (entry for entry in self.by_unit.get('', {}).values() if entry.change.key == CLUSTER_KEY)
        return next((state for entry in cluster if (state := problem(entry))), None)

    def about(self, unit: str) -> GuestState | None:
        """What is pending for a guest, the most serious state first; None: nothing."""
        entries = self.by_unit.get(unit, {}).values()
        problems = [state for entry in entries if (state := problem(entry))]
        if problems:
            others = len(problems) - 1
            more = (
                counted('And {number} more, see its changes.', 'And {number} more, see its changes.', others)
                if others
                else EMPTY
            )
            return GuestState(State.CONFLICT, joined((problems[0].reason, more)))
        if candidates := [entry.change for entry in entries if entry.change.action is Action.CANDIDATE]:
            return GuestState(State.CANDIDATE, joined((change.reason for change in candidates), '\n'))
        for entry in entries:
            if entry.change.kind == GUEST and entry.change.action in (Action.CREATE, Action.ADOPT):
                return GuestState(State.NEW, entry.note or new_reason(entry.change))
        if entries:
            return GuestState(State.CHANGED, next((entry.note for entry in entries if entry.note), EMPTY))
        return None


def missing(open_changes: OpenChanges, unit: str) -> GuestState:
    """The state of a guest that is gone from Proxmox VE."""
    state = open_changes.about(unit)
    return state if state and state.state is State.CONFLICT else GuestState(State.MISSING, GONE)


def problem(entry: Pending) -> GuestState | None:
    """The state that a change leads to if a user has to decide about it."""
    if entry.change.action is Action.CONFLICT:
        return GuestState(State.CONFLICT, entry.change.reason)
    return GuestState(State.CONFLICT, entry.failure) if entry.failure else None


def new_reason(change: Change) -> Message:
    """Why a guest is new, for the user."""
    if change.action is Action.ADOPT:
        return LINKED.reason
    return SEPARATE.reason


def why_skipped(guest: Guest, settings: Settings) -> Message:
    """Why the endpoint skips a guest, for the user; '' if it does not."""
    if is_wanted(guest, settings):
        return EMPTY
    if guest.type is GuestType.QEMU and not settings.sync_vms:
        return Message('The endpoint does not sync virtual machines.')
    if guest.type is GuestType.LXC and not settings.sync_containers:
        return Message('The endpoint does not sync containers.')
    if not settings.sync_templates and guest.template is True:
        return Message('The guest is a template, and the endpoint does not sync templates.')
    if not settings.sync_templates and not known(guest.template):
        return EMPTY
    skip = decision_of(guest, settings).skip
    if isinstance(skip, Decided):
        return Message('The {rule} skips the guest.', rule=skip.deciding_rule)
    if skip is not None:
        return joined((Message('The guest is not synchronized.'), skip.reason))
    return Message('A filter of the endpoint excludes the guest.')
