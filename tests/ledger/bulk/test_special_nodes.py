"""Nodes with all that NetBox can hold of their networks, and nodes that NetBox refuses or completes itself."""

import pytest
from dcim.models import Device, DeviceType, Interface, InterfaceTemplate, Manufacturer, Site
from django.db import connection
from ipam.models import IPAddress
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.bulk import writer as bulk_writer
from netbox_proxsync.sync.mapping.device_types import PLACEHOLDER_TYPE
from tests.cases import make_endpoint as make_own_endpoint
from tests.scenarios.nodes.conftest import carry_out
from tests.scenarios.nodes.nodes import FACTS, hardware, network, physical
from tests.sync.builders import guest, inventory, node

from .snapshots import counted
from .test_same_result import INSERT_INTERFACE, INSERT_MACHINE, assert_same, prepared  # noqa: F401
from .test_special_guests import outcome

pytestmark = pytest.mark.django_db

INSERT_DEVICE = 'INSERT INTO "dcim_device"'


@pytest.fixture
def pve(standin):
    return standin(nodes=3, vms=4, containers=1, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint):
    site = Site.objects.create(name='Site', slug='site')
    return make_endpoint(pve, site=site, create_vlans=True, object_events='always')


def test_bonds_bridges_and_vlans(pve, endpoint, sync, monkeypatch):
    for name in ('pve1', 'pve2'):
        for port in ('eno7', 'eno8'):
            pve.set_interface(name, port, type='eth')
        pve.set_interface(name, 'bond9', type='bond', slaves='eno7 eno8', bond_mode='802.3ad')
        ports = {'bridge_ports': 'bond9', 'bridge_vlan_aware': 1, 'bridge_vids': '10 20 30'}
        pve.set_interface(name, 'vmbr9', type='bridge', **ports)
        pve.set_interface(name, 'bond9.77', type='vlan', **{'vlan-raw-device': 'bond9', 'vlan-id': '77'})
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_INTERFACE] < many[INSERT_INTERFACE]
    sync(endpoint)
    bond = Interface.objects.get(device__name='pve1', name='bond9')
    assert {each.name for each in bond.member_interfaces.all()} == {'eno7', 'eno8'}
    assert bond.bridge.name == 'vmbr9'
    assert [each.name for each in bond.child_interfaces.all()] == ['bond9.77']
    assert bond.bridge.tagged_vlans.count() == 3


def test_an_address_of_several_nodes(pve, endpoint, sync, monkeypatch):
    for name in ('pve1', 'pve2'):
        shared = {'address': '10.60.0.1', 'netmask': '24', 'cidr': '10.60.0.1/24', 'method': 'static'}
        pve.set_interface(name, 'vmbr9', type='bridge', **shared)
    together, _statements = outcome(sync, endpoint)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, 'why_unusable', lambda models: 'to compare')
        one_by_one, _statements = outcome(sync, endpoint)
    # Not with the same primary keys: those of the first attempt were used up.
    assert together == one_by_one
    sync(endpoint)
    addresses = IPAddress.objects.filter(address='10.60.0.1/24')
    assert [address.role for address in addresses] == ['anycast', 'anycast']


def test_hardware_and_permanent_mac_addresses(monkeypatch):
    endpoint = make_own_endpoint(site=Site.objects.create(name='Berlin', slug='berlin'), create_vlans=True)
    nodes = [
        node(
            f'pve{number}', address=f'10.0.0.{number}', facts=FACTS, interfaces=network(number),
            hardware=hardware(*(physical(f'eno{port}', f'3C:EC:EF:00:0{number}:0{port}', 10_000) for port in (1, 2))),
        )
        for number in (1, 2)
    ]  # fmt: skip
    found = inventory(guest(100, ips=('10.0.1.5/24',)), nodes=nodes)

    def carried_out(endpoint):
        return carry_out(endpoint, found)

    few, many = assert_same(carried_out, endpoint, monkeypatch)
    assert few[INSERT_DEVICE] == 1 < many[INSERT_DEVICE]
    carried_out(endpoint)
    with_mac = Interface.objects.exclude(primary_mac_address=None)
    assert {str(each.primary_mac_address) for each in with_mac} == {
        '3C:EC:EF:00:01:01', '3C:EC:EF:00:01:02', '3C:EC:EF:00:02:01', '3C:EC:EF:00:02:02',
    }  # fmt: skip
    assert not Device.objects.filter(primary_ip4=None).exists()


def test_a_device_type_with_components(pve, endpoint, sync, monkeypatch):
    maker = Manufacturer.objects.create(name=PLACEHOLDER_TYPE.within, slug='maker')
    device_type = DeviceType.objects.create(manufacturer=maker, model=PLACEHOLDER_TYPE.name, slug='type')
    InterfaceTemplate.objects.create(device_type=device_type, name='eno1', type='10gbase-t')
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_DEVICE] == many[INSERT_DEVICE] == 3
    # Their guests are created together nevertheless.
    assert few[INSERT_MACHINE] == 1 < many[INSERT_MACHINE]
    sync(endpoint)
    assert Interface.objects.filter(name='eno1', type='10gbase-t').count() == 3


def test_what_a_device_type_gives_to_its_devices(pve, endpoint, sync, monkeypatch):
    maker = Manufacturer.objects.create(name=PLACEHOLDER_TYPE.within, slug='maker')
    DeviceType.objects.create(
        manufacturer=maker, model=PLACEHOLDER_TYPE.name, slug='type', airflow='front-to-rear', cooling_method='liquid'
    )
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_DEVICE] == 1 < many[INSERT_DEVICE]
    sync(endpoint)
    assert {device.airflow for device in Device.objects.all()} == {'front-to-rear'}


def test_a_node_that_the_database_refuses_is_found(pve, endpoint, sync):
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION refuse() RETURNS trigger AS $$
            BEGIN
                IF NEW.name = 'pve2' THEN RAISE EXCEPTION 'no such name'; END IF;
                RETURN NEW;
            END $$ LANGUAGE plpgsql;
            CREATE TRIGGER refuse BEFORE INSERT ON dcim_device FOR EACH ROW EXECUTE FUNCTION refuse();
        """)
    with counted() as statements:
        run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    assert {device.name for device in Device.objects.all()} == {'pve1', 'pve3'}
    failed = run.changes.get(kind='device', outcome='failed')
    assert (failed.key, failed.message) == ('node/pve2', 'no such name')
    on_node = {guest.vmid for guest in pve.cluster.guests.values() if guest.node == 'pve2'}
    for machine in VirtualMachine.objects.all():
        assert (machine.device is None) == (machine.custom_field_data['vmid'] in on_node)
    # The guests of the other nodes are created together.
    assert 1 < statements[INSERT_MACHINE] < VirtualMachine.objects.count()
