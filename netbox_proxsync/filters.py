"""
Regular expressions that people filter lists by. NetBox offers them for every text field and hands them to PostgreSQL,
which refuses the whole query for one that it does not understand.
"""

from typing import Any

from django.contrib import messages
from django.db import DataError, connection, transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _

__all__ = ('CheckedFilters',)

REGULAR = ('regex', 'iregex')


class CheckedFilters:
    """
    For filter sets: an expression that PostgreSQL does not understand is an error of the form, so that REST answers
    with 400, and finds nothing on a page, which says why. "null" is a word like any other where it is looked for in
    texts; only to equal it means to be empty.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for it in self.filters.values():
            # Of trees, "in" is how an object is named.
            if it.lookup_expr not in ('exact', 'in') and hasattr(it, 'null_value'):
                it.null_value = None

    def get_form_class(self) -> type[Form]:
        regular = [name for name, it in self.filters.items() if it.lookup_expr in REGULAR]
        return type('CheckedForm', (CheckedForm, super().get_form_class()), {'regular': regular})

    def filter_queryset(self, queryset: QuerySet) -> QuerySet:
        if not self.form.misunderstood:
            return super().filter_queryset(queryset)
        if isinstance(self.request, HttpRequest):
            for name in self.form.misunderstood:
                messages.error(self.request, f'{name}: {" ".join(self.form.errors[name])}', fail_silently=True)
        return queryset.none()


class CheckedForm:
    """
    Attributes:
        regular: The fields that hold regular expressions.
        misunderstood: Those of them with one that PostgreSQL does not understand.
    """

    regular: list[str] = []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.regular:
            values = cleaned.get(name) or []
            wrong = [it for it in ([values] if isinstance(values, str) else values) if not understood(it)]
            if wrong:
                told = _('PostgreSQL does not understand this regular expression: {expression}')
                self.add_error(name, told.format(expression=', '.join(wrong)))
        return cleaned

    @property
    def misunderstood(self) -> list[str]:
        return [name for name in self.regular if name in self.errors]


def understood(expression: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT '' ~ %s", [expression])
    except DataError:
        return False
    return True
