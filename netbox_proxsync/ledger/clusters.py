"""Which Proxmox cluster each endpoint leads to."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..models import Binding, ProxmoxEndpoint
from ..models.branch_states import known_identity, remember_identity
from ..proxmox.inventory import Guest
from ..sync.cluster_identity import ClusterIdentity, is_same_cluster
from ..sync.guest_identity import identity_of_guest

__all__ = ('SharedClusterError', 'check_not_shared', 'remember_cluster')


class SharedClusterError(Exception):
    """
    Two endpoints lead to the same Proxmox VE cluster. The message is displayed to users.

    Args:
        other: The other endpoint.
        cluster: The cluster, as it was read.
    """

    def __init__(self, other: ProxmoxEndpoint, cluster: ClusterIdentity) -> None:
        # By its ID: a user who may view this run may not be allowed to view that endpoint, and the text is stored.
        super().__init__(
            _(
                'Another endpoint (ID {other}) leads to the same Proxmox VE, {cluster}. Two endpoints must not manage '
                'the same guests: delete or disable one of them. Several hosts of one cluster belong into one '
                'endpoint.'
            ).format(other=other.pk, cluster=cluster)
        )


def check_not_shared(endpoint: ProxmoxEndpoint, identity: ClusterIdentity, guests: Iterable[Guest]) -> None:
    """
    Check that no other endpoint leads to the cluster that an endpoint has led to.

    Raises:
        SharedClusterError: Another one does; the endpoint must not be synced.
    """
    for other in ProxmoxEndpoint.objects.filter(enabled=True).exclude(pk=endpoint.pk):
        same = is_same_cluster(ClusterIdentity.from_json(other.cluster_identity), identity)
        if same or (same is None and manages_most(other, guests)):
            raise SharedClusterError(other, identity)


def remember_cluster(endpoint: ProxmoxEndpoint, identity: Mapping[str, Any]) -> None:
    """Remember the identity of a cluster. Parts that were read earlier and not this time stay known."""
    before = known_identity(endpoint)
    known = {**before, **{name: value for name, value in identity.items() if value}}
    if known != before:
        remember_identity(endpoint, known)


def manages_most(endpoint: ProxmoxEndpoint, guests: Iterable[Guest]) -> bool:
    """
    Whether an endpoint manages more than half of these guests under the same VM IDs and UUIDs, or they are more than
    half of the guests that it manages (its host has joined a larger cluster).

    This is the test if the certificate authority of one of the clusters is not known: names of nodes are the same in
    many clusters, and single guests are moved.
    """
    machines = {guest.key: uuid for guest in guests if (uuid := identity_of_guest(guest).get('id_uuid'))}
    bindings = Binding.objects.filter(endpoint=endpoint, kind='vm', missing_since=None)
    known = {key: uuid for key, uuid in bindings.values_list('key', 'values__id_uuid') if uuid}
    same = sum(machines.get(key) == uuid for key, uuid in known.items())
    return bool(2 * same > min(len(machines), len(known)))
