"""
Mapping rules: which of them decide what about which guest. Pure.

Rules stand in the order of their weights, lighter ones first, and names where weights are equal. Each target (role,
tenant, ...) is decided by the first rule that matches the guest and sets that target. Extra tags add up: a guest gets
those of every rule that matches it. A rule that skips does so wherever it stands.

What a condition asks may not have been read. Then the rule neither matches nor fails to: unless another of its
conditions fails, what it sets is unknown for this guest, and so is left as it is in NetBox. A rule further down cannot
decide then, for the one above might have.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ..proxmox.readings import Reading, Unreadable, known
from .patterns import GLOB, PatternError, compile_pattern
from .values import Pointer, Value

__all__ = ('TARGETS', 'Decided', 'Decision', 'Outcome', 'Rule', 'RuleGuest', 'decide', 'decide_all', 'matches')

# What a guest gets one of. Skipping and extra tags are decided otherwise.
TARGETS = ('role', 'tenant', 'platform', 'vrf', 'vlan_group')
ALL = 'all'


class RuleGuest(Protocol):
    """What rules ask of a guest: `proxmox.inventory.Guest`, or whatever else tells the same."""

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
    """What a rule sets; None: it says nothing about that."""

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
    A rule. All conditions that are given must hold; without any it matches every guest.

    Attributes:
        pk: Of the `MappingRule`.
        guest_type: 'qemu' or 'lxc'.
        name_pattern, pattern_type: See `patterns`.
        guest_tags, tag_match: Tags in Proxmox, without regard to case: 'any' of them is enough, or 'all' are needed.
        pools: Any of these, or of the pools nested in them ('web' holds 'web/prod').
        nodes: Any of these, without regard to case.
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
class Decided:
    """A value, and the rule that decided it."""

    value: Value
    rule: Rule

    @property
    def by(self) -> str:
        return f'rule "{self.rule.name}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What the rules say about one guest: for each target a `Decided`, None if no rule says anything, or Unreadable.

    Attributes:
        skip: Decided if the guest is left out.
        extra_tags: One for each tag, with the first rule that gives it.
    """

    skip: Reading[Decided | None] = None
    role: Reading[Decided | None] = None
    tenant: Reading[Decided | None] = None
    platform: Reading[Decided | None] = None
    vrf: Reading[Decided | None] = None
    vlan_group: Reading[Decided | None] = None
    extra_tags: Reading[tuple[Decided, ...]] = ()

    @property
    def leaves_alone(self) -> bool:
        """Whether the guest is to be left alone: it is skipped, or might be."""
        return self.skip is not None

    def pick(self, target: str, default: Value = None) -> Reading[Value]:
        """The value of a target: the rules', else the default; Unreadable if it cannot be told which."""
        decided = getattr(self, target)
        return decided.value if isinstance(decided, Decided) else default if decided is None else decided

    @property
    def reasons(self) -> Mapping[str, str]:
        """By target: which rule decided, for people."""
        found = {target: getattr(self, target) for target in TARGETS}
        reasons = {target: decided.by for target, decided in found.items() if isinstance(decided, Decided)}
        if known(self.extra_tags) and self.extra_tags:
            reasons['tags'] = ', '.join(f'"{show_pointer(tag.value)}" by {tag.by}' for tag in self.extra_tags)
        return reasons


NOTHING = Decision()


def show_pointer(value: Value) -> str:
    return value.label if isinstance(value, Pointer) else str(value)


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """The rules as they are asked."""
    return sorted(rules, key=lambda rule: (rule.weight, rule.name.casefold(), rule.name))


def decide_all(guests: Iterable[RuleGuest], rules: Iterable[Rule]) -> dict[str, Decision]:
    """What the rules say about each guest, by the guest's key."""
    ordered = in_order(rules)
    return {guest.key: decide_in_order(guest, ordered) for guest in guests}


def decide(guest: RuleGuest, rules: Iterable[Rule]) -> Decision:
    """What the rules say about a guest, in whatever order they are given."""
    return decide_in_order(guest, in_order(rules))


def decide_in_order(guest: RuleGuest, rules: Sequence[Rule]) -> Decision:
    # Those that do not match say nothing.
    found = [(rule, result) for rule in rules if (result := matches(rule, guest)) is not False]
    if not found:
        return NOTHING
    return Decision(
        skip=decide_skip(found),
        extra_tags=decide_tags(found),
        **{target: decide_target(found, target) for target in TARGETS},
    )


type Found = list[tuple[Rule, Reading[bool]]]


def decide_target(found: Found, target: str) -> Reading[Decided | None]:
    for rule, result in found:
        if (value := getattr(rule.outcome, target)) is not None:
            return Decided(value, rule) if known(result) else result
    return None


def decide_skip(found: Found) -> Reading[Decided | None]:
    """A rule that matches is enough, whatever is unknown about others."""
    skipping = [(rule, result) for rule, result in found if rule.outcome.skip]
    for rule, result in skipping:
        if known(result):
            return Decided(True, rule)
    return skipping[0][1] if skipping else None


def decide_tags(found: Found) -> Reading[tuple[Decided, ...]]:
    tags: dict[Pointer, Decided] = {}
    for rule, result in found:
        if rule.outcome.extra_tags and not known(result):
            return result
        for tag in sorted(rule.outcome.extra_tags, key=lambda tag: (tag.label, tag.pk)):
            tags.setdefault(tag, Decided(tag, rule))
    return tuple(tags.values())


def matches(rule: Rule, guest: RuleGuest) -> Reading[bool]:
    """Whether all conditions of a rule hold; Unreadable if that hangs on what was not read."""
    unknown = None
    for result in conditions(rule, guest):
        if result is False:
            return False
        if not known(result) and unknown is None:
            unknown = Unreadable(f'Whether rule "{rule.name}" matches is not known: {result.reason}')
    return True if unknown is None else unknown


def conditions(rule: Rule, guest: RuleGuest) -> Iterator[Reading[bool]]:
    """What becomes of each condition that is given; cheap ones first."""
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
    return pool is not None and any(pool == wanted or pool.startswith(f'{wanted}/') for wanted in pools)


def has_tags(tags: Iterable[str], rule: Rule) -> bool:
    wanted, present = folded(rule.guest_tags), folded(tuple(tags))
    return wanted <= present if rule.tag_match == ALL else bool(wanted & present)


def has_name(name: str, rule: Rule) -> Reading[bool]:
    try:
        return compile_pattern(rule.name_pattern, rule.pattern_type).matches(name)
    except PatternError as error:
        # Forms and the API refuse such a pattern; it may still come from elsewhere, and must not end a run.
        return Unreadable(f'its name pattern is not valid: {error}')


@lru_cache(maxsize=4096)
def folded(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(text.casefold() for text in texts)
