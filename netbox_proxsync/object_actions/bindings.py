"""Buttons of bindings."""

from django.utils.translation import gettext_lazy as _

from ..models import Binding
from .decisions import DecisionAction

__all__ = (
    'ManageBindingAgain',
    'StopManagingBinding',
)


class StopManagingBinding(DecisionAction):
    name = 'stop_managing'
    label = _('Stop Managing')
    color = 'outline-danger'
    icon = 'link-off'
    hint = _('Stop synchronizing this object. It is neither updated nor created again')

    @classmethod
    def is_offered(cls, obj: Binding) -> bool:
        return not obj.unmanaged


class ManageBindingAgain(DecisionAction):
    name = 'manage_again'
    label = _('Manage Again')
    icon = 'link'
    hint = _('Synchronize this object again with the next run')

    @classmethod
    def is_offered(cls, obj: Binding) -> bool:
        return obj.unmanaged
