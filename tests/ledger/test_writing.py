"""What a plan does to a real NetBox where objects stand in each other's way, case by case."""

from dataclasses import replace

import pytest
from dcim.models import Device, DeviceRole, DeviceType, Interface, Manufacturer, Platform, Site
from extras.models import Tag
from ipam.models import IPAddress
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.models import Binding
from netbox_proxsync.proxmox.inventory import GuestType, Unknown
from tests.rounds import Lab
from tests.sync.builders import addresses, config, guest, inventory, nic

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab():
    return Lab()


def vm(vmid: int) -> VirtualMachine:
    return Binding.objects.get(kind='vm', unit__endswith=f'/{vmid}').object


def container(*names: str, vmid=200, **values):
    """A container with a NIC of each of these names inside."""
    nics = tuple(
        nic(f'net{number}', f'BC:24:11:00:01:0{number}', name=name) for number, name in enumerate(names) if name
    )
    return guest(vmid, 'ct', (), type=GuestType.LXC, config=config(nics=nics), addresses={}, **values)


@pytest.mark.parametrize('notes', ['os: De\x00bian', 'os: De\ud800bian'])
def test_an_operating_system_that_postgresql_cannot_store_is_still_a_platform(lab, notes):
    lab.sync(inventory(guest(100, config=config(description=notes))))
    assert Platform.objects.get().name in ('Debian', 'De?bian')


def test_a_nic_that_serves_on_as_another_takes_its_name(lab):
    """The MAC address tells that net1 is what net0 was; then a new net0 comes."""
    moved = guest(100, ips=(), config=config(nics=(nic('net1', 'BC:24:11:00:00:64'),)), addresses={})
    lab.sync(inventory(guest(100)))
    lab.sync(inventory(moved))
    assert [interface.name for interface in vm(100).interfaces.all()] == ['net1']
    both = config(nics=(nic('net0', 'BC:24:11:00:00:99'), nic('net1', 'BC:24:11:00:00:64')))
    lab.sync(inventory(replace(moved, config=both)))
    assert {interface.name for interface in vm(100).interfaces.all()} == {'net0', 'net1'}


def test_an_address_that_moves_to_another_guest_survives_the_nic_that_had_it(lab):
    lab.sync(inventory(guest(100), guest(101, 'db', ())))
    address = IPAddress.objects.get()
    lab.edit(address, description='by hand')
    bare = guest(100, ips=(), config=config(nics=()), addresses={})
    lab.sync(inventory(bare, guest(101, 'db', ('10.0.0.5/24',))))
    address.refresh_from_db()
    assert (address.assigned_object.virtual_machine, address.description) == (vm(101), 'by hand')


def test_an_address_deleted_by_hand_is_primary_again_when_it_is_made_again(lab):
    lab.sync(inventory(guest(100)))
    lab.delete(IPAddress.objects.get())
    lab.sync(inventory(guest(100)))
    assert vm(100).primary_ip4 == IPAddress.objects.get()


@pytest.mark.parametrize('heir', [(), (guest(101, 'db'),)], ids=['nobody', 'another guest'])
