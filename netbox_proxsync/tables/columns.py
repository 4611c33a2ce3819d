from typing import Any

import django_tables2 as tables
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext_lazy as _
from netbox.tables import columns

from ..choices import KindChoices

__all__ = ('KindColumn', 'LongTextColumn', 'NumberColumn')


class KindColumn(tables.Column):
    """The label of a kind. Exports have the name that the API and field policies use."""

    def __init__(self) -> None:
        super().__init__(verbose_name=_('Object type'))

    def render(self, value: str) -> str:
        return KindChoices.label(value)

    def value(self, value: str) -> str:
        return value


class LongTextColumn(columns.TemplateColumn):
    """
    Sentences, which are shortened on pages. The width is that of the text, so that a column without texts leaves the
    room to the others.
    """

    TEMPLATE = (
        '{% if value %}<div title="{{ value }}" style="min-width: 14rem">{{ value|truncatechars:100 }}</div>{% endif %}'
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(template_code=self.TEMPLATE, **kwargs)

    def value(self, value: str) -> str:
        return value


class NumberColumn(tables.Column):
    """A number, with separators of thousands and aligned on the right. Exports have the plain number."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(attrs={'td': {'class': 'text-end'}, 'th': {'class': 'text-end'}}, **kwargs)

    def render(self, value: int) -> str:
        return str(intcomma(value))

    def value(self, value: int) -> int:
        return value
