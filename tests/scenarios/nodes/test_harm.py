"""Harm to nodes that a sync must not do, each by the name of what happens; through the real job."""

import pytest
from dcim.models import (
    Cable,
    ConsolePort,
    Device,
    DeviceRole,
    DeviceType,
    Interface,
    InventoryItem,
    MACAddress,
    Manufacturer,
)
from extras.models import JournalEntry
from ipam.models import IPAddress

from tests.endpoints.test_ssh import PASSWORD, nodes_of, pins
from tests.proxmox.ssh.outputs import card, printed
from tests.proxmox.ssh.servers import LINKS, prints

pytestmark = pytest.mark.django_db

SMALL = {'nodes': 2, 'vms': 1, 'containers': 0, 'templates': 0, 'seed': 3}


@pytest.fixture
def pve(standin):
    pve = standin(**SMALL)
    pve.set_interface('pve1', 'enp3s0', type='eth')
    return pve


@pytest.fixture
def lab(pve, make_endpoint, site):
    # The limit has tests of its own; one interface of a few is a large share.
    return make_endpoint(pve, site=site, change_limit=100)


def device(name: str = 'pve1') -> Device:
    return Device.objects.get(name=name)


def port(name: str, of: str = 'pve1') -> Interface:
    return Interface.objects.get(name=name, device__name=of)


def cabled(interface: Interface) -> Cable:
    switch = Device.objects.create(
        name='switch',
        site=interface.device.site,
        role=DeviceRole.objects.create(name='Switch', slug='switch'),
        device_type=DeviceType.objects.create(
            manufacturer=Manufacturer.objects.create(name='Acme', slug='acme'), model='S', slug='s'
        ),
    )
    far = Interface.objects.create(device=switch, name='1', type=interface.type)
    cable = Cable(a_terminations=[interface], b_terminations=[far])
    cable.save()
    return cable


def leave(pve, node: str):
    """The node leaves the cluster, with all that ran on it."""
    with pve.cluster.lock:
        del pve.cluster.nodes[node]
        pve.cluster.guests = {key: guest for key, guest in pve.cluster.guests.items() if guest.node != node}
        pve.cluster.changed()


def test_an_interface_with_a_cable_is_retained_and_reported_when_its_nic_is_missing(pve, lab, sync):
    sync(lab)
    cable = cabled(port('enp3s0'))
    pve.remove_interface('pve1', 'enp3s0')
    for _again in range(2):
        run = sync(lab)
        (change,) = run.changes.all()
        assert (change.action, change.outcome, change.object) == ('conflict', 'skipped', port('enp3s0'))
        assert f'dependent objects: cable "{cable}"' in change.reason
        assert 'Move or delete them, or delete it yourself' in change.reason
    assert port('enp3s0').cable == cable
    cable.delete()
    sync(lab)
    assert not Interface.objects.filter(name='enp3s0').exists()


def test_interfaces_created_manually_are_left_unchanged(pve, lab, sync):
    sync(lab)
    Interface.objects.create(device=device(), name='iDRAC', type='1000base-t', mgmt_only=True, description='OOB')
    Interface.objects.create(device=device(), name='enp9s0', type='25gbase-x-sfp28')
    before = list(Interface.objects.filter(name__in=('iDRAC', 'enp9s0')).values())
    run = sync(lab)
    assert not run.changes.exists()
    pve.remove_interface('pve1', 'enp3s0')
    sync(lab)
    assert list(Interface.objects.filter(name__in=('iDRAC', 'enp9s0')).values()) == before


def test_a_port_that_a_user_marked_as_management_only_is_retained_when_its_nic_is_missing(pve, lab, sync):
    sync(lab)
    Interface.objects.filter(pk=port('enp3s0').pk).update(mgmt_only=True)
    pve.remove_interface('pve1', 'enp3s0')
    (change,) = sync(lab).changes.all()
    assert (change.action, '"mgmt_only" of interface' in change.reason) == ('conflict', True)
    assert port('enp3s0').mgmt_only


def test_an_adopted_port_is_released_and_not_deleted_when_its_nic_is_missing(pve, lab, sync):
    sync(lab)
    lab.bindings.filter(kind='node_interface', object_id=port('enp3s0').pk).update(created_by_sync=False)
    pve.remove_interface('pve1', 'enp3s0')
    (change,) = sync(lab).changes.all()
    assert (change.action, 'was not created by this sync' in change.reason) == ('release', True)
    assert port('enp3s0')


def test_a_nic_that_is_called_otherwise_after_an_upgrade_keeps_its_cable(pve, make_endpoint, site, sync):
    mac = '00:1B:21:AA:BB:CC'
    with nodes_of(pve) as nodes:
        endpoint = make_endpoint(
            pve, site=site, change_limit=100, ssh_user='netbox', ssh_port=nodes['pve1'].port, ssh_password=PASSWORD,
            ssh_host_keys=pins(nodes),
        )  # fmt: skip
        nodes['pve1'].answers[LINKS] = prints(printed(card(2, 'enp3s0', mac.lower())))
        run = sync(endpoint)
        before = port('enp3s0')
        assert str(before.primary_mac_address.mac_address) == mac, run.messages
        cable = cabled(before)
        pve.remove_interface('pve1', 'enp3s0')
        pve.set_interface('pve1', 'enp3s0np0', type='eth')
        nodes['pve1'].answers[LINKS] = prints(printed(card(2, 'enp3s0np0', mac.lower())))
        run = sync(endpoint)
        assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'reason', 'message'))
        after = port('enp3s0np0')
        assert (after.pk, after.cable) == (before.pk, cable)
        assert not Interface.objects.filter(name='enp3s0').exists()
        assert MACAddress.objects.filter(mac_address=mac).count() == 1
        assert not sync(endpoint).changes.exists()


def test_without_ssh_a_nic_of_another_name_is_another_one_and_the_cable_is_unchanged(pve, lab, sync):
    sync(lab)
    before = port('enp3s0')
    cable = cabled(before)
    pve.remove_interface('pve1', 'enp3s0')
    pve.set_interface('pve1', 'enp3s0np0', type='eth')
    run = sync(lab)
    assert run.changes.get(action='conflict').object == before
    assert port('enp3s0').cable == cable
    assert port('enp3s0np0').cable is None


def test_a_node_that_leaves_is_retired_with_all_that_users_put_on_it(pve, lab, sync):
    lab.missing_guests, lab.grace_days = 'delete', 0
    lab.save()
    sync(lab)
    node = device('pve2')
    ours = node.interfaces.count(), IPAddress.objects.filter(interface__device=node).count()
    Interface.objects.create(device=node, name='iDRAC', type='1000base-t', mgmt_only=True)
    ConsolePort.objects.create(device=node, name='COM1')
    InventoryItem.objects.create(device=node, name='CPU 1')
    JournalEntry.objects.create(assigned_object=node, comments='RMA 4711')
    leave(pve, 'pve2')
    for _run in range(3):
        assert sync(lab).status == 'completed'
    node.refresh_from_db()
    assert node.status == 'decommissioning'
    assert (node.interfaces.count(), IPAddress.objects.filter(interface__device=node).count()) == (ours[0] + 1, ours[1])
    assert (node.consoleports.count(), node.inventoryitems.count(), node.journal_entries.count()) == (1, 1, 1)
    assert ours[0]
