"""
Which VLANs an interface is in, and which VLAN of NetBox each of them is.

VLANs are shared with the rest of NetBox: looked up where the endpoint says, made at need, and never changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...proxmox.inventory import Notice, known
from ..kind import Located
from ..state import Existing, Item, VlanBook, VlanHit
from ..values import Pointer, Shared, Value, show

__all__ = ('NONE', 'Membership', 'choose_vlans', 'missing_vlans', 'vlan_name')

ACCESS, TAGGED, TAGGED_ALL = 'access', 'tagged', 'tagged-all'
# A trunk of all VLANs: 2 to 4094, with or without 1.
ALL = 4093
# Of wider trunks only the VLANs that NetBox has are listed: `trunks=2-1000` must not make 999 of them.
MADE_AT_MOST = 64

type Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """
    What an interface does with VLAN tags.

    Attributes:
        mode: As in NetBox; None: it knows no VLANs.
        untagged: The VLAN id of what is untagged.
        tagged: Ranges of VLAN ids, both ends included.
    """

    mode: str | None
    untagged: int | None = None
    tagged: Ranges = ()

    @classmethod
    def of(cls, untagged: int | None = None, tagged: Ranges = ()) -> 'Membership':
        """From a tag (`tag=`) and a trunk (`trunks=`)."""
        if not tagged:
            return cls(ACCESS, untagged) if untagged else NONE
        if number_of(tagged) >= ALL:
            return cls(TAGGED_ALL, untagged)
        return cls(TAGGED, untagged, tagged)

    @classmethod
    def trunk(cls) -> 'Membership':
        """All VLANs, tagged."""
        return cls(TAGGED_ALL)

    @property
    def names_any(self) -> bool:
        """Whether single VLANs must be looked up."""
        return bool(self.untagged or self.tagged)

    def vids(self, known: Collection[int]) -> Iterator[int]:
        """The ids of the VLANs, without those of a wide trunk that are not known."""
        wide = number_of(self.tagged) > MADE_AT_MOST
        for start, end in self.tagged:
            yield from (vid for vid in range(start, end + 1) if not wide or vid in known)


NONE = Membership(None)


def number_of(ranges: Ranges) -> int:
    return sum(end - start + 1 for start, end in ranges)


def choose_vlans(items: Iterable[Item], existing: Existing, located: Located) -> list[Item]:
    """
    The items with the fields that follow from their hints: `vlans`, a Membership, and `vlan_group`, where its ids are
    looked up first. Where these are not known, the fields are left alone.
    """
    return [with_vlans(item, existing, located.get(item.kind, item.key)) if is_told(item) else item for item in items]


def is_told(item: Item) -> bool:
    membership: Membership | None = item.hints['vlans']
    return membership is not None and (known(item.hints['vlan_group']) or not membership.names_any)


def with_vlans(item: Item, existing: Existing, pointer: Pointer | None) -> Item:
    membership: Membership = item.hints['vlans']
    book, group = existing.vlans.get(item.kind, VlanBook()), item.hints['vlan_group']
    record = existing.by_pointer.get(pointer) if pointer else None
    now = record.values if record else {}
    values: dict[str, Value] = {**item.values, 'mode': membership.mode}
    problems, missing, tagged = list(item.problems), set(), set()

    untagged = find(membership.untagged, book, group, {now.get('untagged_vlan')}) if membership.untagged else ()
    if len(untagged) > 1:
        problems.append(several(membership.untagged, untagged, book))
    else:
        values['untagged_vlan'] = untagged[0] if untagged else None
        if membership.untagged and not untagged:
            missing.add(membership.untagged)

    for vid in membership.vids(book.hits):
        found = find(vid, book, group, now.get('tagged_vlans') or ())
        if len(found) == 1:
            tagged.add(found[0])
        elif found:
            problems.append(several(vid, found, book))
        else:
            missing.add(vid)
    values['tagged_vlans'] = frozenset(tagged)
    hints = {**item.hints, 'missing_vlans': frozenset(missing)}
    return replace(item, values=values, hints=hints, problems=tuple(problems), reasons=reasons_of(item, values))


def reasons_of(item: Item, values: Mapping[str, Value]) -> dict[str, str]:
    """Which rule named the group in which the VLANs were looked up."""
    if by := item.hints.get('vlan_group_by'):
        text = f'VLAN group "{show(item.hints["vlan_group"])}" by {by}'
        return {name: text for name in ('untagged_vlan', 'tagged_vlans') if values.get(name)}
    return {}


def find(vid: int, book: VlanBook, group: Pointer | None, now: Collection[Value]) -> tuple[Pointer | Shared, ...]:
    """
    What a VLAN id means: those in the group, else those of the site, else global ones. None: the one that was made for
    it, if a user has moved that elsewhere; else one to be made, if the endpoint allows. Of several, the one that the
    interface has already is meant.
    """
    hits = [hit for hit in book.hits.get(vid, ()) if hit.site in (None, book.site)]
    offered = [hit for hit in hits if hit.is_offered]
    tiers: tuple[list[VlanHit], ...] = (
        [hit for hit in hits if group and hit.group == group],
        [hit for hit in offered if hit.is_local],
        [hit for hit in offered if not hit.is_local],
    )
    found = next(filter(None, tiers), [])
    if len(found) > 1:
        found = [hit for hit in found if hit.pointer in now] or found
    if found:
        return tuple(hit.pointer for hit in found)
    new = new_vlan(vid, group, book.site)
    if made := book.made.get(new):
        return (made,)
    return (new,) if book.creates else ()


def new_vlan(vid: int, group: Pointer | None, site: Pointer | None) -> Shared:
    if group:
        place: dict[str, int | None] = {'group_id': group.pk}
    elif site:
        place = {'site_id': site.pk}
    else:
        # Not one that the same run makes in a group, which has no site either.
        place = {'group_id': None, 'site_id': None}
    # The same id is another VLAN in another place.
    within = ' '.join(f'{field} {pk}' for field, pk in place.items())
    return Shared('ipam.vlan', vlan_name(vid), (*place.items(), ('vid', vid)), within=within)


def vlan_name(vid: int) -> str:
    """What a VLAN is called that a sync makes."""
    return f'VLAN {vid}'


def several(vid: int, found: Iterable[Pointer], book: VlanBook) -> str:
    hits = {hit.pointer: hit for hit in book.hits[vid]}
    names = '; '.join(sorted(describe(hits[pointer]) for pointer in found))
    return (
        f'NetBox has several VLANs {vid} that could be meant: {names}. Choose a VLAN group on the endpoint '
        'or by a mapping rule, or give this interface the right one.'
    )


def describe(hit: VlanHit) -> str:
    place = (hit.group and f'group "{hit.group.label}"') or (hit.site and f'site "{hit.site.label}"') or 'global'
    return f'"{hit.pointer.label}", {place}'


def missing_vlans(items: Iterable[Item], whose: str) -> Iterator[Notice]:
    """One notice about all VLANs that NetBox does not have."""
    missing: Mapping[int, Item] = {vid: item for item in items for vid in item.hints.get('missing_vlans', ())}
    if missing:
        vids = ', '.join(map(str, sorted(missing)))
        yield Notice(
            subject='VLAN',
            message=f'{whose} are in VLANs that NetBox does not have: {vids}. They are shown without them.',
            remedy='Make these VLANs in NetBox, or let the endpoint create VLANs.',
        )
