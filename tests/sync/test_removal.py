"""What becomes of objects whose guest or node is missing, case by case."""

from dataclasses import replace
from datetime import timedelta

import pytest

from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.sync.changes import Action, FieldChange
from netbox_proxsync.sync.custom_field_rules import ValueLimits
from netbox_proxsync.sync.kinds import Owner
from netbox_proxsync.sync.removal import may_be_deleted, removal
from netbox_proxsync.sync.state import Existing
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, NetBox, config, disk, guest, inventory, nic, node, node_interface, plan

SITE = Pointer('dcim.site', 1, 'Berlin')
NODES = replace(SETTINGS, sync_nodes=True, site=SITE)
DELETING = replace(SETTINGS, missing_guests='delete')
LATE = NOW + timedelta(days=30)
EMPTY = inventory()
VM, ADDRESS = ('vm', 'qemu/100'), ('ip', 'qemu/100/10.0.0.5')


def synced(inv=None, settings=SETTINGS) -> NetBox:
    netbox = NetBox()
    netbox.sync(inv or inventory(guest()), settings)
    return netbox


def change_of(existing: Existing, identity: tuple[str, str], inv=EMPTY, settings=SETTINGS, now=NOW):
    found = [change for change in plan(inv, existing, settings, now).changes if (change.kind, change.key) == identity]
    assert len(found) < 2
    return found[0] if found else None


def fields(change) -> dict[str, object]:
    return {field.name: field.want for field in change.writes}


# Guests and nodes are retired.


def test_a_guest_that_is_missing_is_marked_and_its_binding_stores_the_marks():
    change = change_of(synced().existing, VM)
    assert change.action is Action.RETIRE
    assert fields(change) == {'status': 'decommissioning', 'cf_vm_status': 'Deleted'}
    assert change.reason == 'No longer present in Proxmox VE.'
    assert change.binding['status'] == 'decommissioning'
    assert change.binding['name'] == 'web'
    assert (change.key, change.unit, change.label) == ('qemu/100', 'qemu/100', 'web')
    assert change.fields == tuple(
        FieldChange(name=name, owner=Owner.FACT, last=value, now=value, want=retired, has_last=True)
        for name, value, retired in (
            ('status', 'active', 'decommissioning'),
            ('cf_vm_status', 'Deployed', 'Deleted'),
        )
    )


def test_a_guest_whose_vm_id_another_machine_has_is_retired():
    def machine(number):
        uuid, mac = f'aaaaaaaa-0000-4000-8000-00000000000{number}', f'BC:24:11:00:00:0{number}'
        return guest(100, f'vm{number}', (), config=config(uuid=uuid, created=number, nics=(nic(mac=mac),)))

    netbox = synced(inventory(machine(1)))
    record = netbox.object(*VM).pointer
    made = plan(inventory(machine(2)), netbox.existing)
    (change,) = [change for change in made.changes if change.action is Action.RETIRE]
    assert (change.pointer, change.reason) == (record, 'Another machine now has the VM ID in Proxmox VE.')


def test_a_guest_that_is_missing_is_retained_where_the_endpoint_leaves_guests():
    leaving = replace(SETTINGS, missing_guests='leave')
    assert change_of(synced().existing, VM, settings=leaving) is None


def test_the_cluster_is_never_removed():
    netbox = synced()
    assert plan(EMPTY, netbox.existing).counts.get('cluster') is None
    cluster = netbox.bindings['cluster', 'cluster']
    record = netbox.existing.by_pointer[cluster.pointer]
    assert removal(cluster, record, netbox.existing, DELETING, LATE) is None
    missing = replace(cluster, missing_since=NOW)
    assert removal(missing, record, netbox.existing, DELETING, LATE) is None


@pytest.mark.parametrize(('status', 'written'), [('active', True), ('planned', False), ('decommissioning', False)])
def test_a_device_status_that_a_user_set_is_retained_when_the_node_leaves_the_cluster(status, written):
    pve1, pve2 = node('pve1'), node('pve2', address='10.0.0.2')
    netbox = synced(inventory(nodes=(pve1, pve2)), NODES)
    netbox.edit('device', netbox.object('device', 'node/pve2').pointer, status=status)
    change = change_of(netbox.existing, ('device', 'node/pve2'), inventory(nodes=(pve1,)), NODES)
    assert change.action is Action.RETIRE
    assert fields(change) == ({'status': 'decommissioning'} if written else {})
    assert change_of(netbox.existing, ('device', 'node/pve1'), inventory(nodes=(pve1,)), NODES) is None


def test_an_ignored_mark_and_one_that_netbox_refuses_are_not_written():
    ignoring = replace(SETTINGS, field_policy={'vm.status': 'ignored'})
    netbox = synced()
    assert fields(change_of(netbox.existing, VM, settings=ignoring)) == {'cf_vm_status': 'Deleted'}
    limits = {('virtualization.virtualmachine', 'vm_status'): ValueLimits(choices=frozenset({'Deployed'}))}
    assert fields(change_of(replace(netbox.existing, limits=limits), VM)) == {'status': 'decommissioning'}
    allowing = {('virtualization.virtualmachine', 'vm_status'): ValueLimits(choices=frozenset({'Deleted'}))}
    assert len(fields(change_of(replace(netbox.existing, limits=allowing), VM))) == 2


def test_a_mark_whose_custom_field_was_removed_is_not_written():
    netbox = synced()
    pointer = netbox.object(*VM).pointer
    record = netbox.records['vm'][pointer]
    values = {name: value for name, value in record.values.items() if name != 'cf_vm_status'}
    without = [replace(netbox.existing.by_pointer[pointer], values=values)]
    existing = replace(netbox.existing, records={**netbox.existing.records, 'vm': without})
    assert fields(change_of(existing, VM)) == {'status': 'decommissioning'}


def test_a_retired_guest_is_left_until_its_grace_period_is_over_and_then_deleted():
    netbox = synced()
    netbox.sync(EMPTY, DELETING)
    assert change_of(netbox.existing, VM, settings=DELETING, now=LATE - timedelta(seconds=1)) is None
    assert change_of(netbox.existing, VM, settings=SETTINGS, now=LATE) is None
    change = change_of(netbox.existing, VM, settings=DELETING, now=LATE)
    assert (change.action, change.binding) == (Action.DELETE, None)
    assert change.reason == 'Missing from Proxmox VE since 2026-01-01.'


def test_a_retired_guest_that_the_sync_did_not_create_is_never_deleted():
    netbox = NetBox()
    netbox.sync(EMPTY)
    cluster = netbox.object('cluster', 'cluster').pointer
    netbox.add('vm', 'web', name='web', cluster=cluster, cf_vmid=100)
    netbox.sync(inventory(guest()))
    netbox.sync(EMPTY, DELETING)
    assert netbox.bindings[VM].missing_since == NOW
    assert change_of(netbox.existing, VM, settings=DELETING, now=LATE) is None


def test_a_retired_guest_that_a_user_changed_is_not_deleted():
    netbox = synced()
    netbox.sync(EMPTY, DELETING)
    netbox.edit('vm', netbox.object(*VM).pointer, status='active')
    change = change_of(netbox.existing, VM, settings=DELETING, now=LATE)
    assert change.action is Action.CONFLICT
    assert change.reason == (
        'Missing from Proxmox VE since 2026-01-01. The object is not deleted because it is no longer marked as retired '
        '(status and custom field). Delete it yourself, or mark it again.'
    )


def test_a_guest_whose_retirement_was_reverted_is_retired_again():
    netbox = synced()
    bound = netbox.bindings[VM]
    netbox.bindings[VM] = replace(bound, missing_since=NOW)
    change = change_of(netbox.existing, VM, now=LATE)
    assert change.action is Action.RETIRE
    assert fields(change) == {'status': 'decommissioning', 'cf_vm_status': 'Deleted'}
    assert change.reason == 'No longer present in Proxmox VE, and not marked as retired.'
    # A user has removed one of the marks: the guest is in use.
    netbox.bindings[VM] = replace(bound, missing_since=NOW, last={**bound.last, 'cf_vm_status': 'Deleted'})
    assert change_of(netbox.existing, VM, now=LATE) is None


def test_a_retired_guest_with_its_marks_is_not_retired_again():
    netbox = synced()
    bound = netbox.bindings[VM]
    netbox.bindings[VM] = replace(bound, missing_since=NOW)
    netbox.edit('vm', bound.pointer, status='decommissioning', cf_vm_status='Deleted')
    assert change_of(netbox.existing, VM) is None
    # The binding does not store the marks, so it is not certain that the sync wrote them.
    change = change_of(netbox.existing, VM, settings=DELETING, now=LATE)
    assert change.action is Action.CONFLICT


def test_a_retired_guest_is_not_deleted_while_objects_of_others_depend_on_it():
    netbox = synced()
    netbox.sync(EMPTY, DELETING)
    dependents = {netbox.object(*VM).pointer: ('a service', 'a contact')}
    change = change_of(replace(netbox.existing, dependents=dependents), VM, settings=DELETING, now=LATE)
    assert change.action is Action.CONFLICT
    assert change.reason == (
        'Missing from Proxmox VE since 2026-01-01. The object is not deleted because of dependent objects: a service, '
        'a contact. Move or delete them, or delete it yourself.'
    )
    assert (change.key, change.unit, change.label) == ('qemu/100', 'qemu/100', 'web')
    assert change.pointer == netbox.object(*VM).pointer


def test_a_device_is_never_deleted():
    netbox = synced(inventory(nodes=(node('pve1'), node('pve2'))), NODES)
    fewer, deleting = inventory(nodes=(node('pve1'),)), replace(NODES, missing_guests='delete')
    netbox.sync(fewer, deleting)
    assert netbox.bindings['device', 'node/pve2'].missing_since == NOW
    assert change_of(netbox.existing, ('device', 'node/pve2'), fewer, deleting, LATE) is None
    assert not may_be_deleted(netbox.bindings['device', 'node/pve2'], deleting)


def test_only_objects_that_may_be_deleted_are_searched_for_dependents():
    netbox = synced()
    root, address = netbox.bindings[VM], netbox.bindings[ADDRESS]
    assert not may_be_deleted(root, DELETING)
    missing = replace(root, missing_since=NOW)
    assert may_be_deleted(missing, DELETING)
    assert not may_be_deleted(missing, SETTINGS)
    assert not may_be_deleted(replace(missing, created_by_sync=False), DELETING)
    assert may_be_deleted(address, SETTINGS)
    assert may_be_deleted(address, replace(SETTINGS, missing_addresses='unassign'))
    assert not may_be_deleted(address, replace(SETTINGS, missing_addresses='leave'))
    assert may_be_deleted(netbox.bindings['interface', 'qemu/100/net0'], replace(SETTINGS, missing_addresses='leave'))
    assert not may_be_deleted(netbox.bindings['cluster', 'cluster'], DELETING)


# Parts are deleted or released.


def removal_of(netbox: NetBox, settings=SETTINGS, existing: Existing | None = None):
    """The change for the address of a guest whose only NIC was removed."""
    bare = inventory(guest(config=config(nics=()), addresses={}))
    return change_of(existing or netbox.existing, ADDRESS, bare, settings)


def test_an_address_that_is_missing_is_deleted_released_or_left():
    netbox = synced()
    change = removal_of(netbox)
    assert (change.action, change.binding, change.reason) == (Action.DELETE, None, 'No longer present in Proxmox VE.')
    change = removal_of(netbox, replace(SETTINGS, missing_addresses='unassign'))
    assert (change.action, change.binding, fields(change)) == (Action.RELEASE, None, {'assigned_object': None})
    assert change.reason == (
        'No longer present in Proxmox VE; this endpoint unassigns missing addresses, so the object is retained and no '
        'longer managed.'
    )
    assert removal_of(netbox, replace(SETTINGS, missing_addresses='leave')) is None


def test_an_address_that_the_sync_did_not_create_is_released():
    netbox = synced()
    netbox.bindings[ADDRESS] = replace(netbox.bindings[ADDRESS], created_by_sync=False)
    change = removal_of(netbox)
    assert (change.action, fields(change)) == (Action.RELEASE, {'assigned_object': None})
    assert change.reason == (
        'No longer present in Proxmox VE; it was not created by this sync, so the object is retained and no longer '
        'managed.'
    )


def test_an_address_on_which_objects_depend_is_released():
    netbox = synced()
    dependents = {netbox.object(*ADDRESS).pointer: ('a NAT address', 'a link')}
    change = removal_of(netbox, existing=replace(netbox.existing, dependents=dependents))
    assert (change.action, fields(change)) == (Action.RELEASE, {'assigned_object': None})
    assert change.reason == (
        'No longer present in Proxmox VE; other objects depend on it: a NAT address, a link, so the object is retained '
        'and no longer managed.'
    )


def test_a_disk_on_which_objects_depend_is_a_conflict():
    with_disk = guest(config=config(disks=(disk(),)))
    netbox = synced(inventory(with_disk))
    identity = ('disk', 'qemu/100/scsi0')
    existing = replace(netbox.existing, dependents={netbox.object(*identity).pointer: ('a tag',)})
    change = change_of(existing, identity, inventory(guest(config=config(disks=()))))
    assert change.action is Action.CONFLICT
    assert change_of(netbox.existing, identity, inventory(guest(config=config(disks=())))).action is Action.DELETE


def test_an_address_that_a_user_assigned_to_something_else_is_released_unchanged():
    netbox = synced()
    netbox.edit('ip', netbox.object(*ADDRESS).pointer, assigned_object=Pointer('dcim.interface', 77, 'eth0'))
    for settings in (SETTINGS, replace(SETTINGS, missing_addresses='leave')):
        change = removal_of(netbox, settings)
        assert (change.action, change.binding, fields(change)) == (Action.RELEASE, None, {})
        assert change.reason == (
            'No longer present in Proxmox VE. The object was reassigned in NetBox, so it is no longer managed.'
        )


def test_an_address_that_a_user_unassigned_is_deleted():
    netbox = synced()
    netbox.edit('ip', netbox.object(*ADDRESS).pointer, assigned_object=None)
    assert removal_of(netbox).action is Action.DELETE


def test_an_address_that_a_user_chose_as_primary_is_retained():
    netbox = synced()
    vm, address = netbox.object(*VM).pointer, netbox.object(*ADDRESS).pointer
    netbox.bindings[VM] = replace(netbox.bindings[VM], last={**netbox.bindings[VM].last, 'primary_ip4': None})
    change = removal_of(netbox)
    assert change.action is Action.CONFLICT
    assert change.reason == (
        'No longer present in Proxmox VE, but a user chose the address as the primary IPv4 address of qemu/100, so it '
        'is left unchanged. Choose another one there, or delete it.'
    )
    # Where Proxmox VE decides, it is no choice.
    facts = replace(SETTINGS, field_policy={'vm.primary_ip4': 'fact'})
    assert removal_of(netbox, facts).action is Action.DELETE
    # Nor is another address, or one of a machine that the endpoint does not manage.
    netbox.edit('vm', vm, primary_ip4=Pointer(address.model, 999))
    assert removal_of(netbox).action is Action.DELETE


def test_a_primary_address_of_a_machine_of_nobody_is_deleted():
    netbox = synced()
    cluster = netbox.object('cluster', 'cluster').pointer
    address = netbox.object(*ADDRESS).pointer
    other = netbox.add('vm', 'other', name='other', cluster=cluster, primary_ip4=address)
    interface = netbox.add('interface', 'eth0', virtual_machine=other, name='eth0')
    netbox.edit('ip', address, assigned_object=interface)
    netbox.bindings[ADDRESS] = replace(
        netbox.bindings[ADDRESS], last={**netbox.bindings[ADDRESS].last, 'assigned_object': interface}
    )
    assert removal_of(netbox, replace(SETTINGS, missing_address_reads=1)).action is Action.DELETE


def test_parts_are_removed_before_what_they_are_part_of():
    vlan = node_interface('eno1.5', InterfaceType.VLAN, parent='eno1', vlan_id=5)
    inv = inventory(
        nodes=(
            node(interfaces=(node_interface('eno1'), vlan), address=None),
            node('pve2', address=None),
        )
    )
    netbox = synced(inv, NODES)
    bare = inventory(nodes=(node(interfaces=(), address=None), node('pve2', address=None)))
    removed = [change.key for change in plan(bare, netbox.existing, NODES).changes if change.action.removes_object]
    assert removed == ['node/pve1/eno1.5', 'node/pve1/eno1']
    bare = inventory(guest(config=config(nics=()), addresses={}))
    removed = [change.kind for change in plan(bare, synced().existing).changes if change.action.removes_object]
    assert removed == ['ip', 'mac', 'interface']


def test_a_binding_whose_object_was_deleted_too_is_forgotten_with_its_parts():
    netbox = synced()
    del netbox.records['vm'][netbox.object(*VM).pointer]
    made = plan(EMPTY, netbox.existing)
    of_unit = {bound.pk for bound in netbox.bindings.values() if bound.unit == 'qemu/100'}
    assert set(made.forgotten) == of_unit
    assert len(made.forgotten) == len(of_unit)
    # A part that lost its object is forgotten alone.
    netbox = synced()
    del netbox.records['ip'][netbox.object(*ADDRESS).pointer]
    bare = inventory(guest(config=config(nics=()), addresses={}))
    assert plan(bare, netbox.existing).forgotten == (netbox.bindings[ADDRESS].pk,)
