from netbox.object_actions import BulkExport
from netbox.ui.breadcrumbs import Breadcrumb, object_view_url
from netbox.ui.layout import SimpleLayout
from netbox.ui.panels import ObjectsTablePanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, tables
from ..models import Binding
from ..object_actions import ManageBindingAgain, StopManagingBinding
from ..ui import panels

__all__ = (
    'BindingListView',
    'BindingView',
)


@register_model_view(Binding, 'list', path='', detail=False)
class BindingListView(generic.ObjectListView):
    queryset = Binding.objects.all()
    filterset = filtersets.BindingFilterSet
    filterset_form = forms.BindingFilterForm
    table = tables.BindingTable
    actions = (BulkExport,)


@register_model_view(Binding)
class BindingView(generic.ObjectView):
    queryset = Binding.objects.select_related('endpoint')
    template_name = 'netbox_proxsync/plain_object.html'
    actions = (StopManagingBinding, ManageBindingAgain)
    layout = SimpleLayout(
        left_panels=[
            panels.BindingPanel(),
        ],
        right_panels=[
            panels.BindingValuesPanel(),
        ],
        bottom_panels=[
            ObjectsTablePanel(
                model='netbox_proxsync.SyncChange',
                filters={
                    'endpoint_id': lambda context: context['object'].endpoint_id,
                    'kind': lambda context: context['object'].kind,
                    'key': lambda context: context['object'].key,
                },
                exclude_columns=['endpoint', 'kind', 'object'],
            ),
        ],
        breadcrumbs=[
            Breadcrumb('endpoint', url=object_view_url('plugins:netbox_proxsync:proxmoxendpoint_bindings')),
        ],
    )
