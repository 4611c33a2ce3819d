"""Which actions the runs of an endpoint may write. All others are planned and withheld."""

from collections.abc import Iterable
from enum import StrEnum

from .changes import Action, Change

__all__ = ('WritePolicy', 'permitted_actions', 'protected_units', 'split', 'withholds')


class WritePolicy(StrEnum):
    """The values of `WritePolicyChoices`."""

    EVERYTHING = 'everything'
    NO_REMOVALS = 'no-removals'
    CREATE_ONLY = 'create-only'
    REPORT_ONLY = 'report-only'


REMOVALS = frozenset({Action.RETIRE, Action.RELEASE, Action.DELETE})
# Nothing is written for these, so no policy withholds them.
OPEN = frozenset(action for action in Action if action.is_open)


PERMITTED = {
    WritePolicy.EVERYTHING: frozenset(Action),
    WritePolicy.NO_REMOVALS: frozenset(Action) - REMOVALS,
    WritePolicy.CREATE_ONLY: OPEN | {Action.CREATE},
    WritePolicy.REPORT_ONLY: OPEN,
}


def permitted_actions(policy: str) -> frozenset[Action]:
    """The actions that runs may write under a policy."""
    return PERMITTED[WritePolicy(policy)]


def protected_units(changes: Iterable[Change], policy: str) -> frozenset[str]:
    """The guests and nodes whose machine would be adopted although the policy forbids it. They get no parts either."""
    if WritePolicy(policy) is not WritePolicy.CREATE_ONLY:
        return frozenset()
    return frozenset(change.unit for change in changes if change.action is Action.ADOPT and change.key == change.unit)


def withholds(change: Change, policy: str, protected: frozenset[str]) -> bool:
    """Whether a policy withholds a change; `protected` as of `protected_units`."""
    if change.action.is_open:
        return False
    return change.action not in permitted_actions(policy) or change.unit in protected


def split(changes: tuple[Change, ...], policy: str) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """The changes that may be written, and those that are withheld, in their order."""
    if WritePolicy(policy) is WritePolicy.EVERYTHING:
        return changes, ()
    protected = protected_units(changes, policy)
    withheld = [withholds(change, policy, protected) for change in changes]
    return (
        tuple(change for change, is_withheld in zip(changes, withheld, strict=True) if not is_withheld),
        tuple(change for change, is_withheld in zip(changes, withheld, strict=True) if is_withheld),
    )
