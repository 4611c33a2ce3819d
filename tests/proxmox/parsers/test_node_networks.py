"""The network of a node, with rows of real servers and with rows that no server should send."""

import contextlib
from dataclasses import fields
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import InterfaceType, NodeInterface, unreadable_values
from netbox_proxsync.proxmox.parsers.node_networks import UNDERSTOOD, parse_interfaces
from netbox_proxsync.proxmox.properties import ParseError
from netbox_proxsync.proxmox.readings import Unreadable, known

from ..recordings import NAMES, recording
from ..strategies import json_values, nearly

NETWORKS = [
    (name, path)
    for name in NAMES
    for path in recording(name)
    if path.startswith('/nodes/') and path.endswith('/network')
]
PLAIN = {
    'active': False,
    'mtu': None,
    'comments': '',
    'addresses': (),
    'gateway4': None,
    'gateway6': None,
    'members': (),
    'ports': (),
    'bridge': None,
    'vlan_aware': False,
    'vids': (),
    'vlan_id': None,
    'parent': None,
    'extra': {},
    'method4': None,
    'method6': None,
}


def interface(**row: object) -> NodeInterface:
    (found,) = parse_interfaces([{'iface': 'x0', 'type': 'eth'} | {key.replace('__', '-'): row[key] for key in row}])
    return found


def addresses(**row: object) -> list[str]:
    return [str(address) for address in interface(**row).addresses]


@pytest.mark.parametrize(
    ('row', 'expected'),
    [
        (
            {'iface': 'eno1', 'type': 'eth', 'active': '1', 'exists': 1, 'mtu': '9000', 'autostart': 1, 'priority': 3},
            {'type': InterfaceType.ETH, 'active': True, 'mtu': 9000},
        ),
        (
            {'iface': 'bond0', 'type': 'bond', 'slaves': 'eno1 eno2', 'bond_mode': '802.3ad', 'bond_miimon': '100'},
            {
                'type': InterfaceType.BOND,
                'members': ('eno1', 'eno2'),
                'extra': {'bond_miimon': '100'},
            },
        ),
        (
            {
                'iface': 'vmbr0',
                'type': 'bridge',
                'bridge_ports': 'eno1',
                'bridge_vlan_aware': 1,
                'active': 1,
                'bridge_vids': '2 4,100-200',
                'comments': 'management + guests\nsecond line\n',
                'method': 'static',
                'address': '10.77.0.11',
                'netmask': '24',
                'cidr': '10.77.0.11/24',
                'gateway': '10.77.0.1',
                'address6': '2001:db8::11',
                'netmask6': 64,
                'cidr6': '2001:db8::11/64',
                'gateway6': '2001:DB8::1',
            },
            {
                'type': InterfaceType.BRIDGE,
                'active': True,
                'comments': 'management + guests\nsecond line',
                'method4': 'static',
                'addresses': (ip_interface('10.77.0.11/24'), ip_interface('2001:db8::11/64')),
                'gateway4': '10.77.0.1',
                'gateway6': '2001:db8::1',
                'ports': ('eno1',),
                'vlan_aware': True,
                'vids': ((2, 2), (4, 4), (100, 200)),
            },
        ),
        (
            {'iface': 'vmbr9', 'type': 'bridge', 'bridge_ports': '', 'bridge_vids': '2-4094', 'exists': None},
            {'type': InterfaceType.BRIDGE},
        ),
        (
            {'iface': 'vlan50', 'type': 'vlan', 'vlan-id': '50', 'vlan-raw-device': 'bond0'},
            {'type': InterfaceType.VLAN, 'vlan_id': 50, 'parent': 'bond0'},
        ),
        ({'iface': 'eth0.5', 'type': 'vlan'}, {'type': InterfaceType.VLAN, 'vlan_id': 5, 'parent': 'eth0'}),
        ({'iface': 'vlan7', 'type': 'vlan'}, {'type': InterfaceType.VLAN, 'vlan_id': 7}),
        ({'iface': 'eth0.x', 'type': 'vlan'}, {'type': InterfaceType.VLAN, 'parent': 'eth0'}),
        ({'iface': 'vmbr0:1', 'type': 'alias'}, {'type': InterfaceType.ALIAS, 'parent': 'vmbr0'}),
        ({'iface': 'lo', 'type': 'loopback'}, {'type': InterfaceType.LOOPBACK}),
        ({'iface': 'wg0', 'type': 'unknown'}, {'type': InterfaceType.UNKNOWN}),
        (
            {'iface': 'vpp0', 'type': 'VPPBridge', 'vpp_x': [1]},
            {'type': InterfaceType.UNKNOWN, 'extra': {'vpp_x': '[1]'}},
        ),
        ({'iface': 'dummy_f1', 'type': 'fabric', 'active': '1'}, {'type': InterfaceType.FABRIC, 'active': True}),
        (
            {'iface': 'web', 'type': 'vnet', 'active': '1', 'vlanaware': 1, 'comments': 'Web', 'mtu': None},
            {'type': InterfaceType.VNET, 'active': True, 'vlan_aware': True, 'comments': 'Web'},
        ),
        (
            {'iface': 'vmbr2', 'type': 'OVSBridge', 'ovs_type': 'OVSBridge', 'ovs_ports': 'eno2 ovsport1 bondovs'},
            {'type': InterfaceType.OVS_BRIDGE, 'ports': ('eno2', 'ovsport1', 'bondovs'), 'vlan_aware': True},
        ),
        (
            {
                'iface': 'bondovs',
                'type': 'unknown',
                'ovs_type': 'OVSBond',
                'ovs_bonds': 'eno3 eno4',
                'ovs_bridge': 'vmbr2',
                'ovs_options': 'bond_mode=balance-slb tag=12',
            },
            {
                'type': InterfaceType.OVS_BOND,
                'members': ('eno3', 'eno4'),
                'bridge': 'vmbr2',
                'vlan_id': 12,
                'extra': {'ovs_options': 'bond_mode=balance-slb tag=12'},
            },
        ),
        (
            {
                'iface': 'ovsport1',
                'type': 'OVSIntPort',
                'ovs_type': 'OVSIntPort',
                'ovs_bridge': 'vmbr2',
                'ovs_tag': '60',
            },
            {'type': InterfaceType.OVS_INT_PORT, 'bridge': 'vmbr2', 'vlan_id': 60},
        ),
        (
            {'iface': 'eno9', 'type': 'eth', 'altnames': ['enp3s0', 'enx00']},
            {'type': InterfaceType.ETH},
        ),
    ],
    ids=lambda value: value.get('iface') if isinstance(value, dict) else None,
)
def test_rows_of_real_servers(row, expected):
    (found,) = parse_interfaces([row])
    raw_type = row['ovs_type'] if row['type'] == 'unknown' and 'ovs_type' in row else row['type']
    assert found == NodeInterface(**(PLAIN | {'name': row['iface'], 'raw_type': raw_type} | expected))


@pytest.mark.parametrize(
    ('row', 'expected'),
    [
        ({'cidr': '10.0.0.1/31'}, ['10.0.0.1/31']),
        ({'cidr': '10.0.0.0/31'}, ['10.0.0.0/31']),
        ({'cidr': '10.0.0.1/32', 'cidr6': '2001:db8::1/128'}, ['10.0.0.1/32', '2001:db8::1/128']),
        ({'cidr6': '2001:db8::/127'}, ['2001:db8::/127']),
        ({'address': '10.0.0.1', 'netmask': '255.255.240.0'}, ['10.0.0.1/20']),
        ({'address': '10.0.0.1', 'netmask': 20}, ['10.0.0.1/20']),
        ({'address': '10.0.0.1/20', 'netmask': '20'}, ['10.0.0.1/20']),
        ({'address': '10.0.0.1'}, ['10.0.0.1/32']),
        ({'address6': '2001:db8::1', 'netmask6': '64'}, ['2001:db8::1/64']),
        ({'method': 'dhcp', 'method6': 'auto'}, []),
        ({'method': 'dhcp', 'cidr': '10.0.0.1/24', 'method6': 'static', 'cidr6': '2001:db8::1/64'}, ['2001:db8::1/64']),
        ({'cidr': '', 'cidr6': None}, []),
        (
            {
                'cidr': '10.0.0.1/24',
                'options': [
                    *('address 10.0.0.2/24', '\tup ip addr add 10.0.1.1/24 dev $IFACE || true', 'address 10.0.0.1/24'),
                    *('post-up /sbin/ip -6 a add 2001:db8::5/64 dev x0', 'up ip addr add 10.9.9.9/24 dev other'),
                    *('post-up iptables -t nat -A POSTROUTING -s 10.0.0.0/24', 'up ip addr add $(x) dev x0', 5),
                ],
            },
            ['10.0.0.1/24', '10.0.0.2/24', '10.0.1.1/24', '2001:db8::5/64'],
        ),
    ],
)
def test_addresses(row, expected):
    assert addresses(**row) == expected


@pytest.mark.parametrize('row', [{'iface': None}, {'iface': ['x']}, {'iface': ''}], ids=str)
def test_a_row_without_name_spoils_the_list(row):
    with pytest.raises(ParseError):
        parse_interfaces([{'iface': 'eno1', 'type': 'eth'}, {'type': 'bridge'} | row])


@pytest.mark.parametrize(
    ('row', 'attributes'),
    [
        ({'cidr': 'x'}, 'addresses_unreadable'),
        ({'cidr': 5}, 'addresses_unreadable'),
        ({'cidr': '10.0.0.1/33'}, 'addresses_unreadable'),
        ({'address': '10.0.0.1', 'netmask': '255.0.255.0', 'cidr': None}, 'addresses_unreadable'),
        ({'cidr6': 'fe80::1%eth0/x'}, 'addresses_unreadable'),
        ({'options': ['address 10.0.0.2/33']}, 'addresses_unreadable'),
        ({'method': []}, 'addresses_unreadable method4'),
        ({'gateway': 'router'}, 'gateway4'),
        ({'gateway6': '2001:db8::g'}, 'gateway6'),
        ({'mtu': 'big'}, 'mtu'),
        ({'mtu': -1}, 'mtu'),
        ({'active': 'perhaps'}, 'active'),
        ({'slaves': {}}, 'members'),
        ({'bridge_ports': {}}, 'ports'),
        ({'ovs_bridge': []}, 'bridge'),
        ({'comments': ['x']}, 'comments'),
        ({'vlan-id': 4095}, 'vlan_id'),
        ({'vlan-id': 0}, 'vlan_id'),
        ({'ovs_tag': '4095'}, 'vlan_id'),
        ({'ovs_options': 'tag=9999'}, 'vlan_id'),
        ({'vlan-raw-device': {}}, 'parent'),
        ({'bridge_vlan_aware': 'x'}, 'vlan_aware'),
        ({'bridge_vids': '5-2'}, 'vids'),
        ({'bridge_vids': '2-5000'}, 'vids'),
        ({'bridge_vids': '2-4094 ten'}, 'vids'),
        ({'type': []}, 'type raw_type'),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_read_spoils_no_other(row, attributes):
    whole = {
        'iface': 'x0', 'type': 'bridge', 'bridge_vlan_aware': 1, 'bridge_vids': '2-20', 'cidr': '10.0.0.1/24',
        'cidr6': '2001:db8::1/64', 'mtu': '9000', 'active': 1, 'comments': 'c', 'gateway': '10.0.0.254',
        'gateway6': '2001:db8::ff', 'bridge_ports': 'eno1', 'options': ['address 10.9.0.1/24'],
    }  # fmt: skip
    other = {'iface': 'eno1', 'type': 'eth', 'mtu': 1500}
    good, _ = parse_interfaces([whole, other])[::-1]
    second, found = parse_interfaces([whole | row, other])
    assert second == parse_interfaces([other])[0]
    for attribute in fields(NodeInterface):
        value, usual = getattr(found, attribute.name), getattr(good, attribute.name)
        if attribute.name in attributes.split():
            assert isinstance(value, Unreadable), attribute.name
            assert value.reason.startswith(next(iter(row))) or 'cidr' in value.reason or 'tag' in value.reason
        elif attribute.name == 'addresses':
            assert set(map(str, value)) <= {*map(str, usual)}
            assert len(value) >= len(usual) - 1
        elif attribute.name not in ('extra', 'vlan_id'):
            assert value == usual, attribute.name
    assert unreadable_values(found)


@pytest.mark.parametrize('data', [None, {}, 'x', 5, [None], ['x'], [[]], [{'iface': 'a'}, {'iface': 'a'}]])
def test_invalid_lists_of_interfaces(data):
    with pytest.raises(ParseError):
        parse_interfaces(data)


def test_the_complaint_is_short():
    found = interface(mtu='x' * 10**6)
    assert found.mtu.reason.startswith('mtu: ')
    assert len(found.mtu.reason) < 200


def test_hostile_sizes():
    rows = [{'iface': f'vmbr{n}', 'type': 'bridge', 'bridge_ports': '', 'comments': '☃' * 10**4} for n in range(300)]
    rows.append({'iface': 'eno1', 'type': 'eth', 'comments': 'x' * 10 * 1024**2 + '\n', 'slaves': 'a ' * 10**5})
    found = {interface.name: interface for interface in parse_interfaces(rows)}
    assert len(found) == 301
    assert len(found['eno1'].comments) == 10 * 1024**2


@pytest.mark.parametrize(('name', 'path'), NETWORKS)
def test_recorded_networks(name, path):
    rows = {row['iface']: row for row in recording(name)[path]['body']['data']}
    found = {interface.name: interface for interface in parse_interfaces(list(rows.values()))}
    assert list(found) == sorted(rows)
    for interface in found.values():
        row = rows[interface.name]
        assert [str(address) for address in interface.addresses] == [
            row[key] for key in ('cidr', 'cidr6') if key in row
        ]
        assert interface.raw_type == (row['type'] if row['type'] != 'unknown' else row.get('ovs_type', 'unknown'))
        assert interface.ports == tuple((row.get('bridge_ports') or row.get('ovs_ports') or '').split())
        assert interface.vlan_aware is (row['type'] == 'OVSBridge' or bool(row.get('bridge_vlan_aware')))
        assert not set(interface.extra) & UNDERSTOOD


@given(json_values)
def test_any_answer_is_read_or_garbled(data):
    with contextlib.suppress(ParseError):
        assert isinstance(parse_interfaces(data), tuple)


@given(
    st.dictionaries(
        st.sampled_from([*sorted(UNDERSTOOD), 'options', 'ovs_options', 'new']),
        json_values | nearly('10.0.0.1/24', 'eno1 eno2', 'OVSBridge', 'bridge', 'vlan', 'up ip addr add ::1/64 dev x'),
        max_size=8,
    )
)
def test_any_row_is_read_or_garbled(row):
    try:
        (found,) = parse_interfaces([row])
    except ParseError:
        return
    assert found.name
    assert all(isinstance(value, str) for value in found.extra.values())
    assert not known(found.vids) or all(first <= last for first, last in found.vids)


def test_methods_and_gateways_by_ip_version():
    row = {
        'iface': 'vmbr0', 'type': 'bridge', 'method': 'static', 'method6': 'auto', 'gateway': '10.0.0.1',
        'gateway6': '2001:db8::1',
    }  # fmt: skip
    (found,) = parse_interfaces([row])
    assert [(found.method(version), found.gateway(version)) for version in (4, 6)] == [
        ('static', '10.0.0.1'),
        ('auto', '2001:db8::1'),
    ]
