"""
Guests that Proxmox VE did not list although they may exist, because their node is offline.

Such a guest waits: nothing is retired, released or deleted until its node is online, or is removed from the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..proxmox.inventory import GuestType, Inventory
from ..proxmox.messages import EMPTY, Message, choice_of, counted

__all__ = ('LastSeen', 'Waiting')

GUEST_UNITS = tuple(f'{guest_type}/' for guest_type in GuestType)


@dataclass(frozen=True, slots=True)
class LastSeen:
    """
    Where and when a guest was listed last.

    Attributes:
        node: '' if it is not known.
        at: None if it is not known.
    """

    node: str
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """
    The guests of an inventory that wait for a node.

    Attributes:
        offline: The members of the cluster that are offline: {name: since when that is known; None: not known}.
        listed: The guests that Proxmox VE listed: they do not wait.
        last_seen: By guest ('qemu/100').
    """

    offline: Mapping[str, datetime | None] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()
    last_seen: Mapping[str, LastSeen] = field(default_factory=dict)

    @classmethod
    def of(
        cls, inventory: Inventory, last_seen: Mapping[str, LastSeen], offline_since: Mapping[str, datetime]
    ) -> 'Waiting':
        """
        The guests of an inventory that wait.

        Args:
            offline_since: By node that earlier reads found offline: when the first of these reads was.
        """
        return cls(
            offline={node.name: offline_since.get(node.name) for node in inventory.nodes if not node.online},
            listed=frozenset(guest.key for guest in inventory.guests),
            last_seen=last_seen,
        )

    def nodes_of(self, unit: str) -> tuple[str, ...]:
        """The offline nodes that a guest may be on; empty if it does not wait, or if the unit is no guest."""
        # The unit of a machine whose VM ID now belongs to another one is 'qemu/100#1'.
        key = unit.partition('#')[0]
        if not self.offline or not unit.startswith(GUEST_UNITS) or key in self.listed:
            return ()
        seen = self.last_seen.get(unit, LastSeen('', None))
        if seen.node in self.offline:
            return (seen.node,)
        return tuple(
            name for name, since in sorted(self.offline.items()) if not seen.node or may_have_moved(seen, since)
        )

    def reason(self, unit: str) -> Message:
        """Why a guest waits, for the user; '' if it does not."""
        nodes = self.nodes_of(unit)
        if not nodes:
            return EMPTY
        if nodes == (self.last_seen.get(unit, LastSeen('', None)).node,):
            return Message(
                'Proxmox VE did not list the guest. The guest was on node {node}, which is offline. It is left '
                'unchanged until the node is online.',
                node=nodes[0],
            )
        return counted(
            'Proxmox VE did not list the guest. The guest may be on node {nodes}, which is offline. It is left '
            'unchanged until the node is online.',
            'Proxmox VE did not list the guest. The guest may be on node {nodes}, which are offline. It is left '
            'unchanged until the node is online.',
            len(nodes),
            nodes=choice_of(nodes),
        )


def may_have_moved(seen: LastSeen, offline_since: datetime | None) -> bool:
    """Whether a guest may have moved to a node after it was listed last and before the node went offline."""
    return seen.at is None or offline_since is None or offline_since > seen.at
