"""Nodes in rounds of syncs in memory: many more than a database could play."""

from dataclasses import replace
from ipaddress import ip_interface

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer
from tests.scenarios.nodes.strategies import NAMES, blinded, estate, faults, guests_on, nodes
from tests.sync.builders import SETTINGS, UNREAD, NetBox, inventory, node, node_interface, plan

SITE = Pointer('dcim.site', 1, 'Berlin')
SYNCED = replace(SETTINGS, sync_nodes=True, site=SITE, change_limit=100)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def estates(draw):
    """A cluster that was read completely."""
    found = {name: draw(nodes(name)) for name in draw(st.sets(st.sampled_from(NAMES)))}
    return estate(found, {vmid: draw(guests_on(vmid)) for vmid in draw(st.sets(st.sampled_from((100, 101))))})


def content(netbox: NetBox) -> dict:
    """The objects in NetBox without retired ones."""
    return {
        key: netbox.records[bound.kind][bound.pointer].values
        for key, bound in netbox.bindings.items()
        if bound.missing_since is None
    }


@quick
@given(rounds=st.lists(estates(), min_size=1, max_size=4))
def test_after_a_sync_nothing_is_left_to_do(rounds):
    netbox = NetBox()
    for inv in rounds:
        netbox.sync(inv, SYNCED)
        again = plan(inv, netbox.existing, SYNCED)
        assert [change for change in again.changes if change.action is not Action.CONFLICT] == []
        assert not again.refreshed
        assert not again.forgotten


@quick
@given(inv=estates(), broken=faults())
def test_values_that_become_unreadable_change_nothing(inv, broken):
    netbox = NetBox()
    netbox.sync(inv, SYNCED)
    before = content(netbox)
    netbox.sync(blinded(inv, broken), SYNCED)
    assert content(netbox) == before


@quick
@given(inv=estates(), gone=st.sampled_from(NAMES))
def test_a_node_that_returns_is_revived(inv, gone):
    netbox = NetBox()
    netbox.sync(inv, SYNCED)
    before = content(netbox)
    bound = {key: entry.pointer for key, entry in netbox.bindings.items()}
    netbox.sync(replace(inv, nodes=tuple(entry for entry in inv.nodes if entry.name != gone)), SYNCED)
    netbox.sync(inv, SYNCED)
    assert content(netbox) == before
    assert {key: entry.pointer for key, entry in netbox.bindings.items()} == bound


def test_an_address_with_several_possible_records_always_takes_the_same_one():
    def pve(name, *addresses):
        return node(name, interfaces=(node_interface('nat', addresses=tuple(map(ip_interface, addresses))),))

    gateway, netbox = '10.20.0.1/16', NetBox()
    netbox.sync(inventory(nodes=(pve('pve2', gateway), pve('pve3', gateway))), SYNCED)
    # One of them goes, the other has it no longer, and a third one has it alone.
    moved = inventory(nodes=(pve('pve1', gateway), pve('pve3')))
    netbox.sync(moved, SYNCED)
    assert netbox.object('ip', 'node/pve1/10.20.0.1').values['address'] == gateway
    assert plan(moved, netbox.existing, SYNCED).changes == ()


def test_a_leased_address_is_retained_while_the_address_that_the_cluster_uses_cannot_be_read():
    # No interface asks for an address, so it is on the only bridge.
    leasing = node('pve2', address='10.0.0.2', interfaces=(node_interface('vmbr0', InterfaceType.BRIDGE),))
    netbox = NetBox()
    netbox.sync(inventory(nodes=(leasing,)), SYNCED)
    assert netbox.object('ip', 'node/pve2/10.0.0.2').values['address'] == '10.0.0.2/32'
    assert plan(inventory(nodes=(replace(leasing, address=UNREAD),)), netbox.existing, SYNCED).changes == ()
    # It is removed as soon as it is certain that it is not there.
    made = plan(inventory(nodes=(replace(leasing, address='10.0.0.3'),)), netbox.existing, SYNCED)
    assert [(change.action, change.key) for change in made.changes if change.kind == 'ip'] == [
        (Action.CREATE, 'node/pve2/10.0.0.3'),
        (Action.DELETE, 'node/pve2/10.0.0.2'),
    ]


def test_a_former_address_is_retained_while_the_address_that_the_cluster_uses_cannot_be_read():
    def pve(address, text):
        port = node_interface('vmbr0', InterfaceType.BRIDGE, addresses=(ip_interface(text),))
        return inventory(nodes=(node('pve2', address=address, interfaces=(port,)),))

    netbox = NetBox()
    netbox.sync(pve('10.0.0.2', '10.0.0.2/24'), SYNCED)
    for address in ('10.0.0.2', UNREAD):
        # The cluster uses, or may use, the address that the interface had.
        netbox.sync(pve(address, '10.0.0.9/24'), SYNCED)
        assert ('ip', 'node/pve2/10.0.0.2') in netbox.bindings
    netbox.sync(pve('10.0.0.9', '10.0.0.9/24'), SYNCED)
    assert ('ip', 'node/pve2/10.0.0.2') not in netbox.bindings
