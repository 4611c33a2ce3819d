"""
A guest that is missing from a quorate list while the node that it was on is offline is not retired: it waits.

Seen: the guest was retired at once. Also tried: a node that is lost early (guests listed as before) and long ago; a
guest that may have moved to the node between two reads; a guest whose node is not known; a node that is removed from
the cluster or renamed; a guest that moved away from the node; the parts of such a guest and who may have its addresses;
a guest that was retired before its node went offline, with deletion; a VM ID that another machine has now; a guest
without virtual machine; several nodes offline; a stored plan.
"""

import pytest
from ipam.models import IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding, ProxmoxGuest

from .synced import Stage

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def stage():
    def prepare(pve):
        for vmid, node in ((101, 'pve1'), (102, 'pve2'), (103, 'pve3'), (104, 'pve2')):
            pve.create(vmid, node=node, name=f'vm{vmid}', running=True, config={'agent': 1})
            pve.set_addresses(vmid, 'net0', f'10.1.0.{vmid}/24')

    return Stage({'nodes': 3, 'vms': 0, 'containers': 0}, {'change_limit': 100}, prepare)


@pytest.fixture
def synced(first_sync, endpoint):
    return endpoint


def machine(vmid: int) -> VirtualMachine:
    return VirtualMachine.objects.get(custom_field_data__vmid=vmid)


def guest(vmid: int) -> ProxmoxGuest:
    return ProxmoxGuest.objects.get(vmid=vmid)


def is_retired(vmid: int) -> bool:
    is_missing = Binding.objects.get(kind='vm', key=f'qemu/{vmid}').missing_since is not None
    assert is_missing == (machine(vmid).status == 'decommissioning')
    return is_missing


def notices(run) -> list[str]:
    return [message['message'] for message in run.messages if 'not listed by Proxmox VE' in message['message']]


@pytest.mark.parametrize('phase', ['stale', 'unknown'])
def test_a_guest_of_an_offline_node_waits_until_the_node_is_online(phase, pve, synced, sync):
    pve.node_offline('pve2', phase)
    pve.delete(102)
    run = sync(synced)
    assert not run.changes.filter(unit='qemu/102').exists()
    assert not is_retired(102)
    assert guest(102).state == 'unknown'
    assert 'was on node pve2, which is offline' in guest(102).reason
    (text,) = notices(run)
    assert text == 'qemu/102 is not listed by Proxmox VE and may be on the offline node pve2. It is left unchanged.'
    again = sync(synced)
    assert not again.changes.exists()
    assert not is_retired(102)
    pve.node_online('pve2')
    run = sync(synced)
    assert is_retired(102)
    assert guest(102).state == 'missing'
    assert notices(run) == []


def test_its_parts_and_addresses_wait_too(pve, synced, sync):
    pve.node_offline('pve2')
    pve.delete(102)
    pve.set_addresses(101, 'net0', '10.1.0.101/24', '10.1.0.102/24')
    sync(synced)
    held = machine(102)
    assert VMInterface.objects.filter(virtual_machine=held).count() == 1
    assert VirtualDisk.objects.filter(virtual_machine=held).count() == 1
    assert IPAddress.objects.get(address='10.1.0.102/24').assigned_object.virtual_machine == held
    assert held.primary_ip4.address.ip == IPAddress.objects.get(address='10.1.0.102/24').address.ip


def test_a_guest_that_may_have_moved_to_the_node_waits(pve, synced, sync):
    pve.migrate(101, 'pve2')
    pve.node_offline('pve2')
    pve.delete(101)
    sync(synced)
    sync(synced)
    assert not is_retired(101)
    assert 'may be on node pve2' in guest(101).reason
    pve.node_online('pve2')
    sync(synced)
    assert is_retired(101)


def test_a_guest_that_was_seen_elsewhere_since_does_not_wait(pve, synced, sync):
    pve.node_offline('pve2')
    sync(synced)
    pve.delete(103)
    run = sync(synced)
    assert is_retired(103)
    assert notices(run) == []


def test_a_guest_of_a_node_that_was_never_online_does_not_keep_others(pve, endpoint, sync):
    pve.node_offline('pve2')
    sync(endpoint)
    pve.delete(101)
    sync(endpoint)
    assert is_retired(101)


def test_a_guest_that_moved_away_loses_its_parts(pve, synced, sync):
    pve.migrate(102, 'pve1')
    pve.add_nic(102)
    sync(synced)
    pve.node_offline('pve2')
    pve.remove_nic(102, 'net1')
    sync(synced)
    assert VMInterface.objects.filter(virtual_machine=machine(102)).count() == 1


@pytest.mark.parametrize('how', ['removed', 'renamed'])
def test_a_node_that_left_the_cluster_holds_nothing_back(how, pve, synced, sync):
    pve.node_offline('pve2')
    pve.delete(102)
    sync(synced)
    assert not is_retired(102)
    node = pve.cluster.nodes.pop('pve2')
    pve.cluster.guests.pop('qemu/104')
    if how == 'renamed':
        node.name, node.offline = 'pve2b', None
        node.row = node.row | {'node': 'pve2b', 'id': 'node/pve2b'}
        pve.cluster.nodes['pve2b'] = node
    pve.cluster.changed()
    sync(synced)
    assert is_retired(102)
    assert is_retired(104)


@pytest.mark.parametrize('how', ['blank', 'no row'])
def test_a_guest_whose_node_is_not_known_waits_for_every_node(how, pve, synced, sync):
    pve.node_offline('pve2')
    sync(synced)
    rows = ProxmoxGuest.objects.filter(vmid=101)
    rows.update(node='') if how == 'blank' else rows.delete()
    pve.delete(101)
    sync(synced)
    assert not is_retired(101)
    pve.node_online('pve2')
    sync(synced)
    assert is_retired(101)


def test_a_retired_guest_is_not_deleted_while_its_node_is_offline(pve, synced, sync):
    pve.delete(102)
    sync(synced)
    assert is_retired(102)
    assert guest(102).state == 'missing'
    synced.missing_guests, synced.grace_days = 'delete', 0
    synced.save()
    pve.node_offline('pve2')
    run = sync(synced)
    assert is_retired(102)
    assert guest(102).state == 'missing'
    assert notices(run) == []
    pve.node_online('pve2')
    sync(synced)
    assert not VirtualMachine.objects.filter(custom_field_data__vmid=102).exists()


def test_a_machine_that_was_replaced_does_not_hold_back_the_new_one(pve, synced, sync):
    pve.node_offline('pve2')
    pve.reuse(102, node='pve1', name='another', running=True)
    sync(synced)
    assert set(VirtualMachine.objects.filter(name__in=['another', 'vm102']).values_list('name', 'status')) >= {
        ('another', 'active')
    }


def test_a_guest_without_virtual_machine_remains_in_the_list(pve, synced, sync):
    synced.exclude_guests = ['vm102']
    synced.save()
    Binding.objects.filter(unit='qemu/102').delete()
    VirtualMachine.objects.filter(name='vm102').delete()
    sync(synced)
    pve.node_offline('pve2')
    pve.delete(102)
    sync(synced)
    assert guest(102).state == 'unknown'
    pve.node_online('pve2')
    sync(synced)
    assert not ProxmoxGuest.objects.filter(vmid=102).exists()


def test_several_guests_of_several_nodes_are_reported_once_for_each_node(pve, synced, sync):
    pve.node_offline('pve2')
    pve.node_offline('pve3')
    for vmid in (102, 103, 104):
        pve.delete(vmid)
    found = notices(sync(synced))
    assert len(found) == 2
    assert any(text.startswith('2 guests (qemu/102, qemu/104) are not listed') for text in found)
    assert any(text.startswith('qemu/103 is not listed') for text in found)
    assert not any(map(is_retired, (102, 103, 104)))


def test_a_stored_preview_retires_nothing_that_waits(pve, synced, sync):
    pve.node_offline('pve2')
    pve.delete(102)
    preview = sync(synced, mode='preview')
    assert not preview.changes.filter(unit='qemu/102').exists()
