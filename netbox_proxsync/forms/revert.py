from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .pause import PauseForm

__all__ = ('RevertForm',)

# A revert is reviewed, and its cause removed, within a working day.
PROPOSED_PAUSE = timedelta(days=1)


class RevertForm(PauseForm):
    pause = forms.BooleanField(
        label=_('Pause automatic syncs'),
        required=False,
        initial=True,
        help_text=_('Otherwise the next automatic sync writes again what the revert has undone'),
    )

    field_order = ('pause', 'paused_until')

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields['paused_until'].required = False
        until = (timezone.localtime() + PROPOSED_PAUSE).replace(second=0, microsecond=0)
        self.fields['paused_until'].initial = f'{until:%Y-%m-%d %H:%M:%S}'

    def clean_paused_until(self) -> datetime:
        until: datetime | None = self.cleaned_data['paused_until']
        if not self.cleaned_data.get('pause'):
            return timezone.now()
        if until is None:
            raise ValidationError(_('Enter a time in the future.'))
        return super().clean_paused_until()
