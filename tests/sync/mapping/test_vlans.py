"""Which VLANs a guest's NIC is in, and which of NetBox's VLANs each one is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import InterfaceType, Vnet
from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.sync.mapping.vlan_membership import Membership
from netbox_proxsync.sync.mapping.vlans import Lookup, several
from netbox_proxsync.sync.network_candidates import VlanCandidate, VlanIndex
from netbox_proxsync.sync.rules import Outcome, Rule
from netbox_proxsync.sync.values import Pointer, decode, encode
from tests.sync.builders import SETTINGS, UNREAD, NetBox, config, guest, inventory, nic, node, node_interface, plan

GROUP = Pointer('ipam.vlangroup', 1, 'Fabric')
SITE = Pointer('dcim.site', 1, 'Berlin')


def vlan(pk, group=None, site=None, **values):
    pointer = Pointer('ipam.vlan', pk, f'vlan{pk}')
    return VlanCandidate(pointer=pointer, group=group, site=site, **({'is_local': False} | values))


def book(*hits, vid=20, **values):
    return VlanIndex(candidates={vid: hits} if hits else {}, **({'site': SITE} | values))


def with_nic(inv_values=(), book_=None, **values):
    """The interface of a guest with such a NIC, and the plan that made it."""
    netbox = NetBox()
    netbox.vlans = {'interface': book_ or VlanIndex()}
    made = netbox.sync(inventory(guest(100, config=config(nics=(nic(**values),)), node='pve1'), **dict(inv_values)))
    return netbox.object('interface', 'qemu/100/net0').values, made, netbox


def bridges(*interfaces):
    return {'nodes': (node(interfaces=interfaces),)}


def test_a_tag_is_an_access_port():
    values, made, _netbox = with_nic(book_=book(vlan(7)), vlan_tag=20)
    assert (values['mode'], values['untagged_vlan'], values['tagged_vlans']) == (
        'access',
        Pointer('ipam.vlan', 7),
        frozenset(),
    )
    assert not made.notices


def test_trunks_are_tagged_and_the_tag_beside_them_is_native():
    hits = {vid: (vlan(vid),) for vid in (10, 20, 21, 22, 30)}
    values, _made, _netbox = with_nic(book_=VlanIndex(candidates=hits), vlan_tag=10, trunks=((20, 22),))
    assert (values['mode'], values['untagged_vlan']) == ('tagged', Pointer('ipam.vlan', 10))
    assert values['tagged_vlans'] == {Pointer('ipam.vlan', vid) for vid in (20, 21, 22)}


def test_a_trunk_of_all_is_all():
    values, _made, _netbox = with_nic(trunks=((2, 4094),))
    assert (values['mode'], values['tagged_vlans']) == ('tagged-all', frozenset())


def test_a_wide_trunk_makes_no_vlans():
    values, made, _netbox = with_nic(book_=book(vlan(7), creates=True), trunks=((2, 1000),))
    assert values['tagged_vlans'] == {Pointer('ipam.vlan', 7)}
    assert not made.notices


def test_a_vlan_aware_bridge_passes_all_and_a_plain_one_knows_none():
    aware = bridges(node_interface('vmbr0', InterfaceType.BRIDGE, vlan_aware=True))
    plain = bridges(node_interface('vmbr0', InterfaceType.BRIDGE))
    assert with_nic(aware)[0]['mode'] == 'tagged-all'
    assert with_nic(plain)[0]['mode'] is None


def test_a_bridge_that_was_not_read_leaves_the_mode_alone():
    _values, _made, netbox = with_nic(bridges(node_interface('vmbr0', InterfaceType.BRIDGE, vlan_aware=True)))
    unread = inventory(guest(100, config=config(nics=(nic(),))), nodes=(node(interfaces=Unreadable('refused')),))
    assert not plan(unread, netbox.existing).changes
    assert netbox.object('interface', 'qemu/100/net0').values['mode'] == 'tagged-all'


def test_a_bridge_that_is_not_there_any_more_passes_nothing_on():
    _values, _made, netbox = with_nic(bridges(node_interface('vmbr0', InterfaceType.BRIDGE, vlan_aware=True)))
    pointer = netbox.bindings['interface', 'qemu/100/net0'].pointer

    def mode(**values):
        netbox.sync(inventory(guest(100, config=config(nics=(nic(),))), nodes=(node(interfaces=()),), **values))
        return netbox.records['interface'][pointer].values['mode']

    # It might be a virtual network.
    assert mode(vnets=Unreadable('refused')) == 'tagged-all'
    assert mode() is None


def vnet(**values):
    defaults = {'name': 'vmbr0', 'zone_type': 'vlan', 'tag': 20, 'alias': None, 'vlan_aware': False}
    return {'vnets': (Vnet(**(defaults | values)),)}


def test_a_vnet_gives_its_vlan():
    values, _made, _netbox = with_nic(vnet(), book(vlan(7)))
    assert (values['mode'], values['untagged_vlan']) == ('access', Pointer('ipam.vlan', 7))


def test_a_vni_is_no_vlan():
    values, made, _netbox = with_nic(vnet(zone_type='vxlan', tag=20), book(vlan(7)))
    assert (values['mode'], values['untagged_vlan']) == (None, None)
    assert not made.notices


def test_an_mtu_of_one_is_that_of_the_bridge():
    bridge = node_interface('vmbr0', InterfaceType.BRIDGE, mtu=9000)
    assert with_nic(bridges(bridge), mtu=1)[0]['mtu'] == 9000
    assert with_nic(bridges(node_interface('vmbr0', InterfaceType.VNET, mtu=1450)), mtu=1)[0]['mtu'] == 1450
    assert with_nic(mtu=1)[0]['mtu'] is None


@pytest.mark.parametrize(
    ('now', 'follows', 'becomes'),
    [
        (bridges(node_interface('vmbr0', InterfaceType.BRIDGE, mtu=9000)), {}, 9000),
        (bridges(node_interface('vmbr0', InterfaceType.BRIDGE)), {}, None),
        (bridges(), {}, None),
        ({}, {'bridge': None}, None),
        # It may be that of the bridge as well.
        (bridges(), {'node': 'pve2'}, 1400),
        ({}, {}, 1400),
    ],
)
def test_an_mtu_that_was_written_goes_once_it_follows_a_bridge_that_was_read(now, follows, becomes):
    _values, _made, netbox = with_nic(mtu=1400)
    node_name, bridge = follows.get('node', 'pve1'), follows.get('bridge', 'vmbr0')
    moved = guest(100, config=config(nics=(nic(mtu=1, bridge=bridge),)), node=node_name)
    netbox.sync(inventory(moved, **now))
    assert netbox.object('interface', 'qemu/100/net0').values['mtu'] == becomes


def test_several_vlans_are_a_conflict_with_all_candidates_and_the_rest_is_written():
    values, made, netbox = with_nic(book_=book(vlan(7, GROUP), vlan(8)), vlan_tag=20)
    conflict = next(change for change in made.changes if change.action == 'conflict')
    assert (conflict.kind, conflict.key) == ('interface', 'qemu/100/net0')
    assert '"vlan7", group "Fabric"; "vlan8", global' in conflict.reason
    assert (values['mode'], values['untagged_vlan']) == ('access', None)
    # A user chooses.
    netbox.edit('interface', netbox.bindings['interface', 'qemu/100/net0'].pointer, untagged_vlan=vlan(8).pointer)
    assert not plan(inventory(guest(100, config=config(nics=(nic(vlan_tag=20),)))), netbox.existing).changes


def test_a_missing_vlan_is_reported_once_and_none_is_shown():
    netbox = NetBox()
    inv = inventory(*(guest(vmid, f'vm{vmid}', (), config=config(nics=(nic(vlan_tag=20),))) for vmid in (100, 101)))
    made = netbox.sync(inv)
    assert [notice.message for notice in made.notices] == [
        'Guests use VLANs that do not exist in NetBox: 20. These VLANs are left out.'
    ]
    assert netbox.object('interface', 'qemu/100/net0').values['untagged_vlan'] is None


def test_the_group_comes_before_the_site_and_the_site_before_the_rest():
    in_group, local, everywhere = vlan(1, GROUP), vlan(2, site=SITE, is_local=True), vlan(3)
    assert Lookup(book(in_group, local, everywhere), GROUP).find(20, ()) == (in_group.pointer,)
    assert Lookup(book(in_group, local, everywhere), None).find(20, ()) == (local.pointer,)
    assert Lookup(book(everywhere), GROUP).find(20, ()) == (everywhere.pointer,)


def test_a_vlan_that_netbox_does_not_offer_is_meant_by_its_group_only():
    elsewhere, everywhere = vlan(1, GROUP, is_local=True, is_offered=False), vlan(3)
    assert Lookup(book(elsewhere, everywhere), GROUP).find(20, ()) == (elsewhere.pointer,)
    assert Lookup(book(elsewhere, everywhere), None).find(20, ()) == (everywhere.pointer,)


def test_a_vlan_of_another_site_is_not_meant():
    other = vlan(1, GROUP, site=Pointer('dcim.site', 2), is_local=True)
    assert Lookup(book(other), GROUP).find(20, ()) == ()


def test_missing_vlans_are_created_in_the_group_or_in_the_site():
    in_group, at_site, everywhere = (
        Lookup(VlanIndex(site=site, creates=True), group).find(20, ())[0]
        for group, site in ((GROUP, SITE), (None, SITE), (None, None))
    )
    assert [made.attributes for made in (in_group, at_site, everywhere)] == [
        (('group_id', 1), ('vid', 20)),
        (('site_id', 1), ('vid', 20)),
        (('group_id', None), ('site_id', None), ('vid', 20)),
    ]
    # They are three VLANs, also where a plan was stored meanwhile.
    assert len({in_group, at_site, everywhere}) == 3
    assert decode(encode(in_group)) == in_group


def in_rules_group(**conditions):
    rule = Rule(name='Fabric', outcome=Outcome(vlan_group=GROUP), **conditions)
    return replace(SETTINGS, rules=(rule,))


def test_the_group_of_a_rule_comes_before_that_of_the_endpoint():
    netbox, other = NetBox(), Pointer('ipam.vlangroup', 2, 'Other')
    netbox.vlans = {'interface': book(vlan(7, GROUP), vlan(8, other))}
    settings = replace(in_rules_group(vmid_max=100), vlan_group=other)
    inv = inventory(*(guest(vmid, f'vm{vmid}', (), config=config(nics=(nic(vlan_tag=20),))) for vmid in (100, 101)))
    made = netbox.sync(inv, settings)
    assert [netbox.object('interface', f'qemu/{vmid}/net0').values['untagged_vlan'].pk for vmid in (100, 101)] == [7, 8]
    reasons = {change.key: change.reason for change in made.changes if change.kind == 'interface'}
    assert reasons == {'qemu/100/net0': 'untagged_vlan: VLAN group "Fabric" by rule "Fabric"', 'qemu/101/net0': ''}
    assert not netbox.sync(inv, settings).changes


def test_while_it_is_unknown_which_group_a_rule_means_vlans_stay():
    netbox = NetBox()
    netbox.vlans = {'interface': VlanIndex(candidates={20: (vlan(7, GROUP), vlan(8)), 21: (vlan(9),)})}
    settings = in_rules_group(pools=('gold',))

    def sync(pool, **values):
        inv = inventory(guest(100, pool=pool, config=config(nics=(nic(**values),))))
        netbox.sync(inv, settings)
        found = netbox.object('interface', 'qemu/100/net0').values
        return found['mode'], found['untagged_vlan'] and found['untagged_vlan'].pk

    assert sync('gold', vlan_tag=20) == ('access', 7)
    assert sync(UNREAD, vlan_tag=21) == ('access', 7)
    # Where no VLAN is named, none is looked up.
    assert sync(UNREAD, trunks=((2, 4094),)) == ('tagged-all', None)


def test_tagged_vlans_are_merged():
    hits = {20: (vlan(20),), 21: (vlan(21),)}
    _values, _made, netbox = with_nic(book_=VlanIndex(candidates=hits), trunks=((20, 21),))
    pointer = netbox.bindings['interface', 'qemu/100/net0'].pointer
    mine = Pointer('ipam.vlan', 99)
    netbox.edit('interface', pointer, tagged_vlans=frozenset({vlan(20).pointer, vlan(21).pointer, mine}))
    netbox.sync(inventory(guest(100, config=config(nics=(nic(trunks=((21, 21),)),)))))
    assert netbox.records['interface'][pointer].values['tagged_vlans'] == {vlan(21).pointer, mine}


@given(
    tag=st.none() | st.integers(1, 4094),
    trunks=st.lists(st.tuples(st.integers(1, 4094), st.integers(0, 100)), max_size=4).map(
        lambda found: tuple((start, min(start + more, 4094)) for start, more in found)
    ),
)
def test_netbox_accepts_every_membership(tag, trunks):
    membership = Membership.of(tag, trunks)
    assert membership.mode is not None or (membership.untagged is None and not membership.tagged)
    assert membership.mode == 'tagged' or not membership.tagged
    assert all(1 <= vid <= 4094 for vid in membership.vids(()))


def test_an_unchanged_guest_changes_nothing():
    _values, _made, netbox = with_nic(book_=book(vlan(7)), vlan_tag=20)
    again = plan(inventory(guest(100, config=config(nics=(nic(vlan_tag=20),)))), netbox.existing)
    assert (again.changes, again.refreshed) == ((), {})


def test_a_vlan_that_was_created_for_an_id_is_meant_wherever_a_user_has_moved_it():
    creating = VlanIndex(site=SITE, creates=True)
    (new,) = Lookup(creating, GROUP).find(20, ())
    moved = Pointer('ipam.vlan', 77, 'VLAN 20')
    lookup = Lookup(replace(creating, made={new: moved}), GROUP)
    assert lookup.find(20, ()) == (moved,)
    assert Lookup(replace(creating, creates=False), GROUP).find(20, ()) == ()


def test_vlans_that_could_be_meant_are_named_with_their_place():
    hits = (vlan(7, group=GROUP), vlan(8, site=SITE), vlan(9))
    assert str(several(20, hits)).startswith(
        'NetBox has several VLANs 20 that could be meant: "vlan7", group "Fabric"; "vlan8", site "Berlin"; "vlan9", '
        'global.'
    )
