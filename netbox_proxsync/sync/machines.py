"""Whether a guest is still the machine that its binding was made for: Proxmox gives VM IDs away again."""

from collections.abc import Mapping
from dataclasses import replace

from ..proxmox.inventory import Guest, GuestType, known
from .state import Desired, Existing
from .values import Value

__all__ = ('identity_of', 'is_another_machine', 'set_aside_replaced')


def identity_of(guest: Guest) -> dict[str, Value]:
    """What a binding remembers to know the machine again; empty if its configuration was not read."""
    config = guest.config
    if not known(config):
        return {}
    found: dict[str, Value] = {}
    # Without the one that cannot be read, the others may look like those of another machine.
    if all(known(nic.mac) for nic in config.nics):
        found['id_macs'] = frozenset(nic.mac for nic in config.nics if nic.mac)
    if known(guest.name):
        found['id_name'] = guest.name
    if guest.type is GuestType.QEMU:
        found |= {'id_uuid': config.uuid, 'id_created': config.created}
    return {name: value for name, value in found.items() if known(value) and value}


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
    other_nics = bool(last.get('id_macs') and seen.get('id_macs')) and not last['id_macs'] & seen['id_macs']
    return other_nics and bool(uuid or created or differs(last, seen, 'id_name'))


def differs(last: Mapping[str, Value], seen: Mapping[str, Value], name: str) -> bool | None:
    """None: one of them is not known."""
    return last[name] != seen[name] if name in last and name in seen else None


def set_aside_replaced(desired: Desired, existing: Existing) -> tuple[Existing, dict[int, tuple[str, str]]]:
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
