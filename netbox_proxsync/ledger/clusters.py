"""Which Proxmox cluster each endpoint leads to."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..models import Binding, ProxmoxEndpoint
from ..models.branch_states import known_identity, remember_identity
from ..proxmox.inventory import Guest
from ..sync.cluster_identity import ClusterIdentity, is_same_cluster
from ..sync.guest_identity import identity_of_guest

__all__ = ('remember_cluster', 'shared_cluster')


def shared_cluster(endpoint: ProxmoxEndpoint, seen: ClusterIdentity, guests: Iterable[Guest]) -> str:
    """Why an endpoint must not be synced, because another one leads to the same cluster; '' if none does."""
    for other in ProxmoxEndpoint.objects.filter(enabled=True).exclude(pk=endpoint.pk):
        same = is_same_cluster(ClusterIdentity.from_json(other.cluster_identity), seen)
        if same or (same is None and keeps_most(other, guests)):
            # By its ID: who may view this run may not be allowed to view that endpoint, and the text is stored.
            return _(
                'Another endpoint (ID {other}) leads to the same Proxmox VE, {cluster}. Two endpoints must not keep '
                'the same guests: delete or disable one of them. Several hosts of one cluster belong into one endpoint.'
            ).format(other=other.pk, cluster=seen)
    return ''


def remember_cluster(endpoint: ProxmoxEndpoint, identity: Mapping[str, Any]) -> None:
    """What was read once and not this time (a certificate of a node that is off) stays known."""
    before = known_identity(endpoint)
    known = {**before, **{name: value for name, value in identity.items() if value}}
    if known != before:
        remember_identity(endpoint, known)


def keeps_most(endpoint: ProxmoxEndpoint, guests: Iterable[Guest]) -> bool:
    """
    Whether an endpoint keeps more than half of these machines under their VM IDs, as their UUIDs tell, or these are
    more than half of what it keeps (its host has joined a larger cluster). Where the clusters' authorities are not
    known, this must do: nodes are named alike everywhere, and single machines move.
    """
    machines = {guest.key: uuid for guest in guests if (uuid := identity_of_guest(guest).get('id_uuid'))}
    bindings = Binding.objects.filter(endpoint=endpoint, kind='vm', missing_since=None)
    kept = {key: uuid for key, uuid in bindings.values_list('key', 'values__id_uuid') if uuid}
    same = sum(machines.get(key) == uuid for key, uuid in kept.items())
    return 2 * same > min(len(machines), len(kept))
