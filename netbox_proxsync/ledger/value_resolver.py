"""Turns the values of a plan into values that NetBox can hold: every object by its primary key."""

from collections.abc import Iterable, Mapping, MutableMapping

from django.core.exceptions import ValidationError
from utilities.exceptions import AbortRequest

from .. import branching
from ..models import ProxmoxEndpoint
from ..proxmox.messages import Message
from ..sync.changes import Change, FieldChange
from ..sync.values import Pointer, Ref, Shared, Value
from .errors import UnresolvedError
from .managed_objects import ManagedObjects
from .rollback import Journal, JournaledDict
from .shared import SharedObjects
from .tracking import savepoint

__all__ = ('ValueResolver',)


class ValueResolver:
    """
    Args:
        objects: Resolves references to objects of the same endpoint.
        journal: Undoes what is remembered here together with a savepoint or a transaction.

    Attributes:
        unassignable: The tags that the object of the change in hand may not have. It is only added to.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, objects: ManagedObjects, journal: Journal) -> None:
        self.objects = objects
        self.shared_objects = SharedObjects(endpoint)
        self.shared: MutableMapping[Shared, Pointer] = JournaledDict(journal)
        self.unassignable: set[Pointer] = set()
        # By change: a change may be written in several steps.
        self._unassignable_by_change: dict[tuple[str, str], set[Pointer]] = {}

    def remember_shared(self, pointers: Mapping[Shared, Pointer]) -> None:
        """Store shared objects that were found by name, so that a rename in NetBox changes nothing."""
        with branching.atomic():
            self.shared_objects.remember(pointers)

    def create_shared(self, change: Change) -> dict[str, Exception]:
        """
        Create the shared objects that a change needs, before it, so that they remain if it fails.

        Returns:
            What NetBox refused, by field. Those fields are skipped; of a set, only the elements that were refused.
        """
        refused: dict[str, Exception] = {}
        self.unassignable = self._unassignable_by_change.setdefault((change.kind, change.key), set())
        for field in change.writes:
            for value in elements(field.want):
                if isinstance(value, Shared) and value not in self.shared:
                    # Each in its own savepoint: a refused one must not undo another that is remembered.
                    try:
                        with savepoint():
                            pointer = self.shared_objects.create(value)
                        self.shared[value] = pointer
                    except (ValidationError, AbortRequest) as error:
                        refused[field.name] = error
        return refused

    def lacking(self, change: Change) -> frozenset[Shared]:
        """The shared objects that a change needs and that do not exist, after `create_shared`."""
        wanted = (value for field in change.writes for value in elements(field.want))
        return frozenset(value for value in wanted if isinstance(value, Shared) and value not in self.shared)

    def is_available(self, field: FieldChange) -> bool:
        """Whether the shared object that a field names exists. Elements of a set that do not are skipped one by one."""
        return not isinstance(field.want, Shared) or field.want in self.shared

    def exists(self, ref: Ref) -> bool:
        """Whether the object that a reference names exists."""
        return (ref.kind, ref.key) in self.objects.pointers

    def resolve(self, value: Value) -> Value:
        """
        A value in which every object is a pointer.

        Raises:
            UnresolvedError: It refers to an object that does not exist.
        """
        match value:
            case Ref():
                return self._referenced(value)
            case Shared():
                return self.shared[value]
            case frozenset():
                return self.resolve_set(value)
            case _:
                return value

    def resolve_set(self, value: frozenset[Value]) -> frozenset[Value]:
        """A set without shared objects that do not exist and tags that the object may not have."""
        available = (element for element in value if not isinstance(element, Shared) or element in self.shared)
        return frozenset(self.resolve(element) for element in available) - self.unassignable

    def resolve_objects(self, value: Value) -> frozenset[Pointer]:
        """The objects of a set, as `resolve_set`; an empty set for None."""
        resolved = self.resolve_set(value) if isinstance(value, frozenset) else frozenset()
        return frozenset(element for element in resolved if isinstance(element, Pointer))

    def _referenced(self, ref: Ref) -> Pointer:
        if not self.exists(ref):
            raise UnresolvedError(Message('The object requires {label}, which could not be written.', label=ref.label))
        return self.objects.pointers[ref.kind, ref.key]


def elements(value: Value) -> Iterable[Value]:
    """The elements of a set, or the value itself."""
    return value if isinstance(value, frozenset) else (value,)
