from django.utils.translation import gettext_lazy as _
from netbox.object_actions import BulkExport
from netbox.ui.breadcrumbs import Breadcrumb
from netbox.ui.layout import SimpleLayout
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, tables
from ..models import SyncChange
from ..ui import panels, resolutions
from .empty_states import EmptyListMixin

__all__ = (
    'SyncChangeListView',
    'SyncChangeView',
)


@register_model_view(SyncChange, 'list', path='', detail=False)
class SyncChangeListView(EmptyListMixin, generic.ObjectListView):
    queryset = SyncChange.objects.prefetch_related('run__endpoint')
    filterset = filtersets.SyncChangeFilterSet
    filterset_form = forms.SyncChangeFilterForm
    table = tables.SyncChangeTable
    actions = (BulkExport,)
    empty_text = _('No run has planned or written a change yet.')
    empty_icon = 'file-compare'


@register_model_view(SyncChange)
class SyncChangeView(generic.ObjectView):
    queryset = SyncChange.objects.select_related('run__endpoint')
    template_name = 'netbox_proxsync/plain_object.html'
    actions = ()
    layout = SimpleLayout(
        left_panels=[
            panels.ChangePanel(),
            resolutions.QuestionPanel(),
        ],
        right_panels=[
            panels.ChangeFieldsPanel(),
        ],
        breadcrumbs=[
            Breadcrumb('run'),
        ],
    )
