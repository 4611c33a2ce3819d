from typing import Any, cast

from core.models import Job
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.choices import ImportMethodChoices
from netbox.models.deletion import CountOnly
from netbox.object_actions import AddObject, BulkDelete, BulkEdit, BulkExport, BulkImport, BulkRename, ObjectAction
from netbox.ui.layout import Column, Layout, Row
from netbox.ui.panels import CommentsPanel, PluginContentPanel
from netbox.views import generic
from netbox.views.generic.mixins import ActionsMixin
from utilities.forms import DeleteForm
from utilities.forms.bulk_import import BulkImportForm
from utilities.jobs import is_background_request
from utilities.permissions import get_permission_for_model
from utilities.views import ViewTab, register_model_view

from .. import filtersets, forms, tables
from ..endpoints.sensitive_requests import carries_secrets
from ..forms.fields import NOT_IN_BACKGROUND
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ..models.users import AnyUser
from ..object_actions import (
    BULK_ENDPOINT_ACTIONS,
    BULK_GUEST_ACTIONS,
    ENDPOINT_ACTIONS,
    SYNC_ENDPOINT,
    PreviewEndpoint,
)
from ..ui import endpoint_panels, panels
from ..ui.charts import change_chart, duration_chart, last_runs
from ..ui.next_steps import first_steps, waiting_plan
from .empty_states import EmptyListMixin
from .guest_actions import GuestDecisionButtonsMixin
from .run_progress import progress_context

__all__ = (
    'ProxmoxEndpointBindingsView',
    'ProxmoxEndpointBulkDeleteView',
    'ProxmoxEndpointBulkEditView',
    'ProxmoxEndpointBulkImportView',
    'ProxmoxEndpointBulkRenameView',
    'ProxmoxEndpointDeleteView',
    'ProxmoxEndpointEditView',
    'ProxmoxEndpointGuestsView',
    'ProxmoxEndpointListView',
    'ProxmoxEndpointRunsView',
    'ProxmoxEndpointView',
)


class EndpointTableMixin:
    """Adds what the table of endpoints shows, so that its number of queries does not depend on the number of rows."""

    queryset = ProxmoxEndpoint.objects.with_sync_status().with_last_sync().with_guest_counts()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProxmoxEndpoint]:
        queryset = super().get_queryset(request)  # type: ignore[misc]
        return cast(QuerySet[ProxmoxEndpoint], queryset.with_guest_counts(request.user))


class EndpointTabMixin(ActionsMixin):
    """Shows the buttons of the endpoint on a tab with child objects, which has bulk actions of its own."""

    def get_permitted_actions(self, user: AnyUser, model: type[Model] | None = None) -> list[type[ObjectAction]]:
        of_endpoint = [action for action in ENDPOINT_ACTIONS if is_permitted(user, action)]
        return [*of_endpoint, *super().get_permitted_actions(user, model)]

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxEndpoint) -> dict[str, Any]:
        context = super().get_extra_context(request, instance)
        return {**context, 'preview_action': (PreviewEndpoint,)}


def is_permitted(user: AnyUser, action: type[ObjectAction]) -> bool:
    """Whether a user has the permissions that an action on endpoints requires."""
    return bool(
        user.has_perms([get_permission_for_model(ProxmoxEndpoint, name) for name in action.permissions_required])
    )


@register_model_view(ProxmoxEndpoint, 'list', path='', detail=False)
class ProxmoxEndpointListView(EmptyListMixin, EndpointTableMixin, generic.ObjectListView):
    filterset = filtersets.ProxmoxEndpointFilterSet
    filterset_form = forms.ProxmoxEndpointFilterForm
    table = tables.ProxmoxEndpointTable
    actions = (AddObject, BulkImport, BulkExport, *BULK_ENDPOINT_ACTIONS, BulkEdit, BulkRename, BulkDelete)
    empty_text = _('An endpoint is the connection to one Proxmox VE cluster or host. Add one to begin.')
    empty_icon = 'server-network'


@register_model_view(ProxmoxEndpoint)
class ProxmoxEndpointView(generic.ObjectView):
    queryset = ProxmoxEndpoint.objects.select_related('last_run').with_sync_status().with_last_sync()
    actions = ENDPOINT_ACTIONS
    layout = Layout(
        Row(
            Column(endpoint_panels.EndpointStatePanel()),
        ),
        Row(
            Column(
                panels.EndpointPanel(),
                panels.EndpointConnectionPanel(),
                panels.EndpointSSHPanel(),
                TagsPanel(),
                CommentsPanel(),
                PluginContentPanel('left_page'),
            ),
            Column(
                panels.EndpointPlacementPanel(),
                panels.EndpointBehaviorPanel(),
                CustomFieldsPanel(),
                PluginContentPanel('right_page'),
            ),
        ),
        Row(
            Column(PluginContentPanel('full_width_page')),
        ),
    )

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxEndpoint) -> dict[str, Any]:
        run = instance.runs.active().restrict(request.user, 'view').first()
        plan = waiting_plan(instance, request.user)
        steps = first_steps(instance, plan) if request.user.has_perm(SYNC_ENDPOINT, instance) else []
        # While a run is in progress, it is what matters.
        context = progress_context(run, brief=True) if run else {'waiting': plan}
        return {**context, 'steps': steps}


@register_model_view(ProxmoxEndpoint, 'add', detail=False)
@register_model_view(ProxmoxEndpoint, 'edit')
class ProxmoxEndpointEditView(generic.ObjectEditView):
    queryset = ProxmoxEndpoint.objects.all()
    form = forms.ProxmoxEndpointForm
    template_name = 'netbox_proxsync/proxmoxendpoint_edit.html'
    htmx_template_name = 'netbox_proxsync/inc/endpoint_form.html'

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        if not request.user.has_perm('netbox_proxsync.sync_proxmoxendpoint'):
            self.form = forms.PlainProxmoxEndpointForm
        elif not kwargs:
            self.form = forms.NewProxmoxEndpointForm


@register_model_view(ProxmoxEndpoint, 'delete')
class ProxmoxEndpointDeleteView(generic.ObjectDeleteView):
    queryset = ProxmoxEndpoint.objects.all()

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxEndpoint) -> dict[str, Any]:
        # NetBox shows the form as a page or as a dialog. Both contain the help text.
        form = DeleteForm(instance=instance, initial=request.GET)
        form.fields['changelog_message'].help_text = _(
            'The virtual machines, devices and their components are retained in NetBox and become unmanaged. '
            'Nothing changes in Proxmox VE. A new endpoint for the same cluster takes them over.'
        )
        return {'form': form}

    def _get_dependent_objects(self, obj: ProxmoxEndpoint) -> dict[type[Model], CountOnly]:
        # Only the numbers, because there may be tens of thousands of objects.
        return dependent_counts(
            Binding.objects.filter(endpoint=obj),
            ProxmoxGuest.objects.filter(endpoint=obj),
            SyncRun.objects.filter(endpoint=obj),
            SyncChange.objects.filter(run__endpoint=obj),
            Job.objects.filter(pk__in=obj.jobs.values('pk')),
        )


@register_model_view(ProxmoxEndpoint, 'bulk_import', path='import', detail=False)
class ProxmoxEndpointBulkImportView(generic.BulkImportView):
    queryset = ProxmoxEndpoint.objects.all()
    model_form = forms.ProxmoxEndpointImportForm

    def post(self, request: HttpRequest) -> HttpResponse:
        if not request.POST.get('background_job') or is_background_request(request):
            return cast(HttpResponse, super().post(request))
        form = BulkImportForm(request.POST, request.FILES)
        if form.is_valid() and carries_secrets(form.cleaned_data['data']):
            form.add_error('background_job', NOT_IN_BACKGROUND)
            return render(request, self.template_name, {
                'model': ProxmoxEndpoint,
                'form': form,
                'fields': self._get_form_fields(),
                'import_method': form.cleaned_data.get('import_method') or ImportMethodChoices.DIRECT,
                'return_url': self.get_return_url(request),
                **self.get_extra_context(request),
            })  # fmt: skip
        for _name, files in request.FILES.lists():
            for file in files:
                file.seek(0)  # NetBox reads it a second time
        return cast(HttpResponse, super().post(request))


@register_model_view(ProxmoxEndpoint, 'bulk_edit', path='edit', detail=False)
class ProxmoxEndpointBulkEditView(EndpointTableMixin, generic.BulkEditView):
    filterset = filtersets.ProxmoxEndpointFilterSet
    table = tables.ProxmoxEndpointTable
    form = forms.ProxmoxEndpointBulkEditForm


@register_model_view(ProxmoxEndpoint, 'bulk_rename', path='rename', detail=False)
class ProxmoxEndpointBulkRenameView(generic.BulkRenameView):
    queryset = ProxmoxEndpoint.objects.all()
    filterset = filtersets.ProxmoxEndpointFilterSet


@register_model_view(ProxmoxEndpoint, 'bulk_delete', path='delete', detail=False)
class ProxmoxEndpointBulkDeleteView(EndpointTableMixin, generic.BulkDeleteView):
    filterset = filtersets.ProxmoxEndpointFilterSet
    table = tables.ProxmoxEndpointTable


@register_model_view(ProxmoxEndpoint, 'guests')
class ProxmoxEndpointGuestsView(
    EmptyListMixin, EndpointTabMixin, GuestDecisionButtonsMixin, generic.ObjectChildrenView
):
    queryset = ProxmoxEndpoint.objects.all()
    child_model = ProxmoxGuest
    table = tables.ProxmoxGuestTable
    filterset = filtersets.ProxmoxGuestFilterSet
    filterset_form = forms.ProxmoxGuestFilterForm
    actions = BULK_GUEST_ACTIONS
    template_name = 'netbox_proxsync/endpoint_children.html'
    empty_text = _('No guest has been read yet. A preview reads Proxmox VE and changes nothing.')
    empty_icon = 'monitor-multiple'
    tab = ViewTab(
        label=_('Guests'),
        badge=lambda endpoint: endpoint.guests.count(),
        permission='netbox_proxsync.view_proxmoxguest',
        weight=490,
    )

    def get_children(self, request: HttpRequest, parent: ProxmoxEndpoint) -> QuerySet[ProxmoxGuest]:
        guests = ProxmoxGuest.objects.restrict(request.user, 'view').filter(endpoint=parent)
        return guests.by_attention().prefetch_related('endpoint').defer('details')

    def get_table(self, *args: Any, **kwargs: Any) -> tables.ProxmoxGuestTable:
        table = super().get_table(*args, **kwargs)
        table.columns.hide('endpoint')
        return cast(tables.ProxmoxGuestTable, table)


@register_model_view(ProxmoxEndpoint, 'runs')
class ProxmoxEndpointRunsView(EmptyListMixin, EndpointTabMixin, generic.ObjectChildrenView):
    queryset = ProxmoxEndpoint.objects.all()
    child_model = SyncRun
    table = tables.SyncRunTable
    filterset = filtersets.SyncRunFilterSet
    filterset_form = forms.SyncRunFilterForm
    actions = (BulkDelete,)
    template_name = 'netbox_proxsync/endpoint_children.html'
    empty_text = _('No run has been started yet. A preview reads Proxmox VE and changes nothing.')
    empty_icon = 'sync'
    tab = ViewTab(
        label=_('Runs'),
        badge=lambda endpoint: endpoint.runs.count(),
        permission='netbox_proxsync.view_syncrun',
        weight=500,
    )

    def get_children(self, request: HttpRequest, parent: ProxmoxEndpoint) -> QuerySet[SyncRun]:
        return cast(QuerySet[SyncRun], SyncRun.objects.restrict(request.user, 'view').filter(endpoint=parent))

    def get_extra_context(self, request: HttpRequest, instance: ProxmoxEndpoint) -> dict[str, Any]:
        runs = last_runs(instance, request.user)
        charts = {'durations': duration_chart(runs), 'changes': change_chart(runs)}
        return {**super().get_extra_context(request, instance), **charts}


@register_model_view(ProxmoxEndpoint, 'bindings')
class ProxmoxEndpointBindingsView(EndpointTabMixin, generic.ObjectChildrenView):
    queryset = ProxmoxEndpoint.objects.all()
    child_model = Binding
    table = tables.BindingTable
    filterset = filtersets.BindingFilterSet
    filterset_form = forms.BindingFilterForm
    actions = ()
    tab = ViewTab(
        label=_('Bindings'),
        badge=lambda endpoint: endpoint.bindings.count(),
        permission='netbox_proxsync.view_binding',
        weight=510,
    )

    def get_children(self, request: HttpRequest, parent: ProxmoxEndpoint) -> QuerySet[Binding]:
        return Binding.objects.restrict(request.user, 'view').filter(endpoint=parent)


def dependent_counts(*querysets: QuerySet[Any]) -> dict[type[Model], CountOnly]:
    """The numbers of dependent rows by model, for the confirmation of a deletion."""
    counts = {queryset.model: queryset.count() for queryset in querysets}
    return {model: CountOnly(count) for model, count in counts.items() if count}
