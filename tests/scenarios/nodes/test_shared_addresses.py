"""An address that several nodes have at a time: the gateway of a virtual network, of a bridge for NAT."""

from ipaddress import ip_interface

import pytest
from dcim.models import Interface
from ipam.models import VRF, IPAddress

from netbox_proxsync.models import ProxmoxEndpoint
from netbox_proxsync.proxmox.infrastructure import InterfaceType
from tests.scenarios.nodes.test_nodes import other_device
from tests.sync.builders import guest, inventory, node, node_interface

pytestmark = pytest.mark.django_db

GATEWAY = '10.20.0.1/16'


def nodes(*bearers: int):
    """Three nodes with a virtual network; some of them have the gateway's address on it."""
    return tuple(
        node(
            f'pve{number}',
            address=f'10.0.0.{number}',
            interfaces=(
                node_interface('vmbr0', InterfaceType.BRIDGE, addresses=(ip_interface(f'10.0.0.{number}/24'),)),
                node_interface(
                    'web', InterfaceType.VNET, addresses=(ip_interface(GATEWAY),) if number in bearers else ()
                ),
            ),
        )
        for number in (1, 2, 3)
    )


def gateways() -> dict[str, str]:
    """The roles of the gateway's addresses, by the object to which they are assigned."""
    found = IPAddress.objects.filter(address=GATEWAY)
    return {
        str(ip.assigned_object and getattr(ip.assigned_object, 'device', ip.assigned_object)): ip.role for ip in found
    }


EVERYWHERE = {f'pve{number}': 'anycast' for number in (1, 2, 3)}


def test_each_node_has_it_in_a_role_that_allows_it(take):
    run = take(inventory(nodes=nodes(1, 2, 3)))
    assert gateways() == EVERYWHERE
    assert not run.changes.exclude(outcome='applied').exists()
    assert set(IPAddress.objects.exclude(address=GATEWAY).values_list('role', flat=True)) == {None}


@pytest.mark.parametrize('first', [1, 2, 3])
def test_the_one_that_had_it_alone_shares_it_then(take, first):
    take(inventory(nodes=nodes(first)))
    alone = IPAddress.objects.get(address=GATEWAY)
    assert gateways() == {f'pve{first}': alone.role} == {f'pve{first}': None}
    take(inventory(nodes=nodes(1, 2, 3)))
    assert gateways() == EVERYWHERE
    alone.refresh_from_db()
    assert str(alone.assigned_object.device) == f'pve{first}'


def test_a_node_that_loses_a_shared_address_leaves_the_records_of_others(take):
    take(inventory(nodes=nodes(1, 2, 3)))
    take(inventory(nodes=nodes(1, 3)))
    assert gateways() == {'pve1': 'anycast', 'pve3': 'anycast'}
    take(inventory(nodes=nodes(3)))
    assert gateways() == {'pve3': 'anycast'}


def test_it_moves_on_from_one_that_loses_it_when_others_get_it(take):
    take(inventory(nodes=nodes(2)))
    moved = IPAddress.objects.get(address=GATEWAY)
    take(inventory(nodes=nodes(1, 3)))
    assert gateways() == {'pve1': 'anycast', 'pve3': 'anycast'}
    moved.refresh_from_db()
    assert str(moved.assigned_object.device) == 'pve1'


def test_a_role_by_a_user_is_retained(take):
    take(inventory(nodes=nodes(1, 2)))
    IPAddress.objects.filter(address=GATEWAY).update(role='vip')
    take(inventory(nodes=nodes(1, 2, 3)))
    assert gateways() == {'pve1': 'vip', 'pve2': 'vip', 'pve3': 'anycast'}


def test_a_record_that_documents_it_is_taken_once(take):
    mine = IPAddress.objects.create(address=GATEWAY, description='gateway of web')
    take(inventory(nodes=nodes(1, 2, 3)))
    assert gateways() == EVERYWHERE
    mine.refresh_from_db()
    assert (str(mine.assigned_object.device), mine.description) == ('pve1', 'gateway of web')


def test_an_address_of_another_device_is_a_conflict_unless_its_role_permits_sharing(site, take):
    router = Interface.objects.create(device=other_device('router', site), name='1', type='other')
    held = IPAddress.objects.create(address=GATEWAY, assigned_object=router)
    run = take(inventory(nodes=nodes(1, 2)))
    assert set(run.changes.filter(action='conflict').values_list('key', flat=True)) == {
        f'node/pve{number}/10.20.0.1' for number in (1, 2)
    }  # fmt: skip
    assert gateways() == {'router': None}
    held.role = 'anycast'
    held.save()
    run = take(inventory(nodes=nodes(1, 2)))
    assert not run.changes.filter(action='conflict').exists()
    assert gateways() == {'router': 'anycast', 'pve1': 'anycast', 'pve2': 'anycast'}


def test_a_guest_that_claims_it_does_not_get_it(take):
    claiming = guest(100, ips=(GATEWAY,))
    run = take(inventory(claiming, nodes=nodes(1, 2)))
    assert [change.key for change in run.changes.filter(action='conflict')] == ['qemu/100/10.20.0.1']
    assert gateways() == {'pve1': 'anycast', 'pve2': 'anycast'}


def test_it_is_shared_within_the_endpoints_vrf(endpoint, take):
    vrf = VRF.objects.create(name='Red', enforce_unique=True)
    ProxmoxEndpoint.objects.update(vrf=vrf)
    take(inventory(nodes=nodes(1)))
    take(inventory(nodes=nodes(1, 2)))
    assert gateways() == {'pve1': 'anycast', 'pve2': 'anycast'}
    assert set(IPAddress.objects.values_list('vrf', flat=True)) == {vrf.pk}
