"""The tab *Proxmox VE* on NetBox's pages of virtual machines and devices."""

from typing import Any

from dcim.models import Device
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _
from netbox.ui.layout import Column, Layout, Row
from netbox.views import generic
from utilities.views import ViewTab, register_model_view
from virtualization.models import VirtualMachine

from ..object_actions import PreviewGuest, SyncGuest
from ..ui import guest_panels
from ..ui.bound_objects import binding_of, bound_objects, panel_context

__all__ = ('DeviceProxmoxView', 'VirtualMachineProxmoxView')

# The details of the guest from Proxmox VE, next to the values in NetBox.
GUEST_LAYOUT = Layout(
    Row(Column(guest_panels.NicsPanel())),
    Row(Column(guest_panels.DisksPanel())),
    Row(Column(guest_panels.IgnoredAddressesPanel()), Column(guest_panels.UnreadPanel())),
)


class MachineProxmoxView(generic.ObjectView):
    """The values of a machine and its parts in Proxmox VE and in NetBox, and those written last, by field."""

    template_name = 'netbox_proxsync/machine.html'
    additional_permissions = ['netbox_proxsync.view_binding']
    tab = ViewTab(
        label=_('Proxmox VE'),
        visible=lambda machine: binding_of(machine) is not None,
        permission='netbox_proxsync.view_binding',
        weight=2500,
    )

    def get_extra_context(self, request: HttpRequest, instance: Model) -> dict[str, Any]:
        binding = binding_of(instance)
        if binding is None or not request.user.has_perm('netbox_proxsync.view_binding', binding):
            raise Http404
        context = panel_context(request.user, binding)
        return {
            **context,
            'objects': bound_objects(binding, request.user),
            'show_all': request.GET.get('fields') == 'all',
            'guest_layout': GUEST_LAYOUT,
            'guest_actions': (PreviewGuest, SyncGuest) if context['guest'] else (),
        }


@register_model_view(VirtualMachine, 'proxmox', path='proxmox')
class VirtualMachineProxmoxView(MachineProxmoxView):
    queryset = VirtualMachine.objects.all()


@register_model_view(Device, 'proxmox', path='proxmox')
class DeviceProxmoxView(MachineProxmoxView):
    queryset = Device.objects.all()
