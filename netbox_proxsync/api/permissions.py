"""The permissions of actions: NetBox's own classes require those of the model to which a request is sent."""

from netbox.api.authentication import TokenPermissions, TokenSyncPermission

__all__ = ('DecisionPermission', 'EndpointSyncPermission', 'TokenConfirmPermission', 'ViewedObjectPermission')


class TokenConfirmPermission(TokenPermissions):
    """Confirming SSH host keys requires two permissions: to change the endpoint, and to contact its nodes (sync)."""

    perms_map = {
        **TokenPermissions.perms_map,
        'POST': ['%(app_label)s.change_%(model_name)s', '%(app_label)s.sync_%(model_name)s'],
    }


class ViewedObjectPermission(TokenPermissions):
    """Requires the permission to view objects of the model; the action checks the permission for the endpoint."""

    perms_map = {
        **TokenPermissions.perms_map,
        'POST': ['%(app_label)s.view_%(model_name)s'],
    }


class EndpointSyncPermission(TokenSyncPermission):
    """
    For actions on a run that require the permission to sync its endpoint.
    """

    perms_map = {**TokenSyncPermission.perms_map, 'POST': ['netbox_proxsync.sync_proxmoxendpoint']}


class DecisionPermission(TokenPermissions):
    """Require the permission to sync any endpoint; the decision itself checks it for the endpoint of the object."""

    perms_map = {**TokenPermissions.perms_map, 'POST': ['%(app_label)s.sync_proxmoxendpoint']}
