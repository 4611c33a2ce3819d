"""Panels on NetBox's own pages for objects that are bound to something in Proxmox VE."""

from typing import Any, cast

from netbox.plugins import PluginTemplateExtension
from utilities.views import get_action_url
from virtualization.models import Cluster, VirtualMachine

from .models import ProxmoxGuest
from .object_actions import SYNC_ENDPOINT
from .ui.bound_objects import binding_of, panel_context
from .ui.machine_links import endpoints_for, is_linkable, link_of

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
            return self.unmanaged_panel(user) or self.link_panel(user)
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

    def link_panel(self, user: Any) -> str:
        """The panel of an object that may be a guest or node, for users who may decide that; otherwise ''."""
        instance = self.context['object']
        if isinstance(instance, Cluster) or not user.has_perm(SYNC_ENDPOINT):
            return ''
        endpoints = endpoints_for(instance, user)
        if not endpoints:
            return ''
        decision = link_of(instance, user)
        if decision is None and not is_linkable(instance, endpoints, user):
            return ''
        context = {
            'decision': decision,
            'is_guest': isinstance(instance, VirtualMachine),
            'url': get_action_url(instance, action='proxmox_link', kwargs={'pk': instance.pk}),
        }
        return cast(str, self.render('netbox_proxsync/inc/link_panel.html', context))


template_extensions = (BoundPanel,)
