"""The settings of an endpoint as plain data."""

from collections.abc import Collection

from django.conf import settings as django_settings
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model
from netbox.plugins import get_plugin_config

from ..branching import BranchUnusableError, active, in_branch
from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..models.branch_states import guests_read
from ..proxmox.messages import Message
from ..sync.cluster_state import ClusterState
from ..sync.guest_filters import GuestFilters
from ..sync.offline_nodes import LastSeen
from ..sync.settings import Settings
from ..sync.values import Pointer
from .answers import load_answers
from .fields import pointer_to
from .rules import load_rules, plain_rule, values_by_target

__all__ = ('load_settings',)

MIB = 1024 * 1024
GUEST_COLUMNS = ('type', 'vmid', 'node', 'seen_until', 'ignored', 'virtual_machine_id')


def load_settings(endpoint: ProxmoxEndpoint, guests: Collection[ProxmoxGuest] | None = None) -> Settings:
    """
    The settings that apply to a run of an endpoint.

    NetBox shows `memory` and `disk` in units of RAM_BASE_UNIT and DISK_BASE_UNIT (1000 or 1024), so what is stored
    depends on them; the plugin's setting `sizes = 'mib'` stores MiB whatever they are.

    Args:
        guests: The rows of the endpoint's guests; None: load them.

    Raises:
        BranchUnusableError: An object to which the endpoint or a rule refers does not exist in the active branch.
    """
    try:
        return settings_of(endpoint, guests)
    except ObjectDoesNotExist:
        if not in_branch():
            # In main, foreign keys prevent it, except while the object is being deleted.
            raise  # pragma: no cover
        raise BranchUnusableError(
            Message(
                'The branch "{branch}" lacks an object that the endpoint or a mapping rule names. Sync the branch with '
                'main first.',
                branch=active().name,
            )
        ) from None


def settings_of(endpoint: ProxmoxEndpoint, guests: Collection[ProxmoxGuest] | None) -> Settings:
    """As `load_settings`; ObjectDoesNotExist if an object to which it refers does not exist."""
    rules = {rule: plain_rule(rule) for rule in load_rules()}
    if guests is None:
        guests = list(ProxmoxGuest.objects.filter(endpoint=endpoint).only(*GUEST_COLUMNS).order_by())
    ignored = [guest for guest in guests if guest.ignored]
    read_at = guests_read(endpoint)
    plain_mib = get_plugin_config('netbox_proxsync', 'sizes') == 'mib'
    return Settings(
        endpoint=pointer_to(endpoint),
        rules=tuple(plain for rule, plain in rules.items() if rule.is_for(endpoint.pk)),
        ruled=values_by_target(rules.values()),
        guest_filters=GuestFilters.parse(endpoint.include_guests, endpoint.exclude_guests),
        ram_unit=MIB if plain_mib else bytes_per_unit('RAM_BASE_UNIT'),
        disk_unit=MIB if plain_mib else bytes_per_unit('DISK_BASE_UNIT'),
        ignored=frozenset(guest.key for guest in ignored),
        ignored_machines=frozenset(
            Pointer('virtualization.virtualmachine', guest.virtual_machine_id)
            for guest in ignored
            if guest.virtual_machine_id
        ),
        answers=load_answers(endpoint),
        last_seen={guest.key: LastSeen(guest.node, guest.seen_until or read_at) for guest in guests},
        offline_since={
            node.name: node.offline_since
            for node in ClusterState.parse(endpoint.cluster_state).nodes
            if node.offline_since
        },
        cluster=optional(endpoint.cluster),
        cluster_type=optional(endpoint.cluster_type),
        cluster_group=optional(endpoint.cluster_group),
        site=optional(endpoint.site),
        tenant=optional(endpoint.tenant),
        guest_role=optional(endpoint.guest_role),
        node_role=optional(endpoint.node_role),
        node_device_type=optional(endpoint.node_device_type),
        vrf=optional(endpoint.vrf),
        vlan_group=optional(endpoint.vlan_group),
        sync_vms=endpoint.sync_vms,
        sync_containers=endpoint.sync_containers,
        sync_templates=endpoint.sync_templates,
        adopt_by_name=endpoint.adopt_by_name,
        sync_nodes=endpoint.sync_nodes,
        create_vlans=endpoint.create_vlans,
        interface_naming=endpoint.interface_naming,
        missing_guests=endpoint.missing_guests,
        grace_days=endpoint.grace_days,
        missing_addresses=endpoint.missing_addresses,
        missing_address_reads=endpoint.missing_address_reads,
        address_limit=endpoint.address_limit,
        field_policy=endpoint.field_policy,
        change_limit=endpoint.change_limit,
        write_policy=endpoint.write_policy,
    )


def bytes_per_unit(setting: str) -> int:
    """The size of a unit of `memory` or `disk`, by the name of the setting of NetBox that determines it."""
    # By name: django-stubs does not know the settings of NetBox.
    base: int = getattr(django_settings, setting)
    return base**2


def optional(instance: Model | None) -> Pointer | None:
    """A pointer to an object, if there is one."""
    return None if instance is None else pointer_to(instance)
