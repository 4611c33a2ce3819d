"""The objects that an endpoint manages, as a run knows them while it writes."""

from collections.abc import MutableMapping

from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..sync.answers import Answers
from ..sync.changes import Change
from ..sync.state import Bound
from ..sync.values import Pointer
from .answers import load_answers
from .bindings import load_bindings
from .rollback import Journal, JournaledDict

__all__ = ('ManagedObjects',)


class ManagedObjects:
    """
    The bindings of an endpoint, in memory.

    Args:
        journal: Undoes what is changed here together with a savepoint or a transaction.

    Attributes:
        bound_to: The bindings by their objects.
        pointers: The objects by (kind, key).
        ignored: The units of the guests that users have set to be ignored.
        answers: The decisions of users about single objects.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, journal: Journal) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.bound_to: MutableMapping[Pointer, Bound] = JournaledDict(journal)
        self.pointers: MutableMapping[tuple[str, str], Pointer] = JournaledDict(journal)
        self.ignored: set[str] = set()
        self.answers: Answers = {}
        self.load()

    def load(self) -> None:
        """Read the bindings and the ignored guests again."""
        loaded = load_bindings(self.endpoint)
        self.bound_to.clear()
        self.bound_to.update((bound.pointer, bound) for bound in loaded.values())
        self.pointers.clear()
        self.pointers.update((identity, bound.pointer) for identity, bound in loaded.items())
        ignored = ProxmoxGuest.objects.filter(endpoint=self.endpoint, ignored=True).order_by()
        self.ignored = {guest.key for guest in ignored.only('type', 'vmid')}
        self.answers = load_answers(self.endpoint)
        # This is what the database holds: nothing of it is to be undone.
        self.journal.forget()

    def pointer_of(self, change: Change) -> Pointer:
        """The object of a change that exists: as the plan names it, or as this run has created it."""
        return change.pointer or self.pointers[change.kind, change.key]

    def add(self, bound: Bound) -> None:
        """Note a binding that was written."""
        self.pointers[bound.kind, bound.key] = bound.pointer
        self.bound_to[bound.pointer] = bound

    def remove(self, kind: str, key: str) -> None:
        """Note that a binding was deleted."""
        pointer = self.pointers.pop((kind, key), None)
        if pointer is not None:
            self.bound_to.pop(pointer, None)
