import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.parsers.guest_interfaces import (
    GuestAddress,
    GuestInterface,
    parse_agent_interfaces,
    parse_container_interfaces,
)
from netbox_proxsync.proxmox.properties import ParseError

from ..recordings import data
from ..strategies import json_values, texts

MAC = 'BC:24:11:00:01:00'


def agent_interface(**keys):
    return {'name': 'eth0', 'hardware-address': MAC.lower(), **keys}


def test_recorded_guest_agent():
    answer = data('pve-9.2.11-cluster', '/nodes/pve1/qemu/100/agent/network-get-interfaces')
    interfaces = {interface.name: interface for interface in parse_agent_interfaces(answer)}
    assert list(interfaces) == ['lo', 'p18', 'ens18', 'p19', 'ens19', 'docker0']
    assert interfaces['ens18'] == GuestInterface(
        'ens18',
        MAC,
        (
            GuestAddress('10.20.0.10', 24),
            GuestAddress('10.20.0.110', 32),
            GuestAddress('2001:db8:20::10', 64),
            GuestAddress('fe80::be24:11ff:fe00:100', 64),
        ),
    )
    assert interfaces['p19'].addresses == ()
    assert not any(interface.is_incomplete for interface in interfaces.values())


@pytest.mark.parametrize('wrap', [lambda found: found, lambda found: {'result': found}])
@pytest.mark.parametrize(
    ('element', 'expected'),
    [
        (agent_interface(), GuestInterface('eth0', MAC, ())),
        (agent_interface(**{'ip-addresses': None}), GuestInterface('eth0', MAC, ())),
        # Windows: a loopback without MAC, and prefixes that are none
        (
            {'name': 'Loopback', 'ip-addresses': [{'ip-address': '::1', 'prefix': -1}]},
            GuestInterface('Loopback', None, (GuestAddress('::1', None),)),
        ),
        # tunnels have hardware addresses of other forms
        ({'name': 'sit0', 'hardware-address': '0.0.0.0'}, GuestInterface('sit0', None, ())),
        (
            agent_interface(**{'ip-addresses': [{'ip-address': 'fe80::1%eth0', 'prefix': '64'}]}),
            GuestInterface('eth0', MAC, (GuestAddress('fe80::1%eth0', 64),)),
        ),
        (
            agent_interface(**{'ip-addresses': [{'ip-address': '2001:db8::5', 'prefix': 64, 'temporary': True}]}),
            GuestInterface('eth0', MAC, (GuestAddress('2001:db8::5', 64, temporary=True),)),
        ),
        # what cannot be read does not spoil the rest, but is not forgotten either
        (5, GuestInterface('', None, (), is_incomplete=True)),
        (agent_interface(**{'ip-addresses': 'none'}), GuestInterface('eth0', MAC, (), is_incomplete=True)),
        (
            agent_interface(**{'ip-addresses': [None, {'ip-address': 5}, {'ip-address': '10.0.0.1', 'prefix': 'x'}]}),
            GuestInterface('eth0', MAC, (GuestAddress('10.0.0.1', None),), is_incomplete=True),
        ),
        ({'name': 'eth0', 'hardware-address': [1]}, GuestInterface('eth0', None, (), is_incomplete=True)),
        ({'name': None, 'hardware-address': MAC}, GuestInterface('', MAC, ())),
    ],
)
def test_guest_agent(element, expected, wrap):
    other = GuestInterface('eth9', None, ())
    assert parse_agent_interfaces(wrap([element, {'name': 'eth9'}])) == (expected, other)


def test_refusal_of_the_guest_agent_is_reported_in_its_words():
    refusal = {'result': {'error': {'class': 'CommandDisabled', 'desc': 'The command has been disabled'}}}
    with pytest.raises(ParseError, match='The command has been disabled'):
        parse_agent_interfaces(refusal)


@pytest.mark.parametrize('raw', [None, {}, {'result': None}, 'x', 5, {'result': {}}])
def test_guest_agent_without_list_is_garbled(raw):
    with pytest.raises(ParseError):
        parse_agent_interfaces(raw)


def test_recorded_container():
    interfaces = parse_container_interfaces(data('pve-9.2.11-cluster', '/nodes/pve1/lxc/200/interfaces'))
    assert [interface.name for interface in interfaces] == ['lo', 'eth0']
    assert interfaces[1] == GuestInterface(
        'eth0',
        'BC:24:11:20:00:00',
        (
            GuestAddress('10.20.0.20', 24),
            GuestAddress('2001:db8:20::20', 64),
            GuestAddress('fe80::be24:11ff:fe20:0', 64),
        ),
    )


def test_container_of_an_older_version_has_one_address_of_each_family():
    old = [{'name': 'eth0', 'hwaddr': MAC.lower(), 'inet': '10.0.0.1/24', 'inet6': '2001:db8::1/64'}, {'name': 'lo'}]
    assert parse_container_interfaces(old) == (
        GuestInterface('eth0', MAC, (GuestAddress('10.0.0.1', 24), GuestAddress('2001:db8::1', 64))),
        GuestInterface('lo', None, ()),
    )


def test_stopped_container_has_no_interfaces():
    assert parse_container_interfaces(data('pve-9.2.11-cluster', '/nodes/pve1/lxc/201/interfaces')) == ()


@pytest.mark.parametrize('raw', [{}, 'x', 5, {'result': []}])
def test_container_without_list_is_garbled(raw):
    with pytest.raises(ParseError):
        parse_container_interfaces(raw)


def test_unreadable_part_of_a_container_is_marked():
    found = parse_container_interfaces([{'name': 'eth0', 'hwaddr': MAC, 'inet': 5, 'inet6': '2001:db8::1'}, None])
    assert found == (
        GuestInterface('eth0', MAC, (GuestAddress('2001:db8::1', None),), is_incomplete=True),
        GuestInterface('', None, (), is_incomplete=True),
    )


KEYS = st.sampled_from(
    ['name', 'hardware-address', 'hwaddr', 'inet', 'inet6', 'ip-addresses', 'ip-address', 'prefix', 'result', 'error']
)
ADDRESS = st.dictionaries(KEYS, st.sampled_from(['10.0.0.1', 24]) | json_values, max_size=3)
INTERFACE = st.dictionaries(KEYS | texts, json_values | st.lists(ADDRESS, max_size=3), max_size=5)


@pytest.mark.parametrize('parse', [parse_agent_interfaces, parse_container_interfaces])
@given(raw=json_values | INTERFACE | st.lists(INTERFACE | json_values, max_size=4))
def test_interfaces_or_garbled(parse, raw):
    try:
        interfaces = parse(raw)
    except ParseError:
        return
    assert all(address.prefix is None or address.prefix > 0 for each in interfaces for address in each.addresses)
