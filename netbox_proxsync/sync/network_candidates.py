"""The prefixes and VLANs of NetBox that may be meant by addresses and VLAN IDs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from .values import Pointer, Shared

__all__ = ('PrefixCandidate', 'VlanCandidate', 'VlanIndex')


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixCandidate:
    """A prefix of NetBox that contains a wanted address."""

    network: IPv4Network | IPv6Network
    vrf: Pointer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VlanCandidate:
    """
    A VLAN of NetBox that may be meant by a VLAN ID.

    Attributes:
        is_local: It belongs to a site, a cluster, ..., itself or by the scope of its group.
        is_offered: NetBox offers it at the place of the interfaces. A VLAN that is not offered is used only if its
            group is configured.
    """

    pointer: Pointer
    group: Pointer | None
    site: Pointer | None
    is_local: bool
    is_offered: bool = True


@dataclass(frozen=True, kw_only=True)
class VlanIndex:
    """
    The VLANs that the interfaces of one kind may use.

    Attributes:
        candidates: By VLAN ID: the VLANs that NetBox offers at the place of the interfaces, and those in the groups
            that the endpoint and the rules name.
        site: The site of the interfaces. NetBox refuses untagged VLANs of other sites.
        creates: Whether missing VLANs are created.
        made: The VLANs that the endpoint created, by what they were created for, wherever a user has moved them since.
    """

    candidates: Mapping[int, tuple[VlanCandidate, ...]] = field(default_factory=dict)
    site: Pointer | None = None
    creates: bool = False
    made: Mapping[Shared, Pointer] = field(default_factory=dict)
