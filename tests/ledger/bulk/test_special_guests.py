"""Guests that NetBox refuses, or about which something is special, among others that are created together."""

from collections import Counter

import pytest
from dcim.models import Site
from django.db import connection
from extras.models import Tag
from ipam.models import VLAN, IPAddress, IPRange
from netaddr import IPNetwork
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.ledger.bulk import batch as bulk_batch
from netbox_proxsync.ledger.bulk import writer as bulk_writer
from netbox_proxsync.models import ProxmoxGuest

from .snapshots import counted, performed, undone
from .test_same_result import INSERT_MACHINE, assert_same, notify, prepared  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(vms=2, containers=1, running=1, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint, sync):
    """An endpoint that was synced before."""
    site = Site.objects.create(name='Site', slug='site')
    endpoint = make_endpoint(pve, site=site, create_vlans=True, object_events='always')
    assert sync(endpoint).status == 'completed'
    return endpoint


def create(pve, number: int, address: str = '', **values) -> int:
    """A new guest with an address."""
    vmid = pve.create(vmid=900 + number, running=True, **values)
    if pve.cluster.guest(vmid).type == 'qemu':
        pve.set_config(vmid, agent='1')
        pve.agent_running(vmid)
    pve.set_addresses(vmid, 'net0', address or f'10.50.0.{number}/24')
    return vmid


def outcome(sync, endpoint) -> tuple[set[tuple[str, str, str, str]], Counter[str]]:
    """The changes of a sync, with the machines of addresses, and its statements; all of it is undone."""
    with undone():
        with counted() as statements, performed():
            run = sync(endpoint)
        holders = {
            address.pk: address.assigned_object.parent_object.name
            for address in IPAddress.objects.all()
            if address.assigned_object
        }
        found = {
            (
                change.key,
                change.outcome,
                change.message,
                holders.get(change.object_id, '') if change.kind == 'ip' else '',
            )
            for change in run.changes.all()
        }
        return found, statements


def test_new_guests_among_changes_of_others(pve, endpoint, sync, monkeypatch):
    vmid, other, container = sorted(guest.vmid for guest in pve.cluster.guests.values())
    pve.rename(vmid, 'renamed')
    moved = '10.50.0.200/24'
    pve.set_addresses(other, 'net0', moved)
    assert sync(endpoint).status == 'completed'
    # Its address and its name go to new guests, in the same run.
    pve.set_addresses(other, 'net0', '10.50.0.201/24')
    create(pve, 1, moved)
    pve.rename(vmid, 'something-else')
    create(pve, 2, name='renamed')
    pve.delete(container)
    for number in range(3, 9):
        create(pve, number, type='lxc' if number % 2 else 'qemu')
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_MACHINE] < many[INSERT_MACHINE]


def test_addresses_that_netbox_refuses(pve, endpoint, sync, monkeypatch):
    start, end = IPNetwork('10.50.0.100/24'), IPNetwork('10.50.0.110/24')
    IPRange.objects.create(start_address=start, end_address=end, mark_populated=True)
    IPAddress.objects.create(address='10.50.0.50/16', role='vip')
    for number, address in enumerate(('10.50.0.105/24', '10.50.0.0/24', '10.50.0.255/24', '10.50.0.50/24'), start=1):
        create(pve, number, address)
    # Two new guests with the same address, and some without any difficulty.
    for number in (5, 6):
        create(pve, number, '10.50.0.60/24')
    for number in range(7, 13):
        create(pve, number)
    together, few = outcome(sync, endpoint)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, 'why_unusable', lambda models: 'to compare')
        one_by_one, many = outcome(sync, endpoint)
    # Not with the same primary keys: those of the first attempt were used up.
    assert together == one_by_one
    assert few[INSERT_MACHINE] < many[INSERT_MACHINE]
    messages = {key: message for key, result, message, _holder in together if result == 'failed'}
    # The comparison itself leaves out the addresses of a network and broadcast addresses.
    assert [*messages] == ['qemu/901/10.50.0.105']
    assert 'inside range' in messages['qemu/901/10.50.0.105']
    assert ('qemu/907/10.50.0.7', 'applied', '', 'new-907') in together


def test_names_that_are_taken(pve, endpoint, sync, monkeypatch):
    cluster = VirtualMachine.objects.first().cluster
    VirtualMachine.objects.create(name='Taken', cluster=cluster, custom_field_data={'vmid': 4711})
    create(pve, 1, name='taken')
    create(pve, 2, name='twice')
    create(pve, 3, name='Twice')
    create(pve, 4, name='größe')
    create(pve, 5, name='GRÖSSE')
    create(pve, 6)
    assert_same(sync, endpoint, monkeypatch)


def test_tags_and_vlans(pve, endpoint, sync, monkeypatch):
    Tag.objects.create(name='limited', slug='limited').object_types.set([])
    for number, tag in enumerate(('first', 'second', 'first'), start=1):
        vmid = create(pve, number)
        pve.set_tags(vmid, tag, 'limited')
    for number, options in enumerate(('tag=30', 'trunks=20;10;40', 'tag=10,trunks=20;30'), start=4):
        vmid = create(pve, number)
        net = pve.cluster.guest(vmid).config['net0']
        pve.set_config(vmid, net0=f'{net},{options}')
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_MACHINE] < many[INSERT_MACHINE]
    sync(endpoint)
    assert VLAN.objects.filter(vminterfaces_as_tagged__isnull=False).exists()


def test_guests_of_a_node_that_netbox_refuses(standin, make_endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = {'dcim.device': [{'name': {'regex': '^(?!pve2$)'}}]}
    pve = standin(nodes=2, vms=8, containers=2, seed=3)
    endpoint = make_endpoint(pve, site=Site.objects.create(name='Site', slug='site'))
    with counted() as statements:
        run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    on_node = {guest.vmid for guest in pve.cluster.guests.values() if guest.node == 'pve2'}
    without_device = VirtualMachine.objects.filter(device=None)
    assert {machine.custom_field_data['vmid'] for machine in without_device} == on_node != set()
    # The others are created together.
    assert statements[INSERT_MACHINE] == len(on_node) + 1 < VirtualMachine.objects.count()


def test_a_guest_that_the_database_refuses_is_found(pve, endpoint, sync):
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION refuse() RETURNS trigger AS $$
            BEGIN
                IF NEW.name = 'refused' THEN RAISE EXCEPTION 'no such name'; END IF;
                RETURN NEW;
            END $$ LANGUAGE plpgsql;
            CREATE TRIGGER refuse BEFORE INSERT ON virtualization_virtualmachine
            FOR EACH ROW EXECUTE FUNCTION refuse();
        """)
    before = VirtualMachine.objects.count()
    for number in range(1, 10):
        create(pve, number, name='refused' if number == 4 else None)
    run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    assert VirtualMachine.objects.count() == before + 8
    failed = run.changes.get(kind='vm', outcome='failed')
    assert (failed.key, failed.message) == ('qemu/904', 'no such name')
    assert ProxmoxGuest.objects.get(vmid=904).state == 'conflict'


def test_a_fault_of_the_bulk_path_costs_no_guest(pve, endpoint, sync, monkeypatch):
    def broken(*args):
        raise KeyError('a fault')

    monkeypatch.setattr(bulk_batch, 'sum_disks', broken)
    before = VirtualMachine.objects.count()
    for number in range(1, 4):
        create(pve, number)
    assert sync(endpoint).status == 'completed'
    assert VirtualMachine.objects.count() == before + 3
    assert VMInterface.objects.filter(virtual_machine__custom_field_data__vmid__gt=900).count() == 3
