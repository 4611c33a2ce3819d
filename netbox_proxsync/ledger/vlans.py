"""The VLANs of NetBox to which VLAN IDs in Proxmox VE may refer."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dcim.models import Device, Site
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet
from ipam.models import VLAN
from virtualization.models import Cluster, VirtualMachine

from ..models import ProxmoxEndpoint
from ..sync.mapping.vlans import vlan_name
from ..sync.network_candidates import VlanCandidate, VlanIndex
from ..sync.settings import Settings
from ..sync.values import Pointer, Shared
from .fields import pointer_to

__all__ = ('load_vlans',)


def load_vlans(
    endpoint: ProxmoxEndpoint, cluster: Cluster | None, settings: Settings, created: Iterable[tuple[Shared, int]]
) -> dict[str, VlanIndex]:
    """
    The VLANs to look up VLAN IDs in, by kind of interface.

    Args:
        cluster: The cluster of the endpoint, if it exists; otherwise its virtual machines will be in the site of the
            endpoint.
        created: The VLANs that runs of the endpoint have created, as (value, pk).
    """
    own_site = endpoint.site
    if cluster is not None and cluster.scope_type_id is not None:
        # NetBox looks at it, and would load it.
        cluster.scope_type = ContentType.objects.get_for_id(cluster.scope_type_id)
    site = cluster_site(cluster, own_site) if cluster else own_site
    own_group = {settings.vlan_group} if settings.vlan_group else set()
    ruled = {rule.outcome.vlan_group for rule in settings.rules if rule.outcome.vlan_group}
    places = {
        'interface': Place(offered_to_guests(cluster, site), site, own_group | ruled),
        'node_interface': Place(offered_to_nodes(cluster, own_site), own_site, own_group),
    }
    found = vlans_at(places)
    existing = vlans_of(created)
    return {kind: index(kind, place, found, settings, existing) for kind, place in places.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where interfaces of a kind are.

    Attributes:
        offered: The VLANs that NetBox's own forms would offer there.
        groups: The groups whose VLANs are used as well.
    """

    offered: QuerySet[VLAN]
    site: Site | None
    groups: Collection[Pointer]


def cluster_site(cluster: Cluster, own_site: Site | None) -> Site | None:
    """The site of a cluster."""
    if own_site is not None and cluster._site_id == own_site.pk:
        return own_site
    site: Site | None = cluster._site
    return site


def vlans_at(places: Mapping[str, Place]) -> list[VLAN]:
    """The VLANs of some places in one query; the attribute 'at_<place>' is whether NetBox offers a VLAN there."""
    rows = VLAN.objects.all()
    wanted = Q(group__in={group.pk for place in places.values() for group in place.groups})
    for name, place in places.items():
        rows = rows.annotate(**{f'at_{name}': Q(pk__in=place.offered.order_by().values('pk'))})
        wanted |= Q(**{f'at_{name}': True})
    return list(rows.filter(wanted).select_related('group', 'site').order_by('pk'))


def vlans_of(created: Iterable[tuple[Shared, int]]) -> dict[Shared, VLAN]:
    """
    The VLANs that runs have created, by their shared values. They may be renamed and moved; one that has another VLAN
    ID now is another VLAN.
    """
    pks = dict(created)
    vlans = VLAN.objects.select_related('group', 'site').in_bulk(list(pks.values()))
    return {
        shared: vlan for shared, pk in pks.items() if (vlan := vlans.get(pk)) and vlan_name(vlan.vid) == shared.name
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


def index(
    kind: str, place: Place, found: Iterable[VLAN], settings: Settings, created: Mapping[Shared, VLAN]
) -> VlanIndex:
    """
    The VLANs at a place.

    Args:
        found: As `vlans_at` returns them.
        created: As `vlans_of` returns them.
    """
    groups = {group.pk for group in place.groups}
    candidates: dict[int, list[VlanCandidate]] = {}
    for vlan in found:
        is_offered = getattr(vlan, f'at_{kind}')
        if is_offered or vlan.group_id in groups:
            candidates.setdefault(vlan.vid, []).append(
                VlanCandidate(
                    pointer=pointer_to(vlan),
                    group=optional(vlan.group),
                    site=optional(vlan.site),
                    is_local=vlan.site_id is not None or (vlan.group is not None and vlan.group.scope_id is not None),
                    is_offered=is_offered,
                )
            )
    site = place.site
    return VlanIndex(
        candidates={vid: tuple(vlans) for vid, vlans in candidates.items()},
        site=optional(site),
        creates=settings.create_vlans,
        # NetBox refuses VLANs of other sites.
        made={shared: pointer_to(vlan) for shared, vlan in created.items() if vlan.site_id in (None, site and site.pk)},
    )


def optional(instance: Model | None) -> Pointer | None:
    """A pointer to an object, if there is one."""
    return pointer_to(instance) if instance is not None else None
