"""What stands on NetBox's own pages about an object that is bound to something in Proxmox."""

from typing import Any

from netbox.plugins import PluginTemplateExtension

from .ui.bound_objects import binding_of, guest_of, standing_of, web_url

__all__ = ('template_extensions',)


class BoundPanel(PluginTemplateExtension):
    """Where in Proxmox a virtual machine, device or cluster is, and whether NetBox holds what Proxmox says."""

    models = ('virtualization.virtualmachine', 'dcim.device', 'virtualization.cluster')

    def right_page(self) -> str:
        user = self.context['request'].user
        if not user.has_perm('netbox_proxsync.view_binding'):
            return ''
        binding = binding_of(self.context['object'])
        if binding is None or not user.has_perm('netbox_proxsync.view_binding', binding):
            return ''
        return self.render('netbox_proxsync/inc/bound_panel.html', panel_context(user, binding))


def panel_context(user: Any, binding: Any) -> dict[str, Any]:
    """For `inc/bound_panel.html`. Of an endpoint that a person may not view neither its name nor its hosts are told."""
    guest = guest_of(binding)
    standing = standing_of(binding, guest, user)
    endpoint = binding.endpoint if user.has_perm('netbox_proxsync.view_proxmoxendpoint', binding.endpoint) else None
    return {
        'binding': binding,
        'guest': guest if guest and user.has_perm('netbox_proxsync.view_proxmoxguest', guest) else None,
        'node': guest.node if guest else binding.unit.partition('/')[2] if binding.kind == 'device' else '',
        'vmid': guest.vmid if guest else None,
        'endpoint': endpoint,
        'standing': standing,
        'run': standing.run if standing.run and user.has_perm('netbox_proxsync.view_syncrun', standing.run) else None,
        'web_url': web_url(binding.endpoint, binding.unit) if endpoint else '',
    }


template_extensions = (BoundPanel,)
