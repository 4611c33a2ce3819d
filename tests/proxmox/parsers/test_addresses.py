from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import AddressOrigin, GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.address_filters import AddressFilters
from netbox_proxsync.proxmox.parsers.addresses import guest_only_interfaces, nic_addresses
from netbox_proxsync.proxmox.parsers.config import parse_config
from netbox_proxsync.proxmox.parsers.guest_interfaces import (
    GuestAddress,
    GuestInterface,
    parse_agent_interfaces,
    parse_container_interfaces,
)

from ..recordings import data
from ..strategies import texts

QEMU, LXC = GuestType.QEMU, GuestType.LXC
MAC = 'BC:24:11:00:01:00'
MAC2 = 'BC:24:11:00:01:02'
DRIVE = {'ide2': 'local-lvm:vm-100-cloudinit,media=cdrom'}
VM = {'net0': f'virtio={MAC}', 'net2': f'virtio={MAC2}', **DRIVE}
CT = {'net0': f'name=eth0,hwaddr={MAC},ip=10.0.0.5/24,gw=10.0.0.1,ip6=auto'}
OFF = Unreadable('VM 100 is not running')


def interface(name, *addresses, mac=MAC, **keys):
    split = (address.split('/') for address in addresses)
    return GuestInterface(name, mac, tuple(GuestAddress(ip, int(p[0]) if p else None) for ip, *p in split), **keys)


def find(guest_type, raw, running, filters=None, key='net0'):
    return nic_addresses(guest_type, parse_config(guest_type, raw), running, filters)[key]


def reported(found):
    return [str(address.interface) for address in found.addresses]


def reasons(found):
    return {address.text: address.reason for address in found.ignored}


def test_recorded_virtual_machine():
    config = parse_config(QEMU, data('pve-9.2.11-cluster', '/nodes/pve1/qemu/100/config?current=1'))
    answer = data('pve-9.2.11-cluster', '/nodes/pve1/qemu/100/agent/network-get-interfaces')
    found = nic_addresses(QEMU, config, parse_agent_interfaces(answer))
    assert reported(found['net0']) == ['10.20.0.10/24', '10.20.0.110/32', '2001:db8:20::10/64']
    # There is no cloud-init drive, so that `ipconfig0` says nothing.
    assert {address.origin for address in found['net0'].addresses} == {'observed'}
    assert {address.guest_interface for address in found['net0'].addresses} == {'ens18'}
    assert (found['net0'].has_gateway4, found['net0'].has_gateway6) == (False, False)
    assert (found['net0'].running, found['net0'].guest_name) == (None, 'ens18')
    assert (reported(found['net1']), list(reasons(found['net1']))) == ([], ['169.254.7.7/16'])
    assert isinstance(found['net2'].running, Unreadable)


def test_recorded_container():
    config = parse_config(LXC, data('pve-8.4.21-solo', '/nodes/pveold8/lxc/200/config?current=1'))
    running = parse_container_interfaces(data('pve-8.4.21-solo', '/nodes/pveold8/lxc/200/interfaces'))
    found = nic_addresses(LXC, config, running)
    assert reported(found['net0']) == ['10.20.0.20/24', '2001:db8:20::20/64']
    assert {address.source for address in found['net0'].addresses} == {'container configuration'}
    assert found['net0'].running is None
    assert isinstance(found['net1'].running, Unreadable)


@pytest.mark.parametrize(
    ('address', 'word'),
    [
        ('127.0.0.1/8', 'loopback'),
        ('::1/128', 'loopback'),
        ('169.254.7.7/16', 'link-local'),
        ('fe80::1/64', 'link-local'),
        ('fe80::1%eth0/64', 'link-local'),
        ('2001:db8::1%eth0/64', 'zone ID'),
        ('224.0.0.1/4', 'multicast'),
        ('ff02::1/128', 'multicast'),
        ('0.0.0.0/8', 'unspecified'),
        ('::/64', 'unspecified'),
        ('::ffff:10.0.0.1/128', 'IPv4 address in IPv6'),
        ('255.255.255.255/32', 'broadcast'),
        ('10.0.0.0/24', 'the network address'),
        ('10.0.0.255/24', 'broadcast address of its network'),
        ('2001:db8::/64', 'the network address'),
        ('10.0.0.1.2', 'not an IP address'),
        ('', 'not an IP address'),
    ],
)
def test_unusable_address_is_ignored_with_the_reason(address, word):
    found = find(QEMU, VM, (interface('eth0', address),))
    assert found.addresses == ()
    assert [word in reason for reason in reasons(found).values()] == [True]
    assert found.running is None


@pytest.mark.parametrize(
    ('address', 'interface_', 'has_prefix'),
    [
        ('10.0.0.0/31', '10.0.0.0/31', True),
        ('10.0.0.1/31', '10.0.0.1/31', True),
        ('10.0.0.7/32', '10.0.0.7/32', True),
        ('2001:db8::/127', '2001:db8::/127', True),
        ('2001:db8::/128', '2001:db8::/128', True),
        ('2001:db8::ffff:ffff:ffff:ffff/64', '2001:db8::ffff:ffff:ffff:ffff/64', True),
        ('10.0.0.7', '10.0.0.7/32', False),
        ('10.0.0.7/0', '10.0.0.7/32', False),
        ('10.0.0.7/64', '10.0.0.7/32', False),
        ('2001:db8::7', '2001:db8::7/128', False),
    ],
)
def test_usable_address_and_prefix(address, interface_, has_prefix):
    (address,) = find(QEMU, VM, (interface('eth0', address),)).addresses
    assert (str(address.interface), address.has_prefix) == (interface_, has_prefix)


def test_all_interfaces_with_the_mac_count_and_the_nic_itself_comes_first():
    running = (
        interface('lo', '127.0.0.1/8', mac=None),
        interface('br0', '10.0.1.1/24'),
        interface('ens18.20', '10.0.20.1/24'),
        interface('bond0', '10.0.2.1/24'),
        interface('ens18', '10.0.0.1/24', '10.0.0.2/32'),
        interface('wg0', '10.9.0.1/24', mac=None),
        interface('ens20', '10.0.9.1/24', mac=MAC2),
    )
    found = find(QEMU, VM, running)
    assert reported(found) == ['10.0.0.1/24', '10.0.0.2/32', '10.0.1.1/24', '10.0.20.1/24', '10.0.2.1/24']
    assert found.guest_name == 'ens18'


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['vEthernet (Default Switch)', 'Ethernet 2'], 'Ethernet 2'),
        (['vlan20', 'vtnet0'], 'vtnet0'),
        (['eth0:1', 'eth0@if7', 'eth0'], 'eth0'),
        (['brcm0', 'br-lan'], 'brcm0'),
        (['br0', 'bond0'], 'br0'),
        (['eth1', 'eth0'], 'eth1'),
    ],
)
def test_interface_that_is_the_nic(names, expected):
    assert find(QEMU, VM, tuple(interface(name) for name in names)).guest_name == expected


def test_container_says_which_interface_is_the_nic():
    raw = {'net0': f'name=br0,hwaddr={MAC}'}
    assert find(LXC, raw, (interface('eth0'), interface('br0'))).guest_name == 'br0'


def test_excluded_interface_is_ignored_with_the_reason():
    found = find(QEMU, VM, (interface('ens18'), interface('br-lan', '10.0.0.1/24', 'fe80::1/64')))
    assert found.addresses == ()
    assert 'name' in reasons(found)['10.0.0.1/24']
    assert 'link-local' in reasons(found)['fe80::1/64']
    assert reported(find(QEMU, VM, (interface('br-lan', '10.0.0.1/24'),), AddressFilters(interfaces=()))) == [
        '10.0.0.1/24'
    ]


def test_excluded_network_is_ignored_even_if_configured():
    filters = AddressFilters(prefixes=(ip_network('10.0.0.0/8'), ip_network('2001:db8::/32')))
    running = (interface('eth0', '192.0.2.1/24', '10.1.1.1/24', '2001:db8::1/64'),)
    found = find(LXC, CT, running, filters)
    assert reported(found) == ['192.0.2.1/24']
    assert list(reasons(found)) == ['10.0.0.5/24', '10.1.1.1/24', '2001:db8::1/64']


def test_temporary_address_is_ignored():
    running = GuestInterface('eth0', MAC, (GuestAddress('2001:db8::5', 64, temporary=True),))
    found = find(QEMU, VM, (running,))
    assert (reported(found), list(reasons(found))) == ([], ['2001:db8::5/64'])


@pytest.mark.parametrize(
    ('wish', 'expected'),
    [
        ('ip=dhcp,ip6=auto', ('dhcp', 'slaac')),
        ('ip=dhcp,ip6=dhcp', ('dhcp', 'dhcp')),
        ('ip=10.9.9.9/24', ('observed', 'observed')),
        ('ip=10.0.0.5/24,ip6=2001:db8::5/64', ('static', 'static')),
    ],
)
def test_origin_follows_the_configuration(wish, expected):
    found = find(QEMU, VM | {'ipconfig0': wish}, (interface('eth0', '10.0.0.5/24', '2001:db8::5/64'),))
    assert tuple(address.origin for address in found.addresses) == expected


def test_cloud_init_is_a_wish_while_the_guest_can_be_asked():
    found = find(QEMU, VM | {'ipconfig0': 'ip=10.0.0.5/24,gw=10.0.0.1'}, (interface('eth0', '10.0.0.77/24'),))
    assert reported(found) == ['10.0.0.77/24']
    assert 'cloud-init' in reasons(found)['10.0.0.5/24']
    assert found.has_gateway4
    assert not found.has_gateway6


@pytest.mark.parametrize(
    'running', [OFF, (), (interface('eth0', mac=MAC2),), (interface('eth0', '10.0.0.77/24', is_incomplete=True),)]
)
def test_cloud_init_stands_in_for_a_guest_that_cannot_be_asked(running):
    found = find(QEMU, VM | {'ipconfig0': 'ip=10.0.0.5/24,ip6=2001:db8::5/64'}, running)
    assert reported(found) == ['10.0.0.5/24', '2001:db8::5/64']
    assert isinstance(found.running, Unreadable)


def test_cloud_init_says_nothing_where_its_network_data_is_replaced():
    raw = VM | {'ipconfig0': 'ip=10.0.0.5/24,gw=10.0.0.1', 'cicustom': 'network=local:snippets/n.yml'}
    found = find(QEMU, raw, OFF)
    assert (found.addresses, found.has_gateway4) == ((), False)


@pytest.mark.parametrize(
    ('guest_type', 'raw'),
    [
        (LXC, {'net0': f'name=eth0,bridge=vmbr0,hwaddr={MAC},ip=auto,ip6=auto'}),
        (QEMU, {'net0': f'virtio={MAC},bridge=vmbr0', 'ipconfig0': 'ip=auto,ip6=auto', **DRIVE}),
    ],
)
def test_only_ipv6_is_configured_by_slaac(guest_type, raw):
    found = find(guest_type, raw, (interface('eth0', '10.0.0.5/24', '2001:db8::5/64'),))
    assert [(str(address.interface), address.origin) for address in found.addresses] == [
        ('10.0.0.5/24', AddressOrigin.OBSERVED),
        ('2001:db8::5/64', AddressOrigin.AUTOCONFIGURED),
    ]


def test_cloud_init_belongs_to_the_nic_of_the_same_number():
    found = nic_addresses(QEMU, parse_config(QEMU, VM | {'ipconfig2': 'ip=10.0.0.5/24'}), OFF)
    assert (reported(found['net0']), reported(found['net2'])) == ([], ['10.0.0.5/24'])


def test_configuration_of_a_container_is_a_fact():
    found = find(LXC, CT, (interface('eth0', '10.0.0.77/24', '2001:db8::77/64'),))
    assert reported(found) == ['10.0.0.5/24', '10.0.0.77/24', '2001:db8::77/64']
    assert [address.origin for address in found.addresses] == [
        AddressOrigin.STATIC,
        AddressOrigin.OBSERVED,
        AddressOrigin.AUTOCONFIGURED,
    ]
    assert reported(find(LXC, CT, OFF)) == ['10.0.0.5/24']


@pytest.mark.parametrize(
    ('configured', 'running', 'expected', 'has_prefix'),
    [
        ('10.0.0.5/24', '10.0.0.5/16', '10.0.0.5/24', True),
        ('10.0.0.5', '10.0.0.5/16', '10.0.0.5/16', True),
        ('10.0.0.5', '10.0.0.5', '10.0.0.5/32', False),
    ],
)
@pytest.mark.parametrize('guest_type', GuestType)
def test_configured_prefix_wins(guest_type, configured, running, expected, has_prefix):
    raw = {QEMU: VM | {'ipconfig0': f'ip={configured}'}, LXC: {'net0': f'hwaddr={MAC},ip={configured}'}}[guest_type]
    (address,) = find(guest_type, raw, (interface('eth0', running),)).addresses
    assert (str(address.interface), address.has_prefix, address.origin) == (expected, has_prefix, 'static')
    assert address.guest_interface == 'eth0'


def test_same_address_twice_on_a_nic_is_one():
    found = find(QEMU, VM, (interface('eth0', '10.0.0.5/24', '10.0.0.5/24'), interface('eth0.1', '10.0.0.5/16')))
    assert reported(found) == ['10.0.0.5/24']


def test_address_that_two_nics_claim_belongs_to_the_first():
    running = (interface('eth1', '10.0.0.5/24', mac=MAC2), interface('eth0', '10.0.0.5/24'))
    found = nic_addresses(QEMU, parse_config(QEMU, VM), running)
    assert (reported(found['net0']), reported(found['net2'])) == (['10.0.0.5/24'], [])
    assert 'net0' in reasons(found['net2'])['10.0.0.5/24']


@pytest.mark.parametrize('key', ['net0', 'net1'])
def test_nics_that_share_a_mac_cannot_be_determined_apart(key):
    nics = {'net0': f'virtio={MAC},bridge=vmbr0', 'net1': f'virtio={MAC},bridge=vmbr1'}
    raw = {**nics, 'ipconfig0': 'ip=10.0.0.5/24', **DRIVE}
    found = find(QEMU, raw, (interface('eth0', '10.0.0.77/24'),), key=key)
    assert reported(found) == (['10.0.0.5/24'] if key == 'net0' else [])
    assert MAC in found.running.reason


def test_nic_without_mac_cannot_be_found_in_the_guest():
    found = find(QEMU, {'net0': 'virtio'}, (interface('eth0', '10.0.0.77/24', mac=None),))
    assert (found.addresses, type(found.running)) == ((), Unreadable)


@pytest.mark.parametrize(
    ('other', 'readable'),
    [
        (GuestInterface('', None, (), is_incomplete=True), False),  # might be an interface of the NIC
        (interface('eth0.1', is_incomplete=True), False),
        (interface('eth1', mac=MAC2, is_incomplete=True), True),
    ],
)
def test_nic_is_read_completely_only_if_all_of_its_interfaces_are(other, readable):
    found = find(QEMU, VM, (interface('eth0', '10.0.0.77/24'), other))
    assert (found.running is None) is readable
    assert reported(found) == (['10.0.0.77/24'] if readable else [])


def test_unreadable_static_address_is_ignored_with_the_reason():
    found = find(LXC, {'net0': f'hwaddr={MAC},ip=10.0.0.500/24,ip6=manual'}, OFF)
    assert (reported(found), list(reasons(found))) == ([], ['10.0.0.500/24'])


NICS = st.dictionaries(
    st.sampled_from(['net0', 'net1', 'net2']),
    st.sampled_from([f'virtio={MAC}', f'virtio={MAC2}', f'name=eth0,hwaddr={MAC},ip=10.0.0.5/24,ip6=auto', 'virtio']),
)
HOSTS = st.sampled_from(['10.0.0.5', '10.0.0.0', '2001:db8::1', 'fe80::1%eth0']) | st.ip_addresses().map(str) | texts
GUEST_ADDRESSES = st.builds(GuestAddress, HOSTS, st.none() | st.integers(-1, 200), st.booleans())
NAMES = st.sampled_from(['eth0', 'br-lan', 'eth0.20']) | texts
INTERFACES = st.builds(
    GuestInterface,
    NAMES,
    st.sampled_from([MAC, MAC2, None]),
    st.lists(GUEST_ADDRESSES, max_size=4).map(tuple),
    st.booleans(),
)
RUNNING = st.just(OFF) | st.lists(INTERFACES, max_size=4).map(tuple)


@pytest.mark.parametrize('guest_type', GuestType)
@given(
    nics=NICS, running=RUNNING, wish=st.sampled_from(['ip=dhcp', 'ip=10.0.0.5/24,ip6=2001:db8::1/64', 'ip=' + '9' * 9])
)
def test_addresses_of_any_guest(guest_type, nics, running, wish):
    found = nic_addresses(guest_type, parse_config(guest_type, nics | {'ipconfig0': wish}), running)
    assert found.keys() == nics.keys()
    hosts = [address.interface.ip for nic in found.values() for address in nic.addresses]
    assert len(hosts) == len(set(hosts))
    assert not any(host.is_link_local or host.is_loopback or host.is_multicast for host in hosts)
    for nic in found.values():
        assert nic.running is None or all(address.origin is AddressOrigin.STATIC for address in nic.addresses)
        assert all(address.reason for address in nic.ignored)


def test_a_cloud_init_drive_that_cannot_be_read_makes_the_configured_addresses_unknown():
    raw = {'net0': f'virtio={MAC}', 'ipconfig0': 'ip=10.0.0.5/24,gw=10.0.0.1', 'ide2': 'media=cdrom'}
    found = find(QEMU, raw, (interface('eth0', '10.0.0.77/24'),))
    assert isinstance(found.configured, Unreadable)
    assert (reported(found), found.has_gateway4) == (['10.0.0.77/24'], False)
    # Without `ipconfigN`, the drive does not matter.
    assert find(QEMU, {'net0': f'virtio={MAC}', 'ide2': 'media=cdrom'}, OFF).configured is None


class TestGuestOnlyInterfaces:
    def found(self, *running, raw=VM, filters=None):
        config = parse_config(QEMU, raw)
        return guest_only_interfaces(QEMU, config, running, nic_addresses(QEMU, config, running, filters), filters)

    def test_interfaces_that_match_no_nic(self):
        found = self.found(
            interface('eth0', '10.0.0.5/24'),
            interface('tun0', '10.8.0.1/24', 'fe80::1/64', mac='00:00:00:00:00:00'),
            interface('passed', '10.9.0.1/24', mac='BC:24:11:99:99:99'),
        )
        assert [(entry.name, entry.mac, reported(entry)) for entry in found] == [
            ('passed', 'BC:24:11:99:99:99', ['10.9.0.1/24']),
            ('tun0', None, ['10.8.0.1/24']),
        ]

    def test_local_addresses_alone_are_none(self):
        assert (
            self.found(interface('lo', '127.0.0.1/8', '::1/128', mac=None), interface('x', 'fe80::1/64', mac=None))
            == ()
        )

    def test_an_address_that_is_none_is_shown(self):
        (found,) = self.found(interface('x', 'nonsense', mac=None))
        assert (found.addresses, list(reasons(found))) == ((), ['nonsense'])

    def test_an_interface_that_cannot_be_read_may_be_any(self):
        assert isinstance(self.found(GuestInterface('', None, (), is_incomplete=True)), Unreadable)

    def test_the_limit_counts_here_too(self):
        running = [
            interface(f'x{number}', f'10.0.0.{number}/24', f'10.1.0.{number}/24', mac=None) for number in (1, 2, 3)
        ]
        found = self.found(*running, filters=AddressFilters(limit=2))
        assert [entry.name for entry in found] == ['x1', 'x2']
        assert self.found(
            interface('y', *(f'10.0.0.{n}/24' for n in range(1, 6)), mac=None), filters=AddressFilters(limit=2)
        )[0].addresses == tuple(self.found(interface('y', '10.0.0.1/24', '10.0.0.2/24', mac=None))[0].addresses)


class TestLimit:
    RAW = {'net0': f'name=eth0,hwaddr={MAC},ip=10.0.0.9/24', 'net2': f'name=eth1,hwaddr={MAC2}'}

    def found(self, running, limit):
        return nic_addresses(LXC, parse_config(LXC, self.RAW), running, AddressFilters(limit=limit))

    @pytest.mark.parametrize('reverse', [False, True])
    def test_configured_ones_first_then_those_of_all_nics_in_turn(self, reverse):
        order = -1 if reverse else 1
        first = [f'10.0.0.{number}/24' for number in range(1, 7)][::order]
        second = ['10.2.0.1/24', '2001:db8::1/64', '10.2.0.2/24'][::order]
        found = self.found((interface('eth0', *first), interface('eth1', *second, mac=MAC2)), 5)
        assert reported(found['net0']) == ['10.0.0.9/24', '10.0.0.1/24', '10.0.0.2/24']
        assert reported(found['net2']) == ['10.2.0.1/24', '10.2.0.2/24']
        assert set(map(str, found['net0'].excess)) == {f'10.0.0.{number}' for number in range(3, 7)}
        assert set(map(str, found['net2'].excess)) == {'2001:db8::1'}
        reason = 'The guest has more addresses than the address limit of the endpoint.'
        assert reasons(found['net0'])['4 more'] == reason

    def test_a_nic_within_the_limit_is_unchanged(self):
        running = (interface('eth0', '10.0.0.1/24', '10.0.0.2/24'), interface('eth1', mac=MAC2))
        found = self.found(running, 2)
        assert (found['net2'].addresses, found['net2'].excess, found['net2'].ignored) == ((), frozenset(), ())
        assert len(found['net0'].addresses) == 2

    def test_ignored_ones_are_counted_beyond_it(self):
        found = self.found((interface('eth0', *(f'169.254.0.{number}/16' for number in range(1, 8))),), 5)
        assert list(reasons(found['net0']))[-1] == '2 more'
        assert len(found['net0'].ignored) == 6
