"""VLANs of guests, in NetBox's own tables and by its own rules."""

import pytest
from dcim.models import Region, Site
from django.db.backends.postgresql.psycopg_any import NumericRange
from extras.models import Tag
from ipam.models import VLAN, VLANGroup
from virtualization.models import VMInterface

from tests.cases import make_rule
from tests.sync.builders import config, guest, inventory, nic

pytestmark = pytest.mark.django_db


def tagged(**values):
    return inventory(guest(100, config=config(nics=(nic(**values),))))


def interface() -> VMInterface:
    return VMInterface.objects.get()


def test_the_vlan_of_the_network_team_is_taken(site, take):
    VLAN.objects.create(vid=20, name='everywhere')
    ours = VLAN.objects.create(vid=20, name='servers', site=site)
    VLAN.objects.create(vid=20, name='elsewhere', site=Site.objects.create(name='Paris', slug='paris'))
    run = take(tagged(vlan_tag=20))
    assert (interface().mode, interface().untagged_vlan) == ('access', ours)
    assert VLAN.objects.count() == 3
    assert run.messages == []


def test_a_vlan_of_a_group_for_the_sites_region_counts_as_one_of_the_site(site, take):
    region = Region.objects.create(name='DE', slug='de')
    Site.objects.filter(pk=site.pk).update(region=region)
    group = VLANGroup.objects.create(name='DE', slug='de', scope=region)
    ours = VLAN.objects.create(vid=20, name='servers', group=group)
    VLAN.objects.create(vid=20, name='everywhere')
    take(tagged(vlan_tag=20))
    assert interface().untagged_vlan == ours


def test_trunks_and_a_native_vlan(site, take):
    for vid in (10, 20, 21):
        VLAN.objects.create(vid=vid, name=f'v{vid}', site=site)
    take(tagged(vlan_tag=10, trunks=((20, 21),)))
    assert (interface().mode, interface().untagged_vlan.vid) == ('tagged', 10)
    assert set(interface().tagged_vlans.values_list('vid', flat=True)) == {20, 21}
    mine = VLAN.objects.create(vid=99, name='mine', site=site)
    interface().tagged_vlans.add(mine)
    take(tagged(trunks=((21, 21),)))
    assert set(interface().tagged_vlans.values_list('vid', flat=True)) == {21, 99}
    assert interface().untagged_vlan is None
    take(tagged())
    assert interface().mode == 'tagged'
    take(tagged(vlan_tag=10))
    assert (interface().mode, interface().untagged_vlan.vid) == ('access', 10)
    assert not interface().tagged_vlans.exists()


def test_missing_vlans_are_created_where_the_endpoint_says(site, endpoint, take):
    endpoint.create_vlans = True
    endpoint.save()
    take(tagged(vlan_tag=20))
    made = VLAN.objects.get()
    assert (made.vid, made.site, made.group, interface().untagged_vlan) == (20, site, None, made)
    endpoint.refresh_from_db()
    endpoint.vlan_group = VLANGroup.objects.create(name='Fabric', slug='fabric')
    endpoint.save()
    take(tagged(vlan_tag=30))
    assert VLAN.objects.get(vid=30).group == endpoint.vlan_group


def test_vlans_of_guests_are_looked_up_and_created_in_the_group_of_the_rule(site, endpoint, take):
    # Of another site: NetBox does not offer what is in it, a rule may all the same.
    paris = Site.objects.create(name='Paris', slug='paris')
    fabric = VLANGroup.objects.create(name='Fabric', slug='fabric', scope=paris)
    theirs = VLAN.objects.create(vid=20, name='theirs', group=fabric)
    ours = VLAN.objects.create(vid=20, name='ours', site=site)
    rule = make_rule('Red guests', guest_tags=['red'], vlan_group=fabric)
    endpoint.create_vlans = True
    endpoint.save()

    def inv(vid, *tags):
        found = config(nics=(nic(vlan_tag=vid),))
        plain = config(nics=(nic(mac='BC:24:11:00:00:02', vlan_tag=vid),))
        return inventory(guest(100, 'red', (), tags=tags, config=found), guest(101, 'plain', (), config=plain))

    def vlans():
        interfaces = VMInterface.objects.select_related('untagged_vlan').order_by('virtual_machine__name')
        return [interface.untagged_vlan for interface in interfaces][::-1]

    run = take(inv(20, 'red'))
    assert vlans() == [theirs, ours]
    reasons = set(run.changes.filter(kind='interface').values_list('key', 'reason'))
    by = 'untagged_vlan: VLAN group "Fabric" by rule "Red guests"'
    assert reasons == {('qemu/100/net0', by), ('qemu/101/net0', '')}
    take(inv(30, 'red'))
    assert [(vlan.vid, vlan.group, vlan.site) for vlan in vlans()] == [(30, fabric, None), (30, None, site)]
    # A guest that the rule no longer matches, and a rule that is switched off.
    take(inv(20))
    assert vlans() == [ours, ours]
    take(inv(20, 'red'))
    assert vlans() == [theirs, ours]
    rule.enabled = False
    rule.save()
    take(inv(20, 'red'))
    assert vlans() == [ours, ours]


def test_a_vlan_that_its_group_refuses_is_reported_and_the_rest_is_written(endpoint, take):
    endpoint.create_vlans = True
    endpoint.vlan_group = VLANGroup.objects.create(name='Low', slug='low', vid_ranges=[NumericRange(1, 10)])
    endpoint.save()
    run = take(tagged(vlan_tag=20))
    failed = run.changes.get(outcome='failed')
    assert (failed.kind, failed.key) == ('interface', 'qemu/100/net0')
    assert 'untagged_vlan: vid: VID must be in ranges' in failed.message
    assert (interface().mode, interface().untagged_vlan) == ('access', None)
    assert str(interface().primary_mac_address.mac_address) == 'BC:24:11:00:00:01'


def test_one_vlan_id_in_two_groups_is_a_conflict_with_both(site, take):
    for name in ('a', 'b'):
        group = VLANGroup.objects.create(name=name, slug=name, scope=site)
        VLAN.objects.create(vid=20, name=f'in-{name}', group=group)
    run = take(tagged(vlan_tag=20))
    conflict = run.changes.get(action='conflict')
    assert (conflict.kind, conflict.key, conflict.object) == ('interface', 'qemu/100/net0', None)
    assert '"in-a (20)", group "a"; "in-b (20)", group "b"' in conflict.reason
    assert interface().mode == 'access'


def test_missing_vlans_are_reported_once(take):
    run = take(tagged(vlan_tag=20))
    assert [message['subject'] for message in run.messages] == ['VLAN']
    assert interface().untagged_vlan is None


def test_the_vlan_of_an_interface_that_a_user_changed_is_set_back(site, take):
    ours = VLAN.objects.create(vid=20, name='servers', site=site)
    take(tagged(vlan_tag=20))
    VMInterface.objects.update(untagged_vlan=VLAN.objects.create(vid=21, name='other', site=site))
    run = take(tagged(vlan_tag=20))
    assert interface().untagged_vlan == ours
    assert run.changes.get().fields[0]['drift']
    assert not Tag.objects.exists()
