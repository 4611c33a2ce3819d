"""The root of the REST API."""

from rest_framework.routers import APIRootView

__all__ = ('ProxSyncRootView',)


class ProxSyncRootView(APIRootView):
    """
    Proxmox VE API root view
    """

    def get_view_name(self) -> str:
        return 'Proxmox VE'
