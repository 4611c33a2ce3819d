from netbox.search import SearchIndex

from .models import ProxmoxEndpoint, ProxmoxGuest

__all__ = ('indexes',)


class ProxmoxEndpointIndex(SearchIndex):
    model = ProxmoxEndpoint
    fields = (
        ('name', 100),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('status', 'cluster', 'site', 'description')


class ProxmoxGuestIndex(SearchIndex):
    """Runs write guests in bulk, so `ledger.guests` keeps what is found here. After its virtual machine in the list."""

    model = ProxmoxGuest
    fields = (
        ('name', 120),
        ('vmid', 200),
    )
    display_attrs = ('endpoint', 'type', 'node', 'state')


indexes = (ProxmoxEndpointIndex, ProxmoxGuestIndex)
