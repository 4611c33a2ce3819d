"""The comparison, case by case, on a NetBox in memory."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, UNREAD, NetBox, addresses, config, disk, guest, inventory, nic, plan


def actions(made, kind):
    return {change.key: change.action for change in made.changes if change.kind == kind}


def test_a_guest_is_created_with_its_parts():
    netbox = NetBox()
    made = netbox.sync(inventory(guest(100)))
    assert made.counts == {kind: {'create': 1} for kind in ('cluster', 'vm', 'interface', 'mac', 'ip', 'disk')}
    vm = netbox.object('vm', 'qemu/100')
    assert vm.values['primary_ip4'] == netbox.object('ip', 'qemu/100/10.0.0.5').pointer
    assert vm.values['memory'] == 2048


def test_nothing_changes_when_nothing_changed():
    netbox = NetBox()
    inv = inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',)))
    netbox.sync(inv)
    again = plan(inv, netbox.existing)
    assert (again.changes, again.refreshed, again.forgotten) == ((), {}, ())


def test_two_guests_of_one_name_keep_their_names_from_run_to_run():
    netbox = NetBox()
    inv = inventory(guest(101, 'Web', ('10.0.0.6/24',)), guest(100, 'web'))
    netbox.sync(inv)
    assert netbox.object('vm', 'qemu/100').values['name'] == 'web'
    assert netbox.object('vm', 'qemu/101').values['name'] == 'Web (101)'
    assert not plan(inv, netbox.existing).changes


def test_the_bearer_of_a_name_keeps_it_though_a_lower_id_comes():
    netbox = NetBox()
    netbox.sync(inventory(guest(200, 'web')))
    netbox.sync(inventory(guest(100, 'web', ('10.0.0.6/24',)), guest(200, 'web')))
    assert netbox.object('vm', 'qemu/200').values['name'] == 'web'
    assert netbox.object('vm', 'qemu/100').values['name'] == 'web (100)'


def test_a_long_name_is_cut_before_its_suffix():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, 'x' * 64), guest(101, 'x' * 64, ())))
    assert netbox.object('vm', 'qemu/101').values['name'] == 'x' * 58 + ' (101)'


def test_a_guest_gets_a_name_though_a_retired_one_bears_its_name_with_its_id():
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    for vmid, name in ((200, 'web'), (201, 'WEB (100)')):
        # Records of guests that are missing: their VM IDs say that they are not this one.
        netbox.add('vm', name, name=name, cluster=cluster, cf_vmid=vmid)
    inv = inventory(guest(100, 'web'))
    netbox.sync(inv)
    assert netbox.object('vm', 'qemu/100').values['name'] == 'web (100) 2'
    assert not plan(inv, netbox.existing).changes


def test_names_are_reported_apart_within_the_tenant_that_the_guest_will_have():
    netbox, tenant = NetBox(), Pointer('tenancy.tenant', 1, 'T')
    netbox.sync(inventory(guest(100, 'web')))
    cluster = netbox.object('cluster', 'cluster').pointer
    netbox.add('vm', 'web', name='web', cluster=cluster, tenant=tenant)
    netbox.sync(inventory(guest(100, 'web')), replace(SETTINGS, tenant=tenant))
    vm = netbox.object('vm', 'qemu/100').values
    assert (vm['name'], vm['tenant']) == ('web (100)', tenant)


def test_a_machine_that_is_another_one_keeps_its_name():
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    hand_made = netbox.add('vm', 'web', name='web', cluster=cluster, cf_vmid=200)
    netbox.sync(inventory(guest(100, 'WEB')))
    assert netbox.records['vm'][hand_made].values['name'] == 'web'
    assert netbox.object('vm', 'qemu/100').values['name'] == 'WEB (100)'


def test_a_machine_with_this_vmid_is_adopted_and_keeps_what_a_user_wrote():
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    old = netbox.add('vm', 'Web server', name='Web server', cluster=cluster, cf_vmid=100, comments='by hand', vcpus='9')
    made = netbox.sync(inventory(guest(100, config=config(description='notes'))))
    assert actions(made, 'vm') == {'qemu/100': Action.ADOPT}
    vm = netbox.records['vm'][old]
    assert (vm.values['name'], vm.values['comments'], vm.values['vcpus']) == ('Web server', 'by hand', '2')


def test_two_machines_with_this_vmid_are_candidates_and_nothing_is_created():
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    for name in ('a', 'b'):
        netbox.add('vm', name, name=name, cluster=cluster, cf_vmid=100)
    made = netbox.sync(inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',))))
    assert actions(made, 'vm') == {'qemu/100': Action.CANDIDATE, 'qemu/101': Action.CREATE}
    assert set(actions(made, 'interface')) == {'qemu/101/net0'}
    assert '"a", "b"' in next(change.reason for change in made.changes if change.action is Action.CANDIDATE)


def test_an_address_of_something_else_is_a_conflict_and_never_the_primary_address():
    netbox = NetBox()
    switch = NetBox().add('interface', 'eth0')
    netbox.add('ip', address='10.0.0.5/24', assigned_object=switch)
    made = netbox.sync(inventory(guest(100)))
    assert actions(made, 'ip') == {'qemu/100/10.0.0.5': Action.CONFLICT}
    assert netbox.object('vm', 'qemu/100').values['primary_ip4'] is None


def test_an_unassigned_address_is_adopted():
    netbox = NetBox()
    free = netbox.add('ip', address='10.0.0.5/32')
    netbox.sync(inventory(guest(100)))
    assert netbox.object('ip', 'qemu/100/10.0.0.5').pointer == free
    assert netbox.records['ip'][free].values['address'] == '10.0.0.5/24'


def test_the_address_of_a_retired_guest_moves_to_the_one_that_has_it_now():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    netbox.sync(inventory())
    made = netbox.sync(inventory(guest(101, 'new')))
    assert actions(made, 'ip') == {'qemu/101/10.0.0.5': Action.ADOPT}
    assert len(netbox.records['ip']) == 1


def test_a_missing_guest_is_retired_and_revived_as_the_same_record():
    netbox = NetBox()
    inv = inventory(guest(100))
    netbox.sync(inv)
    before = netbox.object('vm', 'qemu/100')
    made = netbox.sync(inventory())
    assert made.counts == {'vm': {'retire': 1}}
    assert netbox.object('vm', 'qemu/100').values['status'] == 'decommissioning'
    assert not plan(inventory(), netbox.existing).changes
    made = netbox.sync(inv)
    assert made.counts == {'vm': {'revive': 1}}
    assert netbox.object('vm', 'qemu/100') == before


def test_a_list_that_may_be_incomplete_retires_nothing():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    assert not plan(
        inventory(guests_incomplete=Unreadable('the token does not see all guests')), netbox.existing
    ).changes


def test_an_unread_configuration_changes_none_of_the_parts():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    unread = replace(guest(100, status='stopped'), config=Unreadable('timeout'), addresses=Unreadable('timeout'))
    made = netbox.sync(inventory(unread))
    assert [(change.kind, [field.name for field in change.fields]) for change in made.changes] == [('vm', ['status'])]


def test_an_unread_guest_is_not_created():
    made = plan(inventory(replace(guest(100), config=Unreadable('timeout'), addresses=Unreadable('timeout'))))
    assert set(made.counts) == {'cluster'}


def test_a_silent_guest_keeps_its_addresses_and_its_primary_address():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    silent = guest(100, addresses={'net0': addresses(running=Unreadable('the guest agent is silent'))})
    assert not plan(inventory(silent), netbox.existing).changes


def test_an_address_that_a_readable_nic_lost_is_deleted_and_one_of_a_user_is_released():
    netbox = NetBox()
    mine = netbox.add('ip', address='10.0.0.6/24')
    netbox.sync(inventory(guest(100, ips=('10.0.0.5/24', '10.0.0.6/24'))))
    assert not netbox.sync(inventory(guest(100, ips=()))).changes
    made = netbox.sync(inventory(guest(100, ips=())))
    assert actions(made, 'ip') == {'qemu/100/10.0.0.5': Action.DELETE, 'qemu/100/10.0.0.6': Action.RELEASE}
    assert netbox.records['ip'][mine].values['assigned_object'] is None


def test_a_changed_mac_is_another_address_and_the_old_one_goes():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    made = netbox.sync(inventory(guest(100, config=config(nics=(nic(mac='BC:24:11:FF:FF:FF'),)))))
    assert actions(made, 'mac') == {
        'qemu/100/net0/BC:24:11:FF:FF:FF': Action.CREATE,
        'qemu/100/net0/BC:24:11:00:00:64': Action.DELETE,
    }
    assert actions(made, 'interface') == {'qemu/100/net0': Action.UPDATE}


def test_a_filtered_guest_is_left_unchanged():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    assert not plan(inventory(), netbox.existing, replace(SETTINGS, sync_vms=False)).changes
    assert not plan(inventory(guest(100, template=True)), netbox.existing).changes


def test_a_retired_guest_is_deleted_after_its_grace_period_only_if_the_endpoint_says_so():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    netbox.sync(inventory())
    late = NOW + timedelta(days=31)
    assert not plan(inventory(), netbox.existing, SETTINGS, late).changes
    deleting = replace(SETTINGS, missing_guests='delete')
    assert not plan(inventory(), netbox.existing, deleting, NOW + timedelta(days=29)).changes
    assert plan(inventory(), netbox.existing, deleting, late).counts == {'vm': {'delete': 1}}


def test_an_object_with_something_of_a_users_on_it_is_not_deleted():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    interface = netbox.object('interface', 'qemu/100/net0').pointer
    existing = replace(netbox.existing, dependents={interface: ('service "ssh"',)})
    made = plan(inventory(guest(100, config=config(nics=()), addresses={})), existing)
    conflict = next(change for change in made.changes if change.kind == 'interface')
    assert conflict.action is Action.CONFLICT
    assert 'service "ssh"' in conflict.reason


def test_a_netbox_without_the_custom_fields_still_syncs():
    netbox = NetBox()
    bare = replace(netbox.existing, custom_fields={})
    made = plan(inventory(guest(100)), bare)
    assert not any(field.name.startswith('cf_') for change in made.changes for field in change.fields)


def test_an_object_deleted_manually_is_created_again():
    netbox = NetBox()
    inv = inventory(guest(100))
    netbox.sync(inv)
    netbox.records['disk'].clear()
    assert plan(inv, netbox.existing).counts == {'disk': {'create': 1}}


def test_an_unread_tag_style_changes_no_tags():
    netbox = NetBox()
    read = inventory(guest(100, tags=('Web', 'web')), guest(101, 'db', (), tags=('web',)))
    netbox.sync(read)
    unread = replace(read, tag_style=UNREAD)
    assert not plan(unread, netbox.existing).changes


def test_a_cpu_limit_is_stored_as_exactly_as_netbox_can():
    limited = config(cores=None, cpulimit=Decimal('1.333'))
    netbox = NetBox()
    netbox.sync(inventory(guest(200, type=GuestType.LXC, config=limited, addresses={})))
    assert netbox.object('vm', 'lxc/200').values['vcpus'] == '1.33'


def test_one_machine_is_adopted_by_one_guest_and_the_other_one_is_created():
    """A clone brings the UUID of its original."""
    netbox = NetBox()
    netbox.sync(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    old = netbox.add('vm', 'old', name='old', cluster=cluster, cf_vmid=100, serial='u')
    made = netbox.sync(inventory(guest(100), guest(101, 'clone', (), config=config(uuid='u', nics=()))))
    assert actions(made, 'vm') == {'qemu/100': Action.ADOPT, 'qemu/101': Action.CREATE}
    assert netbox.object('vm', 'qemu/100').pointer == old


def test_a_cluster_deleted_manually_is_created_again_though_its_name_cannot_be_read():
    netbox = NetBox()
    netbox.sync(inventory())
    netbox.records['cluster'].clear()
    netbox.sync(inventory(cluster_name=UNREAD))
    assert netbox.object('cluster', 'cluster').values['name'] == 'lab'


def test_a_guest_whose_name_is_unknown_keeps_the_name_that_it_has():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, 'web')))
    netbox.sync(inventory(guest(100, UNREAD), guest(101, 'web', ())))
    assert netbox.object('vm', 'qemu/100').values['name'] == 'web'
    assert netbox.object('vm', 'qemu/101').values['name'] == 'web (101)'


nics = st.lists(st.integers(0, 3), max_size=3, unique=True).map(
    lambda numbers: tuple(nic(f'net{number}', f'BC:24:11:00:01:0{number}') for number in sorted(numbers))
)
ips = st.lists(st.sampled_from(['10.0.0.5/24', '10.0.0.6/24', 'fd00::5/64', '2001:db8::5/64']), unique=True, max_size=3)


@st.composite
def guests(draw, vmid):
    interfaces = draw(nics)
    found = {
        entry.key: addresses(
            *(draw(ips) if position == 0 else ()), running=draw(st.sampled_from([None, Unreadable('x')]))
        )
        for position, entry in enumerate(interfaces)
    }
    conf = config(
        nics=interfaces,
        disks=tuple(disk(key) for key in draw(st.sets(st.sampled_from(['scsi0', 'scsi1', 'sata0'])))),
        cores=draw(st.integers(1, 3)),
        description=draw(st.sampled_from(['', 'notes'])),
    )
    made = guest(
        vmid,
        draw(st.sampled_from(['web', 'Web', 'db'])),
        config=conf,
        addresses=found,
        type=draw(st.sampled_from(list(GuestType))) if vmid == 102 else GuestType.QEMU,
        status=draw(st.sampled_from(['running', 'stopped', 'paused', 'io-error'])),
        tags=tuple(draw(st.sets(st.sampled_from(['a', 'b', 'c'])))),
    )
    if draw(st.integers(0, 5)) == 0:
        return replace(made, config=Unreadable('refused'), addresses=Unreadable('refused'))
    return made


# What is missing for a moment has tests of its own: test_addresses.py.
UNLIMITED = replace(SETTINGS, change_limit=100, missing_address_reads=1)
inventories = (
    st.sets(st.sampled_from([100, 101, 102]))
    .flatmap(lambda vmids: st.tuples(*[guests(vmid) for vmid in sorted(vmids)]))
    .map(lambda found: inventory(*found))
)


@settings(max_examples=100, deadline=None)
@given(rounds=st.lists(inventories, min_size=1, max_size=5))
def test_after_every_sync_there_is_nothing_left_to_do(rounds):
    netbox = NetBox()
    for number, inv in enumerate(rounds):
        now = NOW + timedelta(days=number)
        netbox.sync(inv, UNLIMITED, now)
        again = plan(inv, netbox.existing, UNLIMITED, now)
        left = [change for change in again.changes if change.action is not Action.CONFLICT]
        assert (left, again.refreshed, again.forgotten) == ([], {}, ())


def test_a_plan_is_empty_if_applying_it_writes_nothing():
    netbox, inv = NetBox(), inventory(guest())
    assert not plan(inv, netbox.existing).is_empty
    netbox.sync(inv)
    assert plan(inv, netbox.existing).is_empty
