"""
Links from the other side: the guests that a virtual machine of NetBox may be, and the nodes that a device may be.
Only of endpoints that the user may sync.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from dcim.models import Device, MACAddress
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from virtualization.models import VirtualMachine

from ..branching import in_branch
from ..choices import ChangeActionChoices, DecisionChoices
from ..guest_search import by_address_or_mac
from ..models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..models.users import AnyUser
from ..sync.cluster_state import ClusterState
from ..sync.kind_names import DEVICE, GUEST
from ..sync.mapping.nodes import node_key
from .attention import reading_runs
from .cluster_state import state_visible_to

__all__ = ('Suggestion', 'endpoints_for', 'is_linkable', 'link_of', 'linkable_guests', 'linkable_nodes', 'suggested')

# More guests are not suggested, and more MAC addresses not looked up.
SUGGESTED = 10


@dataclass
class Suggestion:
    """
    A guest or node that may be an object of NetBox.

    Attributes:
        value: Identifies it in the form: the guest's pk, or the endpoint's pk and the name of the node.
        reasons: Why it may be the object.
        guest: None for a node.
    """

    value: str
    label: str
    endpoint: ProxmoxEndpoint
    key: str
    reasons: list[str] = field(default_factory=list)
    guest: ProxmoxGuest | None = None


def endpoints_for(instance: VirtualMachine | Device, user: AnyUser) -> list[ProxmoxEndpoint]:
    """
    The endpoints to which an object may belong: those of its cluster, or of its site if it is a device in no cluster.
    Empty while a branch is active, because decisions belong to main.
    """
    if in_branch():
        return []
    rows = ProxmoxEndpoint.objects.restrict(user, 'sync').filter(guests_read__isnull=False).order_by('name')
    if instance.cluster_id:
        return list(rows.filter(cluster=instance.cluster_id))
    if isinstance(instance, Device) and instance.site_id:
        return list(rows.filter(site=instance.site_id))
    return []


def link_of(instance: Model, user: AnyUser) -> Decision | None:
    """The decision that links an object to a guest or node, if the user may view it."""
    object_type = ContentType.objects.get_for_model(instance)
    links = Decision.objects.restrict(user, 'view').filter(choice=DecisionChoices.LINK, object_type=object_type)
    return links.filter(object_id=instance.pk).select_related('endpoint', 'user').first()


def is_linkable(instance: VirtualMachine | Device, endpoints: Collection[ProxmoxEndpoint], user: AnyUser) -> bool:
    """
    Whether a guest or node is left that may be an object. A device that is in no cluster must have the name of a node:
    most devices of a site are no nodes.
    """
    if isinstance(instance, VirtualMachine):
        return linkable_guests(endpoints, user).exists()
    name = node_key(instance.name or '').lower()
    return any(instance.cluster_id or node.key.lower() == name for node in linkable_nodes(endpoints, user))


def linkable_guests(endpoints: Collection[ProxmoxEndpoint], user: AnyUser) -> QuerySet[ProxmoxGuest]:
    """The guests that have no virtual machine yet, and that the user may view."""
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint__in=endpoints, virtual_machine=None)
    return guests.filter(ignored=False, seen_until=None)


def linkable_nodes(endpoints: Collection[ProxmoxEndpoint], user: AnyUser) -> list[Suggestion]:
    """The nodes that have no device yet, and that the user may view."""
    rows = Binding.objects.filter(endpoint__in=endpoints, kind=DEVICE).order_by()
    bound = list(rows.values_list('endpoint', 'key', 'object_id'))
    existing = set(Device.objects.filter(pk__in=[pk for *_rest, pk in bound]).values_list('pk', flat=True))
    taken = {(endpoint, key) for endpoint, key, pk in bound if pk in existing}
    return [
        Suggestion(f'{endpoint.pk}:{node.name}', f'{node.name} ({endpoint})', endpoint, node_key(node.name))
        for endpoint in endpoints
        for node in state_visible_to(user, endpoint, ClusterState.parse(endpoint.cluster_state)).nodes
        if (endpoint.pk, node_key(node.name)) not in taken
    ]


def suggested(
    instance: VirtualMachine | Device, endpoints: Collection[ProxmoxEndpoint], user: AnyUser
) -> list[Suggestion]:
    """The guests or nodes that resemble an object, those with the most reasons first."""
    if isinstance(instance, VirtualMachine):
        found = list(suggested_guests(instance, endpoints, user))
    else:
        found = list(suggested_nodes(instance, endpoints, user))
    return sorted(found, key=lambda each: (-len(each.reasons), each.label))[:SUGGESTED]


def suggested_guests(
    machine: VirtualMachine, endpoints: Collection[ProxmoxEndpoint], user: AnyUser
) -> Iterable[Suggestion]:
    guests = linkable_guests(endpoints, user).select_related('endpoint')
    reasons = {
        _('Candidate of the last run'): Q(candidate_ids__contains=[machine.pk]),
        _('Same name'): Q(name__iexact=machine.name),
        _('Same MAC address'): with_macs(machine),
        _('Same serial number'): with_units(serial_units(machine, GUEST, endpoints)),
    }
    found: dict[int, Suggestion] = {}
    for reason, condition in reasons.items():
        for guest in guests.filter(condition).order_by('vmid')[:SUGGESTED]:
            suggestion = Suggestion(str(guest.pk), str(guest), guest.endpoint, guest.key, guest=guest)
            found.setdefault(guest.pk, suggestion).reasons.append(reason)
    return found.values()


def with_macs(machine: VirtualMachine) -> Q:
    """The guests that have a MAC address of a virtual machine."""
    rows = MACAddress.objects.filter(vminterface__virtual_machine=machine).order_by('pk')
    found = Q(pk__in=())
    for mac in rows.values_list('mac_address', flat=True)[:SUGGESTED]:
        found |= by_address_or_mac(str(mac)) or Q(pk__in=())
    return found


def with_units(units: Iterable[tuple[int, str]]) -> Q:
    found = Q(pk__in=())
    for endpoint, unit in units:
        guest_type, _slash, vmid = unit.partition('/')
        found |= Q(endpoint=endpoint, type=guest_type, vmid=vmid)
    return found


def serial_units(
    instance: VirtualMachine | Device, kind: str, endpoints: Collection[ProxmoxEndpoint]
) -> list[tuple[int, str]]:
    """The guests or nodes that the last plans create with the serial number of an object, by endpoint (pk) and unit."""
    if not instance.serial:
        return []
    latest = [
        run
        for endpoint in endpoints
        if (run := reading_runs().filter(endpoint=endpoint, vmids__isnull=True).order_by('-pk').first())
    ]
    planned = SyncChange.objects.filter(
        run__in=latest,
        kind=kind,
        action=ChangeActionChoices.CREATE,
        fields__contains=[{'name': 'serial', 'want': instance.serial}],
    )
    return list(planned.order_by('position').values_list('run__endpoint', 'unit')[:SUGGESTED])


def suggested_nodes(device: Device, endpoints: Collection[ProxmoxEndpoint], user: AnyUser) -> Iterable[Suggestion]:
    serials = set(serial_units(device, DEVICE, endpoints))
    candidates = candidate_units(device, endpoints)
    for node in linkable_nodes(endpoints, user):
        identity = (node.endpoint.pk, node.key)
        if identity in candidates:
            node.reasons.append(_('Candidate of the last run'))
        if node.key.lower() == node_key(device.name or '').lower():
            node.reasons.append(_('Same name'))
        if identity in serials:
            node.reasons.append(_('Same serial number'))
        if node.reasons:
            yield node


def candidate_units(instance: Any, endpoints: Collection[ProxmoxEndpoint]) -> set[tuple[int, str]]:
    """The nodes of which a run has reported an object as a candidate, by endpoint (pk) and key."""
    changes = SyncChange.objects.filter(
        run__endpoint__in=endpoints,
        run__in=reading_runs().order_by().values('pk'),
        action=ChangeActionChoices.CANDIDATE,
        object_type=ContentType.objects.get_for_model(instance),
        object_id=instance.pk,
    )
    return set(changes.order_by().values_list('run__endpoint', 'key').distinct())
