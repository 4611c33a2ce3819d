"""
What a run keeps in memory about the database, and takes back together with a rollback.

A run remembers what it has written: which objects are bound, which tags it made. After a rollback that would be wrong,
and a repeated transaction would do something else than the first attempt.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ('Journal', 'JournaledDict', 'JournaledSet')

MISSING = object()


class Journal:
    """Notes how to undo each change of the dictionaries and sets that belong to it."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def note(self, undo: Callable[[], None]) -> None:
        self._undo.append(undo)

    @contextmanager
    def reverting(self) -> Iterator[None]:
        """What is changed within is undone if this fails. Can be nested, as savepoints are."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise

    def forget(self) -> None:
        """After a commit: what was changed stays."""
        self._undo.clear()


class JournaledDict[K: Hashable, V](dict[K, V]):
    def __init__(self, journal: Journal, content: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        super().__init__(content)
        self._journal = journal

    def _note(self, key: K) -> None:
        before = self.get(key, MISSING)
        restore = super().__setitem__ if before is not MISSING else None
        remove = super().pop

        def undo() -> None:
            if restore:
                restore(key, before)
            else:
                remove(key, None)

        self._journal.note(undo)

    def __setitem__(self, key: K, value: V) -> None:
        self._note(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self._note(key)
        super().__delitem__(key)

    def pop(self, key: K, *default: Any) -> V:
        self._note(key)
        return super().pop(key, *default)

    def setdefault(self, key: K, default: V = None) -> V:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Mapping[K, V] | Iterable[tuple[K, V]], **values: V) -> None:
        for key, value in dict(*others, **values).items():
            self[key] = value

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def popitem(self) -> tuple[K, V]:
        key = next(reversed(self))
        return key, self.pop(key)

    def __ior__(self, other: Mapping[K, V]):
        self.update(other)
        return self


class JournaledSet[T: Hashable]:
    """As much of a set as is needed: `add`, `discard`, `in`, iteration."""

    def __init__(self, journal: Journal) -> None:
        self._members: JournaledDict[T, None] = JournaledDict(journal)

    def add(self, member: T) -> None:
        if member not in self._members:
            self._members[member] = None

    def discard(self, member: T) -> None:
        if member in self._members:
            del self._members[member]

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[T]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
