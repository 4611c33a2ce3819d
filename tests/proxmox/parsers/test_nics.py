from decimal import Decimal

import pytest
from hypothesis import given

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.nics import MODELS, nic_keys, parse_nic

from ..recordings import NAMES, recording
from ..strategies import json_values, nearly

MAC = 'BC:24:11:00:01:00'
PLAIN = {
    'name': None,
    'mac': None,
    'model': None,
    'bridge': None,
    'vlan_tag': None,
    'trunks': (),
    'firewall': False,
    'link_down': False,
    'mtu': None,
    'rate_mbps': None,
    'ipv4': None,
    'ipv6': None,
    'gateway4': None,
    'gateway6': None,
    'extra': {},
}


def attributes(nic) -> dict:
    """What differs from a NIC that says nothing."""
    return {name: getattr(nic, name) for name in PLAIN if getattr(nic, name) != PLAIN[name]}


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        (
            f'virtio={MAC},bridge=vmbr0,firewall=1,tag=20',
            {'model': 'virtio', 'mac': MAC, 'bridge': 'vmbr0', 'firewall': True, 'vlan_tag': 20},
        ),
        (
            'tag=20,bridge=vmbr0,macaddr=bc:24:11:00:01:00,model=virtio',
            {'model': 'virtio', 'mac': MAC, 'bridge': 'vmbr0', 'vlan_tag': 20},
        ),
        (
            f'virtio={MAC},bridge=web,mtu=1,queues=4,rate=12.5',
            {'model': 'virtio', 'mac': MAC, 'bridge': 'web', 'mtu': 1, 'rate_mbps': Decimal('12.5')},
        ),
        (
            f'e1000={MAC},bridge=vmbr0,link_down=1,trunks=10;20;30-40',
            {
                'model': 'e1000',
                'mac': MAC,
                'bridge': 'vmbr0',
                'link_down': True,
                'trunks': ((10, 10), (20, 20), (30, 40)),
            },
        ),
        (f'rtl8139={MAC}', {'model': 'rtl8139', 'mac': MAC}),
        ('virtio', {'model': 'virtio'}),  # no MAC yet
        ('bridge=vmbr0', {'bridge': 'vmbr0'}),
        (f'virtio={MAC},trunks=10-20;2', {'model': 'virtio', 'mac': MAC, 'trunks': ((2, 2), (10, 20))}),
        (f'virtio={MAC},rate=0', {'model': 'virtio', 'mac': MAC}),
        # 0 and 4095 are legal on Open vSwitch, and no VLANs
        (f'virtio={MAC},trunks=0;5;4095', {'model': 'virtio', 'mac': MAC, 'trunks': ((5, 5),)}),
        (f'virtio={MAC},trunks=0-7;4000-4095', {'model': 'virtio', 'mac': MAC, 'trunks': ((1, 7), (4000, 4094))}),
        (f'virtio={MAC},trunks=0', {'model': 'virtio', 'mac': MAC}),
        (f'virtio={MAC},host-tunnel=1', {'model': 'virtio', 'mac': MAC}),
        # not known: stored as text
        (f'virtio={MAC},color=red', {'model': 'virtio', 'mac': MAC, 'extra': {'color': 'red'}}),
        # a model of the future
        (f'igb={MAC},bridge=vmbr0', {'model': 'igb', 'mac': MAC, 'bridge': 'vmbr0'}),
    ],
)
def test_nic_of_a_virtual_machine(line, expected):
    nic = parse_nic(GuestType.QEMU, 'net0', line)
    assert nic.key == 'net0'
    assert attributes(nic) == expected


@pytest.mark.parametrize('model', MODELS)
def test_every_model_is_known(model):
    nic = parse_nic(GuestType.QEMU, 'net0', f'bridge=vmbr0,{model}=bc:24:11:00:01:00')
    assert (nic.model, nic.mac, nic.extra) == (model, MAC, {})


def test_there_are_14_models():
    assert len(MODELS) == 14


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        (
            'name=eth0,firewall=1,gw=10.20.0.1,gw6=2001:db8:20::1,ip=10.20.0.20/24,ip6=2001:db8:20::20/64,tag=20',
            {
                'name': 'eth0',
                'model': 'veth',
                'firewall': True,
                'vlan_tag': 20,
                'ipv4': '10.20.0.20/24',
                'ipv6': '2001:db8:20::20/64',
                'gateway4': '10.20.0.1',
                'gateway6': '2001:db8:20::1',
            },
        ),
        (
            'ip6=auto,ip=dhcp,mtu=1400,rate=10,type=veth,hwaddr=BC:24:11:20:00:01,bridge=vmbr9,name=eth1',
            {
                'name': 'eth1',
                'model': 'veth',
                'mac': 'BC:24:11:20:00:01',
                'bridge': 'vmbr9',
                'mtu': 1400,
                'rate_mbps': Decimal(10),
                'ipv4': 'dhcp',
                'ipv6': 'auto',
            },
        ),
        (
            'name=wan,bridge=vmbr2,hwaddr=BC:24:11:20:02:03,ip=manual,ip6=manual,link_down=1,trunks=5;6;7-9,type=veth',
            {
                'name': 'wan',
                'model': 'veth',
                'mac': 'BC:24:11:20:02:03',
                'bridge': 'vmbr2',
                'link_down': True,
                'trunks': ((5, 5), (6, 6), (7, 9)),
                'ipv4': 'manual',
                'ipv6': 'manual',
            },
        ),
        ('name=eth0,host-managed=1', {'name': 'eth0', 'model': 'veth'}),
    ],
)
def test_nic_of_a_container(line, expected):
    assert attributes(parse_nic(GuestType.LXC, 'net0', line)) == expected


def unread(nic) -> set[str]:
    return {name for name in PLAIN if isinstance(getattr(nic, name), Unreadable)}


@pytest.mark.parametrize(
    ('options', 'attribute'),
    [
        ('tag=abc', 'vlan_tag'),
        ('tag=4095', 'vlan_tag'),
        ('tag=0', 'vlan_tag'),
        ('tag=', 'vlan_tag'),
        ('tag=1,tag=2', 'vlan_tag'),
        ('trunks=20-10', 'trunks'),
        ('trunks=4096', 'trunks'),
        ('trunks=5;;6', 'trunks'),
        ('trunks=5-', 'trunks'),
        ('mtu=0', 'mtu'),
        ('rate=-1', 'rate_mbps'),
        ('firewall=maybe', 'firewall'),
        ('link_down=2', 'link_down'),
        ('bridge=', 'bridge'),
        ('bridge=vmbr0,bridge=vmbr1', 'bridge'),
    ],
)
@pytest.mark.parametrize('guest_type', GuestType)
def test_an_option_that_cannot_be_read_is_unknown_and_the_others_are_read(guest_type, options, attribute):
    plain = f'virtio={MAC}' if guest_type is GuestType.QEMU else f'name=eth0,hwaddr={MAC}'
    nic = parse_nic(guest_type, 'net1', f'{plain},{options}')
    assert unread(nic) == {attribute}
    assert (nic.key, nic.mac, nic.extra) == ('net1', MAC, {})
    assert 'net1' in getattr(nic, attribute).reason


@pytest.mark.parametrize('line', ['virtio=broken', f'virtio={MAC},e1000={MAC}', f'virtio={MAC},macaddr={MAC}'])
def test_a_mac_address_that_cannot_be_read_is_unknown(line):
    nic = parse_nic(GuestType.QEMU, 'net0', f'{line},bridge=vmbr0,tag=5')
    assert isinstance(nic.mac, Unreadable)
    assert (nic.bridge, nic.vlan_tag) == ('vmbr0', 5)


@pytest.mark.parametrize('value', [None, [], {}, '=5', 'tag=1, bridge=vmbr0', float('nan')])
@pytest.mark.parametrize('guest_type', GuestType)
def test_a_line_that_is_no_property_string_is_a_nic_of_which_nothing_is_known(guest_type, value):
    nic = parse_nic(guest_type, 'net0', value)
    assert nic.key == 'net0'
    assert {'mac', 'model', 'bridge', 'vlan_tag', 'trunks', 'firewall', 'link_down', 'mtu', 'rate_mbps'} <= unread(nic)


def test_keys_are_sorted_by_number():
    keys = ['net10', 'net2', 'name', 'net', 'net02', 'network1', 'net0', 'netx', 'net63']
    assert nic_keys(keys) == ['net0', 'net2', 'net10', 'net63']


@pytest.mark.parametrize('name', NAMES)
def test_every_recorded_nic_is_understood(name):
    seen = 0
    for path, answer in recording(name).items():
        parts = path.split('?')[0].split('/')
        if parts[-1] == 'config' and 'snapshot' not in parts and answer['status'] == 200:
            config = answer['body']['data']
            for key in nic_keys(config):
                nic = parse_nic(GuestType(parts[3]), key, config[key])
                assert nic.mac
                assert nic.model
                assert nic.extra == {}
                seen += 1
    assert seen


LINES = nearly(
    f'virtio={MAC},bridge=vmbr0,tag=20,trunks=2;10-20,mtu=1,rate=1.5,link_down=1',
    f'model=virtio,macaddr={MAC}',
    f'name=eth0,hwaddr={MAC},ip=10.0.0.1/24,ip6=auto,gw=10.0.0.1,type=veth',
)


@pytest.mark.parametrize('guest_type', GuestType)
@given(line=LINES | json_values)
def test_nic_of_any_line(guest_type, line):
    nic = parse_nic(guest_type, 'net0', line)
    assert nic.vlan_tag is None or isinstance(nic.vlan_tag, Unreadable) or 1 <= nic.vlan_tag <= 4094
    assert isinstance(nic.trunks, Unreadable) or all(1 <= first <= last <= 4094 for first, last in nic.trunks)
    assert nic.mac is None or isinstance(nic.mac, Unreadable) or nic.mac == nic.mac.upper()
