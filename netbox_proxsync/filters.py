"""
Validation of filters. NetBox ignores a filter with an invalid value: a list would have all objects although it displays
a filter, and actions on all matching objects would affect all of them. And NetBox offers the `regex` lookups for every
text field and passes them to PostgreSQL, which rejects the whole query if it cannot parse one of them.
"""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db import DataError, connection, transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest
from django.utils.translation import gettext as _

# Both classes are mixins.
if TYPE_CHECKING:
    from netbox.filtersets import BaseFilterSet

    BaseForm = Form
else:
    BaseFilterSet = object
    BaseForm = object

__all__ = ('CheckedFilters',)

REGEX_LOOKUPS = ('regex', 'iregex')


class CheckedFilters(BaseFilterSet):
    """
    Mixin for filter sets that do not ignore invalid values.

    An unknown choice, or an expression that PostgreSQL cannot parse, is an error of the form of the filter set: REST
    responds with 400, and a page shows the error and no objects. In lookups for a part of a text, "null" is an
    ordinary word; only the exact lookups use it for an empty value.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for it in self.filters.values():
            # For tree models (regions, ...), the "in" lookup takes an object ID.
            if it.lookup_expr not in ('exact', 'in') and hasattr(it, 'null_value'):
                it.null_value = None

    def get_form_class(self) -> type[Form]:
        regex_fields = [name for name, it in self.filters.items() if it.lookup_expr in REGEX_LOOKUPS]
        return type('CheckedForm', (CheckedForm, super().get_form_class()), {'regex_fields': regex_fields})

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.form.errors:
            return cast(QuerySet[Any], super().filter_queryset(queryset))
        if isinstance(self.request, HttpRequest):
            for name, errors in self.form.errors.items():
                messages.error(self.request, f'{name}: {" ".join(errors)}', fail_silently=True)
        return queryset.none()


class CheckedForm(BaseForm):
    """
    Mixin for the forms of filter sets.

    Attributes:
        regex_fields: The names of the fields that hold regular expressions.
    """

    regex_fields: list[str] = []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.regex_fields:
            values = cleaned.get(name) or []
            invalid = [it for it in ([values] if isinstance(values, str) else values) if not is_valid_regex(it)]
            if invalid:
                message = _('PostgreSQL does not understand this regular expression: {expression}')
                self.add_error(name, message.format(expression=', '.join(invalid)))
        return cleaned


def is_valid_regex(expression: str) -> bool:
    """Whether PostgreSQL can parse a regular expression."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT '' ~ %s", [expression])
    except DataError:
        return False
    return True
