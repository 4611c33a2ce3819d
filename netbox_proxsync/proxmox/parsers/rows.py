"""Lists of rows, and the formats of their fields: words separated by blanks, ranges, optional texts and numbers."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..messages import Message, phrase
from ..properties import ParseError, as_text, boolean, integer, optional_text, parse_ranges, text
from ..readings import Reading, Unreadable

__all__ = ('extra_of', 'flag', 'number', 'parse_rows', 'ranges', 'reading', 'word', 'words')

type Row = Mapping[str, Any]

SEPARATORS = re.compile(r'[;,\s\0]+')


def parse_rows[T](data: object, parse: Callable[[Row], T]) -> tuple[T, ...]:
    """
    Parse every row of a list, in the order of the answer (which is random on a real server).

    Raises:
        ParseError: The answer is not a list, or a row cannot be read: a shorter list must never pass for a complete
            one.
    """
    if not isinstance(data, list):
        raise ParseError(Message('The response is not a list'))
    parsed = []
    for row in data:
        if not isinstance(row, dict):
            raise ParseError(Message('The list contains an invalid row'))
        parsed.append(parse(row))
    return tuple(parsed)


def word(row: Row, key: str) -> str | None:
    """Return a text without surrounding blanks; None if it is absent, null or empty. Raises ParseError with the key."""
    value = row.get(key)
    return None if value is None else _read(key, optional_text, value)


def words(row: Row, key: str) -> tuple[str, ...]:
    """Return the distinct words of a text such as 'eno1 eno2' or 'iso,backup', or of a list. Raises ParseError."""
    value = row.get(key)
    parts = value if isinstance(value, list) else [value] if value is not None else []
    split = (SEPARATORS.split(_read(key, text, part)) for part in parts)
    return tuple(dict.fromkeys(part for found in split for part in found if part))


def number(row: Row, key: str, allowed: range | None = None) -> int | None:
    """
    Return a whole number; None if it is absent, null or empty. Raises ParseError for any other value.
    """
    value = row.get(key)
    if value in (None, ''):
        return None
    return _read(key, lambda found: integer(found, allowed), value)


def flag(row: Row, key: str) -> bool:
    """Return a boolean; False if it is absent, null or empty. Raises ParseError."""
    value = row.get(key)
    return False if value in (None, '') else _read(key, boolean, value)


def ranges(row: Row, key: str, allowed: range) -> tuple[tuple[int, int], ...]:
    """Return '2 4 100-200' as ((2, 2), (4, 4), (100, 200)), sorted. Raises ParseError."""
    return _read(key, lambda parts: parse_ranges(parts, allowed), words(row, key))


def extra_of(row: Row, understood: Iterable[str]) -> dict[str, str]:
    """Return the remaining keys of a row with their values as text."""
    return {key: as_text(row[key]) for key in sorted(row.keys() - set(understood))}


def reading[**P, T](parse: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> Reading[T]:
    """Return the result of a function, or Unreadable if it raises ParseError."""
    try:
        return parse(*arguments, **options)
    except ParseError as error:
        return Unreadable(Message('{problem}.', problem=phrase(error)))


def _read[V, T](key: str, parse: Callable[[V], T], value: V) -> T:
    try:
        return parse(value)
    except ParseError as error:
        raise ParseError(Message('{key}: {problem}', key=key, problem=error)) from None
