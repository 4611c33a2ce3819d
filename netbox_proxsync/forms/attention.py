from django.utils.translation import gettext_lazy as _
from utilities.forms import FilterForm
from utilities.forms.rendering import FieldSet

from ..choices import AttentionChoices
from ..models import ProxmoxEndpoint
from .filtersets import multiple_choice, objects

__all__ = ('AttentionFilterForm',)


class AttentionFilterForm(FilterForm):
    """The filters of the page Needs Attention."""

    fieldsets = (FieldSet('q'), FieldSet('endpoint_id', 'question', name=_('Attributes')))
    endpoint_id = objects(_('Endpoint'), ProxmoxEndpoint)
    question = multiple_choice(_('Type'), AttentionChoices)
