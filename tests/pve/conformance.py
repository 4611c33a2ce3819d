"""Checks an answer against the facts of the official API schema: fields, their types, and those that must be there."""

from collections.abc import Iterator
from typing import Any

from .facts import facts

__all__ = ('deviations',)

# What real servers (the recordings) do otherwise than the schema says, by path and field, with the reason.
KNOWN = {
    ('/cluster/mapping/usb', 'description'): 'absent if there is none',
    ('/cluster/mapping/usb', 'error'): 'absent if there is none',
}
# Proxmox VE writes numbers as text and the other way round wherever Perl does, so clients must coerce.
TYPES: dict[str, tuple[type, ...]] = {
    'string': (str, int, float),
    'integer': (int, str),
    'number': (int, float, str),
    'boolean': (int, bool, str),
    'array': (list,),
    'object': (dict,),
}


def deviations(template: str, major: int, data: Any) -> Iterator[str]:
    """What is otherwise than the schema says. Fields that it does not name are no deviation: it names few."""
    entry = facts(template, major)
    if entry is None:
        yield f'{template} does not exist in version {major}'
        return
    if data is None:
        return
    expected = TYPES.get(entry.get('type'), (object,))
    if not isinstance(data, expected):
        yield f'{template}: {type(data).__name__} instead of {entry["type"]}'
        return
    rows = data if isinstance(data, list) else [data]
    for row in rows:
        if isinstance(row, dict):
            yield from row_deviations(template, entry, row)


def row_deviations(template: str, entry: dict[str, Any], row: dict[str, Any]) -> Iterator[str]:
    for name in entry.get('required', ()):
        if name not in row and (template, name) not in KNOWN:
            yield f'{template}: {name} is missing'
    for name, kind in entry.get('fields', {}).items():
        value = row.get(name)
        if value is None or kind not in TYPES or (template, name) in KNOWN:
            continue
        if not isinstance(value, TYPES[kind]):
            yield f'{template}: {name} is {type(value).__name__}, not {kind}'
        elif kind in ('integer', 'number') and isinstance(value, str) and not is_number(value):
            yield f'{template}: {name} is the text "{value}", not {kind}'


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ''
    return True
