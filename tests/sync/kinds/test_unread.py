"""A part that cannot be read changes nothing in NetBox, whichever part it is; and what the other values mean."""

from dataclasses import fields, replace
from decimal import Decimal
from ipaddress import ip_interface

import pytest

from netbox_proxsync.proxmox.infrastructure import InterfaceType, NodeInterface, Vnet
from netbox_proxsync.proxmox.inventory import Disk, Guest, GuestConfig, GuestType, Nic, Node, TagStyle
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.kind import Kind, ResolvedObjects
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.mapping.guest_networks import Networks
from netbox_proxsync.sync.mapping.vlan_membership import NONE, Membership
from netbox_proxsync.sync.state import Item
from netbox_proxsync.sync.values import Pointer, Ref, Shared, decimal_text, decode, encode, show
from tests.scenarios.nodes.nodes import FACTS, hardware, physical
from tests.sync.builders import (
    SETTINGS,
    UNREAD,
    NetBox,
    addresses,
    config,
    disk,
    guest,
    inventory,
    nic,
    node,
    node_interface,
    plan,
)  # fmt: skip

SITE = Pointer('dcim.site', 1, 'Berlin')
NODES = replace(SETTINGS, sync_nodes=True, site=SITE)
LXC = GuestType.LXC
FULL = config(
    description='A note', vcpus=3, min_memory=2**29, start_on_boot=True, boot_order=('scsi0',), boot_disk='scsi0',
    cpulimit=Decimal(2), created=1, nics=(nic(rate_mbps=Decimal(5), mtu=1400, vlan_tag=5),), disks=(disk(),),
    ostype='l26',
)  # fmt: skip


def names(cls, *without):
    return [field.name for field in fields(cls) if field.name not in without]


def unchanged(before, after, settings=SETTINGS) -> bool:
    netbox = NetBox()
    netbox.sync(before, settings)
    made = plan(after, netbox.existing, settings)
    return [change for change in made.changes if change.action is not Action.CONFLICT] == []


@pytest.mark.parametrize('guest_type', GuestType)
@pytest.mark.parametrize(
    'name',
    names(GuestConfig, 'nics', 'disks', 'cloudinit', 'extra', 'kvm', 'cloudinit_custom', 'cloudinit_drive'),
)
def test_of_a_configuration(name, guest_type):
    one = guest(100, type=guest_type, config=FULL)
    assert unchanged(inventory(one), inventory(replace(one, config=replace(FULL, **{name: UNREAD}))))


@pytest.mark.parametrize('name', names(Guest, 'type', 'vmid', 'key', 'node', 'guest_only'))
def test_of_a_guest(name):
    one = guest(100, config=FULL, pool='web', ha_state='started', os_name='Debian 12', host_name='web.example.com')
    # Without the configuration, there are no addresses either.
    unread = {name: UNREAD, **({'addresses': UNREAD} if name == 'config' else {})}
    assert unchanged(inventory(one), inventory(replace(one, **unread)))


@pytest.mark.parametrize('name', names(Nic, 'key', 'extra'))
def test_of_a_nic(name):
    one = guest(100, config=FULL)
    other = replace(FULL, nics=(replace(FULL.nics[0], **{name: UNREAD}),))
    assert unchanged(inventory(one), inventory(replace(one, config=other)))


@pytest.mark.parametrize('name', names(Disk, 'key'))
def test_of_a_disk(name):
    one = guest(100, config=FULL)
    other = replace(FULL, disks=(replace(FULL.disks[0], **{name: UNREAD}),))
    assert unchanged(inventory(one), inventory(replace(one, config=other)))


@pytest.mark.parametrize('name', ['vnets', 'not_backed_up', 'tag_style', 'cluster_name', 'quorate'])
def test_of_an_inventory(name):
    inv = inventory(guest(100, tags=('Web',), config=FULL), not_backed_up=frozenset({100}))
    assert unchanged(inv, replace(inv, **{name: UNREAD}))


BRIDGE = node_interface(
    'vmbr0', InterfaceType.BRIDGE, ports=('bond0',), addresses=(ip_interface('10.0.0.1/24'),), vlan_aware=True,
    vids=((2, 9),), mtu=9000, comments='Uplink', gateway4='10.0.0.254',
)  # fmt: skip
NETWORK = (
    BRIDGE,
    node_interface('bond0', InterfaceType.BOND, members=('eno1',)),
    node_interface('eno1'),
    node_interface('vmbr0.5', InterfaceType.VLAN, vlan_id=5, parent='vmbr0'),
    node_interface('ovs0', InterfaceType.OVS_BRIDGE, vlan_aware=True),
    node_interface('int0', InterfaceType.OVS_INT_PORT, bridge='ovs0'),
)


UNSTATED = replace(BRIDGE, addresses=(), gateway4=None)
# The management address is stated, or on the interface with the default route, on the one that asks for it, on the only
# bridge that does, or on the only bridge.
NETWORKS = {
    'stated': NETWORK,
    'routed': (replace(UNSTATED, gateway4='10.0.0.254'), *NETWORK[1:]),
    'leased': (replace(UNSTATED, method4='dhcp'), *NETWORK[1:]),
    'leased by a bridge': (replace(UNSTATED, method4='dhcp'), NETWORK[1], node_interface('eno1', method4='dhcp')),
    'on a bridge': (UNSTATED, *NETWORK[1:4]),
}


@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize('name', names(NodeInterface, 'name', 'addresses', 'extra'))
def test_of_an_interface_of_a_node(name, network):
    interfaces = NETWORKS[network]
    netbox = NetBox()
    netbox.sync(inventory(nodes=(node(interfaces=interfaces),)), NODES)
    assert netbox.object('ip', 'node/pve1/10.0.0.1').values['assigned_object'].label == 'vmbr0'
    for position, interface in enumerate(interfaces):
        other = [*interfaces]
        unread = {name: UNREAD, **({'addresses': ()} if name == 'addresses_unreadable' else {})}
        other[position] = replace(interface, **unread)
        made = plan(inventory(nodes=(node(interfaces=tuple(other)),)), netbox.existing, NODES)
        assert made.changes == (), interface.name


@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize('name', names(Node, 'name', 'online'))
def test_of_a_node(name, network):
    one = node(
        interfaces=NETWORKS[network],
        facts=FACTS,
        certificates=(),
        hardware=hardware(physical('eno1', 'AA:BB:CC:00:00:01', 1000)),
    )
    assert unchanged(inventory(nodes=(one,)), inventory(nodes=(replace(one, **{name: UNREAD}),)), NODES)


# Values


def made(*guests, settings=SETTINGS, **values):
    return NetBox().sync(inventory(*guests, **values), settings)


def written(one, kind='vm', settings=SETTINGS, **values) -> dict[str, object]:
    change = next(change for change in made(one, settings=settings, **values).changes if change.kind == kind)
    return {field.name: field.want for field in change.writes}


@pytest.mark.parametrize(
    ('values', 'status'),
    [
        ({'lock': 'suspended', 'status': 'stopped'}, 'paused'),
        ({'lock': UNREAD, 'status': 'stopped'}, None),
        ({'lock': 'backup', 'status': 'stopped'}, 'offline'),
        ({'status': 'unknown'}, None),
        ({'status': UNREAD}, None),
        ({'status': 'io-error'}, 'staged'),
        ({'template': True}, 'staged'),
    ],
)
def test_statuses(values, status):
    assert written(guest(**values), settings=replace(SETTINGS, sync_templates=True)).get('status') == status


@pytest.mark.parametrize(
    ('guest_type', 'values', 'vcpus'),
    [
        (GuestType.QEMU, {'sockets': 2, 'cores': 3, 'vcpus': None}, '6'),
        (GuestType.QEMU, {'vcpus': 4}, '4'),
        (GuestType.QEMU, {'sockets': UNREAD, 'vcpus': None}, None),
        (GuestType.QEMU, {'cores': UNREAD, 'vcpus': None}, None),
        (LXC, {'cores': 2, 'cpulimit': Decimal('1.5')}, '2'),
        (LXC, {'cores': None, 'cpulimit': Decimal('0.001')}, '0.01'),
        (LXC, {'cores': None, 'cpulimit': None}, '8'),
        (LXC, {'cores': None, 'cpulimit': UNREAD}, None),
    ],
)
def test_virtual_cpus(guest_type, values, vcpus):
    assert written(guest(type=guest_type, config=config(**values))).get('vcpus') == vcpus


def test_a_container_without_limits_on_an_unread_node_has_an_unknown_number_of_cpus():
    one = guest(type=LXC, config=config(cores=None, cpulimit=None))
    assert 'vcpus' not in written(one, nodes=(node(cpus=UNREAD),))


@pytest.mark.parametrize(
    ('values', 'platform'),
    [
        ({'config': config(description='os: Plan 9')}, 'Plan 9'),
        ({'os_name': 'Debian 12', 'config': config(ostype='l26')}, 'Debian 12'),
        ({'config': config(ostype='l26')}, 'Linux'),
        ({'config': config(ostype='beos')}, 'beos'),
        ({'config': config(ostype='other')}, None),
        ({'config': config(ostype=None)}, None),
    ],
)
def test_platforms(values, platform):
    found = written(guest(**values)).get('platform')
    assert (found and found.name) == platform


def test_interfaces_are_named_by_their_guest_where_the_endpoint_says_so():
    by_guest = replace(SETTINGS, interface_naming='guest')
    reported = replace(addresses('10.0.0.5/24'), guest_name='eth0')
    assert written(guest(addresses={'net0': reported}), 'interface', by_guest)['name'] == 'eth0'
    assert written(guest(), 'interface', by_guest)['name'] == 'net0'
    assert written(guest(addresses=UNREAD), 'interface', by_guest)['name'] == 'net0'
    container = guest(type=LXC, config=config(nics=(nic(name='lan0'),)))
    assert written(container, 'interface')['name'] == 'lan0'
    # A name that is no longer reported stays.
    netbox = NetBox()
    netbox.sync(inventory(guest(addresses={'net0': reported})), by_guest)
    netbox.sync(inventory(guest()), by_guest)
    assert netbox.object('interface', 'qemu/100/net0').values['name'] == 'eth0'


def test_a_nic_without_a_mac_address_and_a_disk_without_a_volume():
    one = guest(config=config(nics=(nic(mac=None),), disks=(disk(storage=None, volume='/dev/sdb', passthrough=True),)))
    assert 'primary_mac_address' not in written(one, 'interface')
    assert written(one, 'disk')['description'] == '/dev/sdb, raw, pass-through'
    assert 'mac' not in made(one).counts


@pytest.mark.parametrize(('style', 'expected'), [(True, {'Web', 'web'}), (False, {'web'})])
def test_tags_follow_the_style_of_the_datacenter(style, expected):
    tags = written(guest(tags=('Web', 'web')), tag_style=TagStyle(colors={'web': 'FF0000'}, case_sensitive=style))[
        'tags'
    ]
    assert {tag.name for tag in tags} == expected
    assert (('color', 'ff0000'),) in {tag.attributes for tag in tags}


def test_an_mtu_that_netbox_does_not_accept_and_faulty_relations_are_warnings():
    odd = (
        node_interface('eno1', mtu=70000),
        node_interface('vmbr0', InterfaceType.BRIDGE, ports=('eno9',)),
        node_interface('a', InterfaceType.BOND, members=('b',)),
        node_interface('b', InterfaceType.BOND, members=('a',)),
        node_interface('c', InterfaceType.BOND, members=('eno1',)),
        node_interface('d', InterfaceType.BOND, members=('eno1',)),
        node_interface('dummy0', InterfaceType.UNKNOWN),
    )
    found = made(nodes=(node(address=None, interfaces=odd),), settings=NODES)
    texts = [notice.message for notice in found.notices]
    assert sorted(texts) == [
        'NetBox accepts an MTU from 1 to 65536; that of eno1 is 70000.',
        'a > b > a is a loop of interfaces (lag), which NetBox does not show.',
        'eno1 is in c and in d; NetBox shows it in c.',
        'vmbr0 names eno9, which does not exist on pve1.',
    ]
    types = {change.label: field.want for change in found.changes for field in change.writes if field.name == 'type'}
    assert types['dummy0'] == 'virtual'


# Networks


def membership(tag=None, trunks=(), bridge='vmbr0', network=NETWORK, vnets=(), **values):
    one = guest()
    networks = Networks(inventory(one, nodes=(node(interfaces=network),), vnets=vnets))
    return networks.membership(one, nic(bridge=bridge, vlan_tag=tag, trunks=trunks, **values))


def vnet(vlan_id=None, aware=False) -> Vnet:
    return Vnet(name='v1', zone_type='vlan', tag=vlan_id, alias=None, vlan_aware=aware)


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({}, Membership.trunk()),
        ({'tag': 5}, Membership.of(5)),
        ({'trunks': ((2, 3),)}, Membership.of(None, ((2, 3),))),
        ({'bridge': None}, NONE),
        ({'bridge': UNREAD}, None),
        ({'tag': UNREAD}, None),
        ({'trunks': UNREAD}, None),
        ({'bridge': 'vmbr9'}, NONE),
        ({'bridge': 'vmbr9', 'network': UNREAD}, None),
        ({'bridge': 'vmbr9', 'vnets': UNREAD}, None),
        ({'vnets': UNREAD}, Membership.trunk()),
        ({'network': (replace(BRIDGE, type=UNREAD),)}, None),
        ({'network': (replace(BRIDGE, vlan_aware=UNREAD),)}, None),
        ({'network': (replace(BRIDGE, vlan_aware=False),)}, NONE),
        ({'bridge': 'v1', 'vnets': (vnet(7),)}, Membership.of(7)),
        ({'bridge': 'v1', 'vnets': (vnet(UNREAD),)}, None),
        ({'bridge': 'v1', 'vnets': (vnet(aware=True),)}, Membership.trunk()),
        ({'bridge': 'v1', 'vnets': (vnet(),), 'tag': 5}, Membership.of(5)),
    ],
)
def test_the_vlans_of_a_nic(values, expected):
    assert membership(**values) == expected


@pytest.mark.parametrize(
    ('values', 'network', 'mtu'),
    [
        ({'mtu': 1400}, NETWORK, 1400),
        ({'mtu': None}, NETWORK, None),
        ({'mtu': 1}, NETWORK, 9000),
        ({'mtu': 1, 'bridge': None}, NETWORK, None),
        ({'mtu': 1, 'bridge': 'vmbr9'}, NETWORK, None),
        ({'mtu': UNREAD}, NETWORK, 'unknown'),
        ({'mtu': 1, 'bridge': UNREAD}, NETWORK, 'unknown'),
        ({'mtu': 1}, UNREAD, 'unknown'),
        ({'mtu': 1}, (replace(BRIDGE, mtu=UNREAD),), 'unknown'),
    ],
)
def test_the_mtu_of_a_nic(values, network, mtu):
    one, own = guest(), nic(**values)
    networks = Networks(inventory(one, nodes=(node(interfaces=network),)))
    assert (networks.mtu(one, own) if networks.has_mtu(one, own) else 'unknown') == mtu


def test_the_vlans_of_the_interfaces_of_a_node():
    netbox = NetBox()
    netbox.sync(inventory(nodes=(node(interfaces=NETWORK),), vnets=(vnet(7),)), NODES)
    modes = {key: netbox.object(kind, key).values['mode'] for kind, key in netbox.bindings if kind == 'node_interface'}
    assert modes == {
        'node/pve1/vmbr0': 'tagged',
        'node/pve1/bond0': None,
        'node/pve1/eno1': None,
        'node/pve1/vmbr0.5': 'access',
        'node/pve1/ovs0': 'tagged-all',
        'node/pve1/int0': None,
    }


# Plain values


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (None, ''),
        (Pointer('a.b', 7, 'Label'), 'Label'),
        (Pointer('a.b', 7), '7'),
        (Ref('vm', 'qemu/1', 'web'), 'web'),
        (Ref('vm', 'qemu/1'), 'qemu/1'),
        (Shared('a.b', 'Debian'), 'Debian'),
        (frozenset({'b', 'a'}), 'a, b'),
        (1.5, '1.5'),
    ],
)
def test_values_as_text_and_as_json(value, text):
    assert show(value) == text
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ('number', 'text'), [(None, None), (Decimal('2.00'), '2'), (Decimal('1.50'), '1.5'), (100, '100')]
)
def test_decimals_in_their_shortest_form(number, text):
    assert decimal_text(number) == text


def test_a_kind_need_only_build():
    netbox = NetBox()
    netbox.sync(inventory(guest()))
    with pytest.raises(TypeError, match='build'):
        Kind()
    item = Item(kind='vm', key='', unit='', label='', values={})
    assert KINDS['vm'].adopt(item, netbox.existing, ResolvedObjects(), SETTINGS) is None


def test_of_a_template_flag_where_templates_are_synced():
    templates = replace(SETTINGS, sync_templates=True)
    one = guest(100, config=FULL)
    assert unchanged(inventory(one), inventory(replace(one, template=UNREAD)), templates)


def test_a_fault_is_reported_once():
    twice = (node_interface('bond0', InterfaceType.BOND, members=('eno9', 'eno9')),)
    found = made(nodes=(node(address=None, interfaces=twice),), settings=NODES)
    assert [notice.message for notice in found.notices] == ['bond0 names eno9, which does not exist on pve1.']
