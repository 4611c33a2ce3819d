"""What NetBox requires of the custom fields of an object, as far as a run has to know it before it writes."""

import re
from dataclasses import dataclass

from .values import Value

__all__ = ('Demand', 'ValueLimits')


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    A required custom field without which NetBox accepts no new object of a model.

    Attributes:
        model: 'app_label.model_name'.
        plural: The display name of several of its objects.
        reason: Why the default of the field is not sufficient, for the user: 'is required and has no default'.
    """

    model: str
    plural: str
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLimits:
    """The validation rules of a custom field; None: not limited."""

    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ''
    choices: frozenset[str] | None = None

    def refusal(self, value: Value) -> str:
        """Why NetBox refuses a value, for the user; '' if it accepts the value."""
        if value is None or value == '':
            return 'it is required' if self.required else ''
        if isinstance(value, int | float) and not isinstance(value, bool) and (refusal := self.number_refusal(value)):
            return refusal
        if self.pattern and isinstance(value, str) and not re.match(self.pattern, value):
            return f'only what matches "{self.pattern}"'
        if self.choices is not None and value not in self.choices:
            return f'"{value}" is not among its choices'
        return ''

    def number_refusal(self, number: float) -> str:
        """Why NetBox refuses a number, for the user; '' if it accepts the number."""
        if self.minimum is not None and number < self.minimum:
            return f'at least {self.minimum:g}'
        if self.maximum is not None and number > self.maximum:
            return f'at most {self.maximum:g}'
        return ''
