"""The VLANs of NetBox to which VLAN IDs in Proxmox VE may refer."""

from collections.abc import Collection, Iterable, Mapping

from dcim.models import Device, Site
from django.db.models import Model, Q, QuerySet
from ipam.models import VLAN
from virtualization.models import Cluster, VirtualMachine

from ..models import ProxmoxEndpoint, SharedObject
from ..sync.mapping.vlans import vlan_name
from ..sync.network_candidates import VlanCandidate, VlanIndex
from ..sync.settings import Settings
from ..sync.state import Item
from ..sync.values import Pointer, Shared
from .fields import pointer_to

__all__ = ('load_vlans',)


def load_vlans(
    endpoint: ProxmoxEndpoint, items: Iterable[Item], cluster: Cluster | None, settings: Settings
) -> dict[str, VlanIndex]:
    """
    The VLANs to look up VLAN IDs in, by kind of interface.

    Args:
        cluster: The cluster of the endpoint, if it exists; otherwise its virtual machines will be in the site of the
            endpoint.
    """
    own_site = Site.objects.filter(pk=settings.site.pk).first() if settings.site else None
    site = cluster._site if cluster else own_site
    own_group = {settings.vlan_group} if settings.vlan_group else set()
    ruled = {rule.outcome.vlan_group for rule in settings.rules if rule.outcome.vlan_group}
    made = created_vlans(endpoint)
    return {
        'interface': book(offered_to_guests(cluster, site), site, own_group | ruled, settings, made),
        'node_interface': book(offered_to_nodes(cluster, own_site), own_site, own_group, settings, made),
    }


def created_vlans(endpoint: ProxmoxEndpoint) -> dict[Shared, VLAN]:
    """
    The VLANs that runs of the endpoint have created, by their shared values. They may be renamed and moved; one that
    has another VLAN ID now is another VLAN.
    """
    rows = list(SharedObject.objects.filter(endpoint=endpoint.pk, model='ipam.vlan'))
    vlans = VLAN.objects.select_related('group', 'site').in_bulk([row.object_id for row in rows])
    return {
        Shared(row.model, row.name, within=row.within): vlan
        for row in rows
        if (vlan := vlans.get(row.object_id)) and vlan_name(vlan.vid) == row.name
    }


def offered_to_guests(cluster: Cluster | None, site: Site | None) -> QuerySet[VLAN]:
    """The VLANs that NetBox offers for interfaces of virtual machines."""
    rows: QuerySet[VLAN]
    if cluster is None and site is None:
        # For a virtual machine without a cluster and a site, NetBox would offer the VLANs of all groups.
        rows = VLAN.objects.filter(site=None, group__scope_id=None)
    else:
        rows = VLAN.objects.get_for_virtualmachine(VirtualMachine(cluster=cluster, site=site))
    return rows


def offered_to_nodes(cluster: Cluster | None, site: Site | None) -> QuerySet[VLAN]:
    """The VLANs that NetBox offers for interfaces of devices."""
    rows: QuerySet[VLAN] = (
        VLAN.objects.get_for_device(Device(cluster=cluster, site=site)) if site else VLAN.objects.none()
    )
    return rows


def book(
    offered: QuerySet[VLAN],
    site: Site | None,
    groups: Collection[Pointer],
    settings: Settings,
    made: Mapping[Shared, VLAN],
) -> VlanIndex:
    """The VLANs that NetBox's own forms would offer at a place, and those of some groups."""
    is_offered = Q(pk__in=offered.order_by().values('pk'))
    found = VLAN.objects.annotate(is_offered=is_offered).filter(
        Q(is_offered=True) | Q(group__in=[group.pk for group in groups])
    )
    hits: dict[int, list[VlanCandidate]] = {}
    for vlan in found.select_related('group', 'site').order_by('pk'):
        hits.setdefault(vlan.vid, []).append(
            VlanCandidate(
                pointer=pointer_to(vlan),
                group=optional(vlan.group),
                site=optional(vlan.site),
                is_local=vlan.site_id is not None or (vlan.group is not None and vlan.group.scope_id is not None),
                is_offered=vlan.is_offered,
            )
        )
    return VlanIndex(
        candidates={vid: tuple(found) for vid, found in hits.items()},
        site=optional(site),
        creates=settings.create_vlans,
        # NetBox refuses VLANs of other sites.
        made={shared: pointer_to(vlan) for shared, vlan in made.items() if vlan.site_id in (None, site and site.pk)},
    )


def optional(instance: Model | None) -> Pointer | None:
    """A pointer to an object, if there is one."""
    return pointer_to(instance) if instance is not None else None
