"""
Finds the existing virtual machine of each guest without a binding: proven, plausible (a candidate), or none.

All guests are examined together, the strongest evidence first. A machine that is proven to be one guest is no candidate
for another guest.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ...proxmox.messages import EMPTY, Message, choice_of, counted, joined, list_of
from ..answers import Choice
from ..hints import GuestHints, GuestRecordHints
from ..kind import Candidate, Conflict, ResolvedObjects
from ..kind_names import CLUSTER, GUEST
from ..kinds.cluster import CLUSTER_KEY
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Pointer, show
from .guest_names import possible_names

__all__ = ('GuestRecognition',)

UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


@dataclass(frozen=True, slots=True)
class Likeness:
    """
    Why a virtual machine may be a guest.

    Attributes:
        has_name: It has the guest's name.
        macs: The MAC addresses that both have.
        against: Evidence against it, for the user.
        uuid: The SMBIOS UUID that both have, if it is in another cluster; '' otherwise.
        is_elsewhere: It is in another cluster, or in none.
    """

    record: Record
    has_name: bool
    macs: frozenset[str]
    against: tuple[Message, ...] = ()
    uuid: str = ''
    is_elsewhere: bool = False

    @property
    def is_by_name(self) -> bool:
        """Whether it has the guest's name, is in the guest's cluster, and there is no evidence against it."""
        return self.has_name and not self.against and not self.is_elsewhere


class GuestRecognition:
    """
    Returns for each guest its virtual machine, why that is not decided (`Conflict`), or None.

    Args:
        items: The guests of the endpoint, bound or not.
        resolved: Contains the cluster of the endpoint.
    """

    def __init__(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> None:
        self.existing = existing
        self.settings = settings
        self.cluster = resolved.get(CLUSTER, CLUSTER_KEY)
        self.claimed: set[Pointer] = set()
        self.signs_elsewhere: dict[tuple[str, object], list[Record]] = {}
        for record in existing.elsewhere.get(GUEST, ()):
            if record.pointer in settings.ignored_machines:
                continue
            for sign in (
                ('uuid', GuestRecordHints.of(record).uuid),
                *(('mac', mac) for mac in GuestRecordHints.of(record).macs),
            ):
                if sign[1]:
                    self.signs_elsewhere.setdefault(sign, []).append(record)
        self.answers: dict[str, Record | Conflict] = {}
        waiting = self.decided([item for item in items if not self.is_bound(item.key)])
        for find, evidence in (
            (self.with_vmid, lambda item: Message('VM ID {vmid}', vmid=GuestHints.of(item).vmid)),
            (self.with_uuid, lambda item: Message('serial number {uuid}', uuid=GuestHints.of(item).uuid)),
            (
                self.with_name_and_mac,
                lambda item: Message('name "{name}" and a MAC address of the guest', name=GuestHints.of(item).name),
            ),
        ):
            waiting = self.prove(waiting, find, evidence)
        self.suggest(waiting)

    def __call__(self, item: Item) -> Record | Conflict | None:
        return self.answers.get(item.key)

    def is_bound(self, key: str) -> bool:
        """Whether a guest has a virtual machine by its binding, or is unmanaged."""
        bound = self.existing.bindings.get((GUEST, key))
        return bound is not None and (bound.unmanaged or bound.pointer in self.existing.by_pointer)

    # Decisions of users

    def decided(self, items: Sequence[Item]) -> list[Item]:
        """Answer for those items about which users have decided, and return the others."""
        answers = {key: answer for (kind, key), answer in self.settings.answers.items() if kind == GUEST}
        linked = {answer.pointer for answer in answers.values() if answer.choice is Choice.LINK and answer.pointer}
        # No other guest may take a machine that is linked.
        self.claimed |= linked
        undecided = []
        for item in items:
            answer = answers.get(item.key)
            if answer is None:
                undecided.append(item)
            elif answer.choice is Choice.LINK:
                record = self.existing.by_pointer.get(answer.pointer) if answer.pointer else None
                # A link to a machine that belongs to another guest meanwhile has no effect.
                if record is None or record.pointer in self.existing.bound_to:
                    undecided.append(item)
                else:
                    self.answers[item.key] = record
        return [item for item in undecided if not self.is_separate(item)]

    def is_separate(self, item: Item) -> bool:
        """Whether a user has decided that no virtual machine of NetBox is this guest."""
        answer = self.settings.answers.get((GUEST, item.key))
        return answer is not None and answer.is_separate

    # Proof

    def prove(
        self,
        items: Sequence[Item],
        find: Callable[[Item], list[Record]],
        evidence: Callable[[Item], Message],
    ) -> list[Item]:
        """Answer for those items that one kind of evidence identifies, and return the others."""
        wanted: dict[Pointer, list[Item]] = {}
        found = {item.key: find(item) for item in items}
        for item in items:
            records = found[item.key]
            if len(records) > 1:
                self.answers[item.key] = several(records, evidence(item))
            elif records:
                wanted.setdefault(records[0].pointer, []).append(item)
        for pointer, rivals in wanted.items():
            record = self.existing.by_pointer[pointer]
            self.claimed.add(pointer)
            # Copies of a machine may share a UUID, or a name and a MAC address.
            named = [item for item in rivals if GuestRecordHints.of(record).name in names_of(item)]
            if len(rivals) == 1 or len(named) == 1:
                self.answers[(named or rivals)[0].key] = record
            else:
                for item in rivals:
                    self.answers[item.key] = shared(item, rivals, record, evidence(item))
        return [item for item in items if item.key not in self.answers]

    def with_vmid(self, item: Item) -> list[Record]:
        """The unbound virtual machines with the VM ID of the guest."""
        return self.unbound('vmid', GuestHints.of(item).vmid)

    def with_uuid(self, item: Item) -> list[Record]:
        """The unbound virtual machines with the SMBIOS UUID of the guest."""
        return self.unbound('uuid', GuestHints.of(item).uuid)

    def with_name_and_mac(self, item: Item) -> list[Record]:
        """The unbound virtual machines with the name and a MAC address of the guest."""
        return [
            record
            for name in names_of(item)
            for record in self.unbound('name', name)
            if GuestRecordHints.of(record).vmid is None and GuestRecordHints.of(record).macs & GuestHints.of(item).macs
        ]

    def unbound(self, hint: str, value: object) -> list[Record]:
        """The virtual machines of this cluster that belong to no guest of the endpoint."""
        if value is None:
            return []
        return [
            record
            for record in self.existing.find(GUEST, hint, value)
            if record.values['cluster'] == self.cluster
            and record.pointer not in self.existing.bound_to
            and record.pointer not in self.settings.ignored_machines
            and record.pointer not in self.claimed
        ]

    # Candidates

    def suggest(self, items: Sequence[Item]) -> None:
        """Answer for those items that may be a virtual machine of NetBox, without proof."""
        likely = {item.key: list(self.likenesses(item)) for item in items}
        rivals: dict[Pointer, list[Item]] = {}
        for item in items:
            for likeness in likely[item.key]:
                rivals.setdefault(likeness.record.pointer, []).append(item)
        for item in items:
            found = likely[item.key]
            if not found:
                continue
            if self.may_adopt(item, found, rivals):
                self.answers[item.key] = found[0].record
                continue
            self.answers[item.key] = Conflict(
                Message('NetBox may already contain the virtual machine of "{name}".', name=item.label),
                candidates=tuple(
                    Candidate(each.record, self.explanation(item, each, found, rivals[each.record.pointer]))
                    for each in found
                ),
            )

    def likenesses(self, item: Item) -> Iterator[Likeness]:
        """Why virtual machines may be a guest."""
        names, macs = names_of(item), GuestHints.of(item).macs
        found = {
            record.pointer: record
            for hint, value in (*(('name', name) for name in names), *(('macs', mac) for mac in sorted(macs)))
            for record in self.unbound(hint, value)
            if record.pointer not in self.existing.foreign
        }
        for record in found.values():
            likeness = compare(item, record, names)
            if likeness is not None:
                yield likeness
        yield from self.elsewhere(item, names)

    def elsewhere(self, item: Item, names: Sequence[str]) -> Iterator[Likeness]:
        """Why virtual machines outside of this cluster may be a guest that has moved here."""
        signs = (('uuid', GuestHints.of(item).uuid), *(('mac', mac) for mac in sorted(GuestHints.of(item).macs)))
        found = {record.pointer: record for sign in signs for record in self.signs_elsewhere.get(sign, ())}
        for record in found.values():
            uuid = (
                GuestRecordHints.of(record).uuid if GuestRecordHints.of(record).uuid == GuestHints.of(item).uuid else ''
            )
            if not uuid and is_other_uuid(record, item):
                continue
            has_name = GuestRecordHints.of(record).name in names
            macs = GuestRecordHints.of(record).macs & GuestHints.of(item).macs
            # A container has no UUID: it needs all MAC addresses and the name.
            is_same_set = GuestRecordHints.of(record).macs == GuestHints.of(item).macs and (
                has_name or item.key.startswith('qemu/')
            )
            if uuid or is_same_set:
                yield Likeness(record, has_name, macs, uuid=uuid or '', is_elsewhere=True)

    def may_adopt(self, item: Item, found: Sequence[Likeness], rivals: dict[Pointer, list[Item]]) -> bool:
        """Whether the endpoint adopts by name, and the name, the machine and the guest are unambiguous."""
        if not self.settings.adopt_by_name or len(found) > 1 or not found[0].is_by_name:
            return False
        return len(rivals[found[0].record.pointer]) == 1 and not self.namesakes(item)

    def namesakes(self, item: Item) -> list[str]:
        """The other guests with that name that have no virtual machine of their own."""
        return [key for key in GuestHints.of(item).namesakes if not self.is_bound(key)]

    def explanation(self, item: Item, likeness: Likeness, found: Sequence[Likeness], rivals: Sequence[Item]) -> Message:
        """Why a virtual machine is a candidate, and what the user can do."""
        parts = [statement_of(likeness)]
        if likeness.against:
            parts += likeness.against
        keys = {each.key for each in rivals} | set(self.namesakes(item) if likeness.has_name else ())
        if others := sorted(keys - {item.key}):
            parts.append(Message('The virtual machine may also be {guests}.', guests=choice_of(others)))
        if len(found) > 1:
            names = sorted(f'"{other.record.pointer.label}"' for other in found if other is not likeness)
            parts.append(Message('The guest may also be {names}.', names=joined(names, ', ')))
        parts.append(
            Message(
                'No virtual machine is created for the guest until a user decides: "Link to This VM" if it is '
                'this guest, "Create Separately" if it is another machine, "Ignore This Guest" if the guest '
                'does not belong in NetBox.'
            )
        )
        if likeness.is_by_name and not (self.settings.adopt_by_name or others) and len(found) == 1:
            parts.append(Message('The endpoint setting "adopt by name" links such guests automatically.'))
        return joined(parts)


def compare(item: Item, record: Record, names: Sequence[str]) -> Likeness | None:
    """Why a virtual machine of this cluster may be a guest; None: it is not."""
    has_name = GuestRecordHints.of(record).name in names
    macs = GuestRecordHints.of(record).macs & GuestHints.of(item).macs
    if not macs and GuestRecordHints.of(record).macs and GuestHints.of(item).macs:
        return None
    against = []
    if not has_name:
        against.append(Message('However, the names differ.'))
    vmid = GuestRecordHints.of(record).vmid
    if vmid is not None and vmid != GuestHints.of(item).vmid:
        # Without a MAC address of the guest, or with the VM ID of an existing guest, it is another machine.
        if not macs or vmid in GuestHints.of(item).vmids:
            return None
        against.append(Message('However, its VM ID is {vmid}.', vmid=vmid))
    if is_other_uuid(record, item):
        against.append(
            Message(
                'However, its serial number is another SMBIOS UUID ({uuid}).', uuid=GuestRecordHints.of(record).uuid
            )
        )
    return Likeness(record, has_name, macs, tuple(against))


def is_other_uuid(record: Record, item: Item) -> bool:
    """Whether the serial number of the record is the SMBIOS UUID of another guest."""
    uuid = GuestRecordHints.of(record).uuid
    return bool(uuid and GuestHints.of(item).uuid and UUID.fullmatch(uuid) and uuid != GuestHints.of(item).uuid)


def names_of(item: Item) -> list[str]:
    """The names that the guest may have in NetBox, in lower case: its own, and its own with the VM ID."""
    name = GuestHints.of(item).name
    return [each.lower() for each in islice(possible_names(name, GuestHints.of(item).vmid), 2)] if name else []


def statement_of(likeness: Likeness) -> Message:
    """That a virtual machine may be a guest, for display."""
    label, evidence = likeness.record.pointer.label, evidence_of(likeness)
    if not likeness.is_elsewhere:
        return Message(
            'The virtual machine "{name}" may be this guest. Evidence: {evidence}.', name=label, evidence=evidence
        )
    if cluster := likeness.record.values['cluster']:
        return Message(
            'The virtual machine "{name}" of the cluster "{cluster}" may be this guest. Evidence: {evidence}.',
            name=label,
            cluster=show(cluster),
            evidence=evidence,
        )
    return Message(
        'The virtual machine "{name}" without a cluster may be this guest. Evidence: {evidence}.',
        name=label,
        evidence=evidence,
    )


def evidence_of(likeness: Likeness) -> Message:
    """The properties that both have, for display."""
    evidence = []
    if likeness.uuid:
        evidence.append(Message('SMBIOS UUID {uuid} as the serial number', uuid=likeness.uuid))
    if likeness.has_name:
        evidence.append(Message('same name'))
    if macs := sorted(likeness.macs):
        evidence.append(counted('MAC address {macs}', 'MAC addresses {macs}', len(macs), macs=joined(macs, ', ')))
    return joined(evidence, ', ')


def several(found: Sequence[Record], what: Message) -> Conflict:
    """The conflict of a guest whose evidence matches several virtual machines."""
    names = sorted(f'"{record.pointer.label}"' for record in found)
    reason = Message(
        '{number} virtual machines in this cluster may be this guest ({what}): {names}. Select "Link to This '
        'VM" for the virtual machine that is this guest.',
        number=len(found),
        what=what,
        names=joined(names, ', '),
    )
    return Conflict(EMPTY, candidates=tuple(Candidate(record, reason) for record in found))


def shared(item: Item, rivals: Sequence[Item], record: Record, what: Message) -> Conflict:
    """The conflict of several guests whose evidence matches the same virtual machine."""
    reason = Message(
        'The virtual machine "{name}" may be this guest ({what}). The same applies to {others}. No virtual '
        'machine is created for these guests until a user decides. If it is this guest, select "Link to This VM".',
        name=record.pointer.label,
        what=what,
        others=list_of(sorted(rival.key for rival in rivals if rival is not item)),
    )
    return Conflict(EMPTY, candidates=(Candidate(record, reason),))
