"""Which guests the filters of an endpoint let in."""

from dataclasses import replace

import pytest

from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.sync.guest_filters import GuestFilters, Term
from tests.sync.builders import SETTINGS, NetBox, guest, inventory, plan

WEB = guest(100, 'Web-1', tags=('prod', 'linux'), pool='shop', node='pve1')


@pytest.mark.parametrize(
    ('include', 'exclude', 'passes'),
    [
        ((), (), True),
        (('web-*',), (), True),
        (('db-*',), (), False),
        (('db-*', 'tag:PROD'), (), True),
        (('name:web-?',), (), True),
        (('pool:shop',), (), True),
        (('pool:s*',), ('node:pve1',), False),
        ((), ('tag:test',), True),
        ((), ('web-1',), False),
        (('web*',), ('tag:linux',), False),
    ],
)
def test_include_and_exclude(include, exclude, passes):
    assert GuestFilters.parse(include, exclude).admits(WEB) is passes


def test_a_filter_on_unread_data_excludes_the_guest():
    unread = replace(WEB, pool=Unreadable('refused'))
    assert not GuestFilters.parse(['pool:shop'], []).admits(unread)
    assert not GuestFilters.parse([], ['pool:shop']).admits(unread)
    assert GuestFilters.parse(['pool:shop', 'web-*'], []).admits(unread)


def test_no_pool_is_no_match():
    assert GuestFilters.parse([], ['pool:*']).admits(replace(WEB, pool=None))


@pytest.mark.parametrize('text', ['', '  ', 'tag:', 'color:red', ':x'])
def test_invalid_filter_terms(text):
    with pytest.raises(ValueError, match=r'.'):
        Term.parse(text)


@pytest.mark.parametrize('text', ['web-*', 'tag:prod', 'pool:a b', 'node:pve1'])
def test_a_term_reads_as_it_was_written(text):
    assert str(Term.parse(text)) == text


def test_a_guest_that_is_newly_excluded_is_left_unchanged():
    netbox = NetBox()
    netbox.sync(inventory(guest(100), guest(101, 'db', ('10.0.0.6/24',))))
    settings = replace(SETTINGS, guest_filters=GuestFilters.parse([], ['db']))
    assert not plan(inventory(guest(100), guest(101, 'db', ())), netbox.existing, settings).changes
