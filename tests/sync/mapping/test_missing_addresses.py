"""Whether an address that was not found on its guest is missing, case by case."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from netbox_proxsync.proxmox.inventory import AddressOrigin, GuestOnlyInterface, GuestType, Notice, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.desired import desire
from netbox_proxsync.sync.hints import AddressHints
from netbox_proxsync.sync.mapping.missing_addresses import (
    ABSENT,
    BOTH,
    CONFIGURED,
    SOURCE,
    may_be_gone,
    reading_of,
    sources_of,
)
from netbox_proxsync.sync.rules import Outcome, Rule
from netbox_proxsync.sync.state import Item
from netbox_proxsync.sync.values import Pointer, Ref
from tests.sync.builders import (
    SETTINGS,
    UNREAD,
    NetBox,
    addresses,
    config,
    guest,
    inventory,
    nic,
    node,
    node_interface,
    plan,
)  # fmt: skip

HOST = '10.0.0.5'
KEY = ('ip', f'qemu/100/{HOST}')
OFF = Unreadable('It is not running.')
STATIC = AddressOrigin.STATIC
TWO = config(nics=(nic(), nic('net1', 'BC:24:11:00:00:02')))


def one(found=None, conf=TWO, **values):
    return guest(
        100, 'web', (), config=conf, addresses={'net0': addresses(), 'net1': addresses()} | (found or {}), **values
    )


REPORTED = one({'net0': addresses(f'{HOST}/24')})


def after(before, now, settings=SETTINGS):
    """What happens to the address: 'gone', the number of absences that are counted, or None; and the notices."""
    netbox = NetBox()
    netbox.sync(inventory(before), settings)
    made = plan(inventory(now), netbox.existing, settings)
    bound = netbox.bindings[KEY]
    if any((change.kind, change.key) == KEY and change.action is Action.DELETE for change in made.changes):
        return 'missing', made.notices
    return made.refreshed.get(bound.pk, {}).get(ABSENT), made.notices


def test_an_address_that_only_the_guest_reported_is_missing_after_two_complete_reads():
    assert after(REPORTED, one()) == (1, ())
    assert after(REPORTED, one(), replace(SETTINGS, missing_address_reads=1))[0] == 'missing'
    netbox = NetBox()
    netbox.sync(inventory(REPORTED))
    netbox.sync(inventory(one()))
    assert netbox.bindings[KEY].last[ABSENT] == 1
    netbox.sync(inventory(REPORTED))
    assert ABSENT not in netbox.bindings[KEY].last
    netbox.sync(inventory(one()))
    netbox.sync(inventory(one()))
    assert KEY not in netbox.bindings


@pytest.mark.parametrize(
    ('found', 'values', 'expected'),
    [
        # The NIC that had it was removed.
        ({}, {'conf': config(nics=(nic('net1', 'BC:24:11:00:00:02'),))}, 'missing'),
        # It was not read.
        ({'net0': addresses(running=OFF)}, {}, None),
        ({'net0': replace(addresses(), configured=UNREAD)}, {}, None),
        # It is beyond the limit.
        ({'net0': replace(addresses(), excess=frozenset({ip_address(HOST)}))}, {}, None),
        # It may be on the NIC that cannot be read only if the guest reports it, or may report it, elsewhere.
        ({'net1': addresses(running=OFF)}, {}, 1),
        ({'net1': addresses(running=OFF)}, {'guest_only': UNREAD}, None),
    ],
)
def test_an_absent_address(found, values, expected):
    assert after(REPORTED, one(found, **values))[0] == expected


def test_an_address_that_may_be_on_an_unreadable_nic_waits_with_a_notice():
    outside = GuestOnlyInterface(
        name='eth9', mac='BC:24:11:00:00:09', addresses=addresses(f'{HOST}/24').addresses, ignored=()
    )
    three = replace(TWO, nics=(*TWO.nics, nic('net2', 'BC:24:11:00:00:03')))
    off = {'net1': addresses(running=OFF), 'net2': addresses(running=OFF)}
    found, notices = after(REPORTED, one(off, three, guest_only=(outside,)))
    assert found is None
    assert notices == (
        Notice(
            subject='qemu/100',
            message=f'{HOST} may have moved to net1, net2, which cannot be read. It is left unchanged in NetBox.',
            remedy='The page of the guest shows why that NIC cannot be read. If the address no longer exists, delete '
            'it in NetBox.',
        ),
    )
    # An interface without a MAC address is none of its NICs.
    bridge = replace(outside, mac=None)
    assert after(REPORTED, one({'net1': addresses(running=OFF)}, guest_only=(bridge,))) == (1, ())


def test_an_address_is_retained_on_a_nic_that_has_another_key_and_cannot_be_read():
    mac = TWO.nics[0].mac
    moved = guest(100, 'web', config=config(nics=(nic('net2', mac),)), addresses={'net2': addresses(running=OFF)})
    assert after(REPORTED, moved) == (None, ())
    # Once it is read, the address is missing there.
    assert after(REPORTED, replace(moved, addresses={'net2': addresses()})) == (1, ())


@pytest.mark.parametrize(('found', 'expected'), [({}, 1), ({'net1': addresses(running=OFF)}, None)])
def test_of_an_address_on_an_unknown_interface_every_nic_must_be_read(found, expected):
    netbox = NetBox()
    netbox.sync(inventory(REPORTED))
    bound = netbox.bindings[KEY]
    netbox.bindings[KEY] = replace(bound, last={**bound.last, 'assigned_object': None})
    netbox.edit('ip', bound.pointer, assigned_object=None)
    made = plan(inventory(one(found)), netbox.existing)
    assert made.changes == ()
    assert made.refreshed.get(bound.pk, {}).get(ABSENT) == expected


def static(running=OFF, host=HOST):
    return addresses(f'{host}/24', origin=STATIC, running=running)


@pytest.mark.parametrize(
    ('before', 'source'),
    [(static(), CONFIGURED), (static(None), BOTH), (addresses(f'{HOST}/24'), None)],
)
def test_the_binding_stores_who_stated_an_address(before, source):
    netbox = NetBox()
    netbox.sync(inventory(one({'net0': before})))
    assert netbox.bindings[KEY].last.get(SOURCE) == source
    # Once the running guest has reported it, that remains known while the guest is off.
    netbox.sync(inventory(one({'net0': static(None)})))
    netbox.sync(inventory(one({'net0': static()})))
    assert netbox.bindings[KEY].last[SOURCE] == BOTH
    # While the configuration cannot be read, the stored source stays.
    netbox.sync(inventory(one({'net0': replace(static(None), configured=UNREAD)})))
    assert netbox.bindings[KEY].last[SOURCE] == BOTH


def test_an_address_that_is_no_longer_configured_is_missing():
    empty = replace(addresses(running=OFF), configured=frozenset())
    assert after(one({'net0': static()}), one({'net0': empty}))[0] == 'missing'


def test_an_address_that_cloud_init_only_requested_is_missing_when_the_guest_uses_another_one():
    other = replace(addresses('10.0.0.9/24'), configured=frozenset({ip_address(HOST)}))
    assert after(one({'net0': static()}), one({'net0': other}))[0] == 'missing'
    # Without any address, the guest may not have configured the NIC yet.
    none = replace(addresses(), configured=frozenset({ip_address(HOST)}))
    assert after(one({'net0': static()}), one({'net0': none}))[0] == 1


def test_a_request_that_the_guest_ignored_is_not_documented_while_it_is_off():
    netbox = NetBox()
    netbox.sync(inventory(one({'net0': addresses('10.0.0.9/24')})))
    off = one({'net0': static()})
    assert KEY[1] not in {change.key for change in plan(inventory(off), netbox.existing).changes}
    # On another NIC, or as soon as the guest reports it, it is.
    for found in ({'net0': addresses('10.0.0.9/24'), 'net1': static()}, {'net0': static(None)}):
        assert KEY[1] in {change.key for change in plan(inventory(one(found)), netbox.existing).changes}
    # So is it where the guest used what cloud-init requested before.
    granted = NetBox()
    granted.sync(inventory(one({'net0': static(None, '10.0.0.9')})))
    assert KEY[1] in {change.key for change in plan(inventory(off), granted.existing).changes}
    # A container uses what its configuration states.
    netbox = NetBox()
    netbox.sync(inventory(one({'net0': addresses('10.0.0.9/24')}, type=GuestType.LXC)))
    container = replace(off, type=GuestType.LXC)
    assert f'lxc/100/{HOST}' in {change.key for change in plan(inventory(container), netbox.existing).changes}


@pytest.mark.parametrize(
    ('values', 'stored', 'is_bound', 'expected'),
    [
        # While the configuration cannot be read, the source stays; that of another guest is not taken over.
        ({'is_configuration_read': False}, BOTH, True, BOTH),
        ({'is_configuration_read': False}, BOTH, False, None),
        ({'is_configuration_read': False}, None, True, None),
        ({'is_configuration_read': False}, 7, True, None),
        ({'is_configured': False}, BOTH, True, None),
        ({'is_reported': True}, None, False, BOTH),
        ({}, None, True, CONFIGURED),
        ({}, CONFIGURED, True, CONFIGURED),
        ({}, BOTH, True, BOTH),
        ({}, BOTH, False, CONFIGURED),
    ],
)
def test_the_source_of_an_address(values, stored, is_bound, expected):
    given = {'is_reported': False, 'is_seen': False, 'is_configured': True} | values
    interface = Ref('interface', 'qemu/100/net0')
    hints = AddressHints(host=HOST, interface=interface, has_prefix=True, **given)
    item = Item(kind='ip', key=KEY[1], unit='qemu/100', label=HOST, values={}, hints=hints)
    assert sources_of(item, {SOURCE: stored} if stored else {}, is_bound) == expected


def test_an_address_that_another_guest_reports_is_taken():
    netbox = NetBox()
    neighbor = guest(101, 'db', ('10.0.0.6/24',))
    netbox.sync(inventory(REPORTED, neighbor))
    record = netbox.object(*KEY).pointer
    taking = guest(101, 'db', ('10.0.0.6/24', f'{HOST}/24'))
    netbox.sync(inventory(one(), taking))
    assert netbox.bindings['ip', f'qemu/101/{HOST}'].pointer == record
    assert KEY not in netbox.bindings


OWN, ELSEWHERE = 'on its own interface', 'on something else'


@pytest.mark.parametrize(
    ('role', 'other', 'is_missing'),
    [
        (None, None, True),
        (None, OWN, True),
        ('vip', None, True),
        ('vip', ELSEWHERE, True),
        # The guest that reports it has, or may have, a record of its own.
        ('vip', OWN, False),
        ('anycast', None, False),
    ],
)
def test_an_address_that_another_guest_reports_is_missing_unless_both_may_have_it(role, other, is_missing):
    netbox = NetBox()
    netbox.sync(inventory(REPORTED, guest(101, 'db', ('10.0.0.6/24',))))
    bound = netbox.bindings[KEY]
    netbox.edit('ip', bound.pointer, role=role)
    own = None
    if other:
        holder = Pointer('ipam.fhrpgroup', 3, 'G')
        if other == OWN:
            holder = netbox.object('interface', 'qemu/101/net0').pointer
        own = netbox.add('ip', HOST, address=f'{HOST}/24', role=role, assigned_object=holder)
    made = plan(inventory(one(), guest(101, 'db', ('10.0.0.6/24', f'{HOST}/24'))), netbox.existing)
    change = next(change for change in made.changes if change.key == f'qemu/101/{HOST}')
    taken = {None: bound.pointer, OWN: own, ELSEWHERE: bound.pointer}[other]
    assert change.pointer == (None if role == 'anycast' else taken)
    assert made.refreshed.get(bound.pk, {}).get(ABSENT) == (None if is_missing else 1)


def test_an_absent_address_whose_record_was_deleted_blocks_no_other_guest():
    netbox = NetBox()
    netbox.sync(inventory(REPORTED, guest(101, 'db', ('10.0.0.6/24',))))
    del netbox.records['ip'][netbox.bindings[KEY].pointer]
    made = plan(inventory(one(), guest(101, 'db', ('10.0.0.6/24', f'{HOST}/24'))), netbox.existing)
    assert [(change.key, change.action) for change in made.changes] == [(f'qemu/101/{HOST}', Action.CREATE)]


def test_the_ledger_knows_beforehand_which_addresses_may_be_missing():
    netbox = NetBox()
    netbox.sync(inventory(REPORTED))
    bound, bound_to = netbox.bindings[KEY], netbox.existing.bound_to

    def may(now, seen=(), bound=bound):
        return may_be_gone(bound, bound_to, desire(inventory(now) if now else inventory(), SETTINGS), seen)

    assert may(one())
    assert may(None)
    assert not may(one({'net0': addresses(running=OFF)}))
    assert may(one({'net0': addresses(running=OFF)}), {HOST})
    # The interface that had it was read; another one was not.
    assert may(one({'net1': addresses(running=OFF)}))
    # The interface that had it is not known: every NIC must have been read.
    unknown = replace(bound, last={**bound.last, 'assigned_object': None})
    assert may(one(), bound=unknown)
    assert not may(one({'net1': addresses(running=OFF)}), bound=unknown)


def test_a_reading_needs_the_configuration():
    for unread in ({'config': UNREAD}, {'addresses': UNREAD}, {'config': UNREAD, 'addresses': UNREAD}):
        assert reading_of(replace(REPORTED, **unread)) is None
    reading = reading_of(one({'net0': static()}))
    assert reading.nics['qemu/100/net0'].configured == {HOST}
    assert reading.nics['qemu/100/net1'].configured is None


def test_an_address_in_another_vrf_is_another_address():
    vrf = Pointer('ipam.vrf', 1, 'V')
    rules = (Rule(name='V', name_pattern='db', outcome=Outcome(vrf=vrf)),)
    settings = replace(SETTINGS, rules=rules)
    netbox = NetBox()
    netbox.sync(inventory(REPORTED, guest(101, 'db', ('10.0.0.6/24',))), settings)
    made = plan(inventory(one(), guest(101, 'db', ('10.0.0.6/24', f'{HOST}/24'))), netbox.existing, settings)
    actions = {change.key: change.action for change in made.changes if change.kind == 'ip'}
    assert actions == {f'qemu/101/{HOST}': Action.CREATE}
    assert made.refreshed[netbox.bindings[KEY].pk][ABSENT] == 1


def test_addresses_of_a_node_and_of_a_replaced_machine_are_missing_immediately():
    uuids = 'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000002'
    machines = [
        guest(100, f'vm{number}', (f'{HOST}/24',), config=config(uuid=uuid, created=number, nics=(nic(mac=mac),)))
        for number, (uuid, mac) in enumerate(zip(uuids, ('BC:24:11:00:00:01', 'BC:24:11:00:00:02'), strict=True), 1)
    ]
    netbox = NetBox()
    netbox.sync(inventory(machines[0]))
    record = netbox.object(*KEY).pointer
    netbox.sync(inventory(machines[1]))
    assert netbox.bindings[KEY].pointer == record
    assert ('ip', f'qemu/100#1/{HOST}') not in netbox.bindings
    settings = replace(SETTINGS, sync_nodes=True, site=Pointer('dcim.site', 1, 'Berlin'))
    bridge = node_interface('vmbr0', addresses=(ip_interface('10.0.0.1/24'), ip_interface('10.0.0.2/24')))
    netbox = NetBox()
    netbox.sync(inventory(nodes=(node(interfaces=(bridge,)),)), settings)
    bare = node(address=None, interfaces=(replace(bridge, addresses=()),))
    made = plan(inventory(nodes=(bare,)), netbox.existing, settings)
    assert made.counts['ip'] == {'delete': 2}
