from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from netbox.models.deletion import CountOnly
from netbox.object_actions import BulkDelete, BulkExport, DeleteObject
from netbox.ui.breadcrumbs import Breadcrumb, object_view_url
from netbox.ui.layout import Column, Layout, Row
from netbox.ui.panels import PluginContentPanel
from netbox.views import generic
from utilities.views import register_model_view

from .. import filtersets, forms, tables
from ..models import SyncRun
from ..ui import panels
from .endpoints import counted

__all__ = (
    'SyncRunBulkDeleteView',
    'SyncRunDeleteView',
    'SyncRunListView',
    'SyncRunProgressView',
    'SyncRunView',
)


@register_model_view(SyncRun, 'list', path='', detail=False)
class SyncRunListView(generic.ObjectListView):
    queryset = SyncRun.objects.all()
    filterset = filtersets.SyncRunFilterSet
    filterset_form = forms.SyncRunFilterForm
    table = tables.SyncRunTable
    actions = (BulkExport, BulkDelete)


@register_model_view(SyncRun)
class SyncRunView(generic.ObjectView):
    queryset = SyncRun.objects.select_related('endpoint', 'job', 'user', 'applies')
    actions = (DeleteObject,)
    layout = Layout(
        Row(
            Column(panels.RunMessagesPanel(), panels.RunPlanPanel()),
        ),
        Row(
            Column(panels.RunPanel(), PluginContentPanel('left_page')),
            Column(panels.RunCountsPanel(), PluginContentPanel('right_page')),
        ),
        Row(
            Column(panels.ChangesTablePanel(), PluginContentPanel('full_width_page')),
        ),
        breadcrumbs=[
            Breadcrumb('endpoint', url=object_view_url('plugins:netbox_proxsync:proxmoxendpoint_runs')),
        ],
    )


@register_model_view(SyncRun, 'progress')
class SyncRunProgressView(generic.ObjectView):
    """The part of a run's page that changes while the run goes on."""

    queryset = SyncRun.objects.select_related('endpoint', 'job', 'user')
    layout = Layout(
        Row(
            Column(panels.RunMessagesPanel()),
        ),
        Row(
            Column(panels.RunPanel()),
            Column(panels.RunCountsPanel()),
        ),
    )

    def get(self, request: HttpRequest, **kwargs: object) -> HttpResponse:
        run = self.get_object(**kwargs)
        if run.finished:
            # The page as a whole is another now: it has changes.
            return HttpResponse(headers={'HX-Refresh': 'true'})
        return render(request, 'netbox_proxsync/inc/run_progress.html', {'object': run, 'layout': self.layout})


@register_model_view(SyncRun, 'delete')
class SyncRunDeleteView(generic.ObjectDeleteView):
    queryset = SyncRun.objects.all()

    def _get_dependent_objects(self, obj: SyncRun) -> dict[type[Model], CountOnly]:
        return counted(obj.changes.all())


@register_model_view(SyncRun, 'bulk_delete', path='delete', detail=False)
class SyncRunBulkDeleteView(generic.BulkDeleteView):
    queryset = SyncRun.objects.all()
    filterset = filtersets.SyncRunFilterSet
    table = tables.SyncRunTable
