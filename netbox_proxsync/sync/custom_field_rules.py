"""What NetBox requires of the custom fields of an object, as far as a run has to know it before it writes."""

import re
from dataclasses import dataclass

from ..proxmox.messages import EMPTY, Message
from .values import Value

__all__ = ('Demand', 'ValueLimits')


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    A required custom field without which NetBox accepts no new object of a model.

    Attributes:
        model: 'app_label.model_name'.
        plural: The display name of several of its objects.
        reason: Why the default of the field is not sufficient, a sentence for the user.
    """

    model: str
    plural: str
    field: str
    reason: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLimits:
    """The validation rules of a custom field; None: not limited."""

    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ''
    choices: frozenset[str] | None = None

    def refusal(self, value: Value) -> Message:
        """Why NetBox refuses a value, for the user; '' if it accepts the value."""
        if value is None or value == '':
            return Message('A value is required') if self.required else EMPTY
        if isinstance(value, int | float) and not isinstance(value, bool) and (refusal := self.number_refusal(value)):
            return refusal
        if self.pattern and isinstance(value, str) and not re.match(self.pattern, value):
            return Message('The value must match "{pattern}"', pattern=self.pattern)
        if self.choices is not None and value not in self.choices:
            return Message('"{value}" is not one of the choices', value=value)
        return EMPTY

    def number_refusal(self, number: float) -> Message:
        """Why NetBox refuses a number, for the user; '' if it accepts the number."""
        if self.minimum is not None and number < self.minimum:
            return Message('The value must be at least {number}', number=f'{self.minimum:g}')
        if self.maximum is not None and number > self.maximum:
            return Message('The value must be at most {number}', number=f'{self.maximum:g}')
        return EMPTY
