"""Addresses of guests and nodes -> ipam.IPAddress."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_interface

from ...proxmox.inventory import Address, AddressOrigin, Guest, GuestType, Inventory, known
from ...proxmox.messages import Message, gettext_noop
from ..answers import Choice
from ..hints import AddressHints, AddressRecordHints
from ..kind import Absences, Conflict, Field, Kind, Owner, Removal, ResolvedObjects, decision_of, guests_of
from ..kind_names import ADDRESS, INTERFACE
from ..mapping.address_claims import (
    ANYCAST,
    decide_claims,
    held_elsewhere,
    is_free,
    may_stand_beside,
    one_of,
    with_claims,
)
from ..mapping.guest_addresses import addresses_of, ip_ref, primary_ranks
from ..mapping.missing_addresses import (
    SOURCE,
    excess_of,
    forget_absence,
    is_wish_that_was_not_granted,
    judge_addresses,
    sources_of,
)
from ..mapping.nodes import address_ref, addresses_are_read, addresses_of_node, interface_ref, node_key, nodes_of
from ..mapping.rule_outcomes import take_back
from ..network_candidates import PrefixCandidate
from ..settings import Settings
from ..state import Bound, Desired, Existing, Item, Record
from ..values import Pointer, Ref, Value, as_pointer
from .interface import interface_key

__all__ = ('IPKind',)

STATUSES = {
    AddressOrigin.STATIC: 'active',
    AddressOrigin.OBSERVED: 'active',
    AddressOrigin.LEASED: 'dhcp',
    AddressOrigin.AUTOCONFIGURED: 'slaac',
}
# ipam.IPAddress.dns_name
DNS_NAME, DNS_NAME_LENGTH = re.compile(r'[0-9a-z_-]+(\.[0-9a-z_-]+)*'), 255


class IPKind(Kind):
    """The addresses of guests and nodes."""

    name = ADDRESS
    label = gettext_noop('IP address')
    plural = Message('IP addresses')
    model = 'ipam.ipaddress'
    removal = Removal.DELETE
    holder = 'assigned_object'
    released = {'assigned_object': None}
    fields = (
        Field('address', Owner.FACT, fixed=True),
        Field('assigned_object', Owner.FACT, fixed=True),
        Field('status', Owner.EDITORIAL),
        Field('vrf', Owner.EDITORIAL, needed=True),
        # NetBox accepts several records of an address only with certain roles.
        Field('role', Owner.EDITORIAL, needed=True),
        Field('dns_name', Owner.EDITORIAL),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """
        Yield the addresses of the nodes and the guests. VRFs and missing prefix lengths are added by `resolve_values`.
        """
        yield from node_addresses(inventory, settings)
        for guest in guests_of(inventory, settings):
            decision = decision_of(guest, settings)
            reasons = decision.reasons
            # A NIC whose link state cannot be read may be disconnected.
            nics = guest.config.nics if known(guest.config) else ()
            link_down = {nic.key for nic in nics if nic.link_down is not False}
            ranks, excess = primary_ranks(guest), excess_of(guest)
            for nic_key, nic, address in addresses_of(guest):
                ref = ip_ref(guest, address)
                is_static = address.origin is AddressOrigin.STATIC
                interface = Ref(INTERFACE, interface_key(guest, nic_key), nic_key)
                values: dict[str, Value] = {
                    'address': str(address.interface),
                    'assigned_object': interface,
                    # The configuration determines how the guest got the address.
                    **({'status': status_of(address)} if known(nic.configured) else {}),
                    **dns_name(guest),
                }
                yield Item(
                    kind=self.name,
                    key=ref.key,
                    unit=guest.key,
                    label=ref.label,
                    values=values,
                    hints=AddressHints(
                        host=ref.label,
                        interface=interface,
                        has_prefix=address.has_prefix,
                        decision=decision,
                        is_reported=address.reported,
                        is_seen=address.reported and nic.running is None and nic_key not in link_down,
                        is_configured=is_static,
                        is_configuration_read=known(nic.configured),
                        is_wish=is_static and guest.type is GuestType.QEMU,
                        primary_rank=ranks.get(ref.key),
                        excess=excess,
                    ),
                    # Without its VRF, the address cannot be looked up.
                    partial=not known(decision.vrf),
                    reasons=reasons,
                )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The nodes whose addresses were read, and the guests whose configurations were read."""
        # Completeness is decided per NIC: see `judge`.
        nodes = [node_key(node.name) for node in nodes_of(inventory, settings) if addresses_are_read(node)]
        guests = guests_of(inventory, settings)
        return nodes + [guest.key for guest in guests if known(guest.config) and known(guest.addresses)]

    def resolve_values(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        """
        Add VRFs and prefix lengths. Leave out addresses that were only configured and never received, and those beyond
        the limit per guest.
        """
        settled = [self.resolve_one(item, existing, settings) for item in items]
        wanted = [item for item in settled if not is_wish_that_was_not_granted(item, existing)]
        return within_limit(wanted, existing, settings.address_limit)

    def resolve_one(self, item: Item, existing: Existing, settings: Settings) -> Item:
        """The item with its VRF and its prefix length."""
        hints, answer = AddressHints.of(item), settings.answers.get((self.name, item.key))
        candidates = existing.prefixes.get(hints.host, ())
        decided = hints.decision.value_for('vrf', settings.vrf)
        if answer and answer.choice is Choice.VRF:
            item = replace(item, values={**item.values, 'vrf': answer.pointer})
        elif known(decided) and (wanted := decided or vrf_of(candidates)):
            item = replace(item, values={**item.values, 'vrf': wanted})
        if not is_ambiguous(candidates):
            item = take_back(item, ('vrf',), existing, settings)
        vrf = vrf_then(item, existing)
        if not hints.has_prefix:
            address = f'{hints.host}/{prefix_length(hints.host, candidates, vrf)}'
            item = replace(item, values={**item.values, 'address': address})
        if vrf is None and answer is None:
            return item
        return replace(item, hints=replace(hints, vrf=vrf, answer=answer))

    def judge(
        self,
        absent: Sequence[Bound],
        items: Sequence[Item],
        desired: Desired,
        existing: Existing,
        resolved: ResolvedObjects,
        settings: Settings,
    ) -> Absences:
        """Decide for each NIC whether its sources were read well enough that an address is gone."""
        return judge_addresses(absent, items, desired, existing, resolved, settings)

    def arrange(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Decide which item may have the record of an address that several guests or nodes have."""
        return tuple(with_claims(items, decide_claims(items, existing, resolved, settings)))

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """The record that the item was granted by `arrange`; a shared address of nodes has one record for each node."""
        hints = AddressHints.of(item)
        if not hints.is_shared:
            return hints.claim.conflict or hints.claim.record
        return hints.claim.conflict or adopt_beside(item, existing, resolved)

    def missing_policy(self, settings: Settings) -> str:
        """The endpoint's choice for missing addresses."""
        return settings.missing_addresses

    def machine_of(self, record: Record) -> Pointer | None:
        """The virtual machine or device of the interface to which the address is assigned."""
        return AddressRecordHints.of(record).machine

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Add the role that NetBox requires of several records of one address."""
        return [with_role(item, resolved) for item in items]

    def memory(self, item: Item, last: Mapping[str, Value], is_bound: bool) -> dict[str, Value]:
        """Also store the sources of the address, and no longer the number of reads that did not find it."""
        source = sources_of(item, last, is_bound)
        kept = {name: value for name, value in forget_absence(last).items() if name != SOURCE}
        return {**kept, **item.identity, **({SOURCE: source} if source else {})}

    def verify_binding(
        self, item: Item, record: Record, existing: Existing, resolved: ResolvedObjects
    ) -> Conflict | None:
        """Refuse a record that a user assigned elsewhere, or unassigned while the interface has another one."""
        claim = AddressHints.of(item).claim
        if claim.conflict:
            return claim.conflict
        if claim.record is record or is_free(record, item, existing, resolved):
            return two_records(item, record, existing, resolved)
        return held_elsewhere(item, record)


def with_role(item: Item, resolved: ResolvedObjects) -> Item:
    """The item with the role that allows several records of its address, if a record is created for it."""
    role = AddressHints.of(item).claim.role
    if role is None or resolved.get(item.kind, item.key) is not None:
        return item
    return replace(item, values={**item.values, 'role': role})


def two_records(item: Item, record: Record, existing: Existing, resolved: ResolvedObjects) -> Conflict | None:
    """Why a record that a user unassigned is not assigned again: the interface has another record of the address."""
    if record.values['assigned_object'] is not None:
        return None
    hints = AddressHints.of(item)
    interface = resolved.get(hints.interface.kind, hints.interface.key)
    for other in existing.find(item.kind, 'host', hints.host):
        if interface and other.pointer != record.pointer and other.values['assigned_object'] == interface:
            return Conflict(
                Message(
                    'NetBox has another record of {address} on the same interface. Delete one of '
                    'them: either that one, or the unassigned one that this sync manages.',
                    address=item.label,
                ),
                other,
            )
    return None


def adopt_beside(item: Item, existing: Existing, resolved: ResolvedObjects) -> Record | Conflict | None:
    """The record of an address that several nodes have."""
    hints = AddressHints.of(item)
    same = [
        record
        for record in existing.find(item.kind, 'host', hints.host)
        if record.values['vrf'] == hints.vrf and not may_stand_beside(record, item, existing, resolved)
    ]
    free = [record for record in same if is_free(record, item, existing, resolved)]
    if not same:
        return None
    if not free:
        return held_elsewhere(item, same[0])
    claim = one_of(item, free, existing)
    return claim.conflict or claim.record


def within_limit(items: Sequence[Item], existing: Existing, limit: int) -> list[Item]:
    """
    The items without new ones beyond the limit of addresses per guest. Existing addresses stay, so that every run makes
    the same choice.
    """
    units: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        units[item.unit].append(item)
    left: set[str] = set()
    for unit, own in units.items():
        bound = existing.bindings_of(IPKind.name, unit)
        new = [item for item in own if (item.kind, item.key) not in existing.bindings]
        if new and len(bound) + len(new) > limit:
            excess = AddressHints.of(own[0]).excess
            kept = len(own) - len(new) + sum(entry.key.rpartition('/')[2] in excess for entry in bound)
            left.update(item.key for item in new[max(limit - kept, 0) :])
    return [item for item in items if item.key not in left]


def status_of(address: Address) -> str:
    """The status of an address in NetBox."""
    status = STATUSES[address.origin]
    # NetBox accepts 'slaac' only for IPv6 (ipam.IPAddress.clean).
    return 'active' if status == 'slaac' and address.interface.version == 4 else status


def dns_name(guest: Guest) -> dict[str, str]:
    """The hostname that the guest reports, if NetBox accepts it (ipam.validators.DNSValidator)."""
    name = (guest.host_name or '').rstrip('.').lower() if known(guest.host_name) else ''
    return {'dns_name': name} if DNS_NAME.fullmatch(name) and len(name) <= DNS_NAME_LENGTH else {}


def node_addresses(inventory: Inventory, settings: Settings) -> Iterable[Item]:
    """The addresses of the nodes."""
    nodes = nodes_of(inventory, settings)
    bearers = Counter(str(found.address.ip) for node in nodes for found in addresses_of_node(node))
    for node in nodes:
        for found in addresses_of_node(node):
            ref = address_ref(node, str(found.address.ip))
            is_shared = bearers[ref.label] > 1
            interface = interface_ref(node, found.interface.name)
            yield Item(
                kind=IPKind.name,
                key=ref.key,
                unit=node_key(node.name),
                label=ref.label,
                values={
                    'address': str(found.address),
                    'assigned_object': interface,
                    'status': STATUSES[found.origin],
                    # The role is not removed when the other nodes lose the address, because they may only be off.
                    **({'role': ANYCAST} if is_shared else {}),
                },
                hints=AddressHints(
                    host=ref.label,
                    interface=interface,
                    has_prefix=found.has_prefix,
                    is_shared=is_shared,
                    is_reported=True,
                    is_seen=True,
                ),
            )


def vrf_then(item: Item, existing: Existing) -> Pointer | None:
    """The VRF of the address after the run: the one that a user chose, otherwise the wanted one."""
    bound, record = existing.binding(item), existing.bound_record(item)
    if bound is None or record is None:
        return as_pointer(item.values.get('vrf'))
    now = record.values['vrf']
    is_ours = 'vrf' in item.values and now == bound.last.get('vrf')
    return as_pointer(item.values['vrf'] if is_ours else now)


def is_ambiguous(candidates: Sequence[PrefixCandidate]) -> bool:
    """Whether the prefixes around an address are in several VRFs, so that they do not determine its VRF."""
    return len({candidate.vrf for candidate in candidates}) > 1


def vrf_of(candidates: Sequence[PrefixCandidate]) -> Pointer | None:
    """The VRF of the prefixes around an address, if they are all in one."""
    return candidates[0].vrf if candidates and not is_ambiguous(candidates) else None


def prefix_length(host: str, candidates: Sequence[PrefixCandidate], vrf: Pointer | None) -> int:
    """The length of the longest NetBox prefix around an address in its VRF; without one, that of a host route."""
    lengths = [candidate.network.prefixlen for candidate in candidates if candidate.vrf == vrf]
    return max(lengths, default=ip_interface(host).network.prefixlen)
