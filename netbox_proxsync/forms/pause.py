from datetime import datetime
from typing import cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from utilities.forms.widgets import DateTimePicker

__all__ = ('PauseForm',)


class PauseForm(forms.Form):
    paused_until = forms.DateTimeField(
        label=_('Paused until'),
        widget=DateTimePicker(),
        help_text=_('No automatic sync starts before this time. Users can still preview and sync'),
    )

    def clean_paused_until(self) -> datetime:
        until = cast(datetime, self.cleaned_data['paused_until'])
        if until <= timezone.now():
            raise ValidationError(_('Enter a time in the future.'))
        return until
