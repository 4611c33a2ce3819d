"""The mapping rules as the plain data that a sync decides by."""

from collections.abc import Iterable

from ..models import MappingRule
from ..sync.rules import TARGETS, Outcome, Rule
from ..sync.values import Pointer
from .fields import pointer_to

__all__ = ('load_rules', 'plain_rule', 'values_of')

PLAIN = ('weight', 'guest_type', 'name_pattern', 'pattern_type', 'tag_match', 'vmid_min', 'vmid_max', 'template')
LISTS = ('guest_tags', 'pools', 'nodes')


def load_rules() -> list[MappingRule]:
    """All rules with what they set, by two queries. They are few."""
    return list(MappingRule.objects.select_related('endpoint', *TARGETS).prefetch_related('extra_tags'))


def plain_rule(rule: MappingRule) -> Rule:
    return Rule(
        pk=rule.pk,
        name=rule.name,
        outcome=Outcome(
            skip=rule.skip,
            extra_tags=frozenset(pointer_to(tag) for tag in rule.extra_tags.all()),
            **{target: pointer_to(value) if (value := getattr(rule, target)) else None for target in TARGETS},
        ),
        **{name: getattr(rule, name) for name in PLAIN},
        **{name: tuple(getattr(rule, name)) for name in LISTS},
    )


def values_of(rules: Iterable[Rule]) -> dict[str, frozenset[Pointer]]:
    """By target: every value that a rule sets."""
    outcomes = [rule.outcome for rule in rules]
    return {
        target: frozenset(value for outcome in outcomes if (value := getattr(outcome, target)) is not None)
        for target in TARGETS
    }
