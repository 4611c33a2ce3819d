"""Panels on NetBox's own pages for objects that are bound to something in Proxmox VE."""

from typing import Any, cast

from netbox.plugins import PluginTemplateExtension
from virtualization.models import VirtualMachine

from .models import ProxmoxGuest
from .object_actions import SYNC_ENDPOINT
from .ui.bound_objects import binding_of, panel_context

__all__ = ('template_extensions',)


class BoundPanel(PluginTemplateExtension):
    """Shows where a virtual machine, device or cluster is in Proxmox VE, and whether NetBox has the same values."""

    models = ('virtualization.virtualmachine', 'dcim.device', 'virtualization.cluster')

    def right_page(self) -> str:
        user = self.context['request'].user
        may_view_bindings = user.has_perm('netbox_proxsync.view_binding')
        if not may_view_bindings and not user.has_perm('netbox_proxsync.view_proxmoxguest'):
            return ''
        binding = binding_of(self.context['object'])
        if binding is None:
            return self.unmanaged_panel(user)
        if not may_view_bindings or not user.has_perm('netbox_proxsync.view_binding', binding):
            return ''
        return cast(str, self.render('netbox_proxsync/inc/bound_panel.html', panel_context(user, binding)))

    def unmanaged_panel(self, user: Any) -> str:
        """The panel of an unmanaged virtual machine, whose guest is ignored."""
        instance = self.context['object']
        if not isinstance(instance, VirtualMachine) or not user.has_perm('netbox_proxsync.view_proxmoxguest'):
            return ''
        ignored = ProxmoxGuest.objects.restrict(user, 'view').filter(virtual_machine=instance, ignored=True)
        guest = ignored.select_related('endpoint').first()
        if guest is None:
            return ''
        may_manage = user.has_perm(SYNC_ENDPOINT, guest.endpoint)
        return cast(
            str, self.render('netbox_proxsync/inc/unmanaged_panel.html', {'guest': guest, 'may_manage': may_manage})
        )


template_extensions = (BoundPanel,)
