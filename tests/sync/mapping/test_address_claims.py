"""Who gets an address that several guests or nodes have, case by case."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from netbox_proxsync.proxmox.inventory import AddressOrigin, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.kind import ResolvedObjects
from netbox_proxsync.sync.mapping.address_claims import may_stand_beside
from netbox_proxsync.sync.state import Bound, Item, Record
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import (
    EMPTY,
    SETTINGS,
    NetBox,
    addresses,
    config,
    guest,
    inventory,
    nic,
    node,
    node_interface,
    plan,
)

SITE = Pointer('dcim.site', 1, 'Berlin')
NODES = replace(SETTINGS, sync_nodes=True, site=SITE, change_limit=100)
HOST = '10.0.0.5'
A, B = f'qemu/100/{HOST}', f'qemu/101/{HOST}'
OFF = Unreadable('It is not running.')
GROUP = Pointer('ipam.fhrpgroup', 3, 'G')


def reporting(vmid, *texts, **values):
    return guest(vmid, f'vm{vmid}', texts or (f'{HOST}/24',), **values)


def configured(vmid, running=OFF):
    """A guest whose configuration has the address, and that does not report it."""
    found = addresses(f'{HOST}/24', origin=AddressOrigin.STATIC, running=running)
    return guest(vmid, f'vm{vmid}', (), addresses={'net0': found})


class World(NetBox):
    def __init__(self, *guests):
        super().__init__()
        self.sync(inventory(*guests))

    def address(self, key=None, **values) -> Pointer:
        return self.add('ip', HOST, **{'address': f'{HOST}/24', **values})

    def interface(self, vmid) -> Pointer:
        return self.object('interface', f'qemu/{vmid}/net0').pointer

    def outcome(self, *guests, **changed):
        """By key of the address: the action and the object, or the reason of a conflict."""
        made = plan(inventory(*guests), replace(self.existing, **changed))
        return {
            change.key: (change.action, change.reason if change.action is Action.CONFLICT else change.pointer)
            for change in made.changes
            if change.kind == 'ip'
        }


def test_an_ordinary_address_belongs_to_one_guest():
    world = World(reporting(100, '10.0.0.8/24'), reporting(101, '10.0.0.9/24'))
    found = world.outcome(reporting(100, f'{HOST}/24', '10.0.0.8/24'), reporting(101, f'{HOST}/24', '10.0.0.9/24'))
    assert found[A] == (Action.CREATE, None)
    assert found[B][0] is Action.CONFLICT
    assert found[B][1].startswith(
        f'{HOST} is also configured on qemu/100, which has precedence. If the address belongs here, select "Move '
        'Address Here". If both are correct, select "Use Another VRF", or set the role "Anycast" in NetBox.'
    )


def test_the_guest_that_reports_it_comes_before_one_that_is_only_configured_with_it():
    found = World().outcome(configured(100), reporting(101))
    assert found[B] == (Action.CREATE, None)
    assert found[A][0] is Action.CONFLICT
    assert f'{HOST} is also configured on qemu/101' in found[A][1]
    # The first one gets it if neither does, or both do.
    for claims in ((configured(100), configured(101)), (reporting(100), reporting(101))):
        found = World().outcome(*claims)
        assert (found[A][0], found[B][0]) == (Action.CREATE, Action.CONFLICT)


def test_the_guest_that_has_it_in_netbox_keeps_it():
    world = World(reporting(101))
    found = world.outcome(reporting(100), reporting(101))
    assert found[A][0] is Action.CONFLICT
    assert B not in found


def test_an_unassigned_record_is_taken_and_several_are_a_conflict():
    world = World(reporting(100, '10.0.0.8/24'))
    first = world.address()
    assert world.outcome(reporting(100))[A] == (Action.ADOPT, first)
    world.address()
    action, reason = world.outcome(reporting(100))[A]
    assert action is Action.CONFLICT
    assert reason == f'NetBox has 2 unassigned records of {HOST}. Delete the duplicates in NetBox.'
    (change,) = [change for change in plan(inventory(reporting(100)), world.existing).changes if change.key == A]
    assert change.pointer == first


def test_a_record_on_the_own_interface_in_another_vrf_is_taken():
    world = World(reporting(100, '10.0.0.8/24'))
    vrf = Pointer('ipam.vrf', 1, 'V')
    pointer = world.address(assigned_object=world.interface(100), vrf=vrf)
    assert world.outcome(reporting(100))[A] == (Action.ADOPT, pointer)


def test_a_record_on_something_else_is_never_taken():
    world = World(reporting(100, '10.0.0.8/24'))
    pointer = world.address(assigned_object=GROUP)
    action, reason = world.outcome(reporting(100))[A]
    assert action is Action.CONFLICT
    assert reason == (
        f'{HOST} is assigned to {GROUP} in NetBox. If the address belongs here, select "Move Address Here". If '
        'both are correct, select "Use Another VRF".'
    )
    assert world.outcome(reporting(100), foreign={pointer: '7'})[A][1].endswith('another endpoint (ID 7).')


def test_a_record_that_a_user_unassigned_is_not_taken_from_the_guest_that_is_bound_to_it():
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.edit('ip', world.object('ip', A).pointer, assigned_object=None)
    action, reason = world.outcome(guest(100, 'vm100', ()), configured(102))[f'qemu/102/{HOST}']
    assert action is Action.CONFLICT
    assert reason.startswith(f'{HOST} is assigned to another guest in NetBox.')


def test_a_record_of_a_machine_that_is_retired_elsewhere_is_free():
    world = World(reporting(100, '10.0.0.8/24'))
    machine = world.add('vm', 'old', name='old', cluster=Pointer('virtualization.cluster', 99))
    interface = world.add('interface', 'net0', virtual_machine=machine, name='net0')
    pointer = world.address(assigned_object=interface)
    assert world.outcome(reporting(100))[A][0] is Action.CONFLICT
    elsewhere = frozenset({machine})
    assert world.outcome(reporting(100), retired_elsewhere=elsewhere)[A] == (Action.ADOPT, pointer)
    free = world.address()
    assert world.outcome(reporting(100), retired_elsewhere=elsewhere)[A] == (Action.ADOPT, free)


INCOMPLETE = Unreadable('No quorum.')


@pytest.mark.parametrize(
    ('policy', 'is_retired', 'incomplete', 'is_free'),
    [
        ('retire', False, None, True),
        ('leave', False, None, False),
        ('retire', False, INCOMPLETE, False),
        ('retire', True, INCOMPLETE, True),
        ('leave', True, INCOMPLETE, False),
    ],
)
def test_a_record_of_a_guest_that_is_not_listed_is_free_once_the_guest_is_retired(
    policy, is_retired, incomplete, is_free
):
    settings = replace(SETTINGS, missing_guests=policy)
    world, other = World(reporting(100), reporting(101, '10.0.0.9/24')), '10.0.0.9/24'
    if is_retired:
        world.sync(inventory(reporting(101, other)))
    pointer = world.object('ip', A).pointer
    inv = inventory(reporting(101, other, f'{HOST}/24'), guests_incomplete=incomplete)
    change = next(change for change in plan(inv, world.existing, settings).changes if change.key == B)
    assert (change.action, change.pointer) == (Action.ADOPT if is_free else Action.CONFLICT, pointer)


def test_a_record_whose_absence_is_only_counted_is_not_free():
    world = World(reporting(100))
    action, reason = world.outcome(guest(100, 'vm100', ()), configured(101))[B]
    assert action is Action.CONFLICT
    assert reason.startswith(f'{HOST} is assigned to ')


def test_an_unmanaged_record_is_never_taken():
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.bindings['ip', A] = replace(world.bindings['ip', A], unmanaged=True)
    found = world.outcome(reporting(100, '10.0.0.8/24'), reporting(101))
    assert found[B][0] is Action.CONFLICT


def test_a_record_that_a_user_unassigned_is_not_assigned_beside_another_one():
    world = World(reporting(100))
    world.edit('ip', world.object('ip', A).pointer, assigned_object=None)
    other = world.address(assigned_object=world.interface(100), role='secondary')
    made = plan(inventory(reporting(100)), world.existing)
    (change,) = [change for change in made.changes if change.kind == 'ip']
    assert (change.action, change.pointer) == (Action.CONFLICT, other)
    assert f'NetBox has another record of {HOST} on the same interface.' in change.reason


def test_of_several_records_on_the_own_machine_that_of_the_own_interface_is_taken():
    nics = config(nics=(nic(), nic('net1', 'BC:24:11:00:00:02')))
    before = {'net0': addresses(), 'net1': addresses()}
    world = World(guest(100, 'vm100', config=nics, addresses=before))
    world.address(assigned_object=world.object('interface', 'qemu/100/net1').pointer)
    own = world.address(assigned_object=world.interface(100))
    now = guest(100, 'vm100', config=nics, addresses=before | {'net0': addresses(f'{HOST}/24')})
    assert world.outcome(now)[A] == (Action.ADOPT, own)


# Anycast


def test_each_guest_has_a_record_of_an_anycast_address():
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.edit('ip', world.object('ip', A).pointer, role='anycast')
    found = world.outcome(reporting(100), reporting(101))
    assert found[B] == (Action.CREATE, None)
    assert A not in found
    world.sync(inventory(reporting(100), reporting(101)))
    assert world.object('ip', B).values['role'] == 'anycast'
    assert not {A, B} & world.outcome(reporting(100), reporting(101)).keys()


def test_an_unassigned_anycast_record_is_taken_and_an_ordinary_one_is_in_the_way():
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.edit('ip', world.object('ip', A).pointer, role='anycast')
    free = world.address(role='anycast')
    assert world.outcome(reporting(100), reporting(101))[B] == (Action.ADOPT, free)
    world.edit('ip', free, role=None)
    assert world.outcome(reporting(100), reporting(101))[B][0] is Action.CONFLICT


@pytest.mark.parametrize('vrf', [None, Pointer('ipam.vrf', 1, 'V')])
def test_an_anycast_record_on_the_own_interface_is_taken(vrf):
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.edit('ip', world.object('ip', A).pointer, role='anycast')
    world.address(role='anycast')
    own = world.address(role='anycast', assigned_object=world.interface(101), vrf=vrf)
    assert world.outcome(reporting(100), reporting(101))[B] == (Action.ADOPT, own)


def test_an_unassigned_anycast_record_is_taken_once_and_not_from_the_guest_that_is_bound_to_it():
    world = World(reporting(100, '10.0.0.8/24'), reporting(101, '10.0.0.9/24'))
    world.address(role='anycast', assigned_object=GROUP)
    free = world.address(role='anycast')
    found = world.outcome(reporting(100), reporting(101))
    assert (found[A], found[B]) == ((Action.ADOPT, free), (Action.CREATE, None))
    world.sync(inventory(reporting(100), reporting(101, '10.0.0.9/24')))
    world.edit('ip', free, assigned_object=None)
    assert world.outcome(reporting(100), reporting(101))[B] == (Action.CREATE, None)


# Virtual addresses


def virtual(*guests) -> World:
    world = World(*guests)
    world.edit('ip', world.object('ip', A).pointer, role='vip')
    return world


def test_a_virtual_address_follows_the_guest_that_reports_it():
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    pointer = world.object('ip', A).pointer
    found = world.outcome(configured(100), reporting(101))
    assert found[B] == (Action.ADOPT, pointer)
    assert found.get(A, (None,))[0] is not Action.CREATE
    # An unassigned record comes before that of another guest.
    free = world.address(role='vip')
    assert world.outcome(configured(100), reporting(101))[B] == (Action.ADOPT, free)


def test_a_virtual_address_on_two_guests_at_once_is_a_conflict():
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    action, reason = world.outcome(reporting(100), reporting(101))[B]
    assert action is Action.CONFLICT
    assert reason.startswith(
        f'{HOST} is a virtual address in NetBox, and qemu/100 reports it at the same time. If both are correct, set '
        'the role "Anycast" in NetBox. Otherwise, check which of the two is active.'
    )


def test_a_virtual_address_of_something_else_is_not_taken():
    world = World(reporting(100, '10.0.0.8/24'))
    world.address(role='vrrp', assigned_object=GROUP)
    action, reason = world.outcome(reporting(100))[A]
    assert action is Action.CONFLICT
    assert 'is assigned to ' in reason


def test_each_guest_keeps_the_record_of_a_virtual_address_that_it_has():
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    own = world.address(role='vip', assigned_object=world.interface(101))
    assert world.outcome(reporting(100), reporting(101)) == {B: (Action.ADOPT, own)}


def test_the_backup_of_a_virtual_address_gets_no_record():
    world = virtual(reporting(100))
    assert world.outcome(reporting(100), configured(101)) == {}
    world.address(role='vip')
    assert world.outcome(reporting(100), configured(101)) == {}


def test_a_virtual_address_that_a_user_gave_to_something_else_is_not_taken_back():
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    pointer = world.object('ip', A).pointer
    world.address(role='vip')
    for holder in (GROUP, world.interface(101)):
        world.edit('ip', pointer, assigned_object=holder)
        action, reason = world.outcome(reporting(100), reporting(101, '10.0.0.9/24'))[A]
        assert action is Action.CONFLICT
        assert reason.startswith(f'{HOST} is assigned to {holder} in NetBox.')


def test_a_guest_that_is_bound_to_a_record_of_a_virtual_address_leaves_others_to_others():
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    world.address(role='vip', assigned_object=GROUP)
    free, own = world.object('ip', A).pointer, world.address(role='vip')
    world.bindings['ip', A] = replace(world.bindings['ip', A], pointer=own)
    world.edit('ip', free, assigned_object=None)
    found = world.outcome(reporting(100), reporting(101))
    assert found == {A: (Action.UPDATE, own), B: (Action.ADOPT, free)}


@pytest.mark.parametrize('unmanaged', [('ip', A), ('vm', 'qemu/100')])
def test_an_unmanaged_virtual_address_is_not_taken(unmanaged):
    world = virtual(reporting(100), reporting(101, '10.0.0.9/24'))
    world.bindings[unmanaged] = replace(world.bindings[unmanaged], unmanaged=True)
    assert world.outcome(configured(100), reporting(101))[B][0] is Action.CONFLICT


def test_a_backup_takes_a_free_record_if_nobody_reports_the_address():
    world = World(guest(100, 'vm100', ()))
    world.address(role='vip', assigned_object=GROUP)
    assert A not in world.outcome(configured(100))
    free = world.address(role='vip')
    assert world.outcome(configured(100))[A] == (Action.ADOPT, free)


# Nodes


def gateway(name, *texts):
    bridge = node_interface('vmbr1', addresses=tuple(map(ip_interface, texts or (f'{HOST}/24',))))
    return node(name, address=None, interfaces=(bridge,))


def nodes_outcome(world, *nodes):
    made = plan(inventory(nodes=nodes), world.existing, NODES)
    return {change.key: (change.action, change.reason) for change in made.changes if change.kind == 'ip'}


def test_several_nodes_may_have_one_address():
    world = NetBox()
    world.sync(inventory(nodes=(gateway('pve1'), gateway('pve2'))), NODES)
    records = [world.object('ip', f'node/{name}/{HOST}') for name in ('pve1', 'pve2')]
    assert [record.values['role'] for record in records] == ['anycast', 'anycast']
    assert nodes_outcome(world, gateway('pve1'), gateway('pve2')) == {}


@pytest.mark.parametrize('role', [None, 'anycast'])
def test_an_address_of_several_nodes_beside_one_of_something_else(role):
    world = NetBox()
    world.sync(inventory(nodes=()), NODES)
    world.add('ip', HOST, address=f'{HOST}/24', role=role, assigned_object=GROUP)
    found = nodes_outcome(world, gateway('pve1'), gateway('pve2'))
    actions = {action for action, _reason in found.values()}
    assert actions == ({Action.CREATE} if role else {Action.CONFLICT})


@pytest.mark.parametrize(
    ('unit', 'values', 'changed', 'expected'),
    [
        ('node/pve1', {}, {}, True),
        ('node/pve1', {}, {'retired': frozenset({'node/pve1'})}, False),
        ('node/pve1', {}, {'gone': frozenset({('ip', f'node/pve1/{HOST}')})}, False),
        ('node/pve3', {}, {}, False),
        ('qemu/100', {'role': 'anycast'}, {}, False),
        (None, {'role': 'anycast'}, {}, True),
        (None, {'role': 'carp'}, {}, True),
        (None, {'role': 'loopback'}, {}, False),
        (None, {'role': 'anycast', 'assigned_object': None}, {}, False),
    ],
)
def test_beside_which_records_a_shared_address_of_a_node_may_have_its_own(unit, values, changed, expected):
    record = Record(pointer=Pointer('ipam.ipaddress', 1), values={'assigned_object': GROUP, 'role': None} | values)
    bound = Bound(
        pk=1, kind='ip', key=f'{unit}/{HOST}', unit=unit or '', pointer=record.pointer, last={}, created_by_sync=True,
        missing_since=None,
    )  # fmt: skip
    existing = replace(EMPTY, bindings={('ip', bound.key): bound} if unit else {}, **changed)
    item = Item(kind='ip', key=f'node/pve3/{HOST}', unit='node/pve3', label=HOST, values={})
    assert may_stand_beside(record, item, existing, ResolvedObjects()) is expected
    claimed = ResolvedObjects()
    claimed.claimed.add(record.pointer)
    assert may_stand_beside(record, item, existing, claimed)


def test_nodes_take_an_unassigned_record_and_the_second_one_gets_its_own():
    world = NetBox()
    world.sync(inventory(nodes=()), NODES)
    free = world.add('ip', HOST, address=f'{HOST}/24')
    world.sync(inventory(nodes=(gateway('pve1'), gateway('pve2'))), NODES)
    assert world.object('ip', f'node/pve1/{HOST}').pointer == free
    assert world.object('ip', f'node/pve2/{HOST}').pointer != free


def test_a_node_joins_nodes_that_have_the_address_and_one_that_left_gives_it_up():
    world = NetBox()
    world.sync(inventory(nodes=(gateway('pve1'), gateway('pve2'), gateway('pve3', '10.0.0.7/24'))), NODES)
    found = nodes_outcome(world, gateway('pve1'), gateway('pve2'), gateway('pve3', '10.0.0.7/24', f'{HOST}/24'))
    assert found == {f'node/pve3/{HOST}': (Action.CREATE, '')}
    world.sync(inventory(nodes=(gateway('pve2'), gateway('pve3', f'{HOST}/24', '10.0.0.7/24'))), NODES)
    assert world.object('ip', f'node/pve3/{HOST}').values['assigned_object'] is not None


@pytest.mark.parametrize('nodes', [('pve1',), ('pve1', 'pve2')])
def test_a_guest_does_not_take_the_address_of_a_node(nodes):
    world, found = NetBox(), tuple(map(gateway, nodes))
    world.sync(inventory(nodes=found), NODES)
    made = plan(inventory(reporting(100), nodes=found), world.existing, NODES)
    (change,) = [change for change in made.changes if change.kind == 'ip']
    assert (change.key, change.action) == (A, Action.CONFLICT)
    assert 'is also configured on node/pve1' in change.reason


# The limit of addresses


def test_new_addresses_beyond_the_limit_are_left_out():
    few = replace(SETTINGS, address_limit=2)
    netbox = NetBox()
    texts = [f'10.0.0.{number}/24' for number in range(5, 10)]
    netbox.sync(inventory(guest(100, 'web', texts[:1])), few)
    netbox.sync(inventory(guest(100, 'web', texts[1:] + texts[:1])), few)
    assert {key for kind, key in netbox.bindings if kind == 'ip'} == {'qemu/100/10.0.0.5', 'qemu/100/10.0.0.6'}


def test_an_unbound_record_on_the_own_machine_comes_before_free_ones():
    world = World(reporting(100, '10.0.0.8/24'))
    world.address()
    own = world.address(assigned_object=world.interface(100))
    assert world.outcome(reporting(100))[A] == (Action.ADOPT, own)


def test_a_record_that_its_guest_has_lost_comes_before_free_ones():
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    pointer = world.object('ip', A).pointer
    world.address()
    bare = guest(100, 'vm100', config=config(nics=()), addresses={})
    assert world.outcome(bare, reporting(101))[B] == (Action.ADOPT, pointer)
    # That of a retired guest comes after them.
    world = World(reporting(100), reporting(101, '10.0.0.9/24'))
    world.sync(inventory(reporting(101, '10.0.0.9/24')))
    pointer = world.object('ip', A).pointer
    assert world.outcome(reporting(101))[B] == (Action.ADOPT, pointer)
    free = world.address()
    assert world.outcome(reporting(101))[B] == (Action.ADOPT, free)


def test_an_ordinary_record_beside_a_virtual_one_is_not_taken_as_virtual():
    world = World(reporting(100, '10.0.0.8/24'))
    world.address()
    world.address(role='vip', assigned_object=GROUP)
    assert world.outcome(reporting(100))[A][0] is Action.CONFLICT
    free = world.address(role='vip')
    assert world.outcome(reporting(100))[A] == (Action.ADOPT, free)


def test_without_the_configuration_of_a_nic_no_primary_address_is_chosen():
    unread = replace(addresses(f'{HOST}/24'), configured=Unreadable('Garbled.'))
    made = plan(inventory(guest(100, 'web', (), addresses={'net0': unread})))
    vm = next(change for change in made.changes if change.kind == 'vm')
    assert 'primary_ip4' not in {field.name for field in vm.writes}
    assert made.counts['ip'] == {'create': 1}
