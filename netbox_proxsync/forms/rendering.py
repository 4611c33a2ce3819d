from typing import Any

from utilities.forms.rendering import FieldSet

__all__ = ('FoldedFieldSet',)


class FoldedFieldSet(FieldSet):
    """
    A fieldset that most people leave alone, folded away; see inc/endpoint_form.html.

    Attributes:
        hint: What holds if it is left alone, or what is in it.
    """

    folded = True

    def __init__(self, *items: Any, hint: str = '', **kwargs: Any) -> None:
        super().__init__(*items, **kwargs)
        self.hint = hint

    @property
    def without_heading(self) -> FieldSet:
        return FieldSet(*self.items)
