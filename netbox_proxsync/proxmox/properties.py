"""
The scalar values and property strings of Proxmox VE.

Numbers are numbers or texts, depending on version and call; booleans have eight spellings; structures are written as
`value,key=value,...`. The functions accept any JSON value and either return the Python value or raise `ParseError`.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from .messages import Message
from .readings import Reading, Unreadable

__all__ = (
    'ParseError',
    'as_text',
    'boolean',
    'boolean_or_none',
    'decimal',
    'format_properties',
    'integer',
    'optional_text',
    'parse_mac',
    'parse_properties',
    'parse_ranges',
    'parse_size',
    'parse_tags',
    'parse_uuid',
    'positive_or_none',
    'read_properties',
    'read_value',
    'text',
)

# Proxmox VE: "1|on|yes|true" and "0|off|no|false", in any case.
BOOLEANS = {'1': True, 'on': True, 'yes': True, 'true': True, '0': False, 'off': False, 'no': False, 'false': False}

SIZE_UNITS = {'': 0, 'K': 1, 'M': 2, 'G': 3, 'T': 4}  # powers of 1024
SIZE = re.compile(r'([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:(?<=[KMGT])iB)?')
# Proxmox VE uses signed 64-bit numbers; larger numbers are invalid.
MAX_INTEGER = 2**63 - 1

INTEGER = re.compile(r'[+-]?[0-9]{1,20}')
NUMBER = re.compile(r'[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?')
MAC = re.compile(r'[0-9A-F]{2}(?:[:-][0-9A-F]{2}){5}', re.IGNORECASE | re.ASCII)
NO_MAC = '00:00:00:00:00:00'
LIST_SEPARATORS = re.compile(r'[;,\s\0]+')


class ParseError(ValueError):
    """A value from Proxmox VE or from a guest is invalid; the message names the value."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)


def as_text(value: object) -> str:
    """Return any JSON value as text, to store and display values that are not parsed."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=repr)


def _shown(value: object) -> str:
    """Return a short form of a value for error messages."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return Message('a number')
    shown = repr(value)
    return shown if len(shown) <= 60 else f'{shown[:57]}...'


def text(value: object) -> str:
    """Return a text, which may be sent as a number (a hostname `123`). Raises ParseError for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float) and abs(value) <= MAX_INTEGER:  # NaN compares false
        return str(value)
    raise ParseError(Message('{value} is not a text', value=_shown(value)))


def optional_text(value: object) -> str | None:
    """
    Return a text without surrounding blanks; None if it is empty. Raises ParseError for anything but text and numbers.
    """
    return text(value).strip() or None


def integer(value: object, allowed: range | None = None) -> int:
    """
    Return a whole number: 2048, '2048', 2048.0.

    Raises:
        ParseError: The value is something else, such as NaN or 1.5, or outside the allowed range.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    shown = text(value).strip()
    if not INTEGER.fullmatch(shown) or abs(int(shown)) > MAX_INTEGER:
        raise ParseError(Message('{value} is not a whole number', value=_shown(value)))
    number = int(shown)
    if allowed is not None and number not in allowed:
        raise ParseError(Message('{number} is out of range', number=number))
    return number


def positive_or_none(value: object) -> int | None:
    """Return a whole number above 0; None for anything else."""
    try:
        number = integer(value)
    except ParseError:
        return None
    return number if number > 0 else None


def decimal(value: object) -> Decimal:
    """Return a number: 1.5, '1.5', '12'. Raises ParseError for anything else, including NaN and infinity."""
    shown = text(value).strip()
    if not NUMBER.fullmatch(shown):
        raise ParseError(Message('{value} is not a number', value=_shown(value)))
    return Decimal(shown)


def boolean(value: object) -> bool:
    """
    Return a boolean: 0/1, on/off, yes/no, true/false as number, text or JSON boolean. Raises ParseError otherwise.
    """
    try:
        return BOOLEANS[text(value).strip().lower()]
    except KeyError:
        raise ParseError(Message('{value} is neither true nor false', value=_shown(value))) from None


def boolean_or_none(value: object) -> bool | None:
    """Return a boolean as `boolean` does; None for anything else."""
    try:
        return boolean(value)
    except ParseError:
        return None


def parse_ranges(parts: Iterable[str], allowed: range) -> tuple[tuple[int, int], ...]:
    """
    Return the inclusive ranges in texts such as '4' and '100-200', sorted.

    Raises:
        ParseError: A part is not a range, or not within `allowed`.
    """
    ranges = []
    for part in parts:
        low, dash, high = part.partition('-')
        first = integer(low, allowed)
        last = integer(high, allowed) if dash else first
        if last < first:
            raise ParseError(Message('{value} ends before it begins', value=part[:40]))
        ranges.append((first, last))
    return tuple(sorted(ranges))


def parse_size(value: object) -> int:
    """
    Return a disk size in bytes: '32G', '1.5T', '4096', '8GiB'. Units are binary, with "iB" in Proxmox VE 9 only.

    Fractions of a byte are cut off, as in Proxmox VE. Raises ParseError for anything else, including negative sizes.
    """
    match = SIZE.fullmatch(text(value).strip())
    if match is None or len(match[1]) > 40:
        raise ParseError(Message('{value} is not a size', value=_shown(value)))
    size = math.floor(Fraction(match[1]) * Fraction(1024) ** SIZE_UNITS[match[2]])
    if size > MAX_INTEGER:
        raise ParseError(Message('{value} is not a possible size', value=_shown(value)))
    return size


def parse_tags(value: object) -> tuple[str, ...]:
    """Return the distinct tags in order; separators are semicolon, comma, blank and NUL. None and '' mean no tags."""
    if value is None:
        return ()
    return tuple(dict.fromkeys(tag for tag in LIST_SEPARATORS.split(text(value)) if tag))


def parse_mac(value: object) -> str | None:
    """Return a MAC address in upper case with colons; None for anything else."""
    if not isinstance(value, str) or not MAC.fullmatch(value.strip()):
        return None
    return value.strip().upper().replace('-', ':')


def parse_uuid(value: object) -> str:
    """Return a UUID in the standard lower-case form. Raises ParseError."""
    shown = text(value).strip()
    try:
        return str(UUID(shown))
    except ValueError:
        raise ParseError(Message('{value} is not a UUID', value=_shown(value))) from None


def parse_properties(value: object, default_key: str | None = None) -> dict[str, str]:
    """
    Return the sub-keys of a property string such as `local-lvm:vm-100-disk-0,size=32G,ssd=1`.

    Unknown sub-keys are allowed, because newer versions of Proxmox VE may add some. The order of sub-keys has no
    meaning (Proxmox VE writes them in random order).

    Args:
        value: The property string, or a number if it consists of a number only.
        default_key: The sub-key of the part without "=".

    Raises:
        ParseError: A sub-key has no name or no value, or is given twice. Proxmox VE rejects these as well.
    """
    properties = {}
    for name, content in read_properties(value, default_key).items():
        if isinstance(content, Unreadable):
            raise ParseError(content.reason.as_phrase())
        properties[name] = content
    return properties


def read_properties(value: object, default_key: str | None = None) -> dict[str, Reading[str]]:
    """
    As `parse_properties`, but a sub-key without a value, or one that is given twice, is Unreadable and does not affect
    the others.

    Raises:
        ParseError: The value is not a text, or a part of it has no name.
    """
    properties: dict[str, Reading[str]] = {}
    for part in text(value).split(','):
        if not part.strip():
            continue
        name, equals, content = part.partition('=')
        if not equals:
            name, content = default_key or '', part
        if not name:
            raise ParseError(Message('{value} has no key', value=_shown(part)))
        if name.strip() != name:
            raise ParseError(Message('{value} is not a key', value=_shown(name)))
        if name in properties:
            properties[name] = Unreadable(Message('{value} is given twice.', value=_shown(name)))
        elif not content:
            properties[name] = Unreadable(Message('{value} has no value.', value=_shown(name)))
        else:
            properties[name] = content
    return properties


def read_value[T](parse: Callable[[object], T], value: object, what: str) -> Reading[T]:
    """
    Return the parsed value, or Unreadable with the reason if `parse` raises ParseError.

    Args:
        value: The value, which may be Unreadable itself.
        what: The name of the value for the reason: 'memory', 'tag of net0'.
    """
    try:
        if isinstance(value, Unreadable):
            raise ParseError(value.reason.as_phrase())
        return parse(value)
    except ParseError as error:
        return Unreadable(Message('"{what}" cannot be read: {problem}.', what=what, problem=error))


def format_properties(properties: Mapping[str, str], default_key: str | None = None) -> str:
    """
    Return a property string: the default key first and without its name, the others sorted by name.

    `parse_properties` returns the same sub-keys from it.

    Raises:
        ParseError: The format, which has no quoting, cannot represent a sub-key: a comma anywhere, "=" or surrounding
            blanks in a name, or an empty name or value.
    """
    for name, content in properties.items():
        if ',' in name + content or '=' in name or not name or name.strip() != name or not content:
            raise ParseError(
                Message(
                    '{name}={value} cannot be written as a property string', name=_shown(name), value=_shown(content)
                )
            )
    first = properties.get(default_key, '') if default_key else ''
    bare = [first] if first.strip() and '=' not in first else []
    return ','.join(
        bare + [f'{name}={properties[name]}' for name in sorted(properties) if not bare or name != default_key]
    )
