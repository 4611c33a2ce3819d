"""
What kinds need to know of their items and records beyond the values that are written.

A kind whose hints no other module of `sync/` uses defines them in its own module.
"""

from dataclasses import dataclass

from ..proxmox.messages import Message
from ..proxmox.readings import Reading
from .answers import Answer
from .kind import Conflict
from .mapping.vlan_membership import Membership
from .rules import NOTHING, Decision
from .state import Hints, Record
from .values import Pointer, Ref

__all__ = (
    'AddressHints',
    'AddressRecordHints',
    'Claim',
    'GuestHints',
    'GuestRecordHints',
    'InterfaceRecordHints',
    'MACRecordHints',
    'NamedRecordHints',
    'PartRecordHints',
    'PortHints',
    'PrimaryRank',
    'RuledHints',
)

# The suitability of an address as primary address; the lowest rank is the best one. See `guest_addresses`.
type PrimaryRank = tuple[bool, bool, bool, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledHints(Hints):
    """
    An item for which mapping rules apply.

    Attributes:
        decision: What the mapping rules set for the guest.
    """

    decision: Decision = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestHints(RuledHints):
    """
    A guest.

    Attributes:
        uuid: The SMBIOS UUID in lower case; None if it is not known, or for a container.
        name: In lower case; None if it could not be read.
        macs: The MAC addresses of the NICs, as far as they could be read.
        second_choices: The fields whose value comes from a less reliable source, because a better one could not be
            read.
        vmids: The VM IDs of all guests of the endpoint.
        namesakes: The keys of the other guests with the same name.
    """

    vmid: int
    uuid: str | None
    name: str | None
    macs: frozenset[str]
    second_choices: frozenset[str]
    vmids: frozenset[int]
    namesakes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortHints(Hints):
    """
    The interface of a node or a guest.

    Attributes:
        mac: None if it has none, or if it could not be read.
        vlans: None if it could not be read.
        vlan_group: The group in which VLAN IDs are looked up first.
        vlan_group_by: Which rule chose the group; None: none did.
        missing_vlans: The IDs of the VLANs that NetBox does not have; filled in by `choose_vlans`.
    """

    mac: str | None
    vlans: Membership | None
    vlan_group: Reading[Pointer | None]
    vlan_group_by: Message | None = None
    missing_vlans: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    The decision about one item that claims an address.

    Attributes:
        record: The record that it takes if it is not bound to one.
        conflict: Why it does not get the address.
        role: The role of the record that is created for it, if one is created.
    """

    record: Record | None = None
    conflict: Conflict | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressHints(RuledHints):
    """
    An IP address of a guest or node.

    Attributes:
        host: The address without its prefix length.
        interface: The interface that has the address.
        has_prefix: Whether the prefix length is known.
        is_reported: Whether the running guest or node reports the address.
        is_seen: Whether it does so on an interface that is connected and was read completely.
        is_configured: Whether the configuration contains the address.
        is_configuration_read: Whether the configuration could be read.
        is_wish: Whether the configuration only asks the guest to use the address (cloud-init).
        is_shared: Whether several nodes have the address.
        primary_rank: None if it is not known, or for an address of a node.
        excess: The hosts that the guest reports beyond the limit of addresses.
        vrf: The VRF of the address after the run; set by `IPKind.resolve_values`.
        claim: Set by `IPKind.arrange`.
        answer: What a user has decided about the address; set by `IPKind.resolve_values`.
    """

    host: str
    interface: Ref
    has_prefix: bool
    is_reported: bool
    is_seen: bool
    is_configured: bool = False
    is_configuration_read: bool = True
    is_wish: bool = False
    is_shared: bool = False
    primary_rank: PrimaryRank | None = None
    excess: frozenset[str] = frozenset()
    vrf: Pointer | None = None
    claim: Claim = Claim()
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRecordHints(Hints):
    """
    A cluster or a device.

    Attributes:
        name: In lower case.
    """

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRecordHints(NamedRecordHints):
    """
    A virtual machine.

    Attributes:
        vmid: The value of the custom field; None if it has none.
        uuid: The serial number in lower case; None if it has none.
        macs: The MAC addresses of the interfaces.
    """

    vmid: int | None
    uuid: str | None
    macs: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecordHints(Hints):
    """
    A part of a virtual machine or device.

    Attributes:
        machine: The virtual machine or device.
    """

    machine: Pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceRecordHints(PartRecordHints):
    """
    An interface of a virtual machine or device.

    Attributes:
        macs: The MAC addresses that are assigned to the interface.
    """

    macs: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MACRecordHints(Hints):
    """
    A MAC address.

    Attributes:
        is_primary: Whether the MAC address is the primary one of its interface.
        holder: The interface and its machine, for display; '' if the MAC address is not assigned.
    """

    mac: str
    is_primary: bool
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRecordHints(Hints):
    """
    An IP address.

    Attributes:
        host: The address without its prefix length.
        holder: The object that the address is assigned to, for display; '' if it is not assigned.
        machine: The virtual machine or device of that object; None if there is none.
    """

    host: str
    holder: str
    machine: Pointer | None
