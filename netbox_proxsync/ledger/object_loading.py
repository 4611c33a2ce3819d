"""Loads many rows, and many objects of NetBox, for reading only."""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from itertools import batched
from typing import Any

from dcim.fields import MACAddressField
from django.db import models
from django.db.models.base import ModelState
from django.db.models.functions import Cast, Upper
from ipam.fields import IPAddressField
from netaddr import IPNetwork
from utilities.fields import CounterCacheField

__all__ = ('decoded', 'load_objects', 'rows_of')

# Rows that are decoded together.
BATCH = 2000
TEXT = 'text_of_'
CUSTOM_FIELDS = 'custom_field_data'


def rows_of(
    queryset: models.QuerySet[Any], names: Sequence[str], as_text: Collection[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """
    The values of some columns, as `values_list` returns them, in less time: the values of JSON columns of many rows are
    decoded together, and MAC addresses are texts.

    Args:
        as_text: JSON columns that are not decoded.
    """
    fields = {name: queryset.model._meta.get_field(name) for name in names}
    decoders = [None if name in as_text else decoder_of(field) for name, field in fields.items()]
    texts = {f'{TEXT}{name}': text for name, field in fields.items() if (text := text_of(field)) is not None}
    columns = [f'{TEXT}{name}' if f'{TEXT}{name}' in texts else name for name in names]
    rows = queryset.annotate(**texts).values_list(*columns).iterator(chunk_size=BATCH)
    for batch in batched(rows, BATCH):
        yield from zip(
            *(
                decode(values) if decode else values
                for values, decode in zip(zip(*batch, strict=True), decoders, strict=True)
            ),
            strict=True,
        )


def text_of(field: Any) -> models.Func | None:
    """What PostgreSQL returns instead of the value of a field; None: the value itself."""
    match field:
        case models.JSONField() | IPAddressField():
            return Cast(field.name, models.TextField())
        case MACAddressField():
            # As NetBox writes them.
            return Upper(Cast(field.name, models.TextField()))
    return None


def decoder_of(field: Any) -> Callable[[Sequence[str | None]], list[Any]] | None:
    """What turns the texts of a column into values; None: they are the values."""
    match field:
        case models.JSONField():
            return decoded
        case IPAddressField():
            return networks
    return None


def networks(texts: Sequence[str | None]) -> list[IPNetwork | None]:
    """
    The addresses of texts; None for a column that is empty.

    The version is given, because netaddr tries version 4 first: the traceback of the error for each other address would
    keep all that its callers have loaded in memory until the next garbage collection.
    """
    return [None if text is None else IPNetwork(text, version=6 if ':' in text else 4) for text in texts]


def decoded(texts: Sequence[str | None]) -> list[Any]:
    """The values of JSON texts; None for a column that is empty."""
    found: list[Any] = json.loads(f'[{",".join("null" if text is None else text for text in texts)}]')
    return found


def load_objects[M: models.Model](
    queryset: models.QuerySet[M], columns: Sequence[str] = (), as_text: Collection[str] = ()
) -> list[M]:
    """
    Objects that are read and never saved, without the code of Django and NetBox that prepares objects for changes.

    Args:
        columns: Those that are loaded; default: `read_columns`. Django loads another one if it is read anyway.
        as_text: As `rows_of`.
    """
    model = queryset.model
    names = columns or read_columns(model)
    objects = []
    for values in rows_of(queryset, names, as_text):
        instance = model.__new__(model)
        state = ModelState()
        state.adding, state.db = False, queryset.db
        instance.__dict__.update(zip(names, values, strict=True), _state=state)
        objects.append(instance)
    return objects


@cache
def read_columns(model: type[models.Model]) -> tuple[str, ...]:
    """The columns of a model, without counters, times, and JSON other than custom fields (config contexts)."""
    return tuple(
        field.attname
        for field in model._meta.concrete_fields
        if not isinstance(field, models.JSONField | models.DateTimeField | CounterCacheField)
        or field.name == CUSTOM_FIELDS
    )
