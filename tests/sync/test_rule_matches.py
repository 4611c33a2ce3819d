"""What rules make of guests in NetBox, over rounds of syncs in memory."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.desired import desire
from netbox_proxsync.sync.network_candidates import PrefixCandidate
from netbox_proxsync.sync.rules import Outcome, Rule
from netbox_proxsync.sync.values import Pointer, Shared

from .builders import SETTINGS, UNREAD, NetBox, guest, inventory, plan

WEB, APP = Pointer('dcim.devicerole', 1, 'Web'), Pointer('dcim.devicerole', 2, 'App')
ACME = Pointer('tenancy.tenant', 1, 'Acme')
DEBIAN = Pointer('dcim.platform', 1, 'Debian')
RED, BLUE = Pointer('ipam.vrf', 1, 'Red'), Pointer('ipam.vrf', 2, 'Blue')
BACKUP = Pointer('extras.tag', 900, 'backup')


def ruled(*rules: Rule, known_rules: tuple[Rule, ...] | None = None, **values):
    outcomes = [rule.outcome for rule in (rules if known_rules is None else known_rules)]
    values_of = {
        name: frozenset(value for outcome in outcomes if (value := getattr(outcome, name)))
        for name in ('role', 'tenant', 'platform', 'vrf')
    }
    return replace(SETTINGS, rules=rules, ruled=values_of, **values)


def rule(name='Web servers', weight=10, conditions=None, **outcome) -> Rule:
    return Rule(name=name, weight=weight, outcome=Outcome(**outcome), **(conditions or {'guest_tags': ('web',)}))


def vm(netbox: NetBox, key='qemu/100'):
    return netbox.object('vm', key).values


@pytest.fixture
def netbox() -> NetBox:
    return NetBox()


def test_a_rule_wins_over_the_endpoint_and_the_run_reports_this(netbox):
    settings = ruled(rule(role=WEB, platform=DEBIAN), guest_role=APP, tenant=ACME)
    made = netbox.sync(inventory(guest(100, 'web', tags=('web',)), guest(101, 'db', ips=())), settings)
    assert (vm(netbox)['role'], vm(netbox)['tenant'], vm(netbox)['platform']) == (WEB, ACME, DEBIAN)
    assert vm(netbox, 'qemu/101')['role'] == APP
    reasons = {change.key: change.reason for change in made.changes if change.kind == 'vm'}
    assert reasons == {'qemu/100': 'role: rule "Web servers"; platform: rule "Web servers"', 'qemu/101': ''}
    assert not netbox.sync(inventory(guest(100, 'web', tags=('web',)), guest(101, 'db', ips=())), settings).changes


def test_the_value_follows_the_next_rule_the_endpoint_and_nothing(netbox):
    rules = (rule(role=WEB, tenant=ACME), rule('Rest', 20, {'guest_tags': ('app',)}, role=APP))
    netbox.sync(inventory(guest(tags=('web', 'app'))), ruled(*rules))
    assert vm(netbox)['role'] == WEB
    netbox.sync(inventory(guest(tags=('app',))), ruled(*rules))
    assert (vm(netbox)['role'], vm(netbox)['tenant']) == (APP, None)
    netbox.sync(inventory(guest()), ruled(*rules, guest_role=WEB))
    assert vm(netbox)['role'] == WEB
    netbox.sync(inventory(guest(tags=('app',))), ruled(*rules))
    netbox.sync(inventory(guest()), ruled(*rules))
    assert vm(netbox)['role'] is None
    assert not netbox.sync(inventory(guest()), ruled(*rules)).changes


def test_a_rule_that_is_switched_off_is_taken_back(netbox):
    web = rule(role=WEB)
    netbox.sync(inventory(guest(tags=('web',))), ruled(web))
    netbox.sync(inventory(guest(tags=('web',))), ruled(known_rules=(web,)))
    assert vm(netbox)['role'] is None


def test_values_of_the_endpoint_are_not_cleared(netbox):
    netbox.sync(inventory(guest()), ruled(rule(role=WEB), guest_role=APP))
    netbox.sync(inventory(guest()), ruled(rule(role=WEB)))
    assert vm(netbox)['role'] == APP


def test_an_edit_is_retained_when_rules_are_added_and_deleted(netbox):
    web = rule(role=WEB)
    netbox.sync(inventory(guest(tags=('web',))), ruled(web))
    netbox.edit('vm', netbox.object('vm', 'qemu/100').pointer, role=APP)
    for tags in (('web',), (), ('web',)):
        netbox.sync(inventory(guest(tags=tags)), ruled(web))
        assert vm(netbox)['role'] == APP


def test_unknown_facts_leave_the_fields_as_they_are(netbox):
    by_pool = rule('By pool', 10, {'pools': ('prod',)}, role=WEB, platform=DEBIAN, tenant=ACME)
    settings = ruled(by_pool, guest_role=APP)
    netbox.sync(inventory(guest(pool='prod')), settings)
    before = dict(vm(netbox))
    made = netbox.sync(inventory(guest(pool=UNREAD)), settings)
    assert not made.changes
    assert dict(vm(netbox)) == before
    # A guest that is new gets no default that a rule might have prevented.
    netbox.sync(inventory(guest(pool='prod'), guest(101, 'db', ips=(), pool=UNREAD)), settings)
    assert vm(netbox, 'qemu/101')['role'] is None
    netbox.sync(inventory(guest(pool='prod'), guest(101, 'db', ips=(), pool=None)), settings)
    assert vm(netbox, 'qemu/101')['role'] == APP


def test_a_skipped_guest_is_left_unchanged(netbox):
    lab = rule('Lab', 10, {'guest_tags': ('lab',)}, skip=True)
    netbox.sync(inventory(guest(100), guest(101, 'db', ips=('10.0.0.6/24',))), ruled(lab))
    before = {kind: dict(rows) for kind, rows in netbox.records.items()}
    skipped = inventory(guest(100), guest(101, 'renamed', ips=(), tags=('lab',)), guest(102, 'new', tags=('lab',)))
    assert not netbox.sync(skipped, ruled(lab)).changes
    assert netbox.records == before
    assert desire(skipped, ruled(lab)).excluded == {'qemu/101', 'qemu/102'}
    # When it is missing from Proxmox VE it cannot match any more, and is retired as any other.
    planned = plan(inventory(guest(100)), netbox.existing, ruled(lab))
    assert [(change.action, change.key) for change in planned.changes] == [(Action.RETIRE, 'qemu/101')]


def test_a_guest_that_might_be_skipped_is_left_unchanged(netbox):
    lab = rule('Lab', 10, {'pools': ('lab',)}, skip=True)
    netbox.sync(inventory(guest(100, pool=None)), ruled(lab))
    assert not netbox.sync(inventory(guest(100, 'renamed', pool=UNREAD)), ruled(lab)).changes
    assert [change.kind for change in netbox.sync(inventory(guest(100, 'renamed', pool=None)), ruled(lab)).changes] == [
        'vm'
    ]


def test_extra_tags_add_up_and_are_our_own(netbox):
    other = Pointer('extras.tag', 901, 'web-team')
    rules = (
        rule(extra_tags=frozenset({BACKUP})),
        rule('Team', 20, extra_tags=frozenset({BACKUP, other})),
    )
    made = netbox.sync(inventory(guest(tags=('web',))), ruled(*rules))
    web = netbox.shared[Shared('extras.tag', 'web')]
    assert vm(netbox)['tags'] == {web, BACKUP, other}
    vm_change = next(change for change in made.changes if change.kind == 'vm')
    assert vm_change.reason == 'tags: "backup" by rule "Web servers", "web-team" by rule "Team"'
    by_hand = Pointer('extras.tag', 902, 'by hand')
    netbox.edit('vm', netbox.object('vm', 'qemu/100').pointer, tags=frozenset({web, BACKUP, other, by_hand}))
    netbox.sync(inventory(guest(tags=())), ruled(*rules))
    assert vm(netbox)['tags'] == {by_hand}


def test_unknown_extra_tags_leave_the_tags_as_they_are(netbox):
    by_pool = rule('By pool', 10, {'pools': ('prod',)}, extra_tags=frozenset({BACKUP}))
    netbox.sync(inventory(guest(pool='prod', tags=('web',))), ruled(by_pool))
    before = vm(netbox)['tags']
    netbox.sync(inventory(guest(pool=UNREAD, tags=())), ruled(by_pool))
    assert vm(netbox)['tags'] == before


def test_an_extra_tag_that_is_also_proxmoxs_is_one_tag(netbox):
    netbox.shared[Shared('extras.tag', 'backup')] = BACKUP
    settings = ruled(rule(conditions={'guest_tags': ('backup',)}, extra_tags=frozenset({BACKUP})))
    netbox.sync(inventory(guest(tags=('backup',))), settings)
    assert vm(netbox)['tags'] == {BACKUP}


def ip(netbox: NetBox):
    return netbox.object('ip', 'qemu/100/10.0.0.5').values


def test_the_vrf_of_a_guests_addresses(netbox):
    web = rule(vrf=RED)
    made = netbox.sync(inventory(guest(tags=('web',))), ruled(web, vrf=BLUE))
    assert ip(netbox)['vrf'] == RED
    assert [change.reason for change in made.changes if change.kind == 'ip'] == ['vrf: rule "Web servers"']
    netbox.sync(inventory(guest()), ruled(web, vrf=BLUE))
    assert ip(netbox)['vrf'] == BLUE
    netbox.sync(inventory(guest(tags=('web',))), ruled(web))
    netbox.sync(inventory(guest()), ruled(web))
    assert ip(netbox)['vrf'] is None


def test_two_guests_with_one_address_in_the_vrfs_of_their_rules(netbox):
    settings = ruled(rule(vrf=RED), rule('Blue', 20, {'guest_tags': ('blue',)}, vrf=BLUE))
    made = netbox.sync(inventory(guest(100, tags=('web',)), guest(101, 'db', tags=('blue',))), settings)
    assert not [change for change in made.changes if change.action is Action.CONFLICT]


def test_an_unknown_vrf_makes_no_address_and_moves_none(netbox):
    by_pool = rule('By pool', 10, {'pools': ('prod',)}, vrf=RED)
    settings = ruled(by_pool, vrf=BLUE)
    unread = guest(ips=('10.0.0.5',), pool=UNREAD)
    netbox.sync(inventory(unread), settings)
    assert ('ip', 'qemu/100/10.0.0.5') not in netbox.bindings
    netbox.sync(inventory(guest(ips=('10.0.0.5',), pool='prod')), settings)
    assert ip(netbox)['vrf'] == RED
    # Its length still comes from the prefix in the VRF that it is in.
    hits = {
        '10.0.0.5': (
            PrefixCandidate(network=ip_network('10.0.0.0/24'), vrf=RED),
            PrefixCandidate(network=ip_network('10.0.0.0/28'), vrf=BLUE),
        )
    }
    made = plan(inventory(unread), replace(netbox.existing, prefixes=hits), settings)
    assert [(field.name, field.want) for change in made.changes for field in change.fields] == [
        ('address', '10.0.0.5/24')
    ]


def test_an_unknown_vrf_is_no_rival_of_the_same_address_elsewhere(netbox):
    by_pool = rule('By pool', 10, {'pools': ('prod',)}, vrf=RED)
    netbox.sync(inventory(guest(100, pool='prod'), guest(101, 'db', pool=None)), ruled(by_pool))
    made = netbox.sync(inventory(guest(100, pool=UNREAD), guest(101, 'db', pool=None)), ruled(by_pool))
    assert not made.changes
