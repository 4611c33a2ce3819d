from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from netbox.constants import CENSOR_TOKEN, CENSOR_TOKEN_CHANGED

from .crypto import Secret

# A mixin of widgets, whose own template each of them extends.
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

# What a form gives for a secret that is to be removed.
REMOVE = object()
REMOVE_SUFFIX = '-remove'

CENSOR_TOKENS = (CENSOR_TOKEN, CENSOR_TOKEN_CHANGED)


def as_secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    return Secret.of('' if value is None else str(value))


def column(model: type[models.Model], name: str) -> 'models.Field[Any, Any]':
    """The column of a model that has this name; a relation of another model is none."""
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)
    return field


class SecretAttribute(DeferredAttribute):
    """Turns what is assigned into a `Secret`, so that no instance ever holds the plain text."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        name = self.field.attname
        if isinstance(value, str) and value in CENSOR_TOKENS:
            # What a change log or an export shows in its place: who writes that back means no change.
            value = instance.__dict__.get(name)
        instance.__dict__[name] = as_secret(value)


class RemovableSecret(Widget):
    """For widgets of secrets: beneath it, a box to remove the stored one, which leaving it empty does not do."""

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
    """For secrets of several lines, whose line breaks a password input would swallow."""

    inner_template_name = forms.Textarea.template_name


class SecretFormField(forms.CharField):
    """An input that is never filled in. Left empty, it keeps the stored secret."""

    widget = SecretInput(attrs={'autocomplete': 'new-password'})

    def prepare_value(self, value: Any) -> str:
        return ''

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)

    def clean(self, value: Any) -> Any:
        return value if value is REMOVE else super().clean(value)


class SecretField(StoredText):
    """A text that is encrypted in the database, and a `Secret` in Python."""

    descriptor_class = SecretAttribute

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret:
        return Secret(value or '')

    def to_python(self, value: Any) -> Secret:
        return as_secret(value)

    def get_prep_value(self, value: Any) -> str:
        return as_secret(value).encrypted()

    def value_to_string(self, obj: models.Model) -> str:
        """For Django's serializers, thereby for the change log, events and `dumpdata`."""
        return str(self.value_from_object(obj))

    def get_lookup(self, lookup_name: str) -> 'type[models.Lookup[Any]] | None':
        # To look for a part of a ciphertext is never right, and for a whole one never found.
        return super().get_lookup(lookup_name) if lookup_name == 'isnull' else None

    def get_transform(self, lookup_name: str) -> None:
        return None

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        # TextField would ask for a text area.
        return models.Field.formfield(self, **{'form_class': SecretFormField, **kwargs})

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        if data:
            super().save_form_data(instance, '' if data is REMOVE else data)
