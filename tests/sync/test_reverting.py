"""Undoing what a run has written: the inverse of each change, unless something has changed since."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.changes import Action, Change, Plan
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.reverting import Present, Reversal, invert
from netbox_proxsync.sync.values import Pointer, Ref
from tests.sync.builders import NOW, SETTINGS, NetBox, addresses, config, guest, inventory, nic
from tests.sync.strategies import clusters, seen

VM, INTERFACE, ADDRESS = ('vm', 'qemu/100'), ('interface', 'qemu/100/net0'), ('ip', 'qemu/100/10.0.0.5')
WEB = inventory(guest())
# Generated clusters lose more than a fifth of their guests.
UNLIMITED = replace(SETTINGS, change_limit=100)


def written(netbox: NetBox, made: Plan) -> list[Change]:
    """What a plan has written, as the ledger gives it: with pointers in place of references."""
    return [
        replace(
            change,
            pointer=change.pointer or netbox.bindings[change.kind, change.key].pointer,
            fields=tuple(replace(field, want=netbox.resolve(field.want)) for field in change.fields),
        )
        for change in made.changes
        if not change.action.is_open
    ]


def present(netbox: NetBox, before: NetBox, changes: Iterable[Change]) -> Present:
    """What the ledger loads."""
    records = {pointer: record for rows in netbox.records.values() for pointer, record in rows.items()}
    former = {pointer: record for rows in before.records.values() for pointer, record in rows.items()}
    there = {*records, *netbox.shared.values(), *(each for each in named(former.values()) if each not in former)}
    return Present(
        bindings=dict(netbox.bindings),
        values={pointer: record.values for pointer, record in records.items()},
        existing=there,
        deleted={change.pointer: former[change.pointer].values for change in changes if change.action is Action.DELETE},
    )


def named(records) -> set[Pointer]:
    values = [value for record in records for value in record.values.values()]
    flat = [each for value in values for each in (value if isinstance(value, frozenset) else (value,))]
    return {each for each in flat if isinstance(each, Pointer)}


def copy_of(netbox: NetBox) -> NetBox:
    made = NetBox()
    made.records = {kind: dict(rows) for kind, rows in netbox.records.items()}
    made.bindings, made.shared, made.vlans = dict(netbox.bindings), dict(netbox.shared), netbox.vlans
    made.serial = netbox.serial
    return made


def run(netbox: NetBox, inv, settings=SETTINGS) -> tuple[NetBox, list[Change]]:
    """A sync: NetBox as it was before, and what was written."""
    before = copy_of(netbox)
    made = netbox.sync(inv, settings)
    return before, written(netbox, made)


def reversal(netbox: NetBox, before: NetBox, changes: list[Change]) -> Reversal:
    return invert(changes, present(netbox, before, changes))


def contents(netbox: NetBox) -> dict:
    """The managed objects by identity; objects that were created again have other numbers."""
    identities = {bound.pointer: identity for identity, bound in netbox.bindings.items()}

    def plain(value):
        if isinstance(value, frozenset):
            return frozenset(plain(each) for each in value)
        return identities.get(value, value) if isinstance(value, Pointer) else value

    return {
        identities.get(pointer, pointer): {
            name: plain(value) for name, value in record.values.items() if value not in (None, '', frozenset())
        }
        for rows in netbox.records.values()
        for pointer, record in rows.items()
    }


def without_identity(values) -> dict:
    return {name: value for name, value in values.items() if not name.startswith('id_')}


def states(netbox: NetBox) -> dict:
    return {
        identity: (bound.missing_since is None, bound.created_by_sync) for identity, bound in netbox.bindings.items()
    }


@given(st.lists(clusters(), min_size=1, max_size=3))
def test_after_the_revert_of_a_sync_netbox_is_as_it_was_before(rounds):
    netbox = NetBox()
    for found in rounds[:-1]:
        netbox.sync(seen(found), UNLIMITED)
    before, changes = run(netbox, seen(rounds[-1]), UNLIMITED)
    keys = {bound.pointer: identity for identity, bound in netbox.bindings.items()}
    if any(keys.get(bound.pointer, identity) != identity for identity, bound in before.bindings.items()):
        # A machine has another VM ID, or another machine has its VM ID: a revert does not change the key of a binding.
        return
    undo = reversal(netbox, before, changes)
    # Of an object that a run only released, its creator is not known any more; only its fields come back.
    assert {each.change.action for each in undo.left} <= {Action.ADOPT, Action.CREATE}
    netbox.apply(Plan(changes=undo.changes), NOW)
    if not undo.left:
        assert contents(netbox) == contents(before)
        released = {(change.kind, change.key) for change in changes if change.action is Action.RELEASE}
        now, then = states(netbox), states(before)
        assert {**now, **dict.fromkeys(released)} == {
            **then,
            **dict.fromkeys(released),
        }


@given(clusters(), clusters(), st.data())
def test_what_a_user_has_edited_since_is_never_changed(first, second, data):
    netbox = NetBox()
    netbox.sync(seen(first), UNLIMITED)
    before, changes = run(netbox, seen(second), UNLIMITED)
    edited = {}
    for bound in sorted(netbox.bindings.values(), key=lambda bound: (bound.kind, bound.key)):
        if bound.kind in ('vm', 'interface', 'disk') and bound.pointer in netbox.records[bound.kind]:
            name = data.draw(st.sampled_from([None, None, *(spec.name for spec in KINDS[bound.kind].fields[:2])]))
            if name == 'name':
                edited[bound.kind, bound.pointer] = f'Mine {bound.pointer.pk}'
                netbox.edit(bound.kind, bound.pointer, name=edited[bound.kind, bound.pointer])
    undo = reversal(netbox, before, changes)
    netbox.apply(Plan(changes=undo.changes), NOW)
    for (kind, pointer), name in edited.items():
        assert netbox.records[kind][pointer].values['name'] == name


def test_the_objects_that_a_run_created_are_deleted_parents_first():
    netbox = NetBox()
    before, changes = run(netbox, WEB)
    undo = reversal(netbox, before, changes)
    assert undo.left == ()
    assert {change.action for change in undo.changes} == {Action.DELETE}
    kinds = [change.kind for change in undo.changes]
    assert kinds.index('vm') < kinds.index('interface') < kinds.index('ip') < kinds.index('cluster')
    netbox.apply(Plan(changes=undo.changes), NOW)
    assert contents(netbox) == contents(before) == {}
    assert netbox.bindings == {}


@pytest.mark.parametrize('identity', [VM, INTERFACE, ADDRESS])
def test_a_guest_of_which_anything_was_edited_is_left_as_a_whole(identity):
    netbox = NetBox()
    before, changes = run(netbox, WEB)
    kind, _key = identity
    netbox.edit(kind, netbox.object(*identity).pointer, **{'ip': {'status': 'reserved'}}.get(kind, {'name': 'mine'}))
    undo = reversal(netbox, before, changes)
    assert not [change for change in undo.changes if change.unit == 'qemu/100']
    reasons = {(each.change.kind, each.change.key): each.reason for each in undo.left}
    assert reasons[identity].startswith('Changed since the run: ')
    for other in {VM, INTERFACE, ADDRESS} - {identity}:
        assert reasons[other] in (
            'A part of it is left unchanged.',
            'The object that it belongs to is left unchanged.',
        )


def test_a_field_gets_the_value_from_before_and_the_next_sync_writes_it_again():
    netbox = NetBox()
    netbox.sync(WEB)
    renamed = inventory(guest(name='shop'))
    before, changes = run(netbox, renamed)
    undo = reversal(netbox, before, changes)
    (change,) = undo.changes
    (name,) = change.fields
    assert (name.last, name.now, name.want, name.kept) == ('shop', 'shop', 'web', False)
    netbox.apply(Plan(changes=undo.changes), NOW)
    # What identifies the guest in Proxmox VE remains known.
    assert without_identity(netbox.bindings[VM].last) == without_identity(before.bindings[VM].last)
    assert [field.name for field in netbox.sync(renamed).changes[0].writes] == ['name']


def test_a_field_that_was_edited_since_is_left_with_a_reason():
    netbox = NetBox()
    netbox.sync(WEB)
    before, changes = run(netbox, inventory(guest(name='shop')))
    netbox.edit('vm', netbox.object(*VM).pointer, name='mine')
    undo = reversal(netbox, before, changes)
    assert undo.changes == ()
    (entry,) = undo.left
    assert entry.reason == 'name: changed since the run.'


def test_elements_of_a_set_that_others_have_added_since_remain():
    netbox = NetBox()
    netbox.sync(inventory(guest(tags=('old',))))
    before, changes = run(netbox, inventory(guest(tags=('new',))))
    mine = Pointer('extras.tag', 999, 'mine')
    record = netbox.object(*VM)
    netbox.edit('vm', record.pointer, tags=record.values['tags'] | {mine})
    undo = reversal(netbox, before, changes)
    netbox.apply(Plan(changes=undo.changes), NOW)
    assert netbox.object(*VM).values['tags'] == before.object(*VM).values['tags'] | {mine}
    assert netbox.bindings[VM].last['tags'] == before.bindings[VM].last['tags']


def test_a_retired_guest_is_revived_and_retired_again_by_the_next_sync():
    netbox = NetBox()
    netbox.sync(WEB)
    gone = inventory()
    before, changes = run(netbox, gone)
    undo = reversal(netbox, before, changes)
    assert [change.action for change in undo.changes if change.kind == 'vm'] == [Action.REVIVE]
    netbox.apply(Plan(changes=undo.changes), NOW)
    assert contents(netbox) == contents(before)
    assert netbox.bindings[VM].missing_since is None
    assert Action.RETIRE in {change.action for change in netbox.sync(gone).changes}


def test_parts_that_a_run_deleted_are_created_again_and_refer_to_each_other():
    netbox = NetBox()
    netbox.sync(WEB)
    before, changes = run(netbox, inventory(guest(config=config(nics=()), addresses={})))
    assert {change.kind for change in changes if change.action is Action.DELETE} >= {'interface', 'ip'}
    undo = reversal(netbox, before, changes)
    again = {(change.kind, change.key): change for change in undo.changes if change.action is Action.CREATE}
    assert {INTERFACE, ADDRESS} <= {*again}
    holder = next(field.want for field in again[ADDRESS].fields if field.name == 'assigned_object')
    assert holder == Ref(*INTERFACE)
    netbox.apply(Plan(changes=undo.changes), NOW)
    assert contents(netbox) == contents(before)


def test_a_part_whose_values_are_unknown_is_left():
    netbox = NetBox()
    netbox.sync(WEB)
    before, changes = run(netbox, inventory(guest(config=config(nics=()), addresses={})))
    found = replace(present(netbox, before, changes), deleted={})
    undo = invert(changes, found)
    assert not undo.changes or {change.kind for change in undo.changes} == {'vm'}
    assert {each.reason for each in undo.left if each.change.action is Action.CREATE} == {
        'The change log has no entry of the deletion, so the object cannot be created again as it was.'
    }


def test_an_adopted_object_gets_its_former_values_and_is_released():
    netbox = NetBox()
    netbox.sync(WEB)
    pointer = netbox.object(*VM).pointer
    for identity in [each for each in netbox.bindings if each[1].startswith('qemu/100')]:
        netbox.bindings.pop(identity)
    netbox.edit('vm', pointer, memory=1, description='Mine')
    before, changes = run(netbox, WEB)
    undo = reversal(netbox, before, changes)
    assert {change.action for change in undo.changes} == {Action.RELEASE}
    netbox.apply(Plan(changes=undo.changes), NOW)
    assert netbox.records['vm'][pointer].values['memory'] == 1
    assert netbox.records['vm'][pointer].values['description'] == 'Mine'
    assert VM not in netbox.bindings


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ({'unmanaged': True}, 'The object was set to unmanaged by a user.'),
        ({'pointer': Pointer('virtualization.virtualmachine', 999)}, 'This endpoint no longer manages the object.'),
        ({'created_by_sync': False}, 'NetBox created it together with the object that it belongs to.'),
    ],
)
def test_what_the_plugin_does_not_manage_any_more_is_left(values, reason):
    netbox = NetBox()
    before, changes = run(netbox, WEB)
    found = present(netbox, before, changes)
    netbox.bindings[VM] = replace(netbox.bindings[VM], **values)
    undo = invert(changes, replace(found, bindings=dict(netbox.bindings)))
    assert {(each.change.kind, each.reason) for each in undo.left} >= {('vm', reason)}
    assert not [change for change in undo.changes if change.unit == 'qemu/100']


def test_a_reference_to_what_no_longer_exists_is_left():
    netbox = NetBox()
    netbox.sync(inventory(guest(node='pve1')))
    before, changes = run(netbox, inventory(guest(name='shop', tags=('new',))))
    found = present(netbox, before, changes)
    role = Pointer('dcim.devicerole', 77, 'Server')
    changed = [
        replace(
            change, fields=tuple(replace(each, now=role) if each.name == 'name' else each for each in change.fields)
        )
        for change in changes
    ]
    undo = invert(changed, found)
    (change,) = undo.changes
    assert change.reason == 'name: Server no longer exists.'
    assert [field.name for field in change.writes] == ['tags']


def test_what_was_released_is_bound_again_unless_it_was_reassigned():
    netbox = NetBox()
    mine = netbox.add('ip', '10.0.0.5/24', address='10.0.0.5/24', status='active')
    netbox.sync(inventory(guest(addresses={'net0': addresses('10.0.0.5/24')}, config=config(nics=(nic(),)))))
    if netbox.bindings.get(ADDRESS, None) is None or netbox.bindings[ADDRESS].pointer != mine:
        pytest.fail('The address was not adopted.')
    before, changes = run(netbox, inventory(guest(config=config(nics=(nic(),)), addresses={'net0': addresses()})))
    for _attempt in range(2):
        if any(change.action is Action.RELEASE for change in changes):
            break
        before, changes = run(netbox, inventory(guest(config=config(nics=(nic(),)), addresses={'net0': addresses()})))
    assert Action.RELEASE in {change.action for change in changes}
    undo = reversal(netbox, before, changes)
    assert [change.action for change in undo.changes if change.kind == 'ip'] == [Action.ADOPT]
    netbox.edit('ip', mine, assigned_object=Pointer('virtualization.vminterface', 998))
    undo = reversal(netbox, before, changes)
    assert [each.reason for each in undo.left if each.change.kind == 'ip'] == [
        'assigned_object: changed since the run.'
    ]


RELEASED = inventory(guest(config=config(nics=(nic(),)), addresses={'net0': addresses()}))


def released() -> tuple[NetBox, NetBox, list[Change]]:
    """After the release of an address that was adopted: NetBox, NetBox as it was before, and what was written."""
    netbox = NetBox()
    netbox.add('ip', '10.0.0.5/24', address='10.0.0.5/24', status='active')
    netbox.sync(inventory(guest(addresses={'net0': addresses('10.0.0.5/24')}, config=config(nics=(nic(),)))))
    # A first read without the address only reports that it was not found.
    netbox.sync(RELEASED)
    before, changes = run(netbox, RELEASED)
    assert Action.RELEASE in {change.action for change in changes}
    return netbox, before, changes


def left_of(undo: Reversal, kind: str) -> list[str]:
    return [str(each.reason) for each in undo.left if each.change.kind == kind]


class TestReleasedObjects:
    def test_one_that_was_deleted_since_is_left(self):
        netbox, before, changes = released()
        found = present(netbox, before, changes)
        values = {pointer: values for pointer, values in found.values.items() if pointer.model != 'ipam.ipaddress'}
        assert left_of(invert(changes, replace(found, values=values)), 'ip') == [
            'The object was deleted in NetBox since the run.'
        ]

    def test_one_that_the_endpoint_manages_again_is_left(self):
        netbox, before, changes = released()
        found = present(netbox, before, changes)
        bindings = {**found.bindings, ADDRESS: before.bindings[ADDRESS]}
        assert left_of(invert(changes, replace(found, bindings=bindings)), 'ip') == [
            'The endpoint manages it again since the run.'
        ]

    def test_one_that_a_user_had_assigned_elsewhere_before_is_left(self):
        netbox, before, changes = released()
        bare = [replace(each, fields=()) if each.kind == 'ip' else each for each in changes]
        assert left_of(reversal(netbox, before, bare), 'ip') == [
            'A user had assigned it to another object before the run.'
        ]

    def test_one_whose_former_interface_was_deleted_is_left(self):
        netbox, before, changes = released()
        found = present(netbox, before, changes)
        existing = {pointer for pointer in found.existing if pointer.model != 'virtualization.vminterface'}
        (reason,) = left_of(invert(changes, replace(found, existing=existing)), 'ip')
        assert reason == 'assigned_object: net0 no longer exists.'


class TestDeletedObjects:
    def test_one_that_the_endpoint_manages_again_is_left(self):
        netbox = NetBox()
        netbox.sync(WEB)
        before, changes = run(netbox, inventory(guest(config=config(nics=()), addresses={})))
        found = present(netbox, before, changes)
        bindings = {**found.bindings, INTERFACE: before.bindings[INTERFACE]}
        undo = invert(changes, replace(found, bindings=bindings))
        assert 'The endpoint manages it again since the run.' in left_of(undo, 'interface')

    def test_one_that_referred_to_what_no_longer_exists_is_left(self):
        netbox = NetBox()
        netbox.sync(WEB)
        before, changes = run(netbox, inventory(guest(config=config(nics=()), addresses={})))
        found = present(netbox, before, changes)
        existing = {pointer for pointer in found.existing if pointer.model != 'virtualization.virtualmachine'}
        undo = invert(changes, replace(found, existing=existing))
        assert left_of(undo, 'interface') == ['It referred to what no longer exists: BC:24:11:00:00:64, web.']

    def test_a_guest_that_was_deleted_with_all_its_parts_is_left(self):
        netbox = NetBox()
        netbox.sync(WEB)
        bound = netbox.bindings[VM]
        change = Change(
            action=Action.DELETE, kind='vm', key='qemu/100', unit='qemu/100', label='web', pointer=bound.pointer
        )
        (reason,) = left_of(invert([change], Present(bindings={}, values={})), 'vm')
        assert reason.startswith('The run deleted it with all its parts')


def test_a_change_that_has_written_nothing_has_no_inverse():
    change = Change(action=Action.CONFLICT, kind='vm', key='qemu/100', unit='qemu/100', label='web')
    assert invert([change], Present(bindings={}, values={})) == Reversal(changes=(), left=())


@pytest.mark.parametrize('is_known', [True, False])
def test_an_object_that_was_deleted_since_is_left(is_known):
    netbox = NetBox()
    before, changes = run(netbox, WEB)
    found = replace(present(netbox, before, changes), values={})
    if not is_known:
        changes = [replace(change, pointer=None) for change in changes]
    undo = invert(changes, found)
    assert not undo.changes
    assert {str(each.reason) for each in undo.left} == {'The object was deleted in NetBox since the run.'}


def test_a_field_that_holds_its_former_value_again_has_no_inverse():
    netbox = NetBox()
    netbox.sync(WEB)
    before, changes = run(netbox, inventory(guest(name='shop', tags=('new',))))
    netbox.edit('vm', netbox.object(*VM).pointer, name='web')
    (change,) = reversal(netbox, before, changes).changes
    assert [field.name for field in change.fields] == ['tags']


@pytest.mark.parametrize(
    ('first', 'second', 'reason'),
    [
        (inventory(), WEB, 'The object was revived since the run.'),
        (WEB, inventory(), 'The object was retired since the run.'),
    ],
)
def test_a_guest_that_was_retired_or_revived_since_is_left(first, second, reason):
    netbox = NetBox()
    netbox.sync(WEB)
    if first is WEB:
        netbox.sync(inventory(), UNLIMITED)
    before, changes = run(netbox, first, UNLIMITED)
    netbox.sync(second, UNLIMITED)
    assert reason in left_of(reversal(netbox, before, changes), 'vm')
