"""The write policy: which changes of a plan are written, and which are withheld."""

import pytest

from netbox_proxsync.sync.changes import Action, Change
from netbox_proxsync.sync.write_policy import WritePolicy, split


def change(action: Action, key: str = 'qemu/100', unit: str = 'qemu/100') -> Change:
    return Change(action=action, kind='vm', key=key, unit=unit, label='x')


@pytest.mark.parametrize(
    ('policy', 'permitted'),
    [
        ('everything', set(Action)),
        ('no-removals', set(Action) - {Action.RETIRE, Action.RELEASE, Action.DELETE}),
        ('create-only', {Action.CREATE, Action.CONFLICT, Action.CANDIDATE}),
        ('report-only', {Action.CONFLICT, Action.CANDIDATE}),
    ],
)
def test_each_change_is_either_written_or_withheld(policy, permitted):
    changes = tuple(change(action, unit=f'qemu/{number}') for number, action in enumerate(Action))
    written, withheld = split(changes, policy)
    assert {change.action for change in written} == permitted
    assert {change.action for change in withheld} == set(Action) - permitted
    assert len(written) + len(withheld) == len(changes)
    assert policy in set(WritePolicy)


def test_a_machine_that_may_not_be_adopted_gets_no_parts():
    changes = (
        change(Action.ADOPT),
        change(Action.CREATE, 'qemu/100/net0'),
        change(Action.CONFLICT, 'qemu/100/net1'),
        change(Action.UPDATE, 'qemu/101', 'qemu/101'),
        change(Action.CREATE, 'qemu/101/net0', 'qemu/101'),
    )
    written, withheld = split(changes, 'create-only')
    assert [one.key for one in written] == ['qemu/100/net1', 'qemu/101/net0']
    assert [one.key for one in withheld] == ['qemu/100', 'qemu/100/net0', 'qemu/101']
