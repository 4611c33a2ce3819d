from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from netbox.constants import CENSOR_TOKEN, CENSOR_TOKEN_CHANGED

from .crypto import Secret

# RemovableSecret is a mixin for widgets.
if TYPE_CHECKING:
    Widget = forms.Widget
    StoredText = models.TextField[Any, Secret]
else:
    Widget = object
    StoredText = models.TextField

__all__ = (
    'SecretField',
    'SecretFormField',
    'SecretInput',
    'SecretTextarea',
    'column',
)

# The cleaned value of a form field whose secret the user removes.
REMOVE = object()
REMOVE_SUFFIX = '-remove'

CENSOR_TOKENS = (CENSOR_TOKEN, CENSOR_TOKEN_CHANGED)


def as_secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    return Secret.of('' if value is None else str(value))


def column(model: type[models.Model], name: str) -> 'models.Field[Any, Any]':
    """The field of a model with this name, which must be a field of the model itself, not a reverse relation."""
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field


class SecretAttribute(DeferredAttribute):
    """Converts assigned values to `Secret`, so that no instance holds the plain text."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        name = self.field.attname
        if isinstance(value, str) and value in CENSOR_TOKENS:
            # Change logs and exports contain a token instead of the secret. Assigning the token changes nothing.
            value = instance.__dict__.get(name)
        instance.__dict__[name] = as_secret(value)


class RemovableSecret(Widget):
    """
    Mixin for widgets of secrets that adds a checkbox to remove the stored secret: an empty input keeps it.
    """

    template_name = 'netbox_proxsync/widgets/removable_secret.html'
    removable = False
    inner_template_name = ''

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, None, attrs)
        context['widget'] |= {
            'inner_template_name': self.inner_template_name,
            'removable': self.removable,
            'remove_name': f'{name}{REMOVE_SUFFIX}',
        }
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return REMOVE if not value and data.get(f'{name}{REMOVE_SUFFIX}') else value


class SecretInput(RemovableSecret, forms.PasswordInput):
    inner_template_name = forms.PasswordInput.template_name


class SecretTextarea(RemovableSecret, forms.Textarea):
    """Widget for secrets of several lines; a password input would remove the line breaks."""

    inner_template_name = forms.Textarea.template_name


class SecretFormField(forms.CharField):
    """A field whose input is never prefilled. An empty input keeps the stored secret."""

    widget = SecretInput(attrs={'autocomplete': 'new-password'})

    def prepare_value(self, value: Any) -> str:
        return ''

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)

    def clean(self, value: Any) -> Any:
        return value if value is REMOVE else super().clean(value)


class SecretField(StoredText):
    """A text that is stored encrypted, and is a `Secret` in Python."""

    descriptor_class = SecretAttribute

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret:
        return Secret(value or '')

    def to_python(self, value: Any) -> Secret:
        return as_secret(value)

    def get_prep_value(self, value: Any) -> str:
        return as_secret(value).encrypted()

    def value_to_string(self, obj: models.Model) -> str:
        """The text for Django's serializers, which the change log, events and `dumpdata` use: never the secret."""
        return str(self.value_from_object(obj))

    def get_lookup(self, lookup_name: str) -> 'type[models.Lookup[Any]] | None':
        # A lookup would compare ciphertexts, which differ each time a text is encrypted.
        return super().get_lookup(lookup_name) if lookup_name == 'isnull' else None

    def get_transform(self, lookup_name: str) -> None:
        return None

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        # TextField would pass a textarea as the widget.
        return models.Field.formfield(self, **{'form_class': SecretFormField, **kwargs})

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        if data:
            super().save_form_data(instance, '' if data is REMOVE else data)
