"""What the rest of the cluster says about a guest."""

import pytest

from netbox_proxsync.proxmox.inventory import TagStyle, Unreadable
from netbox_proxsync.sync.values import Shared
from tests.sync.builders import NetBox, guest, inventory, plan


def vm_of(netbox):
    return netbox.object('vm', 'qemu/100').values


def test_backup_coverage_follows_the_jobs_and_is_retained_while_it_is_unknown():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    assert vm_of(netbox)['cf_proxmox_backed_up'] is True
    netbox.sync(inventory(guest(100), not_backed_up=frozenset({100})))
    assert vm_of(netbox)['cf_proxmox_backed_up'] is False
    assert not plan(inventory(guest(100), not_backed_up=Unreadable('refused')), netbox.existing).changes


@pytest.mark.parametrize(
    ('reported', 'shown'),
    [
        ('Web01.Example.COM.', 'web01.example.com'),
        ('web_01', 'web_01'),
        ('not a name', None),
        ('a..b', None),
        (f'{"x" * 256}', None),
        ('', None),
        (None, None),
        (Unreadable('silent'), None),
    ],
)
def test_a_host_name_is_the_dns_name_if_netbox_accepts_it(reported, shown):
    netbox = NetBox()
    netbox.sync(inventory(guest(100, host_name=reported)))
    assert netbox.object('ip', 'qemu/100/10.0.0.5').values['dns_name'] == shown


def test_a_silent_agent_takes_no_dns_name_away():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, host_name='web')))
    assert not plan(inventory(guest(100)), netbox.existing).changes


def test_a_dns_name_of_a_user_is_retained():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, host_name='web')))
    address = netbox.bindings['ip', 'qemu/100/10.0.0.5'].pointer
    netbox.edit('ip', address, dns_name='mine.example.com')
    netbox.sync(inventory(guest(100, host_name='other')))
    assert netbox.records['ip'][address].values['dns_name'] == 'mine.example.com'


def test_the_operating_system_that_the_agent_reports_is_the_platform():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, os_name='Debian GNU/Linux 13 (trixie)')))
    assert vm_of(netbox)['platform'] == netbox.shared[Shared('dcim.platform', 'Debian GNU/Linux 13 (trixie)')]


@pytest.mark.parametrize(
    ('case_sensitive', 'names'), [(True, {('Prod', 'ff0000'), ('prod', None)}), (False, {('prod', 'ff0000')})]
)
def test_tags_follow_the_case_rule_of_the_datacenter_and_take_its_colors(case_sensitive, names):
    netbox = NetBox()
    style = TagStyle(colors={'Prod': 'FF0000'}, case_sensitive=case_sensitive)
    netbox.sync(inventory(guest(100, tags=('Prod', 'prod')), tag_style=style))
    tags = [shared for shared in netbox.shared if shared.model == 'extras.tag']
    assert {(tag.name, dict(tag.attributes).get('color')) for tag in tags} == names
