"""Which Proxmox VE cluster each endpoint leads to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Value

from ..models import Binding, FormerEndpoint, ProxmoxEndpoint
from ..models.branch_states import known_identity, remember_identity
from ..proxmox.inventory import Guest
from ..proxmox.messages import Message
from ..sync.cluster_identity import ClusterIdentity, is_same_cluster
from ..sync.guest_identity import identity_of_guest

__all__ = ('KnownCluster', 'SharedClusterError', 'check_not_shared', 'clusters_of_others', 'remember_cluster')


class SharedClusterError(Exception):
    """
    Two endpoints lead to the same Proxmox VE cluster. The message is displayed to users.

    Args:
        other: The primary key of the other endpoint.
        cluster: The cluster, as it was read.
    """

    def __init__(self, other: int, cluster: ClusterIdentity) -> None:
        # By its ID: a user who may view this run may not be allowed to view that endpoint, and the text is stored.
        super().__init__(
            Message(
                'Another endpoint (ID {other}) leads to the same Proxmox VE, {cluster}. Two endpoints must not manage '
                'the same guests: delete or disable one of them. Several hosts of one cluster belong into one '
                'endpoint.',
                other=other,
                cluster=cluster,
            )
        )


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """
    A cluster that another endpoint leads to, or has led to until it was deleted.

    Attributes:
        endpoint_id: The primary key of the endpoint, or of the FormerEndpoint.
    """

    endpoint_id: int
    identity: ClusterIdentity
    is_former: bool


def clusters_of_others(endpoint: ProxmoxEndpoint) -> list[KnownCluster]:
    """The clusters of the other enabled endpoints, and of deleted ones, in one query."""
    columns = ('is_former', 'pk', 'cluster_identity')
    others = ProxmoxEndpoint.objects.filter(enabled=True).exclude(pk=endpoint.pk).order_by()
    present = others.annotate(is_former=Value(False)).values_list(*columns)
    former = FormerEndpoint.objects.order_by().annotate(is_former=Value(True)).values_list(*columns)
    return [
        KnownCluster(pk, ClusterIdentity.from_json(identity), is_former)
        for is_former, pk, identity in present.union(former, all=True).order_by()
    ]


def check_not_shared(others: Iterable[KnownCluster], identity: ClusterIdentity, guests: Iterable[Guest]) -> None:
    """
    Check that no other endpoint leads to a cluster.

    Args:
        others: As `clusters_of_others` returns them.

    Raises:
        SharedClusterError: Another endpoint leads to it, so it must not be synced.
    """
    for other in others:
        if other.is_former:
            continue
        same = is_same_cluster(other.identity, identity)
        if same or (same is None and manages_most(other.endpoint_id, guests)):
            raise SharedClusterError(other.endpoint_id, identity)


def remember_cluster(endpoint: ProxmoxEndpoint, identity: Mapping[str, Any]) -> None:
    """Remember the identity of a cluster. Parts that were read earlier and not this time stay known."""
    before = known_identity(endpoint)
    known = {**before, **{name: value for name, value in identity.items() if value}}
    if known != before:
        remember_identity(endpoint, known)


def manages_most(endpoint_id: int, guests: Iterable[Guest]) -> bool:
    """
    Whether an endpoint manages more than half of these guests under the same VM IDs and UUIDs, or they are more than
    half of the guests that it manages (its host has joined a larger cluster).

    This is the test if the certificate authority of one of the clusters is not known: names of nodes are the same in
    many clusters, and single guests are moved.
    """
    machines = {guest.key: uuid for guest in guests if (uuid := identity_of_guest(guest).get('id_uuid'))}
    bindings = Binding.objects.filter(endpoint_id=endpoint_id, kind='vm', missing_since=None)
    known = {key: uuid for key, uuid in bindings.values_list('key', 'values__id_uuid') if uuid}
    same = sum(machines.get(key) == uuid for key, uuid in known.items())
    return bool(2 * same > min(len(machines), len(known)))
