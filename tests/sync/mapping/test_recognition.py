"""Which virtual machine of NetBox a guest is: proven, a candidate, or none."""

from dataclasses import replace

import pytest

from netbox_proxsync.proxmox.inventory import GuestType
from netbox_proxsync.sync.answers import Answer, Choice
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, NetBox, config, guest, inventory, nic, plan

UUID = 'aaaaaaaa-0000-4000-8000-000000000001'
OTHER = 'bbbbbbbb-0000-4000-8000-000000000002'
MAC, SECOND = 'BC:24:11:00:00:01', 'BC:24:11:00:00:02'
ELSEWHERE = Pointer('virtualization.cluster', 99, 'other')
BY_NAME = replace(SETTINGS, adopt_by_name=True)


class World(NetBox):
    def __init__(self):
        super().__init__()
        self.sync(inventory())
        self.cluster = self.object('cluster', 'cluster').pointer
        self.outside: list[Pointer] = []

    def vm(self, name='web', macs=(), cluster=None, **values) -> Pointer:
        pointer = self.add('vm', name, name=name, cluster=cluster or self.cluster, **values)
        for mac in macs:
            interface = self.add('interface', 'eth0', virtual_machine=pointer, name='eth0')
            self.add('mac', mac, mac_address=mac, assigned_object=interface)
        return pointer

    def vm_elsewhere(self, name='web', macs=(), **values) -> Pointer:
        self.outside.append(self.vm(name, macs, **{'cluster': ELSEWHERE, **values}))
        return self.outside[-1]

    @property
    def existing(self):
        found = super().existing
        rows = found.records['vm']
        outside = getattr(self, 'outside', ())
        return replace(
            found,
            records={**found.records, 'vm': [row for row in rows if row.pointer not in outside]},
            elsewhere={'vm': [row for row in rows if row.pointer in outside]},
        )


def vm(vmid=100, name='web', macs=(MAC,), uuid=UUID, **values):
    nics = tuple(nic(f'net{number}', mac) for number, mac in enumerate(macs))
    return guest(vmid, name, (), config=config(uuid=uuid, nics=nics), addresses={}, **values)


def found(world: World, *guests, settings=SETTINGS):
    """By key of the guest: what happens to its virtual machine, with which object, and why."""
    made = plan(inventory(*(guests or (vm(),))), world.existing, settings)
    changes: dict[str, list] = {}
    for change in made.changes:
        if change.kind == 'vm':
            changes.setdefault(change.key, []).append((change.action, change.pointer, change.reason))
    return changes


def only(world: World, *guests, settings=SETTINGS):
    ((one,),) = found(world, *guests, settings=settings).values()
    return one


@pytest.mark.parametrize(
    'evidence',
    [
        {'name': 'x', 'cf_vmid': 100},
        {'name': 'x', 'serial': UUID.upper()},
        {'macs': (MAC,)},
        {'name': 'Web (100)', 'macs': (MAC, SECOND)},
    ],
)
def test_a_vm_id_a_uuid_or_name_and_mac_address_prove_a_machine(evidence):
    world = World()
    pointer = world.vm(**evidence)
    assert only(world)[:2] == (Action.ADOPT, pointer)


@pytest.mark.parametrize(
    ('record', 'words'),
    [
        ({}, 'Evidence: same name. No virtual machine'),
        (
            {},
            '"Link to This VM" if it is this guest, "Create Separately" if it is another machine, "Ignore This Guest"',
        ),
        ({'name': 'x', 'macs': (MAC,)}, f'MAC address {MAC}. However, the names differ.'),
        ({'macs': (MAC,), 'cf_vmid': 300}, 'However, its VM ID is 300.'),
        ({'serial': OTHER}, f'However, its serial number is another SMBIOS UUID ({OTHER}).'),
        ({}, 'The endpoint setting "adopt by name" links such guests automatically.'),
    ],
)
def test_a_candidate_has_a_reason_with_the_evidence_and_the_decisions(record, words):
    world = World()
    pointer = world.vm(**record)
    action, candidate, reason = only(world)
    assert (action, candidate) == (Action.CANDIDATE, pointer)
    assert words in reason


@pytest.mark.parametrize(
    ('record', 'guests'),
    [
        ({'macs': (SECOND,)}, (vm(),)),
        ({'cf_vmid': 300}, (vm(),)),
        ({'name': 'web', 'macs': (MAC,), 'cf_vmid': 101}, (vm(), vm(101, 'db', (SECOND,), OTHER))),
    ],
)
def test_another_machine_is_no_candidate(record, guests):
    world = World()
    world.vm(**record)
    assert found(world, *guests)['qemu/100'][0][0] is Action.CREATE


def test_a_serial_number_that_is_no_uuid_is_no_evidence():
    world = World()
    world.vm(serial='SN-1234')
    assert 'However' not in only(world)[2]


def test_the_reason_of_a_container_does_not_mention_a_uuid():
    world = World()
    world.vm()
    reason = only(world, vm(uuid=None, type=GuestType.LXC, macs=()))[2]
    assert 'SMBIOS' not in reason
    assert 'Evidence: same name.' in reason


def test_adopting_by_name_needs_one_machine_one_guest_and_nothing_against_it():
    world = World()
    pointer = world.vm()
    assert only(world, settings=BY_NAME)[:2] == (Action.ADOPT, pointer)
    # Two guests with the name
    both = found(world, vm(), vm(101, macs=(SECOND,), uuid=OTHER), settings=BY_NAME)
    assert {key: [entry[0] for entry in entries] for key, entries in both.items()} == {
        'qemu/100': [Action.CANDIDATE],
        'qemu/101': [Action.CANDIDATE],
    }
    assert 'The virtual machine may also be qemu/101.' in both['qemu/100'][0][2]
    assert 'adopt by name' not in both['qemu/100'][0][2]
    # A namesake that is not synced
    templates = found(world, vm(), vm(101, template=True), settings=BY_NAME)
    assert templates['qemu/100'][0][0] is Action.CANDIDATE
    # Evidence against it
    world = World()
    world.vm(serial=OTHER)
    assert only(world, settings=BY_NAME)[0] is Action.CANDIDATE


def test_two_machines_that_may_be_a_guest_are_two_candidates():
    world = World()
    first, second = world.vm(), world.vm('x', (MAC,))
    entries = found(world, settings=BY_NAME)['qemu/100']
    assert {entry[1] for entry in entries} == {first, second}
    assert 'The guest may also be "x".' in entries[0][2]


def test_a_namesake_with_a_machine_of_its_own_does_not_matter():
    world = World()
    world.sync(inventory(vm(101, macs=(SECOND,), uuid=OTHER)))
    pointer = world.vm('WEB')
    world.edit('vm', world.object('vm', 'qemu/101').pointer, name='db')
    assert found(world, vm(), vm(101, macs=(SECOND,), uuid=OTHER), settings=BY_NAME)['qemu/100'][0][:2] == (
        Action.ADOPT,
        pointer,
    )


def test_several_machines_with_the_evidence_are_candidates():
    world = World()
    world.vm('a', serial=UUID)
    world.vm('b', serial=UUID)
    ((one, other),) = found(world).values()
    assert one[0] is other[0] is Action.CANDIDATE
    assert one[1] != other[1]
    reason = one[2]
    assert reason.startswith(f'2 virtual machines in this cluster may be this guest (serial number {UUID}): "a", "b".')
    world = World()
    world.vm('web', (MAC,))
    world.vm('web', (MAC,))
    assert '(name "web" and a MAC address of the guest)' in next(iter(found(world).values()))[0][2]
    world = World()
    world.vm('a', cf_vmid=100)
    world.vm('b', cf_vmid=100)
    assert '(VM ID 100)' in next(iter(found(world).values()))[0][2]


def test_copies_of_a_machine_share_a_candidate_unless_the_name_decides():
    world = World()
    pointer = world.vm('x', serial=UUID)
    copies = vm(), vm(101, 'copy', (SECOND,))
    entries = found(world, *copies)
    assert [entries[key][0][:2] for key in ('qemu/100', 'qemu/101')] == [(Action.CANDIDATE, pointer)] * 2
    assert 'The same applies to qemu/101.' in entries['qemu/100'][0][2]
    world.edit('vm', pointer, name='copy')
    entries = found(world, *copies)
    assert entries['qemu/101'][0][:2] == (Action.ADOPT, pointer)
    assert entries['qemu/100'][0][0] is Action.CREATE


def test_a_machine_that_one_guest_is_proven_to_be_is_no_candidate_for_another():
    world = World()
    world.vm(serial=UUID)
    entries = found(world, vm(), vm(101, macs=(SECOND,), uuid=OTHER))
    assert [entries[key][0][0] for key in ('qemu/100', 'qemu/101')] == [Action.ADOPT, Action.CREATE]


def test_machines_of_ignored_guests_and_other_endpoints_are_no_candidates():
    world = World()
    pointer = world.vm()
    assert only(world, settings=replace(SETTINGS, ignored_machines=frozenset({pointer})))[0] is Action.CREATE
    existing = replace(world.existing, foreign={pointer: '7'})
    made = plan(inventory(vm()), existing)
    assert {change.action for change in made.changes if change.kind == 'vm'} == {Action.CREATE}


@pytest.mark.parametrize(
    ('record', 'words'),
    [
        ({'serial': UUID}, f'"x" of the cluster "other" may be this guest. Evidence: SMBIOS UUID {UUID}'),
        ({'macs': (MAC,)}, f'Evidence: MAC address {MAC}.'),
        ({'name': 'web', 'macs': (MAC,)}, f'Evidence: same name, MAC address {MAC}'),
    ],
)
def test_a_machine_in_another_cluster_is_a_candidate_by_its_uuid_or_all_mac_addresses(record, words):
    world = World()
    pointer = world.vm_elsewhere(**{'name': 'x', **record})
    action, candidate, reason = only(world)
    assert (action, candidate) == (Action.CANDIDATE, pointer)
    assert words in reason


def test_a_machine_outside_of_all_clusters_is_named_so():
    world = World()
    pointer = world.vm_elsewhere('x', serial=UUID)
    world.edit('vm', pointer, cluster=None)
    assert '"x" without a cluster may be' in only(world)[2]


@pytest.mark.parametrize(
    ('record', 'one'),
    [
        ({'macs': (MAC, SECOND)}, vm()),
        ({'macs': (MAC,), 'serial': OTHER}, vm()),
        ({'name': 'x', 'macs': (MAC,)}, vm(uuid=None, type=GuestType.LXC)),
        ({'name': 'web'}, vm()),
    ],
)
def test_a_machine_in_another_cluster_without_proof_is_no_candidate(record, one):
    world = World()
    world.vm_elsewhere(**record)
    assert only(world, one)[0] is Action.CREATE


def test_an_ignored_machine_in_another_cluster_is_no_candidate():
    world = World()
    pointer = world.vm_elsewhere('x', serial=UUID)
    assert only(world, settings=replace(SETTINGS, ignored_machines=frozenset({pointer})))[0] is Action.CREATE


def test_several_mac_addresses_are_listed():
    world = World()
    world.vm('x', (MAC, SECOND))
    assert f'Evidence: MAC addresses {MAC}, {SECOND}.' in only(world, vm(macs=(MAC, SECOND)))[2]


@pytest.mark.parametrize('is_managed', [True, False])
def test_a_link_to_a_machine_that_was_deleted_or_belongs_to_another_guest_has_no_effect(is_managed):
    world = World()
    world.sync(inventory(vm(101, 'other', (SECOND,), OTHER)))
    pointer = world.object('vm', 'qemu/101').pointer if is_managed else Pointer('virtualization.virtualmachine', 999)
    answers = {('vm', 'qemu/100'): Answer(Choice.LINK, pointer, NOW)}
    changes = found(world, vm(), vm(101, 'other', (SECOND,), OTHER), settings=replace(SETTINGS, answers=answers))
    assert changes['qemu/100'] == [(Action.CREATE, None, '')]
