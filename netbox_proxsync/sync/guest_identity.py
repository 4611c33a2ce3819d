"""
Which machine a binding was created for, and whether a guest is that machine: Proxmox VE reuses VM IDs, and a machine
may return under another VM ID or in another cluster.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..proxmox.inventory import Guest, GuestType, known
from .kind_names import GUEST
from .state import Bound, Departed, Desired, Existing, Item, Record
from .values import Value, as_set

__all__ = ('identity_of_guest', 'is_another_machine', 'is_same_machine', 'rekey_replaced', 'rekey_returned')


def identity_of_guest(guest: Guest) -> dict[str, Value]:
    """The values that a binding stores to recognize the machine; empty if its configuration was not read."""
    config = guest.config
    if not known(config):
        return {}
    found: dict[str, Value] = {}
    # An incomplete set might look like that of another machine.
    macs = [nic.mac for nic in config.nics]
    if all(known(mac) for mac in macs):
        found['id_macs'] = frozenset(mac for mac in macs if known(mac) and mac)
    if known(guest.name):
        found['id_name'] = guest.name
    if guest.type is GuestType.QEMU:
        if known(config.uuid):
            found['id_uuid'] = config.uuid
        if known(config.created):
            found['id_created'] = config.created
    return {name: value for name, value in found.items() if value}


def is_another_machine(last: Mapping[str, Value], seen: Mapping[str, Value]) -> bool:
    """
    Whether the stored identity and the current one belong to different machines.

    The SMBIOS UUID and the creation time (`meta`) survive renames, migration, snapshots and restores; new guests and
    clones get new ones. Each can change alone: users edit the UUID, and old machines have no `meta`. So one equal value
    proves the same machine, and another machine is proven by both values, or by one of them and all NICs. The VM
    generation ID proves nothing: it changes with every rollback and restore. Containers have neither value; their MAC
    addresses, which Proxmox VE generates for new containers, and their names are compared. The names of their volumes
    contain the VM ID and prove nothing.

    In doubt the record is kept: the user sees a guest in which everything changed at once, and nothing is lost.
    """
    uuid, created = differs(last, seen, 'id_uuid'), differs(last, seen, 'id_created')
    if uuid is False or created is False:
        return False
    if uuid and created:
        return True
    macs, macs_now = as_set(last.get('id_macs')), as_set(seen.get('id_macs'))
    other_nics = bool(macs and macs_now) and macs.isdisjoint(macs_now)
    return other_nics and bool(uuid or created or differs(last, seen, 'id_name'))


def differs(last: Mapping[str, Value], seen: Mapping[str, Value], name: str) -> bool | None:
    """Whether a value differs; None: one of the two is not known."""
    return last[name] != seen[name] if name in last and name in seen else None


def rekey_replaced(desired: Desired, existing: Existing) -> tuple[Existing, dict[int, tuple[str, str]]]:
    """
    Give the bindings of machines whose VM ID now belongs to another machine a key of their own ('qemu/100#1'). Under
    that key they are gone from Proxmox VE.

    Returns:
        What exists under the new keys, and the new (key, unit) by the binding's pk.
    """
    moved: dict[str, str] = {}
    units = {bound.unit for bound in existing.bindings.values()}
    for item in desired.items:
        bound = existing.bindings.get((item.kind, item.key))
        if bound and item.identity and is_another_machine(bound.last, item.identity):
            moved[item.unit] = free_unit(item.unit, units)
    if not moved:
        return existing, {}
    bindings, rekeyed = {}, {}
    for bound in existing.bindings.values():
        if bound.unit in moved:
            unit = moved[bound.unit]
            bound = replace(bound, key=unit + bound.key.removeprefix(bound.unit), unit=unit)
            rekeyed[bound.pk] = (bound.key, unit)
        bindings[bound.kind, bound.key] = bound
    return replace(existing, bindings=bindings, replaced=frozenset(moved.values())), rekeyed


def free_unit(unit: str, units: set[str]) -> str:
    """A key for the unit that no binding has: 'qemu/100#1', 'qemu/100#2', ..."""
    number = 1
    while f'{unit}#{number}' in units:
        number += 1
    return f'{unit}#{number}'


def is_same_machine(last: Mapping[str, Value], seen: Mapping[str, Value]) -> bool:
    """
    Whether the stored identity proves that a guest with another VM ID, or in another cluster, is the same machine.

    A restored backup keeps the SMBIOS UUID, and the MAC addresses unless the user asks for new ones. A clone gets new
    ones. If both have a UUID, it decides; otherwise the whole set of MAC addresses does.
    """
    uuid, created = differs(last, seen, 'id_uuid'), differs(last, seen, 'id_created')
    if uuid is not None:
        # Some users set the same UUID on all machines, such as 00000000-0000-...
        return not uuid and len(set(str(seen['id_uuid']).replace('-', ''))) > 1
    macs = last.get('id_macs')
    return bool(macs) and macs == seen.get('id_macs') and not created


@dataclass(frozen=True, slots=True)
class Return:
    """
    A record whose guest is gone, and a guest without a record that is the same machine.

    Attributes:
        parts: The bindings of the record, including its own.
        departed: Set if another endpoint manages the record.
    """

    item: Item
    root: Bound
    parts: tuple[Bound, ...]
    departed: Departed | None = None

    @property
    def rank(self) -> tuple[bool, bool, datetime, int]:
        """
        For several records of one machine: the greatest rank is the best one. The same VM ID comes first, then the
        record that was found last.
        """
        has_vmid = self.departed is None and self.root.unit.partition('#')[0] == self.item.unit
        seen_until = self.root.missing_since or datetime.max.replace(tzinfo=UTC)
        return has_vmid, self.departed is None, seen_until, self.root.pk


def rekey_returned(desired: Desired, existing: Existing) -> tuple[Existing, dict[int, tuple[str, str]]]:
    """
    Give guests without a record the bindings of the records that were theirs: of guests of this endpoint that are gone,
    under any VM ID, and of retired guests of other endpoints.

    Returns:
        What exists under the new keys, and the new (key, unit) by the binding's pk.
    """
    items = [item for item in desired.items if item.kind == GUEST and is_new(item, existing)]
    returns = chosen(returns_of(items, desired, existing)) if items else []
    if not returns:
        return existing, {}
    leaving = {found.root.unit for found in returns if found.departed is None}
    arriving = {found.item.unit for found in returns}
    moved = [
        replace(bound, key=found.item.unit + bound.key.removeprefix(bound.unit), unit=found.item.unit)
        for found in returns
        for bound in found.parts
    ]
    # Existing bindings under the new keys have lost their virtual machine.
    bindings = {
        identity: bound for identity, bound in existing.bindings.items() if bound.unit not in leaving | arriving
    }
    bindings |= {(bound.kind, bound.key): bound for bound in moved}
    pointers = {bound.pointer for bound in moved}
    changed = replace(
        existing,
        bindings=bindings,
        foreign={pointer: owner for pointer, owner in existing.foreign.items() if pointer not in pointers},
        records={**existing.records, GUEST: with_departed(existing.records.get(GUEST, ()), returns)},
        replaced=existing.replaced - leaving,
        # A machine that is revived keeps the addresses that users assigned to it.
        retired_elsewhere=existing.retired_elsewhere - {found.root.pointer for found in returns},
    )
    return changed, {bound.pk: (bound.key, bound.unit) for bound in moved}


def with_departed(machines: Iterable[Record], returns: Iterable[Return]) -> list[Record]:
    """The virtual machines of the endpoint, with those that other endpoints have managed so far."""
    found = {record.pointer: record for record in machines}
    for entry in returns:
        if entry.departed:
            found.setdefault(entry.departed.record.pointer, entry.departed.record)
    return list(found.values())


def is_new(item: Item, existing: Existing) -> bool:
    """Whether enough of a guest was read and it has no record under its VM ID."""
    bound = existing.bindings.get((item.kind, item.key))
    if not item.identity or item.partial or (bound and bound.unmanaged):
        return False
    return bound is None or bound.pointer not in existing.by_pointer


def returns_of(items: Iterable[Item], desired: Desired, existing: Existing) -> Iterator[Return]:
    """For each guest without a record: the records of gone guests that are the same machine."""
    departed = {each.root.pk: each for each in existing.departed}
    known_as: dict[object, list[Bound]] = {}
    for root in (*free_roots(desired, existing), *(each.root for each in existing.departed)):
        for sign in signs_of(root.key, root.last):
            known_as.setdefault(sign, []).append(root)
    parts: dict[str, list[Bound]] = {}
    for bound in existing.bindings.values() if known_as else ():
        parts.setdefault(bound.unit, []).append(bound)
    for item in items:
        alike = {root.pk: root for sign in signs_of(item.key, item.identity) for root in known_as.get(sign, ())}
        for root in alike.values():
            other = departed.get(root.pk)
            if other is None and is_same_machine(root.last, item.identity):
                yield Return(item, root, tuple(parts[root.unit]))
            elif other and has_moved(root.last, item):
                yield Return(item, root, (root, *other.parts), other)


def signs_of(key: str, identity: Mapping[str, Value]) -> Iterator[object]:
    """The keys under which machines are looked up; `is_same_machine` then decides."""
    guest_type = key.partition('/')[0]
    return ((guest_type, name, identity[name]) for name in ('id_uuid', 'id_macs') if identity.get(name))


def free_roots(desired: Desired, existing: Existing) -> Iterator[Bound]:
    """The bindings of this endpoint whose guests are gone, so that their records may belong to other guests."""
    wanted = {item.unit for item in desired.items}
    for bound in existing.bindings.values():
        if bound.kind == GUEST and is_free(bound, wanted, desired, existing):
            yield bound


def is_free(bound: Bound, wanted: set[str], desired: Desired, existing: Existing) -> bool:
    """Whether the guest of a binding is gone."""
    if bound.unmanaged or bound.unit in wanted or bound.unit in desired.excluded:
        return False
    if bound.pointer not in existing.by_pointer:
        return False
    if bound.missing_since is None and desired.waiting.nodes_of(bound.unit):
        # It may exist on a node that is offline.
        return False
    is_retired = bound.missing_since is not None or bound.unit in existing.replaced
    return is_retired or (GUEST, bound.key.partition('/')[0]) in desired.complete


def has_moved(last: Mapping[str, Value], item: Item) -> bool:
    """Whether a guest is the machine that is gone from another cluster. Containers also need the same name."""
    if not is_same_machine(last, item.identity):
        return False
    return differs(last, item.identity, 'id_uuid') is False or last.get('id_name') == item.identity.get('id_name')


def chosen(returns: Iterable[Return]) -> list[Return]:
    """
    One record per guest, and one guest per record. If several guests may be one machine (two copies of a backup), the
    one with the same VM ID is chosen, otherwise the only one with the same name, otherwise none.
    """
    best: dict[str, Return] = {}
    for found in returns:
        current = best.get(found.item.key)
        if current is None or found.rank > current.rank:
            best[found.item.key] = found
    claims: dict[int, list[Return]] = {}
    for found in best.values():
        claims.setdefault(found.root.pk, []).append(found)
    return [winner for rivals in claims.values() if (winner := winner_of(rivals))]


def winner_of(rivals: Sequence[Return]) -> Return | None:
    """The guest that gets the record; None: it is not clear which one."""
    if len(rivals) == 1:
        return rivals[0]
    for narrowed in (
        [found for found in rivals if found.rank[0]],
        [found for found in rivals if found.root.last.get('id_name') == found.item.identity.get('id_name')],
    ):
        if len(narrowed) == 1:
            return narrowed[0]
    return None
