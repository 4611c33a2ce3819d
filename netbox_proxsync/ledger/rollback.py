"""
What a run keeps in memory about the database, and undoes together with a rollback.

A run remembers what it has written: which objects are bound, which tags it has created. After a rollback that would be
wrong, and a repeated transaction would not do the same as the first attempt.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager

__all__ = ('Journal', 'JournaledDict', 'JournaledSet', 'LoadedDict')


class Journal:
    """Notes how to undo each change of the dictionaries and sets that belong to it."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def note(self, undo: Callable[[], None]) -> None:
        """Note how to undo a change that is about to be made."""
        self._undo.append(undo)

    @contextmanager
    def reverting(self) -> Iterator[None]:
        """Undo what is changed within the block if it fails. Can be nested, as savepoints are."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise

    def forget(self) -> None:
        """After a commit: the changes are final."""
        self._undo.clear()


class JournaledDict[K: Hashable, V](MutableMapping[K, V]):
    """A dictionary whose changes can be undone."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._items: dict[K, V] = {}

    def _note(self, key: K) -> None:
        if key in self._items:
            before = self._items[key]
            self._journal.note(lambda: self._items.__setitem__(key, before))
        else:
            self._journal.note(lambda: self._discard(key))

    def _discard(self, key: K) -> None:
        self._items.pop(key, None)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._note(key)
        self._items[key] = value

    def __delitem__(self, key: K) -> None:
        self._note(key)
        del self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def replace(self, items: Mapping[K, V]) -> None:
        """Replace all items by those that the database holds. This is not undone."""
        self._items = dict(items)


class LoadedDict[K: Hashable, V](JournaledDict[K, V]):
    """
    A journaled dictionary of what the database holds. An item that is not known yet is read when it is asked for.

    Args:
        read: Reads the value of a key; None: there is none.
    """

    def __init__(self, journal: Journal, read: Callable[[K], V | None]) -> None:
        super().__init__(journal)
        self._read = read
        # The keys without a value.
        self._absent: JournaledDict[K, None] = JournaledDict(journal)

    def __getitem__(self, key: K) -> V:
        if key not in self._items and key not in self._absent:
            # Noted as a write is: what was read after one is wrong after its rollback.
            found = self._read(key)
            if found is None:
                self._absent[key] = None
            else:
                self[key] = found
        return super().__getitem__(key)

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self._absent.pop(key, None)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self._absent[key] = None

    def replace(self, items: Mapping[K, V], absent: Iterable[K] = ()) -> None:
        """As the base class; others of the keys have no value, and what else is known is forgotten."""
        super().replace(items)
        self._absent.replace({key: None for key in absent if key not in items})


class JournaledSet[T: Hashable]:
    """A set whose changes can be undone: `add`, `discard`, `in`, iteration."""

    def __init__(self, journal: Journal) -> None:
        self._members: JournaledDict[T, None] = JournaledDict(journal)

    def add(self, member: T) -> None:
        """Add an element."""
        if member not in self._members:
            self._members[member] = None

    def discard(self, member: T) -> None:
        """Remove an element, if it is in the set."""
        if member in self._members:
            del self._members[member]

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[T]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
