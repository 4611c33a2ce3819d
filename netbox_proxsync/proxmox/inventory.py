"""
The inventory: the result of one read of a Proxmox VE cluster.

Plain, frozen data without Django or NetBox. Every part that Proxmox VE may refuse, delay or return in an invalid form
is a `Reading`: the value, or `Unreadable` with the reason. `None` always means that Proxmox VE reports that there is no
value. This difference determines whether NetBox may be changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .guests import (
    Address,
    AddressOrigin,
    Disk,
    Guest,
    GuestConfig,
    GuestOnlyInterface,
    GuestType,
    IgnoredAddress,
    Nic,
    NicAddresses,
)
from .infrastructure import Certificate, HostCertificate, NodeFacts, NodeHardware, NodeInterface, Vnet
from .messages import EMPTY, Message, as_json
from .readings import Reading, Unreadable, known
from .token_history import TokenView

__all__ = (
    'Address',
    'AddressOrigin',
    'Disk',
    'Guest',
    'GuestConfig',
    'GuestOnlyInterface',
    'GuestType',
    'IgnoredAddress',
    'Inventory',
    'Nic',
    'NicAddresses',
    'Node',
    'Notice',
    'Reading',
    'TagStyle',
    'Unreadable',
    'known',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """
    A cluster node.

    Attributes:
        cpus: Logical CPUs.
        address: The address that the cluster uses for the node.
        facts, certificates: Unreadable if the node is offline or was not queried.
        interfaces: The running network configuration. Also Unreadable if the list may be incomplete (a token without
            SDN.Audit sees no bridges), and while there are unapplied changes, because Proxmox VE returns only those.
        hardware: The hardware as read over SSH; None if the endpoint does not use SSH.
    """

    name: str
    online: bool
    cpus: Reading[int]
    address: Reading[str | None]
    facts: Reading[NodeFacts]
    certificates: Reading[tuple[Certificate, ...]]
    interfaces: Reading[tuple[NodeInterface, ...]]
    hardware: Reading[NodeHardware | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagStyle:
    """`tag-style` of the datacenter: colors as {tag: 'rrggbb'}, and whether tags are case-sensitive."""

    colors: Mapping[str, str]
    case_sensitive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    A message for the administrator about something that could not be read or is wrong.

    Attributes:
        subject: The subject: 'qemu/100', 'node/pve2', 'token', 'cluster'.
        message: What happened.
        remedy: How to correct it; '' if nothing can be done.
        is_fault: Whether it is a fault in the configuration of Proxmox VE, which is reported at every run until it is
            corrected or acknowledged by a user. It is identified by subject and message.
    """

    subject: str
    message: Message
    remedy: Message = EMPTY
    is_fault: bool = False

    def as_json(self) -> dict[str, Any]:
        """The subject and the texts for JSON."""
        return {'subject': self.subject, **as_json(message=self.message, remedy=self.remedy)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """
    The result of one read of an endpoint.

    Attributes:
        version: '9.2.11'.
        cluster_name: None for a stand-alone host.
        quorate: Always True for a stand-alone host.
        guests: Sorted by type and vmid.
        guests_incomplete: None if every guest that exists is in `guests`. Otherwise the reason why the absence of a
            guest has no meaning (the token does not see all guests, no quorum, a list was refused).
        vnets: Also Unreadable if the token may not see all of them.
        not_backed_up: The ids of the guests that no backup job covers.
        calls: The number of requests to Proxmox VE.
        token_view: What the token can see; None if its privileges are not known.
        certificate: The certificate of the host that answered last.
    """

    version: str
    cluster_name: Reading[str | None]
    quorate: Reading[bool]
    nodes: tuple[Node, ...]
    guests: tuple[Guest, ...]
    guests_incomplete: Unreadable | None
    tag_style: Reading[TagStyle]
    vnets: Reading[tuple[Vnet, ...]]
    not_backed_up: Reading[frozenset[int]]
    warnings: tuple[Notice, ...]
    calls: int
    token_view: TokenView | None = None
    certificate: HostCertificate | None = None
