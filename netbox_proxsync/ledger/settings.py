"""An endpoint's settings as the plain data that a sync decides by."""

from django.conf import settings as django_settings
from django.core.exceptions import ObjectDoesNotExist
from django.utils.translation import gettext as _
from netbox.plugins import get_plugin_config

from ..branching import BranchUnusable, active, in_branch
from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..models.branch_states import guests_read
from ..sync.cluster_state import ClusterState
from ..sync.guest_filters import GuestFilters
from ..sync.offline_nodes import LastSeen
from ..sync.settings import Settings
from ..sync.values import Pointer
from .fields import pointer_to
from .rules import load_rules, plain_rule, values_of

__all__ = ('load_settings',)

MIB = 1024 * 1024
OF_GUESTS = ('type', 'vmid', 'node', 'seen_until', 'ignored', 'virtual_machine_id')
POINTERS = (
    'cluster', 'cluster_type', 'cluster_group', 'site', 'tenant', 'guest_role', 'node_role', 'node_device_type', 'vrf',
    'vlan_group',
)  # fmt: skip
PLAIN = (
    'sync_vms',
    'sync_containers',
    'sync_templates',
    'adopt_by_name',
    'sync_nodes',
    'create_vlans',
    'interface_naming',
    'missing_guests',
    'grace_days',
    'missing_addresses',
    'missing_address_reads',
    'address_limit',
    'field_policy',
    'change_limit',
)


def load_settings(endpoint: ProxmoxEndpoint) -> Settings:
    """
    The settings in force.

    NetBox shows `memory` and `disk` in units of RAM_BASE_UNIT and DISK_BASE_UNIT (1000 or 1024), so what is stored
    depends on them; the plugin's setting `sizes = 'mib'` stores MiB whatever they are.

    Raises:
        BranchUnusable: What the endpoint or a rule names is not in the active branch.
    """
    try:
        return settings_of(endpoint)
    except ObjectDoesNotExist:
        if not in_branch():
            raise
        raise BranchUnusable(
            _(
                'The branch "{branch}" lacks an object that the endpoint or a mapping rule names. Sync the branch with '
                'main first.'
            ).format(branch=active().name)
        ) from None


def settings_of(endpoint: ProxmoxEndpoint) -> Settings:
    rules = {rule: plain_rule(rule) for rule in load_rules()}
    guests = list(ProxmoxGuest.objects.filter(endpoint=endpoint).only(*OF_GUESTS).order_by())
    ignored = [guest for guest in guests if guest.ignored]
    read_at = guests_read(endpoint)
    plain_mib = get_plugin_config('netbox_proxsync', 'sizes') == 'mib'
    return Settings(
        endpoint=pointer_to(endpoint),
        rules=tuple(plain for rule, plain in rules.items() if rule.is_for(endpoint.pk)),
        ruled=values_of(rules.values()),
        guest_filters=GuestFilters.parse(endpoint.include_guests, endpoint.exclude_guests),
        ram_unit=MIB if plain_mib else django_settings.RAM_BASE_UNIT**2,
        disk_unit=MIB if plain_mib else django_settings.DISK_BASE_UNIT**2,
        ignored=frozenset(guest.key for guest in ignored),
        ignored_machines=frozenset(
            Pointer('virtualization.virtualmachine', guest.virtual_machine_id)
            for guest in ignored
            if guest.virtual_machine_id
        ),
        last_seen={guest.key: LastSeen(guest.node, guest.seen_until or read_at) for guest in guests},
        offline_since={
            node.name: node.offline_since
            for node in ClusterState.parse(endpoint.cluster_state).nodes
            if node.offline_since
        },
        **{name: pointer(endpoint, name) for name in POINTERS},
        **{name: getattr(endpoint, name) for name in PLAIN},
    )


def pointer(endpoint: ProxmoxEndpoint, name: str) -> Pointer | None:
    related = getattr(endpoint, name)
    return pointer_to(related) if related else None
