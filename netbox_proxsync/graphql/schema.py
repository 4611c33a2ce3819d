import strawberry
import strawberry_django

from .types import *

__all__ = ('schema',)


@strawberry.type(name='Query')
class ProxSyncQuery:
    proxsync_endpoint: ProxSyncEndpointType = strawberry_django.field()
    proxsync_endpoint_list: list[ProxSyncEndpointType] = strawberry_django.field()

    proxsync_mapping_rule: ProxSyncMappingRuleType = strawberry_django.field()
    proxsync_mapping_rule_list: list[ProxSyncMappingRuleType] = strawberry_django.field()

    proxsync_run: ProxSyncRunType = strawberry_django.field()
    proxsync_run_list: list[ProxSyncRunType] = strawberry_django.field()

    proxsync_change: ProxSyncChangeType = strawberry_django.field()
    proxsync_change_list: list[ProxSyncChangeType] = strawberry_django.field()

    proxsync_binding: ProxSyncBindingType = strawberry_django.field()
    proxsync_binding_list: list[ProxSyncBindingType] = strawberry_django.field()

    proxsync_decision: ProxSyncDecisionType = strawberry_django.field()
    proxsync_decision_list: list[ProxSyncDecisionType] = strawberry_django.field()

    proxsync_guest: ProxSyncGuestType = strawberry_django.field()
    proxsync_guest_list: list[ProxSyncGuestType] = strawberry_django.field()


schema = [ProxSyncQuery]
