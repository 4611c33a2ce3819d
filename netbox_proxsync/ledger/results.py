"""The results of changes, with their reasons for display."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.core.exceptions import ValidationError
from django.db.models import ProtectedError, RestrictedError

from ..choices import ChangeOutcomeChoices
from ..proxmox.messages import EMPTY, Message, as_is, joined
from ..sync.changes import Change
from ..sync.values import Pointer, Shared

__all__ = ('Result', 'combined', 'explain')

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of a change.

    Attributes:
        outcome: One of `ChangeOutcomeChoices`.
        message: Why, if it was not applied completely.
        pointer: The object that was written; None if there is none (any more).
        unwritten: The late fields that were not written although the object was.
        lacking: The shared objects that could not be created, so that the object was written without them.
    """

    change: Change
    outcome: str
    message: Message = EMPTY
    pointer: Pointer | None = None
    unwritten: frozenset[str] = frozenset()
    lacking: frozenset[Shared] = frozenset()


def combined(first: Result, second: Result) -> Result:
    """The result of a change that was written in two steps: applied only if both were."""
    worse = first if second.outcome == ChangeOutcomeChoices.APPLIED else second
    return replace(
        worse,
        message=joined(dict.fromkeys((first.message, second.message)), '; '),
        pointer=first.pointer or second.pointer,
        unwritten=first.unwritten | second.unwritten,
        lacking=first.lacking | second.lacking,
    )


def explain(error: Exception) -> Message:
    """Why NetBox refused to write an object, as one line for display."""
    if isinstance(error, ValidationError):
        return as_is('; '.join(messages_of(error)))
    if isinstance(error, ProtectedError | RestrictedError):
        objects = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
        names = ', '.join(sorted(str(instance) for instance in objects)[:NAMES_SHOWN])
        return Message('NetBox rejects the deletion because of dependent objects: {names}', names=names)
    text = str(error)
    if isinstance(text, Message):
        return text
    # The second line of a database error quotes the values of the statement.
    return as_is(text.splitlines()[0] if text else type(error).__name__)


def messages_of(error: ValidationError) -> Iterator[str]:
    """The messages of a validation error, those about a field with its name."""
    if not hasattr(error, 'error_dict'):
        yield from error.messages
        return
    by_field: dict[str, list[str]] = error.message_dict
    for name, messages in by_field.items():
        prefix = '' if name == '__all__' else f'{name}: '
        yield from (f'{prefix}{message}' for message in messages)
