"""How NetBox stands to a guest, and what is told of it, on plain data."""

from dataclasses import replace
from itertools import product

import pytest

from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.sync.changes import Action, Change
from netbox_proxsync.sync.guest_details import details_of
from netbox_proxsync.sync.guest_states import REOPENED, GuestState, GuestStates, Pending, State
from netbox_proxsync.sync.kinds.cluster import CLUSTER_KEY
from tests.sync.builders import SETTINGS, NetBox, addresses, config, disk, guest, inventory, nic

SECRET = 'b6f1d3c2-not-to-be-told'


def change(action=Action.UPDATE, kind='vm', key='qemu/100', unit='qemu/100', **values) -> Change:
    return Change(action=action, kind=kind, key=key, unit=unit, label='web', **values)


def standing(*pending: Pending, one=None, settings=SETTINGS) -> GuestState:
    one = one or guest(100)
    return GuestStates(inventory(one), settings, pending).of(one)


@pytest.mark.parametrize(
    ('pending', 'state', 'words'),
    [
        ([], State.IN_SYNC, ''),
        ([Pending(change(Action.CREATE))], State.NEW, 'makes'),
        ([Pending(change(Action.ADOPT))], State.NEW, 'adopts'),
        ([Pending(change())], State.CHANGED, ''),
        ([Pending(change(kind='disk'), note='edited')], State.CHANGED, 'edited'),
        ([Pending(change(kind='disk', action=Action.CREATE))], State.CHANGED, ''),
        ([Pending(change()), Pending(change(kind='ip', action=Action.CONFLICT, reason='two'))], State.CONFLICT, 'two'),
        ([Pending(change(), failure='name: too long')], State.CONFLICT, 'too long'),
        ([Pending(change(), failure='one'), Pending(change(kind='ip'), failure='two')], State.CONFLICT, '1 more'),
        ([Pending(change(unit='qemu/101'))], State.IN_SYNC, ''),
        (
            [Pending(change(Action.CONFLICT, 'cluster', CLUSTER_KEY, '', reason='not this cluster'))],
            State.CONFLICT,
            'not this cluster',
        ),
    ],
)
def test_what_is_open_decides(pending, state, words):
    found = standing(*pending)
    assert found.state is state
    assert words in found.reason


@pytest.mark.parametrize('part', ['config', 'name', 'template'])
def test_what_could_not_be_read_is_unknown(part):
    found = standing(Pending(change()), one=replace(guest(100), **{part: Unreadable('The node is away.')}))
    assert found == GuestState(State.UNKNOWN, 'The node is away.')


def test_what_is_left_out_says_by_what():
    assert 'virtual machines' in standing(settings=replace(SETTINGS, sync_vms=False)).reason
    assert 'template' in standing(one=guest(100, template=True)).reason


def test_a_decision_that_was_taken_back_during_the_run_waits_for_the_next_one():
    assert standing(settings=replace(SETTINGS, ignored=frozenset({'qemu/100'}))) == REOPENED


def test_a_guest_that_is_not_listed():
    complete = GuestStates(inventory(), SETTINGS, [])
    assert complete.absent('qemu/100', is_bound=True).state is State.MISSING
    assert complete.absent('qemu/100', is_bound=False) is None
    partial = GuestStates(inventory(guests_incomplete=Unreadable('No quorum.')), SETTINGS, [])
    for is_bound in (True, False):
        assert partial.absent('qemu/100', is_bound) == GuestState(State.UNKNOWN, 'No quorum.')
    blocked = [Pending(change(Action.CONFLICT, reason='a journal entry hangs on it'))]
    assert GuestStates(inventory(), SETTINGS, blocked).absent('qemu/100', True).state is State.CONFLICT


def test_an_ignored_guest_takes_part_in_nothing_though_everything_about_it_changes():
    ignoring = replace(SETTINGS, ignored=frozenset({'qemu/100'}))
    for before, after in product(([guest(100)], []), ([guest(100, 'other', ('10.0.0.9/24',))], [])):
        netbox = NetBox()
        netbox.sync(inventory(*before))
        assert not netbox.sync(inventory(*after), ignoring).changes


def test_an_address_of_an_ignored_retired_guest_is_not_free_for_others():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    netbox.sync(inventory())
    assert netbox.bindings['vm', 'qemu/100'].missing_since
    ignoring = replace(SETTINGS, ignored=frozenset({'qemu/100'}))
    made = netbox.sync(inventory(guest(101, 'heir')), ignoring)
    assert [found.key for found in made.changes if found.action is Action.CONFLICT] == ['qemu/101/10.0.0.5']


def test_an_unmanaged_machine_is_left_and_its_parts_are_kept():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    bound = netbox.bindings['vm', 'qemu/100']
    netbox.bindings['vm', 'qemu/100'] = replace(bound, unmanaged=True)
    grown = config(nics=guest(100).config.nics, disks=(disk(size=64 * 2**30),), memory=8 * 2**30)
    made = netbox.sync(inventory(guest(100, 'renamed', config=grown)))
    assert [(found.kind, found.action) for found in made.changes] == [('disk', Action.UPDATE)]
    netbox.bindings['vm', 'qemu/100'] = replace(bound, unmanaged=True)
    assert not netbox.sync(inventory()).changes


def test_values_that_may_be_secrets_are_not_told():
    one = guest(
        100,
        config=config(
            nics=(nic(extra={'novel': SECRET}),),
            disks=(disk(storage=None, volume=f'iscsi://user%{SECRET}@host/1', passthrough=True),),
            extra={'args': SECRET},
            description=SECRET,
        ),
    )
    details = details_of(one)
    assert SECRET not in str(details)
    assert details['unknown_keys'] == ['args', 'net0: novel']


def test_what_is_unread_is_told_once_with_its_reason():
    reason = Unreadable('Node pve2 is offline.')
    lost = replace(guest(100), config=reason, addresses=reason, status=reason, pool=Unreadable('No Pool.Audit.'))
    assert details_of(lost)['unread'] == [
        {'part': 'config', 'of': '', 'reason': 'Node pve2 is offline.'},
        {'part': 'pool', 'of': '', 'reason': 'No Pool.Audit.'},
    ]
    assert 'nics' not in details_of(lost)
    off = Unreadable('It does not run.')
    silent = guest(100, addresses={'net0': addresses(running=off), 'net1': addresses(running=off)})
    assert details_of(silent)['unread'] == [{'part': 'running', 'of': 'net0, net1', 'reason': 'It does not run.'}]
