from dataclasses import dataclass
from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from netbox.ui import panels

from ..fields import column
from ..models import MappingRule
from ..proxmox.readings import Unreadable
from ..sync.rules import TARGETS, Decided
from ..wording import worded
from .rule_matches import decision_about

__all__ = ('GuestRulesPanel',)


@dataclass(frozen=True, slots=True)
class Row:
    """
    The decision of the rules about one value of a guest.

    Attributes:
        values: The objects that the rule sets.
        rule: The deciding rule; None if it is unknown, or the user may not view it.
        unknown: Why the decision is not known; '' if it is.
    """

    label: Any
    values: tuple[Any, ...] = ()
    rule: MappingRule | None = None
    unknown: str = ''


class GuestRulesPanel(panels.ObjectPanel):
    """The deciding rule for each value of a guest, according to its stored details."""

    title = _('Mapping Rules')
    template_name = 'netbox_proxsync/panels/guest_rules.html'

    def should_render(self, context: dict[str, Any]) -> bool:
        return cast(bool, context['request'].user.has_perm('netbox_proxsync.view_mappingrule'))

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        decision, rules = decision_about(context['object'])
        viewable = set(MappingRule.objects.restrict(context['request'].user, 'view').values_list('pk', flat=True))

        def row(label: Any, decided: Decided[Any] | Unreadable, name: str = '') -> Row:
            if isinstance(decided, Unreadable):
                return Row(label, unknown=worded(decided.reason))
            assert decided.rule.pk is not None  # the rules come from the database
            rule = rules[decided.rule.pk]
            value = getattr(rule, name) if name else None
            return Row(label, (value,) if value else (), rule if rule.pk in viewable else None)

        rows = [row(_('Skipped'), decision.skip)] if decision.skip is not None else []
        rows += [
            row(column(MappingRule, target).verbose_name, decided, target)
            for target in TARGETS
            if (decided := getattr(decision, target)) is not None
        ]
        return {**context, 'rows': rows + tag_rows(decision.extra_tags, rules, viewable)}


def tag_rows(tags: Any, rules: dict[int, MappingRule], viewable: set[int]) -> list[Row]:
    """One row for each rule that adds tags."""
    label = MappingRule._meta.get_field('extra_tags').verbose_name
    if isinstance(tags, Unreadable):
        return [Row(label, unknown=worded(tags.reason))]
    by_rule: dict[int, list[int]] = {}
    for tag in tags:
        by_rule.setdefault(tag.rule.pk, []).append(tag.value.pk)
    return [
        Row(
            label,
            tuple(tag for tag in rules[pk].extra_tags.all() if tag.pk in given),
            rules[pk] if pk in viewable else None,
        )
        for pk, given in by_rule.items()
    ]
