import re
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

__all__ = ('HostsField', 'WordsField')


class WordsField(SimpleArrayField):
    """Words separated by commas, spaces or lines: however they were pasted."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs.setdefault('base_field', forms.CharField(max_length=255))
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ', '.join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        if isinstance(value, str):
            value = self.delimiter.join(filter(None, re.split(r'[\s,;]+', value)))
        return super().to_python(value)


class HostsField(WordsField):
    """The hosts of an endpoint."""
