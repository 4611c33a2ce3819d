"""
Machines that return under another VM ID or after their VM ID was used by another machine: one record for each machine.

The class is "a record is not recognized as that of its machine". Other inputs that were tried: virtual machines and
containers, the same VM ID and another one, retired before and missing only now, two machines that swap their VM IDs, a
record that was deleted by hand, several records and several copies of one machine, a UUID that all machines have, a
guest that is still listed, ignored or filtered, an incomplete list, limited runs, and records of other endpoints.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.guest_identity import is_another_machine, is_same_machine
from netbox_proxsync.sync.state import Departed
from tests.sync.builders import NOW, SETTINGS, NetBox, config, guest, inventory, nic, node, plan

UUID = 'aaaaaaaa-0000-4000-8000-000000000001'
OTHER = 'bbbbbbbb-0000-4000-8000-000000000002'


def vm(vmid=100, uuid=UUID, mac='BC:24:11:00:00:01', name='web', created=1, **values):
    return guest(vmid, name, (), config=config(uuid=uuid, created=created, nics=(nic(mac=mac),)), **values)


def ct(vmid=200, mac='BC:24:11:00:00:0C', name='dns', **values):
    return guest(vmid, name, (), type=GuestType.LXC, config=config(nics=(nic(mac=mac),)), **values)


OCCUPANTS = {
    100: vm(100, OTHER, 'BC:24:11:00:00:02', 'other', created=2),
    200: ct(200, 'BC:24:11:00:00:0D', 'other'),
}


def keys(netbox, kind='vm'):
    return {key: bound.pointer.pk for (each, key), bound in netbox.bindings.items() if each == kind}


def settled(netbox, inv, settings=SETTINGS):
    again = plan(inv, netbox.existing, settings)
    assert (again.changes, again.refreshed, again.rekeyed, again.forgotten) == ((), {}, {}, ())


@pytest.mark.parametrize('machine', [vm(), ct()], ids=['qemu', 'lxc'])
@pytest.mark.parametrize('vmid', [0, 5], ids=['same VM ID', 'other VM ID'])
@pytest.mark.parametrize('occupied', [False, True])
@pytest.mark.parametrize('retired', [False, True])
def test_a_machine_that_returns_has_its_record_again(machine, vmid, occupied, retired):
    netbox, bystander = NetBox(), guest(900, 'x', ())
    netbox.sync(inventory(machine, bystander))
    record = netbox.object('vm', machine.key).pointer
    parts = {kind: set(netbox.records[kind]) for kind in ('interface', 'disk', 'mac')}
    netbox.edit('vm', record, comments='By hand')
    others = [OCCUPANTS[machine.vmid]] if occupied else []
    if retired:
        netbox.sync(inventory(*others, bystander))
        assert netbox.records['vm'][record].values['status'] == 'decommissioning'
    back = replace(machine, vmid=machine.vmid + vmid)
    present = [other for other in others if other.vmid != back.vmid]
    inv = inventory(back, *present, bystander)
    netbox.sync(inv)
    assert netbox.object('vm', back.key).pointer == record
    values = netbox.records['vm'][record].values
    assert (values['status'], values['cf_vmid'], values['comments']) == ('active', back.vmid, 'By hand')
    assert netbox.bindings['vm', back.key].missing_since is None
    assert all(pointers <= set(netbox.records[kind]) for kind, pointers in parts.items())
    assert {netbox.records[kind][pointer].pointer for kind in parts for pointer in parts[kind]}
    settled(netbox, inv)


def test_two_machines_that_exchange_their_vm_ids_keep_their_records():
    netbox = NetBox()
    one, two = vm(100), vm(101, OTHER, 'BC:24:11:00:00:02', 'other', created=2)
    netbox.sync(inventory(one, two))
    before = keys(netbox)
    inv = inventory(replace(two, vmid=100), replace(one, vmid=101))
    netbox.sync(inv)
    assert keys(netbox) == {'qemu/100': before['qemu/101'], 'qemu/101': before['qemu/100']}
    settled(netbox, inv)


@pytest.mark.parametrize('why', ['listed', 'ignored', 'filtered', 'incomplete'])
def test_a_copy_under_another_vm_id_takes_nothing_from_a_machine_that_is_there(why):
    netbox, bystander = NetBox(), guest(900, 'x', ())
    netbox.sync(inventory(vm(), bystander))
    record = netbox.object('vm', 'qemu/100')
    settings, original, more = SETTINGS, [vm()], {}
    if why == 'ignored':
        settings = replace(SETTINGS, ignored=frozenset({'qemu/100'}))
    elif why == 'filtered':
        original = [vm(template=True)]
    elif why == 'incomplete':
        original, more = [], {'guests_incomplete': Unreadable('no quorum')}
    netbox.sync(inventory(*original, vm(105), bystander, **more), settings)
    assert netbox.object('vm', 'qemu/100') == record
    assert netbox.object('vm', 'qemu/105').pointer != record.pointer


def test_of_two_copies_the_one_of_the_same_vm_id_or_name_is_the_machine():
    for copies, expected in (
        ((vm(100), vm(105)), 'qemu/100'),
        ((vm(104, name='copy'), vm(105)), 'qemu/105'),
        ((vm(104), vm(105)), None),
    ):
        netbox, bystander = NetBox(), guest(900, 'x', ())
        netbox.sync(inventory(vm(), bystander))
        record = netbox.object('vm', 'qemu/100').pointer.pk
        netbox.sync(inventory(bystander))
        netbox.sync(inventory(*copies, bystander))
        found = {pk: key for key, pk in keys(netbox).items()}
        assert found[record] == (expected or 'qemu/100')
        settled(netbox, inventory(*copies, bystander))


def test_of_several_records_the_one_seen_last_is_revived():
    """Three records of one machine, as an earlier release made them."""
    netbox, bystander = NetBox(), guest(900, 'x', ())
    netbox.sync(inventory(vm(), vm(105), bystander))
    netbox.sync(inventory(vm(105), bystander), now=NOW)
    last = netbox.object('vm', 'qemu/105').pointer
    netbox.sync(inventory(bystander), now=NOW + timedelta(days=1))
    netbox.sync(inventory(vm(110), bystander), now=NOW + timedelta(days=2))
    assert netbox.object('vm', 'qemu/110').pointer == last


def test_a_record_that_was_deleted_manually_holds_up_no_return():
    netbox, bystander = NetBox(), guest(900, 'x', ())
    five = vm(105, OTHER, 'BC:24:11:00:00:02', 'five', created=2)
    netbox.sync(inventory(vm(), five, bystander))
    record = netbox.object('vm', 'qemu/100').pointer
    del netbox.records['vm'][netbox.object('vm', 'qemu/105').pointer]
    netbox.sync(inventory(vm(105), bystander))
    assert netbox.object('vm', 'qemu/105').pointer == record


def test_a_limited_run_revives_the_guest_that_it_is_for():
    netbox, bystander = NetBox(), guest(900, 'x', ())
    netbox.sync(inventory(vm(), bystander))
    record = netbox.object('vm', 'qemu/100').pointer
    netbox.sync(inventory(vm(105), bystander), vmids=[900])
    assert netbox.object('vm', 'qemu/100').pointer == record
    netbox.sync(inventory(vm(105), bystander), vmids=[105])
    assert netbox.object('vm', 'qemu/105').pointer == record


def test_a_uuid_that_all_machines_have_proves_nothing():
    zero = '00000000-0000-0000-0000-000000000000'
    netbox, bystander = NetBox(), guest(900, 'x', ())
    netbox.sync(inventory(vm(uuid=zero), bystander))
    netbox.sync(inventory(bystander))
    made = netbox.sync(inventory(vm(105, zero, 'BC:24:11:00:00:09'), bystander))
    assert [change.action for change in made.changes if change.kind == 'vm'] == [Action.CREATE]


@pytest.mark.parametrize(
    ('last', 'seen', 'same'),
    [
        ({'id_uuid': 'ab'}, {'id_uuid': 'ab'}, True),
        ({'id_uuid': 'ab', 'id_macs': frozenset({'1'})}, {'id_uuid': 'cd', 'id_macs': frozenset({'1'})}, False),
        ({'id_macs': frozenset({'1', '2'})}, {'id_macs': frozenset({'1', '2'})}, True),
        ({'id_macs': frozenset({'1', '2'})}, {'id_macs': frozenset({'1'})}, False),
        ({'id_macs': frozenset({'1'}), 'id_created': 1}, {'id_macs': frozenset({'1'}), 'id_created': 2}, False),
        ({'id_macs': frozenset({'1'})}, {'id_uuid': 'ab', 'id_macs': frozenset({'1'})}, True),
        ({'id_name': 'web'}, {'id_name': 'web'}, False),
        ({}, {}, False),
    ],
)
def test_evidence_that_a_returning_guest_is_the_same_machine(last, seen, same):
    assert is_same_machine(last, seen) is same
    assert not (same and is_another_machine(last, seen))


# Retired guests of other endpoints


def elsewhere(one, now=NOW):
    """What another endpoint has of a guest that is missing there: its record and its bindings."""
    netbox = NetBox()
    netbox.serial = 1000
    netbox.sync(inventory(one, guest(900, 'x', ())))
    netbox.sync(inventory(guest(900, 'x', ())), now=now)
    root = netbox.bindings['vm', one.key]
    parts = tuple(bound for bound in netbox.bindings.values() if bound.unit == one.key and bound.kind != 'vm')
    return Departed(root=root, parts=parts, record=netbox.existing.by_pointer[root.pointer])


def here(*departed, now=NOW):
    netbox = NetBox()
    netbox.sync(inventory(guest(901, 'y', ())), now=now)
    foreign = {bound.pointer: '7' for each in departed for bound in (each.root, *each.parts)}
    return replace(netbox.existing, departed=departed, foreign=foreign)


def arrived(one, *departed):
    return plan(inventory(guest(901, 'y', ()), one), here(*departed))


@pytest.mark.parametrize('machine', [vm(), ct()], ids=['qemu', 'lxc'])
def test_a_machine_that_moved_to_this_cluster_has_its_record_again(machine):
    departed = elsewhere(machine)
    moved = replace(machine, vmid=machine.vmid + 7)
    made = arrived(moved, departed)
    change = next(change for change in made.changes if change.kind == 'vm')
    assert (change.key, change.action, change.pointer) == (moved.key, Action.REVIVE, departed.root.pointer)
    assert made.rekeyed[departed.root.pk] == (moved.key, moved.key)
    assert set(made.rekeyed) == {departed.root.pk, *(bound.pk for bound in departed.parts)}


@pytest.mark.parametrize(
    ('machine', 'other'),
    [(vm(), vm(107, OTHER)), (ct(), ct(207, name='other')), (ct(), ct(207, mac='BC:24:11:00:00:0D'))],
)
def test_another_machine_in_this_cluster_does_not_get_the_record(machine, other):
    made = arrived(other, elsewhere(machine))
    assert not made.rekeyed
    assert next(change for change in made.changes if change.key == other.key).action is Action.CREATE


def test_of_two_records_the_one_that_was_found_last_returns():
    older, newer = elsewhere(vm(), NOW), elsewhere(vm(), NOW + timedelta(days=1))
    newer = replace(
        newer,
        root=replace(newer.root, pk=newer.root.pk + 500, pointer=replace(newer.root.pointer, pk=9999)),
        parts=(),
        record=replace(newer.record, pointer=replace(newer.record.pointer, pk=9999)),
    )
    for departed in ((older, newer), (newer, older)):
        made = arrived(vm(107), *departed)
        assert newer.root.pk in made.rekeyed
        assert older.root.pk not in made.rekeyed


def test_a_machine_that_may_be_on_an_offline_node_is_not_missing():
    netbox = NetBox()
    netbox.sync(inventory(vm()))
    offline = (node('pve1', online=False), node('pve2'))
    assert plan(inventory(vm(105, node='pve2'), nodes=offline), netbox.existing).rekeyed == {}
    assert plan(inventory(vm(105, node='pve2')), netbox.existing).rekeyed != {}


def test_a_record_that_a_user_deleted_returns_nothing():
    netbox = NetBox()
    netbox.sync(inventory(vm()))
    del netbox.records['vm'][netbox.bindings['vm', 'qemu/100'].pointer]
    assert plan(inventory(vm(105)), netbox.existing).rekeyed == {}


def test_copies_of_a_backup_are_reported_apart_by_vm_id_then_name_else_not_at_all():
    netbox = NetBox()
    netbox.sync(inventory(vm(), guest(900, 'x', ())))
    netbox.sync(inventory(guest(900, 'x', ())))
    root = netbox.bindings['vm', 'qemu/100']

    def winner(*copies):
        made = plan(inventory(guest(900, 'x', ()), *copies), netbox.existing)
        return made.rekeyed.get(root.pk)

    assert winner(vm(105, name='a'), vm(106, name='web')) == ('qemu/106', 'qemu/106')
    assert winner(vm(105, name='a'), vm(106, name='b')) is None
    assert winner(vm(105, name='web'), vm(106, name='web')) is None
