from netbox.search import SearchIndex

from .models import ProxmoxEndpoint

__all__ = ('indexes',)


class ProxmoxEndpointIndex(SearchIndex):
    model = ProxmoxEndpoint
    fields = (
        ('name', 100),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('status', 'cluster', 'site', 'description')


indexes = (ProxmoxEndpointIndex,)
