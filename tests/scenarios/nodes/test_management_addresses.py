"""
The address that the cluster uses for a node becomes its primary address also where the node leases it.

Seen: `vmbr0` of a recorded node asks for its address by DHCP, and its device had no address at all. Also tried: IPv6 by
DHCP and by router advertisements; the other family on the same interface, several addresses there, unique local ones; a
default route that names the interface; several interfaces that lease, one of them a bridge; no interface that leases;
an address that is on no interface though the node has others; an address that cannot be read; a lease that changes, and
one that becomes static; a choice of a user; a second node with the same address.
"""

import pytest
from dcim.models import Device, Interface
from ipam.models import IPAddress, Prefix

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    found = standin(nodes=2, vms=0, containers=0)
    for name in ('bond0', 'bond0.40', 'vmbr1'):
        found.remove_interface('pve1', name)
    lease(found)
    return found


def lease(pve, iface: str = 'vmbr0', method: str = 'dhcp', **values) -> None:
    keys = dict.fromkeys(('address', 'netmask', 'cidr', 'gateway', 'bridge_ports'))
    pve.set_interface('pve1', iface, **{'type': 'bridge', 'method': method, **keys, **values})


@pytest.fixture
def endpoint(pve, site, make_endpoint):
    return make_endpoint(pve, site=site, change_limit=100)


def address_of(pve) -> str:
    return pve.cluster.nodes['pve1'].address


def use(pve, address: str) -> None:
    pve.cluster.nodes['pve1'].address = address
    pve.cluster.changed()


def primary(node: str = 'pve1') -> tuple[str | None, str | None]:
    device = Device.objects.get(name=node)
    return tuple(found and str(found.address) for found in (device.primary_ip4, device.primary_ip6))


def doubts(run) -> list[str]:
    return [message['message'] for message in run.messages if 'does not show on which interface' in message['message']]


def settled(sync, endpoint):
    """The first run, after a second one that had nothing to do."""
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    assert not sync(endpoint).changes.exists()
    return run


def test_a_leased_address_is_on_the_bridge_that_leases_it(pve, endpoint, sync):
    run = settled(sync, endpoint)
    address = address_of(pve)
    assert primary() == (f'{address}/32', None)
    record = IPAddress.objects.get(address=f'{address}/32')
    assert (record.assigned_object.name, record.status) == ('vmbr0', 'dhcp')
    assert doubts(run) == []


def test_its_prefix_length_is_that_of_the_prefix_in_netbox(pve, endpoint, sync):
    Prefix.objects.create(prefix='10.0.0.0/20')
    settled(sync, endpoint)
    assert primary()[0] == f'{address_of(pve)}/20'


@pytest.mark.parametrize(('method', 'status'), [('auto', 'slaac'), ('dhcp', 'dhcp')])
def test_an_address_of_ipv6(method, status, pve, endpoint, sync):
    use(pve, '2001:db8::77')
    lease(pve, method='manual', method6=method)
    settled(sync, endpoint)
    assert primary() == (None, '2001:db8::77/128')
    assert IPAddress.objects.get(address='2001:db8::77/128').status == status


def test_the_other_family_on_the_same_interface(pve, endpoint, sync):
    lease(pve, cidr6='fd00::11/64', options6=['address 2001:db8::12/64', 'address fd00::13/64'])
    pve.set_interface('pve1', 'vmbr8', type='bridge', cidr6='2001:db8:8::1/64')
    pve.set_interface('pve2', 'vmbr0', cidr6='2001:db8::2/64')
    settled(sync, endpoint)
    assert primary() == (f'{address_of(pve)}/32', '2001:db8::12/64')
    assert primary('pve2')[1] == '2001:db8::2/64'


def test_the_default_route_names_the_interface(pve, endpoint, sync):
    pve.set_interface('pve1', 'vmbr8', type='bridge', method='dhcp')
    pve.set_interface('pve1', 'eno1', method='dhcp', gateway='10.0.0.1')
    settled(sync, endpoint)
    assert Device.objects.get(name='pve1').primary_ip4.assigned_object.name == 'eno1'


@pytest.mark.parametrize(
    ('setup', 'expected'),
    [
        # The only bridge of two interfaces that lease.
        ({'eno1': {'method': 'dhcp'}}, 'vmbr0'),
        # The only bridge of a node that has no address, though nothing says that it leases one.
        ({'vmbr0': {'method': 'manual'}}, 'vmbr0'),
        # A bridge that has an address does not lease another one.
        ({'vmbr8': {'type': 'bridge', 'method': 'static', 'cidr': '10.8.0.1/24'}}, 'vmbr0'),
        # A NIC alone.
        ({'vmbr0': {'method': 'static', 'cidr': '10.8.0.1/24'}, 'eno1': {'method': 'dhcp'}}, 'eno1'),
        ({'vmbr8': {'type': 'bridge', 'method': 'dhcp'}}, None),
        ({'vmbr0': {'method': 'manual'}, 'vmbr8': {'type': 'bridge', 'method': 'manual'}}, None),
        # The node has another address: the cluster's might be anywhere, on no bridge for guests.
        (
            {
                'vmbr0': {'method': 'static', 'cidr': '10.8.0.1/24', 'gateway': '10.8.0.254'},
                'vmbr8': {'type': 'bridge', 'method': 'manual'},
            },
            None,
        ),
        ({'eno1': {'method': []}, 'vmbr0': {'method': 'manual'}}, None),
    ],
    ids=str,
)
def test_the_only_candidate_or_a_notice(setup, expected, pve, endpoint, sync):
    for name, values in setup.items():
        pve.set_interface('pve1', name, **values)
    run = settled(sync, endpoint)
    held = Device.objects.get(name='pve1').primary_ip4
    assert (held and held.assigned_object.name) == expected
    if expected is None:
        unread = any('could not be read' in message['message'] for message in run.messages)
        assert unread or len(doubts(run)) == 1
        assert not IPAddress.objects.filter(address__net_host=address_of(pve)).exists()
    else:
        assert doubts(run) == []


def test_an_uncertain_management_address_removes_nothing(pve, endpoint, sync):
    settled(sync, endpoint)
    before = primary()
    pve.set_interface('pve1', 'vmbr8', type='bridge', method='dhcp')
    run = settled(sync, endpoint)
    assert doubts(run)
    assert primary() == before
    pve.remove_interface('pve1', 'vmbr8')
    settled(sync, endpoint)
    assert primary() == before


def test_another_lease_and_a_static_address_follow(pve, endpoint, sync):
    settled(sync, endpoint)
    record = Device.objects.get(name='pve1').primary_ip4
    address = address_of(pve)
    lease(pve, method='static', cidr=f'{address}/16', gateway='10.0.0.1')
    settled(sync, endpoint)
    assert Device.objects.get(name='pve1').primary_ip4 == record
    assert primary()[0] == f'{address}/16'
    lease(pve)
    use(pve, '10.0.9.9')
    settled(sync, endpoint)
    assert primary()[0] == '10.0.9.9/32'
    assert not IPAddress.objects.filter(pk=record.pk).exists()


def test_a_choice_of_a_user_is_retained(pve, endpoint, sync):
    settled(sync, endpoint)
    device = Device.objects.get(name='pve1')
    interface = Interface.objects.get(device=device, name='eno1')
    own = IPAddress.objects.create(address='10.0.0.200/24', assigned_object=interface)
    device.primary_ip4 = own
    device.save()
    settled(sync, endpoint)
    assert primary()[0] == '10.0.0.200/24'


def test_an_unreadable_management_address_removes_nothing(pve, endpoint, sync):
    settled(sync, endpoint)
    before = primary()
    pve.set_interface('pve1', 'eno1', cidr='10.0.0.300/24')
    settled(sync, endpoint)
    assert primary() == before
    use(pve, 'nonsense')
    settled(sync, endpoint)
    assert primary() == before
