"""What the settings of an endpoint and the configuration of NetBox determine for a sync, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..proxmox.guests import Guest
from .answers import Answers
from .guest_filters import GuestFilters
from .offline_nodes import LastSeen
from .owners import IGNORED, Owner
from .rules import Decision, Rule
from .values import Pointer

__all__ = ('Settings',)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The settings of an endpoint.

    Attributes:
        endpoint: The endpoint itself.
        cluster: The cluster that a user chose or an earlier run created; None: found or created by name.
        cluster_type, cluster_group, site, tenant, guest_role, node_role, node_device_type, vrf, vlan_group: Values of
            new objects; None: not set.
        guest_filters: Which guests are synced, in addition to their type.
        create_vlans: Whether VLANs that NetBox does not have are created.
        ram_unit, disk_unit: Bytes per unit of NetBox's `memory` and `disk` (RAM_BASE_UNIT, DISK_BASE_UNIT squared).
        missing_guests: How missing guests are handled: 'retire', 'delete' (after the grace
            period), or 'leave'.
        grace_days: The days between the retirement and the deletion of an object.
        missing_addresses: How addresses that a guest no longer has are handled: 'delete' (if this sync created it,
            otherwise unassign), 'unassign', or 'leave'.
        missing_address_reads: The number of consecutive complete reads without an address after which it is missing, if
            only the running guest reported it.
        address_limit: The maximum number of addresses of one guest.
        write_policy: Which actions are written, as a value of `WritePolicy`.
        field_policy: Exceptions from the owners of fields: {'vm.comments': 'fact' | 'editorial' | 'ignored'}.
        ignored: The guests ('qemu/100') that a user has set to be ignored.
        ignored_machines: Their virtual machines: no other guest may adopt one.
        answers: What users have decided about single objects.
        adopt_by_name: Whether a guest adopts the only virtual machine with its name, without further proof.
        change_limit: The percentage of the objects of a kind that a run may retire, delete or release.
        rules: The enabled rules that apply to this endpoint.
        ruled: By target: every value that any rule sets, enabled or not. If the sync wrote one of these and no rule
            sets the target any longer, the value is removed.
        last_seen: Where and when each guest was listed last, by key.
        offline_since: By node that earlier reads found offline: when the first of these reads was.
        decisions: What the rules set for each guest of the inventory, by key; `desire` fills it.
        synced: The guests of the inventory that are synced; `desire` fills it. None: not computed yet.
    """

    endpoint: Pointer
    cluster: Pointer | None = None
    cluster_type: Pointer | None = None
    cluster_group: Pointer | None = None
    site: Pointer | None = None
    tenant: Pointer | None = None
    guest_role: Pointer | None = None
    node_role: Pointer | None = None
    node_device_type: Pointer | None = None
    vrf: Pointer | None = None
    vlan_group: Pointer | None = None
    sync_vms: bool = True
    sync_containers: bool = True
    sync_templates: bool = False
    guest_filters: GuestFilters = field(default_factory=GuestFilters)
    sync_nodes: bool = False
    create_vlans: bool = False
    interface_naming: str = 'proxmox'
    missing_guests: str = 'retire'
    grace_days: int = 30
    missing_addresses: str = 'delete'
    missing_address_reads: int = 2
    address_limit: int = 256
    adopt_by_name: bool = False
    field_policy: Mapping[str, str] = field(default_factory=dict)
    change_limit: int = 20
    write_policy: str = 'everything'
    ignored: frozenset[str] = frozenset()
    ignored_machines: frozenset[Pointer] = frozenset()
    answers: Answers = field(default_factory=dict)
    ram_unit: int = 1024 * 1024
    disk_unit: int = 1024 * 1024
    rules: tuple[Rule, ...] = ()
    ruled: Mapping[str, frozenset[Pointer]] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    synced: tuple[Guest, ...] | None = None
    last_seen: Mapping[str, LastSeen] = field(default_factory=dict)
    offline_since: Mapping[str, datetime] = field(default_factory=dict)

    def owner(self, kind: str, name: str, default: Owner) -> Owner | None:
        """The owner of a field under this endpoint; None: the field is ignored."""
        policy = self.field_policy.get(f'{kind}.{name}', default)
        return None if policy == IGNORED else Owner(policy)
