"""
The VLANs of NetBox that an interface belongs to.

VLANs are shared with the rest of NetBox: looked up as the endpoint specifies, created if necessary, and never changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from ...proxmox.inventory import Notice, known
from ...proxmox.messages import Message, joined
from ..hints import PortHints
from ..kind import ResolvedObjects
from ..network_candidates import VlanCandidate, VlanIndex
from ..state import Existing, Item
from ..values import Pointer, Shared, Value, as_set, show

__all__ = ('choose_vlans', 'missing_vlans', 'vlan_name')


def choose_vlans(items: Iterable[Item], existing: Existing, resolved: ResolvedObjects) -> list[Item]:
    """
    The items with the fields that follow from the VLANs and the VLAN group in their hints. Where these are not known,
    the fields stay unchanged.
    """
    return [with_vlans(item, existing, resolved) for item in items]


def with_vlans(item: Item, existing: Existing, resolved: ResolvedObjects) -> Item:
    """The item with its VLAN fields."""
    hints = PortHints.of(item)
    membership, group = hints.vlans, hints.vlan_group
    if membership is None:
        return item
    if not known(group):
        if membership.names_any:
            return item
        group = None
    index = existing.vlans.get(item.kind, VlanIndex())
    record = existing.record_of(resolved.get(item.kind, item.key))
    now = record.values if record else {}
    lookup = Lookup(index, group)
    values: dict[str, Value] = {**item.values, 'mode': membership.mode}
    if not membership.untagged:
        values['untagged_vlan'] = None
    elif len(untagged := lookup.find(membership.untagged, {now.get('untagged_vlan')})) < 2:
        values['untagged_vlan'] = next(iter(untagged), None)
    tagged_now = as_set(now.get('tagged_vlans'))
    tagged = [lookup.find(vid, tagged_now) for vid in membership.vids(index.candidates)]
    values['tagged_vlans'] = frozenset(found[0] for found in tagged if len(found) == 1)
    return replace(
        item,
        values=values,
        hints=replace(hints, missing_vlans=frozenset(lookup.missing)) if lookup.missing else hints,
        problems=(*item.problems, *lookup.problems),
        reasons=reasons_of(hints, values),
    )


def reasons_of(hints: PortHints, values: Mapping[str, Value]) -> dict[str, Message]:
    """Which rule set the group in which the VLANs were looked up."""
    if (by := hints.vlan_group_by) and known(hints.vlan_group):
        text = Message('VLAN group "{group}" by {rule}', group=show(hints.vlan_group), rule=by)
        return {name: text for name in ('untagged_vlan', 'tagged_vlans') if values.get(name)}
    return {}


class Lookup:
    """
    Looks up the VLANs of one interface.

    Attributes:
        missing: The VLAN IDs without a VLAN in NetBox.
        problems: Messages for the user: the VLAN IDs that may mean several VLANs.
    """

    def __init__(self, index: VlanIndex, group: Pointer | None) -> None:
        self.index = index
        self.group = group
        self.missing: set[int] = set()
        self.problems: list[Message] = []

    def find(self, vid: int, now: Collection[Value]) -> tuple[Pointer | Shared, ...]:
        """
        The VLAN that an ID means: an existing one, otherwise the one that was created for it (a user may have moved
        it), otherwise a new one, if the endpoint creates VLANs. Several, if it is not certain which one.

        Args:
            now: The VLANs of the interface. One of these is preferred.
        """
        found = self.existing(vid)
        if len(found) > 1:
            found = [candidate for candidate in found if candidate.pointer in now] or found
        if len(found) > 1:
            self.problems.append(several(vid, found))
        if found:
            return tuple(candidate.pointer for candidate in found)
        new = new_vlan(vid, self.group, self.index.site)
        if made := self.index.made.get(new):
            return (made,)
        if self.index.creates:
            return (new,)
        self.missing.add(vid)
        return ()

    def existing(self, vid: int) -> list[VlanCandidate]:
        """The VLANs that an ID may mean: those in the group, else those of the place, else global ones."""
        candidates = [
            candidate for candidate in self.index.candidates.get(vid, ()) if candidate.site in (None, self.index.site)
        ]
        offered = [candidate for candidate in candidates if candidate.is_offered]
        tiers: tuple[list[VlanCandidate], ...] = (
            [candidate for candidate in candidates if self.group and candidate.group == self.group],
            [candidate for candidate in offered if candidate.is_local],
            [candidate for candidate in offered if not candidate.is_local],
        )
        return next(filter(None, tiers), [])


def new_vlan(vid: int, group: Pointer | None, site: Pointer | None) -> Shared:
    """The VLAN to create for an ID."""
    if group:
        place: dict[str, int | None] = {'group_id': group.pk}
    elif site:
        place = {'site_id': site.pk}
    else:
        # Without this, a VLAN that the same run creates in a group would match, because it has no site either.
        place = {'group_id': None, 'site_id': None}
    # The same ID means different VLANs in different places.
    within = ' '.join(f'{field} {pk}' for field, pk in place.items())
    return Shared('ipam.vlan', vlan_name(vid), (*place.items(), ('vid', vid)), within=within)


def vlan_name(vid: int) -> str:
    """The name of a VLAN that a sync creates."""
    return f'VLAN {vid}'


def several(vid: int, found: Iterable[VlanCandidate]) -> Message:
    """The message about an ID that may mean several VLANs."""
    names = joined(sorted(map(describe, found)), '; ')
    return Message(
        'NetBox has several VLANs {vid} that could be meant: {names}. Choose a VLAN group on the '
        'endpoint or by a mapping rule, or give this interface the right one.',
        vid=vid,
        names=names,
    )


def describe(candidate: VlanCandidate) -> Message:
    """A VLAN and its place, for display."""
    name = candidate.pointer.label
    if candidate.group:
        return Message('"{name}", group "{group}"', name=name, group=candidate.group.label)
    if candidate.site:
        return Message('"{name}", site "{site}"', name=name, site=candidate.site.label)
    return Message('"{name}", global', name=name)


def missing_vlans(items: Iterable[Item], template: str) -> Iterator[Notice]:
    """
    One notice about all VLANs that NetBox does not have.

    Args:
        template: Of its message, with {vids}.
    """
    missing: Mapping[int, Item] = {vid: item for item in items for vid in PortHints.of(item).missing_vlans}
    if missing:
        yield Notice(
            subject='VLAN',
            message=Message(template, vids=joined(sorted(missing), ', ')),
            remedy=Message('Create these VLANs in NetBox, or let the endpoint create VLANs.'),
        )
