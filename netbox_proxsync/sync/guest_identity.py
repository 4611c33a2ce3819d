"""
Which machine a binding was made for, and whether a guest is that machine: Proxmox gives VM IDs away again, and a
machine may return under another VM ID or in another cluster.
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
    """What a binding remembers to know the machine again; empty if its configuration was not read."""
    config = guest.config
    if not known(config):
        return {}
    found: dict[str, Value] = {}
    # Without the one that cannot be read, the others may look like those of another machine.
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
    Whether what was remembered and what is seen now are two machines.

    The SMBIOS UUID and the time of creation (`meta`) are kept by renames, migration, snapshots and restores, and are
    new in what is created or cloned. Each can change alone: the UUID is edited by people, `meta` is missing in old
    machines. So one that is equal proves the same machine, and it takes both, or one and all NICs, to prove another.
    The VM generation id proves nothing: it changes whenever a snapshot is rolled back or a backup restored. Containers
    have neither; theirs are the MAC addresses, which Proxmox makes anew for what is created, and the name. Their
    volumes are named by the VM ID, so they tell nothing.

    A doubt keeps the record: a person sees a guest that changed at once in everything, and nothing is lost.
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
    """None: one of them is not known."""
    return last[name] != seen[name] if name in last and name in seen else None


def rekey_replaced(desired: Desired, existing: Existing) -> tuple[Existing, dict[int, tuple[str, str]]]:
    """
    Give the bindings of machines whose VM ID another one has now a key of their own ('qemu/100#1'), as which they are
    gone from Proxmox.

    Returns:
        What exists under these keys, and the new (key, unit) by the binding's pk.
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
    number = 1
    while f'{unit}#{number}' in units:
        number += 1
    return f'{unit}#{number}'


def is_same_machine(last: Mapping[str, Value], seen: Mapping[str, Value]) -> bool:
    """
    Whether what was remembered proves that a guest with another VM ID, or in another cluster, is the same machine.

    A restored backup keeps the SMBIOS UUID, and its MAC addresses unless the user asks for new ones. A clone has new
    ones. Where both have a UUID it decides; else the whole set of MAC addresses does.
    """
    uuid, created = differs(last, seen, 'id_uuid'), differs(last, seen, 'id_created')
    if uuid is not None:
        # Some users give all machines the same one, such as 00000000-0000-...
        return not uuid and len(set(str(seen['id_uuid']).replace('-', ''))) > 1
    macs = last.get('id_macs')
    return bool(macs) and macs == seen.get('id_macs') and not created


@dataclass(frozen=True, slots=True)
class Return:
    """
    A record whose guest is gone, and a guest without a record that is the same machine.

    Attributes:
        parts: The bindings of the record, its own included.
        departed: Set if another endpoint keeps the record.
    """

    item: Item
    root: Bound
    parts: tuple[Bound, ...]
    departed: Departed | None = None

    @property
    def rank(self) -> tuple[bool, bool, datetime, int]:
        """The better of two records of one machine is the greater: of the same VM ID, then the one seen last."""
        has_vmid = self.departed is None and self.root.unit.partition('#')[0] == self.item.unit
        seen_until = self.root.missing_since or datetime.max.replace(tzinfo=UTC)
        return has_vmid, self.departed is None, seen_until, self.root.pk


def rekey_returned(desired: Desired, existing: Existing) -> tuple[Existing, dict[int, tuple[str, str]]]:
    """
    Give guests without a record the bindings of the records that were theirs: of guests of this endpoint that are gone,
    under whatever VM ID they were known, and of retired guests of other endpoints.

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
    # What is bound under the new keys has lost its virtual machine.
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
    """Whether a guest, of which enough was read, has no record under its VM ID."""
    bound = existing.bindings.get((item.kind, item.key))
    if not item.identity or item.partial or (bound and bound.unmanaged):
        return False
    return bound is None or bound.pointer not in existing.by_pointer


def returns_of(items: Iterable[Item], desired: Desired, existing: Existing) -> Iterator[Return]:
    """For each guest without a record: the records of guests that are gone and that are the same machine."""
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
    """By what a machine is looked up; whether it is the same one, `is_same_machine` says."""
    guest_type = key.partition('/')[0]
    return ((guest_type, name, identity[name]) for name in ('id_uuid', 'id_macs') if identity.get(name))


def free_roots(desired: Desired, existing: Existing) -> Iterator[Bound]:
    """The bindings of this endpoint whose guests are gone, so that their records may be those of other guests."""
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
        # It may be on a node that is offline, and then it is not gone.
        return False
    is_retired = bound.missing_since is not None or bound.unit in existing.replaced
    return is_retired or (GUEST, bound.key.partition('/')[0]) in desired.complete


def has_moved(last: Mapping[str, Value], item: Item) -> bool:
    """Whether a guest is the same machine as one that is gone from another cluster. A container needs its name, too."""
    if not is_same_machine(last, item.identity):
        return False
    return differs(last, item.identity, 'id_uuid') is False or last.get('id_name') == item.identity.get('id_name')


def chosen(returns: Iterable[Return]) -> list[Return]:
    """
    One record for each guest, and one guest for each record. Where several guests may be one machine (two copies of a
    backup), it is the one of the same VM ID, else the only one of the same name; else none of them.
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
    if len(rivals) == 1:
        return rivals[0]
    for narrowed in (
        [found for found in rivals if found.rank[0]],
        [found for found in rivals if found.root.last.get('id_name') == found.item.identity.get('id_name')],
    ):
        if len(narrowed) == 1:
            return narrowed[0]
    return None
