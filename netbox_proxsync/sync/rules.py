"""
Mapping rules: which rule sets which value of which guest. Pure.

Rules are ordered by their weights, lighter ones first, then by name. Each target (role, tenant, ...) is set by the
first rule that matches the guest and sets that target. Extra tags are added up: a guest gets the tags of every rule
that matches it. A rule that skips applies at any position.

If a property in a condition could not be read, the result of the rule is unknown, unless another of its conditions
fails. Then the targets that it sets are unknown for this guest and stay unchanged in NetBox. A later rule cannot set
them, because the earlier one may match.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ..proxmox.messages import Message, joined
from ..proxmox.readings import Reading, Unreadable, known
from .patterns import GLOB, PatternError, compile_pattern
from .values import Pointer

__all__ = (
    'NOTHING',
    'TARGETS',
    'Decided',
    'Decision',
    'Outcome',
    'Rule',
    'RuleGuest',
    'evaluate_all',
    'evaluate_rules',
    'matches',
)

# The targets of which a guest gets one value. Skipping and extra tags are evaluated differently.
TARGETS = ('role', 'tenant', 'platform', 'vrf', 'vlan_group')
ALL = 'all'


class RuleGuest(Protocol):
    """The properties of a guest that rules need: `proxmox.inventory.Guest`, or any other object that has them."""

    @property
    def key(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def vmid(self) -> int: ...
    @property
    def node(self) -> str: ...
    @property
    def name(self) -> Reading[str]: ...
    @property
    def template(self) -> Reading[bool]: ...
    @property
    def tags(self) -> Reading[Sequence[str]]: ...
    @property
    def pool(self) -> Reading[str | None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The values that a rule sets; None: it does not set the target."""

    skip: bool = False
    role: Pointer | None = None
    tenant: Pointer | None = None
    platform: Pointer | None = None
    vrf: Pointer | None = None
    vlan_group: Pointer | None = None
    extra_tags: frozenset[Pointer] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    A rule. All given conditions must hold; a rule without conditions matches every guest.

    Attributes:
        pk: The primary key of the `MappingRule`.
        guest_type: 'qemu' or 'lxc'.
        name_pattern, pattern_type: See `patterns`.
        guest_tags, tag_match: Tags in Proxmox VE, ignoring case: 'any' of them is sufficient, or 'all' are required.
        pools: One of these pools, or of the pools nested in them ('web' contains 'web/prod').
        nodes: One of these nodes, ignoring case.
        vmid_min, vmid_max: Both ends are included.
        template: Whether the guest is a template; None: either.
    """

    name: str
    outcome: Outcome
    weight: int = 1000
    pk: int | None = None
    guest_type: str = ''
    name_pattern: str = ''
    pattern_type: str = GLOB
    guest_tags: tuple[str, ...] = ()
    tag_match: str = 'any'
    pools: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    vmid_min: int | None = None
    vmid_max: int | None = None
    template: bool | None = None


@dataclass(frozen=True, slots=True)
class Decided[T]:
    """A value, and the rule that sets it."""

    value: T
    rule: Rule

    @property
    def deciding_rule(self) -> Message:
        """The rule, for display: 'rule "<name>"'."""
        return Message('rule "{rule}"', rule=self.rule.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What the rules set for one guest: for each target a `Decided`, None if no rule sets it, or Unreadable.

    Attributes:
        skip: Set if the guest is skipped.
        extra_tags: One entry per tag, with the first rule that adds it.
    """

    skip: Reading[Decided[bool] | None] = None
    role: Reading[Decided[Pointer] | None] = None
    tenant: Reading[Decided[Pointer] | None] = None
    platform: Reading[Decided[Pointer] | None] = None
    vrf: Reading[Decided[Pointer] | None] = None
    vlan_group: Reading[Decided[Pointer] | None] = None
    extra_tags: Reading[tuple[Decided[Pointer], ...]] = ()

    @property
    def may_be_skipped(self) -> bool:
        """Whether the guest is skipped, or may be, so that its objects stay unchanged."""
        return self.skip is not None

    def value_for(self, target: str, default: Pointer | None = None) -> Reading[Pointer | None]:
        """The value of a target: that of the rules, otherwise the default; Unreadable if it is not known which."""
        decided = self.decided(target)
        if not known(decided):
            return decided
        return default if decided is None else decided.value

    def decided(self, target: str) -> Reading[Decided[Pointer] | None]:
        """What was decided about one of `TARGETS`."""
        decided: Reading[Decided[Pointer] | None] = getattr(self, target)
        return decided

    @property
    def reasons(self) -> Mapping[str, Message]:
        """By target: the rule that sets it, for display."""
        found = {target: self.decided(target) for target in TARGETS}
        reasons = {
            target: decided.deciding_rule for target, decided in found.items() if known(decided) and decided is not None
        }
        if known(self.extra_tags) and self.extra_tags:
            reasons['tags'] = joined(
                (Message('"{tag}" by {rule}', tag=tag.value.label, rule=tag.deciding_rule) for tag in self.extra_tags),
                ', ',
            )
        return reasons


# The decision about a guest that no rule matches.
NOTHING = Decision()


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """The rules in the order in which they are evaluated."""
    return sorted(rules, key=lambda rule: (rule.weight, rule.name.casefold(), rule.name))


def evaluate_all(guests: Iterable[RuleGuest], rules: Iterable[Rule]) -> dict[str, Decision]:
    """What the rules set for each guest, by the key of the guest."""
    ordered = in_order(rules)
    return {guest.key: evaluate_in_order(guest, ordered) for guest in guests}


def evaluate_rules(guest: RuleGuest, rules: Iterable[Rule]) -> Decision:
    """What the rules set for a guest. They may be given in any order."""
    return evaluate_in_order(guest, in_order(rules))


def evaluate_in_order(guest: RuleGuest, rules: Sequence[Rule]) -> Decision:
    """What the rules set for a guest. They are given in the order of `in_order`."""
    # Rules that do not match set nothing.
    results = ((rule, matches(rule, guest)) for rule in rules)
    found = [(rule, result) for rule, result in results if result is not False]
    if not found:
        return NOTHING
    return Decision(
        skip=decide_skip(found),
        extra_tags=decide_tags(found),
        **{target: decide_target(found, target) for target in TARGETS},
    )


type Found = Sequence[tuple[Rule, Reading[bool]]]


def decide_target(found: Found, target: str) -> Reading[Decided[Pointer] | None]:
    """What the first rule sets that has a value for a target; Unreadable if it is not known whether it matches."""
    for rule, result in found:
        value: Pointer | None = getattr(rule.outcome, target)
        if value is not None:
            return Decided(value, rule) if known(result) else result
    return None


def decide_skip(found: Found) -> Reading[Decided[bool] | None]:
    """One matching rule is sufficient, even if the results of others are unknown."""
    unknown = None
    for rule, result in found:
        if not rule.outcome.skip:
            continue
        if known(result):
            return Decided(True, rule)
        if unknown is None:
            unknown = result
    return unknown


def decide_tags(found: Found) -> Reading[tuple[Decided[Pointer], ...]]:
    """The tags of all matching rules; Unreadable if it is not known whether a rule with tags matches."""
    tags: dict[Pointer, Decided[Pointer]] = {}
    for rule, result in found:
        if rule.outcome.extra_tags and not known(result):
            return result
        for tag in sorted(rule.outcome.extra_tags, key=lambda tag: (tag.label, tag.pk)):
            tags.setdefault(tag, Decided(tag, rule))
    return tuple(tags.values())


def matches(rule: Rule, guest: RuleGuest) -> Reading[bool]:
    """Whether all conditions of a rule hold; Unreadable if that depends on a property that was not read."""
    unknown = None
    for result in conditions(rule, guest):
        if result is False:
            return False
        if not known(result) and unknown is None:
            unknown = Unreadable(
                Message('Whether rule "{rule}" matches is not known: {reason}', rule=rule.name, reason=result.reason)
            )
    return True if unknown is None else unknown


def conditions(rule: Rule, guest: RuleGuest) -> Iterator[Reading[bool]]:
    """The result of each given condition, the cheap ones first."""
    if rule.guest_type:
        yield guest.type == rule.guest_type
    if rule.vmid_min is not None:
        yield guest.vmid >= rule.vmid_min
    if rule.vmid_max is not None:
        yield guest.vmid <= rule.vmid_max
    if rule.nodes:
        yield guest.node.casefold() in folded(rule.nodes)
    if rule.template is not None:
        yield guest.template is rule.template if known(guest.template) else guest.template
    if rule.pools:
        yield in_pools(guest.pool, rule.pools) if known(guest.pool) else guest.pool
    if rule.guest_tags:
        yield has_tags(guest.tags, rule) if known(guest.tags) else guest.tags
    if rule.name_pattern:
        yield has_name(guest.name, rule) if known(guest.name) else guest.name


def in_pools(pool: str | None, pools: Iterable[str]) -> bool:
    """Whether a pool is one of some pools or within one of them; nested pools are written as a/b."""
    return pool is not None and any(pool == wanted or pool.startswith(f'{wanted}/') for wanted in pools)


def has_tags(tags: Iterable[str], rule: Rule) -> bool:
    """Whether a guest has all, or any, of the tags of the rule. Case is ignored."""
    wanted, present = folded(rule.guest_tags), folded(tuple(tags))
    return wanted <= present if rule.tag_match == ALL else bool(wanted & present)


def has_name(name: str, rule: Rule) -> Reading[bool]:
    """Whether a name matches the pattern of the rule; Unreadable if the pattern is not valid."""
    try:
        return compile_pattern(rule.name_pattern, rule.pattern_type).matches(name)
    except PatternError as error:
        # Forms and the API refuse such patterns; one from another source must not abort a run.
        return Unreadable(Message('its name pattern is not valid: {problem}', problem=error))


@lru_cache(maxsize=4096)
def folded(texts: tuple[str, ...]) -> frozenset[str]:
    """The texts for comparisons that ignore case."""
    return frozenset(text.casefold() for text in texts)
