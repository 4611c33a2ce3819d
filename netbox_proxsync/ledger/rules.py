"""The mapping rules as plain data."""

from collections.abc import Iterable

from ..branching import in_branch
from ..models import MappingRule
from ..sync.rules import TARGETS, Outcome, Rule
from ..sync.values import Pointer
from .fields import pointer_to

__all__ = ('load_rules', 'plain_rule', 'values_by_target')


def load_rules() -> list[MappingRule]:
    """All rules with the objects that they set, in two queries. In a branch, each object is loaded from the branch."""
    related = ('endpoint',) if in_branch() else ('endpoint', *TARGETS)
    return list(MappingRule.objects.select_related(*related).prefetch_related('extra_tags'))


def plain_rule(rule: MappingRule) -> Rule:
    """A rule as plain data. Its related objects should be loaded already. One that is not saved yet has no tags."""
    tags = rule.extra_tags.all() if rule.pk else ()
    return Rule(
        pk=rule.pk,
        name=rule.name,
        outcome=Outcome(
            skip=rule.skip,
            extra_tags=frozenset(pointer_to(tag) for tag in tags),
            **{target: pointer_to(value) if (value := getattr(rule, target)) else None for target in TARGETS},
        ),
        weight=rule.weight,
        guest_type=rule.guest_type,
        name_pattern=rule.name_pattern,
        pattern_type=rule.pattern_type,
        guest_tags=tuple(rule.guest_tags),
        tag_match=rule.tag_match,
        pools=tuple(rule.pools),
        nodes=tuple(rule.nodes),
        vmid_min=rule.vmid_min,
        vmid_max=rule.vmid_max,
        template=rule.template,
    )


def values_by_target(rules: Iterable[Rule]) -> dict[str, frozenset[Pointer]]:
    """Every value that one of these rules sets, by target."""
    outcomes = [rule.outcome for rule in rules]
    return {
        target: frozenset(value for outcome in outcomes if (value := getattr(outcome, target)) is not None)
        for target in TARGETS
    }
