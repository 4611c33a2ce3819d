"""
The values that a sync compares, stores and displays: plain scalars, and three ways to name a NetBox object.

Numbers that NetBox stores as decimals are text in their shortest form ('1.5', '2'), so that they compare and serialize
without loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from sys import intern
from typing import Any

__all__ = (
    'Pointer',
    'Ref',
    'Shared',
    'Value',
    'as_pointer',
    'as_set',
    'decimal_text',
    'decode',
    'decode_pairs',
    'encode',
    'in_units',
    'plain_lines',
    'show',
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """An object that exists in NetBox. `model` is 'app_label.model_name'; the label is only for display."""

    model: str
    pk: int
    label: str = field(default='', compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """An object of the same sync, named by its identity in Proxmox VE. It may not exist in NetBox yet."""

    kind: str
    key: str
    label: str = field(default='', compare=False)


@dataclass(frozen=True, slots=True)
class Shared:
    """
    An object shared with the rest of NetBox (a tag, a platform, ...): looked up by name, created if missing, never
    changed.

    Attributes:
        within: The scope in which the name is unique: the name of the manufacturer of a device type (which is created,
            too), or the place of a VLAN. '' if there is none.
        attributes: Values for a new object, in addition to its name and slug.
    """

    model: str
    name: str
    within: str = field(default='', kw_only=True)
    attributes: tuple[tuple[str, Any], ...] = field(default=(), compare=False)


# The types in JSON of the values that have another type there.
ENCODED = (dict, list)

type Value = bool | int | float | str | Pointer | Ref | Shared | frozenset['Value'] | None


def as_pointer(value: Value) -> Pointer | None:
    """The value if it is a pointer, else None."""
    return value if isinstance(value, Pointer) else None


def as_set(value: Value) -> frozenset[Value]:
    """The value if it is a set, else an empty set."""
    return value if isinstance(value, frozenset) else frozenset()


def decimal_text(number: Decimal | float | None) -> str | None:
    """A decimal in its shortest form: Decimal('2.00') -> '2'."""
    if number is None:
        return None
    text = f'{Decimal(str(number)):f}'
    return text.rstrip('0').rstrip('.') if '.' in text else text


def in_units(size: int, unit: int) -> int:
    """A size in bytes as the nearest whole number of units."""
    return (size + unit // 2) // unit


def encode(value: Value) -> Any:
    """The value as JSON."""
    match value:
        case None | str() | int() | float():
            return value
        case Pointer():
            return {'model': value.model, 'pk': value.pk, 'label': value.label}
        case Ref():
            return {'kind': value.kind, 'key': value.key, 'label': value.label}
        case Shared():
            within = {'within': value.within} if value.within else {}
            return {'shared': value.model, 'name': value.name, **within, 'attributes': dict(value.attributes)}
    return sorted((encode(element) for element in value), key=str)


def decode(data: Any) -> Value:
    """The value that `encode` received."""
    # Tens of thousands of bindings are decoded: comparisons with patterns would take longer.
    if isinstance(data, list):
        return frozenset(map(decode, data))
    if isinstance(data, dict):
        if 'pk' in data:
            return Pointer(intern(data['model']), data['pk'], data.get('label', ''))
        if 'key' in data:
            return Ref(data['kind'], data['key'], data.get('label', ''))
        attributes = tuple(sorted(data.get('attributes', {}).items()))
        return Shared(data['shared'], data['name'], attributes, within=data.get('within', ''))
    scalar: Value = data
    return scalar


def encode_all(values: Mapping[str, Value]) -> dict[str, Any]:
    """Values by field, as JSON."""
    return {name: encode(value) for name, value in values.items()}


def decode_all(data: Mapping[str, Any]) -> dict[str, Value]:
    """The values that `encode_all` received."""
    # The names are the same in tens of thousands of bindings. Values of other types are the same in JSON.
    return {intern(name): decode(value) if isinstance(value, ENCODED) else value for name, value in data.items()}


def decode_pairs(data: Mapping[str, Any]) -> dict[str, tuple[Value, Value]]:
    """Pairs of values, each as `encode` returns it."""
    return {name: (decode(first), decode(second)) for name, (first, second) in data.items()}


def show(value: Value) -> str:
    """The display text of a value; '' for None."""
    match value:
        case None:
            return ''
        case Pointer() | Ref():
            return value.label or str(value.pk if isinstance(value, Pointer) else value.key)
        case Shared():
            return value.name
        case frozenset():
            return ', '.join(sorted(show(element) for element in value))
        case _:
            return str(value)


def plain_lines(text: str) -> str:
    """
    The text with the line ends of Proxmox VE. Browsers send CR LF for each line end, so saving NetBox's form would
    otherwise count as an edit of every text with several lines.
    """
    return text.replace('\r\n', '\n').replace('\r', '\n') if '\r' in text else text
