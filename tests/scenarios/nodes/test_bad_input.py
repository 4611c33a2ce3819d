"""What of a cluster or of NetBox makes no sense: reported on the change that it concerns, through the real job."""

import re

import pytest
from core.models import ObjectChange
from dcim.models import Device, DeviceType, Interface, Manufacturer
from django.apps import apps
from django.db.models import ProtectedError
from ipam.models import VLAN, IPAddress, VLANGroup
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.jobs import SyncJob
from tests.scenarios.nodes.conftest import CHECKED
from tests.scenarios.nodes.counting import counted, queries_of_nothing
from tests.scenarios.nodes.test_nodes import other_device

pytestmark = pytest.mark.django_db

SMALL = {'vms': 4, 'containers': 2, 'running': 1, 'agent': 1, 'seed': 3}


@pytest.fixture
def pve(standin):
    return standin(nodes=3, **SMALL)


@pytest.fixture
def endpoint(pve, site, make_endpoint):
    return make_endpoint(pve, site=site, create_vlans=True)


@pytest.fixture
def settled(sync):
    """Syncs, holds NetBox to its own validation, and syncs again: that has nothing to do."""

    def run(endpoint):
        made = sync(endpoint)
        assert made.status in ('completed', 'completed_with_errors'), made.error
        for model in CHECKED:
            for instance in apps.get_model(model).objects.all():
                instance.full_clean()
        logged = ObjectChange.objects.count()
        again = sync(endpoint)
        # An object that was made tells only now what it lacks.
        assert told_of(made) <= told_of(again)
        assert {outcome for _key, outcome in told_of(again) - told_of(made)} <= {'skipped'}
        assert ObjectChange.objects.count() == logged
        return made

    return run


def told_of(run) -> set[tuple[str, str]]:
    return set(run.changes.exclude(outcome='applied').values_list('key', 'outcome'))


def left(run) -> dict[str, str]:
    """What was not applied, with the reason or what NetBox said."""
    return {change.key: change.message or change.reason for change in run.changes.exclude(outcome='applied')}


def qemu(pve, node: str | None = None) -> int:
    """A virtual machine (on a node)."""
    found = (guest for guest in pve.cluster.guests.values() if guest.type == 'qemu' and node in (None, guest.node))
    return min(guest.vmid for guest in found)


def bridges_of(node: str) -> set[str]:
    return set(Interface.objects.filter(device__name=node, type='bridge').values_list('name', flat=True))


def test_all_invalid_values_together(pve, endpoint, site, settled):
    switch = other_device('pve1', site)
    for name in ('a', 'b'):
        VLAN.objects.create(vid=40, name=f'in-{name}', group=VLANGroup.objects.create(name=name, slug=name, scope=site))
    vmid = qemu(pve)
    pve.set_config(vmid, net0='virtio=BC:24:11:00:AA:01,bridge=vmbr0,tag=40')
    pve.set_interface('pve2', 'eno2', mtu='100000')
    pve.set_interface('pve2', 'vmbr8', type='bridge', bridge_ports='vmbr9')
    pve.set_interface('pve2', 'vmbr9', type='bridge', bridge_ports='vmbr8 eno7')
    run = settled(endpoint)
    reported = left(run)
    assert 'another role' in reported.pop('node/pve1')
    assert {message['message'] for message in run.messages if message['subject'] == 'node/pve2'} == {
        'NetBox accepts an MTU from 1 to 65536; that of eno2 is 100000.',
        'vmbr8 > vmbr9 > vmbr8 is a loop of interfaces (bridge), which NetBox does not show.',
        'vmbr9 names eno7, which does not exist on pve2.',
    }
    in_40 = {'node/pve2/bond0.40', 'node/pve3/bond0.40', f'qemu/{vmid}/net0'}
    assert in_40 <= set(reported)
    assert all('"in-a (40)", group "a"; "in-b (40)", group "b"' in text for text in reported.values())
    assert not switch.interfaces.exists()
    assert bridges_of('pve2') == {'vmbr0', 'vmbr1', 'vmbr8', 'vmbr9'}
    assert Interface.objects.get(device__name='pve2', name='bond0.40').parent.name == 'bond0'
    assert VirtualMachine.objects.count() == len(pve.cluster.guests)
    on_nodes = {vm.custom_field_data['vmid']: vm.device and vm.device.name for vm in VirtualMachine.objects.all()}
    assert on_nodes == {
        guest.vmid: None if guest.node == 'pve1' else guest.node for guest in pve.cluster.guests.values()
    }


def test_a_user_who_sorts_it_out_is_understood(pve, endpoint, site, settled):
    switch = other_device('pve1', site)
    settled(endpoint)
    switch.name = 'switch-1'
    switch.save()
    assert not left(settled(endpoint))
    made = Device.objects.get(name='pve1')
    assert set(VirtualMachine.objects.filter(device=made).values_list('custom_field_data__vmid', flat=True)) == {
        guest.vmid for guest in pve.cluster.guests.values() if guest.node == 'pve1'
    }


def test_names_that_netbox_refuses(pve, endpoint, settled, settings):
    settings.CUSTOM_VALIDATORS = {
        'dcim.device': [{'name': {'regex': '^(?!pve3).*$'}}],
        'dcim.interface': [{'name': {'regex': '^(?!bond0$).*$'}}],
    }
    reported = left(settled(endpoint))
    assert 'name' in reported['node/pve3']
    assert 'name' in reported['node/pve2/bond0']
    # What hangs on them says so, and nothing else is missing.
    assert set(Interface.objects.filter(device__name='pve2').values_list('name', flat=True)) == {
        'eno1', 'eno2', 'vmbr0', 'bond0.40', 'vmbr1', 'web', 'vx5000',
    }  # fmt: skip
    assert VirtualMachine.objects.count() == len(pve.cluster.guests)
    assert IPAddress.objects.filter(interface__device__name='pve2').exists()
    settings.CUSTOM_VALIDATORS = {}
    assert not left(settled(endpoint))
    assert Interface.objects.get(device__name='pve2', name='eno1').lag.name == 'bond0'


def test_an_mtu_of_a_guest_that_netbox_refuses(pve, endpoint, settled, settings):
    vmid = qemu(pve)
    pve.set_config(vmid, net0='virtio=BC:24:11:00:AA:01,bridge=vmbr0,mtu=65520')
    assert not left(settled(endpoint))
    settings.CUSTOM_VALIDATORS = {'virtualization.vminterface': [{'mtu': {'regex': '^(?!9216$)'}}]}
    pve.set_config(vmid, net0='virtio=BC:24:11:00:AA:01,bridge=vmbr0,mtu=9216')
    pve.rename(vmid, 'renamed')
    reported = left(settled(endpoint))
    assert list(reported) == [f'qemu/{vmid}/net0']
    assert 'mtu' in reported[f'qemu/{vmid}/net0']
    assert VirtualMachine.objects.filter(name='renamed').exists()


def device_type(model: str = 'R740') -> DeviceType:
    maker = Manufacturer.objects.create(name='Dell', slug='dell')
    return DeviceType.objects.create(manufacturer=maker, model=model, slug=model.lower())


def test_a_device_type_in_use_cannot_be_deleted_and_one_that_is_not_is_created_again(pve, endpoint, sync, settled):
    chosen = device_type()
    endpoint.node_device_type = chosen
    endpoint.save()
    with pytest.raises(ProtectedError):
        chosen.delete()
    settled(endpoint)
    endpoint.refresh_from_db()
    endpoint.node_device_type = None
    endpoint.save()
    settled(endpoint)
    assert set(Device.objects.values_list('device_type__model', flat=True)) == {'R740'}
    # A user gives the nodes another type and deletes the first one.
    other = DeviceType.objects.create(manufacturer=chosen.manufacturer, model='R750', slug='r750')
    for device in Device.objects.all():
        device.device_type = other
        device.save()
    chosen.delete()
    assert not left(settled(endpoint))
    assert set(Device.objects.values_list('device_type__model', flat=True)) == {'R750'}
    # And then all of it.
    VirtualMachine.objects.all().delete()
    Device.objects.all().delete()
    DeviceType.objects.all().delete()
    assert not left(settled(endpoint))
    assert set(Device.objects.values_list('device_type__model', flat=True)) == {'Proxmox VE node'}


def test_a_device_type_that_is_deleted_before_a_preview_is_applied(pve, endpoint, sync, settled):
    endpoint.node_device_type = device_type()
    endpoint.save()
    preview = sync(endpoint, mode='preview')
    type(endpoint).objects.update(node_device_type=None)
    DeviceType.objects.all().delete()
    run = SyncJob.enqueue_plan(preview, None, None, immediate=True)
    assert run.status == 'completed_with_errors', run.error
    reported = left(run)
    for node in ('pve1', 'pve2', 'pve3'):
        assert re.fullmatch(r'device_type: device type .* is not a valid choice\.', reported[f'node/{node}'])
    assert not Device.objects.exists()
    assert VirtualMachine.objects.count() == len(pve.cluster.guests)
    assert not left(settled(endpoint))
    assert Device.objects.count() == 3


def test_thirty_bridges_take_no_more_queries_than_two_and_a_guest_is_on_the_last(pve, endpoint, sync):
    vmid = qemu(pve, 'pve1')
    sync(endpoint)
    few = queries_of_nothing(sync, endpoint)
    for number in range(30):
        pve.set_interface('pve1', f'br{number}', type='bridge', bridge_ports='', mtu='1400')
    pve.set_config(vmid, net0='virtio=BC:24:11:00:AA:01,bridge=br29,mtu=1')
    run, first = counted(sync, endpoint)
    assert not left(run)
    assert first / run.changes.count() < 30
    assert len(bridges_of('pve1')) == 32
    guests = VMInterface.objects.get(virtual_machine__custom_field_data__vmid=vmid, name='net0')
    assert (guests.mtu, guests.custom_field_data['bridge']) == (1400, 'br29')
    assert queries_of_nothing(sync, endpoint) == few
