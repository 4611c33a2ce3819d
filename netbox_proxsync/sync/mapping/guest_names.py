"""The names of guests in NetBox, where they are unique per cluster and tenant. In Proxmox VE they need not be."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from ..hints import GuestHints
from ..kind import Owner, ResolvedObjects
from ..kind_names import GUEST
from ..state import Existing, Item, Record
from ..values import Value

__all__ = ('NAME_LENGTH', 'free_names', 'possible_names')

# virtualization.VirtualMachine.name
NAME_LENGTH = 64


def free_names(
    items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, owner: Owner | None
) -> dict[str, str]:
    """
    The name of each guest whose name is known, by key.

    If a name is used twice, its holder keeps it and the other becomes 'name (vmid)'. The holder is the guest that has
    the name in NetBox already, otherwise the one with the lower VM ID, so that names are stable from run to run. NetBox
    compares names without regard to case.

    Args:
        owner: The owner of names; None: names are ignored, so the existing ones stay.
    """
    holders = {item.key: record for item in items if (record := existing.record_of(resolved.get(item.kind, item.key)))}
    kept = {key for key, record in holders.items() if is_kept(key, record, existing, owner)}
    named = [item for item in items if 'name' in item.values]
    unchanged = kept | (holders.keys() - {item.key for item in named})
    taken = taken_names(holders, unchanged, existing)
    names = {}
    for item in sorted(named, key=lambda item: (not bears_it(item, holders.get(item.key)), GuestHints.of(item).vmid)):
        name = str(item.values['name'])
        if item.key not in kept:
            tenant = tenant_of(item, holders.get(item.key), existing)
            candidates = possible_names(name, GuestHints.of(item).vmid)
            name = next(free for free in candidates if (free.lower(), tenant) not in taken)
            taken.add((name.lower(), tenant))
        names[item.key] = name
    return names


def taken_names(
    holders: Mapping[str, Record], unchanged: Collection[str], existing: Existing
) -> set[tuple[str, Value]]:
    """
    The names, with their tenants, that no guest can be given.

    Args:
        holders: The virtual machines of the guests, by the guest's key.
        unchanged: The keys of the guests whose virtual machines keep their names.
    """
    guests = {record.pointer: key for key, record in holders.items()}
    others = (
        record
        for record in existing.records.get(GUEST, ())
        if record.pointer not in guests and record.pointer not in existing.expired
    )
    return {name_scope(record) for record in (*others, *(holders[key] for key in unchanged))}


def possible_names(name: str, vmid: int) -> Iterator[str]:
    """The name, then the name with the VM ID, then (a retired guest with that VM ID may have it) with a number."""
    yield name
    suffix, number = f' ({vmid})', 1
    while True:
        yield name[: NAME_LENGTH - len(suffix)].rstrip() + suffix
        number += 1
        suffix = f' ({vmid}) {number}'


def tenant_of(item: Item, holder: Record | None, existing: Existing) -> Value:
    """The tenant of the guest after the run: the wanted one, unless a user chose another one."""
    want = item.values.get('tenant')
    if holder is None:
        return want
    now, bound = holder.values['tenant'], existing.binding(item)
    last = bound.last if bound else {}
    is_persons = now != last['tenant'] if 'tenant' in last else now is not None
    return now if is_persons or 'tenant' not in item.values else want


def name_scope(record: Record) -> tuple[str, Value]:
    """What is unique of a virtual machine in its cluster: its name in lower case, and its tenant."""
    return str(record.values['name']).lower(), record.values['tenant']


def bears_it(item: Item, holder: Record | None) -> bool:
    """Whether the guest has its plain name in NetBox now."""
    return holder is not None and holder.values['name'] == item.values['name']


def is_kept(key: str, record: Record, existing: Existing, owner: Owner | None) -> bool:
    """Whether the name of the record belongs to a user, so that a sync does not change it."""
    if owner is not Owner.EDITORIAL:
        return owner is None
    bound = existing.bindings.get((GUEST, key))
    return record.values['name'] != bound.last.get('name') if bound else bool(record.values['name'])
