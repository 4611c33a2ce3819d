from utilities.forms.rendering import FieldSet

__all__ = ('FoldedFieldSet',)


class FoldedFieldSet(FieldSet):
    """A fieldset that most people leave alone, folded away; see inc/endpoint_form.html."""

    folded = True

    @property
    def without_heading(self) -> FieldSet:
        return FieldSet(*self.items)
