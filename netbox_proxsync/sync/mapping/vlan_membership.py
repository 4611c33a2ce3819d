"""The VLAN tagging of an interface."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ('NONE', 'Membership')

ACCESS, TAGGED, TAGGED_ALL = 'access', 'tagged', 'tagged-all'
# The number of IDs in a trunk of all VLANs: 2 to 4094, with or without 1.
ALL = 4093
# Wider trunks contain only the VLANs that NetBox has: `trunks=2-1000` must not create 999 of them.
MADE_AT_MOST = 64

type Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """
    The VLAN tagging of an interface.

    Attributes:
        mode: As in NetBox; None: the interface is not VLAN-aware.
        untagged: The VLAN ID of untagged frames.
        tagged: Ranges of VLAN IDs, both ends included.
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
        """The tagged VLAN IDs; for a wide trunk, only the known ones."""
        wide = number_of(self.tagged) > MADE_AT_MOST
        for start, end in self.tagged:
            yield from (vid for vid in range(start, end + 1) if not wide or vid in known)


NONE = Membership(None)


def number_of(ranges: Ranges) -> int:
    """The number of VLAN IDs in ranges."""
    return sum(end - start + 1 for start, end in ranges)
