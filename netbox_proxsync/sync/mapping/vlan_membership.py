"""What an interface does with VLAN tags."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ('NONE', 'Membership')

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
