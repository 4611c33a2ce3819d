"""Words messages in the language of the reader. They are stored in English, with the templates and parameters."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, ngettext

from .proxmox.messages import Message, gettext_noop, render
from .sync.kinds import KINDS

__all__ = ('columns_of', 'shown_subject', 'worded', 'worded_entry')

# The subjects of notices other than names: of guests, nodes, kinds and custom fields.
SUBJECTS = frozenset(
    (
        gettext_noop('bindings'),
        gettext_noop('cluster'),
        gettext_noop('database'),
        gettext_noop('events'),
        gettext_noop('guests'),
        gettext_noop('hosts'),
        gettext_noop('nodes'),
        gettext_noop('plan'),
        gettext_noop('token'),
        gettext_noop('write policy'),
    )
)
# Refusals are reported by kind.
PLURALS = frozenset(kind.plural for kind in KINDS.values())


def worded(message: object, source: Any = None) -> str:
    """
    A message in the active language, without markup: escape it.

    Args:
        message: A `Message`, an exception with one, or a stored text. It is returned as it is if it has no source, or
            if its translation cannot be used.
        source: The stored source of a stored text.
    """
    text = str(message)
    if isinstance(text, Message):
        source = text.source
    if not source:
        return text
    try:
        return render(source, gettext, ngettext)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return text


def worded_entry(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """
    Data that `as_json` has created, for display: with its messages in the active language, as 'shown_<name>'.
    """
    sources = entry.get('sources') or {}
    return {**entry, **{f'shown_{name}': worded(entry[name], sources.get(name)) for name in names}}


def shown_subject(subject: str) -> str:
    """The subject of a notice in the active language, if it is not a name."""
    return gettext(subject) if subject in SUBJECTS or subject in PLURALS else subject


def columns_of(**messages: Message | str) -> dict[str, Any]:
    """The columns of a row that has these messages: columns_of(reason=...) is {'reason': ..., 'reason_source': ...}."""
    columns: dict[str, Any] = {}
    for name, message in messages.items():
        source = message.source if isinstance(message, Message) else None
        columns |= {name: message, f'{name}_source': source}
    return columns
