import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.kinds import Owner
from netbox_proxsync.sync.ownership import FieldDecision, resolve_field

values = st.one_of(st.none(), st.just(''), st.integers(0, 3), st.sampled_from(['a', 'b', 'c']))
sets = st.frozensets(st.sampled_from('abcd'))


def test_a_fact_that_was_edited_is_set_back():
    decision = resolve_field(Owner.FACT, 'vcpus', {'vcpus': '2'}, '8', '2')
    assert (decision.writes, decision.write, decision.kept) == (True, '2', False)


def test_a_value_that_a_user_keeps_is_retained_while_both_values_are_the_same():
    kept, last = {'vcpus': ('2', '8')}, {'vcpus': '1'}
    assert resolve_field(Owner.FACT, 'vcpus', last, '8', '2', kept) == FieldDecision('2', False, True, '1')
    assert resolve_field(Owner.FACT, 'vcpus', {}, '8', '2', kept) == FieldDecision('2', False, True, None)
    for name, now, want in (('vcpus', '9', '2'), ('vcpus', '8', '3'), ('memory', '8', '2')):
        assert resolve_field(Owner.FACT, name, {name: '1'}, now, want, kept).writes


def test_an_editorial_field_that_was_edited_is_retained_and_what_we_wrote_is_remembered():
    decision = resolve_field(Owner.EDITORIAL, 'name', {'name': 'web'}, 'Web server', 'web2')
    assert (decision.writes, decision.kept, decision.last) == (False, True, 'web')


def test_an_editorial_field_that_is_as_we_wrote_it_follows_proxmox():
    decision = resolve_field(Owner.EDITORIAL, 'name', {'name': 'web'}, 'web', 'web2')
    assert (decision.writes, decision.write) == (True, 'web2')


def test_at_adoption_editorial_fields_are_filled_only_where_empty():
    assert resolve_field(Owner.EDITORIAL, 'comments', {}, '', 'notes').writes
    assert resolve_field(Owner.EDITORIAL, 'comments', {}, 'by hand', 'notes').kept


def test_an_adopted_value_that_equals_proxmox_follows_it_later():
    adopted = resolve_field(Owner.EDITORIAL, 'name', {}, 'web', 'web')
    assert (adopted.writes, adopted.kept, adopted.last) == (False, False, 'web')
    assert resolve_field(Owner.EDITORIAL, 'name', {'name': adopted.last}, 'web', 'web2').writes


def test_an_emptied_editorial_field_is_an_edit_too():
    decision = resolve_field(Owner.EDITORIAL, 'comments', {'comments': 'notes'}, '', 'notes')
    assert (decision.writes, decision.kept) == (False, True)


def test_tags_of_a_user_stay_and_ours_go_when_proxmox_drops_them():
    decision = resolve_field(Owner.SET, 'tags', {'tags': frozenset('ab')}, frozenset('abx'), frozenset('b'))
    assert (decision.writes, decision.write) == (True, frozenset('bx'))


def test_a_tag_that_a_user_removed_is_not_added_again():
    decision = resolve_field(Owner.SET, 'tags', {'tags': frozenset('ab')}, frozenset('b'), frozenset('ab'))
    assert not decision.writes


def test_a_tag_that_was_there_before_us_is_not_ours_to_remove():
    adopted = resolve_field(Owner.SET, 'tags', {}, frozenset('a'), frozenset('ab'))
    assert adopted.write == frozenset('ab')
    dropped = resolve_field(Owner.SET, 'tags', {'tags': adopted.last}, adopted.write, frozenset())
    assert dropped.write == frozenset('a')


WEB, DB = frozenset({'web'}), frozenset({'db'})


@pytest.mark.parametrize(
    ('owner', 'last', 'now', 'want', 'expected'),
    [
        (Owner.FACT, {'x': 'a'}, 'b', 'b', FieldDecision('b', False, False, 'b')),
        (Owner.FACT, {'x': 'a'}, 'a', 'b', FieldDecision('b', True, False, 'b')),
        (Owner.FACT, {}, 'a', 'b', FieldDecision('b', True, False, 'b')),
        (Owner.FACT, {'x': 'a'}, 'c', 'b', FieldDecision('b', True, False, 'b')),
        (Owner.EDITORIAL, {'x': 'a'}, 'b', 'b', FieldDecision('b', False, False, 'b')),
        (Owner.EDITORIAL, {'x': 'a'}, 'a', 'b', FieldDecision('b', True, False, 'b')),
        (Owner.EDITORIAL, {'x': 'a'}, 'c', 'b', FieldDecision('b', False, True, 'a')),
        (Owner.EDITORIAL, {}, 'c', 'b', FieldDecision('b', False, True, None)),
        (Owner.EDITORIAL, {}, None, 'b', FieldDecision('b', True, False, 'b')),
        (Owner.EDITORIAL, {}, frozenset(), 'b', FieldDecision('b', True, False, 'b')),
        (Owner.EDITORIAL, {}, 0, 1, FieldDecision(1, False, True, None)),
        (Owner.SET, {'x': WEB}, WEB, WEB, FieldDecision(WEB, False, False, WEB)),
        (Owner.SET, {'x': WEB}, WEB | DB, frozenset(), FieldDecision(DB, True, False, frozenset())),
        (Owner.SET, {'x': WEB}, DB, WEB, FieldDecision(DB, False, False, WEB)),
        (Owner.SET, {}, DB, WEB | DB, FieldDecision(WEB | DB, True, False, WEB)),
        (Owner.SET, {}, None, WEB, FieldDecision(WEB, True, False, WEB)),
    ],
)
def test_the_whole_decision_about_a_field(owner, last, now, want, expected):
    decision = resolve_field(owner, 'x', last, now, want)
    assert decision == expected
    assert decision.kept is expected.kept


def remembered(name, last, decision):
    return last if decision.kept and name not in last else {name: decision.last}


@given(
    owner=st.sampled_from([Owner.FACT, Owner.EDITORIAL]),
    last=st.one_of(st.just({}), st.builds(lambda value: {'x': value}, values)),
    now=values,
    want=values,
)
def test_deciding_again_after_the_write_decides_nothing(owner, last, now, want):
    first = resolve_field(owner, 'x', last, now, want)
    again = resolve_field(owner, 'x', remembered('x', last, first), first.write if first.writes else now, want)
    assert not again.writes
    assert again.kept == first.kept


@given(last=st.one_of(st.just({}), st.builds(lambda value: {'x': value}, sets)), now=sets, want=sets)
def test_merging_again_after_the_write_changes_nothing(last, now, want):
    first = resolve_field(Owner.SET, 'x', last, now, want)
    again = resolve_field(Owner.SET, 'x', {'x': first.last}, first.write, want)
    assert not again.writes
    # What a person put there stays.
    assert now - last.get('x', frozenset()) <= first.write
