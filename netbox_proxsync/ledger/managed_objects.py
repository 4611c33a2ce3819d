"""The objects that an endpoint manages, as a run knows them while it writes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..sync.answers import Answers
from ..sync.changes import Change
from ..sync.kinds import KINDS
from ..sync.state import Bound
from ..sync.values import Pointer, Ref
from .answers import load_answers
from .bindings import bound_in
from .rollback import Journal, LoadedDict
from .sql_arrays import elements

__all__ = ('ManagedObjects', 'Named')

# The kinds of guests and nodes, whose binding decides about their parts.
ROOTS = tuple(kind.name for kind in KINDS.values() if kind.stamp)
# The bindings of this many objects are not selected: reading all takes less time.
ALL_FROM = 5000

type Identity = tuple[str, str]


@dataclass
class Named:
    """
    What changes name.

    Attributes:
        units: Their units.
        identities: Their objects, those to which they refer, and the roots of their units, as (kind, key).
        pointers: Their objects that exist.
    """

    units: set[str] = field(default_factory=set)
    identities: set[Identity] = field(default_factory=set)
    pointers: set[Pointer] = field(default_factory=set)

    def noting(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The same changes, while what they name is noted."""
        for change in changes:
            self.units.add(change.unit)
            self.identities.add((change.kind, change.key))
            self.identities.update((kind, change.unit) for kind in ROOTS)
            if change.pointer is not None:
                self.pointers.add(change.pointer)
            for written in change.writes:
                wanted = written.want if isinstance(written.want, frozenset) else (written.want,)
                self.identities.update((value.kind, value.key) for value in wanted if isinstance(value, Ref))
            yield change

    @property
    def rows(self) -> Q:
        """Selects the bindings of an endpoint that are named, and perhaps others."""
        return (
            Q(unit__in=list(self.units))
            | Q(key__in=list({key for _kind, key in self.identities}))
            | Q(object_id__in=elements({pointer.pk for pointer in self.pointers}, 'bigint'))
        )


class ManagedObjects:
    """
    The bindings of an endpoint, in memory. Those that a plan names are read together before its first change, others
    when they are asked for: a plan of a few changes does not need the bindings of the whole cluster.

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
        self.bound_to: LoadedDict[Pointer, Bound] = LoadedDict(journal, self.read_bound)
        self.pointers: LoadedDict[Identity, Pointer] = LoadedDict(journal, self.read_pointer)
        self.named = Named()
        # Whether all bindings were read.
        self.is_complete = False
        self.ignored: set[str] = set()
        self.answers: Answers = {}
        self.load()

    def expect(self, named: Named) -> None:
        """Read the bindings of the objects that a plan names, before its first change."""
        self.named = named
        self.load_bindings()

    def load(self) -> None:
        """Read the bindings, the ignored guests and the decisions again."""
        self.load_bindings()
        ignored = ProxmoxGuest.objects.filter(endpoint=self.endpoint, ignored=True).order_by()
        self.ignored = {guest.key for guest in ignored.only('type', 'vmid')}
        self.answers = load_answers(self.endpoint)

    def load_bindings(self) -> None:
        """Read the bindings again."""
        named, bindings = self.named, self.bindings()
        self.is_complete = len(named.identities) >= ALL_FROM
        found = list(bound_in(bindings if self.is_complete else bindings.filter(named.rows))) if named.units else []
        self.bound_to.replace({bound.pointer: bound for bound in found}, named.pointers)
        self.pointers.replace({(bound.kind, bound.key): bound.pointer for bound in found}, named.identities)
        # This is what the database holds: nothing of it is to be undone.
        self.journal.forget()

    def bindings(self) -> QuerySet[Binding]:
        """The rows of the bindings."""
        return Binding.objects.filter(endpoint=self.endpoint)

    def read_bound(self, pointer: Pointer) -> Bound | None:
        """The stored binding of an object; None: it has none."""
        if self.is_complete:
            return None
        object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
        return next(bound_in(self.bindings().filter(object_type=object_type, object_id=pointer.pk)), None)

    def read_pointer(self, identity: Identity) -> Pointer | None:
        """The object that is bound, according to the stored binding; None: there is none."""
        kind, key = identity
        if self.is_complete:
            return None
        bound = next(bound_in(self.bindings().filter(kind=kind, key=key)), None)
        return bound.pointer if bound else None

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
