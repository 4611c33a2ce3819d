from typing import TYPE_CHECKING, Any

from utilities.forms.rendering import FieldSet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('FoldedFieldSet',)


class FoldedFieldSet(FieldSet):
    """
    A fieldset that is folded by default; see inc/endpoint_form.html.

    Attributes:
        hint: A summary of the content or of the defaults.
    """

    folded = True

    def __init__(self, *items: Any, hint: 'StrOrPromise' = '', **kwargs: Any) -> None:
        super().__init__(*items, **kwargs)
        self.hint = hint

    @property
    def without_heading(self) -> FieldSet:
        return FieldSet(*self.items)
