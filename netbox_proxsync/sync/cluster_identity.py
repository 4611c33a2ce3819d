"""The identity of a Proxmox VE cluster, by which it is recognized under any address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..proxmox.inventory import Inventory, known
from ..proxmox.messages import EMPTY, Message, joined

__all__ = ('ClusterIdentity', 'another_cluster', 'identity_of_cluster', 'is_same_cluster')

# Created with the cluster and copied to every node that joins it.
ROOT_CA = 'pve-root-ca.pem'


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterIdentity:
    """
    What identifies a cluster.

    Attributes:
        authority: The fingerprint of the cluster's own certificate authority; None if it was not read.
        name: None for a stand-alone host, or if it was not read.
        nodes: The names of its nodes.
    """

    authority: str | None = None
    name: str | None = None
    nodes: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        """The identity as JSON."""
        return {'authority': self.authority, 'name': self.name, 'nodes': sorted(self.nodes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> 'ClusterIdentity':
        """The identity that `as_json` returned; empty where the data has no value."""
        return cls(authority=data.get('authority'), name=data.get('name'), nodes=frozenset(data.get('nodes', ())))

    def __str__(self) -> str:
        nodes = joined(sorted(self.nodes), ', ')
        return (
            Message('"{name}" (nodes: {nodes})', name=self.name, nodes=nodes)
            if self.name
            else Message('the host {name}', name=nodes)
        )


def identity_of_cluster(inventory: Inventory) -> ClusterIdentity:
    """The identity of the cluster of an inventory."""
    authorities = {
        certificate.fingerprint
        for node in inventory.nodes
        if known(node.certificates)
        for certificate in node.certificates
        if certificate.filename == ROOT_CA and known(certificate.fingerprint)
    }
    return ClusterIdentity(
        authority=authorities.pop() if len(authorities) == 1 else None,
        name=inventory.cluster_name if known(inventory.cluster_name) else None,
        nodes=frozenset(node.name for node in inventory.nodes),
    )


def another_cluster(remembered: ClusterIdentity, seen: ClusterIdentity) -> Message:
    """
    Why an endpoint seems to lead to another cluster than before; '' if it does not.

    If the certificate authority was read both times, it decides. The first host of a new cluster keeps its authority,
    so it is still the same; a host that joins a cluster gets the authority of the cluster and is a part of it from then
    on. Otherwise the names decide: a cluster is never renamed, and loses its nodes one by one.
    """
    if not remembered.nodes or not seen.nodes:
        return EMPTY
    if remembered.authority and seen.authority:
        same = remembered.authority == seen.authority
    else:
        same = bool(remembered.nodes & seen.nodes) or (seen.name is not None and remembered.name == seen.name)
    if same:
        return EMPTY
    return Message(
        'This endpoint leads to another Proxmox VE than before: it was {before}, it is {now}. '
        'Nothing was written. If its hosts are wrong, correct them. If this is another cluster, '
        'create another endpoint for it. If it is the same one (new certificates, new names), '
        'approve this run.',
        before=remembered,
        now=seen,
    )


def is_same_cluster(remembered: ClusterIdentity, seen: ClusterIdentity) -> bool | None:
    """
    Whether another endpoint, as it was last read, leads to the cluster that was read now; None: unknown, because names
    alone are no proof.
    """
    if remembered.authority and seen.authority and not may_have_joined(remembered, seen):
        return remembered.authority == seen.authority
    return None if remembered.nodes & seen.nodes else False


def may_have_joined(remembered: ClusterIdentity, seen: ClusterIdentity) -> bool:
    """
    Whether a stand-alone host may be in the cluster now, in which case it has replaced its authority by that of the
    cluster.
    """
    stood_alone = remembered.name is None and remembered.authority != seen.authority
    return stood_alone and seen.name is not None and remembered.nodes <= seen.nodes
