"""Computes what NetBox should contain: inventory + settings -> Desired."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from ..proxmox.inventory import Guest, GuestType, Inventory, Notice
from ..proxmox.messages import Message, joined
from .guest_states import IGNORED, why_skipped
from .kind import guests_of
from .kinds import KINDS
from .mapping.missing_addresses import reading_of
from .offline_nodes import Waiting
from .rules import evaluate_all
from .settings import Settings
from .state import Desired, Item
from .values import Shared, Value, plain_lines

__all__ = ('desire',)

# The types of values that `plain_value` may change.
WITH_TEXT = (str, Shared, frozenset)


def desire(inventory: Inventory, settings: Settings, vmids: Collection[int] | None = None) -> Desired:
    """
    What NetBox should contain for this inventory under these settings. Pure.

    Args:
        vmids: The guests that the run is limited to; None: all guests, and everything else.
    """
    settings = replace(settings, decisions=evaluate_all(inventory.guests, settings.rules))
    synced = tuple(guests_of(inventory, settings))
    settings, synced_keys = replace(settings, synced=synced), {guest.key for guest in synced}
    return Desired(
        items=tuple(with_plain_lines(item) for kind in KINDS.values() for item in kind.build(inventory, settings)),
        complete=frozenset(
            (kind.name, scope) for kind in KINDS.values() for scope in kind.complete(inventory, settings)
        ),
        # The objects of an ignored guest stay unchanged even if the guest is gone from Proxmox VE.
        excluded=settings.ignored | {guest.key for guest in inventory.guests if guest.key not in synced_keys},
        notices=tuple(omissions(inventory, settings) if vmids is None else left_out(inventory, settings, vmids)),
        waiting=Waiting.of(inventory, settings.last_seen, settings.offline_since),
        readings={guest.key: reading for guest in synced if (reading := reading_of(guest)) is not None},
        only=None if vmids is None else frozenset(f'{guest_type}/{vmid}' for guest_type in GuestType for vmid in vmids),
    )


def omissions(inventory: Inventory, settings: Settings) -> Iterator[Notice]:
    """What the kinds leave out because of the settings."""
    for kind in KINDS.values():
        yield from kind.omissions(inventory, settings)


def left_out(inventory: Inventory, settings: Settings, vmids: Collection[int]) -> Iterator[Notice]:
    """Why a run that is limited to some guests does nothing about some of them."""
    there = set()
    for guest in inventory.guests:
        if guest.vmid in vmids:
            there.add(guest.vmid)
            if reason := why_left_out(guest, settings):
                yield Notice(
                    subject=guest.key,
                    message=Message('This run was to synchronize the guest, and did nothing: {reason}', reason=reason),
                )
    for vmid in sorted(set(vmids) - there):
        yield Notice(subject=str(vmid), message=not_there(inventory, vmid))


def why_left_out(guest: Guest, settings: Settings) -> Message:
    """Why a guest is not synced; '' if it is."""
    return IGNORED.reason if guest.key in settings.ignored else why_skipped(guest, settings)


def not_there(inventory: Inventory, vmid: int) -> Message:
    """Why a run found no guest with a VM ID."""
    if inventory.guests_incomplete is not None:
        return joined(
            (
                Message('Proxmox VE did not list a guest {vmid}, but the list may be incomplete.', vmid=vmid),
                inventory.guests_incomplete.reason,
            )
        )
    return Message('Proxmox VE has no guest {vmid}.', vmid=vmid)


def with_plain_lines(item: Item) -> Item:
    """The item with the line ends that `ledger.fields` reads."""
    # Numbers, times and references to other objects are not looked at one by one.
    if all(map(is_plain, [value for value in item.values.values() if isinstance(value, WITH_TEXT)])):
        return item
    return replace(item, values={name: plain_value(value) for name, value in item.values.items()})


def is_plain(value: Value) -> bool:
    """Whether `plain_value` returns the same value. Nearly every value is plain."""
    match value:
        case str():
            return '\r' not in value
        case Shared():
            return '\r' not in value.name
        case frozenset():
            return all(map(is_plain, value))
    return True


def plain_value(value: Value) -> Value:
    """The value with the line ends that `ledger.fields` reads, also within names of shared objects and within sets."""
    match value:
        case str():
            return plain_lines(value)
        case Shared():
            return replace(value, name=plain_lines(value.name))
        case frozenset():
            return frozenset(plain_value(element) for element in value)
    return value
