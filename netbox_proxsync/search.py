from netbox.search import SearchIndex

from .models import MappingRule, ProxmoxEndpoint, ProxmoxGuest

__all__ = ('indexes',)


class ProxmoxEndpointIndex(SearchIndex):
    model = ProxmoxEndpoint
    fields = (
        ('name', 100),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('status', 'cluster', 'site', 'description')


class MappingRuleIndex(SearchIndex):
    model = MappingRule
    fields = (
        ('name', 100),
        ('name_pattern', 300),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('endpoint', 'name_pattern', 'enabled', 'description')


class ProxmoxGuestIndex(SearchIndex):
    """Runs write guests in bulk, so `ledger.guests` updates the index. Guests are listed after virtual machines."""

    model = ProxmoxGuest
    fields = (
        ('name', 120),
        ('vmid', 200),
    )
    display_attrs = ('endpoint', 'type', 'node', 'state')


indexes = (MappingRuleIndex, ProxmoxEndpointIndex, ProxmoxGuestIndex)
