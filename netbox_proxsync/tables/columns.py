import django_tables2 as tables
from django.utils.translation import gettext_lazy as _

from ..choices import KindChoices

__all__ = ('KindColumn',)


class KindColumn(tables.Column):
    """The label of a kind. Exports have the name that the API and field policies use."""

    def __init__(self) -> None:
        super().__init__(verbose_name=_('Kind'))

    def render(self, value: str) -> str:
        return KindChoices.label(value)

    def value(self, value: str) -> str:
        return value
