"""What a plan may not do by itself."""

from collections import Counter

from .changes import Plan
from .settings import Settings
from .state import Existing

__all__ = ('refusal',)

# A share alone fires on small sets: one of three guests is 33 %.
MINIMUM = 5


def refusal(plan: Plan, existing: Existing, settings: Settings) -> str:
    """
    Why a plan must not be applied without a person's word; '' if it may.

    A run that would take away at least five objects of a kind and more than the endpoint's limit is more likely a
    mistake (a token that lost its rights, the wrong cluster) than the truth.
    """
    held = Counter(bound.kind for bound in existing.bindings.values() if bound.missing_since is None)
    removed: dict[str, Counter] = {}
    for change in plan.changes:
        if change.action.is_removal:
            removed.setdefault(change.kind, Counter())[str(change.action)] += 1
    for kind, actions in removed.items():
        total = actions.total()
        if total >= MINIMUM and total * 100 > settings.change_limit * held[kind]:
            what = ', '.join(f'{action} {number}' for action, number in sorted(actions.items()))
            return (
                f'This run would {what} of {held[kind]} objects of the kind "{kind}", more than the limit of '
                f'{settings.change_limit} %. Nothing was written. Check the token and the endpoint; if this is right, '
                'let this run through.'
            )
    return ''
