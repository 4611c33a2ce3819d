"""Names that users have chosen for objects of their own, because another object has the name of the guest or node."""

from collections.abc import Sequence
from dataclasses import replace

from ..answers import Choice
from ..settings import Settings
from ..state import Item

__all__ = ('with_chosen_names',)


def with_chosen_names(items: Sequence[Item], settings: Settings) -> list[Item]:
    """The items, those about whose names users have decided with the chosen names."""
    return [with_chosen_name(item, settings) for item in items]


def with_chosen_name(item: Item, settings: Settings) -> Item:
    """The item with the name that a user has chosen, if any."""
    answer = settings.answers.get((item.kind, item.key))
    if answer is None or answer.choice is not Choice.RENAME:
        return item
    return replace(item, values={**item.values, 'name': answer.name})
