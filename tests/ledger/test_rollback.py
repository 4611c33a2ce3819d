"""What a run keeps in memory is undone together with a rollback: every way to change a dictionary or a set, nested."""

from contextlib import suppress

import pytest

from netbox_proxsync.ledger.rollback import Journal, JournaledDict, JournaledSet, LoadedDict

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


@pytest.fixture
def stored() -> dict[str, int]:
    """What the database holds."""
    return {'one': 1, 'two': 2}


@pytest.fixture
def asked() -> list[str]:
    """The keys that were read."""
    return []


@pytest.fixture
def loaded(journal, stored, asked) -> LoadedDict[str, int]:
    def read(key: str) -> int | None:
        asked.append(key)
        return stored.get(key)

    return LoadedDict(journal, read)


def test_a_loaded_dictionary_reads_each_key_once(loaded, asked):
    assert [loaded.get('one'), loaded['one'], 'one' in loaded] == [1, 1, True]
    assert [loaded.get('three'), loaded.get('three'), 'three' in loaded] == [None, None, False]
    assert asked == ['one', 'three']


def test_a_loaded_dictionary_does_not_read_what_it_was_told(loaded, asked):
    loaded.replace({'one': 11}, ['one', 'three'])
    loaded['four'] = 4
    assert loaded.pop('one') == 11
    assert [loaded.get(key) for key in ('one', 'three', 'four')] == [None, None, 4]
    loaded['three'] = 3
    assert loaded['three'] == 3
    assert asked == []


def test_what_was_read_after_a_write_is_read_again_after_its_rollback(journal, loaded, stored, asked):
    with suppress(RolledBackError), journal.reverting():
        stored['one'] = 10
        assert [loaded.get('one'), loaded.get('three')] == [10, None]
        assert loaded.pop('two') == 2
        raise RolledBackError
    stored['one'] = 1
    assert [loaded.get('one'), loaded.get('two'), loaded.get('three')] == [1, 2, None]
    assert asked == ['one', 'three', 'two', 'one', 'two', 'three']
