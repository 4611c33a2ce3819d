"""Which name each guest bears in NetBox, where names are unique per cluster and tenant and Proxmox's are not."""

from collections.abc import Sequence

from ..state import Existing, Item, Record
from ..values import Value
from .base import Located, Owner

__all__ = ('NAME_LENGTH', 'free_names')

# virtualization.VirtualMachine.name
NAME_LENGTH = 64


def free_names(items: Sequence[Item], existing: Existing, located: Located, owner: Owner | None) -> dict[str, str]:
    """
    The name of each guest whose name is known, by key.

    Where a name is taken, its holder keeps it and the other becomes 'name (vmid)'. The holder is whoever bears it in
    NetBox already, else the guest with the lower VM ID; so names are stable from run to run. NetBox compares names
    without regard to case.

    Args:
        owner: Whose names are; None: they are ignored, so all that are there stay.
    """
    holders = {
        item.key: existing.by_pointer.get(pointer)
        for item in items
        if (pointer := located.get(item.kind, item.key)) is not None
    }
    ours = {record.pointer for record in holders.values() if record}
    taken = {place(record) for record in existing.records.get('vm', ()) if record.pointer not in ours}
    taken |= {place(record) for key, record in holders.items() if record and is_kept(key, record, existing, owner)}

    names = {}
    named = [item for item in items if 'name' in item.values]
    for item in sorted(named, key=lambda item: (not bears_it(item, holders.get(item.key)), item.hints['vmid'])):
        name, holder = str(item.values['name']), holders.get(item.key)
        if not (holder and is_kept(item.key, holder, existing, owner)):
            tenant = holder.values['tenant'] if holder else item.values.get('tenant')
            if (name.lower(), tenant) in taken:
                name = suffixed(name, item.hints['vmid'])
            taken.add((name.lower(), tenant))
        names[item.key] = name
    return names


def suffixed(name: str, vmid: object) -> str:
    suffix = f' ({vmid})'
    return name[: NAME_LENGTH - len(suffix)].rstrip() + suffix


def place(record: Record) -> tuple[str, Value]:
    return str(record.values['name']).lower(), record.values['tenant']


def bears_it(item: Item, holder: Record | None) -> bool:
    """Whether the guest bears its plain name in NetBox now."""
    return holder is not None and holder.values['name'] == item.values['name']


def is_kept(key: str, record: Record, existing: Existing, owner: Owner | None) -> bool:
    """Whether the record's name is a person's, which a sync leaves as it is."""
    if owner is not Owner.EDITORIAL:
        return owner is None
    bound = existing.bindings.get(('vm', key))
    return record.values['name'] != bound.last.get('name') if bound else bool(record.values['name'])
