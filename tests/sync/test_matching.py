"""Which object an item gets, and why it gets none."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.custom_field_rules import Demand
from netbox_proxsync.sync.kind import ResolvedObjects
from netbox_proxsync.sync.kinds.interface import find_interface
from netbox_proxsync.sync.mapping.missing_addresses import ABSENT
from netbox_proxsync.sync.state import Existing
from netbox_proxsync.sync.values import Pointer
from tests.scenarios.nodes.nodes import hardware, physical
from tests.sync.builders import (
    NOW,
    SETTINGS,
    UNREAD,
    NetBox,
    config,
    disk,
    guest,
    inventory,
    nic,
    node,
    node_interface,
    plan,
)

SITE = Pointer('dcim.site', 1, 'Berlin')
NODES = replace(SETTINGS, sync_nodes=True, site=SITE)


def synced(inv=None, settings=SETTINGS) -> NetBox:
    netbox = NetBox()
    netbox.sync(inv or inventory(guest()), settings)
    return netbox


def conflicts(existing: Existing, inv=None, settings=SETTINGS) -> dict[str, str]:
    made = plan(inv or inventory(guest()), existing, settings)
    return {change.key: change.reason for change in made.changes if change.action is Action.CONFLICT}


def test_a_bound_object_that_another_endpoint_manages_is_a_conflict_with_its_parts_untouched():
    netbox = synced()
    vm = netbox.object('vm', 'qemu/100').pointer
    existing = replace(netbox.existing, foreign={vm: '7'})
    made = plan(inventory(guest(name='renamed')), existing)
    assert [(change.key, change.action) for change in made.changes] == [('qemu/100', Action.CONFLICT)]
    assert made.changes[0].reason == '"web" is managed by another endpoint (ID 7).'
    assert made.changes[0].pointer == vm


def test_an_object_is_bound_as_one_thing_only():
    inv = inventory(guest(config=config(nics=(nic(), nic('net1', 'BC:24:11:00:00:02'))), addresses={}))
    netbox = synced(inv)
    first, second = netbox.bindings['interface', 'qemu/100/net0'], netbox.bindings['interface', 'qemu/100/net1']
    netbox.bindings['interface', second.key] = replace(second, pointer=first.pointer)
    found = conflicts(netbox.existing, inv)
    assert found['qemu/100/net1'] == '"net0" is taken by another object of this endpoint already.'
    assert 'qemu/100/net0' not in found
    conflict = next(change for change in plan(inv, netbox.existing).changes if change.action is Action.CONFLICT)
    assert conflict.pointer == first.pointer


def test_a_cluster_of_another_endpoint_blocks_everything():
    netbox = synced()
    cluster = netbox.object('cluster', 'cluster').pointer
    made = plan(inventory(guest(name='renamed')), replace(netbox.existing, foreign={cluster: '7'}))
    assert [change.kind for change in made.changes] == ['cluster']
    assert 'is managed by another endpoint (ID 7). Two endpoints must not share a cluster' in made.changes[0].reason


def test_several_clusters_of_the_name_are_a_conflict_unless_one_is_at_the_site():
    netbox = NetBox()
    netbox.add('cluster', 'lab', name='lab')
    at_site = netbox.add('cluster', 'lab', name='Lab', scope=SITE)
    assert conflicts(netbox.existing) == {
        'cluster': 'NetBox has 2 clusters named "lab". Choose the right one on the endpoint.'
    }
    made = plan(inventory(), netbox.existing, replace(SETTINGS, site=SITE))
    assert [(change.action, change.pointer) for change in made.changes] == [(Action.ADOPT, at_site)]


def test_the_cluster_that_a_user_chose_is_used_under_any_name():
    netbox = NetBox()
    chosen = netbox.add('cluster', 'by hand', name='by hand')
    settings = replace(SETTINGS, cluster=chosen, cluster_group=Pointer('virtualization.clustergroup', 1, 'G'))
    made = plan(inventory(cluster_name='lab'), netbox.existing, settings)
    assert [(change.action, change.pointer) for change in made.changes] == [(Action.ADOPT, chosen)]
    assert {field.name for field in made.changes[0].writes} >= {'group', 'type'}


def test_a_cluster_without_a_readable_name_takes_that_of_the_endpoint():
    netbox = NetBox()
    netbox.sync(inventory(guest(), cluster_name=UNREAD))
    assert netbox.object('cluster', 'cluster').values['name'] == 'lab'
    alone = NetBox()
    alone.sync(inventory(guest(), cluster_name=None))
    assert alone.object('cluster', 'cluster').values['name'] == 'pve1'


def test_the_site_of_a_cluster_that_a_user_created_is_retained():
    netbox = NetBox()
    netbox.add('cluster', 'lab', name='lab')
    placed = replace(SETTINGS, site=SITE)
    made = plan(inventory(guest()), netbox.existing, placed)
    assert 'scope' not in {field.name for change in made.changes for field in change.writes}
    assert 'scope' in {
        field.name for change in plan(inventory(guest()), settings=placed).changes for field in change.writes
    }


def test_a_conflict_says_which_endpoint_manages_the_object_in_the_way():
    netbox = synced(inventory())
    vm = netbox.add('vm', 'other', name='other', cluster=Pointer('virtualization.cluster', 99, 'C'))
    interface = netbox.add('interface', 'eth0', virtual_machine=vm, name='eth0')
    address = netbox.add('ip', '10.0.0.5', address='10.0.0.5/24', assigned_object=interface)
    found = conflicts(replace(netbox.existing, foreign={address: '7'}))
    assert found['qemu/100/10.0.0.5'].endswith('"10.0.0.5" is managed by another endpoint (ID 7).')
    assert 'managed by' not in conflicts(netbox.existing)['qemu/100/10.0.0.5']


def test_parts_of_an_unmanaged_object_that_was_deleted_are_not_created():
    netbox = synced()
    for kind, key in (('vm', 'qemu/100'), ('interface', 'qemu/100/net0')):
        bound = netbox.bindings[kind, key]
        netbox.bindings[kind, key] = replace(bound, unmanaged=True)
    del netbox.records['interface'][netbox.bindings['interface', 'qemu/100/net0'].pointer]
    for kind in ('ip', 'mac'):
        netbox.records[kind].clear()
        netbox.bindings = {identity: bound for identity, bound in netbox.bindings.items() if bound.kind != kind}
    assert plan(inventory(guest()), netbox.existing).changes == ()


def test_objects_out_of_scope_are_reserved():
    netbox = synced()
    netbox.sync(inventory(guest(), guest(101, 'db', ('10.0.0.6/24',))), vmids=None)
    # A guest out of scope is neither changed nor robbed of its name.
    inv = inventory(guest(name='db'), guest(101, 'db', ('10.0.0.6/24',)))
    made = plan(inv, netbox.existing, vmids=[100])
    assert {change.unit for change in made.changes} == {'qemu/100'}
    vm = next(change for change in made.changes if change.kind == 'vm')
    assert {field.name: field.want for field in vm.writes} == {'name': 'db (100)'}


def test_an_object_that_a_guest_out_of_scope_would_adopt_is_not_free():
    netbox = synced(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    uuid = 'aaaaaaaa-0000-4000-8000-000000000001'
    netbox.add('vm', 'x', name='x', cluster=cluster, cf_vmid=101)
    made = plan(
        inventory(guest(100, 'a', (), config=config(uuid=uuid)), guest(101, 'x', ())), netbox.existing, vmids=[100]
    )
    assert [(change.key, change.action) for change in made.changes if change.kind == 'vm'] == [
        ('qemu/100', Action.CREATE)
    ]


def test_an_object_that_a_node_out_of_scope_would_adopt_is_not_free():
    mac = 'BC:24:11:00:00:64'
    one = node(interfaces=(node_interface('eno1'),), hardware=hardware(physical('eno1', mac)))
    netbox = synced(inventory())
    netbox.add('mac', mac, mac_address=mac)
    made = plan(inventory(guest(), nodes=(one,)), netbox.existing, NODES, vmids=[100])
    assert [(change.key, change.action) for change in made.changes if change.kind == 'mac'] == [
        (f'qemu/100/net0/{mac}', Action.CREATE)
    ]


def test_the_binding_of_an_object_that_a_user_replaced_has_no_effect():
    netbox = synced()
    cluster = netbox.object('cluster', 'cluster').pointer
    del netbox.records['vm'][netbox.object('vm', 'qemu/100').pointer]
    own = netbox.add('vm', 'web', name='web', cluster=cluster, cf_vmid=100)
    change = next(entry for entry in plan(inventory(guest(name='renamed')), netbox.existing).changes)
    assert (change.key, change.action, change.pointer) == ('qemu/100', Action.ADOPT, own)
    # The name is that of the user, and not the one that was written to the former object.
    assert 'name' not in {field.name for field in change.writes}


def test_the_name_of_a_retired_guest_is_free_as_soon_as_it_is_deleted():
    deleting, late = replace(SETTINGS, missing_guests='delete'), NOW + timedelta(days=30)
    netbox = synced()
    netbox.sync(inventory(), deleting)

    def name(now, **changed):
        made = plan(inventory(guest(101, 'web', ())), replace(netbox.existing, **changed), deleting, now)
        change = next(change for change in made.changes if change.key == 'qemu/101')
        return next(field.want for field in change.writes if field.name == 'name')

    assert name(NOW) == 'web (101)'
    assert name(late) == 'web'
    # While objects of others depend on it, it stays.
    assert name(late, dependents={netbox.object('vm', 'qemu/100').pointer: ('a service',)}) == 'web (101)'


def test_an_interface_of_a_machine_that_does_not_exist_is_not_looked_for():
    netbox = NetBox()
    netbox.add('interface', 'net0', virtual_machine=None, name='net0')
    assert find_interface('interface', None, None, ('net0',), netbox.existing, ResolvedObjects()) is None


def test_interfaces_are_adopted_by_their_mac_address_else_by_their_name():
    netbox = synced(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    vm = netbox.add('vm', 'web', name='web', cluster=cluster, cf_vmid=100)
    named = netbox.add('interface', 'net0', virtual_machine=vm, name='net0')
    with_mac = netbox.add('interface', 'eth1', virtual_machine=vm, name='eth1')
    mac = netbox.add('mac', 'm', mac_address='BC:24:11:00:00:02', assigned_object=with_mac)
    two = guest(config=config(nics=(nic(), nic('net1', 'BC:24:11:00:00:02'))), addresses={})
    netbox.sync(inventory(two))
    assert netbox.bindings['interface', 'qemu/100/net0'].pointer == named
    assert netbox.bindings['interface', 'qemu/100/net1'].pointer == with_mac
    assert netbox.bindings['mac', 'qemu/100/net1/BC:24:11:00:00:02'].pointer == mac


def test_an_unassigned_mac_address_is_adopted_if_it_is_the_only_one():
    netbox = synced(inventory())
    free = netbox.add('mac', 'm', mac_address='BC:24:11:00:00:64')
    assert plan(inventory(guest()), netbox.existing).counts['mac'] == {'adopt': 1}
    netbox.add('mac', 'm', mac_address='BC:24:11:00:00:64')
    assert plan(inventory(guest()), netbox.existing).counts['mac'] == {'create': 1}
    netbox.sync(inventory(guest()))
    assert netbox.bindings['mac', 'qemu/100/net0/BC:24:11:00:00:64'].pointer != free


def test_a_mac_address_that_a_user_moved_is_a_conflict():
    netbox = synced()
    mac = netbox.object('mac', 'qemu/100/net0/BC:24:11:00:00:64').pointer
    netbox.edit('mac', mac, assigned_object=Pointer('dcim.interface', 5, 'eth0'))
    assert 'that this sync manages was assigned to' in conflicts(netbox.existing)['qemu/100/net0/BC:24:11:00:00:64']
    netbox.edit('mac', mac, assigned_object=None)
    assert not conflicts(netbox.existing)


# What NetBox refuses


DEMANDED = Demand(model='', plural='virtual machines', field='owner', reason='The custom field "owner" is required.')


def demanding(netbox: NetBox, model: str, plural: str) -> Existing:
    return replace(netbox.existing, demands={model: (replace(DEMANDED, model=model, plural=plural),)})


def test_a_required_custom_field_keeps_new_guests_out_and_is_reported_once():
    existing = demanding(synced(inventory()), 'virtualization.virtualmachine', 'virtual machines')
    made = plan(inventory(guest(), guest(101, 'db', ())), existing)
    assert {change.key: change.action for change in made.changes} == {
        'qemu/100': Action.CONFLICT,
        'qemu/101': Action.CONFLICT,
    }
    assert made.changes[0].reason == (
        'NetBox would reject the new object. The custom field "owner" is required. Give the custom field "owner" a '
        'valid default, or do not require it.'
    )
    (notice,) = made.notices
    assert notice.message == 'The custom field "owner" is required. Objects that are not created: 2.'


def test_a_required_custom_field_of_a_part_keeps_only_the_part_and_its_parts_out():
    existing = demanding(synced(inventory()), 'virtualization.vminterface', 'interfaces')
    made = plan(inventory(guest()), existing)
    assert made.counts == {'vm': {'create': 1}, 'interface': {'conflict': 1}, 'disk': {'create': 1}}


def test_a_required_shared_object_that_cannot_be_created_keeps_new_objects_out():
    existing = demanding(NetBox(), 'virtualization.clustertype', 'cluster types')
    made = plan(inventory(guest()), existing)
    assert [(change.kind, change.action) for change in made.changes] == [('cluster', Action.CONFLICT)]
    assert made.notices[0].message.endswith('Objects that are not created: Proxmox VE.')


def test_an_optional_shared_object_that_cannot_be_created_is_left_out():
    existing = demanding(synced(inventory()), 'dcim.platform', 'platforms')
    made = plan(inventory(guest(config=config(ostype='l26'))), existing)
    vm = next(change for change in made.changes if change.kind == 'vm')
    assert vm.action is Action.CREATE
    assert 'platform' not in {field.name for field in vm.writes}
    assert 'Objects that are not created: Linux.' in made.notices[0].message


def test_a_device_type_needs_its_manufacturer():
    existing = demanding(synced(inventory()), 'dcim.manufacturer', 'manufacturers')
    made = plan(inventory(), existing, NODES)
    reason = next(change.reason for change in made.changes if change.kind == 'device')
    assert reason.startswith('NetBox would reject the new object. The custom field "owner" is required.')


def test_absences_of_a_guest_in_conflict_are_not_counted_further():
    netbox = synced()
    vm, address = netbox.object('vm', 'qemu/100').pointer, netbox.bindings['ip', 'qemu/100/10.0.0.5']
    netbox.bindings['ip', address.key] = replace(address, last={**address.last, ABSENT: 1})
    made = plan(inventory(guest()), replace(netbox.existing, foreign={address.pointer: '7', vm: ''}))
    assert ABSENT not in made.refreshed[address.pk]


def test_a_disk_and_a_port_are_adopted_by_their_names():
    netbox = synced(inventory())
    cluster = netbox.object('cluster', 'cluster').pointer
    vm = netbox.add('vm', 'web', name='web', cluster=cluster, cf_vmid=100)
    netbox.add('disk', 'scsi1', virtual_machine=vm, name='scsi1', size=1)
    own = netbox.add('disk', 'scsi0', virtual_machine=vm, name='scsi0', size=1)
    netbox.sync(inventory(guest(config=config(disks=(disk(),)))))
    assert netbox.bindings['disk', 'qemu/100/scsi0'].pointer == own
    device = netbox.add('device', 'pve1', name='pve1', cluster=cluster, site=SITE)
    port = netbox.add('node_interface', 'eno1', device=device, name='eno1', type='other')
    netbox.sync(inventory(guest(), nodes=(node(interfaces=(node_interface('eno1'),)),)), NODES)
    assert netbox.bindings['device', 'node/pve1'].pointer == device
    assert netbox.bindings['node_interface', 'node/pve1/eno1'].pointer == port


@pytest.mark.parametrize(
    ('guests', 'nodes', 'subject', 'words'),
    [
        (
            1,
            1,
            'qemu/100',
            'qemu/100 is not listed by Proxmox VE and may be on the offline node pve1. It is left unchanged.',
        ),
        (
            2,
            1,
            'guests',
            '2 guests (qemu/100, qemu/101) are not listed by Proxmox VE and may be on the',
        ),
        (2, 2, 'guests', 'may be on the offline nodes pve1, pve2. They are left unchanged.'),
    ],
)
def test_guests_that_wait_for_a_node_are_named_once(guests, nodes, subject, words):
    found = [guest(100 + number, f'vm{number}', ()) for number in range(guests)]
    netbox = synced(inventory(*found))
    offline = tuple(node(f'pve{number + 1}', online=False) for number in range(nodes))
    (notice,) = plan(inventory(nodes=offline), netbox.existing).notices
    assert notice.subject == subject
    assert notice.message.endswith(words) if guests == 1 else words in notice.message
    assert notice.message.startswith(('qemu/100 is', '2 guests'))
    assert notice.remedy == 'Bring the node back online, or remove it from the cluster ("pvecm delnode").'
    # Neither an unmanaged nor a retired guest waits.
    for bound in [bound for bound in netbox.bindings.values() if bound.kind == 'vm']:
        netbox.bindings['vm', bound.key] = replace(bound, unmanaged=True)
    assert plan(inventory(nodes=offline), netbox.existing).notices == ()
