"""The sync status of guests and its reasons, on plain data."""

from dataclasses import replace
from itertools import product

import pytest

from netbox_proxsync.proxmox.inventory import GuestOnlyInterface, GuestType, IgnoredAddress, Unreadable
from netbox_proxsync.proxmox.messages import as_json
from netbox_proxsync.sync.changes import Action, Change
from netbox_proxsync.sync.guest_details import details_of
from netbox_proxsync.sync.guest_filters import GuestFilters
from netbox_proxsync.sync.guest_states import (
    IGNORED,
    REOPENED,
    GuestState,
    GuestStates,
    LaterGuestStates,
    OpenChanges,
    Pending,
    RevertedGuestStates,
    State,
)
from netbox_proxsync.sync.kinds.cluster import CLUSTER_KEY
from netbox_proxsync.sync.rules import Outcome, Rule
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import SETTINGS, UNREAD, NetBox, addresses, config, disk, guest, inventory, nic, node

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
        ([Pending(change(Action.CREATE))], State.NEW, 'will be created'),
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
def test_open_changes_determine_the_state(pending, state, words):
    found = standing(*pending)
    assert found.state is state
    assert words in found.reason


@pytest.mark.parametrize('part', ['config', 'name', 'template'])
def test_an_unread_guest_is_unknown(part):
    found = standing(Pending(change()), one=replace(guest(100), **{part: Unreadable('The node is away.')}))
    assert found == GuestState(State.UNKNOWN, 'The node is away.')


def test_a_skipped_guest_names_the_setting_or_rule():
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


def test_an_unmanaged_machine_is_left_and_its_parts_are_retained():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    bound = netbox.bindings['vm', 'qemu/100']
    netbox.bindings['vm', 'qemu/100'] = replace(bound, unmanaged=True)
    grown = config(nics=guest(100).config.nics, disks=(disk(size=64 * 2**30),), memory=8 * 2**30)
    made = netbox.sync(inventory(guest(100, 'renamed', config=grown)))
    assert [(found.kind, found.action) for found in made.changes] == [('disk', Action.UPDATE)]
    netbox.bindings['vm', 'qemu/100'] = replace(bound, unmanaged=True)
    assert not netbox.sync(inventory()).changes


def test_values_that_may_be_secrets_are_not_reported():
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


def test_unread_parts_are_reported_once_with_the_reason():
    reason = Unreadable('Node pve2 is offline.')
    lost = replace(guest(100), config=reason, addresses=reason, status=reason, pool=Unreadable('No Pool.Audit.'))
    assert details_of(lost)['unread'] == [
        {'part': 'config', 'of': '', **as_json(reason='Node pve2 is offline.')},
        {'part': 'pool', 'of': '', **as_json(reason='No Pool.Audit.')},
    ]
    assert 'nics' not in details_of(lost)
    off = Unreadable('It does not run.')
    silent = guest(100, addresses={'net0': addresses(running=off), 'net1': addresses(running=off)})
    unread = [{'part': 'running', 'of': 'net0, net1', **as_json(reason='It does not run.')}]
    assert details_of(silent)['unread'] == unread


# Why a guest is skipped


CONTAINER = GuestType.LXC
SKIPPING = Rule(name='No web', name_pattern='web', outcome=Outcome(skip=True))


@pytest.mark.parametrize(
    ('one', 'settings', 'words'),
    [
        (guest(100, type=CONTAINER), {'sync_containers': False}, 'does not sync containers'),
        (guest(100), {'rules': (SKIPPING,)}, 'The rule "No web" skips the guest.'),
        (
            replace(guest(100), name=Unreadable('No name.')),
            {'rules': (SKIPPING,)},
            'The guest is not synchronized. Whether rule',
        ),
        (guest(100), {'guest_filters': GuestFilters.parse(['db'], [])}, 'A filter of the endpoint excludes the guest.'),
    ],
)
def test_a_skipped_guest_states_the_reason(one, settings, words):
    found = standing(one=one, settings=replace(SETTINGS, **settings))
    assert found.state is State.SKIPPED
    assert words in found.reason


def test_a_guest_whose_status_is_unknown_is_in_sync_with_nothing():
    lost = replace(guest(100), status=Unreadable('The node is away.'))
    assert standing(one=lost) == GuestState(State.UNKNOWN, 'The node is away.')
    assert standing(Pending(change()), one=lost).state is State.CHANGED


def test_several_candidates_are_listed_with_their_reasons():
    pointer = Pointer('virtualization.virtualmachine', 8)
    pending = [
        Pending(change(Action.CANDIDATE, reason=reason, pointer=replace(pointer, pk=pk)))
        for reason, pk in (('It may be a.', 8), ('It may be b.', 7))
    ]
    assert standing(*pending) == GuestState(State.CANDIDATE, 'It may be a.\nIt may be b.')
    pending.append(Pending(change(Action.UPDATE, pointer=replace(pointer, pk=9))))
    found = OpenChanges(pending)
    assert found.candidates('qemu/100') == [7, 8]
    assert found.candidates('qemu/101') == []
    assert found.to_adopt('qemu/100') == 9
    assert found.to_adopt('qemu/101') is None
    assert OpenChanges(pending[:2]).to_adopt('qemu/100') is None
    assert list(found) == pending


# States while a run writes


def test_a_written_change_is_no_longer_pending_and_a_failed_one_is_a_conflict():
    states = GuestStates(inventory(guest(100)), SETTINGS, [Pending(change(Action.CREATE))])
    before = GuestState(State.UNKNOWN)
    assert states.now('qemu/100', False, before, True).state is State.NEW
    restore = states.savepoint(['qemu/100', 'qemu/101'])
    states.set_outcome(change(Action.CREATE), None)
    assert states.now('qemu/100', True, before, True) == GuestState(State.IN_SYNC)
    states.set_outcome(change(Action.CREATE), Pending(change(Action.CREATE), failure='No.'))
    assert states.now('qemu/100', False, before, True) == GuestState(State.CONFLICT, 'No.')
    restore()
    assert states.now('qemu/100', False, before, True).state is State.NEW


def test_a_guest_that_was_missing_remains_missing_though_its_node_is_offline():
    inv = inventory(nodes=(node('pve1', online=False),))
    states = GuestStates(inv, SETTINGS, [])
    missing = GuestState(State.MISSING)
    assert states.now('qemu/100', True, missing, was_listed=False).state is State.MISSING
    waiting = states.now('qemu/100', True, missing, was_listed=True)
    assert waiting.state is State.UNKNOWN
    assert 'may be on node pve1, which is offline' in waiting.reason
    assert states.now('qemu/100', True, GuestState(State.NEW), was_listed=False).state is State.UNKNOWN


def test_while_an_earlier_plan_is_applied_a_guest_is_changed_until_its_last_change_is_written():
    states = LaterGuestStates({'qemu/100': 2}, '')
    before = GuestState(State.CHANGED)
    assert states.now('qemu/100', True, before, True) == GuestState(State.CHANGED)
    restore = states.savepoint(['qemu/100'])
    states.set_outcome(change(), None)
    assert states.now('qemu/100', True, before, True) == GuestState(State.CHANGED)
    states.set_outcome(change(kind='ip'), None)
    assert states.now('qemu/100', True, before, True) == GuestState(State.IN_SYNC)
    restore()
    assert states.now('qemu/100', True, before, True) == GuestState(State.CHANGED)
    states.set_outcome(change(), Pending(change(), failure='No.'))
    assert states.now('qemu/100', True, before, True) == GuestState(State.CONFLICT, 'No.')


def test_while_an_earlier_plan_is_applied_what_netbox_rejected_of_it_remains_open():
    states = LaterGuestStates({'qemu/100': 1}, '', [(change(), 'Too long.')])
    before = GuestState(State.CONFLICT)
    assert states.now('qemu/100', True, before, True) == GuestState(State.CONFLICT, 'Too long.')
    # The rest of the same change is applied.
    states.set_outcome(change(), None)
    assert states.now('qemu/100', True, before, True) == GuestState(State.CONFLICT, 'Too long.')


def test_applying_an_earlier_plan_retains_states_that_it_cannot_know():
    states = LaterGuestStates({}, '')
    for before in (GuestState(State.UNKNOWN, 'x'), GuestState(State.SKIPPED, 'y')):
        assert states.now('qemu/100', True, before, True) == before
    assert states.now('qemu/100', True, GuestState(State.NEW), was_listed=False).state is State.MISSING
    assert states.now('qemu/100', False, GuestState(State.NEW), was_listed=False) is None
    newer = LaterGuestStates({}, 'There is a newer reading.')
    assert newer.now('qemu/100', True, GuestState(State.NEW), True) == GuestState(
        State.UNKNOWN, 'There is a newer reading.'
    )
    assert IGNORED.state is State.IGNORED


def test_while_a_revert_is_applied_the_next_sync_is_reported_to_write_the_values_again():
    states = RevertedGuestStates({}, '')
    for before in (GuestState(State.UNKNOWN, 'x'), GuestState(State.SKIPPED, 'y'), IGNORED):
        assert states.now('qemu/100', True, before, True) == before
    in_sync = GuestState(State.IN_SYNC)
    assert states.now('qemu/100', True, in_sync, was_listed=False).state is State.MISSING
    assert states.now('qemu/100', False, in_sync, was_listed=False) is None
    assert states.now('qemu/100', True, in_sync, True).state is State.CHANGED
    assert states.now('qemu/100', False, in_sync, True).state is State.NEW


def test_details_list_what_was_read():
    ignored = IgnoredAddress(text='fe80::1', guest_interface='eth0', reason='link-local')
    foreign = GuestOnlyInterface(
        name='docker0', mac=None, addresses=addresses('172.17.0.1/16').addresses, ignored=(ignored,)
    )
    one = guest(
        100,
        pool='web',
        lock='backup',
        guest_only=(foreign,),
        config=config(nics=(nic(trunks=((5, 5), (10, 20))), nic('net1', None)), disks=(disk(),)),
        addresses={'net0': replace(addresses('10.0.0.5/24', '10.0.0.6'), ignored=(ignored,), guest_name='eth0')},
    )
    details = details_of(one)
    assert (details['pool'], details['lock']) == ('web', 'backup')
    assert 'ha_state' not in details
    first, second = details['nics']
    assert (first['name'], first['trunks']) == ('eth0', ['5', '10-20'])
    assert [entry['address'] for entry in first['addresses']] == ['10.0.0.5/24', '10.0.0.6']
    assert first['ignored'] == [{'address': 'fe80::1', 'guest_interface': 'eth0', **as_json(reason='link-local')}]
    assert (second['mac'], second['addresses'], second['ignored']) == (None, [], [])
    (outside,) = details['guest_only']
    assert outside['name'] == 'docker0'
    assert outside['addresses'][0]['address'] == '172.17.0.1/16'
    assert details['disks'][0]['volume'] == 'vm-disk-scsi0'


def test_unreadable_parts_of_a_configuration_are_listed():
    one = guest(100, config=config(memory=Unreadable('Garbled.')), addresses=UNREAD)
    parts = {entry['part']: entry['reason'] for entry in details_of(one)['unread']}
    assert parts['memory'] == 'Garbled.'
    assert parts['addresses'] == 'It was not read.'
