"""Reports: what is in NetBox and in no Proxmox VE, and guests that deserve a look."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views import View
from netbox.object_actions import BulkExport
from netbox.views import generic
from utilities.views import ConditionalLoginRequiredMixin
from virtualization.filtersets import VirtualMachineFilterSet
from virtualization.forms import VirtualMachineFilterForm
from virtualization.models import VirtualMachine
from virtualization.tables import VirtualMachineTable

from ..choices import DuplicateChoices
from ..models import Binding, ProxmoxEndpoint

__all__ = ('DuplicatesView', 'OrphansView', 'WithoutAgentView')


class OrphansView(generic.ObjectListView):
    """The virtual machines in synchronized clusters that no Proxmox VE has: never bound, or retired."""

    queryset = VirtualMachine.objects.all()
    filterset = VirtualMachineFilterSet
    filterset_form = VirtualMachineFilterForm
    table = VirtualMachineTable
    template_name = 'netbox_proxsync/orphans.html'
    actions = (BulkExport,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[VirtualMachine]:
        endpoints = ProxmoxEndpoint.objects.restrict(request.user, 'view').filter(guests_read__isnull=False)
        clusters = endpoints.filter(cluster__isnull=False).order_by().values('cluster')
        machine = ContentType.objects.get_for_model(VirtualMachine)
        present = Binding.objects.filter(kind='vm', object_type=machine, missing_since__isnull=True).order_by()
        machines = super().get_queryset(request).filter(cluster__in=clusters)
        return machines.exclude(pk__in=present.values('object_id'))  # type: ignore[no-any-return]


class GuestReportView(ConditionalLoginRequiredMixin, View):
    """A report that is a filter of the list of guests."""

    query = ''

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect(f'{reverse("plugins:netbox_proxsync:proxmoxguest_list")}?{self.query}')


class DuplicatesView(GuestReportView):
    query = '&'.join(
        f'duplicate={kind}' for kind in (DuplicateChoices.NAME, DuplicateChoices.MAC, DuplicateChoices.ADDRESS)
    )


class WithoutAgentView(GuestReportView):
    query = 'without_agent=true'
