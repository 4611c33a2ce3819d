"""Runs that are limited to given guests, on a NetBox in memory: nothing of the others changes, whatever happened."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import Inventory, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import SETTINGS, NetBox, config, guest, inventory, node, plan
from tests.sync.strategies import VMIDS, clusters, guests, seen

# A limited run is a read of its own, so that addresses would go one run earlier after it.
UNLIMITED = replace(SETTINGS, change_limit=100, missing_address_reads=1)
WITH_NODES = replace(UNLIMITED, sync_nodes=True, site=Pointer('dcim.site', 7, 'Berlin'))


def units(made) -> set[str]:
    return {change.unit for change in made.changes}


def notices(made) -> dict[str, str]:
    return {notice.subject: notice.message for notice in made.notices}


def test_the_first_run_may_be_for_one_guest():
    netbox, inv = NetBox(), inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',)))
    made = netbox.sync(inv, vmids=[101])
    assert units(made) == {'', 'qemu/101'}
    assert not plan(inv, netbox.existing, vmids=[101]).changes


def test_the_others_are_not_missing_though_they_were_not_read():
    netbox, inv = NetBox(), inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',)))
    netbox.sync(inv)
    made = netbox.sync(inventory(guest(101, 'renamed', ('10.0.0.7/24',))), UNLIMITED, vmids=[101])
    assert units(made) == {'qemu/101'}
    assert netbox.object('vm', 'qemu/100').values['status'] == 'active'


def test_a_guest_that_is_missing_is_retired_by_a_run_for_it():
    netbox = NetBox()
    netbox.sync(inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',))))
    made = netbox.sync(inventory(), UNLIMITED, vmids=[101])
    assert [(change.unit, change.action) for change in made.changes] == [('qemu/101', Action.RETIRE)]
    assert notices(made) == {'101': 'Proxmox VE has no guest 101.'}


def test_a_guest_that_an_incomplete_list_does_not_have_is_left():
    netbox = NetBox()
    netbox.sync(inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',))))
    made = netbox.sync(inventory(guests_incomplete=Unreadable('No quorum.')), UNLIMITED, vmids=[101])
    assert not made.changes
    assert 'No quorum.' in notices(made)['101']


def test_the_cluster_is_unchanged_once_it_is_there():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    made = netbox.sync(inventory(guest(100), cluster_name='renamed'), vmids=[100])
    assert not made.changes
    assert netbox.object('cluster', 'cluster').values['name'] == 'lab'


def test_nodes_are_neither_made_nor_changed_and_a_guest_is_placed_on_one_that_is_there():
    netbox = NetBox()
    inv = inventory(guest(100), nodes=(node('pve1'), node('pve2')))
    made = netbox.sync(inv, WITH_NODES, vmids=[100])
    assert units(made) == {'', 'qemu/100'}
    assert netbox.object('vm', 'qemu/100').values['device'] is None
    netbox.sync(inv, WITH_NODES)
    moved = inventory(guest(100, node='pve2'), nodes=(node('pve1', online=False), node('pve2')))
    made = netbox.sync(moved, WITH_NODES, vmids=[100])
    assert units(made) == {'qemu/100'}
    assert netbox.object('vm', 'qemu/100').values['device'] == netbox.object('device', 'node/pve2').pointer
    assert netbox.object('device', 'node/pve1').values['status'] == 'active'


def test_a_name_that_another_guest_bears_is_not_free_though_that_one_was_renamed():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, 'web'), guest(101, 'db', ())))
    now = inventory(guest(100, 'www'), guest(101, 'web', ()))
    netbox.sync(now, vmids=[101])
    assert netbox.object('vm', 'qemu/101').values['name'] == 'web (101)'
    netbox.sync(now)
    assert {netbox.object('vm', key).values['name'] for key in ('qemu/100', 'qemu/101')} == {'www', 'web'}


def test_an_address_of_another_guest_is_not_taken_from_it():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, ips=('10.0.0.5/24',)), guest(101, 'db', ())))
    now = inventory(guest(100, ips=()), guest(101, 'db', ('10.0.0.5/24',)))
    made = netbox.sync(now, UNLIMITED, vmids=[101])
    assert [(change.kind, change.action) for change in made.changes] == [('ip', Action.CONFLICT)]
    netbox.sync(now, UNLIMITED)
    assert netbox.bindings['ip', 'qemu/101/10.0.0.5']


def test_a_machine_that_another_guest_would_adopt_is_not_taken():
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    uuid = '00000000-0000-4000-8000-000000000101'
    netbox.add('vm', 'old', name='old', cluster=cluster, cf_vmid=100, serial=uuid)
    clone = guest(101, 'copy', (), config=config(uuid=uuid))
    made = netbox.sync(inventory(guest(100, 'web'), clone), vmids=[101])
    assert {change.action for change in made.changes if change.kind == 'vm'} == {Action.CREATE}


def test_a_machine_whose_id_was_given_away_goes_with_the_new_one():
    def machine(uuid: str, created: int):
        return guest(100, config=config(uuid=uuid, created=created))

    netbox = NetBox()
    other = guest(101, 'db', ('10.0.0.6/24',))
    netbox.sync(inventory(machine('00000000-0000-4000-8000-000000000001', 1), other))
    made = netbox.sync(inventory(machine('00000000-0000-4000-8000-000000000002', 2), other), UNLIMITED, vmids=[100])
    assert units(made) <= {'qemu/100', 'qemu/100#1'}
    assert netbox.bindings['vm', 'qemu/100#1'].missing_since


def test_why_a_chosen_guest_is_left_unchanged_is_reported():
    inv = inventory(guest(100), guest(101, template=True), guest(102, 'other'))
    made = plan(inv, settings=replace(SETTINGS, ignored=frozenset({'qemu/100'})), vmids=[100, 101, 7])
    assert set(notices(made)) == {'qemu/100', 'qemu/101', '7'}
    assert 'Excluded from synchronization by a user' in notices(made)['qemu/100']
    assert 'template' in notices(made)['qemu/101']


@st.composite
def apart(draw) -> Inventory:
    """A cluster whose guests contest nothing: each has names and addresses of its own."""
    found = {
        vmid: draw(
            guests(
                vmid,
                ips=(f'10.0.{vmid}.5/24', f'10.0.{vmid}.6/24'),
                names=(f'a{vmid}', f'b{vmid}'),
                macs=(f'BC:24:11:00:{vmid % 256:02X}:01', f'BC:24:11:00:{vmid % 256:02X}:02'),
            )
        )
        for vmid in draw(st.sets(st.sampled_from(sorted(VMIDS))))
    }
    return seen(found)


def held(netbox: NetBox) -> dict:
    """The values in NetBox of each thing in Proxmox VE; objects are named by their bindings."""
    names = {bound.pointer: identity for identity, bound in netbox.bindings.items()}
    shared = {pointer: shared for shared, pointer in netbox.shared.items()}

    def named(value):
        if isinstance(value, frozenset):
            return frozenset(map(named, value))
        return names.get(value) or shared.get(value) or value

    return {
        identity: {name: named(value) for name, value in netbox.records[identity[0]][bound.pointer].values.items()}
        for identity, bound in netbox.bindings.items()
    }


@given(before=apart(), after=apart(), chosen=st.sets(st.sampled_from(sorted(VMIDS)), min_size=1))
def test_a_limited_run_before_a_full_one_changes_nothing_about_where_they_end(before, after, chosen):
    step, whole = NetBox(), NetBox()
    for netbox in (step, whole):
        netbox.sync(before, UNLIMITED)
    step.sync(after, UNLIMITED, vmids=chosen)
    for netbox in (step, whole):
        netbox.sync(after, UNLIMITED)
    assert held(step) == held(whole)


def parts_of_others(netbox: NetBox, chosen) -> dict:
    return {
        identity: (bound, netbox.records[identity[0]].get(bound.pointer))
        for identity, bound in netbox.bindings.items()
        if bound.unit and int(bound.unit.partition('#')[0].partition('/')[2]) not in chosen
    }


@given(
    rounds=st.lists(clusters().map(seen), min_size=1, max_size=3),
    chosen=st.sets(st.sampled_from(sorted(VMIDS)), min_size=1),
)
def test_a_limited_run_leaves_the_others_as_they_are_and_has_nothing_left_to_do(rounds, chosen):
    netbox = NetBox()
    for inv in rounds[:-1]:
        netbox.sync(inv, UNLIMITED)
    before = parts_of_others(netbox, chosen)
    netbox.sync(rounds[-1], UNLIMITED, vmids=chosen)
    assert parts_of_others(netbox, chosen) == before
    again = plan(rounds[-1], netbox.existing, UNLIMITED, vmids=chosen)
    left = [change for change in again.changes if change.action is not Action.CONFLICT]
    assert (left, again.refreshed, again.forgotten) == ([], {}, ())
