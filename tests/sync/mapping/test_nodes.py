"""Which nodes and which of their addresses are synced."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.proxmox.inventory import AddressOrigin, Unreadable
from netbox_proxsync.sync.mapping.nodes import (
    addresses_are_read,
    addresses_of_node,
    management_address,
    management_in_doubt,
    nodes_of,
    nodes_read,
)
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import SETTINGS, UNREAD, inventory, node, node_interface

SYNCED = replace(SETTINGS, sync_nodes=True, site=Pointer('dcim.site', 1, 'Berlin'))
BRIDGE = InterfaceType.BRIDGE


def port(name='eno1', kind=InterfaceType.ETH, *texts, **values):
    return node_interface(name, kind, addresses=tuple(map(ip_interface, texts)), **values)


def found(*interfaces, address='10.0.0.1'):
    one = node(address=address, interfaces=interfaces)
    return [(each.interface.name, str(each.address.ip), each.origin) for each in addresses_of_node(one)]


def test_nodes_are_synced_with_a_site_only():
    inv = inventory(nodes=(node(), node('pve2', interfaces=())))
    assert [one.name for one in nodes_of(inv, SYNCED)] == ['pve1', 'pve2']
    assert [one.name for one in nodes_read(inv, SYNCED)] == ['pve2']
    for settings in (SETTINGS, replace(SYNCED, site=None), replace(SYNCED, sync_nodes=False)):
        assert nodes_of(inv, settings) == ()


def test_each_usable_address_is_listed_once():
    texts = ('10.0.0.1/24', '127.0.0.1/8', 'fe80::1/64')
    assert found(port('eno1', InterfaceType.ETH, *texts), port('eno2', InterfaceType.ETH, '10.0.0.1/24')) == [
        ('eno1', '10.0.0.1', AddressOrigin.STATIC)
    ]
    assert list(addresses_of_node(node(interfaces=UNREAD))) == []


LEASED, ADVERTISED = AddressOrigin.LEASED, AddressOrigin.AUTOCONFIGURED


@pytest.mark.parametrize(
    ('interfaces', 'address', 'expected'),
    [
        ((port(gateway4='10.0.0.254'), port('b', BRIDGE)), '10.0.0.1', ('eno1', LEASED)),
        ((port(method4='dhcp'), port('b', BRIDGE)), '10.0.0.1', ('eno1', LEASED)),
        ((port(method4='dhcp'), port('b', BRIDGE, method4='dhcp')), '10.0.0.1', ('b', LEASED)),
        ((port(), port('b', BRIDGE)), '10.0.0.1', ('b', LEASED)),
        ((port(method6='auto'),), '2001:db8::1', ('eno1', ADVERTISED)),
        ((port(method6='dhcp'),), '2001:db8::1', ('eno1', LEASED)),
        ((port('b', BRIDGE), port('c', BRIDGE)), '10.0.0.1', None),
        ((port('b', BRIDGE), port('c', BRIDGE, '10.0.9.9/24')), '10.0.0.1', None),
        ((port(gateway4='10.0.0.254', addresses_unreadable=Unreadable('Garbled.')),), '10.0.0.1', None),
        ((port(gateway4='10.0.0.254'),), 'fe80::1', None),
        ((port(gateway4='10.0.0.254'),), None, None),
        # An interface of which the deciding value could not be read may be the one.
        ((port(gateway4=UNREAD), port('b', BRIDGE, method4='dhcp')), '10.0.0.1', None),
        ((port(method4=UNREAD), port('b', BRIDGE, method4='dhcp')), '10.0.0.1', None),
        ((port(kind=UNREAD), port('b', BRIDGE)), '10.0.0.1', None),
        ((port(method4='dhcp', kind=UNREAD), port('b', BRIDGE, method4='dhcp')), '10.0.0.1', None),
        # Values that decide nothing may be unreadable.
        ((port(gateway4='10.0.0.254', method4=UNREAD), port('b', UNREAD)), '10.0.0.1', ('eno1', LEASED)),
        (
            (port(gateway4='10.0.0.254'), port('b', BRIDGE, '10.0.9.9/24', gateway4=UNREAD)),
            '10.0.0.1',
            ('eno1', LEASED),
        ),
        ((port(gateway4='10.0.0.254', gateway6=UNREAD),), '10.0.0.1', ('eno1', LEASED)),
    ],
)
def test_the_management_address_is_on_the_interface_that_asks_for_it(interfaces, address, expected):
    addresses = [entry for entry in found(*interfaces, address=address) if entry[1] == address]
    assert addresses == ([(expected[0], address, expected[1])] if expected else [])


def test_a_management_address_on_no_certain_interface_is_in_doubt():
    assert management_in_doubt(node(interfaces=(port('b', BRIDGE), port('c', BRIDGE))))
    assert not management_in_doubt(node(interfaces=(port('b', BRIDGE),)))
    assert not management_in_doubt(node(interfaces=(port('b', BRIDGE, '10.0.0.1/24'), port('c', BRIDGE))))
    assert not management_in_doubt(node(interfaces=UNREAD))
    assert not management_in_doubt(node(address=None, interfaces=()))
    unread = port('b', BRIDGE, addresses_unreadable=Unreadable('Garbled.'))
    assert not management_in_doubt(node(interfaces=(unread, port('c', BRIDGE))))
    assert management_address(node(address=UNREAD)) is None


def test_all_addresses_are_read_unless_one_may_be_missing():
    static = port('b', BRIDGE, '10.0.0.1/24', method4='static', method6='manual')
    leasing = replace(static, addresses=(), method4='dhcp')
    assert addresses_are_read(node(interfaces=(static,)))
    assert addresses_are_read(node(interfaces=(leasing,)))
    assert addresses_are_read(node(address=None, interfaces=(static,)))
    # The cluster may use an address that no interface states.
    for interface in (static, leasing, replace(static, method6=UNREAD), port('b', BRIDGE)):
        assert not addresses_are_read(node(address=UNREAD, interfaces=(interface,)))
    assert not addresses_are_read(node(interfaces=UNREAD))
    assert not addresses_are_read(node(interfaces=(replace(static, addresses_unreadable=Unreadable('Garbled.')),)))
    assert not addresses_are_read(node(interfaces=(port('b', BRIDGE), port('c', BRIDGE))))
