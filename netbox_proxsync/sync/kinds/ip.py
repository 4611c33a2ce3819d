"""Addresses of guests and nodes -> ipam.IPAddress."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_interface

from ...proxmox.inventory import Address, AddressOrigin, Guest, Inventory, known
from ..rules import Decision
from ..settings import Settings
from ..state import Bound, Existing, Item, PrefixHit, Record
from ..values import Pointer, Ref
from .addressing import addresses_of, all_readable, ip_ref
from .base import Conflict, Field, Kind, Located, Owner, Removal, decision_of, guests_of
from .interface import interface_key
from .nodes import address_ref, addresses_are_read, addresses_of_node, interface_ref, is_node, node_key, nodes_of
from .ruling import take_back

__all__ = ('IPKind',)

STATUSES = {
    AddressOrigin.STATIC: 'active',
    AddressOrigin.OBSERVED: 'active',
    AddressOrigin.LEASED: 'dhcp',
    AddressOrigin.AUTOCONFIGURED: 'slaac',
}
ANYCAST = 'anycast'
# ipam.constants.IPADDRESS_ROLES_NONUNIQUE
SHARED_ROLES = (ANYCAST, 'vip', 'vrrp', 'hsrp', 'glbp', 'carp')
# ipam.IPAddress.dns_name
DNS_NAME, DNS_NAME_LENGTH = re.compile(r'[0-9a-z_-]+(\.[0-9a-z_-]+)*'), 255


class IPKind(Kind):
    name = 'ip'
    plural = 'IP addresses'
    model = 'ipam.ipaddress'
    removal = Removal.DELETE
    holder = 'assigned_object'
    released = {'assigned_object': None}
    fields = (
        Field('address', Owner.FACT, fixed=True),
        Field('assigned_object', Owner.FACT, fixed=True),
        Field('status', Owner.EDITORIAL),
        Field('vrf', Owner.EDITORIAL, needed=True),
        # NetBox accepts an address twice only in such a role.
        Field('role', Owner.EDITORIAL, needed=True),
        Field('dns_name', Owner.EDITORIAL),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        yield from node_addresses(inventory, settings)
        for guest in guests_of(inventory, settings):
            decision = decision_of(guest, settings)
            for nic_key, nic, address in addresses_of(guest):
                ref = ip_ref(guest, address)
                values = {
                    'address': str(address.interface),
                    'assigned_object': Ref('interface', interface_key(guest, nic_key), nic_key),
                    # The configuration, if it can be read, says how the guest came by it.
                    **({'status': status_of(address)} if nic.configured is None else {}),
                    **dns_name(guest),
                }
                yield Item(
                    kind=self.name,
                    key=ref.key,
                    unit=guest.key,
                    label=ref.label,
                    values=values,
                    hints={'host': ref.label, 'has_prefix': address.has_prefix, 'decision': decision},
                    # In which VRF it would have to be looked for is not known.
                    partial=not known(decision.vrf),
                    reasons=decision.reasons,
                )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        nodes = [node_key(node.name) for node in nodes_of(inventory, settings) if addresses_are_read(node)]
        return nodes + [guest.key for guest in guests_of(inventory, settings) if all_readable(guest)]

    def settle(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        settled = [self.settle_one(item, existing, settings) for item in items]
        return mark_rivals(settled, existing)

    def settle_one(self, item: Item, existing: Existing, settings: Settings) -> Item:
        hits = existing.prefixes.get(item.hints['host'], ())
        decided = item.hints['decision'].pick('vrf', settings.vrf)
        values = dict(item.values)
        if not known(decided):
            # Left as it is; the rest of the address depends on where it is now.
            vrf = vrf_now(item, existing)
        elif vrf := decided or vrf_of(hits):
            values['vrf'] = vrf
        if not item.hints['has_prefix']:
            values['address'] = f'{item.hints["host"]}/{prefix_length(item.hints["host"], hits, vrf)}'
        settled = replace(item, values=values, hints={**item.hints, 'vrf': vrf})
        return settled if is_ambiguous(hits) else take_back(settled, ('vrf',), existing, settings)

    def adopt(self, item: Item, existing: Existing, located: Located, settings: Settings) -> Record | Conflict | None:
        if rival := item.hints['rival']:
            return claimed_twice(item, rival)
        same = [
            record
            for record in existing.find(self.name, 'host', item.hints['host'])
            if record.values['vrf'] == item.hints['vrf'] and not is_beside(record, item, existing, located)
        ]
        ours = [record for record in same if is_free(record, item, existing, located)]
        if not same:
            return None
        return choice_of(item, ours, existing) if ours else held_elsewhere(item, same[0])

    def contest(self, item: Item, record: Record, existing: Existing, located: Located) -> Conflict | None:
        if rival := item.hints['rival']:
            return claimed_twice(item, rival)
        return None if is_free(record, item, existing, located) else held_elsewhere(item, record)


def status_of(address: Address) -> str:
    status = STATUSES[address.origin]
    # NetBox takes it of IPv6 alone (ipam.IPAddress.clean).
    return 'active' if status == 'slaac' and address.interface.version == 4 else status


def dns_name(guest: Guest) -> dict[str, str]:
    """The guest's own host name, if it was asked for and told, and NetBox accepts it (ipam.validators.DNSValidator)."""
    name = (guest.host_name or '').rstrip('.').lower() if known(guest.host_name) else ''
    return {'dns_name': name} if DNS_NAME.fullmatch(name) and len(name) <= DNS_NAME_LENGTH else {}


def node_addresses(inventory: Inventory, settings: Settings) -> Iterable[Item]:
    nodes = nodes_of(inventory, settings)
    bearers = Counter(str(found.address.ip) for node in nodes for found in addresses_of_node(node))
    for node in nodes:
        for found in addresses_of_node(node):
            ref = address_ref(node, str(found.address.ip))
            is_shared = bearers[ref.label] > 1
            yield Item(
                kind=IPKind.name,
                key=ref.key,
                unit=node_key(node.name),
                label=ref.label,
                values={
                    'address': str(found.address),
                    'assigned_object': interface_ref(node, found.interface.name),
                    'status': STATUSES[found.origin],
                    # Once given, it stays: that the others have it no longer, or are off, does not make it wrong.
                    **({'role': ANYCAST} if is_shared else {}),
                },
                # Rules are about guests.
                hints={
                    'host': ref.label,
                    'has_prefix': found.has_prefix,
                    'decision': Decision(),
                    'is_shared': is_shared,
                },
            )


def is_beside(record: Record, item: Item, existing: Existing, located: Located) -> bool:
    """
    Whether an address that several nodes have (the gateway of a virtual network, of a bridge for NAT) may stand beside
    this record of it: that of another node, or one that somebody gave a role in which an address may be there twice.
    """
    if not item.hints.get('is_shared'):
        return False
    if record.pointer in located.claimed:
        return True
    bound = existing.bound_to.get(record.pointer)
    if bound:
        return bound.unit not in (item.unit, *existing.retired) and is_node(bound.unit) and not is_lost(bound, existing)
    return record.values['assigned_object'] is not None and record.values['role'] in SHARED_ROLES


def mark_rivals(items: Sequence[Item], existing: Existing) -> Sequence[Item]:
    """
    Where several guests claim one address in one VRF, the guest that has it in NetBox keeps it, else the first one gets
    it. The others' items name that guest as their rival. Nodes may share an address.
    """
    holders: dict[tuple, Item] = {}
    for item in sorted(items, key=lambda item: (item.kind, item.key) not in existing.bindings):
        holders.setdefault((item.hints['host'], item.hints['vrf']), item)
    settled = []
    for item in items:
        holder = holders[item.hints['host'], item.hints['vrf']]
        is_together = item.hints.get('is_shared') and holder.hints.get('is_shared')
        rival = None if holder is item or is_together else holder.unit
        settled.append(replace(item, hints={**item.hints, 'rival': rival}))
    return settled


def claimed_twice(item: Item, rival: object) -> Conflict:
    return Conflict(
        f'{item.label} is claimed by {rival} as well. If both are right (a shared or overlapping address), put the '
        f'guests into different VRFs; else correct one of them.'
    )


def is_free(record: Record, item: Item, existing: Existing, located: Located) -> bool:
    """
    Whether an address may be this guest's: nothing holds it, or an interface of this guest does, or a guest of ours
    that is retired or has it no longer. A guest's claim never takes an address away from anything else.
    """
    bound = existing.bound_to.get(record.pointer)
    if bound and bound.unmanaged:
        return False
    lost = {bound.unit} if bound and is_lost(bound, existing) else set()
    if bound and bound.unit not in (item.unit, *existing.retired, *lost):
        return False
    if record.values['assigned_object'] is None:
        return True
    vm = record.hints['holder_vm']
    if vm is None:
        return False
    root = existing.bound_to.get(vm)
    own = located.get('vm', item.unit) or located.get('device', item.unit)
    return vm == own or (root is not None and root.unit in {*existing.retired, *lost})


def choice_of(item: Item, free: Sequence[Record], existing: Existing) -> Record | Conflict:
    """
    Which of several records an address takes: one that goes with this run, so that the next run finds no other choice;
    else the one that nobody holds; and that of a retired machine only if there is no other.
    """
    bounds = {record.pointer: existing.bound_to.get(record.pointer) for record in free}
    lost = [record for record in free if (bound := bounds[record.pointer]) and is_lost(bound, existing)]
    loose = [record for record in free if bounds[record.pointer] is None]
    if not lost and len(loose) > 1:
        return Conflict(f'NetBox has {len(loose)} unassigned records of {item.label}. Keep one of them.', loose[0])
    return next(iter(lost or loose or free))


def is_lost(bound: Bound, existing: Existing) -> bool:
    """Whether who had an address has it no longer."""
    return (bound.kind, bound.key) in existing.gone


def held_elsewhere(item: Item, record: Record) -> Conflict:
    return Conflict(
        f'{item.label} belongs to {record.hints["holder"]} in NetBox. If that is wrong, unassign it there; if both are '
        f'right, put them into different VRFs.',
        record,
    )


def vrf_now(item: Item, existing: Existing) -> Pointer | None:
    """The VRF of the address as it is in NetBox."""
    bound = existing.bindings.get((item.kind, item.key))
    record = existing.by_pointer.get(bound.pointer) if bound else None
    return record.values['vrf'] if record else None


def is_ambiguous(hits: Sequence[PrefixHit]) -> bool:
    """Whether the prefixes around an address are in several VRFs, so that they do not tell its own."""
    return len({hit.vrf for hit in hits}) > 1


def vrf_of(hits: Sequence[PrefixHit]) -> Pointer | None:
    """The VRF of the prefixes around an address, if they are all in one."""
    return hits[0].vrf if hits and not is_ambiguous(hits) else None


def prefix_length(host: str, hits: Sequence[PrefixHit], vrf: Pointer | None) -> int:
    """The length of the longest NetBox prefix around an address in its VRF; without one, of a host route."""
    lengths = [hit.network.prefixlen for hit in hits if hit.vrf == vrf]
    return max(lengths, default=ip_interface(host).network.prefixlen)
