"""What a run keeps in memory is undone together with a rollback: every way to change a dictionary or a set, nested."""

from contextlib import suppress

import pytest

from netbox_proxsync.ledger.rollback import Journal, JournaledDict, JournaledSet

CHANGES = {
    'set': lambda found: found.__setitem__('new', 3),
    'overwrite': lambda found: found.__setitem__('one', 9),
    'delete': lambda found: found.__delitem__('one'),
    'pop': lambda found: found.pop('one'),
    'pop a missing key': lambda found: found.pop('missing', None),
    'setdefault': lambda found: found.setdefault('new', 3),
    'setdefault of a key': lambda found: found.setdefault('one', 9),
    'update': lambda found: found.update(one=9, new=3),
    'clear': lambda found: found.clear(),
    'set, overwrite and delete': lambda found: (
        found.__setitem__('new', 3), found.__setitem__('new', 4), found.__delitem__('new')
    ),
}  # fmt: skip


class RolledBackError(Exception):
    """Ends a transaction or a savepoint."""


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def found(journal) -> JournaledDict[str, int]:
    found: JournaledDict[str, int] = JournaledDict(journal)
    found.update(one=1, two=2)
    journal.forget()
    return found


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_each_change_of_a_dictionary_is_undone_if_its_block_fails(journal, found, change):
    with suppress(RolledBackError), journal.reverting():
        change(found)
        raise RolledBackError
    assert dict(found) == {'one': 1, 'two': 2}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_each_change_is_as_that_of_a_dictionary_and_stays_if_its_block_succeeds(journal, found, change):
    plain = {'one': 1, 'two': 2}
    with journal.reverting():
        change(found)
    change(plain)
    assert dict(found) == plain


def test_a_savepoint_is_undone_by_itself_and_with_its_transaction(journal, found):
    with suppress(RolledBackError), journal.reverting():
        found['outer'] = 1
        with suppress(RolledBackError), journal.reverting():
            found['inner'] = 2
            raise RolledBackError
        assert dict(found) == {'one': 1, 'two': 2, 'outer': 1}
        with journal.reverting():
            del found['one']
        raise RolledBackError
    assert dict(found) == {'one': 1, 'two': 2}


def test_committed_changes_are_not_reverted(journal, found):
    with suppress(RolledBackError), journal.reverting():
        with journal.reverting():
            found['committed'] = 3
        journal.forget()
        raise RolledBackError
    assert found['committed'] == 3


def test_changes_of_a_set_are_undone(journal):
    members: JournaledSet[str] = JournaledSet(journal)
    members.add('one')
    with suppress(RolledBackError), journal.reverting():
        members.add('two')
        members.add('two')
        members.discard('one')
        members.discard('missing')
        raise RolledBackError
    assert list(members) == ['one']
