from django.utils.translation import gettext_lazy as _
from netbox.plugins import PluginMenu, PluginMenuButton, PluginMenuItem

__all__ = ('menu',)

menu = PluginMenu(
    label=_('Proxmox VE'),
    icon_class='mdi mdi-server-network',
    groups=(
        (
            _('Inventory'),
            (
                PluginMenuItem(
                    link='plugins:netbox_proxsync:attention',
                    link_text=_('Needs Attention'),
                    permissions=['netbox_proxsync.view_proxmoxendpoint'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:proxmoxendpoint_list',
                    link_text=_('Endpoints'),
                    permissions=['netbox_proxsync.view_proxmoxendpoint'],
                    buttons=(
                        PluginMenuButton(
                            link='plugins:netbox_proxsync:proxmoxendpoint_add',
                            title=_('Add'),
                            icon_class='mdi mdi-plus-thick',
                            permissions=['netbox_proxsync.add_proxmoxendpoint'],
                        ),
                        PluginMenuButton(
                            link='plugins:netbox_proxsync:proxmoxendpoint_bulk_import',
                            title=_('Import'),
                            icon_class='mdi mdi-upload',
                            permissions=['netbox_proxsync.add_proxmoxendpoint'],
                        ),
                    ),
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:proxmoxguest_list',
                    link_text=_('Guests'),
                    permissions=['netbox_proxsync.view_proxmoxguest'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:mappingrule_list',
                    link_text=_('Mapping Rules'),
                    permissions=['netbox_proxsync.view_mappingrule'],
                    buttons=(
                        PluginMenuButton(
                            link='plugins:netbox_proxsync:mappingrule_add',
                            title=_('Add'),
                            icon_class='mdi mdi-plus-thick',
                            permissions=['netbox_proxsync.add_mappingrule'],
                        ),
                        PluginMenuButton(
                            link='plugins:netbox_proxsync:mappingrule_bulk_import',
                            title=_('Import'),
                            icon_class='mdi mdi-upload',
                            permissions=['netbox_proxsync.add_mappingrule'],
                        ),
                    ),
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:binding_list',
                    link_text=_('Bindings'),
                    permissions=['netbox_proxsync.view_binding'],
                ),
            ),
        ),
        (
            _('Sync'),
            (
                PluginMenuItem(
                    link='plugins:netbox_proxsync:decision_list',
                    link_text=_('Decisions'),
                    permissions=['netbox_proxsync.view_decision'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:syncrun_list',
                    link_text=_('Runs'),
                    permissions=['netbox_proxsync.view_syncrun'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:syncchange_list',
                    link_text=_('Changes'),
                    permissions=['netbox_proxsync.view_syncchange'],
                ),
            ),
        ),
        (
            _('Reports'),
            (
                PluginMenuItem(
                    link='plugins:netbox_proxsync:report_orphans',
                    link_text=_('Orphaned VMs'),
                    permissions=['netbox_proxsync.view_proxmoxendpoint', 'virtualization.view_virtualmachine'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:report_duplicates',
                    link_text=_('Duplicates'),
                    permissions=['netbox_proxsync.view_proxmoxguest'],
                ),
                PluginMenuItem(
                    link='plugins:netbox_proxsync:report_without_agent',
                    link_text=_('Without Agent'),
                    permissions=['netbox_proxsync.view_proxmoxguest'],
                ),
            ),
        ),
    ),
)
