import re
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from ..choices import FieldOwnerChoices
from ..sync.field_policy import InvalidPolicyError, configurable, format_policy, parse_policy
from ..wording import worded

__all__ = (
    'NOT_IN_BACKGROUND', 'BulkFieldPolicyField', 'FieldPolicyField', 'HostsField', 'TokenIDField', 'WindowsField',
    'WordsField', 'yes_or_no',
)  # fmt: skip

# The name of a user with a realm, optionally followed by the name of a token.
TOKEN_ID = re.compile(r'[^\s=@!]+@[^\s=@!]+(![^\s=@!]*)?')
NOT_IN_BACKGROUND = _(
    'Secrets cannot be set by a background job, because they would be stored in Redis without encryption. '
    'Repeat this without a background job, or without the secrets.'
)
SWITCH = {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False}


def yes_or_no(value: Any) -> bool | None:
    """
    The boolean value of a cell in an imported file; None if it is empty.

    Raises:
        ValidationError: The value is neither true nor false.
    """
    if value is None or value == '':
        return None
    try:
        return SWITCH[str(value).strip().lower()]
    except KeyError:
        raise ValidationError(_('"{value}" is neither true nor false.').format(value=str(value)[:50])) from None


class WordsField(SimpleArrayField):
    """Words separated by commas, semicolons, spaces or line breaks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault('base_field', forms.CharField(max_length=255))
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return ', '.join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """A list of words."""
        if isinstance(value, str):
            value = self.delimiter.join(filter(None, re.split(r'[\s,;]+', value)))
        elif value and not (isinstance(value, list) and all(isinstance(word, (str, int)) for word in value)):
            # Imported files may contain values of any type.
            raise ValidationError(_('Enter a list of words, or one text with commas between them.'))
        return super().to_python(value)


class WindowsField(WordsField):
    """Sync windows separated by semicolons, line breaks, or commas. Commas between days belong to a window."""

    def prepare_value(self, value: Any) -> Any:
        return '; '.join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """A list of windows."""
        if isinstance(value, str):
            # A window ends with a time.
            value = [window for window in re.split(r'[;\n]+|(?<=\d:\d\d)\s*,', value) if window.strip()]
        return super().to_python(value)


class TokenIDField(forms.CharField):
    """The ID of an API token. A rejected text may contain a secret: only the part that can be an ID is shown again."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        found = TOKEN_ID.search(data or '')
        return found[0] if found else ''


class HostsField(WordsField):
    """The hosts of an endpoint."""


class FieldPolicyField(forms.CharField):
    """A field policy as text, with one exception per line: 'vm.name = ignored'."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault('label', _('Field policy'))
        kwargs.setdefault('required', False)
        kwargs.setdefault('help_text', lazy(field_policy_help, str)())
        kwargs.setdefault(
            'widget',
            forms.Textarea(attrs={'rows': 3, 'class': 'font-monospace', 'placeholder': 'vm.comments = ignored'}),
        )
        super().__init__(*args, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        # A table of selects takes the policy itself.
        is_text = isinstance(self.widget, forms.Textarea)
        return format_policy(value) if is_text and isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != self.to_python(initial))
        except ValidationError:
            return True

    def to_python(self, value: Any) -> Any:
        """The owner of each field that the policy names, by 'kind.field'."""
        if isinstance(value, dict):
            return value
        if value and not isinstance(value, str):
            raise ValidationError(_('Enter one text, with a line for each field, or an object with a name for each.'))
        try:
            return parse_policy(value or '')
        except InvalidPolicyError as error:
            raise ValidationError([worded(text) for text in error.args]) from None


class BulkFieldPolicyField(FieldPolicyField):
    """An empty text does not change the policies of the endpoints."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value) or ''


def field_policy_help() -> str:
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, spec in configurable().items():
        kinds.setdefault(name.partition('.')[0], []).append((name, str(spec.owner)))
    return render_to_string(
        'netbox_proxsync/inc/field_policy_help.html', {'choices': list(FieldOwnerChoices), 'kinds': kinds.items()}
    )
