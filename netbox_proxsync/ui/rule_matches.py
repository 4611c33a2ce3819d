"""
Evaluation of mapping rules for pages: which guests a rule matches, and what the rules decide about a guest. It uses the
stored details of guests, without a run or a call to Proxmox VE.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT, KeyTransform

from ..choices import GuestStateChoices
from ..ledger.rules import load_rules, plain_rule
from ..models import MappingRule, ProxmoxGuest
from ..models.users import AnyUser
from ..proxmox.messages import Message, from_json
from ..proxmox.readings import Reading, Unreadable, known
from ..sync.rules import TARGETS, Decision, Rule, evaluate_rules, matches

__all__ = ('Matching', 'StoredGuest', 'affected_guests', 'decision_about', 'matches_for', 'matching_guests')

NEVER_READ = Message('No run has read the guest yet.')
CACHED = '_proxsync_matching'


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGuest:
    """The attributes of a guest that rules need (`sync.rules.RuleGuest`), from its row."""

    pk: int
    type: str
    vmid: int
    node: str
    name: Reading[str]
    template: Reading[bool]
    tags: Reading[tuple[str, ...]]
    pool: Reading[str | None]

    @property
    def key(self) -> str:
        return f'{self.type}/{self.vmid}'


@dataclass(frozen=True, slots=True)
class Matching:
    """The guests (pks) that a rule matches, and those for which this is not known."""

    matched: tuple[int, ...]
    unknown: tuple[int, ...]


def matching_guests(rule: MappingRule, guests: QuerySet[ProxmoxGuest]) -> Matching:
    """The guests among the given ones that a rule matches, with one query."""
    plain = plain_rule(rule)
    results = [(guest.pk, matches(plain, guest)) for guest in stored(narrowed(rule, guests))]
    return Matching(
        matched=tuple(pk for pk, result in results if result is True),
        unknown=tuple(pk for pk, result in results if not known(result)),
    )


def matches_for(user: AnyUser, rule: MappingRule) -> Matching:
    """The guests that a rule matches and that a user may view. They are looked up once for each instance and user."""
    found = getattr(rule, CACHED, None)
    if found is None or found[0] != user.pk:
        found = user.pk, matching_guests(rule, ProxmoxGuest.objects.restrict(user, 'view'))
        setattr(rule, CACHED, found)
    return cast(Matching, found[1])


def affected_guests(deleted: Collection[MappingRule], guests: QuerySet[ProxmoxGuest]) -> int:
    """The number of the given guests for which the rules decide something else after the deletion of some rules."""
    gone = {rule.pk for rule in deleted if rule.enabled}
    rules = load_rules()
    affected: set[int] = set()
    for endpoint_id in guests.order_by().values_list('endpoint', flat=True).distinct():
        in_force = [plain_rule(rule) for rule in rules if rule.is_for(endpoint_id)]
        remaining = [rule for rule in in_force if rule.pk not in gone]
        for rule in deleted:
            if rule.enabled and rule.endpoint_id in (None, endpoint_id):
                found = stored(narrowed(rule, guests.filter(endpoint=endpoint_id)).exclude(pk__in=affected))
                affected.update(
                    guest.pk for guest in found if decided_values(guest, in_force) != decided_values(guest, remaining)
                )
    return len(affected)


def decided_values(guest: StoredGuest, rules: Iterable[Rule]) -> tuple[Any, ...]:
    """The values that rules set for a guest, regardless of which rule sets them."""
    decision = evaluate_rules(guest, rules)
    tags = decision.extra_tags
    return (
        *(decision.value_for(target) for target in ('skip', *TARGETS)),
        frozenset(tag.value for tag in tags) if known(tags) else tags,
    )


def narrowed(rule: MappingRule, guests: QuerySet[ProxmoxGuest]) -> QuerySet[ProxmoxGuest]:
    """The guests that meet the conditions which the database can check. Missing guests match no rule."""
    conditions = {
        'endpoint': rule.endpoint_id,
        'type': rule.guest_type or None,
        'vmid__gte': rule.vmid_min,
        'vmid__lte': rule.vmid_max,
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    return guests.filter(~Q(state=GuestStateChoices.MISSING), **given)


def decision_about(guest: ProxmoxGuest) -> tuple[Decision, dict[int, MappingRule]]:
    """The decision of the enabled rules about a guest, and these rules by pk."""
    rules = {rule.pk: rule for rule in load_rules() if rule.is_for(guest.endpoint_id)}
    row = next(iter(stored(ProxmoxGuest.objects.filter(pk=guest.pk))))
    return evaluate_rules(row, [plain_rule(rule) for rule in rules.values()]), rules


def stored(guests: QuerySet[ProxmoxGuest]) -> Iterator[StoredGuest]:
    # The details may be large, so only the needed parts are loaded.
    rows = guests.order_by().values_list(
        'pk', 'type', 'vmid', 'node', 'name', 'template', 'tags', KeyTransform('unread', 'details'), KT('details__pool')
    )
    for pk, guest_type, vmid, node, name, template, tags, unread, pool in rows.iterator(chunk_size=2000):
        reasons = reasons_of(unread)
        yield StoredGuest(
            pk=pk,
            type=guest_type,
            vmid=vmid,
            node=node,
            name=reading('name', name, reasons),
            template=reading('template', template, reasons),
            tags=reading('tags', tuple(tags), reasons),
            pool=reading('pool', pool or None, reasons),
        )


def reasons_of(unread: list[dict[str, Any]] | None) -> dict[str, Message]:
    """Why parts of a guest could not be read, by part; 'config' also stands for parts that are not listed."""
    if unread is None:
        return {'config': NEVER_READ}
    return {entry['part']: from_json(entry, 'reason') for entry in unread if not entry['of']}


def reading(part: str, value: Any, reasons: dict[str, Message]) -> Reading[Any]:
    """
    The value, or Unreadable. A part that is unreadable for the same reason as the configuration is not listed
    separately, so an empty value is unknown then.
    """
    reason = reasons.get(part) or (None if value else reasons.get('config'))
    return Unreadable(reason) if reason else value
