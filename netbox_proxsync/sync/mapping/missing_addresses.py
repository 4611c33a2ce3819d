"""
Decides whether an address that was not found on its guest is gone, for each NIC on its own: see `state.AddressReading`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from ...proxmox.inventory import Guest, NicAddresses, Notice, known
from ...proxmox.messages import Message
from ..hints import AddressHints, AddressRecordHints
from ..kind import Absences, ResolvedObjects
from ..kind_names import GUEST, INTERFACE
from ..kinds.interface import interface_key
from ..settings import Settings
from ..state import AddressReading, Bound, Desired, Existing, Item, NicReading
from ..values import Pointer, Value, as_pointer
from .address_claims import ANYCAST, SHARED_ROLES

__all__ = (
    'ABSENT',
    'BOTH',
    'CONFIGURED',
    'SOURCE',
    'excess_of',
    'forget_absence',
    'is_wish_that_was_not_granted',
    'judge_addresses',
    'may_be_gone',
    'reading_of',
    'sources_of',
)

# The binding of an address stores the number of consecutive complete reads that did not find it, ...
ABSENT = 'id_absent'
# ... and its source, unless only the running guest reported it.
SOURCE = 'id_source'
CONFIGURED = 'configuration'
BOTH = 'configuration and guest'


class Verdict(Enum):
    """The result for one address."""

    GONE = 'gone'
    COUNTS = 'counts'  # gone after enough reads in a row
    UNKNOWN = 'unknown'  # not read, or not completely
    WAITS = 'waits'  # may have moved to an unreadable NIC of the same guest


def reading_of(guest: Guest) -> AddressReading | None:
    """The address reading of a guest; None: its configuration was not read."""
    if not (known(guest.config) and known(guest.addresses)):
        return None
    found, others = read_nics(guest), guest.guest_only
    return AddressReading(
        nics={
            interface_key(guest, key): NicReading(
                is_read=nic.running is None and known(nic.configured),
                has_addresses=any(address.reported for address in nic.addresses),
                configured=configured_hosts(nic),
            )
            for key, nic in found.items()
        },
        elsewhere=frozenset(
            str(address.interface.ip) for interface in others if interface.mac for address in interface.addresses
        )
        if known(others)
        else None,
        excess=excess_of(guest),
    )


def read_nics(guest: Guest) -> dict[str, NicAddresses]:
    """The addresses of the NICs in the configuration of a guest, by the key of the NIC; {} if they were not read."""
    if not (known(guest.config) and known(guest.addresses)):
        return {}
    return {nic.key: guest.addresses[nic.key] for nic in guest.config.nics if nic.key in guest.addresses}


def excess_of(guest: Guest) -> frozenset[str]:
    """The hosts that a guest reports beyond the limit."""
    return frozenset(str(host) for nic in read_nics(guest).values() for host in nic.excess)


def configured_hosts(nic: NicAddresses) -> frozenset[str] | None:
    """The hosts that the configuration assigns to a NIC; None: it does not state them, or cannot be read."""
    if not known(nic.configured) or nic.configured is None:
        return None
    return frozenset(map(str, nic.configured))


def sources_of(item: Item, last: Mapping[str, Value], is_bound: bool) -> str | None:
    """
    The source of an address that the binding stores. That the running guest reported it remains stored while the guest
    is off.
    """
    hints = AddressHints.of(item)
    if not hints.is_configuration_read:
        return source_in(last) if is_bound else None
    if not hints.is_configured:
        return None
    return BOTH if hints.is_reported or (is_bound and source_in(last) == BOTH) else CONFIGURED


def source_in(last: Mapping[str, Value]) -> str | None:
    """The stored source of an address; None: only the running guest."""
    source = last.get(SOURCE)
    return source if isinstance(source, str) else None


def forget_absence(last: Mapping[str, Value]) -> dict[str, Value]:
    """The stored values without the number of reads that did not find the address."""
    return {name: value for name, value in last.items() if name != ABSENT}


def is_wish_that_was_not_granted(item: Item, existing: Existing) -> bool:
    """
    Whether cloud-init requests an address, and the guest reported other addresses on that NIC when it could last be
    read.
    """
    hints = AddressHints.of(item)
    if hints.is_reported or not hints.is_wish or existing.binding(item):
        return False
    interface = existing.bindings.get((hints.interface.kind, hints.interface.key))
    if interface is None:
        return False
    sources = {
        bound.last.get(SOURCE)
        for bound in existing.bindings_of(item.kind, item.unit)
        if bound.last.get('assigned_object') == interface.pointer
    }
    return sources == {None}


def host_of(bound: Bound) -> str:
    """The host of a bound address."""
    return bound.key.rpartition('/')[2]


def judge(bound: Bound, interface: str, reading: AddressReading, is_seen_elsewhere: bool) -> Verdict:
    """
    Whether an address is gone from a guest whose configuration was read.

    Args:
        interface: The key of the interface that had it ('qemu/100/net0'); '' if it is not known.
        is_seen_elsewhere: Another guest reports it.
    """
    host, source = host_of(bound), bound.last.get(SOURCE)
    nic = reading.nics.get(interface)
    if is_seen_elsewhere or (interface and nic is None):
        return Verdict.GONE
    if nic and source and nic.configured is not None and host not in nic.configured:
        return Verdict.GONE
    if host in reading.excess:
        return Verdict.UNKNOWN
    all_read = all(entry.is_read for entry in reading.nics.values())
    if not (nic.is_read if nic else all_read):
        return Verdict.UNKNOWN
    if not all_read and (reading.elsewhere is None or host in reading.elsewhere):
        return Verdict.WAITS
    # Cloud-init only requested the address, and the guest uses others.
    return Verdict.GONE if nic and source == CONFIGURED and nic.has_addresses else Verdict.COUNTS


def may_be_gone(bound: Bound, bound_to: Mapping[Pointer, Bound], desired: Desired, seen: Iterable[str]) -> bool:
    """
    Whether `judge_addresses` may find an address to be gone, as far as the bindings alone determine it.

    Args:
        seen: The hosts that guests and nodes report.
    """
    reading = desired.readings.get(bound.unit)
    if reading is None:
        return True
    holder = as_pointer(bound.last.get('assigned_object'))
    interface = bound_to.get(holder) if holder else None
    verdict = judge(bound, interface.key if interface else '', reading, host_of(bound) in seen)
    return verdict in (Verdict.GONE, Verdict.COUNTS)


def judge_addresses(
    absent: Sequence[Bound],
    items: Sequence[Item],
    desired: Desired,
    existing: Existing,
    resolved: ResolvedObjects,
    settings: Settings,
) -> Absences:
    """Which of the addresses that were not found are gone, and which are only counted or wait."""
    interfaces: dict[Value, str] = {
        pointer: key for (kind, key), pointer in resolved.pointers.items() if kind == INTERFACE
    }
    seen: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        hints = AddressHints.of(item)
        if hints.is_seen:
            seen[hints.host].append(item)
    absences = Absences()
    for bound in absent:
        reading = desired.readings.get(bound.unit)
        if reading is None:
            # A node, or a machine whose VM ID belongs to another one: its addresses are certainly gone.
            absences.gone.add((bound.kind, bound.key))
            continue
        holder = bound.last.get('assigned_object')
        holding = existing.binding_of(holder)
        interface = interfaces.get(holder) or (holding.key if holding else '')
        claims = seen.get(host_of(bound), ())
        is_seen = any(takes(item, bound, existing, resolved) for item in claims)
        verdict = judge(bound, interface, reading, is_seen)
        number = absences_of(bound) + 1
        if verdict is Verdict.GONE or (verdict is Verdict.COUNTS and number >= settings.missing_address_reads):
            absences.gone.add((bound.kind, bound.key))
        elif verdict is Verdict.COUNTS:
            absences.remembered[bound.pk] = {**bound.last, ABSENT: number}
        elif verdict is Verdict.WAITS:
            absences.notices.append(waiting(bound, reading))
    return absences


def absences_of(bound: Bound) -> int:
    """The number of consecutive complete reads that did not find an address."""
    number = bound.last.get(ABSENT)
    return number if isinstance(number, int) else 0


def takes(item: Item, bound: Bound, existing: Existing, resolved: ResolvedObjects) -> bool:
    """Whether a guest that reports an address takes the record that is bound to another one."""
    record = existing.by_pointer.get(bound.pointer)
    hints = AddressHints.of(item)
    if record is None or record.values['vrf'] != hints.vrf or record.values['role'] == ANYCAST:
        return False
    own = resolved.get(GUEST, item.unit)
    has_own = any(
        AddressRecordHints.of(other).machine == own and other.pointer != record.pointer
        for other in existing.find(item.kind, 'host', hints.host)
    )
    return not (record.values['role'] in SHARED_ROLES and own and has_own)


def waiting(bound: Bound, reading: AddressReading) -> Notice:
    """The notice about an address that may be on a NIC that cannot be read."""
    unread = ', '.join(key.rpartition('/')[2] for key, nic in reading.nics.items() if not nic.is_read)
    return Notice(
        subject=bound.unit,
        message=Message(
            '{address} may have moved to {nics}, which cannot be read. It is left unchanged in NetBox.',
            address=host_of(bound),
            nics=unread,
        ),
        remedy=Message(
            'The page of the guest shows why that NIC cannot be read. If the address no longer exists, delete it in '
            'NetBox.'
        ),
    )
