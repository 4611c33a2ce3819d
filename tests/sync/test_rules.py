"""Which rule decides what about which guest."""

from dataclasses import dataclass, fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import known
from netbox_proxsync.proxmox.readings import Reading, Unreadable
from netbox_proxsync.sync.rules import (
    TARGETS,
    Decided,
    Decision,
    Outcome,
    Rule,
    evaluate_all,
    evaluate_rules,
    in_order,
    matches,
)
from netbox_proxsync.sync.values import Pointer

UNREAD = Unreadable('The token may not see it.')
WEB, APP = Pointer('dcim.devicerole', 1, 'Web'), Pointer('dcim.devicerole', 2, 'App')
RED = Pointer('ipam.vrf', 1, 'Red')
PROD, BACKUP = Pointer('extras.tag', 1, 'prod'), Pointer('extras.tag', 2, 'backup')


@dataclass(frozen=True, kw_only=True)
class Facts:
    type: str = 'qemu'
    vmid: int = 100
    node: str = 'pve1'
    name: Reading[str] = 'web-01'
    template: Reading[bool] = False
    tags: Reading[tuple[str, ...]] = ('prod', 'web')
    pool: Reading[str | None] = 'web/prod'

    @property
    def key(self) -> str:
        return f'{self.type}/{self.vmid}'


def rule(name='rule', weight=1000, outcome=None, **values) -> Rule:
    given = {field.name for field in fields(Outcome)} & set(values)
    outcome = outcome or Outcome(**{key: values.pop(key) for key in given})
    return Rule(name=name, weight=weight, outcome=outcome, **values)


def role_of(decision: Decision):
    return decision.role.value if isinstance(decision.role, Decided) else decision.role


@pytest.mark.parametrize(
    ('condition', 'facts', 'expected'),
    [
        ({}, {}, True),
        ({'guest_type': 'qemu'}, {}, True),
        ({'guest_type': 'lxc'}, {}, False),
        ({'name_pattern': 'web-*'}, {}, True),
        ({'name_pattern': '*-01'}, {}, True),
        ({'name_pattern': 'db-*'}, {}, False),
        ({'name_pattern': 'eb-*'}, {}, False),
        ({'name_pattern': '0[1-3]$', 'pattern_type': 'regex'}, {}, True),
        ({'guest_tags': ('prod', 'lab')}, {}, True),
        ({'guest_tags': ('PROD',)}, {}, True),
        ({'guest_tags': ('lab',)}, {}, False),
        ({'guest_tags': ('prod', 'lab'), 'tag_match': 'all'}, {}, False),
        ({'guest_tags': ('prod', 'web'), 'tag_match': 'all'}, {}, True),
        ({'guest_tags': ('prod',)}, {'tags': ()}, False),
        ({'pools': ('web',)}, {}, True),
        ({'pools': ('web/prod',)}, {}, True),
        ({'pools': ('web/prod',)}, {'pool': 'web'}, False),
        ({'pools': ('we',)}, {}, False),
        ({'pools': ('web', 'db')}, {'pool': 'db'}, True),
        ({'pools': ('web',)}, {'pool': None}, False),
        ({'nodes': ('PVE1', 'pve2')}, {}, True),
        ({'nodes': ('pve2',)}, {}, False),
        ({'vmid_min': 100, 'vmid_max': 100}, {}, True),
        ({'vmid_min': 101}, {}, False),
        ({'vmid_max': 99}, {}, False),
        ({'template': False}, {}, True),
        ({'template': True}, {}, False),
        ({'guest_type': 'qemu', 'nodes': ('pve2',)}, {}, False),
    ],
)
def test_conditions(condition, facts, expected):
    assert matches(rule(role=WEB, **condition), Facts(**facts)) is expected


@pytest.mark.parametrize(
    ('condition', 'unread'),
    [
        ({'name_pattern': 'web-*'}, 'name'),
        ({'guest_tags': ('prod',)}, 'tags'),
        ({'pools': ('web',)}, 'pool'),
        ({'template': False}, 'template'),
        ({'template': True}, 'template'),
    ],
)
def test_a_condition_on_what_was_not_read_is_neither_met_nor_failed(condition, unread):
    facts = Facts(**{unread: UNREAD})
    result = matches(rule('By fact', role=WEB, **condition), facts)
    assert isinstance(result, Unreadable)
    assert '"By fact"' in result.reason
    assert UNREAD.reason in result.reason
    # Another condition that fails settles it.
    assert matches(rule(role=WEB, vmid_max=99, **condition), facts) is False
    # What no rule asks for may be unknown.
    assert matches(rule(role=WEB), facts) is True


def test_the_first_rule_that_sets_a_target_decides_it():
    rules = [
        rule('third', 30, role=APP, vrf=RED, extra_tags=frozenset({BACKUP})),
        rule('first', 10, name_pattern='db-*', role=APP),
        rule('second', 20, role=WEB, extra_tags=frozenset({PROD})),
    ]
    decision = evaluate_rules(Facts(), rules)
    assert (role_of(decision), decision.role.rule.name) == (WEB, 'second')
    assert (decision.vrf.value, decision.vrf.rule.name) == (RED, 'third')
    assert decision.tenant is None
    assert {tag.value: tag.rule.name for tag in decision.extra_tags} == {PROD: 'second', BACKUP: 'third'}
    assert decision.reasons == {
        'role': 'rule "second"',
        'vrf': 'rule "third"',
        'tags': '"prod" by rule "second", "backup" by rule "third"',
    }
    assert not decision.may_be_skipped


def test_with_equal_weights_names_decide():
    assert evaluate_rules(Facts(), [rule('b', role=APP), rule('A', role=WEB)]).role.rule.name == 'A'


def test_an_unknown_rule_leaves_open_what_those_below_it_would_set():
    rules = [
        rule('certain', 10, tenant=Pointer('tenancy.tenant', 1)),
        rule('by pool', 20, pools=('web',), role=WEB),
        rule('rest', 30, role=APP, tenant=Pointer('tenancy.tenant', 2), vrf=RED),
    ]
    decision = evaluate_rules(Facts(pool=UNREAD), rules)
    assert isinstance(decision.role, Unreadable)
    assert isinstance(decision.value_for('role', APP), Unreadable)
    assert decision.tenant.rule.name == 'certain'
    assert decision.vrf.rule.name == 'rest'
    assert 'role' not in decision.reasons
    # Above it, nothing is open.
    above = evaluate_rules(Facts(pool=UNREAD), [*rules, rule('above', 1, role=APP)])
    assert above.role.rule.name == 'above'


def test_unknown_extra_tags_leave_the_tags_open():
    rules = [rule('sure', extra_tags=frozenset({PROD})), rule('pool', pools=('a',), extra_tags=frozenset({BACKUP}))]
    assert isinstance(evaluate_rules(Facts(pool=UNREAD), rules).extra_tags, Unreadable)
    assert [tag.value for tag in evaluate_rules(Facts(pool=None), rules).extra_tags] == [PROD]


def test_a_guest_is_left_unchanged_if_it_is_skipped_or_might_be():
    by_tag, by_pool = rule('tag', guest_tags=('web',), skip=True), rule('pool', pools=('x',), skip=True)
    assert evaluate_rules(Facts(), [by_tag]).skip == Decided(True, by_tag)
    # Rules that match and do not skip take nothing away from those that do.
    assert evaluate_rules(Facts(), [rule('first', 10, role=WEB), by_tag]).skip == Decided(True, by_tag)
    assert not evaluate_rules(Facts(tags=()), [by_tag, by_pool]).may_be_skipped
    might_be = evaluate_rules(Facts(pool=UNREAD), [by_pool])
    assert isinstance(might_be.skip, Unreadable)
    assert might_be.may_be_skipped
    # Of several that may skip, the first one is named.
    last = rule('last', 2000, pools=('y',), skip=True)
    assert evaluate_rules(Facts(pool=UNREAD), [by_pool, last]).skip == might_be.skip
    # One that surely skips settles it, wherever it stands.
    assert evaluate_rules(Facts(pool=UNREAD), [by_pool, replace(by_tag, weight=2000)]).skip.rule.name == 'tag'


def test_a_pattern_that_is_not_valid_decides_nothing_and_ends_nothing():
    decision = evaluate_rules(Facts(), [rule('broken', name_pattern='(', pattern_type='regex', role=WEB, skip=True)])
    assert isinstance(decision.role, Unreadable)
    assert (
        decision.role.reason
        == 'Whether rule "broken" matches is not known: its name pattern is not valid: missing ): (.'
    )
    assert decision.may_be_skipped


def test_the_default_is_picked_where_no_rule_speaks():
    assert evaluate_rules(Facts(), []).value_for('role', APP) == APP
    assert evaluate_rules(Facts(), []).value_for('role') is None
    assert evaluate_rules(Facts(), [rule(role=WEB)]).value_for('role', APP) == WEB


# Few values, so that rules do match.
TEXTS = st.sampled_from(['a', 'b', 'a/b', 'web', 'WEB'])
POINTERS = st.one_of(st.none(), st.builds(Pointer, st.just('x.y'), st.integers(1, 3)))
OUTCOMES = st.builds(
    Outcome,
    skip=st.booleans(),
    extra_tags=st.frozensets(st.builds(Pointer, st.just('extras.tag'), st.integers(1, 3)), max_size=2),
    **dict.fromkeys(TARGETS, POINTERS),
)
LISTS = st.lists(TEXTS, max_size=2).map(tuple)
RULES = st.builds(
    Rule,
    name=st.text(max_size=3),
    weight=st.integers(0, 3),
    outcome=OUTCOMES,
    guest_type=st.sampled_from(['', '', 'qemu', 'lxc']),
    name_pattern=st.one_of(st.just(''), st.text(st.characters(codec=None), max_size=4), st.just('w*')),
    pattern_type=st.sampled_from(['glob', 'regex']),
    guest_tags=LISTS,
    tag_match=st.sampled_from(['any', 'all']),
    pools=LISTS,
    nodes=st.one_of(st.just(()), LISTS),
    vmid_min=st.one_of(st.none(), st.integers(99, 101)),
    vmid_max=st.one_of(st.none(), st.integers(99, 101)),
    template=st.one_of(st.none(), st.booleans()),
)
RULE_LISTS = st.lists(RULES, max_size=6, unique_by=lambda rule: rule.name)


def reading(values) -> st.SearchStrategy:
    return st.one_of(values, values, st.just(UNREAD))


FACTS = st.builds(
    Facts,
    type=st.sampled_from(['qemu', 'lxc']),
    vmid=st.integers(99, 101),
    node=TEXTS,
    name=reading(st.one_of(TEXTS, st.text(st.characters(codec=None), max_size=300))),
    template=reading(st.booleans()),
    tags=reading(LISTS),
    pool=reading(st.one_of(st.none(), TEXTS)),
)


@given(FACTS, RULE_LISTS, st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_how_rules_are_stored_does_not_matter(facts, rules, random):
    shuffled = list(rules)
    random.shuffle(shuffled)
    assert evaluate_rules(facts, shuffled) == evaluate_rules(facts, rules)
    assert evaluate_all([facts], shuffled) == {facts.key: evaluate_rules(facts, rules)}


@given(FACTS, RULE_LISTS)
@settings(max_examples=300)
def test_each_target_is_decided_by_the_first_match_that_sets_it(facts, rules):
    decision = evaluate_rules(facts, rules)
    for target in TARGETS:
        setting = [rule for rule in in_order(rules) if getattr(rule.outcome, target) is not None]
        first = next((rule for rule in setting if matches(rule, facts) is not False), None)
        found = getattr(decision, target)
        if first is None:
            assert found is None
        elif matches(first, facts) is True:
            assert found == Decided(getattr(first.outcome, target), first)
        else:
            assert isinstance(found, Unreadable)


@given(FACTS, RULE_LISTS, RULES)
@settings(max_examples=300)
def test_a_rule_that_does_not_match_changes_nothing(facts, rules, added):
    if matches(added, facts) is False:
        assert evaluate_rules(facts, [*rules, added]) == evaluate_rules(facts, rules)


@given(FACTS, RULE_LISTS, RULES)
@settings(max_examples=300)
def test_a_rule_at_the_end_takes_no_decision_away(facts, rules, added):
    before, after = evaluate_rules(facts, rules), evaluate_rules(facts, [*rules, replace(added, name='z', weight=9)])
    for target in TARGETS:
        if getattr(before, target) is not None:
            assert getattr(after, target) == getattr(before, target)
    assert after.may_be_skipped or not before.may_be_skipped


@given(FACTS, RULE_LISTS)
@settings(max_examples=300)
def test_reading_more_changes_nothing_that_was_decided(facts, rules):
    """What is decided while something is unknown stays so, whatever that turns out to be."""
    before = evaluate_rules(facts, rules)
    for template in (True, False):
        for pool in (None, 'a', 'a/b', 'web'):
            told = replace(
                facts,
                name=facts.name if known(facts.name) else 'web',
                template=facts.template if known(facts.template) else template,
                tags=facts.tags if known(facts.tags) else ('a', 'web'),
                pool=facts.pool if known(facts.pool) else pool,
            )
            after = evaluate_rules(told, rules)
            for target in TARGETS:
                if known(getattr(before, target)):
                    assert getattr(after, target) == getattr(before, target)
            if before.skip is None:
                assert after.skip is None
