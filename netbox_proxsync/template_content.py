"""Panels on NetBox's own pages for objects that are bound to something in Proxmox VE."""

from typing import cast

from netbox.plugins import PluginTemplateExtension

from .ui.bound_objects import binding_of, panel_context

__all__ = ('template_extensions',)


class BoundPanel(PluginTemplateExtension):
    """Shows where a virtual machine, device or cluster is in Proxmox VE, and whether NetBox has the same values."""

    models = ('virtualization.virtualmachine', 'dcim.device', 'virtualization.cluster')

    def right_page(self) -> str:
        user = self.context['request'].user
        if not user.has_perm('netbox_proxsync.view_binding'):
            return ''
        binding = binding_of(self.context['object'])
        if binding is None or not user.has_perm('netbox_proxsync.view_binding', binding):
            return ''
        return cast(str, self.render('netbox_proxsync/inc/bound_panel.html', panel_context(user, binding)))


template_extensions = (BoundPanel,)
