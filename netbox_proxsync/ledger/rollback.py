"""
What a run keeps in memory about the database, and undoes together with a rollback.

A run remembers what it has written: which objects are bound, which tags it has created. After a rollback that would be
wrong, and a repeated transaction would not do the same as the first attempt.
"""

from collections.abc import Callable, Hashable, Iterator, MutableMapping
from contextlib import contextmanager

__all__ = ('Journal', 'JournaledDict', 'JournaledSet')


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

    def clear(self) -> None:
        """Remove all items. One `popitem` after the other would take a time quadratic in their number."""
        for key in list(self._items):
            del self[key]


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
