"""Changes as JSON and back, without loss, so that a plan can be stored, displayed, and applied later."""

from collections.abc import Mapping
from typing import Any

from ..proxmox.messages import Message
from .changes import Action, Change, FieldChange
from .owners import Owner
from .values import Pointer, decode, decode_all, encode, encode_all

__all__ = ('binding_as_json', 'change_from_json', 'fields_as_json')


def fields_as_json(change: Change) -> list[dict[str, Any]]:
    """The fields of a change, with their three values."""
    return [
        {
            'name': field.name,
            'owner': str(field.owner),
            'last': encode(field.last),
            'now': encode(field.now),
            'want': encode(field.want),
            'kept': field.kept,
            'drift': field.is_drift,
            'has_last': field.has_last,
            'late': field.deferred,
        }
        for field in change.fields
    ]


def binding_as_json(change: Change) -> dict[str, Any] | None:
    """The values that the binding stores afterwards; None if there is no binding afterwards."""
    return None if change.binding is None else encode_all(change.binding)


def change_from_json(
    *,
    action: str,
    kind: str,
    key: str,
    unit: str,
    label: str,
    pointer: Pointer | None,
    fields: list[Mapping[str, Any]],
    binding: Mapping[str, Any] | None,
    reason: Message,
) -> Change:
    """The change that was stored."""
    return Change(
        action=Action(action),
        kind=kind,
        key=key,
        unit=unit,
        label=label,
        pointer=pointer,
        fields=tuple(field_from_json(field) for field in fields),
        binding=None if binding is None else decode_all(binding),
        reason=reason,
    )


def field_from_json(data: Mapping[str, Any]) -> FieldChange:
    """The change of a field that was stored."""
    return FieldChange(
        name=data['name'],
        owner=Owner(data['owner']),
        last=decode(data['last']),
        now=decode(data['now']),
        want=decode(data['want']),
        has_last=data['has_last'],
        kept=data['kept'],
        deferred=data['late'],
    )
