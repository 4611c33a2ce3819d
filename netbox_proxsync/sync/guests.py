"""How NetBox stands to each guest after a run: in sync, new, changed, missing, in conflict, ..., and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..proxmox.inventory import Guest, GuestType, Inventory, known
from .changes import Action, Change
from .kinds.base import is_wanted
from .kinds.cluster import CLUSTER_KEY
from .settings import Settings

__all__ = ('IGNORED', 'REOPENED', 'Pending', 'Standing', 'Standings', 'State')

GONE = 'Proxmox no longer has it.'


class State(StrEnum):
    """The values of `GuestStateChoices`."""

    IN_SYNC = 'in-sync'
    NEW = 'new'
    CHANGED = 'changed'
    MISSING = 'missing'
    CONFLICT = 'conflict'
    SKIPPED = 'skipped'
    IGNORED = 'ignored'
    UNKNOWN = 'unknown'


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and, for people, why."""

    state: State
    reason: str = ''


IGNORED = Standing(State.IGNORED, 'A person told the sync to leave it alone.')

REOPENED = Standing(State.UNKNOWN, 'It is no longer ignored. The next run compares it.')


@dataclass(frozen=True, slots=True)
class Pending:
    """
    A change that is not in NetBox: only planned, refused, or left.

    Attributes:
        failure: Why it could not be written.
        note: Why it was left.
    """

    change: Change
    failure: str = ''
    note: str = ''


class Standings:
    """
    How NetBox stands to the guests of an endpoint.

    Args:
        pending: What the run planned and NetBox does not hold.
    """

    def __init__(self, inventory: Inventory, settings: Settings, pending: Iterable[Pending]):
        self.inventory = inventory
        self.settings = settings
        self.by_unit: dict[str, list[Pending]] = {}
        for entry in pending:
            self.by_unit.setdefault(entry.change.unit, []).append(entry)
        self.cluster_problem = next(
            (
                standing
                for entry in self.by_unit.get('', ())
                if entry.change.key == CLUSTER_KEY and (standing := problem(entry))
            ),
            None,
        )

    def present(self) -> Iterator[tuple[Guest, Standing]]:
        """Every guest that Proxmox listed."""
        return ((guest, self.of(guest)) for guest in self.inventory.guests)

    def of(self, guest: Guest) -> Standing:
        """How NetBox stands to a guest that is not ignored (any more)."""
        if guest.key in self.settings.ignored:
            return REOPENED
        if skipped := why_skipped(guest, self.settings):
            return Standing(State.SKIPPED, skipped)
        for reading in (guest.template, guest.config, guest.name):
            if not known(reading):
                return Standing(State.UNKNOWN, reading.reason)
        return self.cluster_problem or self.pending(guest.key) or Standing(State.IN_SYNC)

    def pending(self, unit: str) -> Standing | None:
        """What is open about a guest, the gravest first."""
        entries = self.by_unit.get(unit, ())
        problems = [standing for entry in entries if (standing := problem(entry))]
        if problems:
            more = f' And {len(problems) - 1} more, see its changes.' if len(problems) > 1 else ''
            return Standing(State.CONFLICT, problems[0].reason + more)
        for entry in entries:
            if entry.change.kind == 'vm' and entry.change.action in (Action.CREATE, Action.ADOPT):
                return Standing(State.NEW, entry.note or new_reason(entry.change))
        if entries:
            return Standing(State.CHANGED, next((entry.note for entry in entries if entry.note), ''))
        return None

    def absent(self, unit: str, is_bound: bool) -> Standing | None:
        """How NetBox stands to a guest that Proxmox did not list; None: there is nothing to say of it any more."""
        incomplete = self.inventory.guests_incomplete
        if incomplete is not None:
            return Standing(State.UNKNOWN, incomplete.reason)
        if not is_bound:
            return None
        standing = self.pending(unit)
        return standing if standing and standing.state is State.CONFLICT else Standing(State.MISSING, GONE)


def problem(entry: Pending) -> Standing | None:
    """What a person has to decide about a change."""
    if entry.change.action is Action.CONFLICT:
        return Standing(State.CONFLICT, entry.change.reason)
    return Standing(State.CONFLICT, entry.failure) if entry.failure else None


def new_reason(change: Change) -> str:
    if change.action is Action.ADOPT:
        return 'NetBox has its virtual machine already; a sync adopts it.'
    return 'A sync makes its virtual machine.'


def why_skipped(guest: Guest, settings: Settings) -> str:
    """Why the endpoint leaves a guest out; '' if it does not."""
    if is_wanted(guest, settings):
        return ''
    if guest.type is GuestType.QEMU and not settings.sync_vms:
        return 'The endpoint does not sync virtual machines.'
    if guest.type is GuestType.LXC and not settings.sync_containers:
        return 'The endpoint does not sync containers.'
    if not settings.sync_templates and guest.template is True:
        return 'It is a template, and the endpoint does not sync templates.'
    return 'A filter of the endpoint or a rule leaves it out.' if known(guest.template) else ''
