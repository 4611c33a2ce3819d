"""By what a Proxmox cluster is known again, whatever the address under which it is reached."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..proxmox.inventory import Inventory, known

__all__ = ('ClusterIdentity', 'another_cluster', 'identity_of_cluster', 'is_same_cluster')

# Made with the cluster and handed to every node that joins it.
ROOT_CA = 'pve-root-ca.pem'


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterIdentity:
    """
    Attributes:
        authority: The fingerprint of the cluster's own certificate authority; None if it was not read.
        name: None for a stand-alone host, or if it was not read.
        nodes: The names of its nodes.
    """

    authority: str | None = None
    name: str | None = None
    nodes: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        return {'authority': self.authority, 'name': self.name, 'nodes': sorted(self.nodes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> 'ClusterIdentity':
        return cls(authority=data.get('authority'), name=data.get('name'), nodes=frozenset(data.get('nodes', ())))

    def __str__(self) -> str:
        nodes = ', '.join(sorted(self.nodes))
        return f'"{self.name}" (nodes: {nodes})' if self.name else f'the host {nodes}'


def identity_of_cluster(inventory: Inventory) -> ClusterIdentity:
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


def another_cluster(remembered: ClusterIdentity, seen: ClusterIdentity) -> str:
    """
    Why an endpoint seems to lead to another cluster than before; '' if it does not.

    The authority decides where it was read both times. A host that becomes the first of a new cluster keeps its own, so
    it is still the same; one that joins a cluster gets that of the cluster, and is a part of it from then on. Without
    it, names must tell: a cluster is never renamed, and loses its nodes one by one.
    """
    if not remembered.nodes or not seen.nodes:
        return ''
    if remembered.authority and seen.authority:
        same = remembered.authority == seen.authority
    else:
        same = bool(remembered.nodes & seen.nodes) or (seen.name is not None and remembered.name == seen.name)
    if same:
        return ''
    return (
        f'This endpoint leads to another Proxmox VE than before: it was {remembered}, it is {seen}. Nothing was '
        'written. If its hosts are wrong, correct them. If this is another cluster, make an endpoint of its own for '
        'it. If it is the same one (new certificates, new names), let this run through.'
    )


def is_same_cluster(remembered: ClusterIdentity, seen: ClusterIdentity) -> bool | None:
    """
    Whether another endpoint, as it was last read, leads to the cluster that is seen; None: that cannot be told, for
    names alone do not prove it.
    """
    if remembered.authority and seen.authority and not may_have_joined(remembered, seen):
        return remembered.authority == seen.authority
    return None if remembered.nodes & seen.nodes else False


def may_have_joined(remembered: ClusterIdentity, seen: ClusterIdentity) -> bool:
    """Whether a host that stood alone may be in the cluster now. It gave its own authority up for the cluster's."""
    stood_alone = remembered.name is None and remembered.authority != seen.authority
    return stood_alone and seen.name is not None and remembered.nodes <= seen.nodes
