"""VM IDs that are reused, and guests whose values change while their identity remains."""

from dataclasses import replace

import pytest

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.guest_identity import is_another_machine
from tests.sync.builders import SETTINGS, NetBox, config, guest, inventory, nic, plan

ONE = {'id_uuid': 'a', 'id_created': 1, 'id_macs': frozenset({'01', '02'}), 'id_name': 'web'}


def but(**values):
    changed = {**ONE, **{f'id_{name}': value for name, value in values.items()}}
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize(
    ('last', 'seen', 'another'),
    [
        (ONE, ONE, False),
        (ONE, but(name='db', macs=frozenset({'03'})), False),  # renamed, with another NIC
        (ONE, but(uuid='b'), False),  # the UUID was edited
        (ONE, but(uuid='b', created=2), True),
        (ONE, but(created=2), False),  # restored over itself
        (ONE, but(uuid='b', created=None), False),
        (but(created=None), but(created=None, uuid='b', macs=frozenset({'03'})), True),
        (but(created=None), but(created=None, uuid='b', macs=frozenset()), False),
        (but(uuid=None), but(uuid=None, created=2, macs=frozenset({'03'})), True),
        # A container has neither.
        (but(uuid=None, created=None), but(uuid=None, created=None, macs=frozenset({'03'}), name='db'), True),
        (but(uuid=None, created=None), but(uuid=None, created=None, macs=frozenset({'03'})), False),
        (but(uuid=None, created=None), but(uuid=None, created=None, name='db'), False),
        # Bindings of an earlier release remember nothing.
        ({}, ONE, False),
        (ONE, {}, False),
    ],
)
def test_another_machine(last, seen, another):
    assert is_another_machine(last, seen) is another


def machine(number, vmid=100, name=None, ips=('10.0.0.5/24',), **values):
    values = {'uuid': f'uuid-{number}', 'created': number, 'nics': (nic(mac=f'BC:24:11:00:01:0{number}'),)} | values
    return guest(vmid, name or f'machine{number}', ips, config=config(**values))


def test_the_record_of_a_machine_whose_id_is_reused_is_retired_and_keeps_its_parts():
    netbox = NetBox()
    netbox.sync(inventory(machine(1)))
    old = netbox.object('vm', 'qemu/100')
    parts = {pointer for kind in ('interface', 'disk', 'mac') for pointer in netbox.records[kind]}
    made = netbox.sync(inventory(machine(2)))
    new = netbox.object('vm', 'qemu/100')
    assert new.pointer != old.pointer
    assert netbox.object('vm', 'qemu/100#1').pointer == old.pointer
    assert netbox.records['vm'][old.pointer].values['status'] == 'decommissioning'
    assert 'Another machine' in next(change.reason for change in made.changes if change.action is Action.RETIRE)
    assert parts <= {pointer for kind in ('interface', 'disk', 'mac') for pointer in netbox.records[kind]}
    # Its address is free for the new one.
    assert len(netbox.records['ip']) == 1
    assert netbox.object('vm', 'qemu/100').values['primary_ip4'] is not None
    again = plan(inventory(machine(2)), netbox.existing)
    assert (again.changes, again.refreshed, again.rekeyed) == ((), {}, {})


def test_an_id_may_be_reused_again_and_again():
    netbox = NetBox()
    for number in (1, 2, 3):
        netbox.sync(inventory(machine(number)))
    assert {key for kind, key in netbox.bindings if kind == 'vm'} == {'qemu/100', 'qemu/100#1', 'qemu/100#2'}
    assert not plan(inventory(machine(3)), netbox.existing).changes


def test_it_is_seen_though_the_list_of_guests_may_be_incomplete():
    netbox = NetBox()
    netbox.sync(inventory(machine(1), machine(3, 103, ips=())))
    made = netbox.sync(inventory(machine(2), guests_incomplete=Unreadable('no quorum')))
    assert [change.key for change in made.changes if change.action is Action.RETIRE] == ['qemu/100#1']


def test_a_renamed_guest_with_another_mac_keeps_its_record():
    netbox = NetBox()
    netbox.sync(inventory(machine(1)))
    before = netbox.object('vm', 'qemu/100').pointer
    netbox.sync(inventory(machine(1, name='renamed', nics=(nic(mac='BC:24:11:00:09:09'),))))
    assert netbox.object('vm', 'qemu/100').pointer == before
    assert len(netbox.records['vm']) == 1


def test_a_container_in_the_place_of_a_virtual_machine_is_another_record():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    made = netbox.sync(inventory(guest(100, type=GuestType.LXC)))
    found = {change.key: change.action for change in made.changes if change.kind == 'vm'}
    assert found == {'lxc/100': Action.CREATE, 'qemu/100': Action.RETIRE}


def test_an_endpoint_that_leaves_missing_guests_alone_does_so_with_replaced_ones():
    leaving = replace(SETTINGS, missing_guests='leave')
    netbox = NetBox()
    netbox.sync(inventory(machine(1)), leaving)
    old = netbox.object('vm', 'qemu/100')
    netbox.sync(inventory(machine(2, ips=())), leaving)
    assert netbox.records['vm'][old.pointer] == old
    assert netbox.object('vm', 'qemu/100').pointer != old.pointer


def test_moves_and_reorderings_keep_their_objects():
    netbox = NetBox()
    two = (nic('net0', 'BC:24:11:00:00:01'), nic('net1', 'BC:24:11:00:00:02'))
    netbox.sync(inventory(machine(1, nics=two)))
    before = {kind: set(netbox.records[kind]) for kind in ('vm', 'interface', 'mac')}
    netbox.sync(inventory(replace(machine(1, nics=two[::-1]), node='pve2')))
    assert {kind: set(netbox.records[kind]) for kind in before} == before
