"""The change limit: when a plan needs the approval of a user."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..proxmox.messages import EMPTY, Message, gettext_noop, joined
from .changes import Action, Change, Plan
from .kinds import KINDS
from .settings import Settings
from .state import Bound, Existing

__all__ = ('why_unsafe', 'why_unsafe_revert')

type Bindings = Mapping[tuple[str, str], Bound]

# A share alone fires on small sets: one of three guests is 33 %.
MINIMUM = 5

# Actions that are counted together. Whether an interface is deleted or released depends on who created it, not on what
# happened in Proxmox VE; the retirement of a guest and the end of a grace period are different events.
COUNTED = {
    Action.RETIRE: gettext_noop('{number} retired'),
    Action.DELETE: gettext_noop('{number} deleted'),
    Action.RELEASE: gettext_noop('{number} released'),
}
COUNTED_TOGETHER = ((Action.RETIRE,), (Action.DELETE, Action.RELEASE))


def why_unsafe(plan: Plan, existing: Existing, settings: Settings) -> Message:
    """
    Why a plan must not be applied without the approval of a user; '' if it may.

    A run that would remove at least five objects of a kind in one way, and more than the endpoint's limit, is more
    likely a mistake (a token that lost its privileges, the wrong cluster) than the truth.
    """
    if exceeded := list(beyond_limit(plan.changes, existing.bindings, settings.change_limit)):
        return Message(
            'This run exceeds the change limit of {limit} percent of the objects of a type. Changes beyond the limit: '
            '{changes}. Nothing was written. If these objects were removed in Proxmox VE, approve this run. Otherwise, '
            'check the hosts of the endpoint and the privileges of its token, and sync again.',
            changes=joined(exceeded, '; '),
            limit=settings.change_limit,
        )
    return EMPTY


def why_unsafe_revert(changes: Sequence[Change], bindings: Bindings, limit: int) -> Message:
    """
    The same for a plan that undoes a run.

    Args:
        bindings: Of the endpoint, by (kind, key).
        limit: The change limit of the endpoint, in percent.
    """
    if exceeded := list(beyond_limit(changes, bindings, limit)):
        return Message(
            'This revert requires approval: it exceeds the change limit of {limit} percent of the objects of a type. '
            'Changes beyond the limit: {changes}.',
            changes=joined(exceeded, '; '),
            limit=limit,
        )
    return EMPTY


def beyond_limit(changes: Sequence[Change], bindings: Bindings, limit: int) -> Iterator[Message]:
    """What a plan removes beyond the limit: 'virtual machines: 6 retired (of 12)', in the order of the kinds."""
    managed = managed_units(bindings)
    for kind in KINDS.values():
        for actions in COUNTED_TOGETHER:
            taken = [change for change in changes if change.kind == kind.name and change.action in actions]
            # Objects of retired guests are not counted as managed, but those that are removed now existed.
            present = len(managed[kind.name] | {change.key for change in taken})
            if len(taken) >= MINIMUM and len(taken) * 100 > limit * present:
                yield Message(
                    '{objects}: {changes} (of {number})',
                    objects=kind.plural,
                    changes=counts_text(taken),
                    number=present,
                )


def managed_units(bindings: Bindings) -> dict[str, set[str]]:
    """
    By kind: the keys of the objects that the endpoint manages, without those of retired units, of which there may be
    many.
    """
    retired = {bound.unit for bound in bindings.values() if bound.missing_since}
    managed: dict[str, set[str]] = {name: set() for name in KINDS}
    for bound in bindings.values():
        if bound.kind in managed and not bound.unmanaged and bound.unit not in retired:
            managed[bound.kind].add(bound.key)
    return managed


def counts_text(changes: list[Change]) -> Message:
    """'3 deleted, 2 released'"""
    numbers = Counter(change.action for change in changes)
    return joined((Message(COUNTED[action], number=number) for action, number in sorted(numbers.items())), ', ')
